//! Changes laid over raw keys, and which of all sources has the say.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::by_key::ByKey;
use super::given::SheetChanges;
use super::kept::Kept;
use super::per_layer::PerLayer;
use super::{RawState, Table};
use crate::layer::Layers;
use crate::origin::KeyOrigin;
use crate::schema::{Raw, RawKeys, Slot, join};
use crate::seal::{Clear, SealError, Seals, is_sealed};
use crate::source::{Given, Source};
use crate::{Entry, Key, Operation, Origin};

/// Changes by key: a new entry, or nothing where the key is gone. And what changes in other sources.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    entries: PerLayer<ByKey<Option<Arc<Entry>>>>,
    pub(crate) given: SheetChanges,
}

impl Overlay {
    /// One change in the bucket.
    pub(super) fn of_one(layer: usize, key: &str, entry: Option<Arc<Entry>>) -> Self {
        let mut one = Self::default();
        one.insert(layer, key.to_owned(), entry);
        one
    }

    /// Changes outside the bucket.
    pub(crate) fn of_given(given: SheetChanges) -> Self {
        Self { entries: PerLayer::default(), given }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.iter().all(ByKey::is_empty) && self.given.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.iter().map(ByKey::len).sum::<usize>() + self.given.len()
    }

    pub(crate) fn insert(&mut self, layer: usize, key: String, entry: Option<Arc<Entry>>) {
        self.entries.entry(layer).insert(key, entry);
    }

    pub(crate) fn extend(&mut self, newer: &Self) {
        for (layer, all) in newer.entries.iter().enumerate().filter(|(_, all)| !all.is_empty()) {
            let known = self.entries.entry(layer);
            for (key, entry) in all.iter() {
                known.insert(key.to_owned(), entry.clone());
            }
        }
        self.given.extend(&newer.given);
    }

    /// What is new in the bucket under a key.
    pub(crate) fn get(&self, layer: usize, key: &str) -> Option<&Option<Arc<Entry>>> {
        self.entries.get(layer)?.get(key)
    }

    /// What changes in the bucket.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &str, Option<&Arc<Entry>>)> {
        let layers = self.entries.iter().enumerate();
        layers.flat_map(|(layer, all)| all.iter().map(move |(key, entry)| (layer, key, entry.as_ref())))
    }

    /// What changes in each layer of the bucket.
    pub(super) fn layers(&self) -> impl Iterator<Item = (usize, &ByKey<Option<Arc<Entry>>>)> {
        self.entries.iter().enumerate()
    }

    /// Visits the keys that change in any source, each below the prefix of its layer; one may come more than once.
    pub(crate) fn each_key<'a>(&'a self, visit: &mut dyn FnMut(&'a str)) {
        for layer in self.entries.iter() {
            layer.iter().for_each(|(key, _)| visit(key));
        }
        if !self.given.is_empty() {
            self.given.keys().for_each(visit);
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter().flat_map(ByKey::iter).filter_map(|(_, entry)| entry.as_ref())
    }

    /// Keeps what holds of the bucket's keys. Other sources stay as they are: each has one set of changes at most.
    pub(crate) fn retain(&mut self, keep: impl Fn(usize, &str) -> bool) {
        for (layer, all) in self.entries.iter_mut().enumerate() {
            all.retain(|key| keep(layer, key));
        }
    }
}

/// Changes laid over a state.
///
/// For each key the sources are asked in this order: overrides, the environment, the bucket's layers from specific to
/// general, files from the last to the first that was named. Only the bucket knows old names of keys, within each layer
/// behind the present one; the others have been brought to the present ones.
pub(crate) struct Layered<'a> {
    pub(crate) table: &'a Table,
    pub(crate) base: &'a RawState,
    pub(crate) over: &'a Overlay,
    opened: Opened,
}

/// Where the value of an entry comes from.
pub(crate) fn origin_of(layers: &Layers, layer: usize, entry: &Entry) -> Origin {
    Origin::Key(KeyOrigin::in_layer(entry, layers.name(layer)))
}

pub(super) fn raw_of(entry: Option<&Arc<Entry>>) -> Raw<'_> {
    match entry {
        None => Raw::Absent,
        Some(entry) => match entry.operation() {
            Operation::Put => Raw::Bytes(entry.value(), Some(entry.revision())),
            Operation::Unknown => Raw::Unknown,
            Operation::Delete | Operation::Purge => Raw::Absent,
        },
    }
}

