//! Building a struct from raw keys, every problem collected.

use std::borrow::Cow;
use std::ops::DerefMut;

use super::node::{EntryMap, FieldError, Meta, Raw, validate_struct};
use super::prepared::{Hoard, Prepared};
use super::survey::{Linker, Slot, join};
use super::validation::Complaint;
use super::{Entries, KvConfig, Leaf, Nested, Path};

/// Where raw values come from: keys below the struct's prefix.
pub(crate) trait RawKeys {
    /// What the strongest source that has anything says of a field. Within one source its key goes before its old names, and
    /// those in their order.
    fn field(&self, key: &str, aliases: &mut dyn Iterator<Item = String>) -> Raw<'_>;

    /// The same of one entry of a map: a key without old names.
    fn entry(&self, key: &str) -> Raw<'_> {
        self.field(key, &mut std::iter::empty())
    }

    /// Visits every key right below `key` (`key.<segment>`), by its segment.
    #[doc(hidden)]
    fn each_below(&self, key: &str, visit: &mut dyn FnMut(&str, Raw<'_>));
}

/// A problem with one field, wherever it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldProblem {
    pub(crate) path: Path,
    /// Below the root's prefix; for an entry of a map with its segment.
    pub(crate) key: String,
    pub(crate) error: FieldError,
}

/// Builds a struct.
#[doc(hidden)]
pub struct Loader<'a> {
    raw: &'a dyn RawKeys,
    prepared: Hoard<'a>,
    path: Path,
    key: String,
    problems: Vec<FieldProblem>,
    complaints: Vec<StructProblem>,
}

impl<'a> Loader<'a> {
    /// `prepared` is what is known of `raw` already.
    pub(crate) fn new(raw: &'a dyn RawKeys, prepared: Hoard<'a>) -> Self {
        Self {
            raw,
            prepared,
            path: Path::ROOT,
            key: String::new(),
            problems: Vec::new(),
            complaints: Vec::new(),
        }
    }

    pub(crate) fn into_problems(self) -> (Vec<FieldProblem>, Vec<StructProblem>) {
        (self.problems, self.complaints)
    }

    /// Builds the root, and lets it and every struct below that could be built validate itself.
    ///
    /// `P` is where it is put at once, before anything else is done with it: each function that hands a struct on by value
    /// keeps it on the stack at least once, without optimisation up to seven times. For 3 000 texts, 72 kilobytes, that was
    /// more than the two megabytes that a thread has.
    pub(crate) fn build<T: KvConfig, P: From<T> + DerefMut<Target = T>>(&mut self) -> Option<P> {
        let mut place = T::__build(self).map(P::from)?;
        self.finish::<T>(&mut place);
        Some(place)
    }

    /// What is done with a struct that could be built.
    fn finish<T: KvConfig>(&mut self, value: &mut T) {
        if T::__LINKS {
            let linker = Linker { path: self.path, key: self.key.clone() };
            self.problems.extend(value.__link().into_iter().map(|unlinked| unlinked.at(&linker)));
        }
        self.validate(value);
    }

    fn validate<T: KvConfig>(&mut self, value: &T) {
        for complaint in validate_struct(value) {
            self.complaints.push(StructProblem { path: self.path, key: self.key.clone(), complaint });
        }
    }

    fn report(&mut self, path: Path, key: &str, errors: Vec<FieldError>) {
        let problem = |error| FieldProblem { path, key: key.to_owned(), error };
        self.problems.extend(errors.into_iter().map(problem));
    }

    /// The value of a field with one key: under its key, else under its first alias that is there, else its default.
    // Never inlined, as the two below: a struct of hundreds of fields calls it for each, and loading is not hot.
    #[inline(never)]
    pub fn leaf<S: 'static, V: Clone + Send + Sync + 'static>(
        &mut self,
        index: u16,
        leaf: &Leaf<S, V>,
    ) -> Option<V> {
        let path = self.path.join(index);
        match self.prepared.next(path) {
            Prepared::Value(value) => {
                if let Ok(value) = value.downcast() {
                    return Some(*value);
                }
            }
            Prepared::Absent => {
                if let Ok(value) = leaf.decode(&self.key_of(&leaf.meta), Raw::Absent) {
                    return Some(value);
                }
            }
            Prepared::Open => {}
        }
        let key = self.key_of(&leaf.meta);
        let mut aliases = leaf.meta.aliases.iter().map(|alias| join(&self.key, alias));
        let raw = self.raw.field(&key, &mut aliases);
        match leaf.decode(&key, raw) {
            Ok(value) => Some(value),
            Err(errors) => {
                self.report(path, &key, errors);
                None
            }
        }
    }

    /// Most fields stand in the root: nothing to put together.
    fn key_of(&self, meta: &Meta) -> Cow<'static, str> {
        if self.key.is_empty() { meta.key.into() } else { join(&self.key, meta.key).into() }
    }

    /// A struct below.
    #[inline(never)]
    pub fn nested<S: 'static, N: KvConfig>(&mut self, index: u16, nested: &Nested<S, N>) -> Option<N> {
        let (path, key) = (self.path, self.key.clone());
        self.path = path.join(index);
        self.key = join(&key, nested.meta.key);
        let mut value = N::__build(self);
        if let Some(value) = &mut value {
            self.finish::<N>(value);
        }
        self.path = path;
        self.key = key;
        value
    }

    /// A map with one key per entry.
    #[inline(never)]
    pub fn entries<S: 'static, M: EntryMap>(&mut self, index: u16, entries: &Entries<S, M>) -> Option<M> {
        let before = self.problems.len();
        let map = self.good_entries(index, entries);
        (self.problems.len() == before).then_some(map)
    }

    /// The same with those entries alone that are good, where some are not.
    pub fn good_entries<S: 'static, M: EntryMap>(&mut self, index: u16, entries: &Entries<S, M>) -> M {
        let path = self.path.join(index);
        let key = join(&self.key, entries.meta.key);
        let map = match self.prepared.next(path) {
            Prepared::Value(map) => map.downcast().ok().map(|map| *map),
            Prepared::Absent => Some(M::default()),
            Prepared::Open => None,
        };
        let map = map.unwrap_or_else(|| self.read_entries(path, &key, entries));
        self.report(path, &key, entries.check(&map));
        map
    }

    fn read_entries<S: 'static, M: EntryMap>(&mut self, path: Path, key: &str, entries: &Entries<S, M>) -> M {
        let mut map = M::default();
        let raw = self.raw;
        raw.each_below(key, &mut |segment, raw| {
            if let Err(errors) = entries.read_into(&mut map, segment, raw) {
                self.report(path, &join(key, segment), errors);
            }
        });
        map
    }
}

/// The complaints of a struct, with the place of the struct that made them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StructProblem {
    pub(crate) path: Path,
    pub(crate) key: String,
    pub(crate) complaint: Complaint,
}

impl Slot {
    /// The key and its old names, below the root's prefix.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.all_names().collect()
    }

    /// The same, one by one.
    pub(crate) fn all_names(&self) -> impl Iterator<Item = &str> + Clone {
        std::iter::once(&self.key).chain(&self.aliases).map(String::as_str)
    }

    /// What stands for this slot in `raw`.
    pub(crate) fn raw<'a>(&self, raw: &'a dyn RawKeys) -> Raw<'a> {
        raw.field(&self.key, &mut self.aliases.iter().cloned())
    }
}
