//! "Did you mean": the key that is most like the one that was given.

use std::collections::BTreeSet;
use std::time::Duration;

use kvconf::{Bucket, Filter, Key, Prefix};
use tokio::time::timeout;

use crate::complete::layers_of as layers_of_schema;
use crate::targets::InLayers;

/// The most keys that are looked at.
const LOOKED_AT: usize = 10_000;

/// The most layers that are named.
const LAYERS: usize = 5;

/// The most of all layers, or of what keys begin with.
const NAMES: usize = 12;

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
    let names = || keys.iter().take(LOOKED_AT).map(Key::as_str);
    let above = names().flat_map(|key| key.match_indices('.').filter_map(|(at, _)| key.get(..at)));
    let found = nearest(key.as_str(), names()).or_else(|| nearest(key.as_str(), above));
    found.map(str::to_owned)
}

/// What may be meant where nothing is found, and none of the keys that were asked for is there: a slip in a name, and a layer
/// that was not named, look like a quiet day.
pub(crate) async fn instead(
    bucket: &Bucket,
    targets: &[String],
    layers: &InLayers,
    filters: &[Filter],
) -> Option<String> {
    let keys = timeout(WITHIN, bucket.keys(filters.to_vec())).await.ok()?.ok()?;
    if !keys.is_empty() {
        return None;
    }
    match targets {
        [target] if !layers.is_named() => elsewhere(bucket, target).await,
        _ if !layers.is_named() => None,
        targets => in_layers(bucket, targets, layers, filters).await,
    }
}

/// What may be meant where nothing stands in the layers that were named: another key of theirs, or another layer.
async fn in_layers(
    bucket: &Bucket,
    targets: &[String],
    layers: &InLayers,
    filters: &[Filter],
) -> Option<String> {
    if let [target] = targets
        && let Some(where_it_is) = elsewhere_in_layers(bucket, target).await
    {
        return Some(where_it_is);
    }
    let keys = timeout(WITHIN, bucket.keys(layers.everything().ok()?)).await.ok()?.ok()?;
    if !keys.is_empty() {
        let near = near(bucket, &filters.iter().find_map(Filter::as_key)?).await?;
        return Some(format!("did you mean {near}?"));
    }
    let keys = timeout(WITHIN, bucket.keys(Filter::all())).await.ok()?.ok()?;
    let schemas = timeout(WITHIN, bucket.schemas()).await.ok().and_then(Result::ok);
    let published = schemas.iter().flat_map(|schemas| &schemas.published);
    let known: BTreeSet<String> = published
        .flat_map(|published| layers_of_schema(&published.schema, &keys))
        .filter(|layer| !layer.is_empty())
        .collect();
    // Without a schema nobody knows which parts of keys are layers.
    let (what, names) = if known.is_empty() {
        let first = |key: &Key| key.as_str().split('.').next().map(str::to_owned);
        ("keys begin with", keys.iter().filter_map(first).collect())
    } else {
        ("layers are", known)
    };
    if names.is_empty() {
        return None;
    }
    let more = if names.len() > NAMES { ", …" } else { "" };
    let names: Vec<String> = names.into_iter().take(NAMES).collect();
    Some(format!("nothing stands under {}: {what} {}{more}", layers.typed()?, names.join(", ")))
}

/// What a key or prefix that there is nothing of may be: one that stands in layers, else a slip in its name.
pub(crate) async fn elsewhere(bucket: &Bucket, target: &str) -> Option<String> {
    if let Some(where_it_is) = elsewhere_in_layers(bucket, target).await {
        return Some(where_it_is);
    }
    let key = Key::new(target.trim_end_matches('.')).ok()?;
    near(bucket, &key).await.map(|near| format!("did you mean {near}?"))
}

async fn elsewhere_in_layers(bucket: &Bucket, target: &str) -> Option<String> {
    let key = Key::new(target.trim_end_matches('.')).ok()?;
    let layers = layers_of(bucket, &key).await;
    (!layers.is_empty()).then(|| format!("{key} is there in layers: --layer {}", layers.join(",")))
}

/// The names before a key or a prefix, of at most two parts, as layers have them.
pub(crate) async fn layers_of(bucket: &Bucket, key: &Key) -> Vec<String> {
    let filters =
        ["*", "*.*"].into_iter().flat_map(|layer| [format!("{layer}.{key}"), format!("{layer}.{key}.>")]);
    let filters: Vec<Filter> = filters.filter_map(|filter| Filter::new(filter).ok()).collect();
    let mut found = BTreeSet::new();
    for filter in filters {
        let Ok(Ok(keys)) = timeout(WITHIN, bucket.keys(filter)).await else { continue };
        let parts = |text: &str| text.split('.').count();
        let beginning = |found: &Key| {
            let text = found.as_str();
            let at = text.find(&format!(".{key}"))?;
            text.get(..at).map(str::to_owned)
        };
        found.extend(keys.iter().take(LOOKED_AT).filter_map(beginning).filter(|layer| parts(layer) <= 2));
    }
    found.into_iter().take(LAYERS).collect()
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
