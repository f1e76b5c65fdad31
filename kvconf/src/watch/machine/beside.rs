//! Watches of one bucket side by side, and making one of them.
//!
//! A handle that joins gets a watch beside the others: it loads its own keys and disturbs nobody. Later two watches become
//! one. Nothing is pieced together for that: the keys of both are loaded again, as after any doubt, and the readers of each
//! are told what leads from the state that they have to the one that was loaded. What either of them has seen counts as seen,
//! so a copy that lags behind one of them, or a bucket that is empty for one of them, is not believed at once.

use std::sync::Arc;

use super::{Machine, Phase};
use crate::watch::compare::{Keys, difference};
use crate::watch::{Update, WatchState};
use crate::{Entry, Key, Prefix, Revision};

/// The state that the readers of a watch have.
#[derive(Debug)]
pub(crate) struct Base {
    keys: Keys,
    prefixes: Vec<Prefix>,
}

fn is_under(key: &Key, prefixes: &[Prefix]) -> bool {
    prefixes.iter().any(|prefix| key.under(prefix).is_some())
}

impl Machine {
    /// A watch beside this one: it knows which bucket it is, and nothing of what stands in it.
    pub(crate) fn beside(&self) -> Self {
        let watch_state = match &self.watch_state {
            // What does not depend on prefixes.
            known @ (WatchState::Disconnected | WatchState::ClientEnded | WatchState::BucketMissing) => {
                known.clone()
            }
            _ => WatchState::Loading,
        };
        Self {
            watch_state,
            epoch: self.epoch,
            applied_epoch: self.epoch,
            incarnation: self.incarnation,
            no_reading_until: self.no_reading_until,
            ..Self::new(self.tuning)
        }
    }

    /// Whether all that stands in the bucket was delivered and published, and it only waits for what is new.
    pub(crate) const fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }

    /// How many keys it knows.
    pub(crate) fn size(&self) -> usize {
        self.keys.len()
    }

    fn is_in_the_same_bucket_as(&self, other: &Self) -> bool {
        self.epoch == other.epoch && self.incarnation == other.incarnation
    }

    /// What leads the readers of another watch to the state of this one, where they can go on with it as it is: it has their
    /// keys, and its state is without a doubt the later one.
    pub(crate) fn continues(&self, other: &Self) -> Option<Update> {
        let is_later = self.is_in_the_same_bucket_as(other)
            && self.applied_epoch == other.applied_epoch
            && self.applied >= other.applied;
        let has = |prefix: &Prefix| self.prefixes.iter().any(|own| own.covers(prefix));
        if !is_later || !other.prefixes.iter().all(has) {
            return None;
        }
        let update = self.leading_from(&other.keys, &other.prefixes);
        // Anything else was removed or came back without a word, and one of the two does not know it yet.
        let is_newer = |entry: &Entry| entry.revision() > other.applied;
        let mut changes = update.sets.iter().flat_map(|set| &set.changes);
        changes.all(|change| change.entry.as_deref().is_some_and(is_newer)).then_some(update)
    }

    /// Takes over the readers of another watch. Other prefixes have to be watched right afterwards; once they are loaded,
    /// [`Machine::since`] tells those readers what has changed for them.
    pub(crate) fn absorb(&mut self, other: Self) -> Base {
        let newest = other.keys.iter().map(|entry| entry.revision()).max().unwrap_or_default();
        for entry in other.keys.iter().filter(|entry| !is_under(entry.key(), &self.prefixes)) {
            self.keys.put(Arc::clone(entry));
        }
        let differ = matches!((self.incarnation, other.incarnation), (Some(one), Some(two)) if one != two);
        if self.epoch < other.epoch {
            (self.epoch, self.incarnation) = (other.epoch, other.incarnation);
            (self.newest, self.remembered, self.set_back) = (other.newest, newest, false);
            (self.applied, self.applied_epoch) = (other.applied, other.applied_epoch);
        } else if self.epoch == other.epoch && differ {
            // Each has seen another bucket, and neither knows which of the two is there now: it is one epoch later for both.
            self.begin_epoch();
            self.incarnation = None;
        } else if self.epoch == other.epoch {
            self.incarnation = self.incarnation.or(other.incarnation);
            self.remembered = self.remembered.max(newest);
            if other.applied_epoch == self.epoch {
                let own = if self.applied_epoch == self.epoch { self.applied } else { Revision::ZERO };
                (self.applied, self.applied_epoch) = (own.max(other.applied), self.epoch);
            }
        }
        Base { keys: other.keys, prefixes: other.prefixes }
    }

    /// What leads from the state that some readers have to the present one; `None` when it is the same.
    pub(crate) fn since(&self, base: &Base) -> Option<Update> {
        let update = self.leading_from(&base.keys, &base.prefixes);
        (!update.sets.is_empty()).then_some(update)
    }

    fn leading_from(&self, keys: &Keys, prefixes: &[Prefix]) -> Update {
        let present = self.keys.iter().filter(|entry| is_under(entry.key(), prefixes));
        let present: Keys = present.map(Arc::clone).collect();
        let sets = difference(keys, &present, prefixes);
        Update { revision: self.applied, epoch: self.applied_epoch, sets }
    }
}
