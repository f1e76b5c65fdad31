//! What one field held, one revision after the other.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::log::{KeyState, Shown};
use super::past::Frame;
use super::render::{Colored, Ink, Render, Stamp, Style};
use crate::retention::{Before, Follower, Retention};
use crate::schema::{FieldError, Kind, KvConfig, Slot, node_at};
use crate::seal::Seals;
use crate::view::{Opened, clear_map, contained_read, problem_of};
use crate::{Attribution, Entry, Filter, Key, KeyError, Problem, Revision};

/// What a write did to a field.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FieldState<V> {
    /// It set this value. For a map with one key per entry: a map with the one entry that was written.
    Value(V),
    /// It wrote something that today's type refuses, for these reasons.
    Rejected(Vec<Problem>),
    /// It deleted the key.
    Deleted,
    /// It purged the key: earlier revisions went with it.
    Purged,
    /// The value's time to live ran out.
    Expired,
}

impl<V> FieldState<V> {
    /// The value, where there is one that today's type takes.
    #[must_use]
    pub const fn value(&self) -> Option<&V> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// One write to a field. `Display` writes one line, and one more for each problem:
///
/// ```text
/// revision 41, 2026-03-01 14:02:09, by ops: 80
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FieldRevision<V> {
    /// What it did.
    pub state: FieldState<V>,
    entry: Arc<Entry>,
    shown: KeyState,
    /// Whether it stands under the field's name of today, in the only layer there is.
    is_own: bool,
    follows_gap: bool,
}

impl<V> FieldRevision<V> {
    /// The key: the field's own, an older name of it, or that of an entry of a map.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.entry.key()
    }

    /// The revision that this write got.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.entry.revision()
    }

    /// When the server took it, by the server's clock.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.entry.created()
    }

    /// Who made it, why, and as part of which change.
    #[must_use]
    pub fn attribution(&self) -> Attribution {
        Attribution::of(&self.entry)
    }

    /// The entry itself, its value in the clear.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The value as it may be shown: in stored form, shortened, masked for a secret.
    #[must_use]
    pub const fn shown(&self) -> &KeyState {
        &self.shown
    }

    /// Whether the bucket no longer keeps what this write replaced, or may no longer keep it.
    #[must_use]
    pub const fn follows_gap(&self) -> bool {
        self.follows_gap
    }

    /// The same in colours.
    #[must_use]
    pub const fn colored(&self) -> Colored<'_, Self> {
        Colored(self)
    }
}

impl<V> Render for FieldRevision<V> {
    fn render(&self, f: &mut fmt::Formatter<'_>, style: Style) -> fmt::Result {
        style.paint(f, Ink::Head, &format!("revision {}", self.revision()))?;
        write!(f, ", {}", Stamp(self.time()))?;
        let by = self.attribution();
        match by.shown_author() {
            Some(author) => write!(f, ", by {author}")?,
            None => f.write_str(", author unknown")?,
        }
        if let Some(reason) = &by.reason {
            write!(f, " ({reason:?})")?;
        }
        f.write_str(": ")?;
        style.paint(f, Ink::New, &self.shown.to_string())?;
        if !self.is_own {
            write!(f, " under {}", self.key())?;
        }
        if let FieldState::Rejected(problems) = &self.state {
            for problem in problems {
                f.write_str("\n  ")?;
                style.paint(f, Ink::Note, &format!("× {}", problem.message))?;
            }
        }
        Ok(())
    }
}

impl<V> fmt::Display for FieldRevision<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.render(f, Style::Plain)
    }
}

/// All that the bucket keeps of one field, newest first. Iterate over it; `Display` writes a line for each.
#[derive(Debug, Clone)]
pub struct FieldHistory<V> {
    revisions: Vec<FieldRevision<V>>,
}

impl<V> FieldHistory<V> {
    pub(crate) const fn empty() -> Self {
        Self { revisions: Vec::new() }
    }

    /// The writes, newest first.
    #[must_use]
    pub fn revisions(&self) -> &[FieldRevision<V>] {
        &self.revisions
    }

    /// Whether it goes back to the first write of every key, with nothing left out. A key that vanished without a trace
    /// is not known of.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.revisions.iter().all(|revision| !revision.follows_gap)
    }

    /// The writes, newest first.
    pub fn iter(&self) -> std::slice::Iter<'_, FieldRevision<V>> {
        self.revisions.iter()
    }
}

