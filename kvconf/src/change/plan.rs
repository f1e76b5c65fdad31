//! What a commit would write, and whether the result is valid.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use derive_more::{Display, Error};

use super::commit::Commit;
use super::diff::FieldChange;
use super::edit::Wanted;
use crate::attribution::new_change_id;
use crate::live::Shared;
use crate::problem::in_order;
use crate::schema::{KvConfig, Slot};
use crate::seal::{SealError, key_id};
use crate::store::Action;
use crate::store::header::has_ttl;
use crate::value::{EncodeError, show};
use crate::view::{Group, Layered, Overlay, Target, View, shown_bytes};
use crate::{Entry, Filter, Headers, Key, KeyError, Operation, Origin, Problem, Report, Revision};

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A value has no stored form.
    #[display("{key} has no stored form")]
    Encode {
        /// The key.
        key: String,
        /// Why.
        #[error(source)]
        error: EncodeError,
    },
    /// A key would not be valid: a map's key can make it too long.
    #[display("{key} is no valid key")]
    Key {
        /// The key.
        key: String,
        /// Why.
        #[error(source)]
        error: KeyError,
    },
    /// The handle has several layers, and it was not said which one to write to.
    #[display("which layer to write to was not said: {}", layers.join(", "))]
    NoLayer {
        /// The handle's layers, from general to specific.
        layers: Vec<String>,
    },
    /// The handle does not read the layer.
    #[display("the handle does not read layer {layer:?}{}", list(layers))]
    UnknownLayer {
        /// The layer.
        layer: String,
        /// The handle's layers, from general to specific; none for a handle without layers.
        layers: Vec<String>,
    },
    /// An update takes something out that a more general layer has: a layer cannot say that an entry of a map is not there.
    #[display("{key} cannot be taken out in layer {layer:?}, {below} would come through")]
    ComesThrough {
        /// The key that the update would remove.
        key: String,
        /// The layer that it would remove it from.
        layer: String,
        /// The key of a more general layer.
        below: Key,
    },
    /// A secret could not be sealed, or not be opened to be sealed again.
    #[display("{key} cannot be sealed")]
    Seal {
        /// The key.
        key: String,
        /// Why.
        #[error(source)]
        error: SealError,
    },
    /// The caller is called to judge values, as `validate` and codecs are: everything that it would wait for waits for it.
    #[display("asked by code that is called to judge values: it would wait for itself")]
    Judging,
}

fn list(layers: &[String]) -> String {
    if layers.is_empty() { ": it has none".to_owned() } else { format!(", only {}", layers.join(", ")) }
}

/// A key of a plan whose value readers do not get, because a stronger source has one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Masked {
    /// The key that would be written.
    pub key: Key,
    /// Where the value comes from that counts instead.
    pub by: Origin,
}

/// `base.checkout.max_items has no effect while env.prod.checkout.max_items has a value (layer env.prod, revision 7 by ops)`
impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, by } = self;
        write!(f, "{key} has no effect here while ")?;
        match by {
            Origin::Key(origin) => write!(f, "{} has a value ({by})", origin.key),
            by => write!(f, "{by} has a value"),
        }
    }
}

/// One key to be written.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) key: Key,
    pub(super) action: Action,
    /// The value that stands there.
    pub(super) before: Option<Bytes>,
    /// The newest revision of the key that the author could know.
    pub(super) expected: Revision,
    pub(super) shown: FieldChange,
}

impl Planned {
    /// A write that no diff shows.
    pub(super) fn bare(key: Key, action: Action, expected: Revision) -> Self {
        let shown = FieldChange::new(key.to_string(), None, None);
        Self { key, action, before: None, expected, shown }
    }
}

/// What a commit would write. `Display` writes one line for each key, and for a flag more (see [`FieldChange`]): what the key holds
/// and what it would hold. Where it holds nothing, what readers get then stands in brackets
/// ([`FieldChange::otherwise`]): `(default 50) → 80`.
#[must_use = "a plan writes nothing before `commit`"]
pub struct Plan<T: KvConfig> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) writes: Vec<Planned>,
    pub(super) report: Option<Report>,
    /// What asks for each layer, with the newest revision there that the plan knows.
    pub(super) tails: Vec<(Filter, Revision)>,
    pub(super) masked: Vec<Masked>,
    /// The id of the change that a commit makes.
    pub(super) change: Arc<str>,
}

