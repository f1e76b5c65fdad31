//! Buckets in this process's memory.

use std::sync::Arc;

use super::Bucket;
use crate::store::memory::{MemoryFaults, MemoryStore};
use crate::{BucketConfig, ReadError};

/// The settings of [`Bucket::memory`] are valid by construction; this name is part of that.
const NAME: &str = "memory";

impl Bucket {
    /// A new, empty bucket in this process's memory, with the settings that kvconf gives a bucket.
    ///
    /// It behaves as a bucket on a server does: revisions, compare-and-swap, a history limit, removal markers, time to
    /// live, atomic batches, watches, the surprises included. Its clock is tokio's: a test that pauses it decides when
    /// keys expire. Each call makes another bucket; clones of one handle share it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = kvconf::Bucket::memory();
    /// let revision = bucket.put("log.level", "debug").await?;
    /// assert_eq!(bucket.get("log.level").await?.as_deref(), Some(&b"debug"[..]));
    /// assert_eq!(revision.get(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn memory() -> Self {
        Self::from_store(Arc::new(MemoryStore::with_defaults(NAME)))
    }

    /// A new, empty bucket in this process's memory, with these settings.
    ///
    /// ```
    /// use kvconf::{Bucket, BucketConfig};
    ///
    /// let mut config = BucketConfig::new("prod");
    /// config.history = Some(1);
    /// let bucket = Bucket::memory_with(config)?;
    /// assert_eq!(bucket.name(), "prod");
    /// # Ok::<(), kvconf::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that no bucket can have; [`ReadError::Unsupported`] for a setting that a server
    /// would refuse, and for a mirror or sources.
    pub fn memory_with(config: BucketConfig) -> Result<Self, ReadError> {
        Ok(Self::memory_with_faults(config)?.0)
    }

    /// As [`Bucket::memory_with`], with a handle that makes things go wrong.
    #[doc(hidden)]
    pub fn memory_with_faults(config: BucketConfig) -> Result<(Self, MemoryFaults), ReadError> {
        let store = MemoryStore::new(config)?;
        let faults = store.faults();
        Ok((Self::from_store(Arc::new(store)), faults))
    }
}
