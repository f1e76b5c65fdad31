//! What differs between two moments.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::at::KeysAt;
use super::past::Frame;
use super::render::{Colored, Line, Render, Style, write_lines};
use crate::change::FieldChange;
use crate::schema::{Field, FieldError, Kind, KvConfig, Raw, Slot, Stored, join, node_at};
use crate::seal::Seals;
use crate::view::{Opened, RawState, clear_map, contained, contained_read, problem_of, shown_bytes};
use crate::{Entry, Problem, Revision};

/// What differs between two moments of a struct's keys, field by field.
///
/// It compares what the bucket holds: environment variables do not count, a field without a key has its default, and two
/// texts of one value (`60` and `60 `) do not differ. A value that today's type refuses is compared as it stands, so a diff
/// also shows what broke a struct. Keys that no field knows are left out. With layers it compares what they come to when they
/// are merged, and a field is called by its key without a layer.
///
/// `Display` writes a line for each key, aligned; [`Diff::colored`] the same in colours. It serializes as
/// `{"from": 41, "to": 42, "changes": [{"key": …, "before": …, "after": …}]}`. Secrets are masked in all of them: that one
/// has changed is seen, what it was is not.
pub struct Diff<T> {
    from: KeysAt,
    to: KeysAt,
    changes: Vec<FieldChange>,
    sides: (RawState, RawState),
    frame: Frame,
    /// Any value of the struct, to read fields into.
    scratch: Arc<crate::Snapshot<T>>,
}

impl<T: KvConfig> Diff<T> {
    pub(crate) fn new(from: KeysAt, to: KeysAt, frame: Frame, scratch: Arc<crate::Snapshot<T>>) -> Self {
        let sides = (raw_state(&from, &frame), raw_state(&to, &frame));
        let mut target = T::clone(&scratch);
        let mut changes = Vec::new();
        for slot in &frame.table.slots {
            changed(slot, &sides, &frame, &mut target, &mut changes);
        }
        Self { from, to, changes, sides, frame, scratch }
    }

    /// Whether a field's value differs.
    #[must_use]
    pub fn touches<V>(&self, field: Field<T, V>) -> bool {
        let Some((_, slot)) = self.frame.table.slot_at(field.path()) else { return false };
        let own = self.frame.table.layers.field_key(&slot.key);
        self.changes.iter().any(|change| match slot.kind {
            Kind::Leaf => change.key == own,
            // The last part of the key is the map's.
            Kind::Entries => change.key.rsplit_once('.').map_or("", |(parent, _)| parent) == own,
        })
    }

    /// A field's value at the earlier point.
    ///
    /// # Errors
    /// Every problem that today's type has with it.
    pub fn before<V: Clone + 'static>(&self, field: Field<T, V>) -> Result<V, Vec<Problem>> {
        self.typed(field, &self.sides.0)
    }

    /// A field's value at the later point.
    ///
    /// # Errors
    /// Every problem that today's type has with it.
    pub fn after<V: Clone + 'static>(&self, field: Field<T, V>) -> Result<V, Vec<Problem>> {
        self.typed(field, &self.sides.1)
    }

    fn typed<V: Clone + 'static>(&self, field: Field<T, V>, side: &RawState) -> Result<V, Vec<Problem>> {
        let Some((_, slot)) = self.frame.table.slot_at(field.path()) else { return Err(Vec::new()) };
        let Some((node, rest)) = node_at::<T>(slot.path.steps()) else { return Err(Vec::new()) };
        let mut target = T::clone(&self.scratch);
        let opened = Opened::default();
        let raw = |entry| opened.raw(&self.frame.table.seals, slot.meta.secret, entry);
        let mut problems = Vec::new();
        let mut note = |key: &str, entry: Option<&Arc<Entry>>, errors: Vec<FieldError>| {
            let layers = &self.frame.table.layers;
            let layer = entry.and_then(|entry| layers.place(entry.key())).map(|(layer, _)| layer);
            let key = layer.map_or_else(|| layers.field_key(key), |layer| layers.full_key(layer, key));
            problems.extend(errors.iter().map(|error| told(key.clone(), error, entry)));
        };
        match slot.kind {
            Kind::Leaf => {
                let found = entry_of(slot, side);
                contained_read(|| node.read(&mut target, rest, &slot.key, raw(found)))
                    .unwrap_or_else(|errors| note(&slot.key, found, errors));
            }
            Kind::Entries => {
                clear_map(&mut target, slot);
                for (key, entry) in entries_of(slot, side) {
                    let segment = key.rsplit_once('.').map_or(key, |(_, segment)| segment);
                    contained_read(|| node.read_entry(&mut target, rest, segment, raw(Some(entry))))
                        .unwrap_or_else(|errors| note(key, Some(entry), errors));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        node.value(&target, rest).and_then(|value| value.downcast_ref::<V>()).cloned().ok_or_else(Vec::new)
    }
}

impl<T> Diff<T> {
    /// The earlier point, as the revision whose state was compared.
    #[must_use]
    pub const fn from(&self) -> Revision {
        self.from.revision
    }

    /// The later point, as the revision whose state was compared.
    #[must_use]
    pub const fn to(&self) -> Revision {
        self.to.revision
    }

    /// Every key whose value differs, in the order of the struct. Secrets are masked.
    #[must_use]
    pub fn changes(&self) -> &[FieldChange] {
        &self.changes
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The same in colours.
    #[must_use]
    pub const fn colored(&self) -> Colored<'_, Self> {
        Colored(self)
    }
}

impl<T> Render for Diff<T> {
    fn render(&self, f: &mut fmt::Formatter<'_>, style: Style) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("no difference");
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
        let lines: Vec<Line<'_>> = self
            .changes
            .iter()
            .map(|change| Line { key: &change.key, before: text(&change.before), after: text(&change.after) })
            .collect();
        write_lines(f, style, "", &lines)
    }
}

impl<T> fmt::Display for Diff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.render(f, Style::Plain)
    }
}

