//! Reading the state of some prefixes as it was.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::error::{LostKey, PastError};
use super::moment::{Wanted, denied, has_gaps, in_doubt, lost, suspects};
use crate::retention::Next;
use crate::store::{Kept, Point, ReadError, Reading, Span, Store};
use crate::watch::cut::{Cut, cut, goes_on};
use crate::watch::sets::MOST;
use crate::{Entry, Filter, Key, Prefix, Revision};

/// The newest entry of each key under some prefixes at one moment, between change sets.
#[derive(Debug, Clone)]
pub(crate) struct KeysAt {
    /// Markers included, without the framework's own keys, in the order of revisions.
    pub(crate) entries: Vec<Arc<Entry>>,
    /// The moment: the one that was asked for, or the end of the change set before, where that lies within a set.
    pub(crate) revision: Revision,
    /// Whether it is of one moment indeed; not where the client may not ask the server for that.
    pub(crate) isolated: bool,
    /// Keys among the wanted ones whose entry of that moment may be gone.
    pub(crate) lost: Vec<LostKey>,
}

impl KeysAt {
    /// The state, unless some of it is lost or it is not of one moment.
    pub(crate) fn complete(self, bucket: &str) -> Result<Self, PastError> {
        if !self.isolated {
            return Err(PastError::Read(ReadError::Unsupported {
                what: "a consistent read",
                reason: format!("bucket {bucket} does not allow it, or not to this client"),
            }));
        }
        if self.lost.is_empty() {
            return Ok(self);
        }
        Err(PastError::Lost { revision: self.revision, keys: self.lost })
    }
}

/// Reads the state of some prefixes at a point.
///
/// One isolated read of the server's. What it cannot tell, absence from loss and an old entry from the one that stood there, is
/// asked for only where a wanted key is absent, or something has gone out of the bucket.
pub(crate) async fn keys_at(
    store: &dyn Store,
    prefixes: &[Prefix],
    point: Point,
    wanted: Wanted<'_>,
) -> Result<KeysAt, PastError> {
    let filters: Vec<Filter> = prefixes.iter().map(Filter::from).collect();
    if let Point::Time(time) = point {
        check_time(time, &store.kept(&[]).await?)?;
    }
    let witnesses = if point == Point::Latest { Vec::new() } else { wanted.witnesses() };
    let (reading, mut span) = read(store, &filters, point, &witnesses).await?;
    let (mut revision, isolated) = (reading.revision, reading.isolated);
    let mut is_latest = point == Point::Latest;
    let mut entries = own(reading);
    // Again, for what claims to be a part of a set may claim the end of a true one, too.
    while isolated && let Some(start) = torn(store, &filters, prefixes, &entries, revision).await? {
        // Of the newest state in a mirror, which gets a set entry by entry.
        is_latest = false;
        revision = start - 1;
        let reading;
        (reading, span) = read(store, &filters, Point::Revision(revision), &witnesses).await?;
        entries = own(reading);
    }
    let mut keys = KeysAt { entries, revision, isolated, lost: Vec::new() };
    if is_latest || revision == Revision::ZERO {
        return Ok(keys);
    }
    if !has_gaps(&keys.entries, wanted) {
        let doubtful = in_doubt(&keys.entries, span, wanted);
        let until = span.map_or(Revision::new(u64::MAX), |span| span.last);
        let next = next_entries(store, &filters, &doubtful, (revision, until)).await?;
        keys.lost = denied(&keys.entries, &next, revision);
        keys.lost.sort_by(|left, right| left.key.cmp(&right.key));
        return Ok(keys);
    }
    let kept = store.kept(&filters).await?;
    if revision >= kept.last {
        // Nothing was written since: it is the present, and what is absent is absent.
        return Ok(keys);
    }
    if revision < kept.first && kept.first.get() > 1 {
        let asked = if let Point::Revision(asked) = point { asked } else { revision };
        return Err(PastError::OutOfRange { asked, oldest: kept.first, newest: kept.last });
    }
    let suspects = suspects(&keys.entries, &kept, prefixes, wanted);
    let doubtful = in_doubt(&keys.entries, Some(kept.span()), wanted);
    let asked: Vec<&Key> = suspects.iter().chain(doubtful).collect();
    let next = next_entries(store, &filters, &asked, (revision, kept.last)).await?;
    keys.lost = lost(&suspects, &next, &keys.entries, &kept, (prefixes, wanted));
    keys.lost.extend(denied(&keys.entries, &next, revision));
    keys.lost.sort_by(|left, right| left.key.cmp(&right.key));
    Ok(keys)
}

/// What a reading holds besides the framework's own keys.
fn own(reading: Reading) -> Vec<Arc<Entry>> {
    reading.entries.into_iter().filter(|entry| !entry.key().is_reserved()).map(Arc::new).collect()
}

