//! Keeping a handle's last good state on disk, away from the watch and the readers.

use std::sync::{Arc, Weak};

use tokio::time::sleep_until;

use super::task::spawn;
use super::{Progress, Shared, lock};
use crate::cache::{Kept, Saved};
use crate::schema::KvConfig;
use crate::view::Storing;

/// Begins to keep a handle's state. Must be called inside a tokio runtime.
pub(super) fn keep<T: KvConfig>(shared: &Arc<Shared<T>>, mut kept: Kept, storing: Storing) {
    shared.show_cache(&kept);
    let weak = Arc::downgrade(shared);
    let mut progress = shared.progress.subscribe();
    let mut shown: Progress = *progress.borrow_and_update();
    let ended = shared.ended.clone();
    spawn(Box::pin(async move {
        let state = || served(&weak, storing);
        loop {
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
                Some(shared) => shared.show_cache(&kept),
                None => break,
            }
        }
        kept.ended().await;
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
