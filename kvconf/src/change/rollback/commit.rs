//! Writing a rollback.

use std::future::IntoFuture;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::error::RollbackError;
use super::plan::RollbackPlan;
use super::read::{Standing, present};
use crate::attribution::new_change_id;
use crate::change::commit::{Applied, CommitError, Job, Mark, Terms, terms};
use crate::change::guard::Guards;
use crate::change::on_part::OnPart;
use crate::change::plan::Planned;
use crate::{Filter, Key, Revision};

/// How often a write is tried again because something changed under the prefix that the rollback is not about.
const ATTEMPTS: u32 = 8;

/// How to write more keys than fit into one change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Division {
    /// Not at all.
    #[default]
    Refused,
    /// Prefix by prefix.
    InParts,
}

/// A rollback or revert to be awaited. From [`RollbackPlan::commit`].
#[derive(Debug)]
#[must_use = "nothing is written before it is awaited"]
pub struct RollbackCommit {
    plan: RollbackPlan,
    terms: Terms,
    change: Arc<str>,
    division: Division,
    on_part: OnPart,
}

/// The words that a commit and a rollback that commits at once have in common.
macro_rules! division {
    () => {
        /// Writes more keys than the server takes in one change set (1 000) one part of the prefix after the other, where
        /// it would else be refused. Each part is a change set of its own, all or nothing, and readers see them one after
        /// the other. When one fails, [`CommitError::Partial`](crate::CommitError::Partial) has exactly what was written
        /// before; the same rollback again finds that so already, and goes on.
        pub fn in_parts(mut self) -> Self {
            self.division = Division::InParts;
            self
        }

        /// Goes back to a state that today's readers would reject. Needs a reason. What is lost stays refused.
        pub fn force(mut self) -> Self {
            self.terms.set_force();
            self
        }
    };
}
pub(super) use division;

impl RollbackCommit {
    pub(super) fn new(plan: RollbackPlan) -> Self {
        Self::with(plan, Terms::default(), Division::default())
    }

    pub(super) fn with(plan: RollbackPlan, terms: Terms, division: Division) -> Self {
        Self { plan, terms, change: new_change_id(), division, on_part: OnPart::nobody() }
    }

    /// The change's id, known before anything is written: for whoever is interrupted in the middle and has to look later
    /// whether the change was made.
    #[must_use]
    pub fn change(&self) -> &str {
        &self.change
    }

    terms!(terms);
    division!();

    /// Calls `told` after each part with the number of keys that were written so far: to show how far it is, and to stop
    /// without leaving open what was written. `ControlFlow::Break` ends it there, with
    /// [`CommitError::Stopped`](crate::CommitError::Stopped); the same rollback again goes on from there. After the last part
    /// it changes nothing.
    pub fn on_part(mut self, told: impl FnMut(usize) -> ControlFlow<()> + Send + 'static) -> Self {
        self.on_part = OnPart::new(told);
        self
    }

    #[cfg(feature = "fleet")]
    pub(in crate::change) const fn terms_mut(&mut self) -> &mut Terms {
        &mut self.terms
    }

    pub(super) async fn run(self) -> Result<Applied, RollbackError> {
        let Self { mut plan, mut terms, change, division, mut on_part } = self;
        let store = plan.scope.store().ok_or(RollbackError::Fixed)?;
        let attribution = terms.attribution(Arc::clone(&change))?;
        let refused = plan.in_the_way();
        let refused = refused.or_else(|| if terms.forces() { None } else { plan.invalid() });
        let in_one = division == Division::Refused && !terms.is_one_by_one();
        if let Some(error) = refused.or_else(|| if in_one { plan.too_many() } else { None }) {
            return Err(error);
        }
        if plan.writes.is_empty() {
            return Ok(Applied::new(&store, plan.standing.newest(), change, Vec::new()));
        }
        #[cfg(feature = "fleet")]
        if terms.asks() {
            crate::change::ask::ask(&store, plan.candidates(), terms.forces()).await?;
        }
        let parts = match division {
            _ if terms.is_one_by_one() => {
                std::mem::take(&mut plan.writes).into_iter().map(|write| vec![write]).collect()
            }
            Division::InParts => plan.take_divided(),
            Division::Refused => vec![std::mem::take(&mut plan.writes)],
        };
        // A state is one of all keys; a change set is one of its own.
        let is_state = plan.scope.is_whole() && plan.revision().is_some();
        let guards = if is_state || terms.guards_all() {
            Guards { all: guards(plan.standing.tails.clone()), unwritten: plan.scope.unwritten() }
        } else {
            Guards::NONE
        };
        let mut job = Job { store: &*store, attribution, change: &change, guards, mark: Mark::None };
        // Who asked for everything under the prefix to be guarded does not want to be spared.
        let written = if terms.guards_all() {
            job.in_parts(parts, &mut on_part).await?
        } else {
            write(job, &plan, parts, &mut on_part).await?
        };
        let revision = written.iter().map(|(_, revision)| *revision).max().unwrap_or_default();
        plan.scope.note_written(revision);
        Ok(Applied::new(&store, revision, change, written))
    }
}

/// A single key is guarded by its own expectation.
fn guards(mut tails: Vec<(Filter, Revision)>) -> Vec<(Filter, Revision)> {
    tails.retain(|(filter, _)| filter.as_key().is_none());
    tails
}

/// Writes; when something changed under the prefix that the rollback is not about, looks again and tries once more.
async fn write(
    mut job: Job<'_>,
    plan: &RollbackPlan,
    parts: Vec<Vec<Planned>>,
    on_part: &mut OnPart,
) -> Result<Vec<(Key, Revision)>, RollbackError> {
    let mut attempts = 0;
    loop {
        let conflict = match job.in_parts(parts.clone(), on_part).await {
            Err(CommitError::Conflict(conflict)) => conflict,
            outcome => return Ok(outcome?),
        };
        attempts += 1;
        if attempts == ATTEMPTS || plan.scope.has(&conflict.key) {
            return Err(RollbackError::Conflict(conflict));
        }
        let found = present(job.store, &plan.scope.filters()?, plan.standing.max_batch).await?.standing;
        // One of ours changed too: the conflict that is returned names another key, which is true as well.
        if !ours(plan, &found).eq(ours(plan, &plan.standing)) {
            return Err(RollbackError::Conflict(conflict));
        }
        job.guards.all = guards(found.tails);
    }
}

/// The keys that a plan is about, as they stand in the bucket.
fn ours<'a>(plan: &'a RollbackPlan, standing: &'a Standing) -> impl Iterator<Item = (&'a Key, Revision)> {
    let ours = standing.revisions.iter().filter(|(key, _)| plan.scope.has(key));
    ours.map(|(key, revision)| (key, *revision))
}

impl IntoFuture for RollbackCommit {
    type Output = Result<Applied, RollbackError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// # Errors
    /// [`RollbackError`]; nothing was written, but for what [`RollbackError::Commit`] says of parts.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the rollback made or not made, never half made (but see
    /// [`RollbackCommit::in_parts`] and [`RollbackCommit::one_by_one`]).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