impl<T: KvConfig> Plan<T> {
    /// `view` is the very one that `wanted` was made from, locked all the while: revisions of a later one would let the
    /// write pass over changes that its author never saw.
    pub(super) fn new(shared: Arc<Shared<T>>, view: &View<T>, wanted: Wanted) -> Result<Self, PlanError> {
        let mut writes = Vec::new();
        let mut over = Overlay::default();
        for ((layer, key), value) in wanted {
            let Some(write) = planned(view, layer, &key, value.as_ref())? else {
                // Not written, for the bucket holds it; but readers may have refused it, so it is checked with the rest.
                if let Some(entry) = view.newest(layer, &key) {
                    let entry = Arc::clone(entry);
                    over.insert(layer, key, Some(entry));
                }
                continue;
            };
            over.insert(layer, key, Some(Arc::new(provisional(&write, view.seen.next()))));
            writes.push(write);
        }
        view.tell_otherwise(&mut writes, &over);
        let (masked, bad) = view.masked_among(&writes, &over);
        let report = if writes.is_empty() { None } else { view.preview(over) };
        let report = if bad.is_empty() { report } else { Some(view.also_refused(report, bad)) };
        Ok(Self { shared, writes, report, tails: view.tails(), masked, change: new_change_id() })
    }

    /// The keys whose values readers of this handle would not get, because a stronger source has one: a more specific layer,
    /// a variable of the environment, or an override.
    #[must_use]
    pub fn masked(&self) -> &[Masked] {
        &self.masked
    }

    /// What would change, by key.
    pub fn changes(&self) -> impl Iterator<Item = &FieldChange> {
        self.writes.iter().map(|write| &write.shown)
    }

    /// What would be written: each key with the value that stands there and the one that would, as they are.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&Key, Option<&Bytes>, Option<&Bytes>)> {
        self.writes.iter().map(|write| {
            let after = match &write.action {
                Action::Put(value) => Some(value),
                Action::Delete | Action::Purge => None,
            };
            (&write.key, write.before.as_ref(), after)
        })
    }

    /// Whether nothing would be written: the bucket holds these values already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// What every reader would find wrong with the result; `None` when they would take it.
    #[must_use]
    pub const fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// Whether readers would take the result.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.report.is_none()
    }

    /// Writes the plan, all of it or nothing: `plan.commit().author("ops").reason("sale").await?`.
    pub fn commit(self) -> Commit<T> {
        Commit::new(self)
    }
}

impl<T: KvConfig> fmt::Display for Plan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.writes.is_empty() {
            return f.write_str("nothing to change");
        }
        for (at, change) in self.changes().enumerate() {
            write!(f, "{}{change}", if at == 0 { "" } else { "\n" })?;
        }
        for masked in &self.masked {
            write!(f, "\n{masked}")?;
        }
        match &self.report {
            Some(report) => write!(f, "\n{report}"),
            None => Ok(()),
        }
    }
}

impl<T: KvConfig> fmt::Debug for Plan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("changes", &self.changes().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

/// What to write for one key; `None` when the bucket holds just that.
fn planned<T: KvConfig>(
    view: &View<T>,
    layer: usize,
    key: &str,
    value: Option<&Bytes>,
) -> Result<Option<Planned>, PlanError> {
    let invalid = |error| PlanError::Key { key: view.layers().full_key(layer, key), error };
    let full = view.layers().key(layer, key).map_err(invalid)?;
    let now = view.newest(layer, key);
    let before = now.and_then(|entry| entry.put_value());
    // A value that is about to go does not stand there as it was asked for.
    let goes = value.is_some() && now.is_some_and(|entry| has_ttl(entry));
    let value = match value {
        Some(clear) if view.table.is_secret(key) == Some(true) => match sealed(view, &full, before, clear)? {
            Some(stored) => Some(stored),
            None if goes => before.cloned(),
            None => return Ok(None),
        },
        value if before == value && !goes => return Ok(None),
        value => value.cloned(),
    };
    let mut shown = shown_change(view, layer, key, before, value.as_ref());
    if goes {
        shown.before_goes();
    }
    Ok(Some(Planned {
        shown,
        key: full,
        before: before.cloned(),
        action: value.map_or(Action::Delete, Action::Put),
        expected: now.map_or(Revision::ZERO, |entry| entry.revision()),
    }))
}

/// A change of one key of a layer, as it may be shown.
pub(super) fn shown_change<T: KvConfig>(
    view: &View<T>,
    layer: usize,
    key: &str,
    before: Option<&Bytes>,
    after: Option<&Bytes>,
) -> FieldChange {
    let shown = |bytes: &Bytes| shown_stored(view, key, bytes);
    let change = FieldChange::new(view.layers().full_key(layer, key), before.map(shown), after.map(shown));
    change.with_details(slot_of(view, key), before, after)
}

fn slot_of<'v, T: KvConfig>(view: &'v View<T>, key: &str) -> Option<&'v Slot> {
    match view.table.target(key)? {
        Target::Field(at) | Target::Entry(at, _) => view.table.slot(at),
    }
}

