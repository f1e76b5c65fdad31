//! Reading the state of some prefixes as it was.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::error::{LostKey, PastError};
use super::moment::{Cut, Wanted, cut, denied, goes_on, has_gaps, lost, suspects};
use super::retention::Next;
use crate::store::{Kept, Point, ReadError, Reading, Store};
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
/// One isolated read of the server's. What it cannot tell, absence from loss, is asked for only where a wanted key is
/// absent.
pub(crate) async fn keys_at(
    store: &dyn Store,
    prefixes: &[Prefix],
    point: Point,
    wanted: Wanted<'_>,
) -> Result<KeysAt, PastError> {
    let filters: Vec<Filter> = prefixes.iter().map(Filter::from).collect();
    let (reading, asked) = match point {
        Point::Time(time) => {
            let kept = store.kept(&filters).await?;
            (within_life(store, &filters, time, &kept).await?, None)
        }
        Point::Revision(revision) => (read(store, &filters, point).await?, Some(revision)),
        Point::Latest => (read(store, &filters, point).await?, None),
    };
    let (mut revision, isolated) = (reading.revision, reading.isolated);
    let mut entries = own(reading);
    if isolated && let Some(start) = torn(store, &filters, prefixes, &entries, revision).await? {
        revision = start - 1;
        entries = own(read(store, &filters, Point::Revision(revision)).await?);
    }
    let mut keys = KeysAt { entries, revision, isolated, lost: Vec::new() };
    if point == Point::Latest || revision == Revision::ZERO {
        return Ok(keys);
    }
    if !has_gaps(&keys.entries, wanted) {
        // To look through all that came since takes many times as long as the state itself.
        if !store.may_have_holes().await {
            return Ok(keys);
        }
        let next = next_entries(store, &filters, revision, &|key| wanted.contains(key)).await?;
        keys.lost = denied(&keys.entries, &next, revision, wanted);
        return Ok(keys);
    }
    let kept = store.kept(&filters).await?;
    if revision >= kept.last {
        // Nothing was written since: it is the present, and what is absent is absent.
        return Ok(keys);
    }
    if revision < kept.first && kept.first.get() > 1 {
        let asked = asked.unwrap_or(revision);
        return Err(PastError::OutOfRange { asked, oldest: kept.first, newest: kept.last });
    }
    let suspects = suspects(&keys.entries, &kept, prefixes, wanted);
    let next = next_entries(store, &filters, revision, &|key| wanted.contains(key)).await?;
    keys.lost = lost(&suspects, &next, &keys.entries, &kept, (prefixes, wanted));
    keys.lost.extend(denied(&keys.entries, &next, revision, wanted));
    keys.lost.sort_by(|left, right| left.key.cmp(&right.key));
    Ok(keys)
}

/// What a reading holds besides the framework's own keys.
fn own(reading: Reading) -> Vec<Arc<Entry>> {
    reading.entries.into_iter().filter(|entry| !entry.key().is_reserved()).map(Arc::new).collect()
}

async fn read(store: &dyn Store, filters: &[Filter], point: Point) -> Result<Reading, PastError> {
    match store.read(filters, point).await {
        Ok(reading) => Ok(reading),
        Err(ReadError::OutOfRange { revision }) => {
            let kept = store.kept(filters).await?;
            Err(PastError::OutOfRange { asked: revision, oldest: kept.first, newest: kept.last })
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads as of a time in the bucket's life.
async fn within_life(
    store: &dyn Store,
    filters: &[Filter],
    asked: SystemTime,
    kept: &Kept,
) -> Result<Reading, PastError> {
    check_time(asked, kept)?;
    read(store, filters, Point::Time(asked)).await
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

/// The first retained entry behind a moment of each key that is asked for.
///
/// Of all of them, not only of those of which nothing from before is retained: what a key held then can have gone out of the
/// middle of what is.
pub(crate) async fn next_entries(
    store: &dyn Store,
    filters: &[Filter],
    moment: Revision,
    asked: &(dyn Fn(&Key) -> bool + Sync),
) -> Result<HashMap<Key, Next>, ReadError> {
    let mut next = HashMap::new();
    let take = &mut |entry: Entry| {
        if !next.contains_key(entry.key()) && asked(entry.key()) {
            next.insert(entry.key().clone(), Next::of(&entry));
        }
    };
    store.trace(filters, moment.next(), Revision::new(u64::MAX), take).await?;
    Ok(next)
}
