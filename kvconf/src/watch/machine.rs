//! The watch as a pure state machine: inputs in, effects out; no clock, no task, no I/O.
//!
//! # When a state is exact
//! A reader knows the bucket's state at a revision when three things hold (measured against a real server with three
//! writers at full speed: no wrong state among 60 000):
//! 1. the change set at the end of what was delivered is complete ([`super::tracker`]),
//! 2. fewer entries are pending than the bucket keeps revisions of a key, so nothing can have been pushed out before it
//!    was delivered, and the bucket keeps at least [`SAFE_HISTORY`],
//! 3. no entry of an earlier set was missed. A missed entry was superseded or purged; what did it stands later in the
//!    bucket, so the doubt ends when everything pending is here.
//!
//! Between exact states nothing is published, and what was delivered waits. A set that does not say where it ends, or whose
//! rest does not come, is settled by one consistent reading.
//!
//! # Doubt
//! Every gap, fault or reconnect has one answer: load the last entry of each key again and compare. That finds lost
//! entries, silently expired keys and recreated buckets alike, and costs about as much as the start did.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::compare::{Keys, apply, difference, emptied, prune};
use super::lateness::Lateness;
use super::sets::membership;
use super::tracker::Tracker;
use super::{Change, ChangeSet, Update, WatchState};
use crate::store::header::TTL;
use crate::store::{Delivery, Fault, ReadError, Reading, SAFE_HISTORY};
use crate::{Entry, Key, Prefix, Revision};

/// Above how many waiting sets superseded ones are dropped; from then on whenever there are twice as many as were left.
const PRUNE_AT: usize = 4_096;

/// What is wrong with a copy that does not have what the leader has.
const LAGGING_COPY: &str = "a copy of the bucket lags behind its leader";

/// How long after its time to live a value is surely gone.
const EXPIRY_SLACK: Duration = Duration::from_secs(1);

/// How long the server keeps an entry: whole seconds, with or without a unit.
fn time_to_live(entry: &Entry) -> Option<Duration> {
    let text = entry.headers().get(TTL)?;
    text.strip_suffix('s').unwrap_or(text).parse().ok().map(Duration::from_secs)
}

/// An error with its causes, for the state that shows it.
fn in_full(error: &ReadError) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

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
    /// How often, with a quarter of jitter, the number of keys is compared with the bucket's.
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

#[derive(Debug)]
pub(crate) enum Input {
    /// A subscription that starts with the last entry of each key was opened.
    Opened { pending: u64, incarnation: Option<SystemTime>, history: Option<u64>, promised: Revision },
    /// A subscription could not be opened.
    NotOpened(ReadError),
    /// The subscription said something.
    Delivered(Delivery),
    /// Nothing more is waiting in the subscription right now.
    Drained,
    /// A consistent reading that was asked for.
    Read(Result<Reading, ReadError>),
    /// The number of keys that was asked for.
    Counted(Result<u64, ReadError>),
    /// The newest revision that the bucket's leader knows, when it was asked; zero where nobody can be asked.
    Checked(Result<Revision, ReadError>),
    /// The deadline has passed.
    Deadline,
    /// Other prefixes are to be watched.
    Watch(Vec<Prefix>),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Drop the subscription, if there is one, and open a new one: at once, or with a backoff after so many failures.
    Subscribe { failures: Option<u32> },
    /// Read all prefixes consistently.
    Read,
    /// Count the keys of all prefixes.
    Count,
    /// Ask the bucket's leader for the newest revision, where a subscription that lives need not have it.
    Check,
    /// A new exact state.
    Publish(Update),
    /// A load is complete: what was acknowledged before the subscription was opened is contained.
    Loaded,
    /// The watch's state changed.
    State(WatchState),
}

#[derive(Debug)]
enum Phase {
    /// No subscription.
    Down,
    /// The subscription is still delivering what stood in the bucket; `remaining` of it are outstanding.
    Loading { fresh: Keys, remaining: u64 },
    /// Everything that stands in the bucket was delivered and published.
    Live,
}

