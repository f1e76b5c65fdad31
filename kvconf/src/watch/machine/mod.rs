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
//! rest does not come, is settled by one consistent reading. In a mirror, where such a reading can be of the middle of a set, it
//! is held, and so is what comes while a mirror catches up ([`hold`]).
//!
//! # Doubt
//! Every gap, fault or reconnect has one answer: load the last entry of each key again and compare. That finds lost
//! entries, silently expired keys and recreated buckets alike, and costs about as much as the start did.

mod beside;
mod deliver;
mod hold;
mod load;
mod presume;
mod timing;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

pub(crate) use self::beside::Base;
pub(crate) use self::load::room_for;
pub(crate) use self::presume::About;
pub(crate) use self::timing::Tuning;

use self::hold::{CatchUp, Held};
use self::load::{Load, SHORT_LOADS, Suspicion};
use self::presume::Presumption;
use super::compare::{Keys, apply};
use super::lateness::Lateness;
use super::lifetime::Lifetimes;
use super::tracker::Tracker;
use super::{ChangeSet, Update, WatchState};
use crate::store::{Delivery, Fault, Origin, ReadError, Reading, SAFE_HISTORY};
use crate::{Entry, Prefix, Revision};

/// Above how many waiting sets superseded ones are dropped; from then on whenever there are twice as many as were left.
const PRUNE_AT: usize = 4_096;

/// What an earlier process knew of the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// When the bucket was created; `None` where the client could not ask.
    pub(crate) incarnation: Option<SystemTime>,
    /// The newest revision under the watched prefix.
    pub(crate) tail: Revision,
}

/// What is wrong with a copy that does not have what the leader has.
const LAGGING_COPY: &str = "a copy of the bucket lags behind its leader";

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

#[derive(Debug)]
pub(crate) enum Input {
    /// A subscription that starts with the last entry of each key was opened.
    Opened {
        pending: u64,
        incarnation: Option<SystemTime>,
        history: Option<u64>,
        clock: Option<SystemTime>,
        promised: Revision,
        last: Option<Revision>,
    },
    /// What `Opened` said of the bucket is what the bucket said some time before.
    Presumed,
    /// What the bucket says of itself, when it was asked.
    Described(Result<About, ReadError>),
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
    /// A write got a revision that had been given before: this is another bucket, or one that was set back.
    Contradicted,
    /// How it stands with the bucket that this one copies.
    Origin(Option<Origin>),
    /// Whether the bucket gets what another one has, entry by entry. Said before `Opened`.
    Mirror(bool),
    /// The deadline has passed.
    Deadline,
    /// Other prefixes are to be watched.
    Watch(Vec<Prefix>),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Drop the subscription, if there is one, and open a new one: at once, or with a backoff after so many failures.
    Subscribe { failures: Option<u32> },
    /// Read all prefixes consistently. `whole` where the state must not end in the middle of a change set, which in a mirror
    /// it can.
    Read { whole: bool },
    /// Count the keys of all prefixes.
    Count,
    /// Ask the bucket's leader for the newest revision, where a subscription that lives need not have it.
    Check,
    /// Ask the bucket about itself.
    Describe,
    /// A new exact state.
    Publish(Update),
    /// Entries that the load under way has brought, in the order of the bucket. They are no state yet: newer ones may
    /// supersede them, and a fault may end the load.
    Arrived(Vec<Arc<Entry>>),
    /// A load is complete: what was acknowledged before the subscription was opened is contained. `as_arrived` when the
    /// state is the newest one of each key among the entries that have [`Effect::Arrived`] since the last
    /// [`Effect::Subscribe`], and nothing else.
    Loaded { as_arrived: bool },
    /// The watch's state changed.
    State(WatchState),
}

