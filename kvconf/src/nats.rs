//! Buckets on a NATS server: how to open and make them, and the way down to the client.
//!
//! The names of `async-nats` appear in this module only. See [`Connection`] for JetStream domains, leaf nodes and
//! permissions.

use std::sync::Arc;

use async_nats::jetstream;

use crate::store::nats::{LazyStore, NatsStore, bucket_names};
use crate::{Bucket, BucketConfig, KeyError, ReadError, WriteError};

pub use crate::store::nats::{Connection, Denials};

impl Bucket {
    /// Opens a bucket that exists.
    ///
    /// Works with permissions on a single prefix, too. Then the server does not tell the bucket's settings: a bucket that
    /// does not exist is noticed by the first read, and a change of several keys at once is refused.
    ///
    /// # Errors
    /// [`ReadError::BucketNotFound`]; [`ReadError::Name`] for a name that no bucket can have;
    /// [`ReadError::Unsupported`] for a server older than 2.11, for a mirror in the same account and domain, for a source
    /// without a subject transform, and for a stream that does with keys what no bucket does: it lets go of what was read,
    /// stores it under other names, or takes none; [`ReadError::Disconnected`] and the other variants when the server
    /// cannot be asked.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = async_nats::connect("nats://localhost:4222").await?;
    /// let bucket = kvconf::Bucket::open(&client, "prod").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(connection: impl Into<Connection>, name: &str) -> Result<Self, ReadError> {
        NatsStore::open(connection.into(), name).await.map(Self::from_nats)
    }

    /// A bucket that is opened by whatever first needs it: for a service that is to start while the server is away, from a
    /// [`Cache`](crate::Cache) or with [`or_defaults`](crate::LiveBuilder::or_defaults).
    ///
    /// The client should be one that is still connecting (`retry_on_initial_connect`). What [`Bucket::open`] would refuse,
    /// every call then refuses; a watch tells it by its state and tries again. [`Bucket::caveats`] is empty until the
    /// bucket was opened.
    ///
    /// ```no_run
    /// # use kvconf::{Bucket, Cache, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    /// let client = options.connect("nats://localhost:4222").await?; // returns at once
    /// let bucket = Bucket::open_lazily(&client, "prod")?;
    /// let live = bucket.live::<Checkout>().cache(Cache::at("/var/cache/checkout")).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`KeyError`] for a name that no bucket can have.
    pub fn open_lazily(connection: impl Into<Connection>, name: &str) -> Result<Self, KeyError> {
        Ok(Self::from_store(Arc::new(LazyStore::new(connection.into(), name)?)))
    }

    /// Makes a bucket and opens it. One that exists with exactly these settings is opened.
    ///
    /// # Errors
    /// As [`Bucket::open`], in [`WriteError::Failed`]; there also [`ReadError::Server`] with the server's reason when it
    /// refuses the settings, or when the bucket exists with other ones. [`WriteError::Unconfirmed`] when the answer does
    /// not come: the bucket may have been made.
    ///
    /// # Cancel safety
    /// When the future is dropped the bucket may have been made or not; calling again is safe.
    pub async fn create(connection: impl Into<Connection>, config: BucketConfig) -> Result<Self, WriteError> {
        NatsStore::create(connection.into(), &config).await.map(Self::from_nats)
    }

    /// Makes a bucket, or changes the one that exists to the settings that `config` names; all others stay as they are,
    /// also those that kvconf does not know.
    ///
    /// # Errors
    /// As [`Bucket::create`].
    ///
    /// # Cancel safety
    /// When the future is dropped the change may have been made or not; calling again is safe.
    pub async fn create_or_update(
        connection: impl Into<Connection>,
        config: BucketConfig,
    ) -> Result<Self, WriteError> {
        NatsStore::create_or_update(connection.into(), &config).await.map(Self::from_nats)
    }

    /// Removes a bucket and everything in it, history included: nothing brings it back.
    ///
    /// Services that watch it keep what they have, and say that it is gone.
    ///
    /// # Errors
    /// [`WriteError::Failed`] with [`ReadError::BucketNotFound`] where there is none, and with the other variants when the
    /// server refuses or cannot be asked; [`WriteError::Unconfirmed`] when the answer does not come: it may be gone.
    ///
    /// # Cancel safety
    /// When the future is dropped the bucket may be gone or not; calling again is safe.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = async_nats::connect("nats://localhost:4222").await?;
    /// kvconf::Bucket::destroy(&client, "staging").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn destroy(connection: impl Into<Connection>, name: &str) -> Result<(), WriteError> {
        NatsStore::destroy(connection.into(), name).await
    }

    /// The names of all buckets that the client's account has, whoever made them, sorted.
    ///
    /// Needs the permission to publish to `$JS.API.STREAM.NAMES`.
    ///
    /// # Errors
    /// [`ReadError`] when the server refuses or cannot be asked.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = async_nats::connect("nats://localhost:4222").await?;
    /// for name in kvconf::Bucket::names(&client).await? {
    ///     println!("{name}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn names(connection: impl Into<Connection>) -> Result<Vec<String>, ReadError> {
        bucket_names(&connection.into()).await
    }

    /// The connection that this bucket was opened on; `None` for a bucket in memory.
    #[must_use]
    pub fn connection(&self) -> Option<&Connection> {
        self.store.connection()
    }

    /// The client's own handle on this bucket, for what kvconf does not offer.
    ///
    /// # Errors
    /// [`ReadError::Unsupported`] for a bucket in memory, [`ReadError::Client`] when the client cannot open it: it needs the
    /// permission to ask for the bucket's settings.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn kv_store(&self) -> Result<jetstream::kv::Store, ReadError> {
        let what = "the client's key-value store";
        let Some(connection) = self.connection() else {
            return Err(ReadError::Unsupported { what, reason: "the bucket is in memory".to_owned() });
        };
        let store = connection.context().get_key_value(self.name()).await;
        store.map_err(|error| ReadError::Client { what, cause: Arc::new(error) })
    }

    fn from_nats(store: NatsStore) -> Self {
        Self::from_store(Arc::new(store))
    }
}
