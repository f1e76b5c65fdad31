//! Writing single plain keys.

use std::future::IntoFuture;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Bucket;
use crate::attribution::SET;
use crate::store::{Action, Expect, Store, Write, check};
use crate::{Filter, Headers, Key, KeyError, ReadError, Revision, WriteError};

/// How often `create_key` looks again when other writers keep creating and removing the key under its hands.
const CREATE_ATTEMPTS: usize = 8;

impl Bucket {
    /// Sets a key, whatever stands there.
    ///
    /// The result is a builder; awaiting it sends the write and gives the revision it got.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let first = bucket.put("app.port", "8080").header("Kvconf-Author", "ops").await?;
    /// let second = bucket.put("app.port", "8081").expect(first).await?;
    /// assert!(second > first);
    /// let stale = bucket.put("app.port", "9000").expect(first).await;
    /// assert!(stale.is_err_and(|error| error.is_conflict()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Any [`WriteError`] but `Exists` and `TooMany`. Keys below `_kvconf.` belong to kvconf and are refused with
    /// [`WriteError::Invalid`].
    ///
    /// # Cancel safety
    /// Dropping the future before it is done leaves open whether the write takes place.
    pub fn put<K>(&self, key: K, value: impl Into<Bytes>) -> WriteRequest<'_>
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        WriteRequest::new(self, key, Action::Put(value.into()))
    }

    /// Sets a key that has no value: one never written, or one deleted.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kvconf::WriteError;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// bucket.create_key("lock", "me").await?;
    /// let other = bucket.create_key("lock", "you").await;
    /// assert!(matches!(other, Err(WriteError::Exists { .. })));
    /// bucket.delete("lock").await?;
    /// bucket.create_key("lock", "you").ttl(Duration::from_secs(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WriteError::Exists`] when the key has a value; else as [`Bucket::put`].
    ///
    /// # Cancel safety
    /// As [`Bucket::put`].
    pub fn create_key<K>(&self, key: K, value: impl Into<Bytes>) -> CreateRequest<'_>
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        CreateRequest(WriteRequest::new(self, key, Action::Put(value.into())))
    }

    /// Sets a key whose newest revision is still `expected`. [`Revision::ZERO`] expects that it has no entry at all, not
    /// even the marker of a deletion; [`Bucket::create_key`] does not mind the marker.
    ///
    /// ```
    /// # use kvconf::WriteError;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let seen = bucket.put("limit", "10").await?;
    /// let newer = bucket.put("limit", "20").await?;
    /// match bucket.update("limit", "11", seen).await {
    ///     Err(WriteError::Conflict { found }) => assert_eq!(found, Some(newer)),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the key has another newest revision; else as [`Bucket::put`].
    ///
    /// # Cancel safety
    /// As [`Bucket::put`].
    pub fn update<K>(&self, key: K, value: impl Into<Bytes>, expected: Revision) -> WriteRequest<'_>
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        self.put(key, value).expect(expected)
    }

    /// Deletes a key: it leaves a marker and keeps the earlier revisions. Deleting what is not there leaves a marker too.
    ///
    /// ```
    /// # use kvconf::Operation;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let seen = bucket.put("limit", "10").await?;
    /// bucket.delete("limit").expect(seen).await?;
    /// assert_eq!(bucket.get("limit").await?, None);
    /// let operations: Vec<_> = bucket.history("limit").await?.iter().map(|entry| entry.operation()).collect();
    /// assert_eq!(operations, [Operation::Put, Operation::Delete]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Bucket::put`].
    ///
    /// # Cancel safety
    /// As [`Bucket::put`].
    pub fn delete<K>(&self, key: K) -> WriteRequest<'_>
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        WriteRequest::new(self, key, Action::Delete)
    }

    /// Deletes a key with all its earlier revisions; only a marker stays.
    ///
    /// What was purged cannot be read or rolled back to, and a reader that had not seen it yet never will. Prefer
    /// [`Bucket::delete`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// bucket.put("token", "leaked").await?;
    /// bucket.purge("token").await?;
    /// assert_eq!(bucket.history("token").await?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Bucket::put`].
    ///
    /// # Cancel safety
    /// As [`Bucket::put`].
    pub fn purge<K>(&self, key: K) -> WriteRequest<'_>
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        WriteRequest::new(self, key, Action::Purge)
    }
}

/// A write that is sent when it is awaited. Made by [`Bucket::put`], [`Bucket::update`], [`Bucket::delete`] and
/// [`Bucket::purge`].
#[derive(Clone)]
#[must_use = "a write is sent when it is awaited"]
pub struct WriteRequest<'a> {
    store: &'a dyn Store,
    write: Result<Write, KeyError>,
}

