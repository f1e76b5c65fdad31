//! A struct's flattened table with an index from keys.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::exposure::Observers;
use crate::layer::Layers;
use crate::schema::{
    Kind, KvConfig, Linker, Path, Place, Slot, Stored, Survey, Validator, node_at, similar, survey_struct,
};
use crate::seal::Seals;
use crate::source::{Belongs, Fields, Given, Sheet, entries_of_variable};
use crate::{Origin, Prefix, Problem};

/// What a key below the prefix belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A field with one key, by its slot.
    Field(usize),
    /// One entry of a map: the slot, and the last part of the key.
    Entry(usize, &'a str),
}

/// The same, and under which name a field was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A field under its own key.
    Own(usize),
    /// A field under an old name.
    Old(usize),
    /// One entry of a map.
    Entry(usize, &'a str),
}

/// Which name of a field a key is.
#[derive(Debug, Clone, Copy)]
enum Name {
    Own(usize),
    Old(usize),
}

/// The fields of a struct, found by key or by path.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// In the order of their paths, which is that of the struct.
    pub(crate) slots: Vec<Slot>,
    pub(crate) validators: Vec<Validator>,
    pub(crate) linkers: Vec<Linker>,
    by_key: HashMap<String, Name, RandomState>,
    maps: HashMap<String, usize, RandomState>,
    /// Values from the environment.
    env: Sheet,
    /// What is wrong with variables as a whole. Their keys stand below the prefix.
    pub(crate) env_problems: Vec<Problem>,
    /// The keys of sealed secrets.
    pub(crate) seals: Seals,
    /// Who is told of evaluations of flags.
    pub(crate) observers: Option<Observers>,
    /// Where the keys stand.
    pub(crate) layers: Layers,
}

impl Table {
    /// Reads the struct's constant table, and the environment through `variable`.
    pub(crate) fn new<T: KvConfig>(variable: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let mut survey = Survey::default();
        survey_struct::<T>(&Place::root(T::__SCHEMA.env_prefix), &mut survey);
        let mut table = Self::of_survey(T::__SCHEMA.name, T::__SCHEMA.prefix, survey);
        for at in 0..table.slots.len() {
            table.read_variable::<T>(at, variable);
        }
        table
    }

    fn of_survey(name: &'static str, prefix: Option<&str>, survey: Survey) -> Self {
        let Survey { slots, validators, linkers, .. } = survey;
        let prefix = prefix.and_then(|text| Prefix::new(text).ok());
        let mut table = Self {
            name,
            slots: Vec::new(),
            validators,
            linkers,
            by_key: HashMap::with_capacity_and_hasher(slots.len(), RandomState::default()),
            maps: HashMap::default(),
            env: Sheet::new(),
            env_problems: Vec::new(),
            seals: Seals::default(),
            observers: None,
            layers: Layers::none(prefix.unwrap_or_else(Prefix::root)),
        };
        debug_assert!(
            slots.is_sorted_by_key(|slot| slot.path.steps()),
            "slots stand in the order of their paths"
        );
        for (at, slot) in slots.iter().enumerate() {
            match slot.kind {
                Kind::Entries => _ = table.maps.insert(slot.key.clone(), at),
                Kind::Leaf => _ = table.by_key.insert(slot.key.clone(), Name::Own(at)),
            }
            for alias in &slot.aliases {
                table.by_key.insert(alias.clone(), Name::Old(at));
            }
        }
        table.slots = slots;
        table
    }

    fn read_variable<T: KvConfig>(&mut self, at: usize, variable: &dyn Fn(&str) -> Option<Vec<u8>>) {
        let Some(slot) = self.slots.get(at) else { return };
        let Some((name, value)) = slot.env.as_ref().and_then(|name| Some((name, variable(name)?))) else {
            return;
        };
        let (key, origin) = (slot.key.clone(), Origin::Environment(name.clone()));
        let is_secret = slot.meta.secret;
        if slot.kind == Kind::Leaf {
            self.env.insert(key, Arc::new(Given { value: Some(value.into()), origin }));
            return;
        }
        let fields = FieldsOf::<T>::new(self);
        let mut content = entries_of_variable(&key, &value, &Prefix::root(), &fields, &origin);
        self.env.extend(content.sheet);
        // What is no JSON is told with a piece of it.
        for problem in content.problems.iter_mut().filter(|problem| is_secret && problem.key == key) {
            "the secret value is no object as JSON".clone_into(&mut problem.message);
        }
        self.env_problems.extend(content.problems);
    }