#[derive(Debug)]
enum Phase {
    /// No subscription.
    Down,
    /// The subscription is still delivering what stood in the bucket.
    Loading(Load),
    /// Everything that stands in the bucket was delivered and published.
    Live,
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
    /// Whether the bucket said so when it was last opened: permissions can be taken away.
    incarnation_told: bool,
    /// Whether that is certain.
    presumed: Presumption,
    /// The newest revision that an earlier process saw in this incarnation; zero once it was compared.
    remembered: Revision,
    /// Whether anything was published yet.
    loaded: bool,
    /// The newest revision ever delivered in this incarnation.
    newest: Revision,
    /// Whether the bucket, when it was opened, had given less than was seen of it before.
    set_back: bool,
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
    /// What keeps a bucket that copies another one from having what that one has.
    origin: Option<Origin>,
    /// When that was told.
    origin_told: Option<Instant>,
    /// Whether change sets come entry by entry.
    is_mirror: bool,
    /// The set whose rest is waited for.
    held: Option<Held>,
    catch_up: CatchUp,
    tracker: Tracker,
    open: ChangeSet,
    ready: Vec<ChangeSet>,
    /// Above how many of them superseded ones are dropped next.
    prune_at: usize,
    doubt: bool,
    /// Whether the present subscription has lost its connection.
    cut_off: bool,
    failures: u32,
    /// The present answer is suspect, and since when.
    suspect: Option<Suspicion>,
    /// Since when something waits to be published.
    waiting_since: Option<Instant>,
    /// Since when other prefixes are to be watched, while nobody was told.
    changing_since: Option<Instant>,
    reading: bool,
    /// Until when no consistent reading is asked for: the last one was not to be had.
    no_reading_until: Option<Instant>,
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
    /// that one current again and tells nobody (measured with 2.11 to 2.15).
    next_expiry: Option<Instant>,
    lifetimes: Lifetimes,
}

