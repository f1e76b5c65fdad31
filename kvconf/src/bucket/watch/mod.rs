//! Watching plain keys.

mod follower;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use derive_more::{Display, Error};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, Stream};
use futures_util::{FutureExt, StreamExt};

use self::follower::{Begin, Follower, Next};
use super::Bucket;
use super::filters::{IntoFilters, disjoint};
use crate::backoff::Backoff;
use crate::store::{Delivery, Store, Subscription};
use crate::{Entry, Fault, Filter, ReadError, Revision};

/// What a watch of plain keys says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WatchEvent {
    /// An entry, a removal included. Revisions grow from one to the next until [`WatchEvent::Recreated`].
    Entry(Entry),
    /// Something that another client has written under a name that no key can have, such as `ü` or one of more than 1 024
    /// bytes. Nothing else here reads it: whoever is to have everything that stands in the bucket lacks it.
    Unreadable {
        /// The name in full, as the stream has it: `$KV.settings.ü`.
        subject: String,
        /// Where it stands.
        revision: Revision,
    },
    /// All that was there when the watch began has been passed on. Comes once, at once when nothing was there, and once
    /// more after [`WatchEvent::Recreated`].
    Loaded,
    /// The bucket was deleted and created again, or set back, as from a backup: what the watch said before is void, revisions
    /// start over, and the watch loads the new bucket.
    Recreated,
    /// The watch may be behind from here on. It recovers by itself.
    Interrupted(Interruption),
    /// The watch is back, and what the bucket retains of the time between follows.
    Resumed,
}

/// Why a watch may be behind.
#[derive(Debug, Clone, Display, Error)]
#[non_exhaustive]
pub enum Interruption {
    /// The subscription reported it.
    #[display("{_0}")]
    Fault(#[error(not(source))] Fault),
    /// A delivery is missing.
    #[display("delivery {expected} is missing, {found} came")]
    Lost {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// Subscribing again failed. The watch keeps trying.
    #[display("subscribing failed")]
    Refused(#[error(source)] ReadError),
}

impl Bucket {
    /// Watches the keys that the filters ask for: first the last entry of each, then every new one.
    ///
    /// The result is a builder; awaiting it opens the watch.
    ///
    /// ```
    /// # use kvconf::WatchEvent;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// bucket.put("app.port", "8080").await?;
    /// let mut watch = bucket.watch("app.>").await?;
    /// assert!(matches!(watch.event().await, WatchEvent::Entry(entry) if entry.value() == "8080"));
    /// assert!(matches!(watch.event().await, WatchEvent::Loaded));
    ///
    /// bucket.put("app.port", "8081").await?;
    /// assert!(matches!(watch.event().await, WatchEvent::Entry(entry) if entry.value() == "8081"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Once open, the watch lives through broken connections, lost deliveries, restarts of the server and a bucket that
    /// is deleted and created again. It passes on nothing twice, and everything that the bucket still retains when it
    /// is delivered. What the server announces to nobody it cannot see: expiry in a bucket without `limit_markers`, and
    /// an administrator's purge of the stream.
    ///
    /// # Errors
    /// Awaiting gives [`ReadError::Name`] for a text that is no filter, [`ReadError::Unsupported`] for filters that
    /// overlap without one covering the other (nothing is sent), else what the store reports. Later errors are events.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping the future opens nothing.
    pub fn watch(&self, filters: impl IntoFilters) -> WatchRequest<'_> {
        WatchRequest { bucket: self, filters: disjoint(filters), begin: Begin::Current }
    }

    /// Watches every key; see [`Bucket::watch`].
    ///
    /// # Errors
    /// As [`Bucket::watch`].
    ///
    /// # Cancel safety
    /// As [`Bucket::watch`].
    pub fn watch_all(&self) -> WatchRequest<'_> {
        self.watch(Filter::all())
    }
}

/// A watch that opens when it is awaited. Made by [`Bucket::watch`] and [`Bucket::watch_all`].
#[derive(Debug, Clone)]
#[must_use = "a watch opens when it is awaited"]
pub struct WatchRequest<'a> {
    bucket: &'a Bucket,
    filters: Result<Vec<Filter>, ReadError>,
    begin: Begin,
}

