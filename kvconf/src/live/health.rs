//! How a handle is.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Live, lock};
use crate::schema::KvConfig;
use crate::view::Rejected;
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
        if self.state != state {
            self.state = state;
            self.since = SystemTime::now();
        }
    }
}

/// How a handle is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How its watch is.
    pub state: WatchState,
    /// Since when it is so, by this process's clock.
    pub since: SystemTime,
    /// The revision that readers get.
    pub applied: Revision,
    /// The newest revision under the handle's prefix that was looked at, rejected ones included.
    pub seen: Revision,
    /// The change sets and the contents of files that readers do not see.
    pub rejected: Vec<Rejected>,
    /// Everything that is wrong with the values of the bucket and of other sources right now, warnings included.
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

    /// Whether readers get the newest state of the bucket and of files: the watch delivers, and nothing is rejected.
    #[must_use]
    pub fn is_current(&self) -> bool {
        !self.state.is_stale() && self.rejected.is_empty()
    }
}

impl<T: KvConfig> Live<T> {
    /// How the handle is now. Asks nobody; costs a lock and some copies.
    #[must_use]
    pub fn health(&self) -> Health {
        let view = lock(&self.shared.view);
        let condition = self.shared.condition.borrow();
        let name = |at: &usize| view.table.slot(*at).map(|slot| view.full_key(&slot.key));
        Health {
            state: condition.state.clone(),
            since: condition.since,
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
