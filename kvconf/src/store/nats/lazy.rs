//! A bucket that is opened when it is first needed.

use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use super::NatsStore;
use super::connection::{ANSWER_WITHIN, Connection};
use super::error::Failure;
use crate::store::{Caveat, Kept, Point, Reading, Span, Standing, Start, Status, Store, Subscription, Write};
use crate::{BucketConfig, Entry, Filter, Key, KeyError, ReadError, Revision, WriteError, check_bucket_name};

/// How often the connection is looked at while it is waited for. The client tells of it only by a callback that is the
/// program's own.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a watch waits for a connection before it says again that there is none. Longer than an answer may take, for
/// the pause after that is the watch's own, and up to 4 s of it would lie between the connection and the first state.
const WATCH_WAITS: Duration = Duration::from_secs(30);

/// A bucket on a server that may not be there yet.
#[derive(Debug)]
pub(crate) struct LazyStore {
    connection: Connection,
    bucket: String,
    opened: OnceCell<NatsStore>,
    /// Whether a watch has said already that there is no connection.
    told: std::sync::atomic::AtomicBool,
}

impl LazyStore {
    pub(crate) fn new(connection: Connection, bucket: &str) -> Result<Self, KeyError> {
        check_bucket_name(bucket)?;
        Ok(Self { connection, bucket: bucket.to_owned(), opened: OnceCell::new(), told: false.into() })
    }

    /// The bucket, opened now if it was not.
    async fn open(&self, wait: Duration) -> Result<&NatsStore, ReadError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        // Not inside of what only one does at a time: others may be less patient.
        self.connected(wait).await?;
        self.opened.get_or_try_init(|| NatsStore::open(self.connection.clone(), &self.bucket)).await
    }

    /// Waits until there is a connection: what is sent before would wait in the client, and be late.
    async fn connected(&self, wait: Duration) -> Result<(), ReadError> {
        let until = Instant::now() + wait;
        while !self.connection.is_connected() {
            let lost = self.connection.lost();
            if Instant::now() >= until || matches!(lost, Failure::ClientEnded) {
                return Err(lost.read(&self.bucket, "the connection"));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// As [`LazyStore::open`], for everything that somebody waits for.
    async fn now(&self) -> Result<&NatsStore, ReadError> {
        self.open(ANSWER_WITHIN).await
    }

    /// For a watch: the first time it is to say at once how things are, later it waits.
    async fn for_watch(&self) -> Result<&NatsStore, ReadError> {
        let told = self.told.swap(true, std::sync::atomic::Ordering::Relaxed);
        self.open(if told { WATCH_WAITS } else { Duration::ZERO }).await
    }
}

impl Store for LazyStore {
    fn name(&self) -> &str {
        &self.bucket
    }

    fn is_mirror(&self) -> bool {
        self.opened.get().is_some_and(Store::is_mirror)
    }

    fn caveats(&self) -> Vec<Caveat> {
        self.opened.get().map_or_else(Vec::new, Store::caveats)
    }

    fn status(&self) -> BoxFuture<'_, Result<Status, ReadError>> {
        async { self.now().await?.status().await }.boxed()
    }

    fn write(&self, write: Write) -> BoxFuture<'_, Result<Revision, WriteError>> {
        async { self.now().await?.write(write).await }.boxed()
    }

    fn write_batch(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Revision, WriteError>> {
        async { self.now().await?.write_batch(writes).await }.boxed()
    }

    fn entry<'a>(
        &'a self,
        key: &'a Key,
        at: Option<Revision>,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        async move { self.now().await?.entry(key, at).await }.boxed()
    }

    fn read<'a>(&'a self, filters: &'a [Filter], at: Point) -> BoxFuture<'a, Result<Reading, ReadError>> {
        async move { self.now().await?.read(filters, at).await }.boxed()
    }

    fn count<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<u64, ReadError>> {
        async move { self.now().await?.count(filters).await }.boxed()
    }

    fn history<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>> {
        async move { self.now().await?.history(filters).await }.boxed()
    }

    fn history_between<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
    ) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>> {
        async move { self.now().await?.history_between(filters, from, until).await }.boxed()
    }

    fn trace<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
        each: &'a mut (dyn FnMut(Entry) + Send),
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        async move { self.now().await?.trace(filters, from, until, each).await }.boxed()
    }

    fn revision_at(&self, time: SystemTime) -> BoxFuture<'_, Result<Option<Revision>, ReadError>> {
        async move { self.now().await?.revision_at(time).await }.boxed()
    }

    fn kept<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Kept, ReadError>> {
        async move { self.now().await?.kept(filters).await }.boxed()
    }

    fn read_and_span<'a>(
        &'a self,
        filters: &'a [Filter],
        at: Point,
        present: &'a [Key],
    ) -> BoxFuture<'a, Result<(Reading, Option<Span>), ReadError>> {
        async move { self.now().await?.read_and_span(filters, at, present).await }.boxed()
    }

    fn trace_first<'a>(
        &'a self,
        filters: &'a [Filter],
        keys: &'a [&'a Key],
        between: (Revision, Revision),
        each: &'a mut (dyn FnMut(Entry) + Send),
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        async move { self.now().await?.trace_first(filters, keys, between, each).await }.boxed()
    }

    fn subscribe<'a>(
        &'a self,
        filters: &'a [Filter],
        start: Start,
    ) -> BoxFuture<'a, Result<Subscription, ReadError>> {
        async move { self.for_watch().await?.subscribe(filters, start).await }.boxed()
    }

    fn subscribe_first<'a>(
        &'a self,
        filters: &'a [Filter],
    ) -> BoxFuture<'a, Result<Subscription, ReadError>> {
        async move { self.for_watch().await?.subscribe_first(filters).await }.boxed()
    }

    fn update_config<'a>(&'a self, config: &'a BucketConfig) -> BoxFuture<'a, Result<Status, WriteError>> {
        async move { self.now().await?.update_config(config).await }.boxed()
    }

    fn standing<'a>(&'a self, filters: &'a [Filter]) -> Option<BoxFuture<'a, Result<Standing, ReadError>>> {
        // A watch that is not there yet has nothing to be checked.
        self.opened.get()?.standing(filters)
    }

    #[cfg(feature = "fleet")]
    fn exchange(&self) -> std::sync::Arc<dyn crate::store::exchange::Exchange> {
        super::exchange::NatsExchange::of(&self.connection, &self.bucket)
    }

    fn connection(&self) -> Option<&Connection> {
        Some(&self.connection)
    }
}
