//! The place of a change in its bucket's order.

use derive_more::{Display, From};
use serde::{Deserialize, Serialize};

/// A bucket's revision: the sequence number that the server gave to one entry. It grows with every write to the bucket.
///
/// Revisions of one bucket are comparable as long as the bucket is not deleted and created again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Display, From, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// Before the first write. As an expectation: the key has never been written.
    pub const ZERO: Self = Self(0);

    /// Takes the server's sequence number.
    #[must_use]
    pub const fn new(sequence: u64) -> Self {
        Self(sequence)
    }

    /// The server's sequence number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The revision after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<Revision> for u64 {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

/// `live.at(applied.revision() - 1)`: the revision before; never below zero.
impl std::ops::Sub<u64> for Revision {
    type Output = Self;
    fn sub(self, steps: u64) -> Self {
        Self(self.0.saturating_sub(steps))
    }
}
