//! Values that this process sets for itself.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use derive_more::{Display, Error};

use super::{Live, Shared, lock};
use crate::key::escape_segment;
use crate::schema::{EntryMap, Field, Kind, KvConfig, Node, Path, Slot, Stored, join, node_at};
use crate::source::{Content, Given, Sheet, Source};
use crate::value::EncodeError;
use crate::view::View;
use crate::{Origin, Report};

/// Why overrides were not taken. Nothing of them was.
#[derive(Debug, Display, Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// A value has no stored form.
    #[display("{key} has no stored form")]
    Encode {
        /// The key.
        key: String,
        /// Why.
        #[error(source)]
        error: EncodeError,
    },
    /// The struct would not be valid. The report has every problem.
    #[display("the overrides are not valid")]
    Invalid(#[error(source)] Box<Report>),
    /// The handle has a fixed value: [`Live::set_fixed`] changes it.
    #[display("the handle has a fixed value and no sources")]
    Fixed,
    /// The caller is called to judge a change of this very handle, as `validate` and codecs are.
    #[display("a change of the handle is being judged, by what called for the overrides")]
    Judging,
}

enum Step {
    Set(Path, Box<dyn Any + Send>),
    SetEntry(Path, String, Box<dyn Any + Send>),
    Clear(Path),
    ClearAll,
}

/// Overrides that are about to be set or cleared, all in one step. From [`Live::overrides`].
#[must_use = "nothing happens before `apply` or `scoped`"]
pub struct Overrides<T: KvConfig> {
    shared: Arc<Shared<T>>,
    steps: Vec<Step>,
}

impl<T: KvConfig> fmt::Debug for Overrides<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overrides").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

impl<T: KvConfig> Live<T> {
    /// Begins to set or clear values that count before every other source, in this handle and its clones only: for a test,
    /// for a flag on the command line, for a switch of an operator. The bucket knows nothing of them.
    ///
    /// They are checked as any change is, and become visible in one swap. They are part of what readers see, so also of what
    /// the function of [`Live::update`] begins from.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50, range(1..=500))] max_items: u32, region: Option<String> }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let live = Bucket::memory().live::<Checkout>().start().await?;
    /// let fields = Checkout::fields();
    /// live.overrides().set(fields.max_items, 5).set(fields.region, Some("eu".into())).apply()?;
    /// assert_eq!((live.load().max_items, live.load().region.as_deref()), (5, Some("eu")));
    ///
    /// live.overrides().clear(fields.max_items).apply()?;
    /// assert_eq!(live.load().max_items, 50);
    /// # Ok(()) }
    /// ```
    pub fn overrides(&self) -> Overrides<T> {
        Overrides { shared: Arc::clone(&self.shared), steps: Vec::new() }
    }
}

impl<T: KvConfig> Overrides<T> {
    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Sets a field; `None` for an `Option` says that there is none, whatever other sources have. For a map of entries: all
    /// of these, and none of the others that there are now.
    pub fn set<V: Send + 'static>(self, field: Field<T, V>, value: V) -> Self {
        self.step(Step::Set(field.path(), Box::new(value)))
    }

    /// Sets one entry of a map with one key per entry, and leaves the others alone.
    pub fn set_entry<M: EntryMap>(self, field: Field<T, M>, key: &str, value: M::Value) -> Self {
        self.step(Step::SetEntry(field.path(), key.to_owned(), Box::new(value)))
    }

    /// Takes a field's override away, so that the other sources count again; of a map those of all entries.
    pub fn clear<V>(self, field: Field<T, V>) -> Self {
        self.step(Step::Clear(field.path()))
    }

    /// Takes all overrides of this handle away.
    pub fn clear_all(self) -> Self {
        self.step(Step::ClearAll)
    }

    /// Sets and clears, all of it or nothing.
    ///
    /// # Errors
    /// [`OverrideError::Invalid`] when the struct would not be valid, also because of a value that was hidden by an override
    /// so far; [`OverrideError::Encode`], [`OverrideError::Fixed`], [`OverrideError::Judging`].
    pub fn apply(self) -> Result<(), OverrideError> {
        self.run().map(drop)
    }

    /// The same until the returned guard is dropped; then the fields are as they were before.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let live = Bucket::memory().live::<Checkout>().start().await?;
    /// {
    ///     let _small = live.overrides().set(Checkout::fields().max_items, 1).scoped()?;
    ///     assert_eq!(live.load().max_items, 1);
    /// }
    /// assert_eq!(live.load().max_items, 50);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Overrides::apply`].
    pub fn scoped(self) -> Result<OverrideGuard<T>, OverrideError> {
        let shared = Arc::downgrade(&self.shared);
        let (before, after) = self.run()?;
        Ok(OverrideGuard { shared, before, after })
    }

    /// The overrides before and after.
    fn run(self) -> Result<(Sheet, Sheet), OverrideError> {
        let Self { shared, steps } = self;
        if shared.store.is_none() {
            return Err(OverrideError::Fixed);
        }
        if shared.view.is_mine() {
            return Err(OverrideError::Judging);
        }
        let mut view = lock(&shared.view);
        let before = view.sheet(Source::Override);
        let mut after = before.clone();
        for step in &steps {
            take(&view, step, &mut after)?;
        }
        let outcome = view.require(Source::Override, &after);
        let outcome = outcome.map_err(|report| OverrideError::Invalid(Box::new(report)))?;
        shared.show(&view, &outcome);
        Ok((before, after))
    }
}

