//! Reading what a rollback or a revert needs, while others write.
//!
//! Each read is exact by itself, and their order makes them fit. What was there at the moment is read first, before anybody
//! can push it out; then what is there now. Of keys that only the latter has, the bucket is asked how many entries it keeps,
//! and for the oldest: fewer than it would keep means that none has gone, so none had when the first read was made. Of the
//! others their first entry since then tells whether it replaced the one that was read, or one that has gone.
//! Whatever is written after the second read makes the commit conflict.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use super::error::RollbackError;
use super::set::{
    ChangeRef, Missing, goes_on, may_belong, members, missing, missing_in_all, open_set, parts_asked_for,
};
use super::target::{Found, Later, Stood};
use crate::history::{entries_at, next_entries};
use crate::retention::Retention;
use crate::store::{Point, Reading, Store};
use crate::watch::sets::{Extent, MOST, Membership, membership};
use crate::{Entry, Filter, Key, Prefix, ReadError, Revision};

/// Up to how many keys are asked for by name. A request for more is larger than what it saves.
const MOST_BY_NAME: usize = 100;

/// What the bucket is like now.
#[derive(Debug)]
pub(super) struct Present {
    /// The newest entry of each key.
    pub(super) entries: BTreeMap<Key, Arc<Entry>>,
    pub(super) standing: Standing,
}

/// Where the newest entries stand. A plan waits for somebody's word, and holds no more of the present than this.
#[derive(Debug)]
pub(super) struct Standing {
    /// The newest revision of each key.
    pub(super) revisions: BTreeMap<Key, Revision>,
    /// The filters, with the newest revision under each.
    pub(super) tails: Vec<(Filter, Revision)>,
    /// How many keys the server takes in one change set; 1 where it takes no batches.
    pub(super) max_batch: usize,
}

impl Standing {
    /// The newest revision under any of the filters.
    pub(super) fn newest(&self) -> Revision {
        self.tails.iter().map(|(_, tail)| *tail).max().unwrap_or_default()
    }
}

/// A test of keys.
pub(super) type Keys<'a> = &'a (dyn Fn(&Key) -> bool + Send + Sync);

/// Reads a part of the bucket as it was at a point and as it is. `asked` are the keys that matter; of change sets, `seen` are
/// those that must not be torn apart: where `sees_all` says so, all that the filters ask for.
pub(super) async fn as_of(
    store: &dyn Store,
    filters: &[Filter],
    point: Point,
    (asked, seen, sees_all): (Keys<'_>, Keys<'_>, bool),
) -> Result<(Found, Present), RollbackError> {
    let max_batch = within_life(store, point).await?;
    let (then, revision) = whole(store, filters, point, (seen, sees_all)).await?;
    let oldest = then.iter().map(Entry::revision).min();
    let then: BTreeMap<_, _> = then.iter().map(|entry| (entry.key().clone(), Stood::of(entry))).collect();
    let present = present(store, filters, max_batch).await?;
    let kept = store.kept(filters).await?;
    let is_whole = oldest.is_some_and(|oldest| kept.span().is_whole_from(oldest));
    // Of keys that were there, only what went out of the bucket can be untold, and only where something came since.
    let is_told = |entry: &Entry| {
        then.get(entry.key()).is_some_and(|stood| is_whole || stood.revision() == entry.revision())
    };
    let untold = present.entries.values().filter(|entry| asked(entry.key()) && !is_told(entry));
    let untold: Vec<&Key> = match revision {
        // Before the first write there was nothing, whatever is left.
        Revision::ZERO => Vec::new(),
        _ => untold.map(|entry| entry.key()).collect(),
    };
    let next = next_entries(store, filters, &untold, (revision, kept.last)).await?;
    let later = next.into_iter().map(|(key, next)| {
        let retained = kept.entries.get(&key).copied().unwrap_or(1);
        (key, Later { next, retained })
    });
    let later = later.collect();
    let retention = Retention::of(&kept);
    let gone_untold = retention.has_evicted() && revision != Revision::ZERO && revision < kept.last;
    Ok((Found { then, later, revision, retention, gone_untold }, present))
}

/// What belongs to a change set, and what the bucket still has of its keys.
pub(super) struct OfChange {
    /// Without their values.
    pub(super) members: Vec<Entry>,
    /// Every retained entry, oldest first; only those have a value that stood there right before the set.
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
    let members = of_set(store, filters, which).await?;
    let history = of_keys(store, filters, &members).await?;
    let present = present(store, filters, max_batch).await?;
    let kept = store.kept(filters).await?;
    let retention = Retention::of(&kept);
    Ok((OfChange { members, history, kept: kept.entries, retention }, present))
}

/// The entries of the set, without their values. All that is retained is looked through, and nothing else held.
async fn of_set(
    store: &dyn Store,
    filters: &[Filter],
    which: &ChangeRef,
) -> Result<Vec<Entry>, RollbackError> {
    let mut heads = Vec::new();
    let (first, last) = match which {
        ChangeRef::Revision(revision) => around(*revision, *revision),
        ChangeRef::Id(_) => (Revision::new(1), Revision::new(u64::MAX)),
    };
    let take = &mut |entry: Entry| {
        if may_belong(&entry, which) {
            heads.push(entry);
        }
    };
    store.trace(filters, first, last, take).await?;
    heads.sort_unstable_by_key(Entry::revision);
    let found = members(&heads, which);
    let (Some(oldest), Some(newest)) = (found.first(), found.last()) else {
        return Err(RollbackError::UnknownChange { change: which.to_string() });
    };
    let gone = match parts_asked_for(filters).map(|parts| missing(&found, &parts)) {
        None => 0,
        Some(Missing::Known(gone)) => gone,
        Some(Missing::Unsure) => {
            let (first, last) = around(oldest.revision(), newest.revision());
            missing_in_all(&found, &heads_of(store, &[Filter::all()], (first, last)).await?)
        }
    };
    if gone > 0 {
        return Err(RollbackError::Incomplete { change: which.to_string(), missing: gone });
    }
    Ok(found.into_iter().cloned().collect())
}

