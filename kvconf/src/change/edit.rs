//! Collecting what is to be changed.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::diff::encoded;
use super::over_rejected::OverRejected;
use super::plan::{Plan, PlanError};
use crate::key::escape_segment;
use crate::layer::Layers;
use crate::live::{Shared, lock};
use crate::schema::{EntryMap, Field, Kind, KvConfig, Path, Slot, Stored, join, node_at};
use crate::view::{RawState, Table, View};
use crate::{Key, Live, Snapshot};

enum Step {
    Set(Path, Box<dyn Any + Send>),
    Unset(Path),
    SetEntry(Path, String, Box<dyn Any + Send>),
    UnsetEntry(Path, String),
    Reseal,
}

/// Wanted values by layer and key below its prefix; `None` removes the key.
pub(super) type Wanted = BTreeMap<(usize, String), Option<Bytes>>;

/// A set of changes to be planned. From [`Live::edit`].
#[must_use = "nothing is planned before `plan`"]
pub struct Edit<T: KvConfig> {
    shared: Arc<Shared<T>>,
    /// Each with the layer that was named last before it.
    steps: Vec<(Option<Arc<str>>, Step)>,
    layer: Option<Arc<str>>,
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
    /// assert_eq!(plan.to_string(), "checkout.max_items: (default 50) → 80\ncheckout.region: (none) → `eu`");
    ///
    /// let applied = plan.commit().author("ops").reason("sale").await?;
    /// live.wait_for(applied.revision()).await?;
    /// assert_eq!(live.load().max_items, 80);
    /// # Ok(()) }
    /// ```
    pub fn edit(&self) -> Edit<T> {
        Edit { shared: Arc::clone(&self.shared), steps: Vec::new(), layer: None }
    }
}

/// Raw keys below the prefix that are wanted, of a handle without layers.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) wanted: BTreeMap<String, Option<Bytes>>,
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
        self.shared.catch_up().await?;
        let view = lock(&self.shared.view);
        let Wishes { wanted, derived } = work_out(&view.snapshot)?;
        let wanted = wanted.into_iter().map(|(key, value)| ((0, key), value)).collect();
        let plan = Plan::new(Arc::clone(&self.shared), &view, wanted)?;
        let layers = view.layers();
        let is_derived = |key: &Key| layers.place(key).is_some_and(|(_, key)| derived.contains(key));
        let unseen = OverRejected::find(&view, plan.writes.iter().filter(|write| is_derived(&write.key)));
        match unseen {
            Some(unseen) => Err(unseen.into()),
            None => Ok(plan),
        }
    }
}

impl<T: KvConfig> Edit<T> {
    fn step(mut self, step: Step) -> Self {
        self.steps.push((self.layer.clone(), step));
        self
    }

    /// Says to which layer of the bucket all that follows goes; holds until another one is named. So one edit can change
    /// several layers, in one change set. A handle with several layers needs it.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32, region: Option<String> }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// let live = bucket.live::<Checkout>().layers(["base", "env.prod"]).start().await?;
    /// let fields = Checkout::fields();
    /// let edit = live.edit().layer("base").set(fields.max_items, 60);
    /// let plan = edit.layer("env.prod").set(fields.region, Some("eu".into())).plan().await?;
    /// assert_eq!(
    ///     plan.to_string(),
    ///     "base.checkout.max_items: (default 50) → 60\nenv.prod.checkout.region: (none) → `eu`"
    /// );
    /// # Ok(()) }
    /// ```
    pub fn layer(mut self, layer: impl Into<Arc<str>>) -> Self {
        self.layer = Some(layer.into());
        self
    }