impl Machine {
    pub(crate) fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            history: 1,
            prefixes: Vec::new(),
            phase: Phase::Down,
            watch_state: WatchState::Loading,
            keys: Keys::default(),
            applied: Revision::ZERO,
            applied_epoch: 0,
            epoch: 0,
            incarnation: None,
            incarnation_told: false,
            presumed: Presumption::None,
            remembered: Revision::ZERO,
            loaded: false,
            newest: Revision::ZERO,
            set_back: false,
            promised: Revision::ZERO,
            cursor: Revision::ZERO,
            floor: Revision::ZERO,
            sequence: 0,
            pending: 0,
            lateness: Lateness::default(),
            origin: None,
            origin_told: None,
            is_mirror: false,
            held: None,
            catch_up: CatchUp::default(),
            tracker: Tracker::default(),
            open: ChangeSet::default(),
            ready: Vec::new(),
            prune_at: PRUNE_AT,
            doubt: false,
            cut_off: false,
            failures: 0,
            suspect: None,
            strangers: BTreeSet::new(),
            idle_while_loading: None,
            no_reading_until: None,
            waiting_since: None,
            changing_since: None,
            reading: false,
            counting: None,
            next_count: None,
            next_check: None,
            next_reload: None,
            next_expiry: None,
            lifetimes: Lifetimes::default(),
        }
    }

    pub(crate) fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    pub(crate) fn watch_state(&self) -> &WatchState {
        &self.watch_state
    }

    pub(crate) fn step(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Opened { pending, incarnation, history, clock, promised, last } => {
                self.promised = promised;
                self.history = history.unwrap_or(1);
                self.lifetimes.opened(now, clock);
                self.opened(now, pending, incarnation);
                self.set_back = last.is_some_and(|last| last < self.known_to_be_given());
            }
            Input::NotOpened(error) => self.not_opened(&error, &mut effects),
            Input::Delivered(delivery) => self.delivered(now, delivery, &mut effects),
            Input::Presumed => self.presumed = Presumption::Unasked,
            Input::Described(result) => self.described(now, &result, &mut effects),
            Input::Drained => {
                self.publish_if_exact(now, &mut effects);
                self.describe_once_loaded(&mut effects);
            }
            Input::Read(result) => self.read(now, result, &mut effects),
            Input::Counted(result) => self.counted(now, result, &mut effects),
            Input::Checked(result) => self.checked(result, &mut effects),
            Input::Contradicted => {
                self.resync("a write got a revision that had been given before", &mut effects)
            }
            Input::Origin(origin) => self.told_of_origin(now, origin, &mut effects),
            Input::Mirror(is_mirror) => self.is_mirror = is_mirror,
            Input::Deadline => self.deadline_passed(now, &mut effects),
            Input::Watch(prefixes) => self.watch(now, prefixes, &mut effects),
        }
        effects
    }

    fn watch(&mut self, now: Instant, prefixes: Vec<Prefix>, effects: &mut Vec<Effect>) {
        self.keys.retain(|key| prefixes.iter().any(|prefix| key.under(prefix).is_some()));
        // What is watched no longer must not make what is watched look old.
        let tail = self.keys.iter().map(|entry| entry.revision()).max().unwrap_or_default();
        self.newest = self.newest.min(tail);
        self.prefixes = prefixes;
        self.down();
        // Whoever has just come knows nothing of the state: it is told again, at once where it does not depend on prefixes.
        // What is wrong stays what is told, until the load says otherwise.
        let known = match &self.watch_state {
            known @ (WatchState::Disconnected
            | WatchState::ClientEnded
            | WatchState::BucketMissing
            | WatchState::Resyncing { .. }) => Some(known.clone()),
            _ => None,
        };
        self.changing_since = (self.loaded && known.is_none()).then_some(now);
        match known {
            Some(known) => effects.push(Effect::State(known)),
            None => self.watch_state = WatchState::Loading,
        }
        effects.push(Effect::Subscribe { failures: None });
    }

    fn down(&mut self) {
        self.phase = Phase::Down;
        self.unsettle();
        self.tracker = Tracker::default();
        self.open = ChangeSet::default();
        self.ready.clear();
        self.doubt = false;
        self.cut_off = false;
        self.catch_up.ask_at = None;
        self.waiting_since = None;
        self.reading = false;
        self.counting = None;
        self.presumed = Presumption::None;
    }

    fn resync(&mut self, cause: impl Into<String>, effects: &mut Vec<Effect>) {
        self.down();
        self.set_state(WatchState::Resyncing { cause: cause.into() }, effects);
        effects.push(Effect::Subscribe { failures: Some(self.failures) });
        self.failures = self.failures.saturating_add(1);
    }

    fn set_state(&mut self, state: WatchState, effects: &mut Vec<Effect>) {
        self.changing_since = None;
        // What came before the connection broke is still published, and says nothing of now. The next subscription does.
        if self.cut_off {
            return;
        }
        if self.watch_state != state {
            self.watch_state = state.clone();
            effects.push(Effect::State(state));
        }
    }

    fn not_opened(&mut self, error: &ReadError, effects: &mut Vec<Effect>) {
        self.down();
        self.failures = self.failures.saturating_add(1);
        let state = match error {
            ReadError::BucketNotFound { .. } => WatchState::BucketMissing,
            ReadError::NotPermitted { subject } => WatchState::NotPermitted { subject: subject.clone() },
            ReadError::Disconnected => WatchState::Disconnected,
            ReadError::ClientEnded => WatchState::ClientEnded,
            other => WatchState::Resyncing { cause: in_full(other) },
        };
        self.set_state(state, effects);
        effects.push(Effect::Subscribe { failures: Some(self.failures) });
    }

    fn fault(&mut self, fault: &Fault, effects: &mut Vec<Effect>) {
        match fault {
            Fault::Disconnected => {
                self.set_state(WatchState::Disconnected, effects);
                self.cut_off = true;
            }
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

    /// Whether a watch that is live has something that is not published yet.
    fn has_news(&self) -> bool {
        matches!(self.phase, Phase::Live) && !(self.ready.is_empty() && self.open.changes.is_empty())
    }

    fn publish_if_exact(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if let Phase::Loading(load) = &mut self.phase {
            effects.extend(load.hand_on());
        }
        if self.has_news() && self.catches_up(now) {
            return;
        }
        if self.tracker.is_open() || self.doubt || self.pending > self.margin() {
            self.ask_for_a_reading_of_an_endless_set(now, effects);
            return;
        }
        match &mut self.phase {
            Phase::Down => {}
            Phase::Loading(load) if load.remaining > 0 && (self.pending > 0 || self.sequence == 0) => {}
            Phase::Loading(load) if load.remaining > 0 && self.failures < SHORT_LOADS => {
                self.load_again(effects);
            }
            Phase::Loading(load) => {
                let load = std::mem::take(load);
                self.finish_load(now, load, effects);
            }
            Phase::Live => self.publish_ready(effects),
        }
    }

    /// A batch of another client may have more messages for us or not. Nothing is pending, so nothing will tell soon.
    fn ask_for_a_reading_of_an_endless_set(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.pending == 0 && self.tracker.is_endless() {
            self.ask_for_a_reading(now, effects);
        }
    }

    fn ask_for_a_reading(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let is_refused = self.no_reading_until.is_some_and(|until| now < until);
        if !self.reading && !is_refused {
            self.reading = true;
            effects.push(Effect::Read { whole: self.is_mirror && !self.gives_up(now) });
        }
    }

    fn publish_ready(&mut self, effects: &mut Vec<Effect>) {
        self.waiting_since = None;
        self.release();
        let sets = std::mem::take(&mut self.ready);
        self.prune_at = PRUNE_AT;
        if !sets.is_empty()
            || matches!(self.watch_state, WatchState::Lagging { .. } | WatchState::Late { .. })
        {
            self.set_state(self.following(), effects);
        }
        for set in &sets {
            apply(&mut self.keys, set);
        }
        self.publish(sets, self.newest.max(self.floor), effects);
    }

    /// The state of a watch that has published all there is.
    pub(super) fn following(&self) -> WatchState {
        match self.trouble() {
            Some(Origin::Away { bucket, cause }) => {
                WatchState::OriginAway { origin: bucket.clone(), cause: cause.clone() }
            }
            Some(Origin::Replaced { bucket }) => WatchState::OriginReplaced { origin: bucket.clone() },
            Some(Origin::Ahead { entries }) => WatchState::Lagging { pending: *entries },
            None => match self.missing() {
                Some(pending) => WatchState::Lagging { pending },
                None => self.lateness.by().map_or(WatchState::Live, |by| WatchState::Late { by }),
            },
        }
    }

    fn told_of_origin(&mut self, now: Instant, origin: Option<Origin>, effects: &mut Vec<Effect>) {
        let had_none = self.trouble().is_none();
        self.origin = origin;
        self.origin_told = Some(now);
        if self.follow_catch_up() && !matches!(self.phase, Phase::Down) {
            self.resync("the mirror has caught up", effects);
            return;
        }
        // Where something else is wrong as well, it is told when that is over.
        let is_settled = match self.watch_state {
            WatchState::Live | WatchState::OriginAway { .. } | WatchState::OriginReplaced { .. } => true,
            WatchState::Lagging { .. } => !had_none || self.missing().is_some(),
            _ => false,
        };
        if is_settled && matches!(self.phase, Phase::Live) {
            self.set_state(self.following(), effects);
        }
    }

    /// Publishes what stands before a set that does not end, when nobody can be asked for its rest: whoever writes such sets
    /// again and again would keep a reader from the changes of all others.
    ///
    /// The state before the set is exact where no entry of it can have been pushed out undelivered: by what is pending, or by
    /// the set.
    fn publish_what_is_closed(&mut self, effects: &mut Vec<Effect>) {
        let of_set = self.open.changes.len() as u64;
        let first = self.open.changes.first().and_then(|change| change.entry.as_ref());
        let Some(first) = first.filter(|_| matches!(self.phase, Phase::Live)) else { return };
        if self.doubt || self.ready.is_empty() || self.pending.saturating_add(of_set) > self.margin() {
            return;
        }
        let before = Revision::new(first.revision().get().saturating_sub(1));
        let sets = std::mem::take(&mut self.ready);
        self.prune_at = PRUNE_AT;
        for set in &sets {
            apply(&mut self.keys, set);
        }
        self.publish(sets, before.max(self.floor), effects);
    }

    fn publish(&mut self, sets: Vec<ChangeSet>, reached: Revision, effects: &mut Vec<Effect>) {
        let is_another = self.epoch != self.applied_epoch;
        let revision = if is_another { reached } else { self.applied.max(reached) };
        // Also where nothing has changed: it is what handles that come next are told.
        self.applied = revision;
        self.applied_epoch = self.epoch;
        // That it is another bucket is told also where every key is the same: its revisions are others.
        if sets.is_empty() && self.loaded && !is_another {
            return;
        }
        self.loaded = true;
        effects.push(Effect::Publish(Update { revision, epoch: self.epoch, sets }));
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
}
