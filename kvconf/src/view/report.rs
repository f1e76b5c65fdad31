//! Telling faults so that they can be mended.

use std::collections::{BTreeMap, BTreeSet};

use super::overlay::{Layered, Overlay, origin_of};
use super::{Found, RawState, Table, Target, View, masked};
use crate::origin::KeyOrigin;
use crate::problem::{deprecated, old_name, unknown_key};
use crate::schema::{
    FieldError, FieldProblem, KvConfig, Path, Raw, RawKeys, Slot, Stored, StructProblem, node_at,
};
use crate::value::{MASK, show};
use crate::{Entry, Origin, Problem, ProblemKind};

/// Where faults were found.
pub(super) struct Place<'a, T> {
    pub(super) table: &'a Table,
    /// The state that has the faults.
    pub(super) state: &'a Layered<'a>,
    /// What is served instead.
    pub(super) served: Option<&'a View<T>>,
}

/// Where the value at a path comes from in a state.
pub(crate) fn origin_in(table: &Table, state: &RawState, path: Path) -> Origin {
    let over = Overlay::default();
    let layered = Layered::new(table, state, &over);
    table.slot_at(path).map_or(Origin::Default, |(_, slot)| layered.origin_of(slot))
}

/// What is wrong with the value of one entry.
pub(crate) fn problem_of(key: String, error: &FieldError, entry: Option<&Entry>) -> Problem {
    Problem {
        key,
        kind: kind_of(error),
        message: error.to_string(),
        origin: entry.map(|entry| Origin::Key(KeyOrigin::of(entry))),
        before: None,
        before_revision: None,
        fields: Vec::new(),
    }
}

pub(crate) fn kind_of(error: &FieldError) -> ProblemKind {
    match error {
        FieldError::Missing => ProblemKind::Missing,
        FieldError::Decode(_) => ProblemKind::Decode,
        FieldError::Default(_) => ProblemKind::Default,
        FieldError::Operation => ProblemKind::Operation,
        FieldError::Sealed(_) => ProblemKind::Sealed,
        FieldError::Range { .. }
        | FieldError::Length { .. }
        | FieldError::Pattern { .. }
        | FieldError::OneOf { .. }
        | FieldError::Function { .. } => ProblemKind::Check,
    }
}

/// A field's value in stored form, masked where it is a secret; `None` where there is none.
fn shown_value<T: KvConfig>(value: &T, slot: &Slot) -> Option<String> {
    let (node, rest) = node_at::<T>(slot.path.steps())?;
    match node.encode(value, rest).ok()? {
        Stored::Absent => None,
        Stored::Value(_) if slot.meta.secret => Some(MASK.to_owned()),
        Stored::Value(bytes) => Some(show(&bytes)),
    }
}

/// Stored bytes as they may be shown.
pub(crate) fn shown_bytes(bytes: &[u8], slot: &Slot) -> String {
    if slot.meta.secret { MASK.to_owned() } else { show(bytes) }
}

/// Whose value it is that has a fault, and the layer where it stands in the bucket. Of a marker too: a required key that was
/// deleted has somebody who deleted it.
fn culprit(key: &str, slot: Option<&Slot>, state: &Layered<'_>) -> (Option<usize>, Option<Origin>) {
    let layers = &state.table.layers;
    // A field's old names may hold its value; the entries of a map have none.
    let names: Vec<&str> = match slot {
        Some(slot) if slot.key == key => slot.names(),
        _ => vec![key],
    };
    if let Some(given) = state.above(key) {
        return (None, Some(given.origin.clone()));
    }
    if let Some((layer, entry)) = state.winner(&names.into_iter()) {
        return (Some(layer), Some(origin_of(layers, layer, entry)));
    }
    if let Some(given) = state.below(key) {
        return (None, Some(given.origin.clone()));
    }
    let marker = layers.strongest_first().find_map(|layer| Some((layer, state.entry(layer, key)?)));
    match marker {
        Some((layer, entry)) => (Some(layer), Some(origin_of(layers, layer, entry))),
        None => (None, None),
    }
}

/// What a key is called that has a fault: as it stands in its layer; where none of several has it, without a layer.
fn name_of(table: &Table, layer: Option<usize>, key: &str) -> String {
    layer.map_or_else(|| table.layers.field_key(key), |layer| table.layers.full_key(layer, key))
}