/// All that a set can reach that has something between two revisions.
fn around(first: Revision, last: Revision) -> (Revision, Revision) {
    let first = first.get().saturating_sub(MOST).max(1);
    (Revision::new(first), Revision::new(last.get().saturating_add(MOST)))
}

async fn heads_of(
    store: &dyn Store,
    filters: &[Filter],
    (first, last): (Revision, Revision),
) -> Result<Vec<Entry>, ReadError> {
    let mut heads = Vec::new();
    store.trace(filters, first, last, &mut |entry: Entry| heads.push(entry)).await?;
    heads.sort_unstable_by_key(Entry::revision);
    Ok(heads)
}

/// What is retained of the keys of a set.
async fn of_keys(
    store: &dyn Store,
    filters: &[Filter],
    members: &[Entry],
) -> Result<BTreeMap<Key, Vec<Entry>>, ReadError> {
    let mut history: BTreeMap<Key, Vec<Entry>> = BTreeMap::new();
    let mut first: BTreeMap<Key, Revision> = BTreeMap::new();
    for member in members {
        first.entry(member.key().clone()).or_insert(member.revision());
    }
    let named: Vec<Filter> = first.keys().map(Filter::from).collect();
    // One set's keys are asked for by name, some at a time: all that is retained can be very much more.
    let asked = if named.len() <= MOST as usize { &named } else { filters };
    for portion in asked.chunks(MOST_BY_NAME) {
        let take = &mut |entry: Entry| {
            if first.contains_key(entry.key()) {
                history.entry(entry.key().clone()).or_default().push(entry);
            }
        };
        store.trace(portion, Revision::new(1), Revision::new(u64::MAX), take).await?;
    }
    let right_before = |(key, first): (&Key, &Revision)| {
        let before = history.get(key)?.iter().map(Entry::revision).filter(|revision| revision < first);
        Some((before.max()?, key.clone()))
    };
    let places: Vec<(Revision, Key)> = first.iter().filter_map(right_before).collect();
    let found = entries_at(store, places.iter().map(|(revision, key)| (*revision, key)).collect()).await?;
    let mut values: HashMap<Key, Entry> =
        found.into_iter().map(|entry| (entry.key().clone(), entry)).collect();
    for (revision, key) in places {
        let Some(entries) = history.get_mut(&key) else { continue };
        match values.remove(&key) {
            Some(whole) => entries
                .iter_mut()
                .filter(|entry| entry.revision() == revision)
                .for_each(|head| *head = whole.clone()),
            // Pushed out meanwhile, and with it what was before.
            None => entries.retain(|entry| entry.revision() > revision),
        }
    }
    Ok(history)
}

/// Refuses a moment that is still to come, and a time before the bucket was made: to take that for "there was nothing" would
/// remove everything, for a slip in a date. Gives how many keys a batch can have.
async fn within_life(store: &dyn Store, point: Point) -> Result<usize, RollbackError> {
    let status = store.status().await?;
    // Of two clocks, the one that is ahead decides: neither is to make "now" a time to come.
    let now = SystemTime::now().max(status.time.unwrap_or(SystemTime::UNIX_EPOCH));
    match point {
        Point::Revision(asked) if asked > status.last_revision => {
            let (oldest, newest) = (status.first_revision, status.last_revision);
            Err(RollbackError::OutOfRange { asked, oldest, newest })
        }
        Point::Time(asked) if !(status.created..=now).contains(&asked) => {
            Err(RollbackError::OutOfTime { asked, created: status.created, now })
        }
        _ => Ok(status.max_batch),
    }
}

/// The last state up to a point at which no change set was half there: nobody ever saw half of one.
async fn whole(
    store: &dyn Store,
    filters: &[Filter],
    point: Point,
    (seen, sees_all): (Keys<'_>, bool),
) -> Result<(Vec<Entry>, Revision), RollbackError> {
    let (entries, revision) = read_at(store, filters, point).await?;
    let Some(open) = open_set(entries.iter().filter(|entry| seen(entry.key())), revision) else {
        return Ok((entries, revision));
    };
    if !(sees_all && says_more(&entries, filters, revision)) {
        let until = open.end.unwrap_or_else(|| Revision::new(open.start.get().saturating_add(MOST)));
        let later = store.history_between(filters, revision.next(), until).await?;
        if !later.iter().any(|entry| seen(entry.key()) && goes_on(&open, entry)) {
            return Ok((entries, revision));
        }
    }
    read_at(store, filters, Point::Revision(open.start - 1)).await
}

/// Whether the newest entry says itself that its set goes on under these filters: also when the rest was purged since.
fn says_more(entries: &[Entry], filters: &[Filter], revision: Revision) -> bool {
    let newest = entries.iter().max_by_key(|entry| entry.revision());
    // Of single keys and patterns an entry does not tell.
    let parts: Option<Vec<Prefix>> = filters.iter().map(Filter::as_prefix).collect();
    let (Some(newest), Some(parts)) = (newest, parts) else { return false };
    match membership(newest, &parts) {
        Membership::Part { extent: Extent::Known { end, .. }, .. } => end > revision,
        _ => false,
    }
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
    let revisions = reading.entries.iter().map(|entry| (entry.key().clone(), entry.revision())).collect();
    let entries = reading.entries.into_iter().map(|entry| (entry.key().clone(), Arc::new(entry)));
    Ok(Present { entries: entries.collect(), standing: Standing { revisions, tails, max_batch } })
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