impl WatchRequest<'_> {
    /// Only entries that are written from now on. [`WatchEvent::Loaded`] comes first.
    pub fn new_only(self) -> Self {
        Self { begin: Begin::New(None), ..self }
    }

    /// Every retained entry from this revision on, several of one key included, then new ones. A revision that the bucket
    /// has not given yet is waited for.
    pub fn from_revision(self, revision: Revision) -> Self {
        Self { begin: Begin::From(revision), ..self }
    }

    /// Every retained entry, several of one key included, then new ones.
    pub fn with_history(self) -> Self {
        self.from_revision(Revision::ZERO)
    }
}

impl<'a> IntoFuture for WatchRequest<'a> {
    type Output = Result<Watch, ReadError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let (store, filters) = (Arc::clone(&self.bucket.store), self.filters?);
            let begin = match self.begin {
                Begin::New(_) => Begin::New(newest_revision(&*store).await?),
                begin => begin,
            };
            Watch::open(store, filters, begin).await
        }
        .boxed()
    }
}

/// Behind which revision "new" begins. Without it, what is written while an interruption comes before the first entry
/// would be lost; a client that may not ask still gets a watch.
async fn newest_revision(store: &dyn Store) -> Result<Option<Revision>, ReadError> {
    match store.status().await {
        Ok(status) => Ok(Some(status.last_revision)),
        Err(
            error @ (ReadError::BucketNotFound { .. } | ReadError::Disconnected | ReadError::ClientEnded),
        ) => Err(error),
        Err(_) => Ok(None),
    }
}

/// An open watch of plain keys: a stream that never ends. Dropping it closes it, on the server too.
pub struct Watch {
    events: BoxStream<'static, WatchEvent>,
}

impl Watch {
    async fn open(store: Arc<dyn Store>, filters: Vec<Filter>, begin: Begin) -> Result<Self, ReadError> {
        let follower = Follower::new(begin);
        let subscription = store.subscribe(&filters, follower.start()).await?;
        let mut driver = Driver { store, filters, follower, deliveries: None, events: VecDeque::new() };
        driver.opened(subscription);
        let events = stream::unfold(driver, |mut driver| async { Some((driver.event().await, driver)) });
        Ok(Self { events: events.boxed() })
    }

    /// Waits for the next event.
    ///
    /// # Cancel safety
    /// Cancel safe: an event that was not returned comes with the next call.
    pub async fn event(&mut self) -> WatchEvent {
        match self.events.next().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.events.poll_next_unpin(context)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Feeds the follower.
struct Driver {
    store: Arc<dyn Store>,
    filters: Vec<Filter>,
    follower: Follower,
    deliveries: Option<BoxStream<'static, Delivery>>,
    events: VecDeque<WatchEvent>,
}

impl Driver {
    async fn event(&mut self) -> WatchEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            match &mut self.deliveries {
                Some(deliveries) => {
                    let delivery = deliveries.next().await.unwrap_or(Delivery::Fault(Fault::Ended));
                    let next = self.follower.delivered(delivery, &mut self.events);
                    self.follow(next);
                }
                None => self.subscribe().await,
            }
        }
    }

    async fn subscribe(&mut self) {
        if let Some(before) = self.follower.failures().checked_sub(1) {
            tokio::time::sleep(Backoff::WATCH.delay(before)).await;
        }
        match self.store.subscribe(&self.filters, self.follower.start()).await {
            Ok(subscription) => self.opened(subscription),
            Err(error) => {
                let next = self.follower.failed(Interruption::Refused(error), &mut self.events);
                self.follow(next);
            }
        }
    }

    fn opened(&mut self, subscription: Subscription) {
        let Subscription { pending, incarnation, last, deliveries, .. } = subscription;
        self.deliveries = Some(deliveries);
        let next = self.follower.opened(pending, incarnation, last, &mut self.events);
        self.follow(next);
    }

    fn follow(&mut self, next: Next) {
        if next == Next::Reopen {
            self.deliveries = None;
        }
    }
}
