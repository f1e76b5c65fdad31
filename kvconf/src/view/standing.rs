//! States that stand in for the bucket's until that can be read.

use std::sync::Arc;
use std::time::SystemTime;

use super::groups::is_provisional;
use super::{Outcome, Table, View};
use crate::cache::{Owner, Saved};
use crate::layer::Layers;
use crate::problem::in_order;
use crate::schema::KvConfig;
use crate::seal::key_id;
use crate::source::{Content, Source};
use crate::watch::{Change, ChangeSet, Update, relative};
use crate::{Basis, Entry, Key, Problem, ProblemKind, Report, Revision};

/// Whether a cache's files are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storing {
    Encrypted,
    Clear,
}

/// What a view would have saved, taken out quickly: readers wait for nothing, but the watch does.
pub(crate) struct Excerpt {
    table: Arc<Table>,
    bucket: String,
    created: Option<SystemTime>,
    revision: Revision,
    entries: Vec<Arc<Entry>>,
}

impl<T: KvConfig> View<T> {
    /// A view of a saved state, or all that keeps it from being served.
    ///
    /// `given` is what sources outside the bucket say.
    pub(crate) fn from_saved(
        table: Arc<Table>,
        saved: &Saved,
        given: Vec<(Source, Content)>,
    ) -> Result<Self, Report> {
        let update = as_update(saved);
        let omitted = omitted(&table, saved);
        let saved_layers = table.layers.clone();
        let mut view = match Self::start_with(table, &saved.owner.bucket, &update, given) {
            Ok(view) if omitted.is_empty() => view,
            Ok(view) => return Err(view.refused(omitted)),
            Err(mut report) => {
                say_omitted(&mut report.problems, omitted, &saved_layers);
                return Err(report);
            }
        };
        view.created = saved.created;
        view.set_basis(Basis::Cache { saved_at: saved.saved_at });
        Ok(view)
    }

    /// A view without a bucket: what other sources say, and defaults.
    pub(crate) fn from_defaults(
        table: Arc<Table>,
        bucket: &str,
        given: Vec<(Source, Content)>,
    ) -> Result<Self, Report> {
        let nothing = Update { revision: Revision::ZERO, epoch: 0, sets: Vec::new() };
        let mut view = Self::start_with(table, bucket, &nothing, given)?;
        view.set_basis(Basis::Defaults);
        Ok(view)
    }

    fn set_basis(&mut self, basis: Basis) {
        // Nobody else has it yet.
        if let Some(snapshot) = Arc::get_mut(&mut self.snapshot) {
            snapshot.set_basis(basis);
        }
    }

    fn refused(self, problems: Vec<Problem>) -> Report {
        Report {
            name: self.table.name.into(),
            bucket: self.bucket,
            revision: Some(self.seen),
            serving: None,
            at: SystemTime::now(),
            problems,
        }
    }

    /// Takes the bucket's whole state, given as an update from nothing, in place of what stood in for it.
    ///
    /// What the bucket's state has in common with it stays; the rest comes as any other change, so that what readers
    /// cannot take is left out and reported.
    pub(crate) fn adopt(&mut self, whole: &Update) -> Outcome<T> {
        let mut update = relative(self.raw.entries(), whole, &self.layers().prefixes());
        if update.epoch == self.epoch {
            // Saved while more was watched: the same state, seen at a later revision.
            update.revision = update.revision.max(self.snapshot.revision());
        }
        let mut outcome = self.apply(&update);
        if outcome.snapshot.is_none() && self.rejected.is_empty() {
            // Where no copy is to be had, what is served says on that it comes from the cache.
            let (revision, epoch) = (update.revision, self.epoch);
            outcome.snapshot =
                self.copy().map(|copy| copy.share(revision, epoch, Arc::default(), Basis::Bucket));
            self.snapshot = outcome.snapshot.clone().unwrap_or_else(|| Arc::clone(&self.snapshot));
        }
        outcome
    }

