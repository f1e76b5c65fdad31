//! The one interface to a backend. Everything above speaks to a [`Store`]; only the rooms below know which.

mod caveat;
pub(crate) mod check;
mod config;
mod error;
#[cfg(feature = "fleet")]
pub(crate) mod exchange;
mod given;
pub(crate) mod memory;
#[cfg(feature = "nats")]
pub(crate) mod nats;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::{Entry, Filter, Headers, Key, Revision};

pub use caveat::Caveat;
pub(crate) use caveat::SAFE_HISTORY;
pub(crate) use config::HISTORY;
pub use config::{BucketConfig, Compression, External, Placement, Republish, Source, Status, Storage};
pub use error::{Fault, ReadError, WriteError};
pub(crate) use given::{Given, Seen, WithGiven};
pub use memory::MemoryFaults;

/// Header names that kvconf or the server gives a meaning. They are stored format: public and unchanging.
pub(crate) mod header {
    /// Marks a removal in the key-value protocol: `DEL` or `PURGE`.
    pub(crate) const OPERATION: &str = "KV-Operation";
    /// Set by the server on the markers that it writes itself: `MaxAge`, `Purge` or `Remove`.
    pub(crate) const MARKER_REASON: &str = "Nats-Marker-Reason";
    /// How long a value lives.
    pub(crate) const TTL: &str = "Nats-TTL";

    /// Whether a value is there for a time only.
    pub(crate) fn has_ttl(entry: &crate::Entry) -> bool {
        entry.headers().get(TTL).is_some()
    }

    /// Set by the server on messages of an atomic batch: its id, shared by all its messages.
    pub(crate) const BATCH_ID: &str = "Nats-Batch-Id";
    /// The newest revision of the key that the writer expected: checked by the server, and kept with the message
    /// (measured with 2.11 and 2.15, also in batches). So an entry can prove what stood before it.
    pub(crate) const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
    /// The key, or pattern, that the expectation is about, where it is not the message's own.
    pub(crate) const EXPECTED_ON: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
    /// Set by the server on what a bucket has copied from another one, whose revisions are others.
    pub(crate) const COPIED_FROM: &str = "Nats-Stream-Source";
    /// The message's place in its atomic batch, from 1.
    pub(crate) const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
    /// `1` on the last message of an atomic batch.
    pub(crate) const BATCH_COMMIT: &str = "Nats-Batch-Commit";
}

/// What a write does to its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Sets a value.
    Put(Bytes),
    /// Leaves a marker, keeps earlier revisions.
    Delete,
    /// Leaves a marker, drops earlier revisions.
    Purge,
}

/// What must hold for a write to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nothing.
    Any,
    /// The key's newest revision is this one ([`Revision::ZERO`]: the key has no entry at all, not even a marker).
    Revision(Revision),
    /// The newest revision among all keys that the filter matches is this one.
    On(Filter, Revision),
}

/// One conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) action: Action,
    pub(crate) expect: Expect,
    /// After which time the server removes the value; whole seconds, at least one. On a marker: how long it stays.
    pub(crate) ttl: Option<Duration>,
    pub(crate) headers: Headers,
}

/// A moment in a bucket's order. Where one is asked for, a [`Revision`] or a [`SystemTime`] will do as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Point {
    /// Now.
    Latest,
    /// As it was right after this revision.
    Revision(Revision),
    /// As it was at this time, by the server's clock. What was written at exactly this time is part of it.
    Time(SystemTime),
}

impl From<Revision> for Point {
    fn from(revision: Revision) -> Self {
        Self::Revision(revision)
    }
}

impl From<SystemTime> for Point {
    fn from(time: SystemTime) -> Self {
        Self::Time(time)
    }
}

/// The last entry of each key that a filter matches, markers included, all as of one moment. Ordered by revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub(crate) entries: Vec<Entry>,
    /// The moment: nothing the filters match was written between the newest entry and it.
    pub(crate) revision: Revision,
    /// Whether it is of one moment indeed. Without, a change of several keys that came in between may be there in part.
    pub(crate) isolated: bool,
}

/// What a bucket still keeps of some keys, and by which rules it lets go of entries.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// How many entries of each key, markers included.
    pub(crate) entries: HashMap<Key, u64>,
    /// The oldest revision that the bucket keeps, of any key; behind [`Kept::last`] when it keeps none.
    pub(crate) first: Revision,
    /// The newest revision that it gave.
    pub(crate) last: Revision,
    /// How many entries it keeps, of whatever key.
    pub(crate) total: u64,
    /// How many revisions of a key it keeps.
    pub(crate) history: u64,
    /// Whether the oldest entries leave for their age or for room, whatever key they are of.
    pub(crate) evicts: bool,
    /// When it was created.
    pub(crate) created: SystemTime,
    /// When it took the newest entry, of any key, by its own clock.
    pub(crate) written: SystemTime,
}

impl Kept {
    pub(crate) const fn span(&self) -> Span {
        Span { first: self.first, last: self.last, total: self.total }
    }
}

