//! Writing several plain keys at once.

use std::time::Duration;

use bytes::Bytes;

use super::Bucket;
use super::write::{check_plain, unconditional};
use crate::attribution::{CHANGE, SET, new_change_id};
use crate::store::{Action, Expect, Write, check};
use crate::watch::sets::Layout;
use crate::{Filter, Key, KeyError, Revision, WriteError};

impl Bucket {
    /// Begins a batch: several writes that take place all together or not at all.
    ///
    /// ```
    /// # use kvconf::{Revision, WriteError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let host = bucket.put("db.host", "a").await?;
    /// let last = bucket
    ///     .batch()
    ///     .put("db.host", "b").expect(host)
    ///     .put("db.port", "5433").expect(Revision::ZERO)
    ///     .delete("db.socket")
    ///     .commit()
    ///     .await?;
    /// assert_eq!(last.get(), 4);
    ///
    /// let stale = bucket.batch().put("db.host", "c").expect(host).put("db.port", "1").commit().await;
    /// assert!(matches!(stale, Err(WriteError::Conflict { .. })));
    /// assert_eq!(bucket.get("db.port").await?.as_deref(), Some(&b"5433"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch(&self) -> Batch<'_> {
        Batch { bucket: self, writes: Vec::new(), mistake: None }
    }
}

/// Writes that take place all together or not at all. Made by [`Bucket::batch`].
#[derive(Clone)]
#[must_use = "a batch is sent by commit"]
pub struct Batch<'a> {
    bucket: &'a Bucket,
    writes: Vec<Write>,
    /// The first thing that was wrong; `commit` reports it and sends nothing.
    mistake: Option<WriteError>,
}

impl Batch<'_> {
    /// Sets a key.
    pub fn put<K>(self, key: K, value: impl Into<Bytes>) -> Self
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        self.push(unconditional(key, Action::Put(value.into())))
    }

    /// Deletes a key, as [`Bucket::delete`].
    pub fn delete<K>(self, key: K) -> Self
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        self.push(unconditional(key, Action::Delete))
    }

    /// Deletes a key with its earlier revisions, as [`Bucket::purge`].
    pub fn purge<K>(self, key: K) -> Self
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        self.push(unconditional(key, Action::Purge))
    }

    /// Makes the batch depend on the newest revision of the key named last; see [`WriteRequest::expect`].
    ///
    /// [`WriteRequest::expect`]: super::WriteRequest::expect
    pub fn expect(self, revision: Revision) -> Self {
        self.with_last("expect", |write| write.expect = Expect::Revision(revision))
    }

    /// Makes the batch depend on the newest revision among the keys that `filter` asks for, at the place of the key named
    /// last; see [`WriteRequest::expect_on`]. The state before the batch counts.
    ///
    /// [`WriteRequest::expect_on`]: super::WriteRequest::expect_on
    pub fn expect_on(self, filter: Filter, revision: Revision) -> Self {
        self.with_last("expect_on", |write| write.expect = Expect::On(filter, revision))
    }

    /// How long the value of the key named last lives; see [`WriteRequest::ttl`].
    ///
    /// [`WriteRequest::ttl`]: super::WriteRequest::ttl
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with_last("ttl", |write| write.ttl = Some(ttl))
    }

    /// Adds a header to the key named last; see [`WriteRequest::header`].
    ///
    /// [`WriteRequest::header`]: super::WriteRequest::header
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with_last("header", |write| write.headers.insert(name, value))
    }

    fn push(mut self, write: Result<Write, KeyError>) -> Self {
        match write {
            Ok(write) => self.writes.push(write),
            Err(error) => self.mistake = self.mistake.or(Some(error.into())),
        }
        self
    }

    fn with_last(mut self, what: &str, change: impl FnOnce(&mut Write)) -> Self {
        match self.writes.last_mut() {
            Some(write) => change(write),
            None => {
                let reason = format!("{what} needs a key before it");
                self.mistake = self.mistake.or(Some(WriteError::Invalid { reason }));
            }
        }
        self
    }

    /// Sends the batch and gives the last key's revision. The others have the revisions right before it, in the order in
    /// which they were named.
    ///
    /// A batch of one key is sent as an ordinary write, which needs no atomic batches and is much cheaper. A larger one
    /// carries kvconf's change-set headers, so that a reader shows it in one piece.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when an expected revision does not hold, [`WriteError::Invalid`] for an empty batch or a
    /// key twice, [`WriteError::TooMany`]; `Unsupported` inside [`WriteError::Failed`] where the server or the bucket
    /// takes no atomic batches; else as [`Bucket::put`]. Nothing is written then, but for
    /// [`WriteError::Unconfirmed`].
    ///
    /// # Cancel safety
    /// Dropping the future before it is done leaves open whether the batch takes place. It never does in part.
    pub async fn commit(self) -> Result<Revision, WriteError> {
        let Self { bucket, mut writes, mistake } = self;
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        writes.iter().try_for_each(check_plain)?;
        check::batch(&writes)?;
        if writes.len() == 1
            && let Some(write) = writes.pop()
        {
            return bucket.store.write(write).await;
        }
        stamp(&mut writes);
        bucket.store.write_batch(writes).await
    }
}

/// Adds what a reader needs to see the batch as one change set.
fn stamp(writes: &mut [Write]) {
    let keys: Vec<Key> = writes.iter().map(|write| write.key.clone()).collect();
    let layout = Layout::new(&keys);
    let id = new_change_id();
    for (at, write) in writes.iter_mut().enumerate() {
        if write.headers.get(CHANGE).is_none() {
            write.headers.add(CHANGE, &*id);
        }
        write.headers.add(SET, layout.header(at + 1));
    }
}
