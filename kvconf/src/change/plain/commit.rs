//! Writing a plan of plain keys.

use std::future::IntoFuture;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::plan::PlainPlan;
use crate::attribution::new_change_id;
use crate::change::commit::{Applied, CommitError, Job, Mark, Terms};
use crate::change::guard::{Guards, Unwritten};
use crate::change::on_part::OnPart;
use crate::change::parts::{divide, order};
use crate::change::plan::Planned;
use crate::{Key, Revision};

/// A commit of plain keys to be awaited. From [`PlainPlan::commit`].
#[derive(Debug)]
#[must_use = "nothing is written before it is awaited"]
pub struct PlainCommit {
    plan: PlainPlan,
    terms: Terms,
    change: Arc<str>,
    in_parts: bool,
    on_part: OnPart,
}

impl PlainCommit {
    pub(super) fn new(plan: PlainPlan) -> Self {
        Self {
            plan,
            terms: Terms::default(),
            change: new_change_id(),
            in_parts: false,
            on_part: OnPart::nobody(),
        }
    }

    /// The change's id, known before anything is written: for whoever is interrupted in the middle and has to look later
    /// whether the change was made.
    #[must_use]
    pub fn change(&self) -> &str {
        &self.change
    }

    /// Who makes the change; the program's name by default. At most 256 bytes, no control characters.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.terms.set_author(author.into());
        self
    }

    /// Why. At most 1 024 bytes, no control characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.terms.set_reason(reason.into());
        self
    }

    /// Writes the keys one after the other where the server or the bucket has no atomic batches. Readers then see
    /// every key as a change of its own, and [`CommitError::Partial`] says where it stopped.
    pub fn one_by_one(mut self) -> Self {
        self.terms.set_one_by_one();
        self
    }

    /// Writes more keys than the server takes in one change set (1 000) one part of the key tree after the other, where it
    /// would else be refused. Each part is a change set of its own, and [`CommitError::Partial`] has exactly what was
    /// written before one failed. All parts have the same change id.
    pub fn in_parts(mut self) -> Self {
        self.in_parts = true;
        self
    }

    /// Calls `told` after each part with the number of keys that were written so far: to show how far it is, and to stop
    /// without leaving open what was written. `ControlFlow::Break` ends it there, with [`CommitError::Stopped`]; after the
    /// last part it changes nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// use std::ops::ControlFlow;
    /// use kvconf::CommitError;
    ///
    /// let keys = (0..2_500).map(|number| format!("t{}.k{number}", number % 3));
    /// let plan = keys.fold(bucket.edit(), |edit, key| edit.set(key, "1")).plan().await?;
    /// let commit = plan.commit().author("ops").in_parts().on_part(|_written| ControlFlow::Break(()));
    /// let Err(CommitError::Stopped { written, left }) = commit.await else { panic!("it was to stop") };
    /// assert_eq!((written.len(), left), (834, 1_666));
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_part(mut self, told: impl FnMut(usize) -> ControlFlow<()> + Send + 'static) -> Self {
        self.on_part = OnPart::new(told);
        self
    }

    /// Writes what a report of the plan is against. Needs a reason.
    pub fn force(mut self) -> Self {
        self.terms.set_force();
        self
    }

    #[cfg(feature = "fleet")]
    pub(in crate::change) const fn terms_mut(&mut self) -> &mut Terms {
        &mut self.terms
    }

    async fn run(self) -> Result<Applied, CommitError> {
        let Self { plan, mut terms, change, in_parts, mut on_part } = self;
        let attribution = terms.attribution(Arc::clone(&change))?;
        if let Some(report) = plan.report()
            && !terms.forces()
        {
            return Err(CommitError::Invalid(Box::new(report.clone())));
        }
        if plan.changes.is_empty() {
            return Ok(Applied::new(&plan.store, plan.revision(), change, Vec::new()));
        }
        #[cfg(feature = "fleet")]
        if terms.asks() {
            crate::change::ask::ask(&plan.store, plan.candidates(), terms.forces()).await?;
        }
        let mut writes: Vec<Planned> = plan.changes.into_iter().map(|change| change.planned).collect();
        let parts = if terms.is_one_by_one() {
            writes.into_iter().map(|write| vec![write]).collect()
        } else if in_parts {
            let max = plan.store.status().await.map_err(|error| CommitError::Write(error.into()))?.max_batch;
            writes.sort_by(|one, other| order(&one.key, &other.key));
            divide(writes, |write: &Planned| -> &Key { &write.key }, max)
        } else {
            vec![writes]
        };
        let guards = Guards { all: plan.guards, unwritten: Unwritten::Ignored };
        let mut job = Job { store: &*plan.store, attribution, change: &change, guards, mark: Mark::None };
        let written = job.in_parts(parts, &mut on_part).await?;
        let revision = written.iter().map(|(_, revision)| *revision).max().unwrap_or(Revision::ZERO);
        Ok(Applied::new(&plan.store, revision, change, written))
    }
}

impl IntoFuture for PlainCommit {
    type Output = Result<Applied, CommitError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// # Errors
    /// [`CommitError::Conflict`] with the key, both revisions and the other author when somebody was faster;
    /// [`CommitError::Invalid`] with the first report against the plan; [`CommitError::Write`] and
    /// [`CommitError::Attribution`]. Nothing was written, but for what [`CommitError::Partial`] and
    /// [`CommitError::Stopped`] name.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the change made or not made, never half made (but see [`PlainCommit::in_parts`] and
    /// [`PlainCommit::one_by_one`]).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
