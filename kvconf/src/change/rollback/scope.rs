//! What a rollback is about: a struct, some of its fields, or plain keys.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::target::{Target, Wish};
use crate::change::diff::FieldChange;
use crate::change::guard::Unwritten;
use crate::change::plan::{Planned, provisional, shown_change};
use crate::judging::Judging;
use crate::live::{Shared, lock};
use crate::schema::{Kind, KvConfig, Path, Slot, join};
use crate::store::{Action, Store};
use crate::value::show;
use crate::view::{Overlay, Table, Target as Owner};
use crate::{Entry, Filter, Key, ReadError, Report, Revision};

/// A part of a bucket, with somebody who knows what its values mean, or nobody.
pub(super) trait Scope: Send + Sync {
    /// `None` for a handle without a bucket.
    fn store(&self) -> Option<Arc<dyn Store>>;

    /// Where its keys stand.
    fn filters(&self) -> Result<Vec<Filter>, ReadError>;

    /// Whether a key that the filters match belongs to it.
    fn has(&self, key: &Key) -> bool;

    /// Whether it is all that the filters match and anybody knows: then nothing under them may change meanwhile.
    fn is_whole(&self) -> bool;

    /// Comes back when whoever judges has seen the bucket up to this revision, or does not in good time.
    fn catch_up(&self, revision: Revision) -> BoxFuture<'_, ()>;

    /// The keys, in full, that may have held something without anything being left that tells; a filter where not even the
    /// names are known. `told` says of which keys something is left.
    fn untold(&self, told: &dyn Fn(&Key) -> bool) -> Vec<String>;

    /// Turns wishes into writes, and says whether readers would take the result. `now` is what the bucket has.
    fn judge(&self, target: &Target, now: &BTreeMap<Key, Arc<Entry>>) -> (Vec<Planned>, Option<Report>);

    /// Is told of the newest revision that was written.
    fn note_written(&self, revision: Revision);

    /// Whether the caller is called to judge values, so that nobody judges these.
    fn is_judging(&self) -> bool {
        false
    }

    /// Keeps to a field, or to one entry of a map by its key part; called again, to that one too. Plain keys have no fields,
    /// and nobody can ask it of them.
    fn narrow(&mut self, _field: Path, _entry: Option<String>) {}

    /// Keeps to a layer; called again, to that one too.
    fn narrow_to_layer(&mut self, _layer: String) {}

    /// A layer that it was to keep to and does not have.
    fn unknown_layer(&self) -> Option<String> {
        None
    }

    /// What to do about a filter under which nothing is written, where everything is to be guarded.
    fn unwritten(&self) -> Unwritten {
        Unwritten::Ignored
    }

    /// Shows values that may be secret. A struct knows its secrets.
    fn show_values(&mut self) {}
}

fn planned(wish: &Wish, shown: FieldChange) -> Planned {
    let action = wish.goal.clone().map_or(Action::Delete, Action::Put);
    let before = wish.now.as_ref().and_then(|entry| entry.put_value()).cloned();
    Planned { key: wish.key.clone(), action, before, expected: wish.expected(), shown }
}

/// Keys as such. Nobody knows which of them are secret, so values are shown only when asked for.
pub(super) struct Plain {
    store: Arc<dyn Store>,
    filters: Result<Vec<Filter>, ReadError>,
    shows_values: bool,
}

impl Plain {
    pub(super) fn new(store: Arc<dyn Store>, filters: Result<Vec<Filter>, ReadError>) -> Self {
        Self { store, filters, shows_values: false }
    }
}

impl Scope for Plain {
    fn store(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::clone(&self.store))
    }

    fn filters(&self) -> Result<Vec<Filter>, ReadError> {
        self.filters.clone()
    }

    fn has(&self, key: &Key) -> bool {
        !key.is_reserved()
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn catch_up(&self, _: Revision) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }

    fn untold(&self, _: &dyn Fn(&Key) -> bool) -> Vec<String> {
        let all = self.filters.iter().flatten().filter(|filter| filter.as_key().is_none());
        all.map(|filter| filter.as_str().to_owned()).collect()
    }

    fn judge(&self, target: &Target, _: &BTreeMap<Key, Arc<Entry>>) -> (Vec<Planned>, Option<Report>) {
        let shown = |bytes: &bytes::Bytes| {
            if self.shows_values { show(bytes) } else { format!("({} bytes)", bytes.len()) }
        };
        let write = |wish: &Wish| {
            let before = wish.now.as_ref().and_then(|entry| entry.put_value());
            let goal = wish.goal.as_ref();
            let change = FieldChange::new(wish.key.to_string(), before.map(shown), goal.map(shown));
            planned(wish, if self.shows_values { change.with_details(None, before, goal) } else { change })
        };
        (target.wishes.iter().map(write).collect(), None)
    }

    fn note_written(&self, _: Revision) {}

    fn show_values(&mut self) {
        self.shows_values = true;
    }
}

/// Which fields of a struct, and single entries of maps by their key part. None at all means everything.
#[derive(Debug, Default)]
struct Only {
    fields: HashSet<Path>,
    entries: HashSet<(Path, String)>,
}

impl Only {
    fn is_everything(&self) -> bool {
        self.fields.is_empty() && self.entries.is_empty()
    }

    /// Whether a field, or some of its entries, belongs to it.
    fn has_some_of(&self, slot: &Slot) -> bool {
        self.is_everything()
            || self.fields.contains(&slot.path)
            || self.entries.iter().any(|(path, _)| *path == slot.path)
    }

