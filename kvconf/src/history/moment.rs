//! Judging a reading of a past moment: whether it stands in the middle of a change set, and what it cannot know.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::error::LostKey;
use crate::retention::{Next, Retention};
use crate::schema::{Kind, Slot, join};
use crate::store::{Kept, Span};
use crate::view::{Table, Target};
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
    /// Keys one of which a reading has that lacks nothing; none where that cannot be.
    pub(crate) fn witnesses(&self) -> Vec<Key> {
        let Self::Fields(table) = self else { return Vec::new() };
        if table.slots.iter().any(|slot| slot.kind != Kind::Leaf) {
            return Vec::new();
        }
        let names = table.slots.iter().take(1).flat_map(Slot::all_names);
        let keys =
            names.flat_map(|name| (0..table.layers.len()).map(move |at| table.layers.full_key(at, name)));
        keys.filter_map(|key| Key::new(key).ok()).collect()
    }

    /// Whether a key under one of the prefixes is one of them.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        match self {
            Self::Everything => true,
            Self::Fields(table) => {
                table.layers.place(key).is_some_and(|(_, below)| table.target(below).is_some())
            }
        }
    }
}

/// Whether the reading leaves something open that the bucket has to be asked about.
pub(crate) fn has_gaps(entries: &[Arc<Entry>], wanted: Wanted<'_>) -> bool {
    let Wanted::Fields(table) = wanted else { return true };
    let found = Found::new(entries, table);
    let is_settled = |slot: &Slot| {
        let mut places =
            table.layers.strongest_first().flat_map(|layer| slot.all_names().map(move |n| (layer, n)));
        // A value under the field's own name hides what stands under its old ones, and in more general layers.
        slot.kind == Kind::Leaf
            && places
                .find_map(|(layer, name)| match found.get(layer, name) {
                    Some(entry) if entry.operation().is_removal() => None,
                    found => Some(found.is_some()),
                })
                .unwrap_or(true)
    };
    !table.slots.iter().all(is_settled)
}

/// What a reading has of a struct's keys.
struct Found<'a> {
    table: &'a Table,
    entries: HashMap<(usize, &'a str), &'a Arc<Entry>, RandomState>,
}

impl<'a> Found<'a> {
    fn new(entries: &'a [Arc<Entry>], table: &'a Table) -> Self {
        let placed = entries.iter().filter_map(|entry| Some((table.layers.place(entry.key())?, entry)));
        Self { table, entries: placed.collect() }
    }

    fn get(&self, layer: usize, key: &str) -> Option<&'a Arc<Entry>> {
        self.entries.get(&(layer, key)).copied()
    }

    /// Whether a more specific layer has a value, so that it does not matter what a key held.
    fn masks(&self, layer: usize, key: &str) -> bool {
        let names = match self.table.target(key) {
            Some(Target::Field(at)) => self.table.slot(at).map(Slot::names),
            _ => None,
        };
        let names = names.unwrap_or_else(|| vec![key]);
        (layer + 1..self.table.layers.len()).any(|above| {
            let mut standing = names.iter().filter_map(|name| self.get(above, name));
            standing.any(|entry| !entry.operation().is_removal())
        })
    }
}

/// The keys that the bucket has entries of and that had none at the moment.
pub(crate) fn suspects(
    entries: &[Arc<Entry>],
    kept: &Kept,
    prefixes: &[Prefix],
    wanted: Wanted<'_>,
) -> Vec<Key> {
    let found: HashSet<&Key> = entries.iter().map(|entry| entry.key()).collect();
    let of_struct = match wanted {
        Wanted::Everything => None,
        Wanted::Fields(table) => Some(Found::new(entries, table)),
    };
    let masks = |key: &Key| {
        of_struct.as_ref().is_some_and(|found| {
            let place = found.table.layers.place(key);
            place.is_some_and(|(layer, below)| found.masks(layer, below))
        })
    };
    let is_wanted = |key: &&Key| {
        !key.is_reserved()
            && prefixes.iter().any(|prefix| key.under(prefix).is_some())
            && wanted.contains(key)
            && !masks(key)
    };
    let mut keys: Vec<Key> =
        kept.entries.keys().filter(is_wanted).filter(|key| !found.contains(key)).cloned().collect();
    keys.sort_unstable();
    keys
}

