//! Why a field has the value it has.

use std::fmt;

use super::report::shown_bytes;
use super::{View, full_key};
use crate::origin::KeyOrigin;
use crate::schema::{Kind, KvConfig, Path, Slot, node_at};
use crate::{Entry, Operation, Origin};

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

/// What speaks against a source.
const REJECTED: &str = "rejected";
const REMOVED: &str = "removed";

fn source(origin: Origin, value: Option<String>, note: Option<String>) -> ExplainedSource {
    ExplainedSource { origin, value, wins: false, note }
}

impl<T: KvConfig> View<T> {
    /// Explains a field with one key, or a map of entries as a whole; `None` for a path that leads to no field.
    pub(crate) fn explain(&self, path: Path) -> Option<Explanation> {
        let (at, slot) = self.table.slot_at(path)?;
        let variable = self.table.env(at);
        let mut sources: Vec<ExplainedSource> = variable
            .map(|(name, value)| {
                source(Origin::Environment(name.to_owned()), Some(shown_bytes(value, slot)), None)
            })
            .into_iter()
            .collect();
        for key in self.keys_of(slot) {
            self.explain_key(slot, &key, &mut sources);
        }
        let counts = |source: &ExplainedSource| !matches!(source.note.as_deref(), Some(REJECTED | REMOVED));
        let is_map = slot.kind == Kind::Entries;
        let default = node_at::<T>(path.steps()).and_then(|(node, rest)| node.default_text(rest));
        let required = slot.required.then(|| "required".to_owned());
        let default = source(Origin::Default, default.map(|bytes| shown_bytes(&bytes, slot)), required);
        if !is_map || !sources.iter().any(counts) {
            sources.push(default);
        }
        // Every entry of a map counts; of a field's sources the first that has something to say.
        for source in
            sources.iter_mut().filter(|source| counts(source)).take(if is_map { usize::MAX } else { 1 })
        {
            source.wins = true;
        }
        Some(Explanation { key: full_key(&self.prefix, &slot.key), sources })
    }

    /// The keys below the prefix that can hold a value for a slot.
    fn keys_of(&self, slot: &Slot) -> Vec<String> {
        if slot.kind == Kind::Leaf {
            return slot.names().into_iter().map(str::to_owned).collect();
        }
        let all = self.true_state();
        let belongs = |key: &str| key.rsplit_once('.').is_some_and(|(parent, _)| parent == slot.key);
        let mut keys: Vec<String> =
            all.live_keys().map(|(key, _)| key).filter(|key| belongs(key)).map(str::to_owned).collect();
        keys.sort_unstable();
        keys
    }

    fn explain_key(&self, slot: &Slot, key: &str, sources: &mut Vec<ExplainedSource>) {
        let entry_source = |entry: &Entry, note: Option<String>| {
            let value = entry.put_value().map(|bytes| shown_bytes(bytes, slot));
            source(Origin::Key(KeyOrigin::of(entry)), value, note)
        };
        for rejected in self.rejected.iter().rev().filter_map(|group| group.changes.get(key)).flatten() {
            sources.push(entry_source(rejected, Some(REJECTED.to_owned())));
        }
        if let Some(entry) = self.raw.get(key) {
            let note = match entry.operation() {
                Operation::Delete | Operation::Purge => Some(REMOVED.to_owned()),
                _ if slot.kind == Kind::Leaf && slot.key != key => {
                    Some(format!("under the old name {}", full_key(&self.prefix, key)))
                }
                _ => None,
            };
            sources.push(entry_source(entry, note));
        }
    }
}
