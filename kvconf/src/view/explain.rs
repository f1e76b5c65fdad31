//! Why a field has the value it has.

use std::fmt;

use super::overlay::{Layered, Overlay};
use super::report::shown_bytes;
use super::{View, full_key};
use crate::origin::KeyOrigin;
use crate::schema::{KvConfig, Path, node_at};
use crate::{Operation, Origin};

/// One source's answer for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedSource {
    /// The source.
    pub origin: Origin,
    /// Its value in stored form, masked for a secret; `None` where it has none.
    pub value: Option<String>,
    /// Whether the field's value comes from here.
    pub wins: bool,
    /// Why it does not count, where there is more to say than that another source comes first.
    pub note: Option<String>,
}

/// Every source's answer for one field, the strongest first. `Display` writes one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The field's key, in full.
    pub key: String,
    /// Every source that could have a value.
    pub sources: Vec<ExplainedSource>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        for source in &self.sources {
            let mark = if source.wins { '→' } else { ' ' };
            let value = source.value.as_deref().unwrap_or("no value");
            write!(f, "\n  {mark} {value}   from {}", source.origin)?;
            if let Some(note) = &source.note {
                write!(f, "   ({note})")?;
            }
        }
        Ok(())
    }
}

impl<T: KvConfig> View<T> {
    /// Explains a field with one key, or a map of entries as a whole; `None` for a path that leads to no field.
    pub(crate) fn explain(&self, path: Path) -> Option<Explanation> {
        let (at, slot) = self.table.slot_at(path)?;
        let mut sources = Vec::new();
        if let Some((name, value)) = self.table.env(at) {
            sources.push(ExplainedSource {
                origin: Origin::Environment(name.to_owned()),
                value: Some(shown_bytes(value, slot)),
                wins: false,
                note: None,
            });
        }
        let over = Overlay::default();
        let taken = Layered { table: &self.table, base: &self.raw, over: &over };
        let prefixes = slot.kind == crate::schema::Kind::Entries;
        let mut keys: Vec<String> = std::iter::once(&slot.key).chain(&slot.aliases).cloned().collect();
        if prefixes {
            let under = self
                .raw
                .live_keys()
                .filter(|(key, _)| key.rsplit_once('.').is_some_and(|(parent, _)| parent == slot.key));
            keys = under.map(|(key, _)| key.to_owned()).collect();
            keys.sort_unstable();
        }
        for key in &keys {
            for rejected in self.rejected.iter().rev().filter_map(|group| group.changes.get(key)).flatten() {
                sources.push(ExplainedSource {
                    origin: Origin::Key(KeyOrigin::of(rejected)),
                    value: rejected.put_value().map(|bytes| shown_bytes(bytes, slot)),
                    wins: false,
                    note: Some("rejected".to_owned()),
                });
            }
            if let Some(entry) = taken.entry(key) {
                let note = match entry.operation() {
                    Operation::Delete | Operation::Purge => Some("removed".to_owned()),
                    _ if slot.key != *key && !prefixes => {
                        Some(format!("under the old name {}", full_key(&self.prefix, key)))
                    }
                    _ => None,
                };
                sources.push(ExplainedSource {
                    origin: Origin::Key(KeyOrigin::of(entry)),
                    value: entry.put_value().map(|bytes| shown_bytes(bytes, slot)),
                    wins: false,
                    note,
                });
            }
        }
        let default = node_at::<T>(path.steps()).and_then(|(node, rest)| node.default_text(rest));
        sources.push(ExplainedSource {
            origin: Origin::Default,
            value: default.map(|bytes| shown_bytes(&bytes, slot)),
            wins: false,
            note: slot.required.then(|| "required".to_owned()),
        });
        let rejected = |source: &ExplainedSource| source.note.as_deref() == Some("rejected");
        let removed = |source: &ExplainedSource| source.note.as_deref() == Some("removed");
        for source in &mut sources {
            source.wins = !rejected(source) && !removed(source);
            if source.wins && !prefixes {
                break;
            }
        }
        Some(Explanation { key: full_key(&self.prefix, &slot.key), sources })
    }
}
