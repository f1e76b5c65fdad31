//! Keeping a handle's last good state on disk, away from the watch and the readers.

use std::sync::{Arc, Weak};

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::health::Condition;
use super::task::spawn;
use super::{Progress, Shared, lock};
use crate::WatchState;
use crate::cache::{Kept, Saved};
use crate::schema::KvConfig;
use crate::view::Storing;

/// A cache at work, until its handle ends.
struct Keeping {
    /// `None` once the end was told.
    kept: Option<Kept>,
    condition: watch::Receiver<Condition>,
}

impl Drop for Keeping {
    /// The task is dropped before it has heard of the end: its runtime ends. After [`Live::stop`](super::Live::stop) that is a
    /// good end all the same. Without it nothing is known: a program that panics drops its handles, too.
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take()
            && self.condition.borrow().state == WatchState::Stopped
        {
            kept.ended_with_the_runtime();
        }
    }
}

/// Begins to keep a handle's state. Must be called inside a tokio runtime.
pub(super) fn keep<T: KvConfig>(shared: &Arc<Shared<T>>, kept: Kept, storing: Storing) {
    shared.show_cache(&kept);
    let mut keeping = Keeping { kept: Some(kept), condition: shared.condition.subscribe() };
    let weak = Arc::downgrade(shared);
    let mut progress = shared.progress.subscribe();
    let mut shown: Progress = *progress.borrow_and_update();
    let ended = shared.ended.clone();
    spawn(Box::pin(async move {
        let state = || served(&weak, storing);
        while let Some(kept) = &mut keeping.kept {
            let deadline = kept.deadline();
            let due = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = ended.cancelled() => break,
                changed = progress.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let now = *progress.borrow_and_update();
                    if now.snapshots != shown.snapshots {
                        kept.changed().await;
                    }
                    shown = now;
                }
                () = due => kept.due(&state).await,
            }
            match weak.upgrade() {
                Some(shared) => shared.show_cache(kept),
                None => break,
            }
        }
        if let Some(kept) = keeping.kept.take() {
            kept.ended().await;
        }
    }));
}

/// What is served, when it is worth saving. The view is locked for no longer than the entries are counted out.
fn served<T: KvConfig>(weak: &Weak<Shared<T>>, storing: Storing) -> Option<Saved> {
    let excerpt = lock(&weak.upgrade()?.view).excerpt()?;
    Some(excerpt.into_saved(storing))
}

impl<T: KvConfig> Shared<T> {
    fn show_cache(&self, kept: &Kept) {
        self.condition.send_if_modified(|condition| {
            let differs = condition.cache.as_ref() != Some(&kept.health);
            if differs {
                condition.cache = Some(kept.health.clone());
            }
            differs
        });
    }
}