/// A value of one key, as it may be shown.
pub(super) fn shown_stored<T: KvConfig>(view: &View<T>, key: &str, bytes: &Bytes) -> String {
    slot_of(view, key).map_or_else(|| show(bytes), |slot| shown_bytes(bytes, slot))
}

/// What to store for a secret; `None` when that stands there already.
///
/// Every sealing gives another text, so what stands there is compared by what it holds.
fn sealed<T: KvConfig>(
    view: &View<T>,
    key: &Key,
    before: Option<&Bytes>,
    clear: &Bytes,
) -> Result<Option<Bytes>, PlanError> {
    let seals = &view.table.seals;
    let holds = |stored: &Bytes| match seals.open(key, stored) {
        Some(opened) => opened.is_ok_and(|held| held.as_slice() == &**clear),
        None => false,
    };
    let same = |stored: &Bytes| stored == clear || holds(stored);
    if before.is_some_and(|stored| same(stored) && seals.is_as_written(stored)) {
        return Ok(None);
    }
    // What is sealed already stays as it is.
    let sealed = if key_id(clear).is_some() { None } else { seals.seal(key, clear) };
    match sealed {
        Some(Ok(text)) => Ok(Some(text.into())),
        Some(Err(error)) => Err(PlanError::Seal { key: key.to_string(), error }),
        None => Ok(Some(clear.clone())),
    }
}

/// The entry that a write would make.
pub(super) fn provisional(write: &Planned, revision: Revision) -> Entry {
    entry_of(&write.key, &write.action, revision)
}

/// The entry that a key would have.
pub(crate) fn entry_of(key: &Key, action: &Action, revision: Revision) -> Entry {
    let (value, operation) = match action {
        Action::Put(bytes) => (bytes.clone(), Operation::Put),
        Action::Delete | Action::Purge => (Bytes::new(), Operation::Delete),
    };
    Entry {
        key: key.clone(),
        revision,
        value,
        operation,
        marker: None,
        created: SystemTime::now(),
        headers: Headers::new(),
    }
}

impl<T: KvConfig> View<T> {
    /// Which of these writes readers would not get, and what is wrong with them. Nobody reads a masked value here, but readers
    /// of other layers do, and this one as soon as what masks it is gone.
    fn masked_among(&self, writes: &[Planned], over: &Overlay) -> (Vec<Masked>, Vec<Problem>) {
        let mut all = Overlay::default();
        self.rejected.iter().for_each(|group| all.extend(&group.changes));
        all.extend(over);
        let state = Layered::new(&self.table, &self.raw, &all);
        let (mut masked, mut bad) = (Vec::new(), Vec::new());
        for write in writes {
            let Some((layer, key)) = self.layers().place(&write.key) else { continue };
            let Some(by) = self.mask(&state, layer, key) else { continue };
            masked.push(Masked { key: write.key.clone(), by: by_plan(by, writes) });
            bad.extend(self.examine(&state, layer, key));
        }
        let revision = self.seen.next();
        bad.iter_mut().for_each(|problem| name_the_plan(problem, revision));
        (masked, bad)
    }

    /// A report with more problems in it.
    fn also_refused(&self, report: Option<Report>, problems: Vec<Problem>) -> Report {
        let mut report = report.unwrap_or_else(|| self.refusal(Vec::new()));
        report.problems.extend(problems);
        in_order(&mut report.problems);
        report
    }

    /// What readers would find wrong if these changes stood in the bucket; `None` when they would take them.
    pub(crate) fn preview(&self, changes: Overlay) -> Option<Report> {
        let revision = self.seen.next();
        let alone = changes.clone();
        let mut trial = self.rejected.clone();
        trial.push(Group::of_bucket(changes, revision));
        let (accepted, _) = self.select(&trial, self.copy());
        if accepted.is_some_and(|(_, taken)| taken.last() == Some(&true)) {
            return None;
        }
        let mut problems = self.evaluate(&alone, self.copy()).err().unwrap_or_default();
        for problem in &mut problems {
            name_the_plan(problem, revision);
        }
        Some(self.refusal(problems))
    }
}

/// What masks a write may itself be one of the plan's.
fn by_plan(by: Origin, writes: &[Planned]) -> Origin {
    match by {
        Origin::Key(origin) if writes.iter().any(|write| write.key == origin.key) => Origin::Plan,
        by => by,
    }
}

/// The planned entries have no revision, author or time yet.
fn name_the_plan(problem: &mut Problem, revision: Revision) {
    let origins = problem.origin.iter_mut().chain(problem.fields.iter_mut().map(|(_, origin)| origin));
    for origin in origins {
        if matches!(origin, Origin::Key(key) if key.revision == revision) {
            *origin = Origin::Plan;
        }
    }
}
