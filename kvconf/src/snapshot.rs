//! What readers hold.

use std::fmt;
use std::ops::{Deref, DerefMut};
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
    /// validation, and the files whose present content is not.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }
}

/// A snapshot that nobody else holds, to be changed where it lies.
///
/// A struct of 1 000 fields is 20 kilobytes. Handed on by value from the trial to the swap it was copied again and again,
/// which took nearly as long as everything else that one changed key needs.
pub(crate) struct Unshared<T>(Arc<Snapshot<T>>);

impl<T> Unshared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Snapshot::new(value, Revision::ZERO, 0, Arc::default())))
    }

    /// Takes a snapshot back; `None` while somebody else holds it.
    pub(crate) fn take_back(mut snapshot: Arc<Snapshot<T>>) -> Option<Self> {
        // Without others that hold it there is nobody left who could hand it on.
        Arc::get_mut(&mut snapshot).is_some().then_some(Self(snapshot))
    }

    #[expect(clippy::expect_used, reason = "both ways to make one see to it that nobody else holds it")]
    fn get_mut(&mut self) -> &mut Snapshot<T> {
        Arc::get_mut(&mut self.0).expect("nobody else holds it")
    }

    /// The struct, to be changed.
    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.get_mut().value
    }

    /// The snapshot, as readers get it.
    pub(crate) fn share(
        mut self,
        revision: Revision,
        epoch: u64,
        rejected: Arc<[Rejected]>,
        basis: Basis,
    ) -> Arc<Snapshot<T>> {
        let snapshot = self.get_mut();
        snapshot.revision = revision;
        snapshot.epoch = epoch;
        snapshot.rejected = rejected;
        snapshot.basis = basis;
        self.0
    }
}

impl<T> From<T> for Unshared<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T> Deref for Unshared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> DerefMut for Unshared<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value_mut()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_a_reader_holds_is_not_taken_back() {
        let mut unshared = Unshared::new(vec![1]);
        unshared.value_mut().push(2);
        let shared = unshared.share(Revision::new(7), 1, Arc::default(), Basis::Defaults);
        assert_eq!((shared.value().as_slice(), shared.revision().get(), shared.epoch()), (&[1, 2][..], 7, 1));
        assert_eq!(shared.basis(), Basis::Defaults);
        let reader = Arc::clone(&shared);
        assert!(Unshared::take_back(shared).is_none());
        let address = Arc::as_ptr(&reader);
        let mut unshared = Unshared::take_back(reader).unwrap();
        unshared.value_mut().push(3);
        let shared = unshared.share(Revision::new(8), 1, Arc::default(), Basis::Bucket);
        assert_eq!((shared.value().as_slice(), Arc::as_ptr(&shared)), (&[1, 2, 3][..], address));
    }

    #[test]
    fn a_snapshot_that_somebody_can_still_ask_for_is_not_taken_back() {
        let shared = Unshared::new(1).share(Revision::ZERO, 0, Arc::default(), Basis::Bucket);
        let asked_for = Arc::downgrade(&shared);
        assert!(Unshared::take_back(shared).is_none());
        assert!(asked_for.upgrade().is_none());
    }
}