/// Which of the suspects may have had a value all the same, and which keys may have gone without a trace.
pub(crate) fn lost(
    suspects: &[Key],
    next: &HashMap<Key, Next>,
    entries: &[Arc<Entry>],
    kept: &Kept,
    (prefixes, wanted): (&[Prefix], Wanted<'_>),
) -> Vec<LostKey> {
    let retention = Retention::of(kept);
    let is_lost = |key: &&Key| {
        let retained = kept.entries.get(*key).copied().unwrap_or(0);
        next.get(*key).is_none_or(|next| !retention.settles(next.beginning, retained))
    };
    let mut lost: Vec<LostKey> = suspects
        .iter()
        .filter(is_lost)
        .map(|key| LostKey { key: key.to_string(), known_since: next.get(key).map(|next| next.revision) })
        .collect();
    if retention.has_evicted() {
        let nothing = |key: String| LostKey { key, known_since: None };
        match wanted {
            Wanted::Everything => {
                lost.extend(prefixes.iter().map(|prefix| nothing(Filter::from(prefix).to_string())));
            }
            Wanted::Fields(table) => lost.extend(untraced(suspects, entries, table).map(nothing)),
        }
    }
    lost.sort_by(|left, right| left.key.cmp(&right.key));
    lost
}

/// The keys of a reading of which an older entry may be in it than the one that stood there at the moment: none, where nothing
/// has gone out of the bucket since the oldest one.
pub(crate) fn in_doubt<'a>(
    entries: &'a [Arc<Entry>],
    span: Option<Span>,
    wanted: Wanted<'_>,
) -> Vec<&'a Key> {
    let own: Vec<&Arc<Entry>> = entries.iter().filter(|entry| wanted.contains(entry.key())).collect();
    let oldest = own.iter().map(|entry| entry.revision()).min();
    if span.zip(oldest).is_some_and(|(span, oldest)| span.is_whole_from(oldest)) {
        return Vec::new();
    }
    own.into_iter().map(|entry| entry.key()).collect()
}

/// Of which keys the reading has an older entry than the one that stood there at the moment.
pub(crate) fn denied(entries: &[Arc<Entry>], next: &HashMap<Key, Next>, moment: Revision) -> Vec<LostKey> {
    let is_denied =
        |entry: &&Arc<Entry>| next.get(entry.key()).is_some_and(|next| next.denies(entry.revision(), moment));
    let since = |key: &Key| next.get(key).map(|next| next.revision);
    let lost = |entry: &Arc<Entry>| LostKey { key: entry.key().to_string(), known_since: since(entry.key()) };
    entries.iter().filter(is_denied).map(lost).collect()
}

/// The keys of a struct of which nothing tells that there was nothing.
fn untraced<'a>(
    suspects: &'a [Key],
    entries: &'a [Arc<Entry>],
    table: &'a Table,
) -> impl Iterator<Item = String> + 'a {
    let (layers, found) = (&table.layers, Found::new(entries, table));
    let suspected: HashSet<(usize, &str)> = suspects.iter().filter_map(|key| layers.place(key)).collect();
    let traced = move |layer: usize, key: &str| {
        found.get(layer, key).is_some() || suspected.contains(&(layer, key)) || found.masks(layer, key)
    };
    let places = table.slots.iter().flat_map(|slot| (0..layers.len()).map(move |layer| (layer, slot)));
    places.filter_map(move |(layer, slot)| match slot.kind {
        Kind::Entries => Some(layers.full_key(layer, &join(&slot.key, "*"))),
        Kind::Leaf => {
            (!slot.all_names().any(|name| traced(layer, name))).then(|| layers.full_key(layer, &slot.key))
        }
    })
}
