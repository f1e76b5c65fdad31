//! A struct's flattened table with an index from keys.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;

use crate::schema::{Kind, KvConfig, Path, Place, Slot, Survey, Validator, survey_struct};
use crate::seal::Seals;

/// What a key below the prefix belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A field with one key, by its slot.
    Field(usize),
    /// One entry of a map: the slot, and the last part of the key.
    Entry(usize, &'a str),
}

/// The fields of a struct, found by key or by path.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) slots: Vec<Slot>,
    pub(crate) validators: Vec<Validator>,
    by_key: HashMap<String, usize, RandomState>,
    maps: HashMap<String, usize, RandomState>,
    by_path: HashMap<Path, usize, RandomState>,
    /// Values from the environment, by slot, with the variable's name.
    env: HashMap<usize, (String, Bytes), RandomState>,
    /// The keys of sealed secrets.
    pub(crate) seals: Seals,
}

impl Table {
    /// Reads the struct's constant table, and the environment through `variable`.
    pub(crate) fn new<T: KvConfig>(variable: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let mut survey = Survey::default();
        survey_struct::<T>(&Place::root(T::__SCHEMA.env_prefix), &mut survey);
        let Survey { slots, validators } = survey;
        let mut table = Self {
            name: T::__SCHEMA.name,
            slots: Vec::new(),
            validators,
            by_key: HashMap::with_capacity_and_hasher(slots.len(), RandomState::default()),
            maps: HashMap::default(),
            by_path: HashMap::with_capacity_and_hasher(slots.len(), RandomState::default()),
            env: HashMap::default(),
            seals: Seals::default(),
        };
        for (at, slot) in slots.iter().enumerate() {
            table.by_path.insert(slot.path, at);
            match slot.kind {
                Kind::Entries => table.maps.insert(slot.key.clone(), at),
                Kind::Leaf => table.by_key.insert(slot.key.clone(), at),
            };
            for alias in &slot.aliases {
                table.by_key.insert(alias.clone(), at);
            }
            if let Some(name) = &slot.env
                && let Some(value) = variable(name)
            {
                table.env.insert(at, (name.clone(), value.into()));
            }
        }
        table.slots = slots;
        table
    }

    /// The same, with keys for sealed secrets.
    pub(crate) fn with_seals(self, seals: Seals) -> Self {
        Self { seals, ..self }
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
        let at = *self.by_path.get(&path)?;
        Some((at, self.slots.get(at)?))
    }

    /// What a key below the prefix belongs to; `None` when no field knows it.
    pub(crate) fn target<'a>(&self, key: &'a str) -> Option<Target<'a>> {
        if let Some(at) = self.by_key.get(key) {
            return Some(Target::Field(*at));
        }
        let (parent, segment) = key.rsplit_once('.').unwrap_or(("", key));
        self.maps.get(parent).map(|at| Target::Entry(*at, segment))
    }

    /// The environment's value for a slot, and the variable's name.
    pub(crate) fn env(&self, at: usize) -> Option<(&str, &Bytes)> {
        self.env.get(&at).map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn env_at(&self, path: Path) -> Option<&Bytes> {
        if self.env.is_empty() {
            return None;
        }
        self.env(*self.by_path.get(&path)?).map(|(_, value)| value)
    }

    /// The known key, or part of one, that is most like an unknown one.
    pub(crate) fn similar(&self, key: &str) -> Option<&str> {
        let depth = key.split('.').count();
        let candidates = self.slots.iter().flat_map(|slot| {
            let cut = slot.key.match_indices('.').nth(depth - 1).map_or(slot.key.len(), |(at, _)| at);
            slot.key.get(..cut)
        });
        candidates
            .map(|candidate| (strsim::damerau_levenshtein(candidate, key), candidate))
            .filter(|(distance, candidate)| *distance > 0 && *distance <= 1 + candidate.len() / 5)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, candidate)| candidate)
    }
}
