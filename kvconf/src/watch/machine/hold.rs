//! Waiting in a mirror: for the rest of a change set, and until one that was cut off has caught up.
//!
//! A mirror gets a set entry by entry. Where the connection to its origin stands still in between, all that there is in the
//! mirror, and all that it will deliver, ends in the middle of the set: neither a heartbeat nor a reading of the newest state
//! settles that. So the set is held back, and the state before it is what counts: a reading as of that moment, where the bucket
//! still keeps it, or the state that was published before.
//!
//! The set is held until its rest is there, or until something came that is not of it. Where the origin is heard of and has nothing
//! more, what claims to be a part of a set is none, and counts like any other entry after [`Tuning::rest_patience`].
//!
//! A mirror that was cut off catches up by copying what its origin still keeps. What was pushed out there meanwhile never
//! comes: a key that was overwritten often keeps its old value while newer ones of other keys are there already, until its own
//! newest one is copied, too. So what such a mirror delivers is held back until it has caught up, or for
//! [`Tuning::catch_up_patience`]. So is the load of whoever begins again in the meantime, and, for half as long, of whoever starts.
//!
//! [`Tuning::rest_patience`]: super::Tuning::rest_patience
//! [`Tuning::catch_up_patience`]: super::Tuning::catch_up_patience

use tokio::time::Instant;

use super::load::Load;
use super::{Effect, Machine, Phase};
use crate::Revision;
use crate::store::{Origin, Reading};
use crate::watch::compare::{Keys, difference};
use crate::watch::{Change, WatchState};

/// How many entries may be on their way from the origin without a word: as many as a watch takes in one go. Of a bucket that
/// is written all the time some always are.
const IN_FLIGHT: u64 = 256;

/// What is wrong with a load that ends in the middle of a set.
const IN_PART: &str = "the mirror has a part of a change set";

/// A set whose rest is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// Its first entry.
    first: Revision,
    since: Instant,
    /// Whether it takes so long that it is told.
    is_late: bool,
    /// Whether the state before it was read and published.
    is_settled: bool,
}

/// How a mirror that was cut off comes back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CatchUp {
    /// Whether nothing was heard of its origin, and it has not had all of it since.
    is_under_way: bool,
    /// Since when something is held back for that.
    since: Option<Instant>,
    /// When the origin is asked for next, while a load is held back.
    pub(super) ask_at: Option<Instant>,
}

impl Machine {
    /// Whether what was delivered is to be held back until the mirror has caught up.
    pub(super) fn catches_up(&mut self, now: Instant) -> bool {
        if !self.is_mirror || !self.catch_up.is_under_way {
            return false;
        }
        let since = *self.catch_up.since.get_or_insert(now);
        now < since + self.tuning.catch_up_patience
    }

    /// Whether a load is to be held back until the mirror has caught up. The first one of a mirror whose origin is away is not:
    /// whether it had all of it is not known, and more is not to be had.
    pub(super) fn is_too_early(&mut self, now: Instant, fresh: &Keys) -> bool {
        let is_early = match &self.origin {
            Some(Origin::Ahead { .. } | Origin::Away { .. }) if self.loaded => {
                self.catch_up.is_under_way && !difference(&self.keys, fresh, &self.prefixes).is_empty()
            }
            Some(Origin::Ahead { .. }) => true,
            Some(Origin::Away { .. } | Origin::Replaced { .. }) | None => false,
        };
        if !self.is_mirror || !is_early {
            return false;
        }
        // Whoever starts has less time: without a state there is no service.
        let share = if self.loaded { 1 } else { 2 };
        now < *self.catch_up.since.get_or_insert(now) + self.tuning.catch_up_patience / share
    }

    /// Holds a load back.
    pub(super) fn wait_for_the_origin(&mut self, now: Instant, mut load: Load, effects: &mut Vec<Effect>) {
        load.remaining = 0;
        self.phase = Phase::Loading(load);
        self.waiting_since = None;
        let ask_at = now + self.tuning.ask_origin_every;
        self.catch_up.ask_at.get_or_insert(ask_at);
        let state = match self.origin {
            Some(Origin::Ahead { entries }) => WatchState::Lagging { pending: entries },
            _ => self.following(),
        };
        self.set_state(state, effects);
    }

    /// Asks for the origin of a mirror whose load is held back, and takes the load once that has lasted for long enough.
    pub(super) fn ask_whether_it_has_caught_up(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.catch_up.ask_at = Some(now + self.tuning.ask_origin_every);
        effects.push(Effect::Check);
        // A set that has begun to come since waits for its rest as any other one does.
        if self.tracker.is_open() {
            self.waiting_since.get_or_insert(now);
        }
        self.publish_if_exact(now, effects);
    }

    /// Nothing is held back any more: a load was taken.
    pub(super) fn take_as_it_is(&mut self) {
        self.catch_up.ask_at = None;
        if !self.catch_up.is_under_way {
            self.catch_up.since = None;
        }
    }

    /// What is to be told of the origin.
    pub(super) fn trouble(&self) -> Option<&Origin> {
        self.origin.as_ref().filter(|origin| !matches!(origin, Origin::Ahead { entries: ..=IN_FLIGHT }))
    }

    /// Whether the mirror has something to catch up with.
    pub(super) const fn is_catching_up(&self) -> bool {
        self.catch_up.is_under_way || self.is_held_back()
    }

