//! What differs between two values of a struct, in stored form.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use super::otherwise::Otherwise;
use crate::flag::FlagDifference;
use crate::schema::{Kind, KvConfig, Path, Slot, Stored, join, node_at};
use crate::value::EncodeError;
use crate::view::{Table, shown_bytes};

/// One key whose value differs. Values are in stored form, shortened, and masked for a secret.
///
/// `Display` writes `checkout.max_items: 50 → 80`. In a plan a key that has no value before or after it shows what counts
/// then: `checkout.max_items: (default 50) → 80`, `host.web-1.checkout.max_items: 80 → (60 of base.checkout.max_items)`.
///
/// Of a flag a line more is written for each part that differs:
///
/// ```text
/// shop.new_cart:
///   state: DISABLED → ENABLED
///   targeting.fractional: on 10 % → 20 %, off 90 % → 80 %
/// ```
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
    /// For a flag: what differs in it. Everything in one that was not there before; nothing for one that is removed. For a
    /// rule that flags share: what differs in it, by paths that begin with `rule`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flag: Vec<FlagDifference>,
}

impl FieldChange {
    /// A change of a key whose values are shown like this.
    pub(crate) const fn new(key: String, before: Option<String>, after: Option<String>) -> Self {
        Self { key, before, after, otherwise: None, flag: Vec::new() }
    }

    /// With what differs in a flag, or in a rule that flags share, if these stored values are one and no secret.
    pub(crate) fn with_details(
        self,
        slot: Option<&Slot>,
        before: Option<&Bytes>,
        after: Option<&Bytes>,
    ) -> Self {
        let (before, after) = (before.map(|bytes| &**bytes), after.map(|bytes| &**bytes));
        let flag = match slot {
            Some(slot) if slot.meta.secret => Vec::new(),
            Some(slot) if slot.meta.type_name == RULE => FlagDifference::of_rules(before, after),
            _ => FlagDifference::of_stored(before, after),
        };
        Self { flag, ..self }
    }

    /// The value before is there for a time only.
    pub(crate) fn before_goes(&mut self) {
        if let Some(before) = &mut self.before {
            before.push_str(" (for a time)");
        }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |value: &Option<String>| match (value, &self.otherwise) {
            (Some(value), _) => value.clone(),
            (None, Some(otherwise)) => format!("({otherwise})"),
            (None, None) => "(none)".to_owned(),
        };
        if self.flag.is_empty() {
            return write!(f, "{}: {} → {}", self.key, side(&self.before), side(&self.after));
        }
        write!(f, "{}:", self.key)?;
        if self.before.is_none() {
            write!(f, " {} → a flag", side(&self.before))?;
        }
        self.flag.iter().try_for_each(|difference| write!(f, "\n  {difference}"))
    }
}

/// The name of the type of rules that flags share.
pub(crate) const RULE: &str = "rule";

/// A slot's keys, below the prefix, with their values.
pub(crate) fn encoded<T: KvConfig>(value: &T, slot: &Slot) -> Result<BTreeMap<String, Bytes>, EncodeError> {
    let Some((node, rest)) = node_at::<T>(slot.path.steps()) else { return Ok(BTreeMap::new()) };
    match slot.kind {
        Kind::Leaf => Ok(match node.encode(value, rest)? {
            Stored::Absent => BTreeMap::new(),
            Stored::Value(bytes) => BTreeMap::from([(slot.key.clone(), bytes)]),
        }),
        Kind::Entries => Ok(in_full(slot, node.encode_entries(value, rest)?)),
    }
}

/// A map's entries by their keys below the prefix.
fn in_full(slot: &Slot, entries: Vec<(String, Bytes)>) -> BTreeMap<String, Bytes> {
    entries.into_iter().map(|(segment, bytes)| (join(&slot.key, &segment), bytes)).collect()
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
        changed.into_iter().map(|(key, old, new)| {
            let show = |bytes: Option<&Bytes>| bytes.map(|bytes| shown_bytes(bytes, slot));
            let key = table.layers.field_key(&key);
            let change = FieldChange::new(key, show(old.as_ref()), show(new.as_ref()));
            change.with_details(Some(slot), old.as_ref(), new.as_ref())
        })
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
