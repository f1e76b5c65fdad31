//! Why a field has the value it has.

use std::collections::BTreeSet;
use std::fmt;

use super::View;
use super::overlay::{Layered, Overlay, origin_of};
use super::report::shown_bytes;
use crate::schema::{Kind, KvConfig, Path, Slot, join, node_at};
use crate::source::{Given, Source};
use crate::{Entry, Operation, Origin};

/// One source's answer for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedSource {
    /// Which entry of a map it speaks of, by its key in full; `None` for a field with one key.
    pub key: Option<String>,
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
            write!(f, "\n  {mark} ")?;
            if let Some(key) = &source.key {
                write!(f, "{key}: ")?;
            }
            write!(f, "{value}   from {}", source.origin)?;
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

impl ExplainedSource {
    const fn new(origin: Origin, value: Option<String>, note: Option<String>) -> Self {
        Self { key: None, origin, value, wins: false, note }
    }

    /// Whether it has something to say.
    fn counts(&self) -> bool {
        !matches!(self.note.as_deref(), Some(REJECTED | REMOVED))
    }
}

impl<T: KvConfig> View<T> {
    /// Explains a field with one key, or a map of entries as a whole; `None` for a path that leads to no field.
    pub(crate) fn explain(&self, path: Path) -> Option<Explanation> {
        let (_, slot) = self.table.slot_at(path)?;
        let mut sources = Vec::new();
        if slot.kind == Kind::Leaf {
            let names: Vec<&str> = slot.names();
            self.explain_value(slot, &names, &mut sources);
        } else {
            for key in self.entries_of(slot) {
                let before = sources.len();
                self.explain_value(slot, &[&key], &mut sources);
                for source in sources.iter_mut().skip(before) {
                    source.key = Some(self.field_key(&key));
                }
            }
        }
        if !sources.iter().any(|source| source.wins) || slot.kind == Kind::Leaf {
            let default = node_at::<T>(path.steps()).and_then(|(node, rest)| node.default_text(rest));
            let required = slot.required.then(|| "required".to_owned());
            let shown = default.map(|bytes| shown_bytes(&bytes, slot));
            let mut default = ExplainedSource::new(Origin::Default, shown, required);
            default.wins = !sources.iter().any(|source| source.wins);
            sources.push(default);
        }
        Some(Explanation { key: self.field_key(&slot.key), sources })
    }

    /// The keys below the prefix of all entries of a map, wherever they stand.
    pub(crate) fn entries_of(&self, slot: &Slot) -> BTreeSet<String> {
        let all = self.true_state();
        let over = Overlay::default();
        let layered = Layered::new(&self.table, &all, &over);
        let given = layered.given_segments(&slot.key);
        let mut keys: BTreeSet<String> = given.into_iter().map(|segment| join(&slot.key, segment)).collect();
        let belongs = |key: &&str| key.rsplit_once('.').is_some_and(|(parent, _)| parent == slot.key);
        keys.extend(all.live_keys().map(|(_, key, _)| key).filter(belongs).map(str::to_owned));
        keys
    }

    /// Every source's answer for one value, which can stand under several names; the first that counts wins.
    fn explain_value(&self, slot: &Slot, names: &[&str], sources: &mut Vec<ExplainedSource>) {
        let before = sources.len();
        let Some(key) = names.first() else { return };
        self.explain_given(slot, key, &[Source::Override], sources);
        if let Some(given) = self.table.env(key) {
            sources.push(given_source(given, slot, None));
        }
        for layer in self.layers().strongest_first() {
            for name in names {
                self.explain_key(slot, layer, name, sources);
            }
        }
        let files: Vec<Source> = self.taken().files().collect();
        self.explain_given(slot, key, &files, sources);
        if let Some(winner) = sources.iter_mut().skip(before).find(|source| source.counts()) {
            winner.wins = true;
        }
    }

    fn explain_given(&self, slot: &Slot, key: &str, from: &[Source], sources: &mut Vec<ExplainedSource>) {
        for source in from {
            let waiting = self.rejected.iter().filter_map(|group| group.changes.given.get(*source, key));
            for given in waiting.flatten() {
                sources.push(given_source(given, slot, Some(REJECTED.to_owned())));
            }
            if let Some(given) = self.taken().given(*source, key) {
                sources.push(given_source(given, slot, None));
            }
        }
    }

    fn explain_key(&self, slot: &Slot, layer: usize, key: &str, sources: &mut Vec<ExplainedSource>) {
        let entry_source = |entry: &Entry, note: Option<String>| {
            let value = entry.put_value().map(|bytes| shown_bytes(bytes, slot));
            ExplainedSource::new(origin_of(self.layers(), layer, entry), value, note)
        };
        for rejected in self.rejected.iter().rev().filter_map(|group| group.changes.get(layer, key)).flatten()
        {
            sources.push(entry_source(rejected, Some(REJECTED.to_owned())));
        }
        if let Some(entry) = self.raw.get(layer, key) {
            let note = match entry.operation() {
                Operation::Delete | Operation::Purge => Some(REMOVED.to_owned()),
                _ if slot.kind == Kind::Leaf && slot.key != key => {
                    Some(format!("under the old name {}", self.layers().full_key(layer, key)))
                }
                _ => None,
            };
            sources.push(entry_source(entry, note));
        }
    }
}

fn given_source(given: &Given, slot: &Slot, note: Option<String>) -> ExplainedSource {
    let value = given.value.as_ref().map(|bytes| shown_bytes(bytes, slot));
    ExplainedSource::new(given.origin.clone(), value, note)
}
