//! Reading what a rollback or a revert needs, while others write.
//!
//! Each read is exact by itself, and their order makes them fit. What was there at the moment is read first, before anybody
//! can push it out; then what is there now. Of keys that only the latter has, the bucket is asked how many entries it keeps,
//! and for the oldest: fewer than it would keep means that none has gone, so none had when the first read was made.
//! Whatever is written after the second read makes the commit conflict.

use std::collections::{BTreeMap, HashMap};

use super::error::RollbackError;
use super::set::{ChangeRef, Missing, goes_on, members, missing, missing_in_all, open_set, parts_asked_for};
use super::target::{Earlier, Found};
use crate::history::Retention;
use crate::store::{Kept, Point, Reading, Store};
use crate::watch::sets::MOST;
use crate::{Entry, Filter, Key, ReadError, Revision};

/// Up to how many keys are asked for by name. A request for more is larger than what it saves.
const MOST_BY_NAME: usize = 100;

/// What the bucket is like now.
#[derive(Debug, Clone)]
pub(super) struct Present {
    /// The newest entry of each key.
    pub(super) entries: BTreeMap<Key, Entry>,
    /// The filters, with the newest revision under each.
    pub(super) tails: Vec<(Filter, Revision)>,
    /// How many keys the server takes in one change set; 1 where it takes no batches.
    pub(super) max_batch: usize,
}

impl Present {
    /// The newest revision under any of the filters.
    pub(super) fn newest(&self) -> Revision {
        self.tails.iter().map(|(_, tail)| *tail).max().unwrap_or_default()
    }
}

/// A test of keys.
pub(super) type Keys<'a> = &'a (dyn Fn(&Key) -> bool + Send + Sync);

/// Reads a part of the bucket as it was at a point and as it is. `asked` are the keys that matter; of change sets, `seen` are
/// those that must not be torn apart.
pub(super) async fn as_of(
    store: &dyn Store,
    filters: &[Filter],
    point: Point,
    (asked, seen): (Keys<'_>, Keys<'_>),
) -> Result<(Found, Present), RollbackError> {
    let max_batch = known_revision(store, point).await?;
    let (then, revision) = whole(store, filters, point, seen).await?;
    let then = by_key(then);
    let present = present(store, filters, max_batch).await?;
    let unknown = |key: &&Key| asked(key) && !then.contains_key(*key);
    let only_now: Vec<Key> = present.entries.keys().filter(unknown).cloned().collect();
    let kept = store.kept(filters).await?;
    let oldest = oldest(store, filters, &only_now, revision).await?;
    let earlier = earlier(oldest, &kept);
    let retention = Retention::of(&kept);
    let gone_untold = retention.has_evicted() && revision != Revision::ZERO && revision < kept.last;
    Ok((Found { then, earlier, revision, retention, gone_untold }, present))
}

/// What belongs to a change set, and what the bucket still has of its keys.
pub(super) struct OfChange {
    pub(super) members: Vec<Entry>,
    /// Every retained entry, oldest first.
    pub(super) history: BTreeMap<Key, Vec<Entry>>,
    pub(super) kept: HashMap<Key, u64>,
    pub(super) retention: Retention,
}

pub(super) async fn of_change(
    store: &dyn Store,
    filters: &[Filter],
    which: &ChangeRef,
) -> Result<(OfChange, Present), RollbackError> {
    let max_batch = store.status().await?.max_batch;
    let history = store.history(filters).await?;
    let found = members(&history, which);
    if found.is_empty() {
        return Err(RollbackError::UnknownChange { change: which.to_string() });
    }
    let gone = match parts_asked_for(filters).map(|parts| missing(&found, &parts)) {
        None => 0,
        Some(Missing::Known(gone)) => gone,
        Some(Missing::Unsure) => missing_in_all(&found, &store.history(&[Filter::all()]).await?),
    };
    if gone > 0 {
        return Err(RollbackError::Incomplete { change: which.to_string(), missing: gone });
    }
    let members: Vec<Entry> = found.into_iter().cloned().collect();
    let present = present(store, filters, max_batch).await?;
    let kept = store.kept(filters).await?;
    let retention = Retention::of(&kept);
    Ok((OfChange { members, history: group(history), kept: kept.entries, retention }, present))
}

