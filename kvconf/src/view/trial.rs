//! Holding one state after the other against a struct, without a handle: what a start would say to each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::evaluate::{Faults, build, contained, decode_slot, panicked, tell, validate};
use super::overlay::{Layered, Overlay};
use super::report::Place;
use super::{RawState, Table, Target};
use crate::schema::{FieldProblem, Kind, KvConfig, Raw, Slot, link, node_at};
use crate::{Entry, Problem};

/// A state that changes, and what is wrong with it. A step costs what it changes, and one run of each `validate`.
///
/// Unlike a [`View`](super::View) it takes every state, good or bad. A field that is bad keeps its last good value, which
/// nobody gets to see: `validate` is not run on a struct that has a bad field, as it is not at a start.
pub(crate) struct Trial<T> {
    table: Arc<Table>,
    raw: RawState,
    /// `None` until a state could be built: there is no value to read the changes into.
    value: Option<Box<T>>,
    /// By slot.
    bad: BTreeMap<usize, Vec<FieldProblem>>,
}

impl<T: KvConfig> Trial<T> {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        let raw = RawState::new(Arc::clone(&table));
        Self { table, raw, value: None, bad: BTreeMap::new() }
    }

    /// Begins with some value of the struct, whatever it is: it only saves the search for a state that can be built.
    pub(crate) fn seeded(table: Arc<Table>, seed: Option<T>) -> Self {
        let mut trial = Self::new(table);
        if let Some(mut value) = seed.map(Box::new) {
            let over = Overlay::default();
            let layered = Layered::new(&trial.table, &trial.raw, &over);
            let read = contained(|| {
                let mut bad = BTreeMap::new();
                for (at, slot) in trial.table.slots.iter().enumerate() {
                    clear_map(&mut *value, slot)?;
                    let mut faults = Vec::new();
                    decode_slot(slot, &mut std::iter::empty(), &layered, &mut *value, &mut faults);
                    bad.insert(at, faults);
                }
                Some((value, bad))
            });
            if let Some((value, mut bad)) = read.flatten() {
                bad.retain(|_, faults| !faults.is_empty());
                (trial.value, trial.bad) = (Some(value), bad);
            }
        }
        trial
    }

    /// The value of the state, or of an earlier one where this one is bad.
    pub(crate) fn into_value(self) -> Option<T> {
        self.value.map(|value| *value)
    }

    /// Takes entries over, with their layers and the keys below the prefixes of these, and says everything that is wrong with
    /// the state that results.
    pub(crate) fn step(
        &mut self,
        entries: impl IntoIterator<Item = (usize, String, Arc<Entry>)>,
    ) -> Vec<Problem> {
        let mut touched: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for (layer, key, entry) in entries {
            match self.table.target(&key) {
                Some(Target::Field(at)) => {
                    touched.entry(at).or_default();
                }
                Some(Target::Entry(at, segment)) => {
                    touched.entry(at).or_default().insert(segment.to_owned());
                }
                None => continue,
            }
            self.raw.set(layer, &key, Some(&entry));
        }
        match self.value.take() {
            Some(value) => self.read(value, touched),
            None => self.build(),
        }
    }

    /// Reads everything: there is nothing yet to read changes into.
    fn build(&mut self) -> Vec<Problem> {
        match build::<T, Box<T>>(&self.table, &self.raw, Vec::new()) {
            Ok(value) => {
                (self.value, self.bad) = (Some(value), BTreeMap::new());
                Vec::new()
            }
            Err(problems) => problems,
        }
    }

    fn read(&mut self, mut value: Box<T>, touched: BTreeMap<usize, BTreeSet<String>>) -> Vec<Problem> {
        let over = Overlay::default();
        let layered = Layered::new(&self.table, &self.raw, &over);
        let bad = &mut self.bad;
        let (table, state) = (&*self.table, &layered);
        let outcome = contained(move || {
            for (at, mut segments) in touched {
                let Some(slot) = table.slot(at) else { continue };
                // Of a map everything that was bad is read again: its faults are told together.
                for fault in bad.remove(&at).into_iter().flatten() {
                    let below = fault.key.strip_prefix(&slot.key).unwrap_or(&fault.key);
                    let segment = below.strip_prefix('.').unwrap_or(below);
                    segments.extend((!segment.is_empty()).then(|| segment.to_owned()));
                }
                let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
                let mut faults = Vec::new();
                decode_slot(slot, &mut segments.iter().copied(), state, &mut *value, &mut faults);
                if !faults.is_empty() {
                    bad.insert(at, faults);
                }
            }
            let mut faults =
                Faults { fields: bad.values().flatten().cloned().collect(), ..Faults::default() };
            faults.fields.extend(link(&table.linkers, &mut *value));
            validate(table, &*value, &mut faults);
            (value, faults)
        });
        let Some((value, faults)) = outcome else {
            // The value may be half of one state and half of another: the next state is read from the beginning.
            self.bad.clear();
            return vec![panicked(&self.table)];
        };
        self.value = Some(value);
        if faults.is_empty() {
            return Vec::new();
        }
        tell::<T>(&faults, &Place { table: &self.table, state: &layered, served: None })
    }
}

/// Takes all entries out of a map; `None` when that cannot be done.
pub(crate) fn clear_map<T: KvConfig>(value: &mut T, slot: &Slot) -> Option<()> {
    if slot.kind != Kind::Entries {
        return Some(());
    }
    let (node, rest) = node_at::<T>(slot.path.steps())?;
    for (segment, _) in node.encode_entries(value, rest).ok()? {
        node.read_entry(value, rest, &segment, Raw::Absent).ok()?;
    }
    Some(())
}
