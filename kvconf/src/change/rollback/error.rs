//! Why nothing was taken back.

use std::fmt;
use std::time::SystemTime;

use derive_more::{Display, Error};

use crate::change::{CommitError, Conflict, PlanError};
use crate::history::{Held, LostKey, Stamp};
use crate::{Attribution, Key, ReadError, Report, Revision};

/// A key of a change set that somebody has changed again after it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedSince {
    /// The key.
    pub key: Key,
    /// The newest revision that stands there.
    pub revision: Revision,
    /// Who wrote it, and why.
    pub by: Attribution,
    /// When, by the server's clock.
    pub at: SystemTime,
}

/// `checkout.price: changed again at revision 9 by dev ("load test")`
impl fmt::Display for ChangedSince {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: changed again at revision {}", self.key, self.revision)?;
        if let Some(author) = self.by.shown_author() {
            write!(f, " by {author}")?;
        }
        match &self.by.reason {
            Some(reason) => write!(f, " ({reason:?})"),
            None => Ok(()),
        }
    }
}

/// Why a rollback or a revert was not made, or not planned. Nothing was written, but for what
/// [`CommitError::Unconfirmed`](crate::WriteError::Unconfirmed) and [`CommitError::Partial`] say inside
/// [`RollbackError::Commit`].
#[derive(Debug, Display, Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// The bucket could not be read.
    #[display("earlier states could not be read")]
    Read(#[error(source)] ReadError),
    /// The revision is still to come.
    #[display("revision {asked} is outside what the bucket holds: {}", Held(*oldest, *newest))]
    OutOfRange {
        /// The revision that was asked for.
        asked: Revision,
        /// The oldest one that the bucket keeps.
        oldest: Revision,
        /// The newest one.
        newest: Revision,
    },
    /// The time is still to come, or lies before the bucket was made: nothing tells what the keys held before, in another
    /// bucket.
    #[display("{} is outside the bucket's life: {} to {}", Stamp(*asked), Stamp(*created), Stamp(*now))]
    OutOfTime {
        /// The time that was asked for.
        asked: SystemTime,
        /// When the bucket was made, by the server's clock.
        created: SystemTime,
        /// The present.
        now: SystemTime,
    },
    /// The bucket no longer has what some keys held, or does not know whether they held anything. What the others held can
    /// be taken back by itself: of a struct by [`Rollback::only`](super::Rollback::only), of plain keys by their names.
    #[display("what would return is no longer kept{}{}", lines(keys), apart(known))]
    Lost {
        /// Those of which it is not known.
        keys: Vec<LostKey>,
        /// Those that differ from what they held, of which it is known.
        known: Vec<Key>,
    },
    /// Today's readers would reject the state. The report has every problem.
    #[display("readers would reject the earlier state")]
    Invalid(#[error(source)] Box<Report>),
    /// A revert would undo what others have changed after the change set, too.
    #[display("later changes touched the same keys{}", lines(_0))]
    ChangedSince(#[error(not(source))] Vec<ChangedSince>),
    /// No retained entry under the prefix belongs to the change set.
    #[display("{change} is not among the changes that are left under the prefix")]
    UnknownChange {
        /// How it was named, in words: with its id or its revision.
        change: String,
    },
    /// Some entries of the change set are gone, so that nobody knows which keys it wrote.
    #[display("{change} cannot be taken back: {missing} of its entries {} no longer there", if *missing == 1 { "is" } else { "are" })]
    Incomplete {
        /// How it was named, in words: with its id or its revision.
        change: String,
        /// How many, at least.
        missing: u64,
    },
    /// More keys than the server takes in one change set. Either nothing is written, or, when asked for by `in_parts`, one
    /// part of the prefix after the other.
    #[display("{keys} keys are more than the {max} of one change set; in_parts writes them in {parts} parts")]
    TooMany {
        /// How many keys would be written.
        keys: usize,
        /// The most in one change set.
        max: usize,
        /// In how many parts they could be written.
        parts: usize,
    },
    /// Somebody else changed a key meanwhile.
    #[display("{_0}")]
    Conflict(#[error(not(source))] Box<Conflict>),
    /// The handle does not read the layer that the rollback was to keep to.
    #[display("the handle does not read layer {layer:?}")]
    UnknownLayer {
        /// The layer.
        layer: String,
    },
    /// The handle has no bucket.
    #[display("a fixed handle has no bucket")]
    Fixed,
    /// The caller is called to judge values, as `validate` and codecs are: everything that it would wait for waits for it.
    #[display("asked by code that is called to judge values: it would wait for itself")]
    Judging,
    /// The change could not be written.
    #[display("the change was not made")]
    Commit(#[error(source)] CommitError),
}

/// One line for each, behind a colon.
fn lines<T: fmt::Display>(all: &[T]) -> String {
    let mut text = String::from(":");
    for one in all {
        text.push_str(&format!("\n  × {one}"));
    }
    text
}

/// How many keys are named in a line.
const NAMED: usize = 8;

/// What can be taken back all the same.
fn apart(known: &[Key]) -> String {
    if known.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = known.iter().take(NAMED).map(Key::as_str).collect();
    let more = match known.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("\n  kept, and can be taken back by themselves: {}{more}", names.join(", "))
}

impl RollbackError {
    /// Whether somebody else was faster.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Read(error) => error.is_retryable(),
            Self::Commit(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// The keys whose earlier values are lost.
    #[must_use]
    pub fn lost(&self) -> &[LostKey] {
        match self {
            Self::Lost { keys, .. } => keys,
            _ => &[],
        }
    }

    /// The report, when readers would reject the state.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Invalid(report) => Some(report),
            _ => None,
        }
    }
}

impl From<ReadError> for RollbackError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<CommitError> for RollbackError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Invalid(report) => Self::Invalid(report),
            CommitError::Conflict(conflict) => Self::Conflict(conflict),
            CommitError::Fixed => Self::Fixed,
            CommitError::Plan(PlanError::Judging) => Self::Judging,
            other => Self::Commit(other),
        }
    }
}
