//! Taking what the subscription says.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Effect, Machine, PRUNE_AT, Phase, SHORT_LOADS};
use crate::store::Delivery;
use crate::watch::Change;
use crate::watch::compare::prune;
use crate::watch::sets::membership;
use crate::{Entry, Revision};

impl Machine {
    pub(super) fn delivered(&mut self, now: Instant, delivery: Delivery, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Down) && !matches!(delivery, Delivery::Fault(_)) {
            return;
        }
        match delivery {
            Delivery::Entry { entry, sequence, pending } => {
                if self.accept(sequence, entry.revision(), pending, effects) {
                    self.entry(now, entry);
                }
            }
            Delivery::Unreadable { subject, revision, sequence, pending } => {
                if self.accept(sequence, revision, pending, effects) {
                    self.strangers.insert(subject);
                    if let Phase::Loading(load) = &mut self.phase {
                        load.remaining = load.remaining.saturating_sub(1);
                    }
                }
            }
            Delivery::Idle { sequence } => self.idle(now, sequence, effects),
            Delivery::Fault(fault) => self.fault(&fault, effects),
        }
    }

    /// Whether a delivery is the next one. Everything else means that something was lost or replayed.
    fn accept(&mut self, sequence: u64, revision: Revision, pending: u64, effects: &mut Vec<Effect>) -> bool {
        if sequence != self.sequence + 1 || revision <= self.cursor {
            let cause = format!("delivery {sequence} came after delivery {}", self.sequence);
            self.resync(cause, effects);
            return false;
        }
        self.sequence = sequence;
        self.cursor = revision;
        self.pending = pending;
        true
    }

    fn entry(&mut self, now: Instant, entry: Arc<Entry>) {
        let revision = entry.revision();
        self.newest = self.newest.max(revision);
        self.lateness.observe(now, entry.created(), matches!(self.phase, Phase::Live));
        if revision <= self.floor {
            return;
        }
        if let Some(gone) = self.lifetimes.gone(now, &entry) {
            self.next_expiry = Some(self.next_expiry.map_or(gone, |at| at.min(gone)));
        }
        let step = self.tracker.observe(revision, &membership(&entry, &self.prefixes));
        match &mut self.phase {
            Phase::Down => {}
            Phase::Loading(load) => load.take(entry),
            Phase::Live => {
                self.doubt |= step.missing;
                if step.ends_previous && !self.open.changes.is_empty() {
                    self.ready.push(std::mem::take(&mut self.open));
                }
                self.open.changes.push(Change { key: entry.key().clone(), entry: Some(entry) });
                if step.complete {
                    self.ready.push(std::mem::take(&mut self.open));
                }
                self.waiting_since.get_or_insert(now);
            }
        }
        if self.pending == 0 {
            self.doubt = false;
        }
        if self.ready.len() > self.prune_at {
            prune(&mut self.ready);
            // Each pass looks at all of them: at most once for as many new ones.
            self.prune_at = PRUNE_AT.max(self.ready.len() * 2);
        }
    }

    /// The server had nothing to say for a while: what it began to deliver before is all there is.
    pub(super) fn idle(&mut self, now: Instant, sequence: u64, effects: &mut Vec<Effect>) {
        if sequence > self.sequence {
            self.resync(format!("deliveries {} to {sequence} are missing", self.sequence + 1), effects);
            return;
        }
        if sequence < self.sequence {
            return;
        }
        if let Phase::Loading(load) = &mut self.phase
            && load.remaining > 0
        {
            // What stood there at the start and does not come was removed meanwhile. Said twice, lest a heartbeat from
            // before the first delivery counts.
            if self.idle_while_loading != Some(sequence) {
                self.idle_while_loading = Some(sequence);
                return;
            }
            if self.failures < SHORT_LOADS {
                self.load_again(effects);
                return;
            }
            load.remaining = 0;
        }
        self.pending = 0;
        self.lateness.caught_up();
        self.doubt = false;
        if self.holds(now) {
            self.ask_for_the_origin(now, effects);
            return;
        }
        self.release();
        self.tracker.close();
        if !self.open.changes.is_empty() {
            self.ready.push(std::mem::take(&mut self.open));
        }
        self.publish_if_exact(now, effects);
    }
}
