//! What readers hold.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use crate::Revision;
use crate::view::Rejected;

/// What a snapshot was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Basis {
    /// The bucket, read by this process.
    Bucket,
    /// The last good state on disk, saved by this process or an earlier one; the bucket was not read yet, or what it holds
    /// was rejected.
    Cache {
        /// When it was saved, by the clock of the process that did.
        saved_at: SystemTime,
    },
    /// Nothing: the struct's defaults, and the environment.
    Defaults,
}

/// A struct as it stood in the bucket at one revision. Dereferences to the struct.
///
/// It never changes. Two fields read from one snapshot come from the same moment.
pub struct Snapshot<T> {
    value: T,
    revision: Revision,
    epoch: u64,
    rejected: Arc<[Rejected]>,
    basis: Basis,
}

impl<T> Snapshot<T> {
    pub(crate) const fn new(value: T, revision: Revision, epoch: u64, rejected: Arc<[Rejected]>) -> Self {
        Self { value, revision, epoch, rejected, basis: Basis::Bucket }
    }

    pub(crate) const fn set_basis(&mut self, basis: Basis) {
        self.basis = basis;
    }

    pub(crate) fn into_value(self) -> T {
        self.value
    }

    /// The struct.
    #[must_use]
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// The bucket's revision whose state this is, less what [`Snapshot::rejected`] names.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// How often the bucket was found deleted and created again since the handle started, or since the state was saved that
    /// it has in its cache. Revisions of two snapshots
    /// compare only where this is the same.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What it was made from: the bucket, unless the handle started without it.
    #[must_use]
    pub const fn basis(&self) -> Basis {
        self.basis
    }

    /// Whether it was read from disk and the bucket has not confirmed or replaced it yet.
    #[must_use]
    pub const fn is_cached(&self) -> bool {
        matches!(self.basis, Basis::Cache { .. })
    }

    /// The change sets up to this revision that are not contained, because they could not be decoded or did not pass
    /// validation.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }
}

impl<T> Deref for Snapshot<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision.get())
            .field("value", &self.value)
            .field("rejected", &self.rejected)
            .field("basis", &self.basis)
            .finish_non_exhaustive()
    }
}
