//! Two states of the same keys, and what leads from one to the other.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::sets::{Extent, Membership, membership};
use super::{Change, ChangeSet, Update};
use crate::{Entry, Key, Prefix, Revision};

/// An entry by its key.
#[derive(Debug, Clone)]
struct ByKey(Arc<Entry>);

impl Borrow<Key> for ByKey {
    fn borrow(&self) -> &Key {
        self.0.key()
    }
}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

/// The newest entry of every key, markers included.
///
/// Hashed: in a tree the load of 10 000 keys spent a tenth of its time on comparing them. By a fast hash with a random
/// start: with the standard one, hashing was a tenth of what the library itself did then. Whoever can write keys at will
/// has simpler ways to be a nuisance than keys that collide. The keys are those of the entries: 10 000 copies, cheap as
/// each of them is, take a measurable part of a load.
#[derive(Debug, Default)]
pub(super) struct Keys(HashSet<ByKey, RandomState>);

impl Keys {
    pub(super) fn with_room(entries: usize) -> Self {
        Self(HashSet::with_capacity_and_hasher(entries, RandomState::default()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Entry>> {
        self.0.get(key).map(|ByKey(entry)| entry)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.0.iter().map(|ByKey(entry)| entry)
    }

    /// Takes an entry in the place of another one of its key.
    pub(super) fn put(&mut self, entry: Arc<Entry>) {
        self.0.replace(ByKey(entry));
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        self.0.retain(|ByKey(entry)| keep(entry.key()));
    }
}

impl FromIterator<Arc<Entry>> for Keys {
    fn from_iter<I: IntoIterator<Item = Arc<Entry>>>(entries: I) -> Self {
        let mut keys = Self::default();
        entries.into_iter().for_each(|entry| keys.put(entry));
        keys
    }
}

/// What leads from `old` to `new`: new entries in the order of the bucket, grouped into the sets that they say they belong
/// to, then one set of the keys that are gone without a trace.
pub(super) fn difference(old: &Keys, new: &Keys, prefixes: &[Prefix]) -> Vec<ChangeSet> {
    let mut entries: Vec<&Arc<Entry>> = new
        .iter()
        .filter(|entry| {
            old.get(entry.key())
                .is_none_or(|before| before.revision() != entry.revision() || before != *entry)
        })
        .collect();
    entries.sort_unstable_by_key(|entry| entry.revision());
    let mut sets: Vec<ChangeSet> = Vec::new();
    let mut open: Option<(Arc<str>, Revision, Option<Extent>)> = None;
    for entry in entries {
        let part = match membership(entry, prefixes) {
            Membership::Alone => None,
            Membership::Part { id, start, extent: extent @ Extent::Known { .. } } => {
                Some((id, start, Some(extent)))
            }
            Membership::Part { id, start, extent: Extent::Unknown { .. } } => Some((id, start, None)),
        };
        let change = Change { key: entry.key().clone(), entry: Some(Arc::clone(entry)) };
        match sets.last_mut() {
            Some(set) if part.is_some() && part == open => set.changes.push(change),
            _ => sets.push(ChangeSet { changes: vec![change] }),
        }
        open = part;
    }
    let gone = old.iter().map(|entry| entry.key()).filter(|key| new.get(key).is_none());
    let mut gone: Vec<Change> = gone.map(|key| Change { key: key.clone(), entry: None }).collect();
    if !gone.is_empty() {
        gone.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        sets.push(ChangeSet { changes: gone });
    }
    sets
}

/// An update from nothing, as the update from these entries that leads to the same state of some prefixes.
pub(crate) fn relative<'a>(
    old: impl Iterator<Item = &'a Arc<Entry>>,
    whole: &Update,
    prefixes: &[Prefix],
) -> Update {
    let old: Keys = old.map(Arc::clone).collect();
    let changes = whole.sets.iter().flat_map(|set| &set.changes);
    let new: Keys = changes.filter_map(|change| change.entry.clone()).collect();
    Update { sets: difference(&old, &new, prefixes), ..*whole }
}

/// Drops sets of which later ones supersede every key, so that what waits is bounded by the number of keys.
pub(super) fn prune(sets: &mut Vec<ChangeSet>) {
    let mut newer = HashSet::new();
    let mut kept: Vec<ChangeSet> = Vec::new();
    for set in sets.drain(..).rev() {
        let mut holds_newest = false;
        for change in &set.changes {
            holds_newest |= newer.insert(change.key.clone());
        }
        if holds_newest {
            kept.push(set);
        }
    }
    kept.reverse();
    *sets = kept;
}

/// Brings a state up to a set.
pub(super) fn apply(keys: &mut Keys, set: &ChangeSet) {
    for change in &set.changes {
        match &change.entry {
            Some(entry) => keys.put(Arc::clone(entry)),
            None => keys.remove(&change.key),
        };
    }
}

/// Whether some prefix held values and now holds nothing at all, not even the marker of a removal.
pub(super) fn emptied(old: &Keys, new: &Keys, prefixes: &[Prefix]) -> bool {
    prefixes.iter().any(|prefix| {
        let mut before = old.iter().filter(|entry| entry.key().under(prefix).is_some());
        before.any(|entry| !entry.operation().is_removal())
            && !new.iter().any(|entry| entry.key().under(prefix).is_some())
    })
}
