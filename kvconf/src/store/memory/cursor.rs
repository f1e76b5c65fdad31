//! Where a subscription stands in the log. Pure, as the log is.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::log::{Change, ChangeKind, Log};
use crate::store::{Delivery, Fault, Start};
use crate::{Filter, Key};

/// One subscription's place.
///
/// As on the server, positions are looked up when their turn comes: an entry that was pushed out, purged or expired
/// before that is never delivered.
#[derive(Debug)]
pub(super) struct Cursor {
    filters: Vec<Filter>,
    /// What was the last entry of its key when the subscription began, and has not been delivered.
    backlog: BTreeSet<u64>,
    /// Behind the backlog, every entry from this revision on.
    next: u64,
    /// How many of them match.
    waiting: u64,
    sequence: u64,
    faults: VecDeque<Fault>,
    ended: bool,
    lose: u64,
    paused: bool,
}

impl Cursor {
    pub(super) fn new(filters: Vec<Filter>, start: Start, log: &Log) -> Self {
        let mut cursor = Self {
            filters,
            backlog: BTreeSet::new(),
            next: 1,
            waiting: 0,
            sequence: 0,
            faults: VecDeque::new(),
            ended: false,
            lose: 0,
            paused: false,
        };
        match start {
            Start::All => cursor.seek(1, log),
            Start::Revision(revision) => cursor.seek(revision.get().max(1), log),
            Start::New => cursor.seek(log.last() + 1, log),
            Start::Last => {
                cursor.seek(log.last() + 1, log);
                cursor.backlog = log.last_revisions(&cursor.filters);
            }
        }
        cursor
    }

    fn seek(&mut self, revision: u64, log: &Log) {
        self.backlog.clear();
        self.next = revision;
        self.waiting = log.from(revision).filter(|entry| asked(&self.filters, &entry.key)).count() as u64;
    }

    /// How many entries have not been delivered.
    pub(super) fn pending(&self) -> u64 {
        self.backlog.len() as u64 + self.waiting
    }

    /// Takes note of what came or went; says whether there may be something to deliver.
    pub(super) fn note(&mut self, change: &Change) -> bool {
        match change.kind {
            ChangeKind::Added if change.revision >= self.next && asked(&self.filters, &change.key) => {
                self.waiting += 1;
                true
            }
            ChangeKind::Removed if change.revision >= self.next => {
                self.waiting -= u64::from(asked(&self.filters, &change.key));
                false
            }
            ChangeKind::Removed => {
                self.backlog.remove(&change.revision);
                false
            }
            ChangeKind::Added => false,
        }
    }

    /// The next thing to say; `None` when there is nothing now.
    pub(super) fn advance(&mut self, log: &Log) -> Option<Delivery> {
        if let Some(fault) = self.next_fault() {
            return Some(fault);
        }
        while !self.ended && !self.paused {
            let entry = self.take(log)?;
            self.sequence += 1;
            if self.lose > 0 {
                self.lose -= 1;
                continue;
            }
            let (sequence, pending) = (self.sequence, self.pending());
            return Some(Delivery::Entry { entry: Arc::clone(entry), sequence, pending });
        }
        None
    }

    /// The next fault to report.
    pub(super) fn next_fault(&mut self) -> Option<Delivery> {
        let fault = self.faults.pop_front()?;
        self.ended |= fault.ends();
        Some(Delivery::Fault(fault))
    }

    fn take<'a>(&mut self, log: &'a Log) -> Option<&'a Arc<crate::Entry>> {
        while let Some(revision) = self.backlog.pop_first() {
            if let Some(entry) = log.get(revision) {
                return Some(entry);
            }
        }
        if self.waiting == 0 {
            // Nothing between here and the end of the log: the next search need not begin here again.
            self.next = self.next.max(log.last() + 1);
            return None;
        }
        let entry = log.from(self.next).find(|entry| asked(&self.filters, &entry.key))?;
        self.next = entry.revision.get() + 1;
        self.waiting -= 1;
        Some(entry)
    }

    /// Whether a heartbeat may say that all there is was delivered.
    pub(super) fn is_idle(&self) -> bool {
        !self.paused && !self.ended && self.faults.is_empty() && self.pending() == 0
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.push_back(fault);
    }

    pub(super) fn lose(&mut self, deliveries: u64) {
        self.lose += deliveries;
    }

    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Goes back: everything retained from `revision` on is delivered again. It never skips what is still due.
    pub(super) fn replay(&mut self, revision: u64, log: &Log) {
        let due = self.backlog.first().copied().unwrap_or(self.next);
        self.seek(revision.min(due), log);
    }
}

fn asked(filters: &[Filter], key: &Key) -> bool {
    filters.iter().any(|filter| filter.matches(key))
}
