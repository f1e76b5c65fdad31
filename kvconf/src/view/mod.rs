//! What one handle makes of the bucket: which changes it takes, which it rejects, and the value that results.
//!
//! Pure: updates in, outcomes out. A change set is taken whole or not at all. The true state of the bucket is always tried
//! first, so a later good change supersedes a bad one, and changes that are only valid together come in together.

mod by_key;
mod draft;
mod evaluate;
mod explain;
mod given;
mod groups;
mod kept;
#[cfg(test)]
mod layer_tests;
mod masked;
mod outside;
#[cfg(feature = "files")]
#[cfg(test)]
mod outside_tests;
mod overlay;
mod per_layer;
mod raw_state;
mod report;
mod select;
mod spare;
mod standing;
mod table;
#[cfg(test)]
mod tests;
mod trial;
mod usual;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

pub(crate) use draft::Draft;
pub(crate) use evaluate::{Candidate, contained, contained_read};
pub use explain::{ExplainedSource, Explanation};
use groups::merge;
pub(crate) use groups::{newly_rejected, revisions};
pub(crate) use overlay::{Layered, Opened, Overlay, origin_of};
pub(crate) use raw_state::RawState;
pub(crate) use report::{kind_of, origin_in, problem_of, shown_bytes};
use spare::Spare;
pub(crate) use standing::Storing;
#[cfg(feature = "files")]
pub(crate) use table::FieldsOf;
use table::Found;
pub(crate) use table::{Table, Target};
pub(crate) use trial::{Trial, clear_map};

use crate::layer::Layers;
use crate::problem::in_order;
use crate::schema::KvConfig;
use crate::source::{Content, Source};
use crate::watch::{ChangeSet, Update};
use crate::{Basis, Entry, Filter, Origin, Problem, Report, Revision, Snapshot};

/// A change set that was not taken, or one that is being tried. Keys are below the prefixes of the handle's layers.
///
/// The new content of a source outside the bucket is one too: there is at most one of each source.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) changes: Overlay,
    pub(crate) revision: Revision,
    /// `None` for the bucket.
    pub(crate) source: Option<Source>,
    /// Why it cannot be taken, whatever its values are.
    pub(crate) problems: Vec<Problem>,
}

impl Group {
    /// A change set of the bucket.
    pub(crate) const fn of_bucket(changes: Overlay, revision: Revision) -> Self {
        Self { changes, revision, source: None, problems: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.problems.is_empty()
    }
}

/// A change set that readers do not see, and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// The set's newest revision among the keys of this struct; for a file the bucket's revision when it was refused.
    pub revision: Revision,
    /// The keys of this struct that it changes and that no later change supersedes, in full. None for a file that cannot be
    /// read at all.
    pub keys: Vec<String>,
    /// Where the newest of them comes from; `None` when keys vanished without a trace.
    pub origin: Option<Origin>,
}

/// What an update led to.
pub(crate) struct Outcome<T> {
    /// The new state, when readers are to see one.
    pub(crate) snapshot: Option<Arc<Snapshot<T>>>,
    /// Whether the problems differ from before.
    pub(crate) report_changed: bool,
}

/// What some of the tried groups lead to, and which ones.
type Selection<T> = (Candidate<T>, Vec<bool>);

/// One handle's state.
pub(crate) struct View<T> {
    pub(crate) table: Arc<Table>,
    pub(crate) bucket: String,
    /// The newest taken entry of each key, markers included.
    pub(crate) raw: RawState,
    /// What was rejected and not superseded yet, oldest first.
    pub(crate) rejected: Vec<Group>,
    pub(crate) snapshot: Arc<Snapshot<T>>,
    /// Everything up to here was looked at.
    pub(crate) seen: Revision,
    pub(crate) epoch: u64,
    /// When the bucket was created, as far as it is known.
    pub(crate) created: Option<SystemTime>,
    pub(crate) report: Option<Arc<Report>>,
    /// Slots whose new value waits for a restart.
    pub(crate) awaiting_restart: BTreeSet<usize>,
    spare: Option<Spare<T>>,
    /// What is odd about keys that are read all the same, by layer and key below its prefix.
    warnings: BTreeMap<(usize, String), Problem>,
    /// The same of sources outside the bucket.
    outside: BTreeMap<Source, Vec<Problem>>,
    /// Why files are only looked at in intervals.
    polled: Option<Problem>,
}

impl<T: KvConfig> View<T> {
    /// Builds the state of a bucket alone as nobody is served it, or says everything that is wrong with it.
    pub(crate) fn start(table: Arc<Table>, bucket: &str, update: &Update) -> Result<Self, Report> {
        Self::start_from(Draft::new(table, Vec::new()).unobserved(), bucket, update)
    }

