//! A first state in the making.
//!
//! Entries are decoded one by one as they come, while the server still delivers the next ones and the processor would wait:
//! what is left for the end is to put values into their fields. With 10 000 keys, decoding them all after the last one had
//! arrived took a quarter of the start.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::SystemTime;

use super::evaluate::{build, contained};
use super::overlay::raw_of;
use super::{RawState, Table, Target, View, below, report};
use crate::schema::{KvConfig, Prepared, Slot, node_at};
use crate::{Entry, Key, Prefix, Report, Revision, Snapshot};

/// What will be a [`View`] when the last entry is here. A newer entry of a key takes the place of an older one.
pub(crate) struct Draft<T> {
    table: Arc<Table>,
    prefix: Prefix,
    raw: RawState,
    /// By slot.
    prepared: Vec<Prepared>,
    /// Keys with which something may be odd.
    odd: BTreeSet<String>,
    marker: PhantomData<fn() -> T>,
}

impl<T: KvConfig> Draft<T> {
    /// A state with no keys.
    pub(crate) fn new(table: Arc<Table>, prefix: Prefix) -> Self {
        // Several keys, or the environment, may have a value: which one counts is known at the end.
        let is_open = |at: usize, slot: &Slot| !slot.aliases.is_empty() || table.env(at).is_some();
        let slots = table.slots.iter().enumerate();
        let prepared = slots
            .map(|(at, slot)| if is_open(at, slot) { Prepared::Open } else { Prepared::Absent })
            .collect();
        Self { table, prefix, raw: RawState::default(), prepared, odd: BTreeSet::new(), marker: PhantomData }
    }

    /// Takes what stands under a key, or that nothing does.
    pub(crate) fn take(&mut self, key: &Key, entry: Option<&Arc<Entry>>) {
        let Some(key) = below(key, &self.prefix) else { return };
        match self.table.target(key) {
            Some(Target::Field(at)) => {
                let slot = self.table.slot(at);
                if slot.is_some_and(|slot| slot.key != key || slot.meta.deprecated.is_some()) {
                    self.odd.insert(key.to_owned());
                }
                self.prepare(at, None, entry);
            }
            Some(Target::Entry(at, segment)) => self.prepare(at, Some(segment), entry),
            None => _ = self.odd.insert(key.to_owned()),
        }
        self.raw.set(key, entry);
    }

    fn prepare(&mut self, at: usize, segment: Option<&str>, entry: Option<&Arc<Entry>>) {
        let (Some(slot), Some(prepared)) = (self.table.slot(at), self.prepared.get_mut(at)) else { return };
        if matches!(prepared, Prepared::Open) {
            return;
        }
        let Some((node, rest)) = node_at::<T>(slot.path.steps()) else { return };
        if contained(|| node.prepare(prepared, rest, segment, raw_of(entry))).is_none() {
            // The program's own code panics on it: when the struct is built it will again, and that is told.
            *prepared = Prepared::Open;
        }
    }

    /// Builds the first state as of a revision, or says everything that is wrong with it.
    pub(crate) fn finish(self, bucket: &str, revision: Revision, epoch: u64) -> Result<View<T>, Report> {
        let Self { table, prefix, raw, prepared, odd, .. } = self;
        let at = SystemTime::now();
        let report = |problems| Report {
            name: table.name,
            bucket: bucket.to_owned(),
            revision: Some(revision),
            serving: None,
            at,
            problems,
        };
        let value = build::<T>(&table, &raw, &prefix, prepared).map_err(report)?;
        let warnings = report::warnings(&table, &raw, &prefix, &odd);
        let found = (!warnings.is_empty()).then(|| {
            let mut found = report(warnings.values().cloned().collect());
            found.serving = Some(revision);
            Arc::new(found)
        });
        Ok(View {
            snapshot: Arc::new(Snapshot::new(value, revision, epoch, Arc::from([]))),
            table,
            bucket: bucket.to_owned(),
            prefix,
            raw,
            rejected: Vec::new(),
            seen: revision,
            epoch,
            report: found,
            awaiting_restart: BTreeSet::new(),
            spare: None,
            warnings,
        })
    }
}
