//! The newest entry of each key that a handle reads, and what other sources say.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::given::Sheets;
use super::overlay::Overlay;
use super::per_layer::PerLayer;
use super::{Found, Table};
use crate::{Entry, Revision};

/// An entry by its key below the prefix. The text is the entry's own: a copy for each of 10 000 keys is a measurable part of
/// a start.
#[derive(Debug, Clone)]
struct Named {
    entry: Arc<Entry>,
    /// Where the part below the prefix begins.
    from: usize,
}

impl Named {
    fn new(key: &str, entry: &Arc<Entry>) -> Self {
        let full = entry.key().as_str();
        debug_assert!(full.ends_with(key), "{full} does not stand under {key}");
        Self { entry: Arc::clone(entry), from: full.len().saturating_sub(key.len()) }
    }

    fn key(&self) -> &str {
        self.entry.key().as_str().get(self.from..).unwrap_or_default()
    }
}

impl Borrow<str> for Named {
    fn borrow(&self) -> &str {
        self.key()
    }
}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Named {}

/// What stands in one layer.
#[derive(Debug, Clone, Default)]
struct Standing {
    /// What stands under the own keys of fields, by slot; cut where no later field has anything. Whoever takes an entry
    /// has looked its slot up already: a second search, in a table that grows, was as long again.
    fields: Vec<Option<Arc<Entry>>>,
    /// Everything else: entries of maps, old names, keys that no field knows.
    others: HashSet<Named, RandomState>,
}

impl Standing {
    fn get(&self, own: Option<usize>, key: &str) -> Option<&Arc<Entry>> {
        match own {
            Some(at) => self.fields.get(at)?.as_ref(),
            None => self.others.get(key).map(|named| &named.entry),
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the lines before make the list long enough")]
    fn set(&mut self, table: &Table, own: Option<usize>, key: &str, entry: Option<&Arc<Entry>>) {
        match (own, entry) {
            (Some(at), _) => {
                if self.fields.len() <= at {
                    self.fields.reserve(table.slots.len().saturating_sub(self.fields.len()));
                    self.fields.resize(at + 1, None);
                }
                self.fields[at] = entry.map(Arc::clone);
            }
            (None, Some(entry)) => _ = self.others.replace(Named::new(key, entry)),
            (None, None) => _ = self.others.remove(key),
        }
    }

    fn iter<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = (&'a str, &'a Arc<Entry>)> {
        let fields = self.fields.iter().zip(&table.slots);
        let fields = fields.filter_map(|(entry, slot)| Some((slot.key.as_str(), entry.as_ref()?)));
        fields.chain(self.others.iter().map(|named| (named.key(), &named.entry)))
    }
}

/// The newest entry of each key, and what other sources say.
#[derive(Debug, Clone)]
pub(crate) struct RawState {
    table: Arc<Table>,
    entries: PerLayer<Standing>,
    pub(crate) given: Sheets,
}

impl RawState {
    /// Nothing stands anywhere.
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self { table, entries: PerLayer::default(), given: Sheets::default() }
    }

    /// Makes room for so many entries in all.
    pub(super) fn expect(&mut self, entries: usize) {
        if self.table.has_maps() && !self.table.layers.are_several() {
            self.entries.entry(0).others.reserve(entries);
        }
    }

    pub(crate) fn get(&self, layer: usize, key: &str) -> Option<&Arc<Entry>> {
        self.entries.get(layer)?.get(self.table.own(key), key)
    }

    /// What has the say in the bucket among keys that can hold one value: of the most specific layer that has any of
    /// them, the first that has a value there.
    pub(crate) fn winner<'k>(
        &self,
        names: &(impl Iterator<Item = &'k str> + Clone),
    ) -> Option<(usize, &Arc<Entry>)> {
        (0..self.entries.len()).rev().find_map(|layer| {
            let mut found = names.clone().filter_map(|name| self.get(layer, name));
            Some((layer, found.find(|entry| !entry.operation().is_removal())?))
        })
    }

    /// The newest entry of every key, markers included, layer by layer from general to specific.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &str, &Arc<Entry>)> {
        let layers = self.entries.iter().enumerate();
        layers.flat_map(|(layer, all)| all.iter(&self.table).map(move |(key, entry)| (layer, key, entry)))
    }

