//! Feeds the state machine: the subscription, the timers, and the calls that it asks for.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::machine::{About, Effect, Input, Machine, Tuning, room_for};
use super::{Remembered, Update, WatchState};
use crate::backoff::Backoff;
use crate::store::{Delivery, Point, ReadError, Reading, Standing, Start, Status, Store, Subscription, Told};
use crate::{Entry, Filter, Prefix, Revision};

/// How many deliveries are taken in one go before a state is published and other events get their turn.
const DRAIN: usize = 256;

/// How often the watch's task runs at least.
const BEAT: Duration = Duration::from_secs(1);

/// For how long it may not have run before what it last said counts for nothing.
const STARVED_AFTER: Duration = Duration::from_secs(4);

/// How long the first attempt to begin again may take. Whoever was asked may just have died: an answer takes milliseconds,
/// and a leader's election two to four seconds, so with all of the store's patience a handle would be back much later than
/// the bucket. Later attempts have it, for connections on which an answer does take long.
const FIRST_ATTEMPT_WITHIN: Duration = Duration::from_secs(2);

/// How long a leader that is only asked whether it is there may take.
const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// What wants to know of changes under some prefixes. Called from the watch's task: quick, and never blocking.
pub(crate) trait Observer: Send + 'static {
    /// A load begins: what has arrived before no longer counts. Only before the first state.
    fn loading(&mut self) {}
    /// About so many entries are to arrive: time to make room for them. Only before the first state.
    fn expecting(&mut self, entries: usize) {
        let _ = entries;
    }
    /// Entries that a load has brought, in the order of the bucket, while the server still delivers more: time to prepare.
    /// They are no state yet. Only before the first state.
    fn arrived(&mut self, entries: &[Arc<Entry>]) {
        let _ = entries;
    }
    /// The first exact state: the newest entry of each key of all that have arrived since the load began. `false` asks
    /// for [`Self::update`] with all of it instead.
    fn complete(&mut self, revision: Revision, epoch: u64) -> bool {
        let _ = (revision, epoch);
        false
    }
    /// The next exact state. The first one is what leads from nothing to the state.
    fn update(&mut self, update: &Update);
    /// When the bucket was created whose states come next; `None` where the client may not ask.
    fn created(&mut self, _at: Option<SystemTime>) {}
    /// The watch's state changed.
    fn state(&mut self, state: &WatchState);
}

enum Command {
    Attach { id: u64, prefixes: Vec<Prefix>, observer: Box<dyn Observer>, remembered: Option<Remembered> },
    Detach { id: u64 },
}

/// When the watch's task last ran: a program that blocks its runtime stops the watch without the watch noticing.
struct Pulse {
    origin: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
}

impl Pulse {
    fn new() -> Self {
        Self { origin: Instant::now(), last: AtomicU64::new(0) }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn beat(&self) {
        self.last.store(self.millis(), Ordering::Relaxed);
    }

    fn still_for(&self) -> Duration {
        Duration::from_millis(self.millis().saturating_sub(self.last.load(Ordering::Relaxed)))
    }
}

/// The place where the handles of one bucket find their common watch.
pub(crate) struct Hub {
    store: Arc<dyn Store>,
    pulse: Arc<Pulse>,
    /// Where the running driver takes commands. Unbounded: two commands at most for every handle there is.
    commands: Arc<Mutex<Option<UnboundedSender<Command>>>>,
    ids: AtomicU64,
}

/// A handle's share in the watch. Dropping it ends the share, and the last one ends the watch.
pub(crate) struct Attachment {
    id: u64,
    commands: UnboundedSender<Command>,
    pulse: Arc<Pulse>,
}

impl Attachment {
    /// For how long the watch has not run, when that is too long.
    pub(crate) fn starved_for(&self) -> Option<Duration> {
        Some(self.pulse.still_for()).filter(|still| *still > STARVED_AFTER)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // A driver that is gone needs no word.
        let _ = self.commands.send(Command::Detach { id: self.id });
    }
}

impl Hub {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, pulse: Arc::new(Pulse::new()), commands: Arc::default(), ids: AtomicU64::new(1) }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Joins the watch, or begins it. Must be called inside a tokio runtime.
    #[cfg(test)]
    pub(crate) fn attach(&self, prefix: Prefix, observer: Box<dyn Observer>) -> Attachment {
        self.attach_remembering(vec![prefix], observer, None)
    }