fn raw_given(given: &Given) -> Raw<'_> {
    given.value.as_ref().map_or(Raw::Absent, |bytes| Raw::Bytes(bytes, None))
}

/// What sealed values held, for as long as their raw values are looked at. Then it is wiped.
///
/// The place for them is made when the first one is sealed: most structs have none.
#[derive(Default)]
pub(crate) struct Opened(OnceCell<Box<Kept<Result<Clear, SealError>>>>);

impl Opened {
    fn keep(&self, opened: Result<Clear, SealError>) -> &Result<Clear, SealError> {
        self.0.get_or_init(Box::default).keep(opened)
    }

    /// What an entry says; a sealed secret is opened, and what is sealed and no secret is refused.
    pub(crate) fn raw<'a>(&'a self, seals: &Seals, secret: bool, entry: Option<&'a Arc<Entry>>) -> Raw<'a> {
        let sealed = entry.and_then(|entry| seals.read(secret, entry.key(), entry.put_value()?));
        match sealed.map(|opened| self.keep(opened)) {
            None => raw_of(entry),
            Some(Ok(clear)) => Raw::Bytes(clear, entry.map(|entry| entry.revision())),
            Some(Err(error)) => Raw::Sealed(error),
        }
    }

    /// What a file or a variable says; a sealed secret is opened there too, or it would be served as it stands. It is
    /// bound to the key without a layer, which is what the field is called in both.
    fn given<'a>(&'a self, table: &Table, key: &str, given: &'a Given) -> Raw<'a> {
        let Some(sealed) = given.value.as_deref().filter(|bytes| is_sealed(bytes)) else {
            return raw_given(given);
        };
        let opened = match Key::new(table.layers.field_key(key)) {
            Ok(full) => table.seals.read(table.is_secret(key) == Some(true), &full, sealed),
            Err(_) => Some(Err(SealError::Malformed { what: "it stands under no key" })),
        };
        match opened.map(|opened| self.keep(opened)) {
            None => raw_given(given),
            Some(Ok(clear)) => Raw::Bytes(clear, None),
            Some(Err(error)) => Raw::Sealed(error),
        }
    }
}

impl<'a> Layered<'a> {
    pub(crate) fn new(table: &'a Table, base: &'a RawState, over: &'a Overlay) -> Self {
        Self { table, base, over, opened: Opened::default() }
    }

