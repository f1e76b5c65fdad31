//! A handle to one bucket.

mod batch;
mod filters;
mod memory;
mod read;
mod watch;
mod write;

use std::sync::Arc;

use crate::store::Store;
use crate::watch::Hub;

pub use batch::Batch;
pub use filters::IntoFilters;
pub use watch::{Interruption, Watch, WatchEvent, WatchRequest};
pub use write::{CreateRequest, WriteRequest};

/// A bucket of keys. Cloning is cheap; all clones share one watch.
#[derive(Clone)]
pub struct Bucket {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hub: Arc<Hub>,
}

impl Bucket {
    pub(crate) fn from_store(store: Arc<dyn Store>) -> Self {
        Self { hub: Arc::new(Hub::new(Arc::clone(&store))), store }
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
