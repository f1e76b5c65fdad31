//! One machine with all that it needs: a subscription, the answers that are outstanding, and the handles that it feeds.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout};

use super::machine::{About, Base, Effect, Input, Machine, room_for};
use super::mirrored::read_whole;
use super::observer::{Attached, Standing, minimal};
use super::{Update, WatchState};
use crate::backoff::Backoff;
use crate::store::{
    Delivery, Fault, Point, ReadError, Reading, Standing as Known, Start, Status, Store, Subscription, Told,
};
use crate::{Filter, Prefix};

/// How many deliveries are taken in one go before a state is published and other events get their turn.
const DRAIN: usize = 256;

/// How long the first attempt to begin again may take. Whoever was asked may just have died: an answer takes milliseconds,
/// and a leader's election two to four seconds, so with all of the store's patience a handle would be back much later than
/// the bucket. Later attempts have it, for connections on which an answer does take long.
const FIRST_ATTEMPT_WITHIN: Duration = Duration::from_secs(2);

/// How long a leader that is only asked whether it is there may take.
const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// One consumer of the bucket, and the handles that live on it.
pub(super) struct Strand {
    number: u64,
    store: Arc<dyn Store>,
    machine: Machine,
    observers: Vec<Attached>,
    /// Whether a load is under way for the sake of handles that have no state yet.
    loads_for_newcomers: bool,
    /// The server has no room for one more consumer.
    is_crowded: bool,
    /// Whether a load was completed that nobody has taken note of.
    has_loaded: bool,
    /// The same of a next state that was given to handles.
    has_published: bool,
    /// The states of watches that became a part of this one, until they are brought up to date.
    behind: Vec<(u64, Base)>,
    deliveries: Option<BoxStream<'static, Delivery>>,
    opening: Option<BoxFuture<'static, Result<Subscription, ReadError>>>,
    reading: Option<BoxFuture<'static, Result<Reading, ReadError>>>,
    counting: Option<BoxFuture<'static, Result<u64, ReadError>>>,
    checking: Option<BoxFuture<'static, Result<Known, ReadError>>>,
    describing: Option<BoxFuture<'static, Result<Status, ReadError>>>,
}

/// Something that a strand has waited for.
pub(super) enum Event {
    /// The subscription says something; `None` when it is over.
    Delivered(Option<Delivery>),
    Opened(Result<Subscription, ReadError>),
    Read(Result<Reading, ReadError>),
    Counted(Result<u64, ReadError>),
    Checked(Result<Known, ReadError>),
    Described(Result<About, ReadError>),
}

/// The outcome of a future that may not be there.
fn poll_once<T>(future: &mut Option<BoxFuture<'static, T>>, cx: &mut Context<'_>) -> Poll<T> {
    let Some(inner) = future else { return Poll::Pending };
    let outcome = inner.poll_unpin(cx);
    if outcome.is_ready() {
        *future = None;
    }
    outcome
}

/// The answer to a question that is given up before the store would.
async fn in_time<T>(
    within: Duration,
    what: &'static str,
    answer: impl Future<Output = Result<T, ReadError>>,
) -> Result<T, ReadError> {
    timeout(within, answer).await.map_err(|_| ReadError::Timeout { what, after: within })?
}

impl Strand {
    pub(super) fn new(number: u64, store: Arc<dyn Store>, machine: Machine) -> Self {
        Self {
            number,
            store,
            machine,
            observers: Vec::new(),
            loads_for_newcomers: false,
            is_crowded: false,
            has_loaded: false,
            has_published: false,
            behind: Vec::new(),
            deliveries: None,
            opening: None,
            reading: None,
            counting: None,
            checking: None,
            describing: None,
        }
    }

    pub(super) const fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(super) fn is_empty(&self) -> bool {
        self.observers.is_empty()
    }

    pub(super) const fn loads_for_newcomers(&self) -> bool {
        self.loads_for_newcomers
    }

    /// Whether handles that come now can just as well share its next attempt: it has no state, and not because of what it
    /// may not read.
    pub(super) fn takes_newcomers(&self) -> bool {
        let is_refused = matches!(self.machine.watch_state(), WatchState::NotPermitted { .. });
        self.machine.applied().is_none() && !is_refused
    }

