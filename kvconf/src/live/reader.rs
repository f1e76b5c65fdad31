//! Reading at the price of a reference.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::Snapshot;

/// A reader that keeps the newest snapshot at hand and looks only whether there is a newer one.
///
/// One for each thread or task. It keeps its snapshot alive until the next [`Reader::load`], also an old one.
pub struct Reader<T> {
    cache: Cache<Arc<ArcSwap<Snapshot<T>>>, Arc<Snapshot<T>>>,
}

impl<T> Reader<T> {
    pub(super) fn new(current: Arc<ArcSwap<Snapshot<T>>>) -> Self {
        Self { cache: Cache::new(current) }
    }

    /// The newest snapshot. Wait-free; allocates nothing.
    #[inline]
    pub fn load(&mut self) -> &Snapshot<T> {
        self.cache.load()
    }
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