    /// The same with what sources outside the bucket say.
    pub(crate) fn start_with(
        table: Arc<Table>,
        bucket: &str,
        update: &Update,
        contents: Vec<(Source, Content)>,
    ) -> Result<Self, Report> {
        Self::start_from(Draft::new(table, contents), bucket, update)
    }

    fn start_from(mut draft: Draft<T>, bucket: &str, update: &Update) -> Result<Self, Report> {
        for change in update.sets.iter().flat_map(|set| &set.changes) {
            draft.take(&change.key, change.entry.as_ref());
        }
        draft.finish(bucket, update.revision, update.epoch)
    }

    /// Takes the next state of the bucket.
    pub(crate) fn apply(&mut self, update: &Update) -> Outcome<T> {
        self.seen = if update.epoch == self.epoch { self.seen.max(update.revision) } else { update.revision };
        let recreated = update.epoch != self.epoch;
        self.epoch = update.epoch;
        if !recreated && let Some(outcome) = self.apply_usual(update) {
            return outcome;
        }
        self.apply_any(update, recreated)
    }

    fn apply_any(&mut self, update: &Update, recreated: bool) -> Outcome<T> {
        let fresh = groups(update, self.layers());
        if fresh.is_empty() && !recreated {
            return Outcome { snapshot: None, report_changed: false };
        }
        let changed = groups::may_be_odd(&self.table, &fresh);
        let mut trial = std::mem::take(&mut self.rejected);
        trial.extend(fresh);
        let scratch = self.scratch();
        let (accepted, problems) = self.select_contained(&trial, scratch);
        let snapshot = self.settle(trial, accepted, update.revision, Basis::Bucket);
        self.renew_warnings(&changed);
        let report_changed = self.renew_report(problems);
        Outcome { snapshot, report_changed }
    }

    /// Takes what was accepted, keeps the rest for later.
    fn settle(
        &mut self,
        trial: Vec<Group>,
        accepted: Option<Selection<T>>,
        revision: Revision,
        basis: Basis,
    ) -> Option<Arc<Snapshot<T>>> {
        let (accepted, taken) = match accepted {
            Some((candidate, taken)) => (Some(candidate), taken),
            None => (None, vec![false; trial.len()]),
        };
        let mut newest_taken = self.snapshot.revision();
        let mut changed = Overlay::default();
        for (group, taken) in trial.into_iter().zip(&taken).rev() {
            let mut group = group;
            // What a taken group has set, older ones no longer can.
            group.changes.retain(|layer, key| changed.get(layer, key).is_none());
            if group.is_empty() {
                continue;
            }
            if *taken {
                newest_taken = newest_taken.max(group.revision);
                self.raw.absorb(&group.changes);
                if changed.is_empty() {
                    changed = group.changes;
                } else {
                    changed.extend(&group.changes);
                }
            } else {
                self.rejected.push(group);
            }
        }
        self.rejected.reverse();
        let candidate = accepted?;
        let same_bucket = self.snapshot.epoch() == self.epoch;
        // A file that is left out leaves nothing out of the bucket.
        let whole = self.rejected.iter().all(|group| group.source.is_some());
        let revision = if whole || !same_bucket { revision } else { newest_taken };
        Some(self.serve(candidate, changed, revision, basis))
    }

    /// Makes a candidate the present snapshot; `changed` is what leads to it.
    fn serve(
        &mut self,
        candidate: Candidate<T>,
        changed: Overlay,
        revision: Revision,
        basis: Basis,
    ) -> Arc<Snapshot<T>> {
        self.note_restarts(&candidate);
        let rejected: Arc<[Rejected]> =
            if self.rejected.is_empty() { Arc::default() } else { self.rejections().into() };
        let snapshot = candidate.unshared.share(revision, self.epoch, rejected, basis);
        let old = std::mem::replace(&mut self.snapshot, Arc::clone(&snapshot));
        self.spare = Spare::new(old, changed);
        snapshot
    }

    fn note_restarts(&mut self, candidate: &Candidate<T>) {
        for (slot, differs) in &candidate.restarts {
            if *differs {
                self.awaiting_restart.insert(*slot);
            } else {
                self.awaiting_restart.remove(slot);
            }
        }
    }

    /// Looks at changed keys again, and at the other names of their fields.
    fn renew_warnings(&mut self, changed: &BTreeSet<(usize, String)>) {
        if changed.is_empty() {
            return;
        }
        let rejected = merge(&self.rejected);
        let state = Layered::new(&self.table, &self.raw, &rejected);
        let mut renewed: Vec<((usize, String), Option<Problem>)> = Vec::new();
        for (layer, key) in changed {
            let target = self.table.target(key);
            let names = match target {
                Some(Target::Field(at)) => self.table.slot(at).map(crate::schema::Slot::names),
                _ => None,
            };
            // Whether a key of a field is read can change with one of another layer.
            let layers = if target.is_some() { 0..self.layers().len() } else { *layer..layer + 1 };
            for name in names.unwrap_or_else(|| vec![key]) {
                for layer in layers.clone() {
                    let problem = report::warning::<T>(&state, layer, name);
                    renewed.push(((layer, name.to_owned()), problem));
                }
            }
        }
        for (key, problem) in renewed {
            match problem {
                Some(problem) => self.warnings.insert(key, problem),
                None => self.warnings.remove(&key),
            };
        }
    }