    /// What is to be saved; `None` where the snapshot does not come from the bucket, and while values in it wait to be
    /// confirmed.
    ///
    /// Those go back at their deadline, and nothing here says to what: whoever began from the file afterwards would serve
    /// them for good. The state before the change is what they go back to, and it is on disk already.
    pub(crate) fn excerpt(&self) -> Option<Excerpt> {
        (self.snapshot.basis() == Basis::Bucket && !is_provisional(&self.raw)).then(|| Excerpt {
            table: Arc::clone(&self.table),
            bucket: self.bucket.clone(),
            created: self.created,
            revision: self.snapshot.revision(),
            entries: self.raw.entries().map(Arc::clone).collect(),
        })
    }
}

impl Excerpt {
    /// The state as it is written. Without encryption it has no secret in clear, and no value of a key that the struct
    /// does not know: it may be an old secret's.
    pub(crate) fn into_saved(self, storing: Storing) -> Saved {
        let Self { table, bucket, created, revision, mut entries } = self;
        entries.sort_unstable_by(|left, right| left.key().cmp(right.key()));
        let tail = entries.iter().map(|entry| entry.revision()).max().unwrap_or_default();
        let may_be_written = |entry: &Entry| {
            if storing == Storing::Encrypted || entry.operation().is_removal() {
                return true;
            }
            match table.layers.place(entry.key()).and_then(|(_, key)| table.is_secret(key)) {
                Some(false) => true,
                Some(true) => key_id(entry.value()).is_some(),
                None => false,
            }
        };
        let omitted = entries.iter().filter(|entry| !may_be_written(entry));
        let omitted: Vec<Key> = omitted.map(|entry| entry.key().clone()).collect();
        entries.retain(|entry| may_be_written(entry));
        let owner = Owner { bucket, prefix: table.layers.to_string(), name: table.name.to_owned() };
        let saved_at = SystemTime::now();
        Saved { owner, created, revision, tail, saved_at, entries, omitted }
    }
}

/// A saved state as what leads to it from nothing.
fn as_update(saved: &Saved) -> Update {
    let change = |entry: &Arc<Entry>| Change { key: entry.key().clone(), entry: Some(Arc::clone(entry)) };
    let set = ChangeSet { changes: saved.entries.iter().map(change).collect() };
    Update { revision: saved.revision, epoch: 0, sets: vec![set] }
}

/// Tells of values that were left out where a report does not know better than that they are missing from the bucket.
fn say_omitted(problems: &mut Vec<Problem>, omitted: Vec<Problem>, layers: &Layers) {
    let field = |key: &String| match Key::new(key).ok().as_ref().and_then(|key| layers.place(key)) {
        Some((_, below)) => layers.field_key(below),
        None => key.clone(),
    };
    let left_out: Vec<String> = omitted.iter().map(|problem| field(&problem.key)).collect();
    problems.retain(|problem| !left_out.contains(&field(&problem.key)));
    problems.extend(omitted);
    in_order(problems);
}

/// Fields whose values were left out when the state was saved, unless a stronger source has one.
fn omitted(table: &Table, saved: &Saved) -> Vec<Problem> {
    let stronger = |layer: usize, below: &str| {
        let live = saved.entries.iter().filter(|entry| !entry.operation().is_removal());
        let mut places = live.filter_map(|entry| table.layers.place(entry.key()));
        places.any(|(other, key)| other > layer && key == below)
    };
    let problem = |key: &Key| {
        let (layer, below) = table.layers.place(key)?;
        table.target(below).filter(|_| table.env(below).is_none() && !stronger(layer, below))?;
        let why = match table.is_secret(below) {
            Some(false) => {
                "the program that saved it did not know the field, and may not keep a secret in clear"
            }
            _ => "one without a key holds no secrets",
        };
        Some(Problem {
            key: key.to_string(),
            kind: ProblemKind::Missing,
            message: format!("its value is not in the cache: {why}"),
            origin: None,
            before: None,
            before_revision: None,
            fields: Vec::new(),
        })
    };
    saved.omitted.iter().filter_map(problem).collect()
}
