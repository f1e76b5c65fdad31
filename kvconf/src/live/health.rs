//! How a handle is.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::SystemTime;

use super::{Live, lock};
use crate::schema::KvConfig;
use crate::view::Rejected;
use crate::watch::Attachment;
use crate::{Report, Revision, WatchState};

/// What the watch last said, and what was last wrong.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) state: WatchState,
    pub(crate) since: SystemTime,
    pub(crate) report: Option<Arc<Report>>,
}

impl Condition {
    pub(crate) fn new(state: WatchState, report: Option<Arc<Report>>) -> Self {
        Self { state, since: SystemTime::now(), report }
    }

    pub(crate) fn enter(&mut self, state: WatchState) {
        // Another cause, or another number of waiting entries, does not make it a new state.
        if discriminant(&self.state) != discriminant(&state) {
            self.since = SystemTime::now();
        }
        self.state = state;
    }
}

/// How a handle is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How its watch is.
    pub state: WatchState,
    /// Since when it is so, by this process's clock. Details, such as the cause of a resynchronization, may have changed
    /// meanwhile.
    pub since: SystemTime,
    /// The revision that readers get.
    pub applied: Revision,
    /// The newest revision under the handle's prefix that was looked at, rejected ones included.
    pub seen: Revision,
    /// The change sets that readers do not see.
    pub rejected: Vec<Rejected>,
    /// Everything that is wrong with the bucket's values right now, warnings included.
    pub report: Option<Arc<Report>>,
    /// Fields, by key, whose newest value takes effect at the next start.
    pub awaiting_restart: Vec<String>,
}

impl Health {
    /// Whether a readiness probe should pass. A handle that started has a good state to serve, so this is `false` only
    /// after [`Live::stop`]; use [`Health::is_current`] to ask whether the state is also up to date.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state != WatchState::Stopped
    }

    /// Whether readers get the bucket's newest state: the watch delivers and is neither lagging nor late, and nothing is
    /// rejected.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.state == WatchState::Live && self.rejected.is_empty()
    }
}

impl<T: KvConfig> Live<T> {
    /// How the handle is now. Asks nobody; costs a lock and some copies.
    #[must_use]
    pub fn health(&self) -> Health {
        let view = lock(&self.shared.view);
        let condition = self.shared.condition.borrow();
        let (mut state, mut since) = (condition.state.clone(), condition.since);
        let starved_for = lock(&self.shared.attachment).as_ref().and_then(Attachment::starved_for);
        if let Some(still) = starved_for.filter(|_| !state.is_stale()) {
            (state, since) = (WatchState::Starved, SystemTime::now() - still);
        }
        let name = |at: &usize| view.table.slot(*at).map(|slot| view.full_key(&slot.key));
        Health {
            state,
            since,
            applied: view.snapshot.revision(),
            seen: view.seen,
            rejected: view.rejections(),
            report: view.report.clone(),
            awaiting_restart: view.awaiting_restart.iter().filter_map(name).collect(),
        }
    }

    /// Waits until the health fulfils a condition, and returns it.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn wait_for_health(&self, mut fulfilled: impl FnMut(&Health) -> bool) -> Health {
        let mut condition = self.shared.condition.subscribe();
        let mut progress = self.shared.progress.subscribe();
        loop {
            let health = self.health();
            if fulfilled(&health) {
                return health;
            }
            // The senders live as long as this handle.
            tokio::select! {
                _ = condition.changed() => {}
                _ = progress.changed() => {}
            }
        }
    }
}
