//! Loading the last entry of each key, and whether the answer is believed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Effect, LAGGING_COPY, Machine, Phase, Remembered, Tracker};
use crate::attribution::PROVISIONAL;
use crate::store::{ReadError, Reading};
use crate::watch::compare::{Keys, difference, emptied};
use crate::watch::{Change, ChangeSet, Update, WatchState};
use crate::{Entry, Key, Prefix, Revision};

/// For how many keys room is made at once. The number comes from outside.
const MOST_ROOM: u64 = 1 << 20;

/// For how many of so many entries room is made before they come.
pub(crate) fn room_for(entries: u64) -> usize {
    usize::try_from(entries.min(MOST_ROOM)).unwrap_or(0)
}

/// How often in a row a load that is too short is begun again, before what came of it is taken.
pub(super) const SHORT_LOADS: u32 = 3;

/// A load under way.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// The newest entry of each key so far.
    fresh: Keys,
    /// The newest revision among them.
    tail: Revision,
    /// How many of the entries that stood there at the start are outstanding.
    pub(super) remaining: u64,
    /// What was delivered and not handed on yet.
    arrived: Vec<Arc<Entry>>,
    /// Whether some of it goes back unless it is confirmed.
    is_provisional: bool,
    /// Whether all of it was delivered one by one. A consistent reading comes at once, and nobody has prepared it.
    one_by_one: bool,
}

impl Load {
    fn new(pending: u64) -> Self {
        let fresh = Keys::with_room(room_for(pending));
        Self { fresh, remaining: pending, one_by_one: true, ..Self::default() }
    }

    pub(super) fn of(reading: Reading) -> Self {
        let mut load = Self::default();
        for entry in reading.entries {
            load.insert(Arc::new(entry));
        }
        load
    }

    fn insert(&mut self, entry: Arc<Entry>) {
        self.tail = self.tail.max(entry.revision());
        self.is_provisional |= !entry.headers().is_empty() && entry.headers().get(PROVISIONAL).is_some();
        self.fresh.put(entry);
    }

    /// The entries behind a moment, in their order.
    pub(super) fn behind(&self, moment: Revision) -> Vec<Change> {
        let mut behind: Vec<_> = self.fresh.iter().filter(|entry| entry.revision() > moment).collect();
        behind.sort_unstable_by_key(|entry| entry.revision());
        behind
            .into_iter()
            .map(|entry| Change { key: entry.key().clone(), entry: Some(Arc::clone(entry)) })
            .collect()
    }

    /// Takes what stands behind the rest.
    pub(super) fn extend(&mut self, changes: Vec<Change>) {
        changes.into_iter().filter_map(|change| change.entry).for_each(|entry| self.insert(entry));
    }

    /// Takes an entry that was delivered.
    pub(super) fn take(&mut self, entry: Arc<Entry>) {
        self.remaining = self.remaining.saturating_sub(1);
        self.arrived.push(Arc::clone(&entry));
        self.insert(entry);
    }

    /// What was delivered since the last time.
    pub(super) fn hand_on(&mut self) -> Option<Effect> {
        (!self.arrived.is_empty()).then(|| Effect::Arrived(std::mem::take(&mut self.arrived)))
    }
}

/// An answer that is not believed yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suspicion {
    pub(super) until: Instant,
    /// Whether it is asked for again already.
    pub(super) confirming: bool,
}

impl Machine {
    /// When the bucket was created, as far as it is known.
    pub(crate) const fn incarnation(&self) -> Option<SystemTime> {
        self.incarnation
    }

    /// Goes on where an earlier process left off: a bucket created since, and a replica that lags behind, are then noticed
    /// as if this watch had seen the former state itself. What was seen already counts more.
    pub(crate) fn remember(&mut self, remembered: Remembered) {
        if self.loaded {
            return;
        }
        if self.incarnation.is_none() || self.incarnation == remembered.incarnation {
            self.remembered = self.remembered.max(remembered.tail);
        }
        self.incarnation = self.incarnation.or(remembered.incarnation);
    }

