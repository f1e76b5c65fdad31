//! What the fleet is asked about a change, and where to ask.

use std::fmt;
use std::sync::Arc;

use super::commit::{Applied, Commit, CommitError};
use super::plain::{PlainChange, PlainCommit, PlainPlan};
use super::plan::{Plan, PlanError, Planned};
use super::rollback::{RollbackCommit, RollbackPlan};
use crate::fleet::Fleet;
use crate::instance::Candidate;
use crate::judging::Judging;
use crate::schema::KvConfig;
use crate::store::{Action, Store};

/// Where a change was made. Two changes are the same wherever that is known.
#[derive(Clone, Default)]
pub(super) struct Place(pub(super) Option<Arc<dyn Store>>);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.as_ref().map(|store| store.name()), f)
    }
}

pub(super) fn candidates(writes: &[Planned]) -> Vec<Candidate> {
    let candidate = |write: &Planned| Candidate {
        key: write.key.clone(),
        action: write.action.clone(),
        expected: write.expected,
    };
    writes.iter().map(candidate).collect()
}

impl<T: KvConfig> Plan<T> {
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        candidates(&self.writes)
    }

    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        self.shared.store.clone()
    }
}

impl RollbackPlan {
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        candidates(&self.writes)
    }

    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        self.bucket()
    }
}

impl PlainPlan {
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let candidate = |change: &PlainChange| Candidate {
            key: change.key().clone(),
            action: change.after().map_or(Action::Delete, |value| Action::Put(value.clone())),
            expected: change.expected(),
        };
        self.changes().map(candidate).collect()
    }

    pub(crate) fn bucket(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

impl Applied {
    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        self.place.0.clone()
    }
}

/// Asks, and stops where an instance would reject the writes and that is not forced.
pub(super) async fn ask(
    store: &Arc<dyn Store>,
    candidates: Vec<Candidate>,
    is_forced: bool,
) -> Result<(), CommitError> {
    if Judging::is_on() {
        return Err(PlanError::Judging.into());
    }
    let verdict = Fleet::of(Arc::clone(store)).preflight(candidates).await?;
    if !verdict.is_rejected() {
        return Ok(());
    }
    if is_forced {
        tracing::warn!(bucket = store.name(), %verdict, "a change is forced on the fleet");
        return Ok(());
    }
    Err(CommitError::Rejected(Box::new(verdict)))
}

impl<T: KvConfig> Commit<T> {
    /// Asks the running instances before anything is written. One that would reject the change stops it, unless it is
    /// [forced](Commit::force); one that is silent does not.
    pub fn ask_fleet(mut self) -> Self {
        self.terms.set_ask();
        self
    }
}

impl RollbackCommit {
    /// As [`Commit::ask_fleet`].
    pub fn ask_fleet(mut self) -> Self {
        self.terms_mut().set_ask();
        self
    }
}

impl PlainCommit {
    /// As [`Commit::ask_fleet`].
    pub fn ask_fleet(mut self) -> Self {
        self.terms_mut().set_ask();
        self
    }
}