impl<T> fmt::Debug for Diff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diff")
            .field("from", &self.from().get())
            .field("to", &self.to().get())
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}

impl<T> Serialize for Diff<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Diff", 3)?;
        out.serialize_field("from", &self.from().get())?;
        out.serialize_field("to", &self.to().get())?;
        out.serialize_field("changes", &self.changes)?;
        out.end()
    }
}

fn told(key: String, error: &FieldError, entry: Option<&Arc<Entry>>) -> Problem {
    problem_of(key, error, entry.map(|entry| &**entry))
}

/// The state of the keys below the prefix.
fn raw_state(keys: &KeysAt, frame: &Frame) -> RawState {
    let mut raw = RawState::new(Arc::clone(&frame.table));
    for entry in &keys.entries {
        if let Some((layer, key)) = frame.table.layers.place(entry.key()) {
            raw.set(layer, key, Some(entry));
        }
    }
    raw
}

/// The entry that a field's value comes from: under its key, else under its first old name that has one.
fn entry_of<'a>(slot: &Slot, side: &'a RawState) -> Option<&'a Arc<Entry>> {
    side.winner(&slot.all_names()).map(|(_, entry)| entry)
}

/// The entries of a map that have a value, by key below the prefix; each from the most specific layer that has it.
fn entries_of<'a>(slot: &Slot, side: &'a RawState) -> BTreeMap<&'a str, &'a Arc<Entry>> {
    let belongs =
        |key: &str| key.rsplit_once('.').map_or(slot.key.is_empty(), |(parent, _)| parent == slot.key);
    let all = side.live_keys().map(|(_, key, entry)| (key, entry));
    all.filter(|(key, _)| belongs(key)).collect()
}

/// What stands for one key of a slot: in the form in which today's type would write it, else as it is.
#[derive(PartialEq, Eq)]
enum Text {
    Nothing,
    Bytes(Bytes),
    Unusable,
}

impl Text {
    fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Nothing | Self::Unusable => None,
        }
    }

    fn shown(&self, slot: &Slot) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Bytes(bytes) => Some(shown_bytes(bytes, slot)),
            Self::Unusable => Some("(written by an unknown operation)".to_owned()),
        }
    }
}

/// Adds what differs of one slot.
fn changed<T: KvConfig>(
    slot: &Slot,
    sides: &(RawState, RawState),
    frame: &Frame,
    target: &mut T,
    changes: &mut Vec<FieldChange>,
) {
    let mut compare = |target: &mut T, key: &str, before: Option<&Arc<Entry>>, after: Option<&Arc<Entry>>| {
        if before.map(|entry| entry.value()) == after.map(|entry| entry.value())
            && before.map(|entry| entry.operation()) == after.map(|entry| entry.operation())
        {
            return;
        }
        let mut text = |entry| text_of(&frame.table.seals, slot, key, entry, target);
        let (before, after) = (text(before), text(after));
        if before != after {
            let key = frame.table.layers.field_key(key);
            let change = FieldChange::new(key, before.shown(slot), after.shown(slot));
            changes.push(change.with_details(Some(slot), before.bytes(), after.bytes()));
        }
    };
    match slot.kind {
        Kind::Leaf => compare(target, &slot.key, entry_of(slot, &sides.0), entry_of(slot, &sides.1)),
        Kind::Entries => {
            // Entries are read one by one into an empty map, so that each costs what it holds.
            clear_map(target, slot);
            let (before, after) = (entries_of(slot, &sides.0), entries_of(slot, &sides.1));
            let mut keys: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                compare(target, key, before.get(key).copied(), after.get(key).copied());
            }
        }
    }
}

fn text_of<T: KvConfig>(
    seals: &Seals,
    slot: &Slot,
    key: &str,
    entry: Option<&Arc<Entry>>,
    target: &mut T,
) -> Text {
    let Some((node, rest)) = node_at::<T>(slot.path.steps()) else { return Text::Nothing };
    let opened = Opened::default();
    let raw = opened.raw(seals, slot.meta.secret, entry);
    let bytes = match raw {
        Raw::Absent => return node.default_text(rest).map_or(Text::Nothing, Text::Bytes),
        Raw::Unknown | Raw::Sealed(_) => return Text::Unusable,
        Raw::Bytes(bytes, _) => Bytes::copy_from_slice(bytes),
    };
    let segment = key.rsplit_once('.').map_or(key, |(_, segment)| segment);
    let canonical = contained(|| match slot.kind {
        Kind::Leaf => {
            node.read(target, rest, &slot.key, raw).ok()?;
            match node.encode(target, rest).ok()? {
                Stored::Value(bytes) => Some(bytes),
                Stored::Absent => None,
            }
        }
        Kind::Entries => {
            node.read_entry(target, rest, segment, raw).ok()?;
            let entries = node.encode_entries(target, rest).ok()?;
            clear_map(target, slot)?;
            entries.into_iter().find(|(name, _)| join(&slot.key, name) == key).map(|(_, bytes)| bytes)
        }
    });
    Text::Bytes(canonical.flatten().unwrap_or(bytes))
}
