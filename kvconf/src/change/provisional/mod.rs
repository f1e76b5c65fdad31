//! A change with a deadline: it goes back unless it is confirmed.
//!
//! The server's own clock does it, by a time to live on every entry of the change. At its end the server removes them, and the
//! entries beneath are current again: copies of what stood there, written first, which say whose change they were kept for.
//! Whatever somebody writes on top meanwhile stays on top. Schedules, the server's other clock, lost: they overwrite whatever
//! stands there, need a bucket that drops old entries when it is full, and fire one by one.

mod commit;
mod find;
mod settle;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use crate::origin::When;
use crate::store::Store;
use crate::{Attribution, Key, Revision};

pub use commit::{ProvisionalCommit, ProvisionalError};
pub use settle::{Settle, SettleError};

/// A key of a provisional change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    key: Key,
    /// The provisional entry.
    revision: Revision,
    /// The entry that is current again when that one is gone.
    back: Revision,
}

/// A change that goes back unless it is confirmed.
///
/// From [`Commit::confirm_within`](super::Commit::confirm_within), or found again, by any process, with
/// [`Bucket::pending`](crate::Bucket::pending). Dropping it does nothing: the change goes back at its deadline.
#[derive(Clone)]
#[must_use = "a change that nobody confirms goes back"]
pub struct Provisional {
    store: Arc<dyn Store>,
    /// Where the handle that it was made with, or found with, keeps the newest revision that it wrote.
    written: Option<Arc<AtomicU64>>,
    change: Arc<str>,
    by: Attribution,
    since: SystemTime,
    deadline: SystemTime,
    held: Vec<Held>,
    /// How many keys the change wrote.
    total: usize,
}

impl Provisional {
    /// The change's id, as it stands in the header `Kvconf-Change`.
    #[must_use]
    pub fn change(&self) -> &str {
        &self.change
    }

    /// Who made it, and why.
    #[must_use]
    pub const fn by(&self) -> &Attribution {
        &self.by
    }

    /// When it was made, by the server's clock.
    #[must_use]
    pub const fn since(&self) -> SystemTime {
        self.since
    }

    /// When it goes back, by the server's clock.
    #[must_use]
    pub const fn deadline(&self) -> SystemTime {
        self.deadline
    }

    /// The newest revision of the change: wait for it with [`Live::wait_for`](crate::Live::wait_for).
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.held.iter().map(|held| held.revision).max().unwrap_or_default()
    }

    /// The keys that it wrote, as far as they are known; see [`Provisional::is_whole`].
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.held.iter().map(|held| &held.key)
    }

    /// Where it was made.
    #[cfg(feature = "fleet")]
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Its keys with their provisional entries.
    #[cfg(feature = "fleet")]
    pub(crate) fn written(&self) -> Vec<(Key, Revision)> {
        self.held.iter().map(|held| (held.key.clone(), held.revision)).collect()
    }

    /// Whether all its keys are known. Some may be unknown when the client may not read them, or when later changes have
    /// pushed the provisional entry out of the bucket.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.held.len() >= self.total
    }

    /// Makes the change last: `provisional.confirm().author("ops").await?`.
    ///
    /// Every key is written once more, without an end, in one change set of its own, on condition that nobody has changed it.
    pub fn confirm(&self) -> Settle<'_> {
        Settle::confirm(self)
    }

    /// Takes the change back now: `provisional.take_back().author("ops").reason("errors are up").await?`.
    ///
    /// What stood there before is written again, in one change set, on condition that nobody has changed it. After the
    /// deadline too: the server does not tell clients without kvconf that a change went back, and this does.
    pub fn take_back(&self) -> Settle<'_> {
        Settle::take_back(self)
    }
}

/// `5f3a… by ops ("sale"), goes back at 11:20: checkout.max_items, checkout.region`; the time is UTC.
impl fmt::Display for Provisional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.change)?;
        if let Some(author) = self.by.shown_author() {
            write!(f, " by {author}")?;
        }
        if let Some(reason) = &self.by.reason {
            write!(f, " ({reason:?})")?;
        }
        write!(f, ", goes back at {}:", When { at: self.deadline, reference: self.since })?;
        for (at, key) in self.keys().enumerate() {
            write!(f, "{} {key}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Provisional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provisional")
            .field("change", &self.change)
            .field("by", &self.by)
            .field("deadline", &self.deadline)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}