    fn has(&self, table: &Table, owner: Owner<'_>) -> bool {
        let (slot, segment) = match owner {
            Owner::Field(at) => (at, None),
            Owner::Entry(at, segment) => (at, Some(segment)),
        };
        let Some(path) = table.slot(slot).map(|slot| slot.path) else { return false };
        self.is_everything()
            || self.fields.contains(&path)
            || segment.is_some_and(|segment| self.entries.contains(&(path, segment.to_owned())))
    }
}

/// A struct behind a handle, or some of its fields. Other keys under its prefix are none of its business.
pub(super) struct Struct<T: KvConfig> {
    shared: Arc<Shared<T>>,
    table: Arc<Table>,
    only: Only,
    /// The layers that it keeps to; none at all means all of them.
    layers: BTreeSet<usize>,
    unknown_layer: Option<String>,
}

impl<T: KvConfig> Struct<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        let table = Arc::clone(&shared.table);
        Self { shared, table, only: Only::default(), layers: BTreeSet::new(), unknown_layer: None }
    }

    fn has_layer(&self, layer: usize) -> bool {
        self.layers.is_empty() || self.layers.contains(&layer)
    }

    /// Where a key stands, if that is in a layer that it is about.
    fn place<'k>(&self, key: &'k Key) -> Option<(usize, &'k str)> {
        self.table.layers.place(key).filter(|(layer, _)| self.has_layer(*layer))
    }
}

impl<T: KvConfig> Scope for Struct<T> {
    fn store(&self) -> Option<Arc<dyn Store>> {
        self.shared.store.clone()
    }

    fn filters(&self) -> Result<Vec<Filter>, ReadError> {
        let all = self.table.layers.filters().into_iter().enumerate();
        Ok(all.filter(|(layer, _)| self.has_layer(*layer)).map(|(_, filter)| filter).collect())
    }

    fn has(&self, key: &Key) -> bool {
        let owner = self.place(key).and_then(|(_, below)| self.table.target(below));
        owner.is_some_and(|owner| self.only.has(&self.table, owner))
    }

    fn is_whole(&self) -> bool {
        self.only.is_everything()
    }

    fn catch_up(&self, revision: Revision) -> BoxFuture<'_, ()> {
        self.shared.wait_until_seen(revision).boxed()
    }

    fn untold(&self, told: &dyn Fn(&Key) -> bool) -> Vec<String> {
        let layers = &self.table.layers;
        let told = |layer: usize, below: &str| layers.key(layer, below).is_ok_and(|key| told(&key));
        let untold = |layer: usize, slot: &Slot| match slot.kind {
            Kind::Entries if self.only.has_some_of(slot) => Some(join(&slot.key, "*")),
            Kind::Leaf if self.only.has_some_of(slot) && !slot.all_names().any(|name| told(layer, name)) => {
                Some(slot.key.clone())
            }
            _ => None,
        };
        let of_layer = |layer: usize| {
            let keys = self.table.slots.iter().filter_map(move |slot| untold(layer, slot));
            keys.map(move |key| layers.full_key(layer, &key))
        };
        (0..layers.len()).filter(|layer| self.has_layer(*layer)).flat_map(of_layer).collect()
    }

    fn judge(&self, target: &Target, now: &BTreeMap<Key, Arc<Entry>>) -> (Vec<Planned>, Option<Report>) {
        let view = lock(&self.shared.view);
        let revision = view.seen.next();
        let mut over = Overlay::default();
        let mut writes = Vec::with_capacity(target.wishes.len());
        // Where the handle is behind, or still has what the bucket has no longer, the bucket is right.
        for (layer, below, entry) in view.true_state().live_keys().filter(|(of, ..)| self.has_layer(*of)) {
            if !now.contains_key(entry.key()) {
                over.insert(layer, below.to_owned(), None);
            }
        }
        for (key, entry) in now {
            let Some((layer, below)) = self.place(key) else { continue };
            if view.newest(layer, below).is_none_or(|known| known.revision() != entry.revision()) {
                over.insert(layer, below.to_owned(), Some(Arc::clone(entry)));
            }
        }
        for (key, now) in &target.unchanged {
            if let Some((layer, below)) = self.place(key) {
                over.insert(layer, below.to_owned(), now.clone());
            }
        }
        for wish in &target.wishes {
            let Some((layer, below)) = self.place(&wish.key) else { continue };
            let before = wish.now.as_ref().and_then(|entry| entry.put_value());
            let write = planned(wish, shown_change(&view, layer, below, before, wish.goal.as_ref()));
            over.insert(layer, below.to_owned(), Some(Arc::new(provisional(&write, revision))));
            writes.push(write);
        }
        view.tell_otherwise(&mut writes, &over);
        let report = if writes.is_empty() { None } else { view.preview(over) };
        (writes, report)
    }

    fn note_written(&self, revision: Revision) {
        self.shared.note_written(revision);
    }

    fn is_judging(&self) -> bool {
        Judging::is_on()
    }

    fn narrow_to_layer(&mut self, layer: String) {
        match self.table.layers.find(&layer) {
            Some(at) => _ = self.layers.insert(at),
            None => self.unknown_layer = Some(layer),
        }
    }

    fn unknown_layer(&self) -> Option<String> {
        self.unknown_layer.clone()
    }

    fn unwritten(&self) -> Unwritten {
        Unwritten::Carried
    }

    fn narrow(&mut self, field: Path, entry: Option<String>) {
        match entry {
            Some(segment) => self.only.entries.insert((field, segment)),
            None => self.only.fields.insert(field),
        };
    }
}