    /// Joins the watch, or begins it, with what an earlier process knew of the bucket. Must be called inside a tokio
    /// runtime.
    pub(crate) fn attach_remembering(
        &self,
        prefixes: Vec<Prefix>,
        observer: Box<dyn Observer>,
        remembered: Option<Remembered>,
    ) -> Attachment {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let mut slot = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let commands = match &*slot {
            Some(commands) if !commands.is_closed() => commands.clone(),
            _ => {
                let (sender, receiver) = unbounded_channel();
                self.pulse.beat();
                let driver = Driver {
                    store: Arc::clone(&self.store),
                    pulse: Arc::clone(&self.pulse),
                    machine: Machine::new(Tuning::default().jittered(rand::random())),
                    observers: Vec::new(),
                    loads_for_newcomers: false,
                    queue: Vec::new(),
                    receiver,
                    slot: Arc::clone(&self.commands),
                    deliveries: None,
                    opening: None,
                    reading: None,
                    counting: None,
                    checking: None,
                    describing: None,
                };
                tokio::spawn(driver.run());
                *slot = Some(sender.clone());
                sender
            }
        };
        // The lock is held, so the driver cannot have ended in between.
        let _ = commands.send(Command::Attach { id, prefixes, observer, remembered });
        Attachment { id, commands, pulse: Arc::clone(&self.pulse) }
    }
}

struct Attached {
    id: u64,
    prefixes: Vec<Prefix>,
    observer: Box<dyn Observer>,
    /// Whether it got the whole state.
    loaded: bool,
}

impl Attached {
    /// Calls the observer. All handles of a bucket share this task: what panics in one of them, such as the `Drop` of a
    /// program's own value, must not end the watch of the others.
    fn call<R>(&mut self, call: impl FnOnce(&mut dyn Observer) -> R) -> Option<R> {
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&mut *self.observer)));
        if outcome.is_err() {
            let prefixes = self.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::error!(prefixes, "the program's own code panicked on a change of the bucket");
        }
        outcome.ok()
    }
}

struct Driver {
    store: Arc<dyn Store>,
    pulse: Arc<Pulse>,
    machine: Machine,
    observers: Vec<Attached>,
    /// Whether a load is under way for the sake of handles that have no state yet.
    loads_for_newcomers: bool,
    /// Who came while it was: they get a load of their own afterwards. Beginning that one again for each of them would keep
    /// all of them, and those who have a state, waiting for as long as others keep coming.
    queue: Vec<Attached>,
    receiver: UnboundedReceiver<Command>,
    slot: Arc<Mutex<Option<UnboundedSender<Command>>>>,
    deliveries: Option<BoxStream<'static, Delivery>>,
    opening: Option<BoxFuture<'static, Result<Subscription, ReadError>>>,
    reading: Option<BoxFuture<'static, Result<Reading, ReadError>>>,
    counting: Option<BoxFuture<'static, Result<u64, ReadError>>>,
    checking: Option<BoxFuture<'static, Result<Standing, ReadError>>>,
    describing: Option<BoxFuture<'static, Result<Status, ReadError>>>,
}

/// The outcome of a future that may not be there; then never.
async fn maybe<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(inner) => {
            let value = inner.await;
            *future = None;
            value
        }
        None => pending().await,
    }
}

/// The answer to a question that is given up before the store would.
async fn in_time<T>(
    within: Duration,
    what: &'static str,
    answer: impl Future<Output = Result<T, ReadError>>,
) -> Result<T, ReadError> {
    timeout(within, answer).await.map_err(|_| ReadError::Timeout { what, after: within })?
}

