//! A handle to one bucket.

mod batch;
mod filters;
mod memory;
mod read;
mod watch;
mod write;

use std::sync::Arc;

use crate::store::{Caveat, Store, WithGiven};
use crate::watch::Hub;

pub use batch::Batch;
pub use filters::IntoFilters;
pub(crate) use filters::disjoint;
pub use watch::{Interruption, Watch, WatchEvent, WatchRequest};
pub use write::{CreateRequest, WriteRequest};

/// A bucket of keys. Cloning is cheap; all clones share one watch.
#[derive(Clone)]
pub struct Bucket {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hub: Arc<Hub>,
    #[cfg(feature = "fleet")]
    pub(crate) endpoints: Arc<crate::instance::Endpoints>,
}

impl Bucket {
    pub(crate) fn from_store(store: Arc<dyn Store>) -> Self {
        let store: Arc<dyn Store> = Arc::new(WithGiven::new(store));
        Self {
            hub: Arc::new(Hub::new(Arc::clone(&store))),
            store,
            #[cfg(feature = "fleet")]
            endpoints: Arc::default(),
        }
    }

    /// What the bucket's settings keep kvconf from promising, as they were when they were last read: when it
    /// was opened, and about twice a minute while a handle lives. Empty for a bucket that kvconf has made.
    ///
    /// ```
    /// use kvconf::{Bucket, BucketConfig, Caveat};
    ///
    /// let mut config = BucketConfig::new("prod");
    /// config.history = Some(1);
    /// assert_eq!(Bucket::memory_with(config)?.caveats(), [Caveat::FewRevisions { history: 1 }]);
    /// assert_eq!(Bucket::memory().caveats(), []);
    /// # Ok::<(), kvconf::ReadError>(())
    /// ```
    #[must_use]
    pub fn caveats(&self) -> Vec<Caveat> {
        self.store.caveats()
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.store.name()
    }
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name()).finish_non_exhaustive()
    }
}
