//! A bucket in this process's memory that behaves as one on a server does.
//!
//! [`log`] is the bucket's state and [`cursor`] a subscription's place in it; both are pure. This file adds the lock, the
//! clock (tokio's, so that a test can pause it) and the streams. There is no task: what expires is removed by whoever
//! looks next, and a subscription that waits also waits for the next expiry.

mod cursor;
#[cfg(feature = "fleet")]
mod exchange;
mod faults;
mod log;
#[cfg(test)]
mod model_tests;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::cursor::Cursor;
use self::faults::Planned;
use self::log::Log;
use self::settings::Settings;
use super::{
    BucketConfig, Caveat, Delivery, Kept, Point, ReadError, Reading, Start, Status, Store, Subscription,
    Told, Write, WriteError,
};
use crate::{Entry, Filter, Key, Revision};

pub use self::faults::MemoryFaults;

/// How long a subscription is silent before it says that there is nothing new.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What a lost acknowledgement claims to have waited.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(5);

/// The memory backend. Clones are the same bucket.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    started: Instant,
    started_at: SystemTime,
    state: Mutex<State>,
    #[cfg(feature = "fleet")]
    exchange: exchange::MemoryExchange,
}

#[derive(Debug)]
struct State {
    /// `None` while the bucket is deleted.
    log: Option<Log>,
    /// The settings to create it with again.
    settings: Settings,
    subscribers: BTreeMap<u64, Subscriber>,
    /// When the newest bucket of this name was created.
    created: SystemTime,
    /// How many subscriptions and batches there have been: their ids.
    ids: u64,
    planned: Planned,
    /// Whether it is to be taken for a mirror, and how it stands with the bucket that it copies.
    #[cfg(test)]
    mirror: Option<Option<super::Origin>>,
    /// Whether nobody may read several keys as of one moment.
    #[cfg(test)]
    refuses_readings: bool,
}

#[derive(Debug)]
struct Subscriber {
    cursor: Cursor,
    wake: Arc<Notify>,
}

impl MemoryStore {
    /// A new, empty bucket.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that no bucket can have, [`ReadError::Unsupported`] for a setting that a server
    /// would refuse, and for a mirror or sources.
    pub(crate) fn new(config: BucketConfig) -> Result<Self, ReadError> {
        Ok(Self::from_settings(Settings::new(config)?))
    }

    /// A new, empty bucket with what kvconf makes a bucket with.
    pub(crate) fn with_defaults(name: &'static str) -> Self {
        Self::from_settings(Settings::defaults(name))
    }

