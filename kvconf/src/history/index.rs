//! Where the entries of some keys stand, for a client that may ask for no more than what a consumer delivers: neither how many
//! entries are kept, nor for a state of the past.
//!
//! It takes one look at all entries without their values, and holds their revisions and the names of keys. To hold the
//! entries themselves would be as large as the bucket.

use std::collections::HashMap;
use std::time::SystemTime;

use foldhash::fast::RandomState;

use crate::store::{Kept, ReadError, Store};
use crate::{Entry, Filter, Key, Revision};

/// How many keys are asked for at once.
const AT_ONCE: usize = 64;

/// The revisions of each key, oldest first.
#[derive(Debug, Default)]
pub(super) struct Index {
    keys: HashMap<Key, Vec<Revision>, RandomState>,
}

impl Index {
    /// Takes in an entry. Those of one key come in their order.
    pub(super) fn add(&mut self, entry: &Entry) {
        match self.keys.get_mut(entry.key()) {
            Some(revisions) => revisions.push(entry.revision()),
            None => _ = self.keys.insert(entry.key().clone(), vec![entry.revision()]),
        }
    }

    /// What it tells of what the bucket keeps: of these keys, and as if nothing were known of its rules.
    pub(super) fn kept(&self) -> Kept {
        let ends = |pick: fn(&[Revision]) -> Option<&Revision>| {
            self.keys.values().filter_map(move |revisions| pick(revisions).copied())
        };
        Kept {
            entries: self.keys.iter().map(|(key, revisions)| (key.clone(), revisions.len() as u64)).collect(),
            first: ends(<[Revision]>::first).min().unwrap_or(Revision::new(1)),
            last: ends(<[Revision]>::last).max().unwrap_or_default(),
            total: self.keys.values().map(|revisions| revisions.len() as u64).sum(),
            history: u64::MAX,
            evicts: true,
            created: SystemTime::UNIX_EPOCH,
            written: SystemTime::UNIX_EPOCH,
        }
    }

    /// The revision of a key's newest entry up to a moment.
    fn newest(&self, key: &Key, moment: Revision) -> Option<Revision> {
        let revisions = self.keys.get(key)?;
        let behind = revisions.partition_point(|revision| *revision <= moment);
        revisions.get(behind.checked_sub(1)?).copied()
    }

    /// The newest entry up to a moment of each of the keys, as far as they are still there.
    pub(super) async fn entries_at(
        &self,
        store: &dyn Store,
        keys: &[Key],
        moment: Revision,
    ) -> Result<Vec<Entry>, ReadError> {
        let places = keys.iter().filter_map(|key| Some((self.newest(key, moment)?, key)));
        entries_at(store, places.collect()).await
    }
}

/// The entries of some keys, each at its revision, as far as they are still there.
pub(crate) async fn entries_at(
    store: &dyn Store,
    mut places: Vec<(Revision, &Key)>,
) -> Result<Vec<Entry>, ReadError> {
    // Those that stand near each other are asked for together: hardly anything else stands between them.
    places.sort_unstable();
    let mut found = Vec::with_capacity(places.len());
    for portion in places.chunks(AT_ONCE) {
        let (Some((first, _)), Some((last, _))) = (portion.first(), portion.last()) else { continue };
        let filters: Vec<Filter> = portion.iter().map(|(_, key)| Filter::from(*key)).collect();
        let wanted: HashMap<&Key, Revision> = portion.iter().map(|(at, key)| (*key, *at)).collect();
        let entries = store.history_between(&filters, *first, *last).await?;
        found.extend(entries.into_iter().filter(|entry| wanted.get(entry.key()) == Some(&entry.revision())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bucket;

    #[tokio::test]
    async fn the_entries_of_a_moment_are_found_by_where_they_stand() {
        let bucket = Bucket::memory();
        for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("a", "3")] {
            bucket.put(key, value).await.unwrap();
        }
        let mut index = Index::default();
        bucket.history(Filter::all()).await.unwrap().iter().for_each(|entry| index.add(entry));
        let kept = index.kept();
        assert_eq!((kept.first.get(), kept.last.get(), kept.total), (1, 5, 5));

        let keys = ["a", "b", "c", "d"].map(|key| Key::new(key).unwrap());
        let at = async |moment: u64| {
            let found = index.entries_at(&*bucket.store, &keys, Revision::new(moment)).await.unwrap();
            found.iter().map(|entry| format!("{}@{}", entry.key(), entry.revision())).collect::<Vec<_>>()
        };
        assert_eq!(at(3).await, ["b@2", "a@3"]);
        assert_eq!(at(5).await, ["b@2", "c@4", "a@5"]);
        assert_eq!(at(0).await, Vec::<String>::new());
    }
}
