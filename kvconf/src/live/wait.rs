//! Reading one's own writes.

use std::sync::Arc;

use derive_more::{Display, Error};

use tokio::sync::watch;

use super::{Live, Progress, lock};
use crate::judging::Judging;
use crate::schema::KvConfig;
use crate::{Report, Revision};

/// Why a revision did not become visible.
#[derive(Debug, Clone, Display, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The change at this revision was rejected: readers do not see it.
    #[display("revision {revision} was rejected")]
    Rejected {
        /// The revision that was waited for.
        revision: Revision,
        /// What is wrong.
        #[error(source)]
        report: Arc<Report>,
    },
    /// The handle was stopped.
    #[display("the handle was stopped before revision {revision} became visible")]
    Stopped {
        /// The revision that was waited for.
        revision: Revision,
    },
    /// The caller is called to judge values, as `validate` and codecs are: everything that it would wait for waits for it.
    #[display("asked by code that is called to judge values: it would wait for itself")]
    Judging,
}

impl<T: KvConfig> Live<T> {
    /// Waits until readers see the bucket's state at this revision or a later one.
    ///
    /// Meant for a revision that some write under the struct's prefix has returned. For a revision that lies elsewhere in
    /// the bucket it returns with the next change under the prefix. There is no bound in time: wrap it in
    /// `tokio::time::timeout` where the server may be away.
    ///
    /// # Errors
    /// [`WaitError::Rejected`] when that change was looked at and rejected, [`WaitError::Stopped`] after [`Live::stop`],
    /// [`WaitError::Judging`] for a `validate` function or a codec that would have to wait.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn wait_for(&self, revision: Revision) -> Result<(), WaitError> {
        let mut progress = self.shared.progress.subscribe();
        let given = self.shared.store.as_ref().and_then(|store| store.given());
        let mut doubted = given.map(|given| given.doubted());
        let mut has_asked = false;
        loop {
            let Progress { seen, epoch, .. } = *progress.borrow_and_update();
            let is_over = |doubted: &mut watch::Receiver<Option<u64>>| {
                doubted.borrow_and_update().is_some_and(|doubted| epoch <= doubted)
            };
            // Another bucket of this name was written to, and what was seen is still of the former one.
            if seen >= revision && !doubted.as_mut().is_some_and(is_over) {
                return self.verdict(revision);
            }
            if Judging::is_on() {
                return Err(WaitError::Judging);
            }
            if let (Some(given), false) = (given, has_asked) {
                has_asked = true;
                given.want(revision);
            }
            let certain = async {
                match &mut doubted {
                    Some(doubted) => _ = doubted.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = progress.changed() => {}
                () = certain => {}
                () = self.shared.ended.cancelled() => return Err(WaitError::Stopped { revision }),
            }
        }
    }

    /// Whether a revision that was looked at was taken.
    fn verdict(&self, revision: Revision) -> Result<(), WaitError> {
        match lock(&self.shared.told).rejection_of(revision) {
            Some(report) => Err(WaitError::Rejected { revision, report: Arc::clone(report) }),
            None => Ok(()),
        }
    }
}
