//! Changing a struct by a function, again and again until nobody interferes.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::commit::{Applied, Commit, CommitError, Terms, terms};
use super::conflict::Conflict;
use super::edit::{Wanted, layer_of, wanted_by};
use super::over_rejected::OverRejected;
use super::plan::{Masked, Plan, PlanError, Planned};
use crate::backoff::contention;
use crate::judging::Judging;
use crate::live::{Shared, lock};
use crate::schema::KvConfig;
use crate::view::{Layered, Overlay, View};
use crate::{Attribution, Live, Revision, WriteError};

/// How often an update is tried. Sixteen writers that all change one key get through well before this.
const ATTEMPTS: u32 = 64;

/// How long a write waits for the watch to bring what it must be based on. The watch needs well below a millisecond.
const CATCH_UP: Duration = Duration::from_secs(1);

/// A change by a function, to be awaited. From [`Live::update`].
#[must_use = "nothing is written before it is awaited"]
pub struct Update<'a, T: KvConfig, F> {
    shared: &'a Arc<Shared<T>>,
    change: F,
    terms: Terms,
    attempts: u32,
    over: Over,
    layer: Option<Arc<str>>,
}

/// What an update may write over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// What its function saw.
    Seen,
    /// What readers rejected, too.
    Rejected,
}

impl<T: KvConfig, F> fmt::Debug for Update<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").field("terms", &self.terms).finish_non_exhaustive()
    }
}

impl<T: KvConfig> Live<T> {
    /// Changes the struct by a function: `live.update(|c| c.max_items += 10).author("ops").await?`.
    ///
    /// The function gets a copy of the newest state. The fields that it changed are written, each on condition that it is
    /// still as the function saw it; when somebody else was faster, the function runs again on the newer state. So it may
    /// run several times, and should do nothing but change its argument. Fields that it only read are not guarded unless
    /// [`Update::guard_all`] is asked for.
    ///
    /// The newest state is the last good one. A value that readers rejected is newer and not in it, so an update that would
    /// write over one is refused ([`CommitError::OverRejected`]); [`Edit::set`](super::Edit::set) replaces it, with a plan
    /// that shows it.
    pub fn update<F: FnMut(&mut T) + Send>(&self, change: F) -> Update<'_, T, F> {
        let terms = Terms::default();
        Update { shared: &self.shared, change, terms, attempts: ATTEMPTS, over: Over::Seen, layer: None }
    }
}

impl<T: KvConfig, F: FnMut(&mut T) + Send> Update<'_, T, F> {
    terms!(terms);

    /// To which layer of the bucket the changed fields are written. A handle with several layers needs it.
    ///
    /// The function gets what readers get, merged from all layers. So an update that would change a field which a more specific
    /// layer has is refused ([`CommitError::Masked`]): its function has not seen the value that it would replace, and nobody
    /// would see the new one. A field that becomes `None` while a more general layer has it is written as `null`.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// let live = bucket.live::<Checkout>().layers(["base", "host.web-1"]).start().await?;
    /// live.update(|checkout| checkout.max_items = 60).layer("host.web-1").author("ops").await?;
    /// assert_eq!(bucket.get("host.web-1.checkout.max_items").await?.as_deref(), Some(&b"60"[..]));
    /// # Ok(()) }
    /// ```
    pub fn layer(mut self, layer: impl Into<Arc<str>>) -> Self {
        self.layer = Some(layer.into());
        self
    }

    /// How often to try before giving up with the last conflict; 64 by default, at least once.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Writes also over values that readers rejected, which the function does not get to see. For a program that sets a
    /// field whatever stood there.
    pub fn over_rejected(mut self) -> Self {
        self.over = Over::Rejected;
        self
    }

    async fn run(mut self) -> Result<Applied, CommitError> {
        let mut failures = 0;
        loop {
            self.shared.catch_up().await?;
            let plan = {
                let view = lock(&self.shared.view);
                let before = Arc::clone(&view.snapshot);
                drop(view);
                let mut after = Box::new(T::clone(&before));
                (self.change)(&mut after);
                let view = lock(&self.shared.view);
                if !Arc::ptr_eq(&before, &view.snapshot) {
                    // Somebody changed something while the function ran.
                    failures += 1;
                    if failures >= self.attempts {
                        return Err(CommitError::Overtaken { attempts: failures });
                    }
                    continue;
                }
                let layer = layer_of(view.layers(), self.layer.as_deref())?;
                let wanted = wanted_by(&view, layer, &before, &after)?;
                if let Some(masked) = masked(&view, &wanted) {
                    return Err(CommitError::Masked(Box::new(masked)));
                }
                let plan = Plan::new(Arc::clone(self.shared), &view, wanted)?;
                if self.over == Over::Seen
                    && let Some(unseen) = OverRejected::find(&view, &plan.writes)
                {
                    return Err(CommitError::OverRejected(unseen));
                }
                plan
            };
            let begun = Instant::now();
            let lost = match Commit::attempt(plan, self.terms.clone()).run().await {
                Err(CommitError::Conflict(conflict)) => conflict,
                outcome => return outcome,
            };
            failures += 1;
            if failures >= self.attempts {
                return Err(CommitError::Conflict(lost));
            }
            self.shared.wait_until_seen(lost.found.unwrap_or_default()).await;
            tokio::time::sleep(contention(begun.elapsed(), failures)).await;
        }
    }
}