/// An answer that is not believed yet.
#[derive(Debug, Clone, Copy)]
struct Suspicion {
    until: Instant,
    /// Whether it is asked for again already.
    confirming: bool,
}

#[derive(Debug)]
pub(crate) struct Machine {
    tuning: Tuning,
    /// How many revisions of a key the bucket keeps; 1 where it is unknown.
    history: u64,
    prefixes: Vec<Prefix>,
    phase: Phase,
    watch_state: WatchState,
    /// As published.
    keys: Keys,
    applied: Revision,
    applied_epoch: u64,
    /// How often the bucket was found recreated; the newest one may not be published yet.
    epoch: u64,
    incarnation: Option<SystemTime>,
    /// Whether anything was published yet.
    loaded: bool,
    /// The newest revision ever delivered in this incarnation.
    newest: Revision,
    /// What the bucket's leader is known to have.
    promised: Revision,
    /// The newest revision of the present subscription.
    cursor: Revision,
    /// Entries up to here are contained in a consistent reading already.
    floor: Revision,
    /// Deliveries so far in the present subscription.
    sequence: u64,
    pending: u64,
    lateness: Lateness,
    tracker: Tracker,
    open: ChangeSet,
    ready: Vec<ChangeSet>,
    /// Above how many of them superseded ones are dropped next.
    prune_at: usize,
    doubt: bool,
    failures: u32,
    /// The present answer is suspect, and since when.
    suspect: Option<Suspicion>,
    /// Since when something waits to be published.
    waiting_since: Option<Instant>,
    reading: bool,
    /// Whether consistent readings are to be had.
    can_read: bool,
    /// Subjects in the bucket that no key can have.
    strangers: BTreeSet<String>,
    /// The number that a first sign of idleness during the load gave.
    idle_while_loading: Option<u64>,
    /// Asked after this many deliveries.
    counting: Option<u64>,
    next_count: Option<Instant>,
    next_check: Option<Instant>,
    next_reload: Option<Instant>,
    /// When the next value with a time to live may be gone. Where an older revision of its key is kept, the server makes
    /// that one current again and tells nobody (measured with 2.15).
    next_expiry: Option<Instant>,
}

