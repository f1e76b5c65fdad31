//! A struct's rows, flattened.

use super::node::Meta;
use super::{KvConfig, Path};
pub(crate) use crate::key::join;

/// What kind of row it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Leaf,
    Entries,
}

/// One row of the flattened table: a leaf or a map of entries, wherever it stands.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) path: Path,
    /// Below the struct's prefix.
    pub(crate) key: String,
    /// In full, like `key`.
    pub(crate) aliases: Vec<String>,
    pub(crate) meta: &'static Meta,
    pub(crate) kind: Kind,
    pub(crate) env: Option<String>,
    pub(crate) required: bool,
}

/// A struct with a `validate` function, wherever it stands.
#[derive(Debug, Clone)]
pub(crate) struct Validator {
    pub(crate) path: Path,
    /// Below the root's prefix; empty for the root itself.
    pub(crate) key: String,
}

/// A struct below the root with a key segment of its own.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// Below the root's prefix.
    pub(crate) key: String,
    /// The struct's name.
    pub(crate) name: &'static str,
    /// The doc comment of the field, else that of the struct.
    pub(crate) description: &'static str,
}

/// A struct with fields that depend on one another, wherever it stands.
#[derive(Debug, Clone)]
pub(crate) struct Linker {
    pub(crate) path: Path,
    /// Below the root's prefix; empty for the root itself.
    pub(crate) key: String,
}

/// What [`Node::survey`] collects.
#[derive(Debug, Default)]
pub struct Survey {
    pub(crate) slots: Vec<Slot>,
    pub(crate) linkers: Vec<Linker>,
    pub(crate) validators: Vec<Validator>,
    pub(crate) groups: Vec<Group>,
}

/// Where a survey stands.
#[derive(Debug, Clone)]
pub struct Place {
    pub(crate) path: Path,
    pub(crate) key: String,
    pub(crate) env_prefix: Option<String>,
}

impl Place {
    pub(crate) fn root(env_prefix: Option<&str>) -> Self {
        Self { path: Path::ROOT, key: String::new(), env_prefix: env_prefix.map(str::to_owned) }
    }

    pub(super) fn env(&self, meta: &Meta) -> Option<String> {
        let by_prefix =
            || self.env_prefix.as_ref().map(|p| format!("{p}_{}", meta.name.to_ascii_uppercase()));
        meta.env.map(str::to_owned).or_else(by_prefix)
    }
}

/// The known key, or part of one, that is most like an unknown one.
pub(crate) fn similar<'a>(known: impl Iterator<Item = &'a str>, key: &str) -> Option<&'a str> {
    let (depth, length) = (key.split('.').count(), key.chars().count());
    let most = |candidate: &str| 1 + candidate.len() / 5;
    let candidates = known.flat_map(|known| {
        let cut = known.match_indices('.').nth(depth - 1).map_or(known.len(), |(at, _)| at);
        known.get(..cut)
    });
    candidates
        // What differs more in length than it may differ at all is not compared: that takes both lengths multiplied, in time
        // and in memory, and in a file a name can be as long as the file.
        .filter(|candidate| candidate.len().abs_diff(length) <= most(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(candidate, key), candidate))
        .filter(|(distance, candidate)| *distance > 0 && *distance <= most(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Surveys a whole struct from a place on.
pub(crate) fn survey_struct<S: KvConfig>(place: &Place, survey: &mut Survey) {
    if S::__SCHEMA.validate.is_some() {
        survey.validators.push(Validator { path: place.path, key: place.key.clone() });
    }
    if S::__LINKS {
        survey.linkers.push(Linker { path: place.path, key: place.key.clone() });
    }
    for (index, node) in (0_u16..).zip(S::__SCHEMA.nodes) {
        node.survey(place, index, survey);
    }
}