impl<'a> WriteRequest<'a> {
    fn new<K>(bucket: &'a Bucket, key: K, action: Action) -> Self
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        Self { store: &*bucket.store, write: unconditional(key, action) }
    }

    fn with(mut self, change: impl FnOnce(&mut Write)) -> Self {
        if let Ok(write) = &mut self.write {
            change(write);
        }
        self
    }

    /// Only if the key's newest revision is this one, a marker's included ([`Revision::ZERO`]: the key has no entry).
    pub fn expect(self, revision: Revision) -> Self {
        self.with(|write| write.expect = Expect::Revision(revision))
    }

    /// Only if the newest revision among all keys that `filter` asks for is this one ([`Revision::ZERO`]: there is
    /// none). It guards a write with keys that were only read. Replaces [`WriteRequest::expect`].
    pub fn expect_on(self, filter: Filter, revision: Revision) -> Self {
        self.with(|write| write.expect = Expect::On(filter, revision))
    }

    /// How long the value lives, or how long the marker of a purge stays: whole seconds, at least one.
    ///
    /// The bucket must have `limit_markers`. Two habits of servers, measured with 2.15: in a bucket that keeps more than
    /// one revision a key, a shorter time than `limit_markers` is raised to it; and there a key that had an earlier
    /// value **falls back to it**, without any event, when the newer one expires. A deletion with a time to live would
    /// bring the deleted value back, so it is refused: purge instead.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|write| write.ttl = Some(ttl))
    }

    /// Adds a header. The names of the protocol (`Nats-…`, `KV-Operation`) and `Kvconf-Set` are refused when the write
    /// is sent.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|write| write.headers.insert(name, value))
    }
}

impl<'a> IntoFuture for WriteRequest<'a> {
    type Output = Result<Revision, WriteError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let write = self.write?;
            check_plain(&write)?;
            self.store.write(write).await
        }
        .boxed()
    }
}

/// A creation that is sent when it is awaited. Made by [`Bucket::create_key`].
#[derive(Clone)]
#[must_use = "a write is sent when it is awaited"]
pub struct CreateRequest<'a>(WriteRequest<'a>);

impl<'a> CreateRequest<'a> {
    /// How long the value lives; see [`WriteRequest::ttl`]. It holds for a key that was deleted before, too.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self(self.0.ttl(ttl))
    }

    /// Adds a header; see [`WriteRequest::header`].
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self(self.0.header(name, value))
    }
}

impl<'a> IntoFuture for CreateRequest<'a> {
    type Output = Result<Revision, WriteError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let write = self.0.write?;
            check_plain(&write)?;
            create(self.0.store, write).await
        }
        .boxed()
    }
}

/// Writes the key if it is new; else looks whether a removal marker stands there and writes over exactly that one. Every
/// attempt carries the whole write: the stock client loses the time to live on the way.
async fn create(store: &dyn Store, write: Write) -> Result<Revision, WriteError> {
    let mut expected = Revision::ZERO;
    for _ in 0..CREATE_ATTEMPTS {
        let attempt = Write { expect: Expect::Revision(expected), ..write.clone() };
        match store.write(attempt).await {
            Err(WriteError::Conflict { .. }) => {}
            done => return done,
        }
        expected = match store.entry(&write.key, None).await? {
            None => Revision::ZERO,
            Some(entry) if entry.operation().is_removal() => entry.revision(),
            Some(entry) => return Err(WriteError::Exists { key: write.key, revision: entry.revision() }),
        };
    }
    Err(WriteError::Conflict { found: Some(expected) })
}

pub(super) fn unconditional<K>(key: K, action: Action) -> Result<Write, KeyError>
where
    K: TryInto<Key, Error: Into<KeyError>>,
{
    let key = key.try_into().map_err(Into::into)?;
    Ok(Write { key, action, expect: Expect::Any, ttl: None, headers: Headers::new() })
}

/// What the store takes from kvconf itself, but not from a plain write.
pub(super) fn check_plain(write: &Write) -> Result<(), WriteError> {
    if write.key.is_reserved() {
        let reason = format!("{} belongs to kvconf, as all keys below _kvconf", write.key);
        return Err(WriteError::Invalid { reason });
    }
    if write.action == Action::Delete && write.ttl.is_some() {
        let reason =
            format!("{} would get its earlier value back when its deletion expires; purge it", write.key);
        return Err(WriteError::Invalid { reason });
    }
    if write.headers.get(SET).is_some() {
        let reason = "kvconf writes it on the entries of a batch";
        return Err(WriteError::Header { name: SET.to_owned(), reason });
    }
    check::write(write)
}

/// Checks a key that a reading call was given.
pub(super) fn key<K>(key: K) -> Result<Key, ReadError>
where
    K: TryInto<Key, Error: Into<KeyError>>,
{
    key.try_into().map_err(|error| ReadError::Name(error.into()))
}
