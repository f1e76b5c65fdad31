//! Collecting what is to be changed.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::diff::encoded;
use super::over_rejected::OverRejected;
use super::plan::{Plan, PlanError};
use crate::key::escape_segment;
use crate::live::{Shared, lock};
use crate::schema::{EntryMap, Field, Kind, KvConfig, Path, Slot, Stored, join, node_at};
use crate::view::View;
use crate::{Key, Live, Snapshot};

enum Step {
    Set(Path, Box<dyn Any + Send>),
    Unset(Path),
    SetEntry(Path, String, Box<dyn Any + Send>),
    UnsetEntry(Path, String),
    Reseal,
}

/// Wanted values by key below the prefix; `None` removes the key.
pub(crate) type Wanted = BTreeMap<String, Option<Bytes>>;

/// A set of changes to be planned. From [`Live::edit`].
#[must_use = "nothing is planned before `plan`"]
pub struct Edit<T: KvConfig> {
    shared: Arc<Shared<T>>,
    steps: Vec<Step>,
}

impl<T: KvConfig> std::fmt::Debug for Edit<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edit").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

impl<T: KvConfig> Live<T> {
    /// Begins a set of changes, field by field.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32, region: Option<String> }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let live = Bucket::memory().live::<Checkout>().start().await?;
    /// let fields = Checkout::fields();
    /// let plan = live.edit().set(fields.max_items, 80).set(fields.region, Some("eu".into())).plan().await?;
    /// assert_eq!(plan.to_string(), "checkout.max_items: 50 → 80\ncheckout.region: (none) → `eu`");
    ///
    /// let applied = plan.commit().author("ops").reason("sale").await?;
    /// live.wait_for(applied.revision()).await?;
    /// assert_eq!(live.load().max_items, 80);
    /// # Ok(()) }
    /// ```
    pub fn edit(&self) -> Edit<T> {
        Edit { shared: Arc::clone(&self.shared), steps: Vec::new() }
    }
}

/// Raw keys below the prefix that are wanted.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) wanted: Wanted,
    /// Keys whose value was made from the last good one: what readers rejected was not seen.
    pub(crate) derived: BTreeSet<String>,
}

impl<T: KvConfig> Live<T> {
    /// Plans what is worked out from the newest state that readers see, which stays as it is meanwhile.
    pub(crate) async fn plan_by<E>(
        &self,
        work_out: impl FnOnce(&Arc<Snapshot<T>>) -> Result<Wishes, E>,
    ) -> Result<Plan<T>, E>
    where
        E: From<PlanError> + From<Box<OverRejected>>,
    {
        self.shared.catch_up().await;
        let view = lock(&self.shared.view);
        let Wishes { wanted, derived } = work_out(&view.snapshot)?;
        let plan = Plan::new(Arc::clone(&self.shared), &view, wanted)?;
        let is_derived = |key: &Key| key.under(&view.prefix).is_some_and(|key| derived.contains(key));
        let unseen = OverRejected::find(&view, plan.writes.iter().filter(|write| is_derived(&write.key)));
        match unseen {
            Some(unseen) => Err(unseen.into()),
            None => Ok(plan),
        }
    }
}

impl<T: KvConfig> Edit<T> {
    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Sets a field; `None` for an `Option` removes its key. For a map of entries: makes the bucket hold exactly these.
    pub fn set<V: Send + 'static>(self, field: Field<T, V>, value: V) -> Self {
        self.step(Step::Set(field.path(), Box::new(value)))
    }

    /// Removes a field's key, old names included, so that its default counts again. For a map: removes every entry.
    pub fn unset<V>(self, field: Field<T, V>) -> Self {
        self.step(Step::Unset(field.path()))
    }

    /// Sets one entry of a map with one key per entry, and leaves the others alone.
    pub fn set_entry<M: EntryMap>(self, field: Field<T, M>, key: &str, value: M::Value) -> Self {
        self.step(Step::SetEntry(field.path(), key.to_owned(), Box::new(value)))
    }

    /// Removes one entry of a map with one key per entry.
    pub fn unset_entry<M: EntryMap>(self, field: Field<T, M>, key: &str) -> Self {
        self.step(Step::UnsetEntry(field.path(), key.to_owned()))
    }

    /// Seals every secret anew that is not sealed with the primary key of the handle's keyring, those in clear included.
    ///
    /// Does nothing on a handle without a keyring, or with one that is not to seal.
    pub fn reseal(self) -> Self {
        self.step(Step::Reseal)
    }

    /// Works out what is to be written, and whether the result is valid by the reader's own decoder and checks. Writes
    /// nothing. Waits until this handle has seen what it has written itself.
    ///
    /// A plan with problems is a plan too: look at [`Plan::report`]. Only [`Commit::force`](super::Commit::force) writes
    /// it.
    ///
    /// # Errors
    /// [`PlanError`] when a value has no stored form or a key would be too long.
    ///
    /// # Cancel safety
    /// Dropping the future does nothing.
    pub async fn plan(self) -> Result<Plan<T>, PlanError> {
        let Self { shared, steps } = self;
        shared.catch_up().await;
        let view = lock(&shared.view);
        let mut wanted = Wanted::new();
        for step in &steps {
            resolve(&view, step, &mut wanted)?;
        }
        Plan::new(Arc::clone(&shared), &view, wanted)
    }
}

