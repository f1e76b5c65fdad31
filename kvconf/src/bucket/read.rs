//! Reading plain keys.

use std::time::SystemTime;

use bytes::Bytes;

use super::filters::{IntoFilters, disjoint};
use super::{Bucket, write};
use crate::store::{Point, Reading};
use crate::watch::read_latest;
use crate::{BucketConfig, Entry, Key, KeyError, ReadError, Revision, Status, WriteError};

impl Bucket {
    /// The value of a key; `None` when it has none: never written, deleted, expired, or written with an operation that
    /// kvconf does not know.
    ///
    /// It sees every write that this process got an acknowledgement for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// assert_eq!(bucket.get("app.port").await?, None);
    /// bucket.put("app.port", "8080").await?;
    /// assert_eq!(bucket.get("app.port").await?.as_deref(), Some(&b"8080"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReadError::Name`] for a text that is no key (nothing is sent), else what the store reports.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn get<K>(&self, key: K) -> Result<Option<Bytes>, ReadError>
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        let key = write::key(key)?;
        let entry = self.store.entry(&key, None).await?;
        Ok(entry.and_then(|entry| entry.put_value().cloned()))
    }

    /// The newest entry of a key with its headers, the marker of a removal included; `None` when there is none.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn entry<K>(&self, key: K) -> Result<Option<Entry>, ReadError>
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        self.store.entry(&write::key(key)?, None).await
    }

    /// The entry that has this revision, when it is one of this key's and is retained.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let first = bucket.put("app.port", "8080").await?;
    /// bucket.put("app.port", "8081").await?;
    /// let entry = bucket.entry_at("app.port", first).await?;
    /// assert_eq!(entry.map(|entry| entry.value().clone()).as_deref(), Some(&b"8080"[..]));
    /// assert_eq!(bucket.entry_at("app.host", first).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Bucket::get`].
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn entry_at<K>(&self, key: K, revision: Revision) -> Result<Option<Entry>, ReadError>
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        self.store.entry(&write::key(key)?, Some(revision)).await
    }

    /// Every retained entry of the keys that the filters ask for, oldest first, markers included.
    ///
    /// # Errors
    /// As [`Bucket::read`].
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn history(&self, filters: impl IntoFilters) -> Result<Vec<Entry>, ReadError> {
        let filters = disjoint(filters)?;
        self.store.history(&filters).await
    }

    /// The keys that have a value and that the filters ask for, in the order of their texts.
    ///
    /// ```
    /// # use kvconf::Prefix;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// bucket.put("app.port", "8080").await?;
    /// bucket.put("app.host", "localhost").await?;
    /// bucket.put("log.level", "info").await?;
    /// bucket.delete("app.host").await?;
    /// assert_eq!(bucket.keys(Prefix::new("app")?).await?, ["app.port".parse()?]);
    /// assert_eq!(bucket.keys(">").await?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Bucket::read`].
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn keys(&self, filters: impl IntoFilters) -> Result<Vec<Key>, ReadError> {
        let reading = self.read(filters).await?;
        let mut keys: Vec<Key> = reading.live().map(|entry| entry.key().clone()).collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// The last entry of each key that the filters ask for, all as of one moment.
    ///
    /// Where the user may not ask the server for that, or the bucket has no direct gets, the keys are read one after the
    /// other; [`Reading::is_isolated`] tells.
    ///
    /// A mirror gets a change of several keys one after the other. Where it has one of kvconf's in part, the state before that
    /// is read; of those of other clients nothing tells there. A mirror that was cut off and catches up has keys that are older than
    /// others for a moment; a [`Live`](crate::Live) handle waits for the end of that.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// bucket.put("app.port", "8080").await?;
    /// let before = bucket.put("app.host", "localhost").await?;
    /// bucket.batch().put("app.port", "9090").delete("app.host").commit().await?;
    ///
    /// let now = bucket.read("app.>").await?;
    /// assert_eq!(now.get("app.port").map(|value| &value[..]), Some(&b"9090"[..]));
    /// assert_eq!(now.get("app.host"), None);
    ///
    /// let then = bucket.read_at("app.>", before).await?;
    /// assert_eq!(then.get("app.port").map(|value| &value[..]), Some(&b"8080"[..]));
    /// assert_eq!(then.live().count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReadError::Name`] for a text that is no filter, [`ReadError::Unsupported`] for filters that overlap without one
    /// covering the other (nothing is sent); else what the store reports.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn read(&self, filters: impl IntoFilters) -> Result<Reading, ReadError> {
        self.read_point(filters, Point::Latest).await
    }

    /// As [`Bucket::read`], as it was right after `revision`.
    ///
    /// A key whose entry of that moment the bucket no longer retains is absent, and nothing tells it from a key that was
    /// not there: `history` limits how far back this is exact.
    ///
    /// # Errors
    /// As [`Bucket::read`], and [`ReadError::OutOfRange`] for a revision that the bucket has not given yet.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn read_at(&self, filters: impl IntoFilters, revision: Revision) -> Result<Reading, ReadError> {
        self.read_point(filters, Point::Revision(revision)).await
    }

    /// As [`Bucket::read_at`], as it was at this time by the server's clock; an entry created at exactly this time is
    /// part of it.
    ///
    /// # Errors
    /// As [`Bucket::read`].
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn read_at_time(
        &self,
        filters: impl IntoFilters,
        time: SystemTime,
    ) -> Result<Reading, ReadError> {
        self.read_point(filters, Point::Time(time)).await
    }

    async fn read_point(&self, filters: impl IntoFilters, at: Point) -> Result<Reading, ReadError> {
        let filters = disjoint(filters)?;
        match at {
            Point::Latest => read_latest(&*self.store, &filters).await,
            at => self.store.read(&filters, at).await,
        }
    }

    /// The bucket's settings and state, asked for anew.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let revision = bucket.put("app.port", "8080").await?;
    /// let status = bucket.status().await?;
    /// assert_eq!((status.entries, status.last_revision), (1, revision));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReadError::BucketNotFound`] when it was deleted meanwhile; else what the store reports.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn status(&self) -> Result<Status, ReadError> {
        self.store.status().await
    }

    /// Replaces the settings that `config` names and keeps all others.
    ///
    /// ```
    /// # use kvconf::BucketConfig;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let mut change = BucketConfig::unchanged(bucket.name());
    /// change.description = Some("settings of the shop".to_owned());
    /// let status = bucket.update_config(&change).await?;
    /// assert_eq!(status.config.history, Some(64));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WriteError::Failed`] with the reason when the server refuses the change: `storage` and `mirror` are fixed when
    /// the bucket is made.
    ///
    /// # Cancel safety
    /// Dropping the future before it is done leaves open whether the change takes place.
    pub async fn update_config(&self, config: &BucketConfig) -> Result<Status, WriteError> {
        self.store.update_config(config).await
    }
}

impl Reading {
    /// The last entry of each key, removal markers included, in the order in which they were written.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries that set a value.
    pub fn live(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.put_value().is_some())
    }

    /// The value of a key, when it had one and the reading asked for it. Looks through all entries.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Bytes> {
        self.entries.iter().find(|entry| entry.key().as_str() == key)?.put_value()
    }

    /// Whether it is of one moment. Otherwise a change of several keys may be there in part: the last one before
    /// [`Reading::revision`], or any that was made while the keys were read.
    #[must_use]
    pub const fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// The moment: nothing that the filters ask for was written between the newest entry and this revision.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }
}