/// The first wanted key that a more specific layer masks.
fn masked<T: KvConfig>(view: &View<T>, wanted: &Wanted) -> Option<Masked> {
    let mut rejected = Overlay::default();
    view.rejected.iter().for_each(|group| rejected.extend(&group.changes));
    let state = Layered::new(&view.table, &view.raw, &rejected);
    wanted.keys().find_map(|(layer, key)| {
        let by = view.mask_in_bucket(&state, *layer, key)?;
        Some(Masked { key: view.layers().key(*layer, key).ok()?, by })
    })
}

impl<'a, T: KvConfig, F: FnMut(&mut T) + Send + 'a> IntoFuture for Update<'a, T, F> {
    type Output = Result<Applied, CommitError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    /// # Errors
    /// [`CommitError`]; [`CommitError::Conflict`] and [`CommitError::Overtaken`] only after all attempts,
    /// [`CommitError::OverRejected`], [`CommitError::Masked`] and [`PlanError::Judging`] at once.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the change made or not made, never half made.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<T: KvConfig> Shared<T> {
    /// Waits, not for long, until the watch has brought back what was written through this handle.
    pub(super) async fn catch_up(&self) -> Result<(), PlanError> {
        if Judging::is_on() {
            return Err(PlanError::Judging);
        }
        self.wait_until_seen(self.written()).await;
        Ok(())
    }

    /// Who was faster, by what the watch brings: the server says which revision to wait for. `None` where it did not tell, and
    /// the bucket has to be asked: the write may also have been made, or be refused for another reason.
    pub(super) async fn lost_race(
        &self,
        error: &WriteError,
        planned: &[Planned],
        change: &str,
    ) -> Option<Box<Conflict>> {
        let WriteError::Conflict { found: Some(found) } = error else { return None };
        self.wait_until_seen(*found).await;
        let view = lock(&self.view);
        let mut lost = None;
        for write in planned {
            let newest = view.layers().place(&write.key).and_then(|(layer, key)| view.newest(layer, key));
            let Some(entry) = newest.filter(|entry| entry.revision() > write.expected) else { continue };
            if Attribution::of(entry).change.as_deref() == Some(change) {
                return None;
            }
            lost.get_or_insert_with(|| Box::new(Conflict::new(&write.key, write.expected, Some(entry))));
        }
        lost
    }

    pub(super) async fn wait_until_seen(&self, revision: Revision) {
        let mut progress = self.progress.subscribe();
        let seen = progress.wait_for(|progress| progress.seen >= revision);
        // When it does not come in time, the write that follows conflicts, and the attempts are counted.
        let _ = tokio::time::timeout(CATCH_UP, seen).await;
    }
}
