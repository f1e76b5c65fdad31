//! Walking a log backwards: which part of the bucket is read next, and what has to be known of what is before it.
//!
//! A part is a window of revisions. What its entries replaced is in the part itself, or is asked for key by key: a reading
//! of everything before it would be as large as the bucket.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::LogError;
use super::index::Index;
use super::log::{LoggedChange, Material, Set, Shown, sets};
use crate::retention::{Beginning, Retention};
use crate::store::{Kept, Point, ReadError, Store};
use crate::watch::sets::MOST;
use crate::{Entry, Filter, Key, Prefix, Revision};

/// Up to how many entries are read at once rather than looked for in windows: a few milliseconds of a server's time.
const FEW: u64 = 1_024;

/// By how much a window grows that held too little.
const GROWTH: u64 = 4;

/// The most change sets that a part of a stream is meant to have, and of how many bytes they may be to become more: a part is
/// held as a whole.
const MOST_OF_A_PART: usize = 2_048;
const BYTES_OF_A_PART: usize = 4 * 1024 * 1024;
const FEWEST_OF_A_PART: usize = 8;

/// Which log is meant.
#[derive(Clone)]
pub(crate) struct LogSource {
    pub(crate) store: Arc<dyn Store>,
    /// What is read.
    pub(crate) filters: Vec<Filter>,
    /// Those of the filters that are prefixes: sets say how many of their keys stand below one.
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) shown: Shown,
}

impl LogSource {
    pub(crate) fn new(store: Arc<dyn Store>, filters: Vec<Filter>, shown: Shown) -> Self {
        let prefixes = filters.iter().filter_map(Filter::as_prefix).collect();
        Self { store, filters, prefixes, shown }
    }
}

/// A log on the way back.
pub(crate) struct Walk {
    source: LogSource,
    /// Only change sets that were complete before this one are still to come.
    before: Option<Revision>,
    /// Whether no set lies across `before`: where this walk itself has stopped.
    is_clean: bool,
    /// How many change sets the next part is meant to have.
    limit: usize,
    few: u64,
    bucket: Option<Known>,
    is_over: bool,
}

/// What the bucket keeps, as of when it was asked.
struct Known {
    kept: Kept,
    retention: Retention,
    /// Where the entries of each key stand, for a client that may not ask for states of the past.
    index: Option<Index>,
    /// Up to which revision `left` counts.
    counted: Revision,
    /// How many of the retained entries of a key this walk has not come to yet.
    left: HashMap<Key, u64>,
}

/// Entries of a part: sets, oldest first, and whether all that is retained before them is among them.
struct Window {
    sets: Vec<Set>,
    is_all: bool,
}

impl Walk {
    pub(crate) fn new(source: LogSource, before: Option<Revision>, limit: usize) -> Self {
        Self { source, before, is_clean: false, limit, few: FEW, bucket: None, is_over: false }
    }

    /// Whether nothing more is kept.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// The newest change sets, at most so many, and before which revision the next ones are; `None` when nothing older is
    /// kept.
    pub(crate) async fn page(
        mut self,
        limit: usize,
    ) -> Result<(Vec<LoggedChange>, Option<Revision>), LogError> {
        let changes = self.part(Some(limit)).await?;
        let oldest = changes.last().map(|change| *change.revisions().start());
        Ok((changes, oldest.filter(|_| !self.is_over)))
    }

    /// The next change sets, newest first; maybe none, though more are kept.
    pub(crate) async fn next_part(&mut self) -> Result<Vec<LoggedChange>, LogError> {
        let changes = self.part(None).await?;
        let bytes = changes.iter().flat_map(LoggedChange::keys).map(|key| key.entry().value().len()).sum();
        self.limit = next_limit(self.limit, bytes);
        Ok(changes)
    }

