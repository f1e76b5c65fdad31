//! Two states of the same keys, and what leads from one to the other.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::sets::{Extent, Membership, membership};
use super::{Change, ChangeSet, Update};
use crate::{Entry, Key, Prefix};

/// The newest entry of every key, markers included.
///
/// Hashed: in a tree the load of 10 000 keys spent a tenth of its time on comparing them. By a fast hash with a random
/// start: with the standard one, hashing was a tenth of what the library itself did then. Whoever can write keys at will
/// has simpler ways to be a nuisance than keys that collide.
pub(super) type Keys = HashMap<Key, Arc<Entry>, RandomState>;

/// What leads from `old` to `new`: new entries in the order of the bucket, grouped into the sets that they say they belong
/// to, then one set of the keys that are gone without a trace.
pub(super) fn difference(old: &Keys, new: &Keys, prefixes: &[Prefix]) -> Vec<ChangeSet> {
    let mut entries: Vec<&Arc<Entry>> = new
        .iter()
        .filter(|(key, entry)| {
            old.get(*key).is_none_or(|before| before.revision() != entry.revision() || before != *entry)
        })
        .map(|(_, entry)| entry)
        .collect();
    entries.sort_unstable_by_key(|entry| entry.revision());
    let mut sets: Vec<ChangeSet> = Vec::new();
    let mut open: Option<(Arc<str>, Option<Extent>)> = None;
    for entry in entries {
        let part = match membership(entry, prefixes) {
            Membership::Alone => None,
            Membership::Part { id, extent: extent @ Extent::Known { .. } } => Some((id, Some(extent))),
            Membership::Part { id, extent: Extent::Unknown { .. } } => Some((id, None)),
        };
        let change = Change { key: entry.key().clone(), entry: Some(Arc::clone(entry)) };
        match sets.last_mut() {
            Some(set) if part.is_some() && part == open => set.changes.push(change),
            _ => sets.push(ChangeSet { changes: vec![change] }),
        }
        open = part;
    }
    let gone = old.keys().filter(|key| !new.contains_key(*key));
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
    let old: Keys = old.map(|entry| (entry.key().clone(), Arc::clone(entry))).collect();
    let changes = whole.sets.iter().flat_map(|set| &set.changes);
    let new: Keys = changes.filter_map(|change| Some((change.key.clone(), change.entry.clone()?))).collect();
    Update { sets: difference(&old, &new, prefixes), ..*whole }
}

/// Drops sets of which later ones supersede every key, so that what waits is bounded by the number of keys.
pub(super) fn prune(sets: &mut Vec<ChangeSet>) {
    let mut newer = std::collections::HashSet::new();
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
            Some(entry) => keys.insert(change.key.clone(), Arc::clone(entry)),
            None => keys.remove(&change.key),
        };
    }
}

/// Whether some prefix held values and now holds nothing at all, not even the marker of a removal.
pub(super) fn emptied(old: &Keys, new: &Keys, prefixes: &[Prefix]) -> bool {
    prefixes.iter().any(|prefix| {
        let mut before = old.values().filter(|entry| entry.key().under(prefix).is_some());
        before.any(|entry| !entry.operation().is_removal())
            && !new.keys().any(|key| key.under(prefix).is_some())
    })
}
