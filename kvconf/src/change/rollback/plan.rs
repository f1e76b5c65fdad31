//! What a rollback or a revert would do.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::commit::RollbackCommit;
use super::error::{ChangedSince, RollbackError};
use super::read::{Present, Standing};
use super::scope::Scope;
use super::set::ChangeRef;
use super::target::Target;
use crate::change::diff::FieldChange;
use crate::change::parts::{divide, order};
use crate::change::plan::Planned;
use crate::history::LostKey;
use crate::store::Action;
use crate::{Key, Report, Revision};

/// What is to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Everything since this revision.
    To(Revision),
    /// One change set.
    Change(ChangeRef),
}

/// What a rollback or a revert would write, what is so already, and what stands in its way. `Display` writes it all, one line
/// for each key.
#[must_use = "a plan writes nothing before `commit`"]
pub struct RollbackPlan {
    pub(super) scope: Arc<dyn Scope>,
    pub(super) purpose: Purpose,
    pub(in crate::change) writes: Vec<Planned>,
    pub(super) report: Option<Report>,
    pub(super) standing: Standing,
    unchanged: Vec<Key>,
    lost: Vec<LostKey>,
    changed_since: Vec<ChangedSince>,
    without_ttl: Vec<Key>,
}

impl RollbackPlan {
    pub(super) fn new(
        scope: Arc<dyn Scope>,
        purpose: Purpose,
        mut target: Target,
        changed_since: Vec<ChangedSince>,
        present: Present,
    ) -> Self {
        target.wishes.sort_by(|one, other| order(&one.key, &other.key));
        let (writes, report) = scope.judge(&target, &present.entries);
        let without_ttl = target.wishes.iter().filter(|wish| wish.drops_ttl).map(|wish| wish.key.clone());
        Self {
            without_ttl: without_ttl.collect(),
            scope,
            purpose,
            writes,
            report,
            standing: present.standing,
            unchanged: target.unchanged.into_keys().collect(),
            lost: target.lost,
            changed_since,
        }
    }

    /// The bucket; `None` for a handle without one.
    #[cfg(feature = "fleet")]
    pub(in crate::change) fn bucket(&self) -> Option<Arc<dyn crate::store::Store>> {
        self.scope.store()
    }

    /// What would change, by key. Values are masked for secrets. Of a plan for plain keys, where nobody knows which are
    /// secret, only the sizes, unless [`Rollback::show_values`](super::Rollback::show_values) was asked for.
    pub fn changes(&self) -> impl Iterator<Item = &FieldChange> {
        self.writes.iter().map(|write| &write.shown)
    }

    /// As [`RollbackPlan::changes`], with the values in the clear, secrets too: each key, what it holds now, and what it would
    /// hold. `None` is no value.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let good = bucket.put("app.port", "8080").await?;
    /// bucket.put("app.port", "80o80").await?;
    /// let plan = bucket.rollback_to("app.>", good).plan().await?;
    /// let (key, now, then) = plan.values().next().ok_or("nothing to change")?;
    /// assert_eq!((key.as_str(), now), ("app.port", Some(&"80o80".into())));
    /// assert_eq!(then, Some(&"8080".into()));
    /// # Ok(()) }
    /// ```
    pub fn values(&self) -> impl Iterator<Item = (&Key, Option<&Bytes>, Option<&Bytes>)> {
        self.writes.iter().map(|write| {
            let then = match &write.action {
                Action::Put(value) => Some(value),
                Action::Delete | Action::Purge => None,
            };
            (&write.key, write.before.as_ref(), then)
        })
    }

    /// The keys that hold already what they held then.
    #[must_use]
    pub fn unchanged(&self) -> &[Key] {
        &self.unchanged
    }

    /// The keys whose earlier value the bucket no longer has. With any of them nothing is written.
    #[must_use]
    pub fn lost(&self) -> &[LostKey] {
        &self.lost
    }

