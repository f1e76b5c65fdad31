//! What differs between two moments of plain keys, some keys at a time.
//!
//! What nobody has written to since the earlier moment is the same. So the entries since then are looked through, without
//! their values, and only the keys that they are of are read at both moments. Two states beside each other would be as large
//! as the bucket, twice.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::at::{check_time, torn};
use super::error::{LostKey, PastError};
use super::touched::{Candidate, Earlier, Judged, Touched};
use crate::retention::Retention;
use crate::store::{Kept, Point, ReadError, Store};
use crate::watch::sets::MOST;
use crate::{Entry, Filter, Key, Prefix, Revision};

/// How many keys are read at once, at both moments: their values are held.
const PORTION: usize = 100;

/// A key whose value differs between two moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDiff {
    key: Key,
    before: Option<Entry>,
    after: Option<Entry>,
}

impl KeyDiff {
    /// The key, in full.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The value at the first moment; `None` where there was none.
    #[must_use]
    pub fn before(&self) -> Option<&Bytes> {
        self.before.as_ref()?.put_value()
    }

    /// The value at the second moment; `None` where there was none.
    #[must_use]
    pub fn after(&self) -> Option<&Bytes> {
        self.after.as_ref()?.put_value()
    }

    /// The entry of the first moment, the marker of a removal included.
    #[must_use]
    pub const fn before_entry(&self) -> Option<&Entry> {
        self.before.as_ref()
    }

    /// The entry of the second moment, the marker of a removal included: it says who made the newest change and when.
    #[must_use]
    pub const fn after_entry(&self) -> Option<&Entry> {
        self.after.as_ref()
    }
}

/// What differs between two moments, in the order of keys. From [`Bucket::diff`](crate::Bucket::diff).
#[must_use = "nothing is compared before it is asked for"]
pub struct KeyDiffs {
    store: Arc<dyn Store>,
    /// The earlier and the later moment.
    moments: (Revision, Revision),
    /// Whether the first moment is the later one.
    is_backwards: bool,
    candidates: VecDeque<Candidate>,
    ready: VecDeque<KeyDiff>,
}

impl KeyDiffs {
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        filters: Vec<Filter>,
        from: Point,
        to: Point,
    ) -> Result<Self, PastError> {
        let kept = store.kept(&filters).await?;
        let first = moment(&*store, &filters, from, &kept).await?;
        let second = moment(&*store, &filters, to, &kept).await?;
        let (earlier, later) = (first.min(second), first.max(second));
        all_kept(&filters, (earlier, later), &kept)?;
        let mut touched = Touched::between(earlier, later);
        if earlier < later {
            let take = &mut |entry: Entry| touched.take(&entry);
            store.trace(&filters, earlier.next(), kept.last, take).await?;
        }
        let candidates = match touched.judge(&kept) {
            Judged::Candidates(candidates) => candidates.into(),
            Judged::Lost { revision, keys } => return Err(PastError::Lost { revision, keys }),
        };
        let ready = VecDeque::new();
        Ok(Self { store, moments: (earlier, later), is_backwards: second < first, candidates, ready })
    }

    /// The revision of the first moment: the one that was asked for, or the one before the change set that it lies in.
    #[must_use]
    pub const fn from(&self) -> Revision {
        if self.is_backwards { self.moments.1 } else { self.moments.0 }
    }

    /// The revision of the second moment, likewise.
    #[must_use]
    pub const fn to(&self) -> Revision {
        if self.is_backwards { self.moments.0 } else { self.moments.1 }
    }

    /// The next key that differs; `None` behind the last one.
    ///
    /// # Errors
    /// [`PastError::Lost`] for a value that has been pushed out of the bucket since the comparison was begun, or that ran out
    /// under a later one;
    /// [`PastError::Read`] when the bucket cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<KeyDiff>, PastError> {
        while self.ready.is_empty() && !self.candidates.is_empty() {
            let portion: Vec<Candidate> = self.candidates.iter().take(PORTION).cloned().collect();
            let found = self.compare(&portion).await?;
            self.candidates.drain(..portion.len());
            self.ready.extend(found);
        }
        Ok(self.ready.pop_front())
    }

    async fn compare(&self, portion: &[Candidate]) -> Result<Vec<KeyDiff>, PastError> {
        let (earlier, later) = self.moments;
        let had_one = portion.iter().filter(|candidate| candidate.earlier == Earlier::Kept);
        let (before, after) = futures_util::future::try_join(
            self.entries_at(had_one, earlier),
            self.entries_at(portion.iter(), later),
        )
        .await?;
        let (mut before, mut after) = (before, after);
        let mut found = Vec::new();
        for Candidate { key, earlier: expected, later: newest, first } in portion {
            let (old, new) = (before.remove(key), after.remove(key));
            let is_denied = old.as_ref().is_some_and(|old| first.denies(old.revision(), earlier));
            if *expected == Earlier::Kept && old.is_none() || is_denied {
                return Err(lost(earlier, key, is_denied.then_some(first.revision)));
            }
            if new.as_ref().is_none_or(|new| new.revision() != *newest) {
                return Err(lost(later, key, None));
            }
            let value = |entry: &Option<Entry>| entry.as_ref().and_then(|entry| entry.put_value().cloned());
            if value(&old) != value(&new) {
                let (before, after) = if self.is_backwards { (new, old) } else { (old, new) };
                found.push(KeyDiff { key: key.clone(), before, after });
            }
        }
        Ok(found)
    }

    async fn entries_at<'a>(
        &self,
        keys: impl Iterator<Item = &'a Candidate>,
        moment: Revision,
    ) -> Result<HashMap<Key, Entry>, ReadError> {
        let filters: Vec<Filter> = keys.map(|candidate| Filter::from(&candidate.key)).collect();
        let reading = self.store.read(&filters, Point::Revision(moment)).await?;
        Ok(reading.entries.into_iter().map(|entry| (entry.key().clone(), entry)).collect())
    }
}

