//! How a handle is to start.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Live;
use super::observer::{Beginning, Environment};
use super::start::{Policy, StartError};
use crate::cache::Cache;
use crate::schema::KvConfig;
use crate::seal::Seals;
use crate::{Bucket, Prefix};

/// How long a start waits for the bucket's state unless told otherwise.
const DEADLINE: Duration = Duration::from_secs(10);

/// How a handle is to start. From [`Bucket::live`].
#[derive(Debug)]
#[must_use = "nothing happens before `start`"]
pub struct LiveBuilder<T> {
    bucket: Bucket,
    prefix: Option<String>,
    policy: Policy,
    environment: bool,
    seals: Seals,
    marker: PhantomData<fn() -> T>,
}

impl Bucket {
    /// Begins a live handle of a struct: `bucket.live::<Checkout>().start().await?`.
    pub fn live<T: KvConfig>(&self) -> LiveBuilder<T> {
        LiveBuilder {
            bucket: self.clone(),
            prefix: None,
            policy: Policy { deadline: DEADLINE, cache: None, defaults: false },
            environment: true,
            seals: Seals::default(),
            marker: PhantomData,
        }
    }
}

impl<T: KvConfig> LiveBuilder<T> {
    /// Reads the keys under this prefix instead of the one that the struct names. One struct can be live under several.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// How long to wait for the bucket's state; 10 s by default. Then the start goes on with the cache, then with the
    /// defaults, where they are given, or fails.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self
    }

    /// Keeps the last good state on disk, and starts from it where the bucket has not answered in time, refuses, or holds
    /// values that are not valid. The snapshot then says [`is_cached`](crate::Snapshot::is_cached), and the bucket's state
    /// takes its place in one swap as soon as it can be had.
    ///
    /// To start while the server is away the bucket must be opened by `Bucket::open_lazily`. See
    /// [`guide::outages`](crate::guide::outages).
    pub fn cache(mut self, cache: Cache) -> Self {
        self.policy.cache = Some(cache);
        self
    }

    /// Starts from the struct's defaults and the environment where neither the bucket nor the cache has given a state in
    /// time. Not where the bucket holds values that are not valid: then there are values, and they should be mended.
    pub const fn or_defaults(mut self) -> Self {
        self.policy.defaults = true;
        self
    }

    /// Leaves environment variables alone.
    pub const fn without_environment(mut self) -> Self {
        self.environment = false;
        self
    }

    /// Opens sealed secrets with these keys, and seals the secrets that this handle writes.
    ///
    /// See [`guide::secrets`](crate::guide::secrets).
    #[cfg(feature = "seal")]
    pub fn keyring(mut self, keyring: crate::seal::Keyring) -> Self {
        self.seals.ring = Some(keyring);
        self
    }

    /// Writes secrets in clear although there is a keyring: while some readers have no key yet.
    #[cfg(feature = "seal")]
    pub const fn without_sealing(mut self) -> Self {
        self.seals.writes_clear = true;
        self
    }

    /// Loads the struct and keeps it live. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError::Invalid`] with every problem when the bucket's values are not valid: there is no good state to serve
    /// yet. [`StartError::Timeout`] and [`StartError::NotPermitted`] when the bucket cannot be read.
    /// [`StartError::Exhausted`] when a cache or the defaults were to stand in and could not, either.
    ///
    /// # Cancel safety
    /// Dropping the future ends what was begun.
    pub async fn start(self) -> Result<Live<T>, StartError> {
        let prefix = self.prefix.as_deref().or(T::__SCHEMA.prefix).unwrap_or_default();
        let prefix = Prefix::new(prefix).map_err(StartError::Prefix)?;
        let beginning = Beginning {
            table: Arc::new(OnceLock::new()),
            environment: if self.environment { Environment::Read } else { Environment::Ignored },
            seals: self.seals,
            prefix,
            store: Arc::clone(self.bucket.hub.store()),
            has_fallback: self.policy.has_fallback(),
        };
        self.policy.start(&self.bucket.hub, beginning).await
    }
}