impl Machine {
    pub(crate) fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            history: 1,
            prefixes: Vec::new(),
            phase: Phase::Down,
            watch_state: WatchState::Loading,
            keys: Keys::new(),
            applied: Revision::ZERO,
            applied_epoch: 0,
            epoch: 0,
            incarnation: None,
            loaded: false,
            newest: Revision::ZERO,
            promised: Revision::ZERO,
            cursor: Revision::ZERO,
            floor: Revision::ZERO,
            sequence: 0,
            pending: 0,
            lateness: Lateness::default(),
            tracker: Tracker::default(),
            open: ChangeSet::default(),
            ready: Vec::new(),
            prune_at: PRUNE_AT,
            doubt: false,
            failures: 0,
            suspect: None,
            strangers: BTreeSet::new(),
            idle_while_loading: None,
            can_read: true,
            waiting_since: None,
            reading: false,
            counting: None,
            next_count: None,
            next_check: None,
            next_reload: None,
            next_expiry: None,
        }
    }

    pub(crate) fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    pub(crate) fn watch_state(&self) -> &WatchState {
        &self.watch_state
    }

    /// The published state of one prefix as an update from nothing; `None` before the first load.
    pub(crate) fn snapshot_of(&self, prefix: &Prefix) -> Option<Update> {
        if !self.loaded {
            return None;
        }
        let under = self.keys.iter().filter(|(key, _)| key.under(prefix).is_some());
        // In the order in which they came, and so lie in memory: what follows is bound by that.
        let mut under: Vec<_> = under.map(|(key, entry)| (entry.revision(), key, entry)).collect();
        under.sort_unstable_by_key(|(revision, ..)| *revision);
        let change = |(_, key, entry): (Revision, &Key, &Arc<Entry>)| Change {
            key: key.clone(),
            entry: Some(Arc::clone(entry)),
        };
        // Whoever has nothing yet takes all of it at once: no matter which entries once belonged together.
        let sets = vec![ChangeSet { changes: under.into_iter().map(change).collect() }];
        Some(Update { revision: self.applied, epoch: self.applied_epoch, sets })
    }

    /// When [`Input::Deadline`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting_since.filter(|_| !self.reading).map(|since| since + self.patience());
        let suspect = self.suspect.filter(|suspicion| !suspicion.confirming).map(|suspicion| suspicion.until);
        let live = matches!(self.phase, Phase::Live);
        let count = self.next_count.filter(|_| live && self.counting.is_none());
        let check = self.next_check.filter(|_| live);
        let reload = self.next_reload.filter(|_| live);
        let expiry = self.next_expiry.filter(|_| live);
        [waiting, suspect, count, check, reload, expiry].into_iter().flatten().min()
    }

    /// How long to wait for what makes the state exact.
    fn patience(&self) -> Duration {
        let only_the_set = self.tracker.is_open() && self.pending == 0;
        if only_the_set { self.tuning.set_patience } else { self.tuning.lag_patience }
    }

    pub(crate) fn step(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Opened { pending, incarnation, history, promised } => {
                self.promised = promised;
                self.history = history.unwrap_or(1);
                self.opened(now, pending, incarnation);
            }
            Input::NotOpened(error) => self.not_opened(&error, &mut effects),
            Input::Delivered(delivery) => self.delivered(now, delivery, &mut effects),
            Input::Drained => self.publish_if_exact(now, &mut effects),
            Input::Read(result) => self.read(now, result, &mut effects),
            Input::Counted(result) => self.counted(now, result, &mut effects),
            Input::Checked(result) => self.checked(result, &mut effects),
            Input::Deadline => self.deadline_passed(now, &mut effects),
            Input::Watch(prefixes) => self.watch(prefixes, &mut effects),
        }
        effects
    }

    fn watch(&mut self, prefixes: Vec<Prefix>, effects: &mut Vec<Effect>) {
        self.keys.retain(|key, _| prefixes.iter().any(|prefix| key.under(prefix).is_some()));
        // What is watched no longer must not make what is watched look old.
        let tail = self.keys.values().map(|entry| entry.revision()).max().unwrap_or_default();
        self.newest = self.newest.min(tail);
        self.prefixes = prefixes;
        self.down();
        effects.push(Effect::Subscribe { failures: None });
    }

    fn down(&mut self) {
        self.phase = Phase::Down;
        self.tracker = Tracker::default();
        self.open = ChangeSet::default();
        self.ready.clear();
        self.doubt = false;
        self.waiting_since = None;
        self.reading = false;
        self.counting = None;
    }

    fn resync(&mut self, cause: impl Into<String>, effects: &mut Vec<Effect>) {
        self.down();
        self.set_state(WatchState::Resyncing { cause: cause.into() }, effects);
        effects.push(Effect::Subscribe { failures: Some(self.failures) });
        self.failures = self.failures.saturating_add(1);
    }

    fn set_state(&mut self, state: WatchState, effects: &mut Vec<Effect>) {
        if self.watch_state != state {
            self.watch_state = state.clone();
            effects.push(Effect::State(state));
        }
    }

    fn opened(&mut self, now: Instant, pending: u64, incarnation: Option<SystemTime>) {
        if let (Some(old), Some(new)) = (self.incarnation, incarnation)
            && old != new
        {
            self.begin_epoch();
        }
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
        self.phase = Phase::Loading { fresh: Keys::new(), remaining: pending };
    }

    fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.newest = Revision::ZERO;
    }

    fn not_opened(&mut self, error: &ReadError, effects: &mut Vec<Effect>) {
        self.down();
        self.failures = self.failures.saturating_add(1);
        let state = match error {
            ReadError::BucketNotFound { .. } => WatchState::BucketMissing,
            ReadError::NotPermitted { subject } => WatchState::NotPermitted { subject: subject.clone() },
            ReadError::Disconnected => WatchState::Disconnected,
            other => WatchState::Resyncing { cause: in_full(other) },
        };
        self.set_state(state, effects);
        effects.push(Effect::Subscribe { failures: Some(self.failures) });
    }

    fn delivered(&mut self, now: Instant, delivery: Delivery, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Down) && !matches!(delivery, Delivery::Fault(_)) {
            return;
        }
        match delivery {
            Delivery::Entry { entry, sequence, pending } => {
                if self.accept(sequence, entry.revision(), pending, effects) {
                    self.entry(now, Arc::new(entry));
                }
            }
            Delivery::Unreadable { subject, revision, sequence, pending } => {
                if self.accept(sequence, revision, pending, effects) {
                    self.strangers.insert(subject);
                    if let Phase::Loading { remaining, .. } = &mut self.phase {
                        *remaining = remaining.saturating_sub(1);
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
        if let Some(ttl) = time_to_live(&entry) {
            let gone = now + ttl + EXPIRY_SLACK;
            self.next_expiry = Some(self.next_expiry.map_or(gone, |at| at.min(gone)));
        }
        let step = self.tracker.observe(revision, &membership(&entry, &self.prefixes));
        match &mut self.phase {
            Phase::Down => {}
            Phase::Loading { fresh, remaining } => {
                *remaining = remaining.saturating_sub(1);
                fresh.insert(entry.key().clone(), entry);
            }
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
    fn idle(&mut self, now: Instant, sequence: u64, effects: &mut Vec<Effect>) {
        if sequence > self.sequence {
            self.resync(format!("deliveries {} to {sequence} are missing", self.sequence + 1), effects);
            return;
        }
        if sequence < self.sequence {
            return;
        }
        if let Phase::Loading { remaining, .. } = &mut self.phase
            && *remaining > 0
        {
            // What stood there at the start and does not come was removed meanwhile. Said twice, lest a heartbeat from
            // before the first delivery counts.
            if self.idle_while_loading != Some(sequence) {
                self.idle_while_loading = Some(sequence);
                return;
            }
            *remaining = 0;
        }
        self.pending = 0;
        self.lateness.caught_up();
        self.doubt = false;
        self.tracker.close();
        if !self.open.changes.is_empty() {
            self.ready.push(std::mem::take(&mut self.open));
        }
        self.publish_if_exact(now, effects);
    }

    fn fault(&mut self, fault: &Fault, effects: &mut Vec<Effect>) {
        match fault {
            Fault::Disconnected => self.set_state(WatchState::Disconnected, effects),
            Fault::NotPermitted { subject } => {
                let error = ReadError::NotPermitted { subject: subject.clone() };
                self.not_opened(&error, effects);
            }
            Fault::BucketGone => {
                self.not_opened(&ReadError::BucketNotFound { bucket: String::new() }, effects)
            }
            _ => self.resync(fault.to_string(), effects),
        }
    }

    /// How many entries may be pending for the state to be exact.
    fn margin(&self) -> u64 {
        if self.history >= u64::from(SAFE_HISTORY) { self.history - 1 } else { 0 }
    }

    fn publish_if_exact(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.tracker.is_open() || self.doubt || self.pending > self.margin() {
            self.ask_for_a_reading_of_an_endless_set(effects);
            return;
        }
        match &mut self.phase {
            Phase::Down => {}
            Phase::Loading { remaining, .. }
                if *remaining > 0 && (self.pending > 0 || self.sequence == 0) => {}
            Phase::Loading { fresh, .. } => {
                let fresh = std::mem::take(fresh);
                self.finish_load(now, fresh, effects);
            }
            Phase::Live => self.publish_ready(effects),
        }
    }

    /// A batch of another client may have more messages for us or not. Nothing is pending, so nothing will tell soon.
    fn ask_for_a_reading_of_an_endless_set(&mut self, effects: &mut Vec<Effect>) {
        if self.pending == 0 && self.tracker.is_endless() {
            self.ask_for_a_reading(effects);
        }
    }

    fn ask_for_a_reading(&mut self, effects: &mut Vec<Effect>) {
        if !self.reading && self.can_read {
            self.reading = true;
            effects.push(Effect::Read);
        }
    }

    fn publish_ready(&mut self, effects: &mut Vec<Effect>) {
        self.waiting_since = None;
        let sets = std::mem::take(&mut self.ready);
        self.prune_at = PRUNE_AT;
        if !sets.is_empty()
            || matches!(self.watch_state, WatchState::Lagging { .. } | WatchState::Late { .. })
        {
            let state = self.lateness.by().map_or(WatchState::Live, |by| WatchState::Late { by });
            self.set_state(state, effects);
        }
        for set in &sets {
            apply(&mut self.keys, set);
        }
        self.publish(sets, effects);
    }

    fn publish(&mut self, sets: Vec<ChangeSet>, effects: &mut Vec<Effect>) {
        if sets.is_empty() && self.loaded {
            return;
        }
        let reached = self.newest.max(self.floor);
        let revision = if self.epoch == self.applied_epoch { self.applied.max(reached) } else { reached };
        self.applied = revision;
        self.applied_epoch = self.epoch;
        self.loaded = true;
        effects.push(Effect::Publish(Update { revision, epoch: self.epoch, sets }));
    }

    /// The state as loaded is complete. It replaces the published one, unless it looks as if the server did not tell all.
    fn finish_load(&mut self, now: Instant, fresh: Keys, effects: &mut Vec<Effect>) {
        let tail = fresh.values().map(|entry| entry.revision()).max().unwrap_or_default().max(self.floor);
        if tail.max(self.cursor) < self.promised {
            // Not believed, however long it lasts: asked for again until a copy delivers it, or the leader has it no more.
            if self.suspect.is_none_or(|suspicion| suspicion.confirming) {
                let until = now + self.tuning.replica_patience;
                self.suspect = Some(Suspicion { until, confirming: false });
            }
            self.phase = Phase::Loading { fresh, remaining: 0 };
            self.waiting_since = None;
            self.set_state(WatchState::Suspect { what: LAGGING_COPY }, effects);
            return;
        }
        if let Some((what, patience)) = self.oddity(&fresh, tail) {
            let suspicion =
                *self.suspect.get_or_insert(Suspicion { until: now + patience, confirming: false });
            if now < suspicion.until {
                // Kept as it is: more deliveries, or the next load, may clear it up.
                self.phase = Phase::Loading { fresh, remaining: 0 };
                self.waiting_since = None;
                self.set_state(WatchState::Suspect { what }, effects);
                return;
            }
            if tail < self.newest && self.incarnation.is_none() {
                // Without permission to ask when the bucket was created, lasting lower revisions are all there is to go by.
                self.begin_epoch();
                self.newest = tail;
            }
        }
        self.suspect = None;
        self.failures = 0;
        self.waiting_since = None;
        self.phase = Phase::Live;
        self.next_count = Some(now + self.tuning.count_every);
        self.next_check = Some(now + self.tuning.check_every);
        self.next_reload = Some(now + self.tuning.reload_every);
        // The first state is handed out by `snapshot_of`: nobody has one yet that could be told the difference.
        let sets = if self.loaded { difference(&self.keys, &fresh, &self.prefixes) } else { Vec::new() };
        self.keys = fresh;
        self.set_state(WatchState::Live, effects);
        self.publish(sets, effects);
        effects.push(Effect::Loaded);
    }

    /// What is odd about a complete answer, and how long it must last to be believed.
    fn oddity(&self, fresh: &Keys, tail: Revision) -> Option<(&'static str, Duration)> {
        if emptied(&self.keys, fresh, &self.prefixes) {
            return Some(("empty, where values stood before", self.tuning.suspicion));
        }
        let patience =
            if self.incarnation.is_some() { self.tuning.replica_patience } else { self.tuning.suspicion };
        (tail < self.newest).then_some(("older than what was delivered before", patience))
    }

    fn read(&mut self, now: Instant, result: Result<Reading, ReadError>, effects: &mut Vec<Effect>) {
        self.reading = false;
        let reading = match result {
            Ok(reading) if reading.isolated => reading,
            failed => {
                // The next heartbeat, or the next entry, settles what the reading could not. One that is not of one moment
                // is none: it may hold the same part of a set that it was asked for.
                self.can_read = !matches!(
                    failed,
                    Ok(_) | Err(ReadError::NotPermitted { .. } | ReadError::Unsupported { .. })
                );
                self.waiting_since = self.waiting_since.map(|_| now);
                return;
            }
        };
        if matches!(self.phase, Phase::Down) || reading.revision < self.newest {
            self.waiting_since = self.waiting_since.map(|_| now);
            return;
        }
        self.tracker.close();
        self.open = ChangeSet::default();
        self.ready.clear();
        self.doubt = false;
        self.floor = reading.revision;
        let fresh = reading.entries.into_iter().map(|entry| (entry.key().clone(), Arc::new(entry))).collect();
        self.finish_load(now, fresh, effects);
    }

    fn counted(&mut self, now: Instant, result: Result<u64, ReadError>, effects: &mut Vec<Effect>) {
        let asked_at = self.counting.take();
        self.next_count = Some(now + self.tuning.count_every);
        if let (Err(error), Phase::Live) = (&result, &self.phase)
            && error.is_retryable()
        {
            self.resync(in_full(error), effects);
            return;
        }
        let quiet = asked_at == Some(self.sequence) && self.ready.is_empty() && self.open.changes.is_empty();
        if let (Ok(count), true, Phase::Live) = (result, quiet, &self.phase)
            && count != (self.keys.len() + self.strangers.len()) as u64
        {
            self.resync("keys vanished or appeared without a word", effects);
        }
    }

    fn checked(&mut self, result: Result<Revision, ReadError>, effects: &mut Vec<Effect>) {
        if !matches!(self.phase, Phase::Live) {
            return;
        }
        match result {
            // What the leader knew one check ago has had seconds to come.
            Ok(_) if self.newest.max(self.cursor) < self.promised => self.resync(LAGGING_COPY, effects),
            Ok(newest) => self.promised = newest,
            Err(error) if error.is_retryable() => self.resync(in_full(&error), effects),
            Err(_) => {}
        }
    }

    fn deadline_passed(&mut self, now: Instant, effects: &mut Vec<Effect>) {
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
            self.overdue(effects);
        }
        if !matches!(self.phase, Phase::Live) {
            return;
        }
        if due(self.next_reload) {
            self.resync("the regular comparison", effects);
        } else if due(self.next_expiry) {
            self.resync("a value has reached the end of its time to live", effects);
        } else if due(self.next_check) {
            self.next_check = Some(now + self.tuning.check_every);
            effects.push(Effect::Check);
        } else if self.counting.is_none() && due(self.next_count) {
            self.counting = Some(self.sequence);
            effects.push(Effect::Count);
        }
    }

    /// Something has waited for too long to be published.
    fn overdue(&mut self, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Loading { remaining, .. } if remaining > 0) {
            return;
        }
        if self.pending > self.margin() {
            self.set_state(WatchState::Lagging { pending: self.pending }, effects);
        }
        self.ask_for_a_reading(effects);
    }
}