async fn next(deliveries: &mut Option<BoxStream<'static, Delivery>>) -> Option<Delivery> {
    match deliveries {
        Some(stream) => stream.next().await,
        None => pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

impl Driver {
    async fn run(mut self) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.pulse.beat();
            let deadline = self.machine.deadline();
            tokio::select! {
                biased;
                command = self.receiver.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                delivery = next(&mut self.deliveries) => match delivery {
                    Some(delivery) => self.drain(delivery),
                    None => self.input(Input::Delivered(Delivery::Fault(crate::store::Fault::Ended))),
                },
                opened = maybe(&mut self.opening) => self.opened(opened),
                reading = maybe(&mut self.reading) => self.input(Input::Read(reading)),
                count = maybe(&mut self.counting) => self.input(Input::Counted(count)),
                outcome = maybe(&mut self.checking) => self.checked(outcome),
                status = maybe(&mut self.describing) => self.input(Input::Described(status.map(|status| About::of(&status)))),
                () = until(deadline) => self.input(Input::Deadline),
                _ = beat.tick() => {}
            }
            if !self.loads_for_newcomers && !self.queue.is_empty() {
                self.widen();
            }
            if self.observers.is_empty() && self.ends() {
                return;
            }
        }
    }

    /// Gives the place in the hub free, unless somebody has just asked to join.
    fn ends(&self) -> bool {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.receiver.is_empty() {
            return false;
        }
        *slot = None;
        true
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Attach { id, prefixes, observer, remembered } => {
                self.queue.push(Attached { id, prefixes, observer, loaded: false });
                remembered.into_iter().for_each(|remembered| self.machine.remember(remembered));
            }
            Command::Detach { id } => {
                let waited = self.observers.iter().any(|attached| attached.id == id && !attached.loaded);
                self.detach(id);
                if waited && !self.observers.is_empty() {
                    self.narrow();
                }
                if self.newcomers().next().is_none() {
                    self.loads_for_newcomers = false;
                }
            }
        }
    }

    fn detach(&mut self, id: u64) {
        self.queue.retain(|attached| attached.id != id);
        self.observers.retain(|attached| attached.id != id);
    }

    /// Watches no more than is needed. Called when a start was given up: what the others need may well be permitted and
    /// there, even if what it asked for is not.
    fn narrow(&mut self) {
        let prefixes = self.needed();
        if prefixes != self.machine.prefixes() {
            self.input(Input::Watch(prefixes));
        }
    }

    fn needed(&self) -> Vec<Prefix> {
        minimal(self.observers.iter().flat_map(|attached| attached.prefixes.clone()).collect())
    }

    /// Takes all handles that are waiting to join, then loads what all handles need. Also what is watched already: a handle
    /// starts with everything that was acknowledged before.
    fn widen(&mut self) {
        while let Ok(command) = self.receiver.try_recv() {
            match command {
                Command::Attach { id, prefixes, observer, remembered } => {
                    self.queue.push(Attached { id, prefixes, observer, loaded: false });
                    remembered.into_iter().for_each(|remembered| self.machine.remember(remembered));
                }
                Command::Detach { id } => self.detach(id),
            }
        }
        self.observers.append(&mut self.queue);
        if self.newcomers().next().is_none() {
            return;
        }
        self.loads_for_newcomers = true;
        self.input(Input::Watch(self.needed()));
    }

    /// Handles that have no state yet.
    fn newcomers(&mut self) -> impl Iterator<Item = &mut Attached> {
        self.observers.iter_mut().filter(|attached| !attached.loaded)
    }

    /// Gives the loaded state to handles that have none.
    fn load_newcomers(&mut self, as_arrived: bool) {
        let Some((revision, epoch)) = self.machine.applied() else { return };
        self.loads_for_newcomers = false;
        let machine = &self.machine;
        for attached in self.observers.iter_mut().filter(|attached| !attached.loaded) {
            attached.loaded = true;
            let prefixes = attached.prefixes.clone();
            attached.call(|observer| {
                observer.state(machine.watch_state());
                observer.created(machine.incarnation());
                if as_arrived && observer.complete(revision, epoch) {
                    return;
                }
                if let Some(update) = machine.snapshot_of(&prefixes) {
                    observer.update(&update);
                }
            });
        }
    }

    fn opened(&mut self, opened: Result<Subscription, ReadError>) {
        match opened {
            Ok(subscription) => {
                let Subscription { pending, incarnation, history, told, clock, promised, last, .. } =
                    subscription;
                self.deliveries = Some(subscription.deliveries);
                self.input(Input::Origin(subscription.origin));
                self.input(Input::Opened { pending, incarnation, history, clock, promised, last });
                if told == Told::Before {
                    self.input(Input::Presumed);
                }
                // Of several handles nobody knows for which the entries are.
                if let [only] = self.observers.as_mut_slice()
                    && !only.loaded
                {
                    only.call(|observer| observer.expecting(room_for(pending)));
                }
                if pending == 0 {
                    self.input(Input::Drained);
                }
            }
            Err(error) => self.input(Input::NotOpened(error)),
        }
    }

    fn checked(&mut self, outcome: Result<Standing, ReadError>) {
        let newest = outcome.map(|Standing { newest, origin }| {
            self.input(Input::Origin(origin));
            newest
        });
        self.input(Input::Checked(newest));
    }

    /// Takes what is ready, so that a burst becomes few states.
    fn drain(&mut self, first: Delivery) {
        // Asked once: for ten thousand entries the clock alone is a measurable part.
        let now = Instant::now();
        self.input_at(now, Input::Delivered(first));
        for _ in 1..DRAIN {
            let ready = self.deliveries.as_mut().and_then(|stream| stream.next().now_or_never());
            match ready {
                Some(Some(delivery)) => self.input_at(now, Input::Delivered(delivery)),
                Some(None) => {
                    self.input_at(now, Input::Delivered(Delivery::Fault(crate::store::Fault::Ended)));
                    break;
                }
                None => break,
            }
        }
        self.input(Input::Drained);
    }

    fn input(&mut self, input: Input) {
        self.input_at(Instant::now(), input);
    }

    fn input_at(&mut self, now: Instant, input: Input) {
        for effect in self.machine.step(now, input) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Subscribe { failures } => {
                self.deliveries = None;
                self.reading = None;
                self.counting = None;
                self.checking = None;
                self.describing = None;
                // Begun again because it failed: then for all who have come meanwhile.
                self.loads_for_newcomers &= failures.is_none();
                self.newcomers().for_each(|attached| _ = attached.call(|observer| observer.loading()));
                self.opening = Some(self.subscribe(failures));
            }
            Effect::Read => {
                let (store, filters) = (Arc::clone(&self.store), self.filters());
                self.reading = Some(async move { store.read(&filters, Point::Latest).await }.boxed());
            }
            Effect::Count => {
                let (store, filters) = (Arc::clone(&self.store), self.filters());
                self.counting = Some(async move { store.count(&filters).await }.boxed());
            }
            Effect::Check if self.checking.is_none() => {
                let (store, filters) = (Arc::clone(&self.store), self.filters());
                let checking = async move {
                    match store.standing(&filters) {
                        Some(answer) => in_time(CHECK_WITHIN, "the bucket's leader", answer).await,
                        None => Ok(Standing::default()),
                    }
                };
                self.checking = Some(checking.boxed());
            }
            Effect::Check => {}
            Effect::Describe => {
                let store = Arc::clone(&self.store);
                self.describing = Some(async move { store.status().await }.boxed());
            }
            Effect::Publish(update) => self.publish(&update),
            Effect::Arrived(entries) => {
                self.newcomers()
                    .for_each(|attached| _ = attached.call(|observer| observer.arrived(&entries)));
            }
            Effect::Loaded { as_arrived } => self.load_newcomers(as_arrived),
            Effect::State(state) => {
                tracing::debug!(bucket = self.store.name(), %state, "watch");
                for attached in &mut self.observers {
                    attached.call(|observer| observer.state(&state));
                }
            }
        }
    }

    fn publish(&mut self, update: &Update) {
        let created = self.machine.incarnation();
        for attached in self.observers.iter_mut().filter(|attached| attached.loaded) {
            attached.call(|observer| {
                observer.created(created);
                observer.update(update);
            });
        }
    }

    fn filters(&self) -> Vec<Filter> {
        self.machine.prefixes().iter().map(Filter::from).collect()
    }

    fn subscribe(&self, failures: Option<u32>) -> BoxFuture<'static, Result<Subscription, ReadError>> {
        let (store, filters) = (Arc::clone(&self.store), self.filters());
        let is_first = failures.is_none() && self.machine.knows_nothing();
        async move {
            if is_first {
                return store.subscribe_first(&filters).await;
            }
            if let Some(failures) = failures {
                tokio::time::sleep(Backoff::WATCH.delay(failures)).await;
            }
            let opened = store.subscribe(&filters, Start::Last);
            if failures != Some(0) {
                return opened.await;
            }
            in_time(FIRST_ATTEMPT_WITHIN, "a subscription", opened).await
        }
        .boxed()
    }
}

/// The prefixes that cover all of these and none of each other.
fn minimal(prefixes: Vec<Prefix>) -> Vec<Prefix> {
    let mut kept: Vec<Prefix> = Vec::new();
    for prefix in prefixes {
        if kept.iter().any(|other| other.covers(&prefix)) {
            continue;
        }
        kept.retain(|other| !prefix.covers(other));
        kept.push(prefix);
    }
    kept.sort();
    kept
}