impl<V> IntoIterator for FieldHistory<V> {
    type Item = FieldRevision<V>;
    type IntoIter = std::vec::IntoIter<FieldRevision<V>>;
    fn into_iter(self) -> Self::IntoIter {
        self.revisions.into_iter()
    }
}

impl<'a, V> IntoIterator for &'a FieldHistory<V> {
    type Item = &'a FieldRevision<V>;
    type IntoIter = std::slice::Iter<'a, FieldRevision<V>>;
    fn into_iter(self) -> Self::IntoIter {
        self.revisions.iter()
    }
}

impl<V> fmt::Display for FieldHistory<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, revision) in self.revisions.iter().enumerate() {
            write!(f, "{}{revision}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// The keys that can hold a value of a field, its older names included.
pub(crate) fn filters_of(frame: &Frame, slot: &Slot) -> Result<Vec<Filter>, KeyError> {
    let layers = &frame.table.layers;
    let names = match slot.kind {
        Kind::Leaf => slot.names().into_iter().map(str::to_owned).collect(),
        Kind::Entries => vec![crate::schema::join(&slot.key, "*")],
    };
    let places = (0..layers.len()).flat_map(|layer| names.iter().map(move |name| (layer, name)));
    places.map(|(layer, name)| Filter::new(layers.full_key(layer, name))).collect()
}

/// Reads a field's entries, oldest first, with today's type. `scratch` is any value of the struct.
pub(crate) fn read_field<T: KvConfig, V: Clone + 'static>(
    entries: Vec<Entry>,
    (frame, slot): (&Frame, &Slot),
    mut scratch: T,
    retention: Retention,
) -> FieldHistory<V> {
    let mut retained: HashMap<Key, u64> = HashMap::new();
    for entry in &entries {
        *retained.entry(entry.key().clone()).or_default() += 1;
    }
    let mut follower = Follower::new([], retained, retention);
    let shown = Shown::Fields(Arc::clone(&frame.table));
    let several = frame.table.layers.are_several();
    let mut revisions: Vec<FieldRevision<V>> = entries
        .into_iter()
        .filter(|entry| !entry.key().is_reserved())
        .map(Arc::new)
        .map(|entry| {
            let below = frame.table.layers.place(entry.key()).map_or("", |(_, below)| below);
            FieldRevision {
                state: state_of(&frame.table.seals, &entry, slot, &mut scratch),
                shown: shown.after(&entry),
                is_own: slot.kind == Kind::Leaf && below == slot.key && !several,
                follows_gap: follower.next(&entry) == Before::Lost,
                entry,
            }
        })
        .collect();
    revisions.reverse();
    FieldHistory { revisions }
}

fn state_of<T: KvConfig, V: Clone + 'static>(
    seals: &Seals,
    entry: &Arc<Entry>,
    slot: &Slot,
    scratch: &mut T,
) -> FieldState<V> {
    match Shown::Sizes.after(entry) {
        KeyState::Deleted => FieldState::Deleted,
        KeyState::Purged => FieldState::Purged,
        KeyState::Expired => FieldState::Expired,
        _ => decode(seals, entry, slot, scratch).map_or_else(FieldState::Rejected, FieldState::Value),
    }
}

/// Reads one entry's value as the field's type; every problem with it.
fn decode<T: KvConfig, V: Clone + 'static>(
    seals: &Seals,
    entry: &Arc<Entry>,
    slot: &Slot,
    scratch: &mut T,
) -> Result<V, Vec<Problem>> {
    let told = |errors: Vec<FieldError>| {
        errors.iter().map(|error| problem_of(entry.key().to_string(), error, Some(entry))).collect::<Vec<_>>()
    };
    let Some((node, rest)) = node_at::<T>(slot.path.steps()) else { return Err(Vec::new()) };
    let opened = Opened::default();
    let raw = opened.raw(seals, slot.meta.secret, Some(entry));
    let segment = entry.key().as_str().rsplit_once('.').map_or(entry.key().as_str(), |(_, segment)| segment);
    let read = contained_read(|| match slot.kind {
        Kind::Leaf => node.read(scratch, rest, &slot.key, raw),
        Kind::Entries => {
            clear_map(scratch, slot);
            node.read_entry(scratch, rest, segment, raw)
        }
    });
    read.map_err(told)?;
    let value = node.value(scratch, rest).and_then(|value| value.downcast_ref::<V>()).cloned();
    value.ok_or_else(Vec::new)
}