    async fn part(&mut self, most: Option<usize>) -> Result<Vec<LoggedChange>, LogError> {
        let is_indexed = self.bucket.as_ref().is_some_and(|bucket| bucket.index.is_some());
        let material = match self.material(most).await {
            Err(error) if is_about_permission(&error) && !is_indexed => {
                self.bucket = Some(Known::indexed(&self.source).await?);
                self.material(most).await?
            }
            material => material?,
        };
        if let Some(oldest) = material.sets.first() {
            self.before = Some(oldest.first);
            self.is_clean = true;
        }
        Ok(material.assemble(&self.source.prefixes, &self.source.shown))
    }

    async fn material(&mut self, most: Option<usize>) -> Result<Material, ReadError> {
        let mut bucket = match self.bucket.take() {
            Some(bucket) => bucket,
            None => Known::of(self.source.store.kept(&self.source.filters).await?),
        };
        let Window { mut sets, is_all } = self.window(&bucket.kept).await?;
        let is_cut = cut(&mut sets, most);
        let at = sets.first().map_or(Revision::ZERO, |set| set.first - 1);
        let earlier = bucket.earlier(&sets, is_all && !is_cut);
        let base = match &bucket.index {
            Some(index) => index.entries_at(&*self.source.store, &earlier, at).await?,
            None => {
                let filters: Vec<Filter> = earlier.into_iter().map(Filter::from).collect();
                self.source.store.read(&filters, Point::Revision(at)).await?.entries
            }
        };
        let base: Vec<Arc<Entry>> = base.into_iter().map(Arc::new).collect();
        bucket.refresh(&self.source, &sets, &base).await?;
        let (retained, retention) = (bucket.retained(&sets), bucket.retention);
        self.is_over = is_all && !is_cut;
        self.bucket = Some(bucket);
        Ok(Material { base, sets, retained, retention })
    }

    /// More sets than are wanted, out of a part of the bucket that is large enough for them; or all there are.
    async fn window(&self, kept: &Kept) -> Result<Window, ReadError> {
        let end = self.before.map_or(kept.last, |before| (before - 1).min(kept.last));
        let mut width = width(kept, self.limit, self.few);
        loop {
            let from = Revision::new(end.get().saturating_sub(width)).max(kept.first);
            let is_all = from == kept.first;
            let mut sets = self.sets(from).await?;
            if !is_all {
                // What began before the window is in it in part only.
                sets.retain(|set| set.first >= from);
                // One more than is wanted proves that the last one is not the oldest.
                if sets.len() <= self.limit {
                    width = width.saturating_mul(GROWTH).max(1);
                    continue;
                }
            }
            return Ok(Window { sets, is_all });
        }
    }

    /// The sets that begin behind `from`, and end before `before`.
    async fn sets(&self, from: Revision) -> Result<Vec<Set>, ReadError> {
        let until = match self.before {
            None => Revision::new(u64::MAX),
            Some(before) if self.is_clean => before - 1,
            // So far that a set which it lies in shows its end.
            Some(before) => Revision::new(before.get().saturating_add(MOST)),
        };
        let entries = self.source.store.history_between(&self.source.filters, from, until).await?;
        Ok(between(entries, self.before))
    }
}

impl Known {
    fn of(kept: Kept) -> Self {
        let retention = Retention::of(&kept);
        Self { left: kept.entries.clone(), counted: kept.last, retention, index: None, kept }
    }

    /// What a client finds out that may ask for no more than a consumer delivers: where the entries stand, and nothing of the
    /// rules by which the bucket lets go of them.
    async fn indexed(source: &LogSource) -> Result<Self, ReadError> {
        let mut index = Index::default();
        let take = &mut |entry: Entry| index.add(&entry);
        source.store.trace(&source.filters, Revision::new(1), Revision::new(u64::MAX), take).await?;
        let kept = index.kept();
        let retention = Retention::UNKNOWN;
        Ok(Self { left: kept.entries.clone(), counted: kept.last, retention, index: Some(index), kept })
    }