    fn from_settings(settings: Settings) -> Self {
        let name = settings.name().to_owned();
        let started_at = SystemTime::now();
        let state = State {
            log: Some(Log::new(settings.clone(), started_at)),
            settings,
            created: started_at,
            subscribers: BTreeMap::new(),
            ids: 0,
            planned: Planned::default(),
            #[cfg(test)]
            mirror: None,
            #[cfg(test)]
            refuses_readings: false,
        };
        let shared = Shared {
            name,
            started: Instant::now(),
            started_at,
            state: Mutex::new(state),
            #[cfg(feature = "fleet")]
            exchange: exchange::MemoryExchange::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The handle that makes things go wrong.
    pub(crate) fn faults(&self) -> MemoryFaults {
        MemoryFaults::new(Arc::clone(&self.shared))
    }

    fn read_log<T>(&self, read: impl FnOnce(&Log) -> Result<T, ReadError>) -> Result<T, ReadError> {
        self.shared.with(|state, _| {
            state.planned.next_read()?;
            read(state.log(&self.shared.name)?)
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&mut State, SystemTime) -> Result<Revision, WriteError>,
    ) -> Result<Revision, WriteError> {
        self.shared.with(|state, now| {
            state.planned.next_write()?;
            let revision = change(state, now)?;
            if state.planned.loses_acknowledgement() {
                return Err(WriteError::Unconfirmed { after: ACKNOWLEDGEMENT });
            }
            Ok(revision)
        })
    }
}

impl Shared {
    /// Runs one step on the state as it is now, and tells the subscriptions what came of it.
    fn with<T>(&self, step: impl FnOnce(&mut State, SystemTime) -> T) -> T {
        // A step that panicked is a mistake in this file; the state is still the bucket that tests look at.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.started_at + self.started.elapsed();
        if let Some(log) = &mut state.log {
            log.expire(now);
        }
        state.tell();
        let result = step(&mut state, now);
        state.tell();
        result
    }

    /// The runtime's name for a moment of the bucket's clock.
    fn instant(&self, at: SystemTime) -> Instant {
        self.started + at.duration_since(self.started_at).unwrap_or_default()
    }
}

impl State {
    fn log(&self, bucket: &str) -> Result<&Log, ReadError> {
        self.log.as_ref().ok_or_else(|| ReadError::BucketNotFound { bucket: bucket.to_owned() })
    }

    fn log_mut(&mut self, bucket: &str) -> Result<&mut Log, ReadError> {
        self.log.as_mut().ok_or_else(|| ReadError::BucketNotFound { bucket: bucket.to_owned() })
    }

    /// Puts a new, empty bucket in the place of the one there is or was.
    fn recreate(&mut self, now: SystemTime) {
        // Two buckets are never created at the same time, not even while the clock stands still.
        self.created = now.max(self.created + Duration::from_nanos(1));
        self.log = Some(Log::new(self.settings.clone(), self.created));
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn tell(&mut self) {
        let Some(log) = &mut self.log else { return };
        let changes = log.take_changes();
        if changes.is_empty() {
            return;
        }
        for subscriber in self.subscribers.values_mut() {
            let mut wake = false;
            for change in &changes {
                wake |= subscriber.cursor.note(change);
            }
            if wake {
                subscriber.wake.notify_one();
            }
        }
    }
}

/// What a subscription does next.
enum Turn {
    Say(Delivery),
    Wait { until: Instant },
    End,
}

/// The reading end of a subscription.
struct Deliveries {
    shared: Arc<Shared>,
    id: u64,
    wake: Arc<Notify>,
    heartbeat: Instant,
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.shared.with(|state, _| state.subscribers.remove(&self.id));
    }
}

impl Deliveries {
    async fn next(&mut self) -> Option<Delivery> {
        // A burst is always ready; this lets the runtime's other tasks have their turn.
        tokio::task::coop::consume_budget().await;
        loop {
            match self.turn() {
                Turn::Say(delivery) => return Some(delivery),
                Turn::End => return None,
                Turn::Wait { until } => tokio::select! {
                    () = self.wake.notified() => {}
                    () = sleep_until(until) => {}
                },
            }
        }
    }

    fn turn(&mut self) -> Turn {
        let clock = Instant::now();
        let Self { shared, id, heartbeat, .. } = self;
        shared.with(|state, _| {
            let Some(subscriber) = state.subscribers.get_mut(id) else { return Turn::End };
            let cursor = &mut subscriber.cursor;
            if cursor.has_ended() {
                return Turn::End;
            }
            let Some(log) = &state.log else {
                // The bucket is gone; what the server still says of it comes before the silence.
                return cursor.next_fault().map_or(Turn::Wait { until: clock + HEARTBEAT }, Turn::Say);
            };
            if let Some(delivery) = cursor.advance(log) {
                *heartbeat = clock + HEARTBEAT;
                return Turn::Say(delivery);
            }
            if clock >= *heartbeat {
                *heartbeat = clock + HEARTBEAT;
                if cursor.is_idle() {
                    return Turn::Say(Delivery::Idle { sequence: cursor.sequence() });
                }
            }
            let expiry = log.next_deadline().map(|at| shared.instant(at));
            // A timer fires at whole milliseconds: without this step it could fire just before an expiry, again and again.
            let expiry = expiry.map(|at| at.max(clock + Duration::from_millis(1)));
            Turn::Wait { until: expiry.map_or(*heartbeat, |at| at.min(*heartbeat)) }
        })
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn caveats(&self) -> Vec<Caveat> {
        self.shared.with(|state, _| Caveat::of(state.settings.config()))
    }

    fn status(&self) -> BoxFuture<'_, Result<Status, ReadError>> {
        async {
            self.shared.with(|state, now| {
                state.planned.next_read()?;
                let consumers = state.subscribers.len();
                Ok(state.log(&self.shared.name)?.status(consumers, now))
            })
        }
        .boxed()
    }

    fn write(&self, write: Write) -> BoxFuture<'_, Result<Revision, WriteError>> {
        async { self.change(|state, now| state.log_mut(&self.shared.name)?.write(write, now)) }.boxed()
    }

    fn write_batch(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Revision, WriteError>> {
        async {
            self.change(|state, now| {
                let id = format!("batch-{}", state.next_id());
                state.log_mut(&self.shared.name)?.write_batch(writes, &id, now)
            })
        }
        .boxed()
    }

    fn entry<'a>(
        &'a self,
        key: &'a Key,
        at: Option<Revision>,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        async move { self.read_log(|log| Ok(log.entry(key, at))) }.boxed()
    }

    fn read<'a>(&'a self, filters: &'a [Filter], at: Point) -> BoxFuture<'a, Result<Reading, ReadError>> {
        #[cfg(test)]
        if self.shared.with(|state, _| state.refuses_readings) {
            let subject = "readings".to_owned();
            return async move { Err(ReadError::NotPermitted { subject }) }.boxed();
        }
        async move { self.read_log(|log| log.read(filters, at)) }.boxed()
    }

    fn count<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<u64, ReadError>> {
        async move { self.read_log(|log| Ok(log.count(filters))) }.boxed()
    }

    fn history<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>> {
        async move { self.read_log(|log| Ok(log.history(filters))) }.boxed()
    }

    fn history_between<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
    ) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>> {
        async move { self.read_log(|log| Ok(log.history_between(filters, from, until))) }.boxed()
    }

    fn trace<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
        each: &'a mut (dyn FnMut(Entry) + Send),
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        async move {
            let found = self.read_log(|log| Ok(log.history_between(filters, from, until)))?;
            found.into_iter().for_each(each);
            Ok(())
        }
        .boxed()
    }