    /// What stands in a layer under a key.
    fn stored(&self, layer: usize, key: &str) -> Raw<'_> {
        match self.entry(layer, key) {
            Some(entry) => self.read(entry, self.table.is_secret(key) == Some(true)),
            None => Raw::Absent,
        }
    }

    fn read(&self, entry: &'a Arc<Entry>, secret: bool) -> Raw<'_> {
        self.opened.raw(&self.table.seals, secret, Some(entry))
    }

    /// What stands in a layer under a key, a marker included.
    pub(crate) fn entry(&self, layer: usize, key: &str) -> Option<&'a Arc<Entry>> {
        match self.over.get(layer, key) {
            Some(entry) => entry.as_ref(),
            None => self.base.get(layer, key),
        }
    }

    /// As [`RawState::winner`].
    pub(crate) fn winner<'k>(
        &self,
        names: &(impl Iterator<Item = &'k str> + Clone),
    ) -> Option<(usize, &'a Arc<Entry>)> {
        self.table.layers.strongest_first().find_map(|layer| {
            let mut found = names.clone().filter_map(|name| self.entry(layer, name));
            Some((layer, found.find(|entry| !entry.operation().is_removal())?))
        })
    }

    /// What one source outside the bucket says.
    pub(crate) fn given(&self, source: Source, key: &str) -> Option<&'a Given> {
        match self.over.given.get(source, key) {
            Some(given) => given.as_deref(),
            None => self.base.given.sheet(source)?.get(key).map(|given| &**given),
        }
    }

    /// The strongest source above the bucket that says something.
    pub(crate) fn above(&self, key: &str) -> Option<&'a Given> {
        self.given(Source::Override, key).or_else(|| self.table.env(key))
    }

    /// What the bucket says of a field, the most specific layer first.
    fn in_bucket(&self, key: &str, aliases: &mut dyn Iterator<Item = String>) -> Raw<'_> {
        let layers = &self.table.layers;
        if layers.are_several() {
            let names: Vec<String> = std::iter::once(key.to_owned()).chain(aliases).collect();
            let mut stored = layers
                .strongest_first()
                .flat_map(|layer| names.iter().map(move |name| (layer, name)))
                .map(|(layer, name)| self.stored(layer, name));
            return stored.find(|raw| *raw != Raw::Absent).unwrap_or(Raw::Absent);
        }
        let mut found = self.stored(0, key);
        while found == Raw::Absent
            && let Some(alias) = aliases.next()
        {
            found = self.stored(0, &alias);
        }
        found
    }

    /// The files, the strongest first.
    pub(crate) fn files(&self) -> impl Iterator<Item = Source> {
        self.base.given.sources().filter(|source| !source.is_above_the_bucket())
    }

    /// The strongest source below the bucket that says something.
    pub(crate) fn below(&self, key: &str) -> Option<&'a Given> {
        if self.base.given.is_empty() {
            return None;
        }
        self.files().find_map(|source| self.given(source, key))
    }

    /// The entry that a slot's value comes from in the bucket, and its layer: under its key, else under its first old name
    /// that has one.
    pub(crate) fn entry_of(&self, slot: &Slot) -> Option<(usize, &'a Arc<Entry>)> {
        self.winner(&slot.all_names())
    }

    /// Where the value of a field with one key comes from.
    pub(crate) fn origin_of(&self, slot: &Slot) -> Origin {
        let bucket = || self.entry_of(slot).map(|(layer, entry)| origin_of(&self.table.layers, layer, entry));
        let above = self.above(&slot.key).map(|given| given.origin.clone());
        let below = || self.below(&slot.key).map(|given| given.origin.clone());
        above.or_else(bucket).or_else(below).unwrap_or(Origin::Default)
    }

    /// The last parts of the keys right below `key` that a source outside the bucket names.
    pub(crate) fn given_segments(&self, key: &str) -> BTreeSet<&'a str> {
        let sheets = self.base.given.sources().filter_map(|source| self.base.given.sheet(source));
        let named = sheets.chain([self.table.env_sheet()]).flat_map(|sheet| sheet.keys().map(String::as_str));
        named.chain(self.over.given.keys()).filter_map(|full| segment(full, key)).collect()
    }
}

/// The last part of a key that stands right below another.
fn segment<'k>(full: &'k str, key: &str) -> Option<&'k str> {
    let rest = if key.is_empty() { full } else { full.strip_prefix(key)?.strip_prefix('.')? };
    (!rest.contains('.')).then_some(rest)
}

impl<'a> RawKeys for Layered<'a> {
    fn field(&self, key: &str, aliases: &mut dyn Iterator<Item = String>) -> Raw<'_> {
        // A value of the program itself: it stands as it was given.
        if let Some(given) = self.given(Source::Override, key) {
            return raw_given(given);
        }
        let outside = |given| self.opened.given(self.table, key, given);
        if let Some(given) = self.table.env(key) {
            return outside(given);
        }
        match self.in_bucket(key, aliases) {
            Raw::Absent => self.below(key).map_or(Raw::Absent, outside),
            found => found,
        }
    }

    fn each_below(&self, key: &str, visit: &mut dyn FnMut(&str, Raw<'_>)) {
        let mut given = self.given_segments(key);
        if self.table.layers.are_several() {
            // Any of them may stand in more than one: each is asked for by its name.
            let named = self.base.iter().map(|(_, full, _)| full);
            let named = named.chain(self.over.iter().map(|(_, full, _)| full));
            given.extend(named.filter_map(|full| segment(full, key)));
        }
        for segment in &given {
            match RawKeys::entry(self, &join(key, segment)) {
                Raw::Absent => {}
                raw => visit(segment, raw),
            }
        }
        let mut each = |full: &str, entry: &'a Arc<Entry>| {
            if let Some(segment) = segment(full, key)
                && !given.contains(segment)
            {
                let raw = self.read(entry, self.table.is_secret(full) == Some(true));
                if raw != Raw::Absent {
                    visit(segment, raw);
                }
            }
        };
        for (layer, full, entry) in self.base.iter() {
            if self.over.get(layer, full).is_none() {
                each(full, entry);
            }
        }
        for (_, full, entry) in self.over.iter() {
            if let Some(entry) = entry {
                each(full, entry);
            }
        }
    }
}
