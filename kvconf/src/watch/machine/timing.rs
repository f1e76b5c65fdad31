//! When the machine acts by itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{Effect, Machine, Phase};
use crate::watch::WatchState;

/// How the machine is tuned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// How long the rest of a change set may take before a consistent reading is asked for.
    pub(crate) set_patience: Duration,
    /// How long publishing may wait for an exact state before a consistent reading is asked for.
    pub(crate) lag_patience: Duration,
    /// How long an answer that is empty, where values stood before, must last to be believed. The same where revisions are
    /// lower than before and the client may not ask when the bucket was created.
    pub(crate) suspicion: Duration,
    /// How long a bucket that is known to be the same must stay behind what it delivered before to be believed. A replica
    /// that lags catches up within milliseconds; what stays is a newest entry that was removed without a marker.
    pub(crate) replica_patience: Duration,
    /// How long the rest of a change set is waited for in a mirror whose origin is heard of and has nothing more. What says that
    /// it is a part of a set is none then: anybody can write the header.
    pub(crate) rest_patience: Duration,
    /// How long what a mirror delivers that was cut off is held back while it catches up; a first state half as long.
    pub(crate) catch_up_patience: Duration,
    /// How often a mirror is asked whether it has caught up while a load is held back for that.
    pub(crate) ask_origin_every: Duration,
    /// How long no consistent reading is asked for after one was refused. Permissions can be granted later, and a refusal costs
    /// the server a line in its log.
    pub(crate) read_again: Duration,
    /// How often, with a quarter of jitter, the number of keys is compared with the bucket's, and its settings are read.
    pub(crate) count_every: Duration,
    /// How often, with a quarter of jitter, a bucket with replicas is asked for its leader. A consumer can live on a server
    /// that lost the others: it goes on to say that there is nothing new.
    pub(crate) check_every: Duration,
    /// How often, with a quarter of jitter, everything is compared with the bucket.
    pub(crate) reload_every: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            set_patience: Duration::from_millis(50),
            lag_patience: Duration::from_millis(500),
            suspicion: Duration::from_secs(10),
            replica_patience: Duration::from_secs(1),
            rest_patience: Duration::from_secs(15),
            catch_up_patience: Duration::from_secs(10),
            ask_origin_every: Duration::from_millis(250),
            read_again: Duration::from_secs(60),
            count_every: Duration::from_secs(30),
            check_every: Duration::from_secs(5),
            reload_every: Duration::from_secs(600),
        }
    }
}

impl Tuning {
    /// The same with comparisons moved by up to a quarter, so that processes that started together do not compare
    /// together. `random` lies between 0 and 1.
    pub(crate) fn jittered(self, random: f64) -> Self {
        let factor = 0.75 + random / 2.0;
        Self {
            count_every: self.count_every.mul_f64(factor),
            check_every: self.check_every.mul_f64(factor),
            reload_every: self.reload_every.mul_f64(factor),
            ..self
        }
    }
}

impl Machine {
    /// When [`Input::Deadline`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting_since.filter(|_| !self.reading).map(|since| since + self.patience());
        let changing = self.changing_since.map(|since| since + self.tuning.lag_patience);
        let suspect = self.suspect.filter(|suspicion| !suspicion.confirming).map(|suspicion| suspicion.until);
        let live = matches!(self.phase, Phase::Live);
        let count = self.next_count.filter(|_| live && self.counting.is_none());
        let check = self.next_check.filter(|_| live);
        let reload = self.next_reload.filter(|_| live);
        let expiry = self.next_expiry.filter(|_| live);
        let origin = self.catch_up.ask_at;
        [waiting, changing, suspect, origin, count, check, reload, expiry].into_iter().flatten().min()
    }

    /// When to ask again for what the watch itself is not told of: sooner while something is wrong, so that its end shows.
    pub(super) fn check_after(&self) -> Duration {
        if self.trouble().is_some() || self.is_catching_up() {
            self.tuning.check_every / 5
        } else {
            self.tuning.check_every
        }
    }

    /// How long to wait for what makes the state exact.
    fn patience(&self) -> Duration {
        if self.is_settled_before_the_set() || self.is_held_back() {
            return self.tuning.check_every / 5;
        }
        let only_the_set = self.tracker.is_open() && self.pending == 0;
        if only_the_set { self.tuning.set_patience } else { self.tuning.lag_patience }
    }

    pub(super) fn deadline_passed(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Some(suspicion) = &mut self.suspect
            && !suspicion.confirming
            && suspicion.until <= now
        {
            // Asked once more from the start; what it says then counts.
            suspicion.confirming = true;
            self.resync("a suspect answer is asked for again", effects);
            return;
        }
        if !self.reading && due(self.waiting_since.map(|since| since + self.patience())) {
            self.waiting_since = Some(now);
            self.overdue(now, effects);
        }
        if due(self.catch_up.ask_at) {
            self.ask_whether_it_has_caught_up(now, effects);
        }
        if due(self.changing_since.map(|since| since + self.tuning.lag_patience)) {
            // It takes milliseconds, and then nobody is bothered with it.
            self.set_state(WatchState::Resyncing { cause: "another handle begins".to_owned() }, effects);
        }
        if !matches!(self.phase, Phase::Live) {
            return;
        }
        if due(self.next_reload) {
            self.resync("the regular comparison", effects);
        } else if due(self.next_expiry) {
            self.resync("a value has reached the end of its time to live", effects);
        } else if due(self.next_check) {
            self.next_check = Some(now + self.check_after());
            effects.push(Effect::Check);
        } else if self.counting.is_none() && due(self.next_count) {
            self.counting = Some(self.sequence);
            effects.push(Effect::Count);
            // Whoever may not ask learned nothing of it before either.
            if self.incarnation.is_some() {
                effects.push(Effect::Describe);
            }
        }
    }

    /// Something has waited for too long to be published.
    fn overdue(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if matches!(&self.phase, Phase::Loading(load) if load.remaining > 0) {
            return;
        }
        if matches!(self.phase, Phase::Live) && self.is_held_back() {
            if self.catches_up(now) {
                return;
            }
            self.publish_if_exact(now, effects);
            if self.waiting_since.is_none() {
                return;
            }
        }
        if self.pending > self.margin() {
            self.set_state(WatchState::Lagging { pending: self.pending }, effects);
        }
        if self.holds(now) {
            self.tell_of_the_held(now, effects);
        }
        self.ask_for_a_reading(now, effects);
        if !self.reading {
            self.publish_what_is_closed(effects);
        }
    }
}