/// How far a bucket reaches, and how much of that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// As [`Kept::first`].
    pub(crate) first: Revision,
    /// As [`Kept::last`].
    pub(crate) last: Revision,
    /// As [`Kept::total`].
    pub(crate) total: u64,
}

impl Span {
    /// Whether every entry is there from a revision on.
    ///
    /// Asked after a reading whose oldest entry has that revision, it means that none of them had gone when it was made: what
    /// has gone does not come back. (Later, what had gone may lie before the oldest entry that is left, and nothing tells of
    /// it; but then that of the reading has gone, too.)
    pub(crate) fn is_whole_from(&self, revision: Revision) -> bool {
        let given = self.last.get().saturating_add(1).saturating_sub(self.first.get());
        self.first <= revision && self.total >= given
    }
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// The last entry of each key, then everything new.
    Last,
    /// Only what is new.
    New,
    /// Every retained entry from this revision on, then everything new.
    Revision(Revision),
    /// Every retained entry, then everything new.
    All,
}

/// How old an answer about the bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was asked for together with the subscription.
    Now,
    /// It is an earlier one: the bucket may be another one since, and is to be asked once there is time.
    Before,
}

/// A subscription that was opened: what the backend said about it, and what it delivers.
///
/// Dropping it ends the subscription on the server too.
pub(crate) struct Subscription {
    /// How many entries stand before the subscription is caught up; 0 means that it is from the start.
    pub(crate) pending: u64,
    /// When the bucket that it reads was created; `None` where the client may not ask.
    pub(crate) incarnation: Option<SystemTime>,
    /// How many revisions of a key the bucket keeps; `None` where the client may not ask, or has not.
    pub(crate) history: Option<u64>,
    /// When the bucket said so.
    pub(crate) told: Told,
    /// What the bucket's own clock said when it was opened; a little earlier than when the answer arrived.
    pub(crate) clock: Option<SystemTime>,
    /// What was there for sure when it was opened: a copy of the bucket that does not deliver it lags behind. Zero where
    /// nobody can be asked, or there is one copy.
    pub(crate) promised: Revision,
    /// The newest revision that the bucket had given when it was opened, of any key; `None` where the client may not ask. One
    /// that is lower than what was seen before shows that the bucket was set back: brought back from a backup, or by a server
    /// that lost its newest writes.
    pub(crate) last: Option<Revision>,
    /// What keeps a bucket that copies another one from having what that one has.
    pub(crate) origin: Option<Origin>,
    pub(crate) deliveries: BoxStream<'static, Delivery>,
}

/// What is wrong between a bucket and the one that it copies, as a mirror or by sources.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(any(feature = "nats", test)), expect(dead_code, reason = "a bucket in memory copies nothing"))]
pub(crate) enum Origin {
    /// Nothing is heard of this bucket, for the reason that the server gives, if it does.
    Away { bucket: String, cause: Option<String> },
    /// This bucket is not the one whose entries were copied: it was deleted and created again, or lost its newest writes.
    Replaced { bucket: String },
    /// It has so many entries that were not copied yet.
    Ahead { entries: u64 },
}

/// What is known to be in a bucket, whoever delivers it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// The newest revision that was asked for; zero where nobody can be asked.
    pub(crate) newest: Revision,
    /// What keeps it from having what its origin has.
    pub(crate) origin: Option<Origin>,
}

/// One thing that a subscription has to say. Deliveries are numbered from 1; a gap means that something was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// An entry.
    Entry {
        entry: Arc<Entry>,
        /// The number of this delivery.
        sequence: u64,
        /// How many entries stood behind it when the server sent it.
        pending: u64,
    },
    /// A message that stands in the bucket and is no entry (a subject that no key can have).
    #[cfg_attr(
        not(feature = "nats"),
        expect(dead_code, reason = "a bucket in memory takes nothing but keys")
    )]
    Unreadable { subject: String, revision: Revision, sequence: u64, pending: u64 },
    /// The server has delivered all it has; the last delivery that it made has this number. Not said while the server
    /// holds back because of flow control: a heartbeat of a stalled consumer is no `Idle`.
    Idle { sequence: u64 },
    /// Something happened that makes the subscription doubtful. After a fault with `ends()` the stream is over.
    Fault(Fault),
}