    /// Whether the server had no room for it, and it has no state for that reason.
    pub(super) fn is_crowded_out(&self) -> bool {
        self.is_crowded && self.machine.applied().is_none()
    }

    pub(super) fn take_loaded(&mut self) -> bool {
        std::mem::take(&mut self.has_loaded)
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(stream) = &mut self.deliveries
            && let Poll::Ready(delivery) = stream.poll_next_unpin(cx)
        {
            return Poll::Ready(Event::Delivered(delivery));
        }
        let opened = poll_once(&mut self.opening, cx).map(Event::Opened);
        if opened.is_ready() {
            return opened;
        }
        let read = poll_once(&mut self.reading, cx).map(Event::Read);
        if read.is_ready() {
            return read;
        }
        let counted = poll_once(&mut self.counting, cx).map(Event::Counted);
        if counted.is_ready() {
            return counted;
        }
        let checked = poll_once(&mut self.checking, cx).map(Event::Checked);
        if checked.is_ready() {
            return checked;
        }
        let about = |status: Result<Status, ReadError>| status.map(|status| About::of(&status));
        poll_once(&mut self.describing, cx).map(|status| Event::Described(about(status)))
    }

    /// Whether a next state was given to handles that have one.
    pub(super) fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Delivered(Some(delivery)) => self.drain(delivery),
            Event::Delivered(None) => self.input(Input::Delivered(Delivery::Fault(Fault::Ended))),
            Event::Opened(opened) => self.opened(opened),
            Event::Read(reading) => self.input(Input::Read(reading)),
            Event::Counted(count) => self.input(Input::Counted(count)),
            Event::Checked(outcome) => self.checked(outcome),
            Event::Described(about) => self.input(Input::Described(about)),
        }
        std::mem::take(&mut self.has_published)
    }

    pub(super) fn deadline_passed(&mut self, now: Instant) {
        if self.machine.deadline().is_some_and(|at| at <= now) {
            self.input(Input::Deadline);
        }
    }

    /// A write has shown that this epoch is over.
    pub(super) fn contradict(&mut self, epoch: u64) {
        if self.machine.is_settled() && self.machine.applied().is_some_and(|(_, own)| own <= epoch) {
            self.input(Input::Contradicted);
        }
    }

    /// Takes handles that have nothing yet, and loads what all of its handles need. Also what is watched already: a handle
    /// starts with everything that was acknowledged before.
    pub(super) fn join(&mut self, newcomers: Vec<Attached>) {
        for newcomer in newcomers {
            newcomer.remembered.into_iter().for_each(|remembered| self.machine.remember(remembered));
            self.observers.push(newcomer);
        }
        self.loads_for_newcomers = true;
        self.input(Input::Watch(self.needed()));
    }

    /// Lets a handle go; whether it had one of this number.
    pub(super) fn detach(&mut self, id: u64) -> bool {
        let Some(at) = self.observers.iter().position(|attached| attached.id == id) else { return false };
        let waited = self.observers.remove(at).standing == Standing::New;
        if waited && !self.observers.is_empty() {
            self.narrow();
        }
        if self.newcomers().next().is_none() {
            self.loads_for_newcomers = false;
        }
        true
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
        minimal(self.observers.iter().flat_map(|attached| attached.prefixes.clone()))
    }

    /// Makes the handles of others its own. Those that it has all keys of go on at once; for the rest everything is loaded
    /// again.
    pub(super) fn absorb(&mut self, others: Vec<Self>) {
        let mut widens = false;
        for mut other in others {
            let update = other.machine.is_settled().then(|| self.machine.continues(&other.machine)).flatten();
            if let Some(update) = update.filter(|_| self.machine.is_settled() && !widens) {
                let (state, created) = (self.machine.watch_state(), self.machine.incarnation());
                for attached in &mut other.observers {
                    attached.call(|observer| observer.state(state));
                    attached.update(created, &update);
                }
            } else {
                widens = true;
                let has_state = other.machine.applied().is_some();
                self.loads_for_newcomers |= !has_state;
                self.behind.append(&mut other.behind);
                for attached in &mut other.observers {
                    if attached.standing == Standing::Current {
                        attached.standing = Standing::Behind(other.number);
                    }
                }
                self.behind.push((other.number, self.machine.absorb(other.machine)));
            }
            self.observers.append(&mut other.observers);
        }
        if widens {
            self.input(Input::Watch(self.needed()));
        }
    }

    /// Handles that have no state yet.
    fn newcomers(&mut self) -> impl Iterator<Item = &mut Attached> {
        self.observers.iter_mut().filter(|attached| attached.standing == Standing::New)
    }

    /// Gives the loaded state to handles that have none, and to those of other watches what has changed for them.
    fn bring_up_to_date(&mut self, as_arrived: bool) {
        let Some((revision, epoch)) = self.machine.applied() else { return };
        self.loads_for_newcomers = false;
        self.is_crowded = false;
        self.has_loaded = true;
        let machine = &self.machine;
        for attached in self.observers.iter_mut().filter(|attached| attached.standing == Standing::New) {
            attached.standing = Standing::Current;
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
        let behind = std::mem::take(&mut self.behind);
        let has_united = !behind.is_empty();
        for (number, base) in behind {
            let update = machine.since(&base);
            let behind = Standing::Behind(number);
            for attached in self.observers.iter_mut().filter(|attached| attached.standing == behind) {
                attached.standing = Standing::Current;
                if let Some(update) = &update {
                    attached.update(machine.incarnation(), update);
                }
            }
        }
        if has_united {
            // Nothing has changed for some of them, and all of them are as far as whoever was the furthest.
            let reached = Update { revision, epoch, sets: Vec::new() };
            for attached in &mut self.observers {
                attached.update(machine.incarnation(), &reached);
            }
        }
    }

    fn opened(&mut self, opened: Result<Subscription, ReadError>) {
        match opened {
            Ok(subscription) => {
                let Subscription { pending, incarnation, history, told, clock, promised, last, .. } =
                    subscription;
                self.deliveries = Some(subscription.deliveries);
                self.input(Input::Mirror(self.store.is_mirror()));
                self.input(Input::Origin(subscription.origin));
                self.input(Input::Opened { pending, incarnation, history, clock, promised, last });
                if told == Told::Before {
                    self.input(Input::Presumed);
                }
                // Of several handles nobody knows for which the entries are.
                if let [only] = self.observers.as_mut_slice()
                    && only.standing == Standing::New
                {
                    only.call(|observer| observer.expecting(room_for(pending)));
                }
                if pending == 0 {
                    self.input(Input::Drained);
                }
            }
            Err(error) => {
                self.is_crowded = error.is_for_want_of_consumers();
                self.input(Input::NotOpened(error));
            }
        }
    }

    fn checked(&mut self, outcome: Result<Known, ReadError>) {
        let newest = outcome.map(|Known { newest, origin }| {
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
                    self.input_at(now, Input::Delivered(Delivery::Fault(Fault::Ended)));
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
            Effect::Read { whole } => {
                let (store, filters) = (Arc::clone(&self.store), self.filters());
                let reading = async move {
                    if whole {
                        return read_whole(&*store, &filters).await;
                    }
                    store.read(&filters, Point::Latest).await
                };
                self.reading = Some(reading.boxed());
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
                        None => Ok(Known::default()),
                    }
                };
                self.checking = Some(checking.boxed());
            }
            Effect::Check => {}
            Effect::Describe => {
                let store = Arc::clone(&self.store);
                self.describing = Some(async move { store.status().await }.boxed());
            }
            Effect::Publish(update) => {
                self.has_published = true;
                let created = self.machine.incarnation();
                let current = |attached: &&mut Attached| attached.standing == Standing::Current;
                self.observers.iter_mut().filter(current).for_each(|one| one.update(created, &update));
            }
            Effect::Arrived(entries) => {
                self.newcomers()
                    .for_each(|attached| _ = attached.call(|observer| observer.arrived(&entries)));
            }
            Effect::Loaded { as_arrived } => self.bring_up_to_date(as_arrived),
            Effect::State(state) => {
                tracing::debug!(bucket = self.store.name(), %state, "watch");
                for attached in &mut self.observers {
                    attached.call(|observer| observer.state(&state));
                }
            }
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
