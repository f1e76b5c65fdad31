//! Raw keys below a prefix, and changes laid over them.

use std::collections::HashMap;
use std::sync::Arc;

use super::Table;
use super::kept::Kept;
use crate::schema::{Path, Raw, RawKeys};
use crate::seal::{Clear, SealError};
use crate::{Entry, Operation, Revision};

/// The newest entry of each key.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawState(HashMap<String, Arc<Entry>>);

impl RawState {
    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.0.get(key)
    }

    /// The newest entry of every key, markers included.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.0.values()
    }

    /// All keys that have a value.
    pub(crate) fn live_keys(&self) -> impl Iterator<Item = (&str, &Arc<Entry>)> {
        let live = self.0.iter().filter(|(_, entry)| !entry.operation().is_removal());
        live.map(|(key, entry)| (key.as_str(), entry))
    }

    /// The newest revision of any key, markers included.
    pub(crate) fn newest_revision(&self) -> Revision {
        self.0.values().map(|entry| entry.revision()).max().unwrap_or_default()
    }

    pub(crate) fn absorb(&mut self, changes: &Overlay) {
        for (key, entry) in &changes.0 {
            self.set(key.clone(), entry.as_ref());
        }
    }

    pub(crate) fn set(&mut self, key: String, entry: Option<&Arc<Entry>>) {
        match entry {
            Some(entry) => self.0.insert(key, Arc::clone(entry)),
            None => self.0.remove(&key),
        };
    }

    /// Makes room for so many more keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.0.reserve(keys);
    }
}

/// Changes by key: a new entry, or nothing where the key is gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay(HashMap<String, Option<Arc<Entry>>>);

impl Overlay {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn insert(&mut self, key: String, entry: Option<Arc<Entry>>) {
        self.0.insert(key, entry);
    }

    pub(crate) fn extend(&mut self, newer: &Self) {
        self.0.extend(newer.0.iter().map(|(key, entry)| (key.clone(), entry.clone())));
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Option<Arc<Entry>>> {
        self.0.get(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.0.values().flatten()
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|key, _| keep(key));
    }
}

/// Changes laid over a state, the environment on top.
pub(crate) struct Layered<'a> {
    pub(crate) table: &'a Table,
    pub(crate) base: &'a RawState,
    pub(crate) over: &'a Overlay,
    /// What sealed values held. Wiped with the trial.
    opened: Kept<Result<Clear, SealError>>,
}

pub(crate) fn raw_of(entry: Option<&Arc<Entry>>) -> Raw<'_> {
    match entry {
        None => Raw::Absent,
        Some(entry) => match entry.operation() {
            Operation::Put => Raw::Bytes(entry.value()),
            Operation::Unknown => Raw::Unknown,
            Operation::Delete | Operation::Purge => Raw::Absent,
        },
    }
}

impl<'a> Layered<'a> {
    pub(crate) fn new(table: &'a Table, base: &'a RawState, over: &'a Overlay) -> Self {
        Self { table, base, over, opened: Kept::default() }
    }

    /// What an entry says; a sealed secret is opened.
    fn read(&self, entry: &'a Arc<Entry>, secret: bool) -> Raw<'_> {
        if secret
            && let Some(sealed) = entry.put_value()
            && let Some(opened) = self.table.seals.open(entry.key(), sealed)
        {
            return match self.opened.keep(opened) {
                Ok(clear) => Raw::Bytes(clear),
                Err(error) => Raw::Sealed(error),
            };
        }
        raw_of(Some(entry))
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&'a Arc<Entry>> {
        match self.over.get(key) {
            Some(entry) => entry.as_ref(),
            None => self.base.get(key),
        }
    }
}

impl<'a> RawKeys for Layered<'a> {
    fn raw(&self, key: &str, path: Path) -> Raw<'_> {
        match self.table.env_at(path) {
            Some(value) => Raw::Bytes(value),
            None => match self.entry(key) {
                Some(entry) => {
                    self.read(entry, self.table.slot_at(path).is_some_and(|(_, slot)| slot.meta.secret))
                }
                None => Raw::Absent,
            },
        }
    }

    fn each_below(&self, key: &str, visit: &mut dyn FnMut(&str, Raw<'_>)) {
        let below = |full: &str| -> Option<usize> {
            let rest = if key.is_empty() { full } else { full.strip_prefix(key)?.strip_prefix('.')? };
            (!rest.contains('.')).then(|| full.len() - rest.len())
        };
        let mut each = |full: &str, entry: &'a Arc<Entry>| {
            if let Some(segment) = below(full).and_then(|at| full.get(at..)) {
                let raw = self.read(entry, self.table.is_secret(full) == Some(true));
                if raw != Raw::Absent {
                    visit(segment, raw);
                }
            }
        };
        for (full, entry) in &self.base.0 {
            if self.over.get(full).is_none() {
                each(full, entry);
            }
        }
        for (full, entry) in &self.over.0 {
            if let Some(entry) = entry {
                each(full, entry);
            }
        }
    }
}
