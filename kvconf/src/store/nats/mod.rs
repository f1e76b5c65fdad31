//! The backend on a NATS JetStream key-value bucket.
//!
//! It speaks to the bucket's stream directly, by requests of JetStream's API, and not through the client's key-value type:
//! that one hides headers, cannot be kept to a prefix by permissions, and its watch loses entries without a word.

mod batch;
mod config;
mod connection;
mod consumer;
mod denial;
mod drain;
mod error;
#[cfg(feature = "fleet")]
mod exchange;
mod kept;
mod known;
mod lazy;
mod merge;
mod message;
#[cfg(feature = "fleet")]
mod micro;
mod origin;
mod portions;
mod read;
mod several;
mod snapshot;
mod span;
mod stream;
mod subscribe;
mod write;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Caveat, Kept, Point, Reading, Span, Standing, Start, Status, Store, Subscription, Write};
use crate::{BucketConfig, Entry, Filter, Key, ReadError, Revision, WriteError};
use known::Known;
use origin::Mirrored;

pub(crate) use config::bucket_names;
pub use connection::Connection;
pub use denial::Denials;
pub(crate) use lazy::LazyStore;

/// One bucket on a server.
#[derive(Debug)]
pub(crate) struct NatsStore {
    connection: Connection,
    bucket: String,
    stream: String,
    /// What stands before the key in the stream's subjects.
    read_prefix: Arc<str>,
    /// What stands before the key in the subject of a write: another one for a mirror and across domains.
    write_prefix: String,
    /// Where the writes of a mirror go.
    mirrored: Option<Mirrored>,
    known: Known,
    /// What the settings keep from being promised, as of when they were last read.
    caveats: Mutex<Vec<Caveat>>,
}

impl NatsStore {
    /// The subject, in the stream, of what a filter matches.
    fn subject(&self, filter: &Filter) -> String {
        format!("{}{filter}", self.read_prefix)
    }

    fn key_of(&self, subject: &str) -> Option<Key> {
        subject.strip_prefix(&*self.read_prefix).and_then(|key| Key::new(key).ok())
    }

    /// A text that nobody else uses: at most 64 characters, and fit for a consumer's name.
    fn unique(&self) -> String {
        // The client's generator, without the prefix that its inboxes have.
        let inbox = self.connection.client().new_inbox();
        inbox.rsplit('.').next().map_or_else(String::new, str::to_owned)
    }
}

impl Store for NatsStore {
    fn name(&self) -> &str {
        &self.bucket
    }

    fn is_mirror(&self) -> bool {
        self.known.is_a_mirror()
    }

    fn caveats(&self) -> Vec<Caveat> {
        self.caveats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn status(&self) -> BoxFuture<'_, Result<Status, ReadError>> {
        self.read_status().boxed()
    }

    fn write(&self, write: Write) -> BoxFuture<'_, Result<Revision, WriteError>> {
        self.write_one(write)
    }

    fn write_batch(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Revision, WriteError>> {
        self.write_all(writes).boxed()
    }

    fn entry<'a>(
        &'a self,
        key: &'a Key,
        at: Option<Revision>,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        self.read_entry(key, at).boxed()
    }

    fn read<'a>(&'a self, filters: &'a [Filter], at: Point) -> BoxFuture<'a, Result<Reading, ReadError>> {
        self.read_all(filters, at).boxed()
    }

    fn count<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<u64, ReadError>> {
        self.count_keys(filters).boxed()
    }

    fn history<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>> {
        self.read_history(filters).boxed()
    }

    fn history_between<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
    ) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>> {
        self.read_between(filters, from, until).boxed()
    }

    fn trace<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
        each: &'a mut (dyn FnMut(Entry) + Send),
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        self.read_heads(filters, (from, until), each).boxed()
    }

    fn revision_at(&self, time: SystemTime) -> BoxFuture<'_, Result<Option<Revision>, ReadError>> {
        self.read_revision_at(time).boxed()
    }

    fn kept<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Kept, ReadError>> {
        self.read_kept(filters).boxed()
    }

    fn read_and_span<'a>(
        &'a self,
        filters: &'a [Filter],
        at: Point,
        present: &'a [Key],
    ) -> BoxFuture<'a, Result<(Reading, Option<Span>), ReadError>> {
        self.read_all_and_span(filters, at, present).boxed()
    }

    fn trace_first<'a>(
        &'a self,
        filters: &'a [Filter],
        keys: &'a [&'a Key],
        between: (Revision, Revision),
        each: &'a mut (dyn FnMut(Entry) + Send),
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        self.read_first(filters, keys, between, each).boxed()
    }

    fn subscribe<'a>(
        &'a self,
        filters: &'a [Filter],
        start: Start,
    ) -> BoxFuture<'a, Result<Subscription, ReadError>> {
        self.open_subscription(filters, start).boxed()
    }

    fn subscribe_first<'a>(
        &'a self,
        filters: &'a [Filter],
    ) -> BoxFuture<'a, Result<Subscription, ReadError>> {
        self.open_first_subscription(filters).boxed()
    }

    fn update_config<'a>(&'a self, config: &'a BucketConfig) -> BoxFuture<'a, Result<Status, WriteError>> {
        self.change_config(config).boxed()
    }

    fn standing<'a>(&'a self, filters: &'a [Filter]) -> Option<BoxFuture<'a, Result<Standing, ReadError>>> {
        let is_worth_it = self.known.has_replicas() || self.known.is_a_copy();
        (is_worth_it && self.known.info.is_open()).then(|| self.ask_for_standing(filters).boxed())
    }

    #[cfg(feature = "fleet")]
    fn exchange(&self) -> Arc<dyn super::exchange::Exchange> {
        exchange::NatsExchange::of(&self.connection, &self.bucket)
    }

    fn connection(&self) -> Option<&Connection> {
        Some(&self.connection)
    }
}
