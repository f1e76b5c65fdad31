//! Which revisions a bucket has given, and what a write proves that gets one of them for the second time.
//!
//! Revisions only grow. So a write whose revision is not above all that were seen *before it was sent* was made to another
//! bucket: one of the same name that was created again, or one that was set back. The watch would notice in time, by the silence
//! of its consumer; until then its state is not that of the bucket that was written to, and nobody who waits for that write may
//! be told that it is there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{
    Caveat, Kept, Point, ReadError, Reading, Span, Standing, Start, Status, Store, Subscription, Write,
    WriteError,
};
use crate::{BucketConfig, Entry, Filter, Key, Revision};

/// What a watch has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    /// How often the bucket was found to be another one.
    pub(crate) epoch: u64,
    /// The newest revision, in this epoch.
    pub(crate) newest: Revision,
}

/// What the watch of a bucket and those who write to it know together.
#[derive(Debug)]
pub(crate) struct Given {
    seen: Mutex<Seen>,
    /// The epoch that is over, as a write has shown, while the watch does not know it yet.
    doubted: watch::Sender<Option<u64>>,
    /// The revision that somebody waits for.
    wanted: watch::Sender<Revision>,
}

impl Given {
    fn new() -> Self {
        let (doubted, wanted) = (watch::Sender::new(None), watch::Sender::new(Revision::ZERO));
        Self { seen: Mutex::default(), doubted, wanted }
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watch has seen so much, or begins.
    pub(crate) fn see(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// A write was acknowledged with this revision; `before` is what was seen when it was sent.
    fn acknowledged(&self, before: Seen, revision: Revision) {
        if revision <= before.newest && self.seen().epoch == before.epoch {
            self.doubted.send_if_modified(|doubted| {
                let epoch = Some(before.epoch);
                std::mem::replace(doubted, epoch.max(*doubted)) < epoch
            });
        }
    }

    /// The watch has loaded the bucket since: what it has is true.
    pub(crate) fn settle(&self) {
        self.doubted.send_if_modified(|doubted| doubted.take().is_some());
    }

    /// Somebody waits for this revision.
    pub(crate) fn want(&self, revision: Revision) {
        self.wanted.send_replace(revision);
    }

    /// The revision that was asked for last.
    pub(crate) fn wanted(&self) -> watch::Receiver<Revision> {
        self.wanted.subscribe()
    }

    /// The epoch that is over, while there is one.
    pub(crate) fn doubted(&self) -> watch::Receiver<Option<u64>> {
        self.doubted.subscribe()
    }
}

/// A bucket whose writes are held against what its watch has seen.
pub(crate) struct WithGiven {
    inner: Arc<dyn Store>,
    given: Arc<Given>,
}

impl WithGiven {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, given: Arc::new(Given::new()) }
    }
}

impl Store for WithGiven {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn given(&self) -> Option<&Arc<Given>> {
        Some(&self.given)
    }

    fn write(&self, write: Write) -> BoxFuture<'_, Result<Revision, WriteError>> {
        async {
            let before = self.given.seen();
            let revision = self.inner.write(write).await?;
            self.given.acknowledged(before, revision);
            Ok(revision)
        }
        .boxed()
    }

    fn write_batch(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Revision, WriteError>> {
        async {
            let before = self.given.seen();
            let revision = self.inner.write_batch(writes).await?;
            self.given.acknowledged(before, revision);
            Ok(revision)
        }
        .boxed()
    }

    fn status(&self) -> BoxFuture<'_, Result<Status, ReadError>> {
        self.inner.status()
    }

    fn entry<'a>(
        &'a self,
        key: &'a Key,
        at: Option<Revision>,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        self.inner.entry(key, at)
    }

    fn read<'a>(&'a self, filters: &'a [Filter], at: Point) -> BoxFuture<'a, Result<Reading, ReadError>> {
        self.inner.read(filters, at)
    }

    fn count<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<u64, ReadError>> {
        self.inner.count(filters)
    }

    fn history<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>> {
        self.inner.history(filters)
    }

    fn history_between<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
    ) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>> {
        self.inner.history_between(filters, from, until)
    }

    fn trace<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
        each: &'a mut (dyn FnMut(Entry) + Send),
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        self.inner.trace(filters, from, until, each)
    }

    fn revision_at(&self, time: SystemTime) -> BoxFuture<'_, Result<Option<Revision>, ReadError>> {
        self.inner.revision_at(time)
    }

    fn kept<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Kept, ReadError>> {
        self.inner.kept(filters)
    }

    fn read_and_span<'a>(
        &'a self,
        filters: &'a [Filter],
        at: Point,
        present: &'a [Key],
    ) -> BoxFuture<'a, Result<(Reading, Option<Span>), ReadError>> {
        self.inner.read_and_span(filters, at, present)
    }

    fn trace_first<'a>(
        &'a self,
        filters: &'a [Filter],
        keys: &'a [&'a Key],
        between: (Revision, Revision),
        each: &'a mut (dyn FnMut(Entry) + Send),
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        self.inner.trace_first(filters, keys, between, each)
    }

    fn subscribe<'a>(
        &'a self,
        filters: &'a [Filter],
        start: Start,
    ) -> BoxFuture<'a, Result<Subscription, ReadError>> {
        self.inner.subscribe(filters, start)
    }

    fn subscribe_first<'a>(
        &'a self,
        filters: &'a [Filter],
    ) -> BoxFuture<'a, Result<Subscription, ReadError>> {
        self.inner.subscribe_first(filters)
    }

    fn update_config<'a>(&'a self, config: &'a BucketConfig) -> BoxFuture<'a, Result<Status, WriteError>> {
        self.inner.update_config(config)
    }

    fn standing<'a>(&'a self, filters: &'a [Filter]) -> Option<BoxFuture<'a, Result<Standing, ReadError>>> {
        self.inner.standing(filters)
    }

    fn is_mirror(&self) -> bool {
        self.inner.is_mirror()
    }

    fn caveats(&self) -> Vec<Caveat> {
        self.inner.caveats()
    }

    #[cfg(feature = "fleet")]
    fn exchange(&self) -> Arc<dyn super::exchange::Exchange> {
        self.inner.exchange()
    }

    #[cfg(feature = "nats")]
    fn connection(&self) -> Option<&super::nats::Connection> {
        self.inner.connection()
    }
}
