//! "Did you mean": the key that is most like the one that was given.

use std::time::Duration;

use kvconf::{Bucket, Filter, Key, Prefix};
use tokio::time::timeout;

/// The most keys that are looked at.
const LOOKED_AT: usize = 10_000;

/// Nobody waits longer for a suggestion; in a bucket of very many keys there is none.
const WITHIN: Duration = Duration::from_millis(300);

/// The key of the bucket that is most like this one, if one is much like it: under the same parent, else anywhere.
pub(crate) async fn near(bucket: &Bucket, key: &Key) -> Option<String> {
    let parent = key.as_str().rsplit_once('.').and_then(|(parent, _)| Prefix::new(parent).ok());
    if let Some(parent) = parent {
        let keys = timeout(WITHIN, bucket.keys(parent)).await.ok()?.ok()?;
        if let Some(near) = nearest(key.as_str(), keys.iter().map(Key::as_str)) {
            return Some(near.to_owned());
        }
    }
    // A user of one prefix may not ask for more: then there is no suggestion.
    let keys = timeout(WITHIN, bucket.keys(Filter::all())).await.ok()?.ok()?;
    nearest(key.as_str(), keys.iter().map(Key::as_str)).map(str::to_owned)
}

/// The most similar of the candidates, when it differs by little for its length.
pub(crate) fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = (given.chars().count() / 4).max(2);
    candidates
        .take(LOOKED_AT)
        .filter(|candidate| *candidate != given)
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let keys = ["checkout.max_items", "checkout.min_items", "log.level"];
        assert_eq!(nearest("checkout.max_itmes", keys.into_iter()), Some("checkout.max_items"));
        assert_eq!(nearest("log.lvl", keys.into_iter()), Some("log.level"));
        assert_eq!(nearest("smtp.host", keys.into_iter()), None);
    }
}