    /// The revision and the epoch of the published state; `None` before the first load.
    pub(crate) fn applied(&self) -> Option<(Revision, u64)> {
        self.loaded.then_some((self.applied, self.applied_epoch))
    }

    /// The published state of one prefix as an update from nothing; `None` before the first load.
    pub(crate) fn snapshot_of(&self, prefixes: &[Prefix]) -> Option<Update> {
        if !self.loaded {
            return None;
        }
        let is_asked = |key: &Key| prefixes.iter().any(|prefix| key.under(prefix).is_some());
        let under = self.keys.iter().filter(|entry| is_asked(entry.key()));
        // In the order in which they came, and so lie in memory: what follows is bound by that.
        let mut under: Vec<_> = under.map(|entry| (entry.revision(), entry)).collect();
        under.sort_unstable_by_key(|(revision, _)| *revision);
        let change = |(_, entry): (Revision, &Arc<Entry>)| Change {
            key: entry.key().clone(),
            entry: Some(Arc::clone(entry)),
        };
        // Whoever has nothing yet takes all of it at once: no matter which entries once belonged together.
        let sets = vec![ChangeSet { changes: under.into_iter().map(change).collect() }];
        Some(Update { revision: self.applied, epoch: self.applied_epoch, sets })
    }

    pub(super) fn opened(&mut self, now: Instant, pending: u64, incarnation: Option<SystemTime>) {
        if let (Some(old), Some(new)) = (self.incarnation, incarnation)
            && old != new
        {
            self.begin_epoch();
        }
        self.newest = self.newest.max(std::mem::take(&mut self.remembered));
        self.incarnation_told = incarnation.is_some();
        self.incarnation = incarnation.or(self.incarnation);
        self.sequence = 0;
        self.pending = pending;
        self.cursor = Revision::ZERO;
        self.floor = Revision::ZERO;
        self.tracker = Tracker::default();
        self.strangers.clear();
        self.next_expiry = None;
        self.idle_while_loading = None;
        self.waiting_since = Some(now);
        self.phase = Phase::Loading(Load::new(pending));
    }