/// A backend: one bucket.
///
/// All calls are bounded in time by the store itself. They are cancel safe in the sense that dropping a future sends
/// nothing more; a write that was sent may still take place.
pub(crate) trait Store: Send + Sync + 'static {
    /// The bucket's name.
    fn name(&self) -> &str;

    /// The bucket's settings and state, asked for anew.
    fn status(&self) -> BoxFuture<'_, Result<Status, ReadError>>;

    /// Writes one key. Returns the revision that the write got.
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Revision, WriteError>>;

    /// Writes several keys, all or none, next to each other. Returns the last one's revision: the others stand right
    /// before it, in the order given. An empty batch and one with a key twice are refused.
    fn write_batch(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Revision, WriteError>>;

    /// The newest entry of a key, markers included, or the one at a revision (`None` when that revision is of another
    /// key or gone). Read through the leader: it sees this process's own acknowledged writes.
    fn entry<'a>(
        &'a self,
        key: &'a Key,
        at: Option<Revision>,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>>;

    /// A reading of all keys that any of the filters matches. One moment, also beyond the server's limit for a single
    /// answer; where the client cannot have that, the latest state by a lesser way, which says that it is not isolated.
    fn read<'a>(&'a self, filters: &'a [Filter], at: Point) -> BoxFuture<'a, Result<Reading, ReadError>>;

    /// How many keys the filters match, markers included. Cheap: no value travels.
    fn count<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<u64, ReadError>>;

    /// Every retained entry that the filters match, oldest first.
    fn history<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>>;

    /// As [`Store::history`], from one revision up to another, both included.
    fn history_between<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
    ) -> BoxFuture<'a, Result<Vec<Entry>, ReadError>>;

    /// Hands on every retained entry that the filters match, from one revision up to another, both included, without its
    /// value where the backend can leave that out. Those of one key in their order; an error ends it. Nothing is held: this is
    /// for any number of entries.
    fn trace<'a>(
        &'a self,
        filters: &'a [Filter],
        from: Revision,
        until: Revision,
        each: &'a mut (dyn FnMut(Entry) + Send),
    ) -> BoxFuture<'a, Result<(), ReadError>>;

    /// The last revision at a time: what was written at exactly this time is part of it. `None` where nothing was written
    /// since.
    fn revision_at(&self, time: SystemTime) -> BoxFuture<'_, Result<Option<Revision>, ReadError>>;

    /// How many entries of each key are retained, and what the bucket keeps at all. Cheap: no value travels. Without filters
    /// only the latter.
    fn kept<'a>(&'a self, filters: &'a [Filter]) -> BoxFuture<'a, Result<Kept, ReadError>>;

    /// [`Store::read`], and right behind it how far the bucket reaches; `None` where the client may not ask. One of the keys is
    /// `present`, or the latter takes longer.
    fn read_and_span<'a>(
        &'a self,
        filters: &'a [Filter],
        at: Point,
        present: &'a [Key],
    ) -> BoxFuture<'a, Result<(Reading, Option<Span>), ReadError>> {
        let _ = present;
        async move {
            let reading = self.read(filters, at).await?;
            Ok((reading, self.kept(&[]).await.ok().map(|kept| kept.span())))
        }
        .boxed()
    }

    /// Hands on the first retained entry of each of some keys between two revisions, the first one excluded, and maybe more of
    /// what the filters match: whatever is cheaper. Else as [`Store::trace`]. The filters match the keys.
    fn trace_first<'a>(
        &'a self,
        filters: &'a [Filter],
        keys: &'a [&'a Key],
        (behind, until): (Revision, Revision),
        each: &'a mut (dyn FnMut(Entry) + Send),
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        let _ = keys;
        self.trace(filters, behind.next(), until, each)
    }

    /// Opens a subscription. Filters must not overlap.
    fn subscribe<'a>(
        &'a self,
        filters: &'a [Filter],
        start: Start,
    ) -> BoxFuture<'a, Result<Subscription, ReadError>>;

    /// The same as with [`Start::Last`], for a caller that has nothing yet with which the state is to be compared: what is
    /// known of the bucket may be what it said [`Told::Before`].
    fn subscribe_first<'a>(
        &'a self,
        filters: &'a [Filter],
    ) -> BoxFuture<'a, Result<Subscription, ReadError>> {
        self.subscribe(filters, Start::Last)
    }

    /// Replaces the bucket's settings that `config` names and keeps all others.
    fn update_config<'a>(&'a self, config: &'a BucketConfig) -> BoxFuture<'a, Result<Status, WriteError>>;

    /// Asks who decides about the bucket for the newest revision that the filters match, and how it stands with the bucket
    /// that it copies. `None` where a subscription that lives has all there is.
    fn standing<'a>(&'a self, filters: &'a [Filter]) -> Option<BoxFuture<'a, Result<Standing, ReadError>>> {
        let _ = filters;
        None
    }

    /// Whether it gets what another bucket has, entry by entry: of an atomic batch a part may stand there for a while. As of when
    /// its settings were last read; not for who may not read them.
    fn is_mirror(&self) -> bool {
        false
    }

    /// What the bucket's settings keep kvconf from promising, as of when they were last read.
    fn caveats(&self) -> Vec<Caveat>;

    /// Which revisions the bucket has given, where writes are held against what a watch has seen.
    fn given(&self) -> Option<&Arc<Given>> {
        None
    }

    /// The way to everybody else who uses the bucket.
    #[cfg(feature = "fleet")]
    fn exchange(&self) -> Arc<dyn exchange::Exchange>;

    /// The connection, where the backend is a NATS server.
    #[cfg(feature = "nats")]
    fn connection(&self) -> Option<&nats::Connection> {
        None
    }
}
