//! Judging a reading of a past moment: whether it stands in the middle of a change set, and what it cannot know.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::error::LostKey;
use super::retention::Retention;
use crate::schema::{Kind, Slot, join};
use crate::store::Kept;
use crate::view::{Table, full_key};
use crate::watch::sets::{Extent, MOST, Membership, membership, place};
use crate::{Entry, Filter, Key, Prefix, Revision};

/// Whose loss matters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// Every key under the prefix.
    Everything,
    /// The keys of a struct's fields.
    Fields(&'a Table),
}

impl Wanted<'_> {
    /// Whether a key below the prefix is one of them.
    pub(crate) fn contains(&self, key: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Fields(table) => table.target(key).is_some(),
        }
    }
}

/// How a moment lies to the change sets of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// No set is open.
    Clean,
    /// A set that begins at this revision goes on behind the moment.
    Torn { start: Revision },
    /// The batch of another client began at this revision; whether more of it follows, its next entry tells.
    Open { start: Revision, id: Arc<str> },
}

/// Whether the state of a prefix as of `moment` ends in the middle of a change set.
///
/// The messages of a set stand next to each other. So all that it wrote up to the moment is the newest entry of its key,
/// and in the reading.
pub(crate) fn cut(entries: &[Arc<Entry>], prefix: &Prefix, moment: Revision) -> Cut {
    let prefixes = std::slice::from_ref(prefix);
    let mut open: Option<(Revision, Cut)> = None;
    for entry in entries.iter().filter(|entry| entry.revision().get() + MOST > moment.get()) {
        let Some(place) = place(entry) else { continue };
        let ends = match membership(entry, prefixes) {
            Membership::Part { extent: Extent::Known { end, .. }, .. } => Some(end),
            _ => place.end,
        };
        match ends {
            Some(end) if end > moment => return Cut::Torn { start: place.start },
            Some(_) => {}
            None => {
                // Only the newest one can be unfinished: a later entry that is not part of it has ended it.
                let found = Cut::Open { start: place.start, id: place.id.into() };
                if open.as_ref().is_none_or(|(newest, _)| *newest < entry.revision()) {
                    open = Some((entry.revision(), found));
                }
            }
        }
    }
    let newest = entries.iter().map(|entry| entry.revision()).max();
    open.filter(|(revision, _)| Some(*revision) == newest).map_or(Cut::Clean, |(_, cut)| cut)
}

/// Whether an entry belongs to the batch that [`Cut::Open`] found.
pub(crate) fn goes_on(start: Revision, id: &str, next: &Entry) -> bool {
    place(next).is_some_and(|place| place.start == start && place.id == id)
}

/// Whether the reading leaves something open that the bucket has to be asked about.
pub(crate) fn has_gaps(entries: &[Arc<Entry>], prefix: &Prefix, wanted: Wanted<'_>) -> bool {
    let Wanted::Fields(table) = wanted else { return true };
    let found: HashMap<&str, &Arc<Entry>> =
        entries.iter().filter_map(|entry| Some((entry.key().under(prefix)?, entry))).collect();
    let is_settled = |slot: &Slot| {
        let own = found.get(slot.key.as_str());
        // A value under the field's own name hides what stands under its old ones.
        slot.kind == Kind::Leaf
            && own.is_some_and(|entry| {
                !entry.operation().is_removal()
                    || slot.aliases.iter().all(|name| found.contains_key(name.as_str()))
            })
    };
    !table.slots.iter().all(is_settled)
}

/// The keys that the bucket has entries of and that had none at the moment.
pub(crate) fn suspects(entries: &[Arc<Entry>], kept: &Kept, prefix: &Prefix, wanted: Wanted<'_>) -> Vec<Key> {
    let found: HashSet<&Key> = entries.iter().map(|entry| entry.key()).collect();
    let is_wanted =
        |key: &&Key| !key.is_reserved() && key.under(prefix).is_some_and(|below| wanted.contains(below));
    let mut keys: Vec<Key> =
        kept.entries.keys().filter(is_wanted).filter(|key| !found.contains(key)).cloned().collect();
    keys.sort_unstable();
    keys
}

/// Which of the suspects may have had a value all the same, and which keys may have gone without a trace.
pub(crate) fn lost(
    suspects: &[Key],
    oldest: &HashMap<Key, Entry>,
    entries: &[Arc<Entry>],
    kept: &Kept,
    (prefix, wanted): (&Prefix, Wanted<'_>),
) -> Vec<LostKey> {
    let retention = Retention::of(kept);
    let is_lost = |key: &&Key| {
        let retained = kept.entries.get(*key).copied().unwrap_or(0);
        oldest.get(*key).is_none_or(|oldest| !retention.is_beginning(oldest, retained))
    };
    let mut lost: Vec<LostKey> = suspects
        .iter()
        .filter(is_lost)
        .map(|key| LostKey { key: key.to_string(), known_since: oldest.get(key).map(Entry::revision) })
        .collect();
    if retention.has_evicted() {
        let found: HashSet<&str> = entries.iter().filter_map(|entry| entry.key().under(prefix)).collect();
        let traced = |key: &str| {
            found.contains(key) || suspects.iter().any(|suspect| suspect.under(prefix) == Some(key))
        };
        let nothing = |key: String| LostKey { key, known_since: None };
        match wanted {
            Wanted::Everything => lost.push(nothing(Filter::from(prefix).to_string())),
            Wanted::Fields(table) => lost.extend(table.slots.iter().filter_map(|slot| match slot.kind {
                Kind::Entries => Some(nothing(full_key(prefix, &join(&slot.key, "*")))),
                Kind::Leaf => {
                    (!slot.names().into_iter().any(traced)).then(|| nothing(full_key(prefix, &slot.key)))
                }
            })),
        }
    }
    lost.sort_by(|left, right| left.key.cmp(&right.key));
    lost
}