    fn renew_report(&mut self, mut problems: Vec<Problem>) -> bool {
        let is_odd = !self.warnings.is_empty() || !self.outside.is_empty() || self.polled.is_some();
        if problems.is_empty() && self.report.is_none() && !is_odd {
            return false;
        }
        problems.extend(
            self.outside.values().flatten().chain(self.warnings.values()).chain(&self.polled).cloned(),
        );
        in_order(&mut problems);
        let unchanged = match &self.report {
            Some(report) => report.problems == problems,
            None => problems.is_empty(),
        };
        if unchanged {
            // Nothing new to tell; what it says of revisions keeps up all the same.
            if let Some(report) = &mut self.report {
                let report = Arc::make_mut(report);
                (report.revision, report.serving) = (Some(self.seen), Some(self.snapshot.revision()));
            }
            return false;
        }
        self.report = (!problems.is_empty()).then(|| {
            Arc::new(Report {
                name: self.table.name.into(),
                bucket: self.bucket.clone(),
                revision: Some(self.seen),
                serving: Some(self.snapshot.revision()),
                at: SystemTime::now(),
                problems,
            })
        });
        true
    }

    /// The newest entries as they stand in the bucket, rejected ones included.
    pub(crate) fn true_state(&self) -> RawState {
        let mut all = self.raw.clone();
        for group in &self.rejected {
            all.absorb(&group.changes);
        }
        all
    }

    /// What asks for each layer, with the newest revision that stands there in the bucket.
    pub(crate) fn tails(&self) -> Vec<(Filter, Revision)> {
        groups::tails(self.layers(), &self.raw, &self.rejected)
    }

    /// The newest entry that stands in the bucket under a key of a layer.
    pub(crate) fn newest(&self, layer: usize, key: &str) -> Option<&Arc<Entry>> {
        match self.rejected.iter().rev().find_map(|group| group.changes.get(layer, key)) {
            Some(entry) => entry.as_ref(),
            None => self.raw.get(layer, key),
        }
    }

    /// The same, where readers rejected it.
    pub(crate) fn newest_rejected(&self, layer: usize, key: &str) -> Option<&Arc<Entry>> {
        self.rejected.iter().rev().find_map(|group| group.changes.get(layer, key))?.as_ref()
    }

    /// All that was rejected and not superseded.
    pub(crate) fn rejections(&self) -> Vec<Rejected> {
        groups::rejections(&self.table, &self.rejected)
    }

    /// Where its keys stand.
    pub(crate) fn layers(&self) -> &Layers {
        &self.table.layers
    }

    /// What a field is called where no layer is meant.
    pub(crate) fn field_key(&self, key: &str) -> String {
        self.layers().field_key(key)
    }
}

/// The parts of an update that lie in these layers. A set across several of them stays one.
fn groups(update: &Update, layers: &Layers) -> Vec<Group> {
    let group = |set: &ChangeSet| {
        let mut changes = Overlay::default();
        for change in &set.changes {
            if let Some((layer, key)) = layers.place(&change.key) {
                changes.insert(layer, key.to_owned(), change.entry.clone());
            }
        }
        let newest = changes.entries().map(|entry| entry.revision()).max();
        let revision = newest.unwrap_or_else(|| set.revision().max(update.revision));
        (!changes.is_empty()).then_some(Group::of_bucket(changes, revision))
    };
    update.sets.iter().filter_map(group).collect()
}

impl<T: KvConfig> View<T> {
    /// A view with no bucket behind it.
    pub(crate) fn fixed(table: Arc<Table>, value: T) -> Self {
        Self {
            raw: RawState::new(Arc::clone(&table)),
            table,
            bucket: String::new(),
            rejected: Vec::new(),
            snapshot: Arc::new(Snapshot::new(value, Revision::ZERO, 0, Arc::default())),
            seen: Revision::ZERO,
            epoch: 0,
            created: None,
            report: None,
            awaiting_restart: BTreeSet::new(),
            spare: None,
            warnings: BTreeMap::new(),
            outside: BTreeMap::new(),
            polled: None,
        }
    }

    /// Gives a fixed view another value.
    pub(crate) fn replace(&mut self, value: T, revision: Revision) {
        self.seen = revision;
        self.snapshot = Arc::new(Snapshot::new(value, revision, self.epoch, Arc::default()));
    }
}