    /// Sets a field; `None` for an `Option` removes its key. For a map of entries: makes the bucket hold exactly these.
    ///
    /// In a layer: makes that layer hold it. Where a more general layer has a value, `None` is written as `null`, which is a
    /// value and masks it; entries of a map that stand in other layers stay.
    pub fn set<V: Send + 'static>(self, field: Field<T, V>, value: V) -> Self {
        self.step(Step::Set(field.path(), Box::new(value)))
    }

    /// Removes a field's key, old names included, so that its default counts again, or what weaker sources have. For a map:
    /// removes every entry.
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
    /// Does nothing on a handle without a keyring, or with one that is not to seal. Where no layer was named, in all of them.
    /// A secret that does not open ends the plan with [`PlanError::Seal`], also one that was sealed with another key of the
    /// primary key's id, unless this edit has set that field before.
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
    /// [`PlanError`] when a value has no stored form, a key would be too long, or it is not said to which of several layers it
    /// goes. [`PlanError::Judging`] when it is asked for by a `validate` function or a codec.
    ///
    /// # Cancel safety
    /// Dropping the future does nothing.
    pub async fn plan(self) -> Result<Plan<T>, PlanError> {
        let Self { shared, steps, .. } = self;
        shared.catch_up().await?;
        let view = lock(&shared.view);
        let mut wanted = Wanted::new();
        for (layer, step) in &steps {
            resolve(&view, layer.as_deref(), step, &mut wanted)?;
        }
        Plan::new(Arc::clone(&shared), &view, wanted)
    }
}

/// The layer that a write goes to.
pub(super) fn layer_of(layers: &Layers, named: Option<&str>) -> Result<usize, PlanError> {
    let known = || layers.names().map(ToString::to_string).collect();
    match named {
        Some(name) => layers
            .find(name)
            .ok_or_else(|| PlanError::UnknownLayer { layer: name.to_owned(), layers: known() }),
        None if layers.are_several() => Err(PlanError::NoLayer { layers: known() }),
        None => Ok(0),
    }
}

fn resolve<T: KvConfig>(
    view: &View<T>,
    layer: Option<&str>,
    step: &Step,
    wanted: &mut Wanted,
) -> Result<(), PlanError> {
    if let (Step::Reseal, None) = (step, layer) {
        return view.layers().strongest_first().try_for_each(|layer| reseal(view, layer, wanted));
    }
    let layer = layer_of(view.layers(), layer)?;
    let path = match step {
        Step::Set(path, _) | Step::Unset(path) | Step::SetEntry(path, ..) | Step::UnsetEntry(path, _) => {
            *path
        }
        Step::Reseal => return reseal(view, layer, wanted),
    };
    let (Some((_, slot)), Some((node, rest))) = (view.table.slot_at(path), node_at::<T>(path.steps())) else {
        return Ok(());
    };
    let fails = |error| PlanError::Encode { key: view.layers().full_key(layer, &slot.key), error };
    match step {
        Step::Set(_, value) if slot.kind == Kind::Entries => {
            remove_all(view, layer, slot, wanted);
            for (segment, bytes) in node.encode_map(&**value, rest).map_err(fails)? {
                wanted.insert((layer, join(&slot.key, &segment)), Some(bytes));
            }
        }
        Step::Set(_, value) => match node.encode_value(&**value, rest).map_err(fails)? {
            Stored::Value(bytes) => {
                wanted.insert((layer, slot.key.clone()), Some(bytes));
            }
            Stored::Absent => set_none(view, layer, slot, wanted),
        },
        Step::Unset(_) => remove_all(view, layer, slot, wanted),
        Step::SetEntry(_, key, value) => {
            if let Stored::Value(bytes) = node.encode_value(&**value, rest).map_err(fails)? {
                wanted.insert((layer, join(&slot.key, &escape_segment(key))), Some(bytes));
            }
        }
        Step::UnsetEntry(_, key) => {
            wanted.insert((layer, join(&slot.key, &escape_segment(key))), None);
        }
        Step::Reseal => {}
    }
    Ok(())
}

/// Wants every secret that is not sealed as it would be written.
fn reseal<T: KvConfig>(view: &View<T>, layer: usize, wanted: &mut Wanted) -> Result<(), PlanError> {
    reseal_in(&view.table, &view.true_state(), layer, wanted)
}