fn resolve<T: KvConfig>(view: &View<T>, step: &Step, wanted: &mut Wanted) -> Result<(), PlanError> {
    let path = match step {
        Step::Set(path, _) | Step::Unset(path) | Step::SetEntry(path, ..) | Step::UnsetEntry(path, _) => {
            *path
        }
        Step::Reseal => return reseal(view, wanted),
    };
    let (Some((_, slot)), Some((node, rest))) = (view.table.slot_at(path), node_at::<T>(path.steps())) else {
        return Ok(());
    };
    let fails = |error| PlanError::Encode { key: view.full_key(&slot.key), error };
    match step {
        Step::Set(_, value) if slot.kind == Kind::Entries => {
            remove_all(view, slot, wanted);
            for (segment, bytes) in node.encode_map(&**value, rest).map_err(fails)? {
                wanted.insert(join(&slot.key, &segment), Some(bytes));
            }
        }
        Step::Set(_, value) => match node.encode_value(&**value, rest).map_err(fails)? {
            Stored::Value(bytes) => {
                wanted.insert(slot.key.clone(), Some(bytes));
            }
            Stored::Absent => remove_all(view, slot, wanted),
        },
        Step::Unset(_) => remove_all(view, slot, wanted),
        Step::SetEntry(_, key, value) => {
            if let Stored::Value(bytes) = node.encode_value(&**value, rest).map_err(fails)? {
                wanted.insert(join(&slot.key, &escape_segment(key)), Some(bytes));
            }
        }
        Step::UnsetEntry(_, key) => {
            wanted.insert(join(&slot.key, &escape_segment(key)), None);
        }
        Step::Reseal => {}
    }
    Ok(())
}

/// Wants every secret that is not sealed as it would be written.
fn reseal<T: KvConfig>(view: &View<T>, wanted: &mut Wanted) -> Result<(), PlanError> {
    let seals = &view.table.seals;
    for (key, entry) in view.true_state().live_keys() {
        let Some(stored) = entry.put_value() else { continue };
        if view.table.is_secret(key) != Some(true) || seals.is_as_written(stored) {
            continue;
        }
        let clear = match seals.open(entry.key(), stored) {
            None => stored.clone(),
            Some(Ok(clear)) => Bytes::copy_from_slice(&clear),
            Some(Err(error)) => return Err(PlanError::Seal { key: entry.key().to_string(), error }),
        };
        // What this edit sets comes first.
        wanted.entry(key.to_owned()).or_insert(Some(clear));
    }
    Ok(())
}

/// Removes every key of a slot that has a value now, and what this edit has set before.
pub(super) fn remove_all<T: KvConfig>(view: &View<T>, slot: &Slot, wanted: &mut Wanted) {
    let belongs = |key: &str| match slot.kind {
        Kind::Leaf => key == slot.key || slot.aliases.iter().any(|alias| alias == key),
        Kind::Entries => key.rsplit_once('.').map_or("", |(parent, _)| parent) == slot.key,
    };
    wanted.retain(|key, _| !belongs(key));
    for (key, _) in view.true_state().live_keys().filter(|(key, _)| belongs(key)) {
        wanted.insert(key.to_owned(), None);
    }
}

/// What leads from one value of the struct to another.
pub(super) fn wanted_by<T: KvConfig>(view: &View<T>, before: &T, after: &T) -> Result<Wanted, PlanError> {
    let mut wanted = Wanted::new();
    for slot in &view.table.slots {
        let fails = |error| PlanError::Encode { key: view.full_key(&slot.key), error };
        let changed = super::diff::changed_keys(before, after, slot).map_err(fails)?;
        if changed.is_empty() {
            continue;
        }
        let gone = encoded(after, slot).map_err(fails)?.is_empty();
        if gone && slot.kind == Kind::Leaf {
            remove_all(view, slot, &mut wanted);
        } else {
            wanted.extend(changed.into_iter().map(|(key, _, after)| (key, after)));
        }
    }
    Ok(wanted)
}