    /// The newest entry of every key, markers included.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.iter().map(|(.., entry)| entry)
    }

    /// All keys of the bucket that have a value, layer by layer from general to specific.
    pub(crate) fn live_keys(&self) -> impl Iterator<Item = (usize, &str, &Arc<Entry>)> {
        self.iter().filter(|(.., entry)| !entry.operation().is_removal())
    }

    /// The newest revision of any key of a layer that counts, markers included.
    pub(crate) fn newest_revision(&self, layer: usize, counts: impl Fn(&str) -> bool) -> Revision {
        let all = self.entries.get(layer).into_iter().flat_map(|all| all.iter(&self.table));
        let counted = all.filter(|(key, _)| counts(key));
        counted.map(|(_, entry)| entry.revision()).max().unwrap_or_default()
    }

    pub(crate) fn absorb(&mut self, changes: &Overlay) {
        for (layer, changed) in changes.layers() {
            for (key, entry) in changed.iter() {
                self.set(layer, key, entry.as_ref());
            }
        }
        self.given.absorb(&changes.given);
    }

    /// `key` is what stands below the layer's prefix in the key of the entry.
    pub(crate) fn set(&mut self, layer: usize, key: &str, entry: Option<&Arc<Entry>>) {
        let own = self.table.own(key);
        self.entries.entry(layer).set(&self.table, own, key, entry);
    }

    /// The same for a key that was looked up already.
    pub(super) fn set_found(
        &mut self,
        layer: usize,
        (key, found): (&str, Option<&Found<'_>>),
        entry: Option<&Arc<Entry>>,
    ) {
        let own = match found {
            Some(Found::Own(at)) => Some(*at),
            _ => None,
        };
        self.entries.entry(layer).set(&self.table, own, key, entry);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::KvConfig;
    use crate::view::tests::entry;

    #[derive(KvConfig, Debug, Clone)]
    #[kv(prefix = "p")]
    struct Shop {
        #[kv(default = 1)]
        low: u8,
        #[kv(entries)]
        limits: BTreeMap<String, u8>,
        #[kv(default = 1, alias = "old")]
        name: u8,
        #[kv(nested)]
        retry: Retry,
    }

    #[derive(KvConfig, Debug, Clone)]
    struct Retry {
        #[kv(default = 3)]
        times: u8,
    }

    const KEYS: [&str; 8] =
        ["low", "name", "old", "retry.times", "limits.a", "limits.b", "limits", "nobody.knows"];

    proptest! {
        // Fields, old names, entries of maps and unknown keys lie in several places; nobody can tell.
        #[test]
        fn every_key_has_its_newest_entry(
            ops in proptest::collection::vec((0..2_usize, 0..KEYS.len(), any::<bool>()), 0..40),
        ) {
            let table = Arc::new(Table::new::<Shop>(&|_| None));
            let (mut raw, mut model) = (RawState::new(table), BTreeMap::new());
            for ((layer, at, stands), revision) in ops.into_iter().zip(1..) {
                let entry = entry(KEYS[at], revision, Some("1"));
                raw.set(layer, KEYS[at], stands.then_some(&entry));
                if stands {
                    model.insert((layer, KEYS[at]), revision);
                } else {
                    model.remove(&(layer, KEYS[at]));
                }
            }
            let all = raw.iter().map(|(layer, key, entry)| ((layer, key), entry.revision().get()));
            let mut all: Vec<_> = all.collect();
            all.sort_unstable();
            prop_assert_eq!(all, model.iter().map(|(place, revision)| (*place, *revision)).collect::<Vec<_>>());
            for layer in 0..2 {
                for key in KEYS {
                    let found = raw.get(layer, key).map(|entry| entry.revision().get());
                    prop_assert_eq!(found, model.get(&(layer, key)).copied());
                }
                let newest = model.iter().filter(|((of, key), _)| *of == layer && *key != "low");
                let newest = newest.map(|(_, revision)| *revision).max().unwrap_or(0);
                prop_assert_eq!(raw.newest_revision(layer, |key| key != "low").get(), newest);
            }
        }
    }
}
