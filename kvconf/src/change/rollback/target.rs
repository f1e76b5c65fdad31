//! What has to be written so that keys hold again what they held. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::history::LostKey;
use crate::retention::{Next, Retention, follows};
use crate::store::header::has_ttl;
use crate::{Entry, Key, Operation, Revision};

/// One key and what it is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) key: Key,
    /// Its newest entry.
    pub(super) now: Option<Arc<Entry>>,
    /// The value that it is to get; `None` for a removal.
    pub(super) goal: Option<Bytes>,
    /// The value that returns had a time to live, and returns without.
    pub(super) drops_ttl: bool,
}

impl Wish {
    /// The revision on which the write is based.
    pub(super) fn expected(&self) -> Revision {
        self.now.as_ref().map_or(Revision::ZERO, |now| now.revision())
    }
}

/// Everything that a rollback or a revert comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// What differs, by key.
    pub(super) wishes: Vec<Wish>,
    /// Keys that hold already what they are to hold, with their newest entry, if there is one.
    pub(super) unchanged: BTreeMap<Key, Option<Arc<Entry>>>,
    pub(super) lost: Vec<LostKey>,
}

/// Of an entry that is to return no more than what returns: a state may be large, and is held beside the present one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stood {
    revision: Revision,
    /// `None` for the marker of a removal.
    value: Option<Bytes>,
    has_ttl: bool,
    /// Written by an operation that nobody could repeat.
    is_unknown: bool,
}

impl Stood {
    pub(super) fn of(entry: &Entry) -> Self {
        let (revision, value) = (entry.revision(), entry.put_value().cloned());
        let is_unknown = entry.operation() == Operation::Unknown;
        Self { revision, value, has_ttl: has_ttl(entry), is_unknown }
    }

    pub(super) const fn revision(&self) -> Revision {
        self.revision
    }
}

/// What a key held at a moment.
#[derive(Debug, Clone)]
enum Held {
    /// This, which may be the marker of a removal.
    Entry(Stood),
    /// Nothing: it had not been written.
    Nothing,
    /// Nobody knows any more; from this revision on it is known.
    Lost(Option<Revision>),
}

impl Target {
    fn add(&mut self, key: &Key, now: Option<&Arc<Entry>>, held: Held) {
        let lost = |known_since| LostKey { key: key.to_string(), known_since };
        let source = match held {
            Held::Lost(since) => return self.lost.push(lost(since)),
            Held::Nothing => None,
            // Nobody wrote it since: so it stands, a time to live or an unknown operation included.
            Held::Entry(stood) if now.is_some_and(|now| now.revision() == stood.revision) => {
                self.unchanged.insert(key.clone(), now.cloned());
                return;
            }
            // It is there, and nobody could write it again.
            Held::Entry(stood) if stood.is_unknown => {
                return self.lost.push(lost(now.map(|now| now.revision())));
            }
            Held::Entry(stood) => Some(stood),
        };
        let had_ttl = source.as_ref().is_some_and(|stood| stood.has_ttl);
        let goal = source.and_then(|stood| stood.value);
        if holds(now.map(|now| &**now), goal.as_ref()) {
            self.unchanged.insert(key.clone(), now.cloned());
        } else {
            let drops_ttl = goal.is_some() && had_ttl;
            self.wishes.push(Wish { key: key.clone(), now: now.cloned(), goal, drops_ttl });
        }
    }
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

/// What was written to a key after a moment.
#[derive(Debug, Clone)]
pub(super) struct Later {
    /// The first entry that is left of it.
    pub(super) next: Next,
    /// How many entries of the key are left in all.
    pub(super) retained: u64,
}

/// What was found of a part of the bucket as it was.
#[derive(Debug)]
pub(super) struct Found {
    /// The newest entry of each key at the moment.
    pub(super) then: BTreeMap<Key, Stood>,
    /// Of keys that were written to since.
    pub(super) later: HashMap<Key, Later>,
    pub(super) revision: Revision,
    pub(super) retention: Retention,
    /// Whether other keys, too, may have held something then: the bucket has let go of entries whatever their key was.
    pub(super) gone_untold: bool,
}

/// What takes keys back. `asked` says which keys it is about.
pub(super) fn rollback(
    found: &Found,
    now: &BTreeMap<Key, Arc<Entry>>,
    asked: impl Fn(&Key) -> bool,
) -> Target {
    let keys: BTreeSet<&Key> = found.then.keys().chain(now.keys()).collect();
    let mut target = Target::default();
    for key in keys.into_iter().filter(|key| asked(key)) {
        let held = match (found.then.get(key), found.later.get(key)) {
            (Some(stood), Some(Later { next, .. })) if next.denies(stood.revision, found.revision) => {
                Held::Lost(Some(next.revision))
            }
            (Some(stood), _) => Held::Entry(stood.clone()),
            (None, _) if found.revision == Revision::ZERO => Held::Nothing,
            (None, Some(left)) if found.retention.settles(left.next.beginning, left.retained) => {
                Held::Nothing
            }
            (None, Some(left)) => Held::Lost(Some(left.next.revision)),
            // It went away between two reads.
            (None, None) => Held::Lost(None),
        };
        target.add(key, now.get(key), held);
    }
    target
}

/// What takes back the entries of one change set: each key gets what it held right before the set.
///
/// `history` has every retained entry of the members' keys, oldest first, and `kept` their number.
pub(super) fn revert(
    members: &[&Entry],
    history: &BTreeMap<Key, Vec<Entry>>,
    kept: &HashMap<Key, u64>,
    retention: Retention,
    now: &BTreeMap<Key, Arc<Entry>>,
) -> Target {
    let mut first: BTreeMap<&Key, &Entry> = BTreeMap::new();
    for member in members {
        first.entry(member.key()).or_insert(member);
    }
    let mut target = Target::default();
    for (key, member) in first {
        let retained = history.get(key).map(Vec::as_slice).unwrap_or_default();
        let before = retained.iter().rev().find(|entry| entry.revision() < member.revision());
        let count = kept.get(key).copied().unwrap_or(1);
        let held = match before {
            Some(entry) if follows(entry, member) => Held::Entry(Stood::of(entry)),
            None if retention.is_beginning(member, count) => Held::Nothing,
            _ => Held::Lost(Some(member.revision())),
        };
        target.add(key, now.get(key), held);
    }
    target
}