    /// The same, with keys for sealed secrets.
    pub(crate) fn with_seals(self, seals: Seals) -> Self {
        Self { seals, ..self }
    }

    /// The same, for a handle whose flags tell of their evaluations.
    pub(crate) fn observed_by(self, observers: Option<Observers>) -> Self {
        Self { observers, ..self }
    }

    /// The same, with keys that stand elsewhere than right under the prefix that the struct names.
    pub(crate) fn with_layers(self, layers: Layers) -> Self {
        Self { layers, ..self }
    }

    /// Whether the value under a key below the prefix is a secret; `None` for a key that no field knows.
    pub(crate) fn is_secret(&self, key: &str) -> Option<bool> {
        let (Target::Field(at) | Target::Entry(at, _)) = self.target(key)?;
        Some(self.slot(at)?.meta.secret)
    }

    pub(crate) fn slot(&self, at: usize) -> Option<&Slot> {
        self.slots.get(at)
    }

    pub(crate) fn slot_at(&self, path: Path) -> Option<(usize, &Slot)> {
        let at = self.slots.binary_search_by(|slot| slot.path.steps().cmp(path.steps())).ok()?;
        Some((at, self.slots.get(at)?))
    }

    /// What a key below the prefix belongs to; `None` when no field knows it.
    pub(crate) fn target<'a>(&self, key: &'a str) -> Option<Target<'a>> {
        self.find(key).map(|found| match found {
            Found::Own(at) | Found::Old(at) => Target::Field(at),
            Found::Entry(at, segment) => Target::Entry(at, segment),
        })
    }

    /// The same, with the name under which a field was found.
    pub(super) fn find<'a>(&self, key: &'a str) -> Option<Found<'a>> {
        match self.name(key) {
            Some(Name::Own(at)) => return Some(Found::Own(at)),
            Some(Name::Old(at)) => return Some(Found::Old(at)),
            None => {}
        }
        let (parent, segment) = key.rsplit_once('.').unwrap_or(("", key));
        self.maps.get(parent).map(|at| Found::Entry(*at, segment))
    }

    // Not a copy of the search in each of its callers: for one change they all run in turn, and find it in the processor's
    // cache.
    #[inline(never)]
    fn name(&self, key: &str) -> Option<Name> {
        self.by_key.get(key).copied()
    }

    /// The field whose own key this is.
    pub(super) fn own(&self, key: &str) -> Option<usize> {
        match self.name(key) {
            Some(Name::Own(at)) => Some(at),
            _ => None,
        }
    }

    pub(super) fn has_maps(&self) -> bool {
        !self.maps.is_empty()
    }

    /// What the environment says under a key below the prefix.
    pub(crate) fn env(&self, key: &str) -> Option<&Given> {
        if self.env.is_empty() { None } else { self.env.get(key).map(|given| &**given) }
    }

    /// All that the environment says.
    pub(crate) const fn env_sheet(&self) -> &Sheet {
        &self.env
    }

    /// The known key, or part of one, that is most like an unknown one.
    pub(crate) fn similar(&self, key: &str) -> Option<&str> {
        similar(self.slots.iter().map(|slot| slot.key.as_str()), key)
    }
}

/// The fields of `T`, for those who read documents.
pub(crate) struct FieldsOf<'a, T> {
    table: &'a Table,
    marker: PhantomData<fn() -> T>,
}

impl<'a, T> FieldsOf<'a, T> {
    pub(crate) const fn new(table: &'a Table) -> Self {
        Self { table, marker: PhantomData }
    }
}

impl<T: KvConfig> Fields for FieldsOf<'_, T> {
    fn belongs(&self, key: &str) -> Belongs {
        if self.table.maps.contains_key(key) {
            return Belongs::Map;
        }
        if let Some(Target::Field(at)) = self.table.target(key)
            && let Some(slot) = self.table.slot(at)
        {
            return Belongs::Field { key: slot.key.clone(), deprecated: slot.meta.deprecated };
        }
        let is_above = |slot: &Slot| slot.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        if self.table.slots.iter().any(is_above) {
            return Belongs::Above;
        }
        Belongs::Unknown { similar: self.table.similar(key).map(str::to_owned) }
    }

    fn stored_form(&self, key: &str, text: Option<&str>) -> Option<Stored> {
        let at = match self.table.by_key.get(key) {
            Some(Name::Own(at) | Name::Old(at)) => *at,
            None => *self.table.maps.get(key)?,
        };
        let slot = self.table.slot(at)?;
        let (node, rest) = node_at::<T>(slot.path.steps())?;
        node.stored_form(text, rest)
    }
}