impl fmt::Debug for KeyDiffs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDiffs")
            .field("from", &self.from())
            .field("to", &self.to())
            .field("candidates", &self.candidates.len())
            .finish_non_exhaustive()
    }
}

/// The revision that is meant: never in the middle of a change set.
async fn moment(
    store: &dyn Store,
    filters: &[Filter],
    point: Point,
    kept: &Kept,
) -> Result<Revision, PastError> {
    let revision = match point {
        Point::Latest => kept.last,
        Point::Revision(revision) => revision,
        Point::Time(time) => {
            check_time(time, kept)?;
            store.revision_at(time).await?.unwrap_or(kept.last).min(kept.last)
        }
    };
    let is_gone = revision < kept.first && kept.first.get() > 1 && revision < kept.last;
    if revision > kept.last || is_gone && revision != Revision::ZERO {
        return Err(PastError::OutOfRange { asked: revision, oldest: kept.first, newest: kept.last });
    }
    if revision == Revision::ZERO {
        return Ok(revision);
    }
    let mut near: Vec<Arc<Entry>> = Vec::new();
    let first = Revision::new(revision.get().saturating_sub(MOST).saturating_add(1));
    let take = &mut |entry: Entry| near.push(Arc::new(entry));
    store.trace(filters, first, revision, take).await?;
    near.retain(|entry| !entry.key().is_reserved());
    near.sort_unstable_by_key(|entry| entry.revision());
    let prefixes: Vec<Prefix> = filters.iter().filter_map(Filter::as_prefix).collect();
    Ok(torn(store, filters, &prefixes, &near, revision).await?.map_or(revision, |start| start - 1))
}

/// Where entries leave whatever key they are of, and some have, a key without a trace may have had a value.
fn all_kept(
    filters: &[Filter],
    (earlier, later): (Revision, Revision),
    kept: &Kept,
) -> Result<(), PastError> {
    let mut past = [earlier, later].into_iter().filter(|at| *at != Revision::ZERO && *at < kept.last);
    match past.next().filter(|_| Retention::of(kept).has_evicted()) {
        None => Ok(()),
        Some(revision) => {
            let nothing = |filter: &Filter| LostKey { key: filter.to_string(), known_since: None };
            Err(PastError::Lost { revision, keys: filters.iter().map(nothing).collect() })
        }
    }
}

fn lost(revision: Revision, key: &Key, known_since: Option<Revision>) -> PastError {
    PastError::Lost { revision, keys: vec![LostKey { key: key.to_string(), known_since }] }
}
