//! Which setting a key belongs to.

use std::collections::HashMap;

use crate::schema::{join, similar};
use crate::settings::{Schema, Setting};

/// What a key below the prefix belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::settings) enum Target<'a> {
    /// A setting with one key.
    Field(&'a Setting),
    /// An entry of this map.
    Entry(&'a Setting),
}

/// The settings by key.
pub(in crate::settings) struct Table<'a> {
    schema: &'a Schema,
    by_key: HashMap<&'a str, &'a Setting>,
    maps: HashMap<&'a str, &'a Setting>,
}

impl<'a> Table<'a> {
    pub(in crate::settings) fn new(schema: &'a Schema) -> Self {
        let (maps, fields): (Vec<_>, Vec<_>) = schema.settings.iter().partition(|setting| setting.entries);
        // A key goes before an old name that is equal to it.
        let old =
            fields.iter().flat_map(|setting| setting.aliases.iter().map(|name| (name.as_str(), *setting)));
        let mut by_key: HashMap<&str, &Setting> = old.collect();
        by_key.extend(fields.iter().map(|setting| (setting.key.as_str(), *setting)));
        Self {
            schema,
            by_key,
            maps: maps.into_iter().map(|setting| (setting.key.as_str(), setting)).collect(),
        }
    }

    pub(in crate::settings) fn target(&self, key: &str) -> Option<Target<'a>> {
        if let Some(setting) = self.by_key.get(key) {
            return Some(Target::Field(setting));
        }
        let parent = key.rsplit_once('.').map_or("", |(parent, _)| parent);
        self.maps.get(parent).map(|setting| Target::Entry(setting))
    }

    /// The key of the setting that a change of this key touches; the key itself where no setting knows it.
    pub(in crate::settings) fn touched(&self, key: &str) -> String {
        match self.target(key) {
            Some(Target::Field(setting) | Target::Entry(setting)) => setting.key.clone(),
            None => key.to_owned(),
        }
    }

    /// A key that is much like this one: a setting's, or that of an entry of a map whose name is.
    pub(super) fn similar(&self, key: &str) -> Option<String> {
        let all = self.schema.settings.iter().map(|setting| setting.key.as_str());
        similar(all, key).map(str::to_owned).or_else(|| {
            let (parent, entry) = key.rsplit_once('.')?;
            similar(self.maps.keys().copied(), parent).map(|map| join(map, entry))
        })
    }
}
