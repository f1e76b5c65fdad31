//! The one watch of a bucket: a pure state machine, and the driver that feeds it.
//!
//! ```text
//! subscription ──▶ machine ──▶ updates ──▶ observers (one per live handle)
//!      ▲             │  decides what is a change set, sees gaps, replays and
//!      └── strand ◀──┘  recreated buckets, knows when the load is complete
//! ```
//!
//! A handle that joins gets a strand beside the others, so that it waits for its own keys only; the driver makes one of
//! them again ([`merging`] says when).

mod compare;
pub(crate) mod cut;
mod driver;
mod lateness;
mod lifetime;
mod machine;
mod merging;
mod mirrored;
mod observer;
pub(crate) mod sets;
mod state;
mod strand;
#[cfg(test)]
mod tests;
mod tracker;

pub(crate) use compare::relative;
pub(crate) use driver::{Attachment, Hub};
pub(crate) use lifetime::time_to_live;
pub(crate) use machine::Remembered;
pub(crate) use mirrored::read_latest;
pub(crate) use observer::Observer;
pub use state::WatchState;

use std::sync::Arc;

use crate::{Entry, Key, Revision};

/// What happened to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: Key,
    /// The new entry, a marker included; `None` when the key is gone and the bucket keeps no trace of it.
    pub(crate) entry: Option<Arc<Entry>>,
}

/// Changes that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ChangeSet {
    pub(crate) changes: Vec<Change>,
}

impl ChangeSet {
    /// The newest revision in it; zero when it only says what is gone.
    pub(crate) fn revision(&self) -> Revision {
        self.changes.iter().filter_map(|c| c.entry.as_ref()).map(|e| e.revision()).max().unwrap_or_default()
    }
}

/// The next exact state, as what changed since the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    /// All revisions up to this one are contained.
    pub(crate) revision: Revision,
    /// How often the bucket was found recreated since the watch began: revisions compare within one number only.
    pub(crate) epoch: u64,
    /// Oldest first. Sets that later ones supersede in full may be left out.
    pub(crate) sets: Vec<ChangeSet>,
}