    /// Of a revert: the keys that others have changed after the change set, and that do not hold already what they held before
    /// it. With any of them nothing is written.
    #[must_use]
    pub fn changed_since(&self) -> &[ChangedSince] {
        &self.changed_since
    }

    /// The keys whose value had a time to live: it returns for good.
    ///
    /// With one, the key would fall back to the value that it has now as soon as it expires.
    #[must_use]
    pub fn without_ttl(&self) -> &[Key] {
        &self.without_ttl
    }

    /// What today's readers would find wrong with the result; `None` when they would take it, and for plain keys, which
    /// nobody judges.
    #[must_use]
    pub const fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// Whether nothing would be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The revision that it goes back to; `None` for a revert.
    #[must_use]
    pub const fn revision(&self) -> Option<Revision> {
        match self.purpose {
            Purpose::To(revision) => Some(revision),
            Purpose::Change(_) => None,
        }
    }

    /// In how many change sets it would be written: more than one only when it has more keys than the server takes at once
    /// (1 000). Then `in_parts` has to be asked for.
    #[must_use]
    pub fn parts(&self) -> usize {
        divide(self.writes.iter().collect(), |write: &&Planned| &write.key, self.standing.max_batch).len()
    }

    /// Why [`RollbackPlan::commit`] would refuse it without writing; `None` when it would try.
    #[must_use]
    pub fn obstacle(&self) -> Option<RollbackError> {
        self.in_the_way().or_else(|| self.invalid()).or_else(|| self.too_many())
    }

    /// Writes the plan, all of it or nothing: `plan.commit().author("ops").reason("errors up").await?`.
    pub fn commit(self) -> RollbackCommit {
        RollbackCommit::new(self)
    }

    /// What no term of a commit helps against.
    pub(super) fn in_the_way(&self) -> Option<RollbackError> {
        if !self.lost.is_empty() {
            let known = self.writes.iter().map(|write| write.key.clone()).collect();
            return Some(RollbackError::Lost { keys: self.lost.clone(), known });
        }
        (!self.changed_since.is_empty()).then(|| RollbackError::ChangedSince(self.changed_since.clone()))
    }

    pub(super) fn invalid(&self) -> Option<RollbackError> {
        self.report.clone().map(|report| RollbackError::Invalid(Box::new(report)))
    }

    pub(super) fn too_many(&self) -> Option<RollbackError> {
        let (keys, max) = (self.writes.len(), self.standing.max_batch);
        // Where there are no batches at all, the store says so.
        (max > 1 && keys > max).then(|| RollbackError::TooMany { keys, max, parts: self.parts() })
    }

    /// Its writes in parts, which are no longer in the plan then.
    pub(super) fn take_divided(&mut self) -> Vec<Vec<Planned>> {
        divide(std::mem::take(&mut self.writes), |write| &write.key, self.standing.max_batch)
    }
}

impl fmt::Display for RollbackPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.purpose {
            Purpose::To(revision) => write!(f, "back to revision {revision}:")?,
            Purpose::Change(change) => write!(f, "without {change}:")?,
        }
        for change in self.changes() {
            write!(f, "\n  {change}")?;
        }
        match self.unchanged.len() {
            0 if self.is_empty() && self.lost.is_empty() => f.write_str("\n  nothing to change")?,
            0 => {}
            1 => f.write_str("\n  1 key is so already")?,
            count => write!(f, "\n  {count} keys are so already")?,
        }
        for key in &self.without_ttl {
            write!(f, "\n  {key} had a time to live and returns for good")?;
        }
        for lost in &self.lost {
            write!(f, "\n  × {lost}")?;
        }
        for since in &self.changed_since {
            write!(f, "\n  × {since}")?;
        }
        if let Some(error) = self.too_many() {
            write!(f, "\n  × {error}")?;
        }
        match &self.report {
            Some(report) => write!(f, "\n{report}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for RollbackPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RollbackPlan")
            .field("purpose", &self.purpose)
            .field("changes", &self.changes().collect::<Vec<_>>())
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}