    fn revision_at(&self, time: SystemTime) -> BoxFuture<'_, Result<Option<Revision>, ReadError>> {
        async move { self.read_log(|log| Ok(log.revision_at(time))) }.boxed()
    }

    fn kept<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Kept, ReadError>> {
        async move { self.read_log(|log| Ok(log.kept(filters))) }.boxed()
    }

    fn subscribe<'a>(
        &'a self,
        filters: &'a [Filter],
        start: Start,
    ) -> BoxFuture<'a, Result<Subscription, ReadError>> {
        async move { self.open(filters, start) }.boxed()
    }

    fn update_config<'a>(&'a self, config: &'a BucketConfig) -> BoxFuture<'a, Result<Status, WriteError>> {
        async move {
            self.shared.with(|state, now| {
                state.planned.next_write()?;
                let consumers = state.subscribers.len();
                let log = state.log_mut(&self.shared.name)?;
                log.update(config, now)?;
                let status = log.status(consumers, now);
                state.settings = log.settings().clone();
                Ok(status)
            })
        }
        .boxed()
    }

    #[cfg(test)]
    fn is_mirror(&self) -> bool {
        self.shared.with(|state, _| state.mirror.is_some())
    }

    #[cfg(test)]
    fn standing<'a>(&'a self, _: &'a [Filter]) -> Option<BoxFuture<'a, Result<super::Standing, ReadError>>> {
        let origin = self.shared.with(|state, _| state.mirror.clone())?;
        Some(async move { Ok(super::Standing { newest: Revision::ZERO, origin }) }.boxed())
    }

    #[cfg(feature = "fleet")]
    fn exchange(&self) -> Arc<dyn crate::store::exchange::Exchange> {
        Arc::new(self.shared.exchange.clone())
    }
}

impl MemoryStore {
    fn origin(&self) -> Option<super::Origin> {
        #[cfg(test)]
        return self.shared.with(|state, _| state.mirror.clone()).flatten();
        #[cfg(not(test))]
        None
    }

    fn open(&self, filters: &[Filter], start: Start) -> Result<Subscription, ReadError> {
        let wake = Arc::new(Notify::new());
        let origin = self.origin();
        let (id, (pending, created, history, last), clock) = self.shared.with(|state, now| {
            state.planned.next_read()?;
            let taken = state.subscribers.len();
            let log = state.log(&self.shared.name)?;
            let settings = log.settings();
            if settings.config().max_consumers.is_some_and(|max| taken >= max as usize) {
                return Err(refused("a subscription", 10_026, "maximum consumers limit reached"));
            }
            let cursor = Cursor::new(filters.to_vec(), start, log);
            let opened = (cursor.pending(), log.created(), settings.history(), log.last());
            let id = state.next_id();
            state.subscribers.insert(id, Subscriber { cursor, wake: Arc::clone(&wake) });
            Ok((id, opened, now))
        })?;
        let heartbeat = Instant::now() + HEARTBEAT;
        let deliveries = Deliveries { shared: Arc::clone(&self.shared), id, wake, heartbeat };
        let deliveries = stream::unfold(deliveries, |mut deliveries| async {
            deliveries.next().await.map(|delivery| (delivery, deliveries))
        });
        Ok(Subscription {
            promised: Revision::ZERO,
            pending,
            incarnation: Some(created),
            history: Some(history as u64),
            told: Told::Now,
            clock: Some(clock),
            last: Some(Revision::new(last)),
            origin,
            deliveries: deliveries.boxed(),
        })
    }
}

/// An error in a server's words.
fn refused(what: &'static str, code: u64, words: &'static str) -> ReadError {
    let cause: Box<dyn std::error::Error + Send + Sync> = words.into();
    ReadError::Server { what, code, cause: cause.into() }
}