    /// The newest revision that the bucket has given for sure, in this epoch.
    pub(super) fn known_to_be_given(&self) -> Revision {
        let applied = if self.epoch == self.applied_epoch { self.applied } else { Revision::ZERO };
        self.newest.max(applied)
    }

    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.newest = Revision::ZERO;
        self.remembered = Revision::ZERO;
    }

    /// Fewer entries came than stood there when the load began: some were removed before they were delivered, and the earlier
    /// ones that are current again were not on the list.
    pub(super) fn load_again(&mut self, effects: &mut Vec<Effect>) {
        self.resync("entries were removed while they were loaded", effects);
    }

    /// The state as loaded is complete. It replaces the published one, unless it looks as if the server did not tell all.
    pub(super) fn finish_load(&mut self, now: Instant, load: Load, effects: &mut Vec<Effect>) {
        if self.is_too_early(now, &load.fresh) {
            self.wait_for_the_origin(now, load, effects);
            return;
        }
        let tail = load.tail.max(self.floor);
        if tail.max(self.cursor) < self.promised {
            // Not believed, however long it lasts: asked for again until a copy delivers it, or the leader has it no more.
            if self.suspect.is_none_or(|suspicion| suspicion.confirming) {
                let until = now + self.tuning.replica_patience;
                self.suspect = Some(Suspicion { until, confirming: false });
            }
            self.phase = Phase::Loading(Load { remaining: 0, ..load });
            self.waiting_since = None;
            self.set_state(WatchState::Suspect { what: LAGGING_COPY }, effects);
            return;
        }
        if let Some((what, patience)) = self.oddity(now, &load, tail) {
            let suspicion =
                self.suspect.get_or_insert(Suspicion { until: now + patience, confirming: false });
            if !suspicion.confirming {
                // Kept as it is: more deliveries may clear it up, and when its time is over it is asked for again. Time alone
                // makes no answer true: this one may show a moment that is long over.
                self.phase = Phase::Loading(Load { remaining: 0, ..load });
                self.waiting_since = None;
                self.set_state(WatchState::Suspect { what }, effects);
                return;
            }
            // Without permission to ask when the bucket was created, lasting lower revisions are all there is to go by.
            let is_another = tail < self.newest && !self.incarnation_told;
            if is_another || self.set_back {
                self.begin_epoch();
                self.newest = tail;
                self.set_back = false;
            }
        }
        // Believed: the next load is not suspect for the same reason.
        self.take_as_it_is();
        self.newest = self.newest.min(tail);
        self.suspect = None;
        self.failures = 0;
        self.waiting_since = None;
        self.phase = Phase::Live;
        self.next_count = Some(now + self.tuning.count_every);
        self.next_check = Some(now + self.check_after());
        self.next_reload = Some(now + self.tuning.reload_every);
        // The first state is handed out by `snapshot_of`: nobody has one yet that could be told the difference.
        let sets = if self.loaded { difference(&self.keys, &load.fresh, &self.prefixes) } else { Vec::new() };
        self.keys = load.fresh;
        let state = if self.trouble().is_some() { self.following() } else { WatchState::Live };
        self.set_state(state, effects);
        self.publish(sets, self.newest.max(self.floor), effects);
        effects.push(Effect::Loaded { as_arrived: load.one_by_one });
    }

    /// What is odd about a complete answer, and how long it must last to be believed.
    fn oddity(&self, now: Instant, load: &Load, tail: Revision) -> Option<(&'static str, Duration)> {
        let fresh = &load.fresh;
        if emptied(&self.keys, fresh, &self.prefixes) {
            return Some(("empty, where values stood before", self.tuning.suspicion));
        }
        let patience =
            if self.incarnation_told { self.tuning.replica_patience } else { self.tuning.suspicion };
        // Each entry would be looked at once more, right when everybody waits.
        let may_go_back = load.is_provisional || !self.keys.is_empty();
        if may_go_back && self.lifetimes.going_back(now, &self.keys, fresh, &self.prefixes) {
            return Some(("a change that was not confirmed goes back", self.tuning.replica_patience));
        }
        if self.set_back {
            return Some(("older than what was delivered before", self.tuning.replica_patience));
        }
        let newest = self.lifetimes.newest_left(now, &self.keys, self.newest);
        (tail < newest).then_some(("older than what was delivered before", patience))
    }

    pub(super) fn read(
        &mut self,
        now: Instant,
        result: Result<Reading, ReadError>,
        effects: &mut Vec<Effect>,
    ) {
        self.reading = false;
        let reading = match result {
            Ok(reading) if reading.isolated => {
                self.no_reading_until = None;
                reading
            }
            failed => {
                // The next heartbeat, or the next entry, settles what the reading could not. One that is not of one moment
                // is none: it may hold the same part of a set that it was asked for.
                let is_refused = matches!(
                    failed,
                    Ok(_) | Err(ReadError::NotPermitted { .. } | ReadError::Unsupported { .. })
                );
                self.no_reading_until = is_refused.then(|| now + self.tuning.read_again);
                self.waiting_since = self.waiting_since.map(|_| now);
                return;
            }
        };
        if self.is_before_the_set(reading.revision) {
            self.begin_before_the_set(now, reading, effects);
            return;
        }
        if matches!(self.phase, Phase::Down) || reading.revision < self.newest {
            self.waiting_since = self.waiting_since.map(|_| now);
            return;
        }
        self.tracker.close();
        self.open = ChangeSet::default();
        self.ready.clear();
        self.doubt = false;
        self.floor = reading.revision;
        self.finish_load(now, Load::of(reading), effects);
    }
}