fn reseal_in(table: &Table, state: &RawState, layer: usize, wanted: &mut Wanted) -> Result<(), PlanError> {
    let seals = &table.seals;
    if !seals.seals() {
        return Ok(());
    }
    for (_, key, entry) in state.live_keys().filter(|(of, ..)| *of == layer) {
        let Some(stored) = entry.put_value() else { continue };
        // What this edit sets comes first.
        if table.is_secret(key) != Some(true) || wanted.contains_key(&(layer, key.to_owned())) {
            continue;
        }
        // Opened also where its key has the right id: that may be another key of that id, and nobody could read it.
        let clear = match seals.open(entry.key(), stored) {
            None => stored.clone(),
            Some(Ok(clear)) => Bytes::copy_from_slice(&clear),
            Some(Err(error)) => return Err(PlanError::Seal { key: entry.key().to_string(), error }),
        };
        if !seals.is_as_written(stored) {
            wanted.insert((layer, key.to_owned()), Some(clear));
        }
    }
    Ok(())
}

/// Removes every key of a slot that has a value now in a layer, and what this edit has set there before.
pub(super) fn remove_all<T: KvConfig>(view: &View<T>, layer: usize, slot: &Slot, wanted: &mut Wanted) {
    remove_all_of(&view.true_state(), layer, slot, wanted);
}

fn remove_all_of(state: &RawState, layer: usize, slot: &Slot, wanted: &mut Wanted) {
    let belongs = |key: &str| match slot.kind {
        Kind::Leaf => key == slot.key || slot.aliases.iter().any(|alias| alias == key),
        Kind::Entries => key.rsplit_once('.').map_or("", |(parent, _)| parent) == slot.key,
    };
    wanted.retain(|(of, key), _| *of != layer || !belongs(key));
    for (_, key, _) in state.live_keys().filter(|(of, key, _)| *of == layer && belongs(key)) {
        wanted.insert((layer, key.to_owned()), None);
    }
}

/// Makes a field of a layer say that there is nothing: without a key, or by `null` where a more general layer would come
/// through, as far as `wanted` leaves it there.
fn set_none<T: KvConfig>(view: &View<T>, layer: usize, slot: &Slot, wanted: &mut Wanted) {
    remove_all(view, layer, slot, wanted);
    let stands = |below: usize, name: &str| match wanted.get(&(below, name.to_owned())) {
        Some(wanted) => wanted.is_some(),
        None => view.newest(below, name).is_some_and(|entry| !entry.operation().is_removal()),
    };
    if (0..layer).any(|below| slot.all_names().any(|name| stands(below, name))) {
        wanted.insert((layer, slot.key.clone()), Some(Bytes::from_static(b"null")));
    }
}

/// What keeps an entry of a map from being taken out in a layer.
fn comes_through<T: KvConfig>(view: &View<T>, layer: usize, key: &str) -> Option<PlanError> {
    let mut below = (0..layer).filter_map(|below| view.newest(below, key));
    let stands = below.find(|entry| !entry.operation().is_removal())?;
    Some(PlanError::ComesThrough {
        key: view.field_key(key),
        layer: view.layers().name(layer).map(ToString::to_string).unwrap_or_default(),
        below: stands.key().clone(),
    })
}

/// What leads from one value of the struct to another, written to a layer.
pub(super) fn wanted_by<T: KvConfig>(
    view: &View<T>,
    layer: usize,
    before: &T,
    after: &T,
) -> Result<Wanted, PlanError> {
    let mut wanted = Wanted::new();
    for slot in &view.table.slots {
        let fails = |error| PlanError::Encode { key: view.layers().full_key(layer, &slot.key), error };
        let changed = super::diff::changed_keys(before, after, slot).map_err(fails)?;
        if changed.is_empty() {
            continue;
        }
        for (key, _, _) in
            changed.iter().filter(|(_, _, after)| after.is_none() && slot.kind == Kind::Entries)
        {
            comes_through(view, layer, key).map_or(Ok(()), Err)?;
        }
        let gone = encoded(after, slot).map_err(fails)?.is_empty();
        if gone && slot.kind == Kind::Leaf {
            set_none(view, layer, slot, &mut wanted);
        } else {
            wanted.extend(changed.into_iter().map(|(key, _, after)| ((layer, key), after)));
        }
    }
    Ok(wanted)
}