fn take<T: KvConfig>(view: &View<T>, step: &Step, sheet: &mut Sheet) -> Result<(), OverrideError> {
    let path = match step {
        Step::Set(path, _) | Step::SetEntry(path, ..) | Step::Clear(path) => *path,
        Step::ClearAll => {
            sheet.clear();
            return Ok(());
        }
    };
    let (Some((_, slot)), Some((node, rest))) = (view.table.slot_at(path), node_at::<T>(path.steps())) else {
        return Ok(());
    };
    let values = values(view, step, slot, (node, rest));
    let values = values.map_err(|error| OverrideError::Encode { key: view.field_key(&slot.key), error })?;
    if !matches!(step, Step::SetEntry(..)) {
        sheet.retain(|key, _| !belongs(key, slot));
    }
    let given = |value| Arc::new(Given { value, origin: Origin::Override });
    sheet.extend(values.into_iter().map(|(key, value)| (key, given(value))));
    Ok(())
}

/// What a step sets, by key below the prefix; `None` says that there is nothing.
fn values<T: KvConfig>(
    view: &View<T>,
    step: &Step,
    slot: &Slot,
    (node, rest): (&'static dyn Node<T>, &[u16]),
) -> Result<BTreeMap<String, Option<Bytes>>, EncodeError> {
    let stored = |value| match value {
        Stored::Absent => None,
        Stored::Value(bytes) => Some(bytes),
    };
    let mut values = BTreeMap::new();
    match step {
        Step::Set(_, value) if slot.kind == Kind::Entries => {
            values.extend(view.entries_of(slot).into_iter().map(|key| (key, None)));
            for (segment, bytes) in node.encode_map(&**value, rest)? {
                values.insert(join(&slot.key, &segment), Some(bytes));
            }
        }
        Step::Set(_, value) => {
            values.insert(slot.key.clone(), stored(node.encode_value(&**value, rest)?));
        }
        Step::SetEntry(_, key, value) => {
            let key = join(&slot.key, &escape_segment(key));
            values.insert(key, stored(node.encode_value(&**value, rest)?));
        }
        Step::Clear(_) | Step::ClearAll => {}
    }
    Ok(values)
}

fn belongs(key: &str, slot: &Slot) -> bool {
    match slot.kind {
        Kind::Leaf => key == slot.key,
        Kind::Entries => key.rsplit_once('.').is_some_and(|(parent, _)| parent == slot.key),
    }
}

/// Takes overrides back when it is dropped. From [`Overrides::scoped`].
///
/// What somebody else has set for the same field meanwhile stays. Where the struct without the overrides is not valid, they
/// stay in force until it is, and [`Live::health`] reports it. It does not keep the handle alive.
#[must_use = "dropping it takes the overrides back"]
pub struct OverrideGuard<T: KvConfig> {
    shared: Weak<Shared<T>>,
    before: Sheet,
    after: Sheet,
}

impl<T: KvConfig> fmt::Debug for OverrideGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.changed().collect();
        f.debug_struct("OverrideGuard").field("keys", &keys).finish_non_exhaustive()
    }
}

impl<T: KvConfig> OverrideGuard<T> {
    fn changed(&self) -> impl Iterator<Item = &String> {
        let all = self.after.keys().chain(self.before.keys().filter(|key| !self.after.contains_key(*key)));
        all.filter(|key| !same(self.before.get(*key), self.after.get(*key)))
    }
}

/// Whether it is the very same override, and not one of the same value.
fn same(left: Option<&Arc<Given>>, right: Option<&Arc<Given>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => Arc::ptr_eq(left, right),
        (left, right) => left.is_none() && right.is_none(),
    }
}

impl<T: KvConfig> Drop for OverrideGuard<T> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        if shared.view.is_mine() {
            // Dropped by what judges a change: taken back when that is over, by somebody else.
            let later = Self {
                shared: Weak::clone(&self.shared),
                before: std::mem::take(&mut self.before),
                after: std::mem::take(&mut self.after),
            };
            let thread = std::thread::Builder::new().name("kvconf-overrides".to_owned());
            if let Err(error) = thread.spawn(move || drop(later)) {
                tracing::error!(%error, "overrides stay in force: no thread to take them back");
            }
            return;
        }
        let mut view = lock(&shared.view);
        let mut sheet = view.sheet(Source::Override);
        for key in self.changed() {
            if !same(sheet.get(key), self.after.get(key)) {
                continue;
            }
            match self.before.get(key) {
                Some(given) => sheet.insert(key.clone(), Arc::clone(given)),
                None => sheet.remove(key),
            };
        }
        let outcome = view.renew(Source::Override, Content { sheet, ..Content::default() });
        shared.show(&view, &outcome);
    }
}
