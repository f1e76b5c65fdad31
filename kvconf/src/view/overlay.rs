//! Raw keys below a prefix, and changes laid over them.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Table;
use super::kept::Kept;
use crate::schema::{Path, Raw, RawKeys};
use crate::seal::{Clear, SealError, Seals};
use crate::{Entry, Operation, Revision};

/// An entry by its key below the prefix. The text is the entry's own: a copy for each of 10 000 keys is a measurable part of
/// a start.
#[derive(Debug, Clone)]
struct Named {
    entry: Arc<Entry>,
    /// Where the part below the prefix begins.
    from: usize,
}

impl Named {
    fn new(key: &str, entry: &Arc<Entry>) -> Self {
        let full = entry.key().as_str();
        debug_assert!(full.ends_with(key), "{full} does not stand under {key}");
        Self { entry: Arc::clone(entry), from: full.len().saturating_sub(key.len()) }
    }

    fn key(&self) -> &str {
        self.entry.key().as_str().get(self.from..).unwrap_or_default()
    }
}

impl Borrow<str> for Named {
    fn borrow(&self) -> &str {
        self.key()
    }
}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Named {}

/// The newest entry of each key.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawState(HashSet<Named, RandomState>);

impl RawState {
    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.0.get(key).map(|named| &named.entry)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Entry>)> {
        self.0.iter().map(|named| (named.key(), &named.entry))
    }

    /// The newest entry of every key, markers included.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.0.iter().map(|named| &named.entry)
    }

    /// All keys that have a value.
    pub(crate) fn live_keys(&self) -> impl Iterator<Item = (&str, &Arc<Entry>)> {
        self.iter().filter(|(_, entry)| !entry.operation().is_removal())
    }

    /// The newest revision of any key that counts, markers included.
    pub(crate) fn newest_revision(&self, counts: impl Fn(&str) -> bool) -> Revision {
        let counted = self.iter().filter(|(key, _)| counts(key));
        counted.map(|(_, entry)| entry.revision()).max().unwrap_or_default()
    }

    pub(crate) fn absorb(&mut self, changes: &Overlay) {
        for (key, entry) in &changes.0 {
            self.set(key, entry.as_ref());
        }
    }

    /// `key` is what stands below the prefix in the key of the entry.
    pub(crate) fn set(&mut self, key: &str, entry: Option<&Arc<Entry>>) {
        match entry {
            Some(entry) => _ = self.0.replace(Named::new(key, entry)),
            None => _ = self.0.remove(key),
        }
    }
}

/// Changes by key: a new entry, or nothing where the key is gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay(HashMap<String, Option<Arc<Entry>>, RandomState>);

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
    opened: Opened,
}

pub(super) fn raw_of(entry: Option<&Arc<Entry>>) -> Raw<'_> {
    match entry {
        None => Raw::Absent,
        Some(entry) => match entry.operation() {
            Operation::Put => Raw::Bytes(entry.value()),
            Operation::Unknown => Raw::Unknown,
            Operation::Delete | Operation::Purge => Raw::Absent,
        },
    }
}

/// What sealed values held, for as long as their raw values are looked at. Then it is wiped.
#[derive(Default)]
pub(crate) struct Opened(Kept<Result<Clear, SealError>>);

impl Opened {
    /// What an entry says; a sealed secret is opened.
    pub(crate) fn raw<'a>(&'a self, seals: &Seals, secret: bool, entry: Option<&'a Arc<Entry>>) -> Raw<'a> {
        let sealed = entry.filter(|_| secret).and_then(|entry| seals.open(entry.key(), entry.put_value()?));
        match sealed.map(|opened| self.0.keep(opened)) {
            None => raw_of(entry),
            Some(Ok(clear)) => Raw::Bytes(clear),
            Some(Err(error)) => Raw::Sealed(error),
        }
    }
}

impl<'a> Layered<'a> {
    pub(crate) fn new(table: &'a Table, base: &'a RawState, over: &'a Overlay) -> Self {
        Self { table, base, over, opened: Opened::default() }
    }

    fn read(&self, entry: &'a Arc<Entry>, secret: bool) -> Raw<'_> {
        self.opened.raw(&self.table.seals, secret, Some(entry))
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
        for (full, entry) in self.base.iter() {
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