    /// The keys of a part that may have entries before it: those are to be asked for. Counts the part as seen.
    fn earlier(&mut self, sets: &[Set], is_all: bool) -> Vec<Key> {
        let mut oldest: HashMap<&Key, &Entry> = HashMap::new();
        for entry in sets.iter().flat_map(|set| &set.entries) {
            oldest.entry(entry.key()).or_insert(entry);
            // What came later is not among those that were counted.
            if entry.revision() <= self.counted
                && let Some(left) = self.left.get_mut(entry.key())
            {
                *left = left.saturating_sub(1);
            }
        }
        if is_all {
            return Vec::new();
        }
        let may_have = |key: &Key, oldest: &Entry| {
            Beginning::of(oldest) != Beginning::Stated && self.left.get(key) != Some(&0)
        };
        let found = oldest.into_iter().filter(|(key, oldest)| may_have(key, oldest));
        found.map(|(key, _)| key.clone()).collect()
    }

    /// Asks anew how much is retained where a part's answer depends on it and the bucket has moved: an entry that was
    /// pushed out meanwhile must not pass for one that never was.
    async fn refresh(
        &mut self,
        source: &LogSource,
        sets: &[Set],
        base: &[Arc<Entry>],
    ) -> Result<(), ReadError> {
        let mut known: std::collections::HashSet<&Key> = base.iter().map(|entry| entry.key()).collect();
        let mut entries = sets.iter().flat_map(|set| &set.entries);
        let depends =
            entries.any(|entry| known.insert(entry.key()) && Beginning::of(entry) == Beginning::Unsaid);
        if self.index.is_none() && depends && source.store.kept(&[]).await?.last != self.kept.last {
            self.kept = source.store.kept(&source.filters).await?;
            self.retention = Retention::of(&self.kept);
        }
        Ok(())
    }

    /// How many entries of the keys of a part are retained in all.
    fn retained(&self, sets: &[Set]) -> HashMap<Key, u64> {
        let keys = sets.iter().flat_map(|set| &set.entries).map(|entry| entry.key());
        keys.filter_map(|key| Some((key.clone(), *self.kept.entries.get(key)?))).collect()
    }
}

/// Leaves the newest ones. Whether there were more.
fn cut(sets: &mut Vec<Set>, most: Option<usize>) -> bool {
    let over = most.map_or(0, |most| sets.len().saturating_sub(most));
    sets.drain(..over);
    over > 0
}

fn between(entries: Vec<Entry>, before: Option<Revision>) -> Vec<Set> {
    let own = entries.into_iter().filter(|entry| !entry.key().is_reserved()).map(Arc::new);
    let mut sets = sets(own);
    sets.retain(|set| before.is_none_or(|before| set.last < before));
    sets
}

/// How far back a window reaches that probably holds enough sets.
fn width(kept: &Kept, limit: usize, few: u64) -> u64 {
    let entries: u64 = kept.entries.values().sum();
    let span = kept.last.get().saturating_sub(kept.first.get()).saturating_add(1);
    if entries <= few {
        return span;
    }
    // Four entries a set, if they were spread evenly.
    let wanted = (limit as u64).saturating_mul(4).saturating_add(MOST / 10);
    span.saturating_mul(wanted) / entries
}

/// How many sets the next part is to have, after one of so many with so many bytes of values.
fn next_limit(limit: usize, bytes: usize) -> usize {
    if bytes > BYTES_OF_A_PART {
        (limit / 2).max(FEWEST_OF_A_PART.min(limit))
    } else {
        limit.saturating_mul(2).clamp(FEWEST_OF_A_PART, MOST_OF_A_PART.max(limit))
    }
}