    /// Whether something is held back until the mirror has caught up.
    pub(super) const fn is_held_back(&self) -> bool {
        self.catch_up.since.is_some()
    }

    /// Takes note of what is told of the origin. Whether that ends a catch-up, so that all has to be loaded again: the last of
    /// it may be on its way.
    pub(super) fn follow_catch_up(&mut self) -> bool {
        match self.origin {
            Some(Origin::Away { .. }) => self.catch_up.is_under_way = true,
            Some(Origin::Ahead { .. }) => {}
            Some(Origin::Replaced { .. }) | None => {
                let ended = std::mem::take(&mut self.catch_up);
                return self.is_mirror && (ended.is_under_way || ended.since.is_some());
            }
        }
        false
    }

    /// Whether the rest of the open set is to be waited for.
    pub(super) fn holds(&mut self, now: Instant) -> bool {
        let Some(first) = self.tracker.first().filter(|_| self.is_mirror) else { return false };
        if self.held.is_none_or(|held| held.first != first) {
            self.held = Some(Held { first, since: now, is_late: false, is_settled: false });
        }
        !self.gives_up(now)
    }

    /// The set that is open and held.
    fn held(&self) -> Option<&Held> {
        self.held.as_ref().filter(|held| self.tracker.first() == Some(held.first))
    }

    /// Whether the rest of the open set does not come any more.
    pub(super) fn gives_up(&self, now: Instant) -> bool {
        let Some(held) = self.held() else { return false };
        // Not what was told before, or right after: that nothing is heard of an origin takes a few seconds to show.
        let settles = held.since + self.tuning.rest_patience / 3;
        let is_there = !matches!(self.origin, Some(Origin::Away { .. } | Origin::Ahead { .. }));
        now >= held.since + self.tuning.rest_patience
            && is_there
            && self.origin_told.is_some_and(|told| told >= settles)
    }

    /// Nothing is held any more.
    pub(super) fn release(&mut self) {
        if self.held.take().is_some_and(|held| held.is_settled) {
            self.no_reading_until = None;
        }
    }

    /// As [`Machine::release`], where the same set may be delivered again.
    pub(super) fn unsettle(&mut self) {
        if let Some(held) = &mut self.held
            && std::mem::take(&mut held.is_settled)
        {
            self.no_reading_until = None;
        }
    }

    /// Whether everything that stands before the held set is published.
    pub(super) fn is_settled_before_the_set(&self) -> bool {
        self.held().is_some_and(|held| held.is_settled)
    }

    /// How many entries the held set lacks, where it takes so long that it is told.
    pub(super) fn missing(&self) -> Option<u64> {
        self.held().filter(|held| held.is_late)?;
        Some(self.tracker.outstanding().unwrap_or(1).max(1))
    }

    /// Tells of the set that is held.
    pub(super) fn tell_of_the_held(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(held) = &mut self.held
            && now >= held.since + self.tuning.lag_patience
        {
            held.is_late = true;
        }
        if self.missing().is_none() {
            return;
        }
        let state = match self.phase {
            Phase::Live => self.following(),
            _ => WatchState::Suspect { what: IN_PART },
        };
        self.set_state(state, effects);
    }

    /// A load is not told how it stands with the origin: it has to be begun again for that.
    pub(super) fn ask_for_the_origin(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !matches!(self.phase, Phase::Loading(_)) {
            return;
        }
        let known = self.held().map(|held| held.since).max(self.origin_told);
        if known.is_some_and(|known| now >= known + self.tuning.rest_patience) {
            // It is no failure: without a pause, for the rest may come at any moment.
            self.failures = 0;
            self.resync("the rest of a change set does not come", effects);
            self.failures = 0;
        }
    }

    /// Whether a reading is of the moment right before the open set, and nothing later was published.
    pub(super) fn is_before_the_set(&self, moment: Revision) -> bool {
        let applied = if self.epoch == self.applied_epoch { self.applied } else { Revision::ZERO };
        self.is_mirror
            && !self.set_back
            && moment >= self.floor.max(applied)
            && self.tracker.begins_after(moment)
    }

    /// Takes a reading of the moment right before the open set for the state; what came of the set stays open.
    pub(super) fn begin_before_the_set(&mut self, now: Instant, reading: Reading, effects: &mut Vec<Effect>) {
        self.holds(now);
        let moment = reading.revision;
        let part: Vec<Change> = match &self.phase {
            Phase::Down => return,
            Phase::Loading(load) => load.behind(moment),
            Phase::Live => std::mem::take(&mut self.open).changes,
        };
        self.ready.clear();
        self.doubt = false;
        self.floor = moment;
        let newest = self.newest;
        self.newest = newest.min(moment);
        self.finish_load(now, Load::of(reading), effects);
        self.newest = newest;
        match &mut self.phase {
            Phase::Down => {}
            // Not believed yet.
            Phase::Loading(load) => load.extend(part),
            Phase::Live => {
                self.open.changes = part;
                self.waiting_since = Some(now);
                self.no_reading_until = Some(now + self.tuning.suspicion);
                self.held.iter_mut().for_each(|held| held.is_settled = true);
                self.tell_of_the_held(now, effects);
            }
        }
    }
}