pub(super) fn describe_field<T: KvConfig>(fault: &FieldProblem, place: &Place<'_, T>) -> Problem {
    let found = place.table.slot_at(fault.path);
    let (layer, origin) = culprit(&fault.key, found.map(|(_, slot)| slot), place.state);
    let served = place.served.and_then(|view| view.raw.get(layer.unwrap_or_default(), &fault.key));
    // A bad value that was masked so far is not what is served.
    let is_culprit =
        |entry: &Entry| matches!(&origin, Some(Origin::Key(origin)) if origin.revision == entry.revision());
    let served = served.filter(|entry| entry.put_value().is_some() && !is_culprit(entry));
    let before = match (place.served, found) {
        (Some(view), Some((_, slot))) if slot.key == fault.key => shown_value::<T>(&view.snapshot, slot),
        (Some(view), Some((_, slot))) => match RawKeys::entry(&view.taken(), &fault.key) {
            Raw::Bytes(bytes, _) => Some(shown_bytes(bytes, slot)),
            Raw::Absent | Raw::Unknown | Raw::Sealed(_) => None,
        },
        _ => None,
    };
    Problem {
        key: name_of(place.table, layer, &fault.key),
        kind: kind_of(&fault.error),
        message: fault.error.to_string(),
        origin,
        before,
        before_revision: served.map(|entry| entry.revision()),
        fields: Vec::new(),
    }
}

pub(super) fn describe_complaint(fault: &StructProblem, table: &Table, state: &Layered<'_>) -> Problem {
    let fields = fault.complaint.fields.iter().filter_map(|below| {
        let path = below.steps().iter().fold(fault.path, |path: Path, step| path.join(*step));
        let (_, slot) = table.slot_at(path)?;
        let name = slot.key.strip_prefix(&fault.key).unwrap_or(&slot.key).trim_start_matches('.');
        Some((name.to_owned(), state.origin_of(slot)))
    });
    Problem {
        key: table.layers.field_key(&fault.key),
        kind: ProblemKind::Validation,
        message: fault.complaint.message.clone(),
        origin: None,
        before: None,
        before_revision: None,
        fields: fields.collect(),
    }
}

/// What is odd in a state that is usable all the same: keys that no field knows, old names, deprecated fields. Looked at
/// are only these keys.
pub(super) fn warnings<T: KvConfig>(
    table: &Table,
    state: &RawState,
    keys: &BTreeSet<(usize, String)>,
) -> BTreeMap<(usize, String), Problem> {
    let over = Overlay::default();
    let layered = Layered::new(table, state, &over);
    let mut all = BTreeMap::new();
    for (layer, key) in keys {
        if let Some(problem) = warning::<T>(&layered, *layer, key) {
            all.insert((*layer, key.clone()), problem);
        }
    }
    all
}

/// Whether something can be odd about a key, or about another name of its field, whatever stands there.
pub(super) fn may_be_odd(table: &Table, key: &str) -> bool {
    // Between layers a bad value may be masked.
    table.layers.are_several()
        || match table.find(key) {
            Some(Found::Own(at)) => {
                table.slot(at).is_some_and(|slot| slot.meta.deprecated.is_some() || !slot.aliases.is_empty())
            }
            Some(Found::Entry(..)) => false,
            Some(Found::Old(_)) | None => true,
        }
}

/// What is odd about one key of a layer.
pub(super) fn warning<T: KvConfig>(state: &Layered<'_>, layer: usize, key: &str) -> Option<Problem> {
    let (table, layers) = (state.table, &state.table.layers);
    let entry = state.entry(layer, key).filter(|entry| !entry.operation().is_removal())?;
    if let Some(problem) = masked::bad::<T>(state, layer, key, entry) {
        return Some(problem);
    }
    let (kind, message) = match table.target(key) {
        None => {
            let similar = table.similar(key).map(|similar| layers.full_key(layer, similar));
            (ProblemKind::UnknownKey, unknown_key(similar.as_deref()))
        }
        Some(Target::Entry(..)) => return None,
        Some(Target::Field(at)) => {
            let slot = table.slot(at)?;
            let name = layers.full_key(layer, &slot.key);
            if slot.key != key {
                let used = state.entry_of(slot).is_some_and(|(_, used)| used.key() == entry.key());
                (ProblemKind::Alias, old_name(&name, used))
            } else if let Some(instead) = slot.meta.deprecated {
                (ProblemKind::Deprecated, deprecated(instead))
            } else {
                return None;
            }
        }
    };
    Some(Problem {
        key: layers.full_key(layer, key),
        kind,
        message,
        origin: Some(origin_of(layers, layer, entry)),
        before: None,
        before_revision: None,
        fields: Vec::new(),
    })
}
