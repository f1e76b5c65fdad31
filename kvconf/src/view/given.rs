//! What sources outside the bucket say, and changes of it: the same two shapes that `overlay.rs` has for the bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::source::{Given, Sheet, Source};

/// The taken content of each source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sheets(BTreeMap<Source, Sheet>);

/// What changes in each source: a new value by key, or nothing where it says nothing any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct SheetChanges(BTreeMap<Source, BTreeMap<String, Option<Arc<Given>>>>);

impl Sheets {
    pub(crate) fn set(&mut self, source: Source, sheet: Sheet) {
        self.0.insert(source, sheet);
    }

    pub(crate) fn sheet(&self, source: Source) -> Option<&Sheet> {
        self.0.get(&source)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All sources, the strongest first.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Source> {
        self.0.keys().rev().copied()
    }

    pub(crate) fn absorb(&mut self, changes: &SheetChanges) {
        for (source, changed) in &changes.0 {
            let sheet = self.0.entry(*source).or_default();
            for (key, given) in changed {
                match given {
                    Some(given) => sheet.insert(key.clone(), Arc::clone(given)),
                    None => sheet.remove(key),
                };
            }
        }
    }

    /// What leads from a source's taken content to another.
    pub(crate) fn leading_to(&self, source: Source, sheet: &Sheet) -> SheetChanges {
        let empty = Sheet::new();
        let now = self.sheet(source).unwrap_or(&empty);
        let new = sheet.iter().filter(|(key, given)| now.get(*key) != Some(given));
        let new = new.map(|(key, given)| (key.clone(), Some(Arc::clone(given))));
        let gone = now.keys().filter(|key| !sheet.contains_key(*key)).map(|key| (key.clone(), None));
        let changed: BTreeMap<_, _> = new.chain(gone).collect();
        SheetChanges(if changed.is_empty() { BTreeMap::new() } else { BTreeMap::from([(source, changed)]) })
    }

    /// Whether changes alter a value, and not only the place where it stands.
    pub(crate) fn differ_by(&self, changes: &SheetChanges) -> bool {
        let value = |given: Option<&Arc<Given>>| given.map(|given| given.value.clone());
        changes.0.iter().any(|(source, changed)| {
            let sheet = self.sheet(*source);
            let mut pairs = changed.iter();
            pairs.any(|(key, new)| value(sheet.and_then(|sheet| sheet.get(key))) != value(new.as_ref()))
        })
    }
}

impl SheetChanges {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.values().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// What is new in one source under a key: a value, or that there is none any more.
    pub(crate) fn get(&self, source: Source, key: &str) -> Option<&Option<Arc<Given>>> {
        self.0.get(&source)?.get(key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<Given>> {
        self.0.values().flat_map(BTreeMap::values).flatten()
    }

    pub(crate) fn extend(&mut self, newer: &Self) {
        for (source, changed) in &newer.0 {
            let known = self.0.entry(*source).or_default();
            known.extend(changed.iter().map(|(key, given)| (key.clone(), given.clone())));
        }
    }

    /// Leaves out what only removes.
    pub(crate) fn without_removals(mut self) -> Self {
        for changed in self.0.values_mut() {
            changed.retain(|_, given| given.is_some());
        }
        self.0.retain(|_, changed| !changed.is_empty());
        self
    }
}