/// Whether another way may be open to the client: a server that does not permit may also say nothing.
const fn is_about_permission(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::NotPermitted { .. } | ReadError::Timeout { .. } | ReadError::Unsupported { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bucket;

    fn walk(bucket: &Bucket, before: Option<Revision>, limit: usize, few: u64) -> Walk {
        let filters = vec![Filter::new("m.>").unwrap()];
        let source = LogSource::new(Arc::clone(&bucket.store), filters, Shown::Values);
        Walk { few, ..Walk::new(source, before, limit) }
    }

    async fn whole(mut walk: Walk) -> Vec<String> {
        let mut told = Vec::new();
        while !walk.is_over() {
            told.extend(walk.next_part().await.unwrap().iter().map(ToString::to_string));
        }
        told
    }

    /// Writes of one key and of several, with removals, between those of others.
    async fn written() -> Bucket {
        let bucket =
            Bucket::memory_with(crate::BucketConfig { history: Some(5), ..crate::BucketConfig::new("b") });
        let bucket = bucket.unwrap();
        // So many that a window for a few sets is not all there is.
        for round in 0..400_usize {
            let (one, other) = (format!("m.k{}", round % 97), format!("m.k{}", round % 31 + 97));
            match round % 4 {
                0 => bucket.put(&*one, format!("v{round}")).await.unwrap(),
                1 => bucket.delete(&*one).await.unwrap(),
                2 => bucket
                    .batch()
                    .put(&*one, "x")
                    .put("elsewhere", "y")
                    .put(&*other, "z")
                    .commit()
                    .await
                    .unwrap(),
                _ => bucket.put("elsewhere", "z").await.unwrap(),
            };
        }
        bucket
    }

    #[tokio::test]
    async fn a_walk_in_small_windows_tells_what_one_look_at_everything_tells() {
        let bucket = written().await;
        let all = whole(walk(&bucket, None, 50, FEW)).await;
        assert_eq!(all.len(), 300);
        for limit in [1, 2, 3, 8] {
            let first = walk(&bucket, None, limit, 0).next_part().await.unwrap().len();
            assert!(first < 300, "a part is no window: {first}");
            assert_eq!(whole(walk(&bucket, None, limit, 0)).await, all, "{limit} at first");
        }
    }

    #[tokio::test]
    async fn pages_in_small_windows_end_with_the_oldest_change_set() {
        let bucket = written().await;
        let all = whole(walk(&bucket, None, 50, FEW)).await;
        for limit in [1, 3, 30] {
            let (mut told, mut before, mut pages) = (Vec::new(), None, 0);
            loop {
                let (changes, older) = walk(&bucket, before, limit, 0).page(limit).await.unwrap();
                pages += 1;
                told.extend(changes.iter().map(ToString::to_string));
                before = older;
                if older.is_none() {
                    break;
                }
            }
            assert_eq!((told, pages), (all.clone(), all.len().div_ceil(limit)), "{limit} on a page");
        }
    }

    /// As a user walks who may ask for nothing but what a consumer delivers.
    async fn restricted(bucket: &Bucket, limit: usize, few: u64) -> Walk {
        let mut walk = walk(bucket, None, limit, few);
        walk.bucket = Some(Known::indexed(&walk.source).await.unwrap());
        walk
    }

    #[tokio::test]
    async fn a_restricted_user_walks_in_small_windows_too() {
        let bucket = written().await;
        let all = whole(restricted(&bucket, 50, FEW).await).await;
        assert_eq!(all.len(), 300);
        for limit in [1, 2, 3, 8] {
            let first = restricted(&bucket, limit, 0).await.next_part().await.unwrap().len();
            assert!(first < 300, "all at once: {first}");
            assert_eq!(whole(restricted(&bucket, limit, 0).await).await, all, "{limit} at first");
        }
    }

    #[test]
    fn parts_grow_while_they_are_small_and_shrink_when_values_are_large() {
        assert_eq!(next_limit(50, 1_000), 100);
        assert_eq!(next_limit(2_000, 1_000), MOST_OF_A_PART);
        assert_eq!(next_limit(50, BYTES_OF_A_PART + 1), 25);
        assert_eq!(next_limit(9, BYTES_OF_A_PART + 1), FEWEST_OF_A_PART);
        assert_eq!(next_limit(1, BYTES_OF_A_PART + 1), 1);
    }
}
