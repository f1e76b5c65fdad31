//! What stands under the keys of a prefix.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::origin::KeyOrigin;
use crate::settings::Setting;
use crate::value::{MASK, show};
use crate::{Entry, Operation, Origin, Revision};

/// What remains of a key below a prefix.
pub(in crate::settings) fn below<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    let is_reserved =
        key.strip_prefix("_kvconf").is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    match prefix {
        _ if is_reserved => None,
        "" => Some(key),
        prefix => key.strip_prefix(prefix)?.strip_prefix('.'),
    }
}

/// The keys below a prefix.
#[derive(Debug, Clone, Default)]
pub(super) struct State(BTreeMap<String, Stood>);

/// What stands under one key.
#[derive(Debug, Clone)]
pub(super) enum Stood {
    /// An entry of the bucket.
    Entry(Box<Entry>),
    /// A change that is not written: a value or a removal.
    Planned(Option<Bytes>),
}

impl Stood {
    /// Whether it counts as absent.
    fn is_removal(&self) -> bool {
        match self {
            Self::Entry(entry) => entry.operation().is_removal(),
            Self::Planned(value) => value.is_none(),
        }
    }

    /// `None` for a removal, and for an operation that is not known.
    pub(super) fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Entry(entry) => entry.put_value(),
            Self::Planned(value) => value.as_ref(),
        }
    }

    /// Whether nobody knows what its author did.
    pub(super) fn is_unknown(&self) -> bool {
        match self {
            Self::Entry(entry) => entry.operation() != Operation::Put && !entry.operation().is_removal(),
            Self::Planned(_) => false,
        }
    }

    pub(super) fn origin(&self) -> Option<Origin> {
        Some(match self {
            Self::Entry(entry) => Origin::Key(KeyOrigin::of(entry)),
            Self::Planned(_) => Origin::Plan,
        })
    }

    pub(super) fn revision(&self) -> Option<Revision> {
        match self {
            Self::Entry(entry) => Some(entry.revision()),
            Self::Planned(_) => None,
        }
    }

    pub(super) fn shown(&self, secret: bool) -> Option<String> {
        let value = self.value()?;
        Some(if secret { MASK.to_owned() } else { show(value) })
    }
}

impl State {
    pub(super) fn of<'a>(prefix: &str, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let named = |entry: &Entry| {
            Some((below(entry.key().as_str(), prefix)?.to_owned(), Stood::Entry(Box::new(entry.clone()))))
        };
        Self(entries.into_iter().filter_map(named).collect())
    }

    /// The same with a change laid over it.
    pub(super) fn with(&self, change: BTreeMap<String, Option<Bytes>>) -> Self {
        let mut state = self.clone();
        state.0.extend(change.into_iter().map(|(key, value)| (key, Stood::Planned(value))));
        state
    }

    /// Every key that is there.
    pub(super) fn present(&self) -> impl Iterator<Item = (&str, &Stood)> {
        self.0.iter().filter(|(_, stood)| !stood.is_removal()).map(|(key, stood)| (key.as_str(), stood))
    }

    fn get(&self, key: &str) -> Option<&Stood> {
        self.0.get(key).filter(|stood| !stood.is_removal())
    }

    /// What counts for a setting with one key, and under which name it stands.
    pub(super) fn of_setting<'a>(&'a self, setting: &'a Setting) -> Option<(&'a str, &'a Stood)> {
        let mut names = std::iter::once(&setting.key).chain(&setting.aliases);
        names.find_map(|name| Some((name.as_str(), self.get(name)?)))
    }

    /// Every key right below another, by its last part.
    pub(super) fn below<'a>(&'a self, key: &str) -> impl Iterator<Item = (&'a str, &'a Stood)> {
        let from = if key.is_empty() { String::new() } else { format!("{key}.") };
        let start = from.clone();
        self.0
            .range(start..)
            .map_while(move |(key, stood)| Some((key.strip_prefix(&from)?, stood)))
            .filter(|(segment, stood)| !segment.contains('.') && !stood.is_removal())
    }

    /// Whose value it is that is wrong under a key of a setting. Of a marker too: a required key that was deleted has
    /// somebody who deleted it.
    pub(super) fn culprit<'a>(&'a self, setting: &'a Setting, key: &str) -> Option<&'a Stood> {
        let live = self.get(key).or_else(|| self.of_setting(setting).map(|(_, stood)| stood));
        live.or_else(|| self.0.get(key))
    }

    /// The newest revision among the keys.
    pub(super) fn newest(&self) -> Revision {
        self.0.values().filter_map(Stood::revision).max().unwrap_or_default()
    }
}
