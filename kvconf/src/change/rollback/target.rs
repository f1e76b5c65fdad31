//! What has to be written so that keys hold again what they held. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::error::LostKey;
use crate::history::retained::{Held, Retention, held_at};
use crate::store::header;
use crate::{Entry, Key, Operation, Revision};

/// One key and what it is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) key: Key,
    /// Its newest entry.
    pub(super) now: Option<Entry>,
    /// The value that it is to get; `None` for a removal.
    pub(super) goal: Option<Bytes>,
    /// The value that returns had a time to live, and returns without.
    pub(super) drops_ttl: bool,
}

impl Wish {
    /// The revision on which the write is based.
    pub(super) fn expected(&self) -> Revision {
        self.now.as_ref().map_or(Revision::ZERO, Entry::revision)
    }
}

/// Everything that a rollback or a revert comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// What differs, by key.
    pub(super) wishes: Vec<Wish>,
    /// Keys that hold already what they are to hold, with their newest entry, if there is one.
    pub(super) unchanged: BTreeMap<Key, Option<Entry>>,
    pub(super) lost: Vec<LostKey>,
}

impl Target {
    /// The newest revision of each key that it is about.
    pub(super) fn known(&self) -> impl Iterator<Item = (&Key, Revision)> {
        let unchanged = self
            .unchanged
            .iter()
            .map(|(key, now)| (key, now.as_ref().map_or(Revision::ZERO, Entry::revision)));
        self.wishes.iter().map(|wish| (&wish.key, wish.expected())).chain(unchanged)
    }

    fn add(&mut self, key: Key, now: Option<Entry>, held: Held<'_>, known_since: Option<Revision>) {
        let lost = || LostKey { key: key.to_string(), known_since };
        let (goal, source) = match held {
            Held::Lost => return self.lost.push(lost()),
            Held::Nothing => (None, None),
            // Nobody wrote it since: so it stands, a time to live or an unknown operation included.
            Held::Entry(entry) if now.as_ref().is_some_and(|now| now.revision() == entry.revision()) => {
                self.unchanged.insert(key, now);
                return;
            }
            Held::Entry(entry) => match entry.operation() {
                Operation::Put => (Some(entry.value().clone()), Some(entry)),
                Operation::Delete | Operation::Purge => (None, None),
                // It is there, and nobody could write it again.
                Operation::Unknown => return self.lost.push(lost()),
            },
        };
        let drops_ttl = source.is_some_and(has_ttl);
        if holds(now.as_ref(), goal.as_ref()) {
            self.unchanged.insert(key, now);
        } else {
            self.wishes.push(Wish { key, now, goal, drops_ttl });
        }
    }
}

fn has_ttl(entry: &Entry) -> bool {
    entry.headers().get(header::TTL).is_some()
}

/// Whether a key holds the value, and for good: one that is about to expire does not.
fn holds(now: Option<&Entry>, goal: Option<&Bytes>) -> bool {
    match (now, goal) {
        (None, None) => true,
        (Some(now), None) => now.operation().is_removal(),
        (Some(now), Some(goal)) => now.put_value() == Some(goal) && !has_ttl(now),
        (None, Some(_)) => false,
    }
}

/// What was read of a part of the bucket. All by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// The newest entry of each key as of the revision in question.
    pub(super) then: BTreeMap<Key, Entry>,
    /// The newest entry of each key.
    pub(super) now: BTreeMap<Key, Entry>,
    /// Every retained entry, oldest first, of the keys that are in `now` only.
    pub(super) retained: BTreeMap<Key, Vec<Entry>>,
}

/// What takes keys back to a revision. `asked` says which keys it is about.
pub(super) fn rollback(
    found: &Found,
    revision: Revision,
    retention: Retention,
    asked: impl Fn(&Key) -> bool,
) -> Target {
    let keys: BTreeSet<&Key> = found.then.keys().chain(found.now.keys()).collect();
    let mut target = Target::default();
    for key in keys.into_iter().filter(|key| asked(key)) {
        let now = found.now.get(key);
        let retained: Vec<&Entry> = found.retained.get(key).into_iter().flatten().collect();
        let held = match found.then.get(key) {
            Some(entry) => Held::Entry(entry),
            None => held_at(&retained, revision, retention),
        };
        let oldest = retained.first().copied().or(now).map(Entry::revision);
        target.add(key.clone(), now.cloned(), held, oldest);
    }
    target
}

/// What takes back the entries of one change set: each key gets what it held right before the set.
///
/// `members` are the set's entries, `retained` and `now` cover their keys.
pub(super) fn revert(
    members: &[&Entry],
    retained: &BTreeMap<Key, Vec<Entry>>,
    now: &BTreeMap<Key, Entry>,
    retention: Retention,
) -> Target {
    let mut first: BTreeMap<&Key, Revision> = BTreeMap::new();
    for member in members {
        let revision = first.entry(member.key()).or_insert(member.revision());
        *revision = (*revision).min(member.revision());
    }
    let mut target = Target::default();
    for (key, revision) in first {
        let entries: Vec<&Entry> = retained.get(key).into_iter().flatten().collect();
        let held = held_at(&entries, revision - 1, retention);
        let oldest = entries.first().map(|entry| entry.revision());
        target.add(key.clone(), now.get(key).cloned(), held, oldest);
    }
    target
}