/// Refuses a revision that is still to come; gives how many keys a batch can have.
async fn known_revision(store: &dyn Store, point: Point) -> Result<usize, RollbackError> {
    let status = store.status().await?;
    match point {
        Point::Revision(revision) if revision > status.last_revision => {
            Err(ReadError::OutOfRange { revision }.into())
        }
        _ => Ok(status.max_batch),
    }
}

/// The last state up to a point at which no change set was half there: nobody ever saw half of one.
async fn whole(
    store: &dyn Store,
    filters: &[Filter],
    point: Point,
    seen: Keys<'_>,
) -> Result<(Vec<Entry>, Revision), RollbackError> {
    let (entries, revision) = read_at(store, filters, point).await?;
    let Some(open) = open_set(entries.iter().filter(|entry| seen(entry.key())), revision) else {
        return Ok((entries, revision));
    };
    let until = open.end.unwrap_or_else(|| Revision::new(open.start.get().saturating_add(MOST)));
    let later = store.history_between(filters, revision.next(), until).await?;
    if !later.iter().any(|entry| seen(entry.key()) && goes_on(&open, entry)) {
        return Ok((entries, revision));
    }
    read_at(store, filters, Point::Revision(open.start - 1)).await
}

/// A point before everything that is retained has no entries: what that means for each key is another question.
async fn read_at(
    store: &dyn Store,
    filters: &[Filter],
    point: Point,
) -> Result<(Vec<Entry>, Revision), RollbackError> {
    match store.read(filters, point).await {
        Ok(reading) => {
            let reading = isolated(reading)?;
            Ok((reading.entries, reading.revision))
        }
        Err(ReadError::OutOfRange { revision }) => Ok((Vec::new(), revision)),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn present(
    store: &dyn Store,
    filters: &[Filter],
    max_batch: usize,
) -> Result<Present, RollbackError> {
    let reading = isolated(store.read(filters, Point::Latest).await?)?;
    let newest = |filter: &Filter| {
        let under = reading.entries.iter().filter(|entry| filter.matches(entry.key()));
        under.map(Entry::revision).max().unwrap_or_default()
    };
    let tails = filters.iter().map(|filter| (filter.clone(), newest(filter))).collect();
    Ok(Present { tails, max_batch, entries: by_key(reading.entries) })
}

fn isolated(reading: Reading) -> Result<Reading, RollbackError> {
    if reading.is_isolated() {
        return Ok(reading);
    }
    Err(RollbackError::Read(ReadError::Unsupported {
        what: "taking changes back",
        reason: "the client may not read several keys as of one moment".to_owned(),
    }))
}

/// The oldest retained entry of each key, all of which are newer than the moment.
async fn oldest(
    store: &dyn Store,
    filters: &[Filter],
    keys: &[Key],
    moment: Revision,
) -> Result<HashMap<Key, Entry>, RollbackError> {
    let mut oldest = HashMap::new();
    // Before the first write there was nothing, whatever is left.
    if keys.is_empty() || moment == Revision::ZERO {
        return Ok(oldest);
    }
    let named: Vec<Filter> = keys.iter().map(Filter::from).collect();
    let filters = if keys.len() <= MOST_BY_NAME { &named } else { filters };
    for entry in store.history_between(filters, moment.next(), Revision::new(u64::MAX)).await? {
        oldest.entry(entry.key().clone()).or_insert(entry);
    }
    Ok(oldest)
}

fn earlier(oldest: HashMap<Key, Entry>, kept: &Kept) -> HashMap<Key, Earlier> {
    let count = |key: &Key| kept.entries.get(key).copied().unwrap_or(1);
    oldest.into_iter().map(|(key, oldest)| (key.clone(), Earlier { retained: count(&key), oldest })).collect()
}

fn by_key(entries: Vec<Entry>) -> BTreeMap<Key, Entry> {
    entries.into_iter().map(|entry| (entry.key().clone(), entry)).collect()
}

fn group(entries: Vec<Entry>) -> BTreeMap<Key, Vec<Entry>> {
    let mut grouped: BTreeMap<Key, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        grouped.entry(entry.key().clone()).or_default().push(entry);
    }
    grouped
}
