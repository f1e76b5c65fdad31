//! What differs between two values of a struct, in stored form.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use super::otherwise::Otherwise;
use crate::schema::{Kind, KvConfig, Path, Slot, Stored, join, node_at};
use crate::value::EncodeError;
use crate::view::{Table, shown_bytes};

/// One key whose value differs. Values are in stored form, shortened, and masked for a secret.
///
/// `Display` writes `checkout.max_items: 50 → 80`. In a plan a key that has no value before or after it shows what counts
/// then: `checkout.max_items: (default 50) → 80`, `host.web-1.checkout.max_items: 80 → (60 of base.checkout.max_items)`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// The key, in full.
    pub key: String,
    /// The value before; `None` when there was none.
    pub before: Option<String>,
    /// The value after; `None` when the key is removed.
    pub after: Option<String>,
    /// In a plan of a struct: what readers get while the key has no value, before the change or after it. `None` where the
    /// key has one both times, where nothing counts, and where a stronger source has the say all along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Otherwise>,
}

impl FieldChange {
    pub(crate) const fn new(key: String, before: Option<String>, after: Option<String>) -> Self {
        Self { key, before, after, otherwise: None }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |value: &Option<String>| match (value, &self.otherwise) {
            (Some(value), _) => value.clone(),
            (None, Some(otherwise)) => format!("({otherwise})"),
            (None, None) => "(none)".to_owned(),
        };
        write!(f, "{}: {} → {}", self.key, side(&self.before), side(&self.after))
    }
}

/// A slot's keys, below the prefix, with their values.
pub(crate) fn encoded<T: KvConfig>(value: &T, slot: &Slot) -> Result<BTreeMap<String, Bytes>, EncodeError> {
    let Some((node, rest)) = node_at::<T>(slot.path.steps()) else { return Ok(BTreeMap::new()) };
    match slot.kind {
        Kind::Leaf => Ok(match node.encode(value, rest)? {
            Stored::Absent => BTreeMap::new(),
            Stored::Value(bytes) => BTreeMap::from([(slot.key.clone(), bytes)]),
        }),
        Kind::Entries => {
            let entries = node.encode_entries(value, rest)?;
            Ok(entries.into_iter().map(|(segment, bytes)| (join(&slot.key, &segment), bytes)).collect())
        }
    }
}

/// A key below the prefix, its value before and after.
pub(crate) type KeyChange = (String, Option<Bytes>, Option<Bytes>);

/// The keys of one slot that differ.
pub(crate) fn changed_keys<T: KvConfig>(
    before: &T,
    after: &T,
    slot: &Slot,
) -> Result<Vec<KeyChange>, EncodeError> {
    let (mut old, new) = (encoded(before, slot)?, encoded(after, slot)?);
    let mut changed = Vec::new();
    for (key, value) in new {
        let was = old.remove(&key);
        if was.as_ref() != Some(&value) {
            changed.push((key, was, Some(value)));
        }
    }
    changed.extend(old.into_iter().map(|(key, value)| (key, Some(value), None)));
    Ok(changed)
}

/// Everything that differs, in the order of the struct. A field that has no stored form is left out.
pub(crate) fn changed_fields<T: KvConfig>(table: &Table, before: &T, after: &T) -> Vec<FieldChange> {
    let of_slot = |slot| {
        let changed = changed_keys(before, after, slot).unwrap_or_default();
        let shown = |bytes: Option<Bytes>| bytes.map(|bytes| shown_bytes(&bytes, slot));
        let change = move |(key, old, new): KeyChange| {
            FieldChange::new(table.layers.field_key(&key), shown(old), shown(new))
        };
        changed.into_iter().map(change)
    };
    table.slots.iter().flat_map(of_slot).collect()
}

/// Whether a field has the same value in both. Values without a stored form count as different.
pub(crate) fn same_field<T: KvConfig>(before: &T, after: &T, path: Path) -> bool {
    let Some((node, rest)) = node_at::<T>(path.steps()) else { return true };
    if let (Ok(old), Ok(new)) = (node.encode(before, rest), node.encode(after, rest)) {
        return old == new;
    }
    let sorted = |value| {
        let mut entries = node.encode_entries(value, rest).ok()?;
        entries.sort_unstable();
        Some(entries)
    };
    matches!((sorted(before), sorted(after)), (Some(old), Some(new)) if old == new)
}
