//! What is told of a watch, and to whom.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use super::{Remembered, Update, WatchState};
use crate::judging::Judging;
use crate::{Entry, Prefix, Revision};

/// What wants to know of changes under some prefixes. Called from the watch's task: quick, and never blocking.
pub(crate) trait Observer: Send + 'static {
    /// A load begins: what has arrived before no longer counts. Only before the first state.
    fn loading(&mut self) {}
    /// About so many entries are to arrive: time to make room for them. Only before the first state.
    fn expecting(&mut self, entries: usize) {
        let _ = entries;
    }
    /// Entries that a load has brought, in the order of the bucket, while the server still delivers more: time to prepare.
    /// They are no state yet. Only before the first state.
    fn arrived(&mut self, entries: &[Arc<Entry>]) {
        let _ = entries;
    }
    /// The first exact state: the newest entry of each key of all that have arrived since the load began. `false` asks
    /// for [`Self::update`] with all of it instead.
    fn complete(&mut self, revision: Revision, epoch: u64) -> bool {
        let _ = (revision, epoch);
        false
    }
    /// The next exact state. The first one is what leads from nothing to the state.
    fn update(&mut self, update: &Update);
    /// When the bucket was created whose states come next; `None` where the client may not ask.
    fn created(&mut self, _at: Option<SystemTime>) {}
    /// The watch's state changed.
    fn state(&mut self, state: &WatchState);
}

/// A handle that has joined.
pub(super) struct Attached {
    pub(super) id: u64,
    pub(super) prefixes: Vec<Prefix>,
    pub(super) observer: Box<dyn Observer>,
    /// What an earlier process knew.
    pub(super) remembered: Option<Remembered>,
    pub(super) standing: Standing,
}

/// What a handle has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing yet.
    New,
    /// The state of the watch.
    Current,
    /// The last state of another watch, which is now a part of this one; the number is that watch's.
    Behind(u64),
}

impl Attached {
    /// Calls the observer. All handles of a bucket share one task: what panics in one of them, such as the `Drop` of a
    /// program's own value, must not end the watch of the others.
    pub(super) fn call<R>(&mut self, call: impl FnOnce(&mut dyn Observer) -> R) -> Option<R> {
        let judging = Judging::begin();
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&mut *self.observer)));
        drop(judging);
        if outcome.is_err() {
            let prefixes = self.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::error!(prefixes, "the program's own code panicked on a change of the bucket");
        }
        outcome.ok()
    }

    /// Tells what leads to the next state.
    pub(super) fn update(&mut self, created: Option<SystemTime>, update: &Update) {
        self.call(|observer| {
            observer.created(created);
            observer.update(update);
        });
    }
}

/// The prefixes that cover all of these and none of each other.
pub(super) fn minimal(prefixes: impl IntoIterator<Item = Prefix>) -> Vec<Prefix> {
    let mut kept: Vec<Prefix> = Vec::new();
    for prefix in prefixes {
        if kept.iter().any(|other| other.covers(&prefix)) {
            continue;
        }
        kept.retain(|other| !prefix.covers(other));
        kept.push(prefix);
    }
    kept.sort();
    kept
}