/// A reading, and how far the bucket reaches right behind it, where one of the witnesses is to be there.
async fn read(
    store: &dyn Store,
    filters: &[Filter],
    point: Point,
    witnesses: &[Key],
) -> Result<(Reading, Option<Span>), PastError> {
    let found = match witnesses {
        [] => store.read(filters, point).await.map(|reading| (reading, None)),
        witnesses => store.read_and_span(filters, point, witnesses).await,
    };
    match found {
        Ok(found) => Ok(found),
        Err(ReadError::OutOfRange { revision }) => {
            let kept = store.kept(filters).await?;
            Err(PastError::OutOfRange { asked: revision, oldest: kept.first, newest: kept.last })
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a time is in the bucket's life.
pub(crate) fn check_time(asked: SystemTime, kept: &Kept) -> Result<(), PastError> {
    let (created, now) = (kept.created, SystemTime::now());
    // The server's clock may be ahead of this one: what it has written already is not to come.
    if asked < created || asked > now.max(kept.written) {
        return Err(PastError::OutOfTime { asked, created, now });
    }
    Ok(())
}

/// The beginning of the change set that the moment lies in.
pub(crate) async fn torn(
    store: &dyn Store,
    filters: &[Filter],
    prefixes: &[Prefix],
    entries: &[Arc<Entry>],
    moment: Revision,
) -> Result<Option<Revision>, PastError> {
    match cut(entries, prefixes, moment) {
        Cut::Clean => Ok(None),
        Cut::Torn { start } => Ok(Some(start)),
        Cut::Open { start, id } => {
            let until = Revision::new(start.get().saturating_add(MOST));
            let next = store.history_between(filters, moment.next(), until).await?;
            Ok(next.first().is_some_and(|next| goes_on(start, &id, next)).then_some(start))
        }
    }
}

/// The first retained entry behind a moment of each key that is asked for, up to what the bucket kept after the moment was read:
/// what was written later replaced nothing that the reading did not show.
pub(crate) async fn next_entries(
    store: &dyn Store,
    filters: &[Filter],
    keys: &[&Key],
    (moment, until): (Revision, Revision),
) -> Result<HashMap<Key, Next>, ReadError> {
    let mut next = HashMap::new();
    if keys.is_empty() || until <= moment {
        return Ok(next);
    }
    let asked: HashSet<&Key> = keys.iter().copied().collect();
    let take = &mut |entry: Entry| {
        if asked.contains(entry.key()) && !next.contains_key(entry.key()) {
            next.insert(entry.key().clone(), Next::of(&entry));
        }
    };
    store.trace_first(filters, keys, (moment, until), take).await?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::attribution::{CHANGE, SET};
    use crate::store::memory::MemoryStore;
    use crate::store::{Action, Expect, Write};
    use crate::{BucketConfig, Headers};

    // P2, P8: anybody can write the header.
    #[tokio::test(start_paused = true)]
    async fn what_claims_the_end_of_a_set_does_not_cut_that_set() {
        let store = MemoryStore::new(BucketConfig::new("b")).unwrap();
        for (key, set) in [("a.w", ""), ("a.x", "1/2 a:2@2"), ("a.y", "2/2 a:2@2"), ("a.z", "2/3 a:3@3")] {
            let headers = [(CHANGE, "c"), (SET, set)].into_iter().collect();
            let (key, action) = (Key::new(key).unwrap(), Action::Put(Bytes::from_static(b"1")));
            store.write(Write { key, action, expect: Expect::Any, ttl: None, headers }).await.unwrap();
        }
        let prefixes = [Prefix::new("a").unwrap()];
        for point in [Point::Latest, Point::Revision(Revision::new(4))] {
            let keys = keys_at(&store, &prefixes, point, Wanted::Everything).await.unwrap();
            assert_eq!((keys.revision.get(), keys.entries.len()), (1, 1), "{point:?}");
        }
    }

    // P2, P8: a mirror gets a set entry by entry.
    #[tokio::test(start_paused = true)]
    async fn what_the_state_before_a_set_lacks_is_told() {
        for (history, expected) in [(8, (2, 2, vec![])), (1, (2, 1, vec!["a.x"]))] {
            let mut config = BucketConfig::new("b");
            config.history = Some(history);
            let store = MemoryStore::new(config).unwrap();
            let part: Headers = [(CHANGE, "c"), (SET, "1/2 a:2@2")].into_iter().collect();
            for (key, headers) in [("a.y", Headers::new()), ("a.x", Headers::new()), ("a.x", part)] {
                let (key, action) = (Key::new(key).unwrap(), Action::Put(Bytes::from_static(b"1")));
                store.write(Write { key, action, expect: Expect::Any, ttl: None, headers }).await.unwrap();
            }
            let prefixes = [Prefix::new("a").unwrap()];
            let keys = keys_at(&store, &prefixes, Point::Latest, Wanted::Everything).await.unwrap();
            let lost: Vec<&str> = keys.lost.iter().map(|lost| lost.key.as_str()).collect();
            assert_eq!((keys.revision.get(), keys.entries.len(), lost), expected, "{history} kept");
        }
    }
}
