//! Reading what a rollback or a revert needs, while others write.
//!
//! Three reads, in this order: the state as of the revision, the state now, and the retained entries of keys that only the
//! latter has. Each is exact by itself. The order makes them fit: what was there at the revision was read before anybody
//! could push it out, and the retained entries of a key are all that are left of it when the newest of them is the one that
//! the state now has. Where it is not, somebody wrote in between, and both are read again. Whatever is written after that
//! makes the commit conflict.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::error::RollbackError;
use super::set::{ChangeRef, Missing, members, missing, missing_in_all};
use super::target::Found;
use crate::change::Conflict;
use crate::history::retained::Retention;
use crate::history::whole::{Position, parts_asked_for, position, position_by};
use crate::store::{Point, Reading, Store};
use crate::{Entry, Filter, Key, ReadError, Revision};

/// How often the present state is read again when somebody wrote in between.
const ATTEMPTS: u32 = 8;

/// Up to how many keys are asked for by name when their retained entries are read.
const BY_NAME: usize = 64;

/// What to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Revision(Revision),
    Time(SystemTime),
}

/// What the bucket is like now.
#[derive(Debug, Clone)]
pub(super) struct Present {
    pub(super) revision: Revision,
    /// The filters, with the newest revision under each.
    pub(super) tails: Vec<(Filter, Revision)>,
    pub(super) retention: Retention,
    /// How many keys the server takes in one change set; 1 where it takes no batches.
    pub(super) max_batch: usize,
}

/// A part of the bucket as it was and as it is.
pub(super) struct AsOf {
    pub(super) found: Found,
    pub(super) revision: Revision,
    pub(super) present: Present,
}

pub(super) async fn as_of(
    store: &dyn Store,
    filters: &[Filter],
    moment: Moment,
    asked: &(dyn Fn(&Key) -> bool + Send + Sync),
) -> Result<AsOf, RollbackError> {
    let status = store.status().await?;
    if let Moment::Revision(revision) = moment
        && revision > status.last_revision
    {
        return Err(ReadError::OutOfRange { revision }.into());
    }
    let (then, revision) = at(store, filters, moment).await?;
    let mut found = Found { then: by_key(then), ..Found::default() };
    let mut attempts = 0;
    let reading = loop {
        let reading = now(store, filters).await?;
        found.now = by_key(reading.entries.iter().cloned());
        let unknown = |key: &&Key| !found.then.contains_key(*key) && asked(key);
        let only_now: Vec<Key> = found.now.keys().filter(unknown).cloned().collect();
        found.retained = retained(store, filters, &only_now).await?;
        let Some(conflict) = moved(&only_now, &found.retained, &found.now) else { break reading };
        attempts += 1;
        if attempts == ATTEMPTS {
            return Err(RollbackError::Conflict(conflict));
        }
    };
    let present = Present {
        revision: reading.revision,
        tails: tails(filters, &reading.entries),
        retention: Retention::of(&status),
        max_batch: status.max_batch,
    };
    Ok(AsOf { found, revision, present })
}

/// What belongs to a change set, and what its keys hold now.
pub(super) struct OfChange {
    pub(super) members: Vec<Entry>,
    pub(super) retained: BTreeMap<Key, Vec<Entry>>,
    pub(super) now: BTreeMap<Key, Entry>,
    pub(super) present: Present,
}

pub(super) async fn of_change(
    store: &dyn Store,
    filters: &[Filter],
    which: &ChangeRef,
) -> Result<OfChange, RollbackError> {
    let status = store.status().await?;
    let mut attempts = 0;
    loop {
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
        let reading = now(store, filters).await?;
        let members: Vec<Entry> = found.into_iter().cloned().collect();
        let keys: Vec<Key> = members.iter().map(|member| member.key().clone()).collect();
        let (retained, now) = (group(history), by_key(reading.entries.iter().cloned()));
        if let Some(conflict) = moved(&keys, &retained, &now) {
            attempts += 1;
            if attempts < ATTEMPTS {
                continue;
            }
            return Err(RollbackError::Conflict(conflict));
        }
        let present = Present {
            revision: reading.revision,
            tails: tails(filters, &reading.entries),
            retention: Retention::of(&status),
            max_batch: status.max_batch,
        };
        return Ok(OfChange { members, retained, now, present });
    }
}

/// The last state between two change sets, up to a moment: nobody ever saw the bucket with half of one.
async fn at(
    store: &dyn Store,
    filters: &[Filter],
    moment: Moment,
) -> Result<(Vec<Entry>, Revision), RollbackError> {
    let point = match moment {
        Moment::Revision(revision) => Point::Revision(revision),
        Moment::Time(time) => Point::Time(time),
    };
    let (entries, revision) = read_at(store, filters, point).await?;
    match where_is(store, filters, &entries, revision).await? {
        Position::Inside { before } => read_at(store, filters, Point::Revision(before)).await,
        Position::Between | Position::Unsure => Ok((entries, revision)),
    }
}

/// A point before everything that is retained has no entries: the rule of `retained` says what that means for each key.
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

async fn where_is(
    store: &dyn Store,
    filters: &[Filter],
    entries: &[Entry],
    revision: Revision,
) -> Result<Position, RollbackError> {
    let Some(parts) = parts_asked_for(filters) else { return Ok(Position::Between) };
    let newest = entries.iter().max_by_key(|entry| entry.revision());
    match (position(newest, revision, &parts), newest) {
        (Position::Unsure, Some(newest)) => Ok(position_by(newest, revision, &store.history(filters).await?)),
        (position, _) => Ok(position),
    }
}

pub(super) async fn now(store: &dyn Store, filters: &[Filter]) -> Result<Reading, RollbackError> {
    isolated(store.read(filters, Point::Latest).await?)
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

/// The newest revision under each filter.
pub(super) fn tails(filters: &[Filter], entries: &[Entry]) -> Vec<(Filter, Revision)> {
    let newest = |filter: &Filter| {
        let under = entries.iter().filter(|entry| filter.matches(entry.key()));
        under.map(Entry::revision).max().unwrap_or_default()
    };
    filters.iter().map(|filter| (filter.clone(), newest(filter))).collect()
}

/// Every retained entry of these keys.
async fn retained(
    store: &dyn Store,
    filters: &[Filter],
    keys: &[Key],
) -> Result<BTreeMap<Key, Vec<Entry>>, RollbackError> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let by_name: Vec<Filter> = keys.iter().map(Filter::from).collect();
    let history = store.history(if keys.len() <= BY_NAME { &by_name } else { filters }).await?;
    Ok(group(history))
}

/// A key whose newest retained entry is not the one that was read: it was written in between.
fn moved(
    keys: &[Key],
    retained: &BTreeMap<Key, Vec<Entry>>,
    now: &BTreeMap<Key, Entry>,
) -> Option<Box<Conflict>> {
    keys.iter().find_map(|key| {
        let newest = retained.get(key).and_then(|entries| entries.last());
        let expected = now.get(key).map_or(Revision::ZERO, Entry::revision);
        let found = newest.map_or(Revision::ZERO, Entry::revision);
        (found != expected).then(|| Box::new(Conflict::new(key, expected, newest)))
    })
}

fn by_key(entries: impl IntoIterator<Item = Entry>) -> BTreeMap<Key, Entry> {
    entries.into_iter().map(|entry| (entry.key().clone(), entry)).collect()
}

fn group(entries: Vec<Entry>) -> BTreeMap<Key, Vec<Entry>> {
    let mut grouped: BTreeMap<Key, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        grouped.entry(entry.key().clone()).or_default().push(entry);
    }
    grouped
}
