//! From what is wanted to the keys that say so. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::document::{ImportMode, beside};
use super::edit::{FlagEditError, Step};
use super::rows::{DOCUMENT, EVALUATORS, METADATA, Rule};
use super::set::{FlagSet, StoredFlag};
use crate::change::Wishes;
use crate::flag::{FlagDefinition, MAX_WEIGHT, SetProperties, nearest};
use crate::key::escape_segment;
use crate::schema::{EntryMap, join};

/// What is to be changed in a set; `None` removes.
#[derive(Debug, Default)]
pub(super) struct Work {
    flags: BTreeMap<String, Option<FlagDefinition>>,
    /// Flags whose new definition was made from the present one.
    derived: BTreeSet<String>,
    rules: BTreeMap<String, Option<Json>>,
    metadata: Option<Map<String, Json>>,
    document: Option<Map<String, Json>>,
}

/// Takes one step after the other from a state on.
pub(super) fn work_out(set: &FlagSet, steps: Vec<Step>) -> Result<Work, FlagEditError> {
    let mut work = Work::default();
    for step in steps {
        work.take(set, step)?;
    }
    if let Some(metadata) = &work.metadata {
        SetProperties::new(Map::new(), metadata.clone())
            .map_err(|error| FlagEditError::Invalid { what: "the metadata of the set".to_owned(), error })?;
    }
    Ok(work)
}

impl Work {
    fn take(&mut self, set: &FlagSet, step: Step) -> Result<(), FlagEditError> {
        match step {
            Step::Set(key, definition) => {
                self.derived.remove(&key);
                self.flags.insert(key, Some(*definition));
            }
            Step::Remove(key) => {
                self.now(set, &key)?;
                self.flags.insert(key, None);
            }
            Step::Part(key, part, value) => {
                let mut object = self.now(set, &key)?.to_object();
                object.insert(part.to_owned(), value);
                self.redefine(key, object)?;
            }
            Step::DefaultVariant(key, variant) => {
                let now = self.now(set, &key)?;
                check_variant(&key, now, &variant)?;
                let mut object = now.to_object();
                object.insert("defaultVariant".to_owned(), variant.into());
                self.redefine(key, object)?;
            }
            Step::Rollout(key, shares) => {
                let object = rollout(&key, self.now(set, &key)?, &shares)?;
                self.redefine(key, object)?;
            }
            Step::Rule(name, rule) => _ = self.rules.insert(name, rule),
            Step::Metadata(name, value) => {
                let metadata = self.metadata.get_or_insert_with(|| (*set.metadata).clone());
                match value {
                    Some(value) => metadata.insert(name, value),
                    None => metadata.remove(&name),
                };
            }
            Step::Import(document, mode) => {
                if mode == ImportMode::Replace {
                    self.remove_everything(set);
                }
                let properties = document.properties();
                let rules = properties.evaluators().iter();
                self.rules.extend(rules.map(|(name, rule)| (name.clone(), Some(rule.clone()))));
                let metadata = self.metadata.get_or_insert_with(|| (*set.metadata).clone());
                metadata.extend(properties.metadata().clone());
                let present = self.document.get_or_insert_with(|| (*set.document).clone());
                present.extend(beside(&document));
                for (key, definition) in document.flags() {
                    self.derived.remove(key);
                    self.flags.insert(key.to_owned(), Some(definition.clone()));
                }
            }
        }
        Ok(())
    }

    fn remove_everything(&mut self, set: &FlagSet) {
        self.derived.clear();
        self.flags.values_mut().for_each(|flag| *flag = None);
        self.flags.extend(set.flags().map(|flag| (flag.key().to_owned(), None)));
        self.rules.values_mut().for_each(|rule| *rule = None);
        self.rules.extend(set.rules.all.keys().map(|name| (name.clone(), None)));
        (self.metadata, self.document) = (Some(Map::new()), Some(Map::new()));
    }

    /// The flag as it is after the steps so far.
    fn now<'a>(&'a self, set: &'a FlagSet, key: &str) -> Result<&'a FlagDefinition, FlagEditError> {
        let changed = self.flags.get(key).map(Option::as_ref);
        let now = changed.unwrap_or_else(|| set.flag(key).map(|flag| flag.definition()));
        now.ok_or_else(|| FlagEditError::NoFlag {
            key: key.to_owned(),
            close: nearest(key, set.flags.compiled.keys().map(|key| &**key)),
        })
    }

    fn redefine(&mut self, key: String, object: Map<String, Json>) -> Result<(), FlagEditError> {
        let definition = FlagDefinition::from_json(object.into())
            .map_err(|error| FlagEditError::Invalid { what: format!("flag `{key}`"), error })?;
        if !self.flags.contains_key(&key) {
            self.derived.insert(key.clone());
        }
        self.flags.insert(key, Some(definition));
        Ok(())
    }

    /// The keys that say so. Where a state is clean, nothing newer than it stands in the bucket, so what is equal to it need
    /// not be written.
    pub(super) fn wishes(&self, set: &FlagSet, is_clean: bool) -> Wishes {
        let mut wishes = Wishes::default();
        for (key, wanted) in &self.flags {
            let bytes = wanted.as_ref().map(|wanted| {
                let present = set.flag(key).map(|flag| &flag.stored);
                let same = present.filter(|present| present.definition().to_object() == wanted.to_object());
                same.map_or_else(
                    || StoredFlag::of(wanted.clone()).bytes().clone(),
                    |same| same.bytes().clone(),
                )
            });
            wishes.wanted.insert(escape_segment(key), bytes);
        }
        wishes.derived = self.derived.iter().map(|key| escape_segment(key)).collect();
        for (name, wanted) in &self.rules {
            let bytes = wanted.as_ref().map(|wanted| {
                let same = set.rules.all.get(name).filter(|present| *present.json == *wanted);
                same.map_or_else(|| Rule::new(wanted.clone()).stored, |same| same.stored.clone())
            });
            wishes.wanted.insert(join(EVALUATORS, &escape_segment(name)), bytes);
        }
        let objects = [(METADATA, &self.metadata, &set.metadata), (DOCUMENT, &self.document, &set.document)];
        for (key, wanted, present) in objects {
            let Some(wanted) = wanted.as_ref().filter(|wanted| !is_clean || **wanted != **present) else {
                continue;
            };
            let bytes = (!wanted.is_empty()).then(|| Json::Object(wanted.clone()).to_string().into());
            wishes.wanted.insert(key.to_owned(), bytes);
        }
        wishes
    }

    /// The set as it would be. What cannot be compiled stays as it was.
    pub(super) fn applied_to(&self, set: &FlagSet) -> FlagSet {
        let mut after = set.clone();
        after.observers = None;
        for (key, wanted) in &self.flags {
            let is_same = |wanted: &FlagDefinition| {
                set.flag(key).is_some_and(|flag| flag.definition().to_object() == wanted.to_object())
            };
            match wanted {
                Some(wanted) if key.is_empty() || is_same(wanted) => {}
                Some(wanted) => {
                    after.flags.fresh.insert(key.as_str().into(), StoredFlag::of(wanted.clone()));
                }
                None => after.flags.take(key),
            }
        }
        for (name, wanted) in &self.rules {
            match wanted {
                Some(wanted) if set.rules.all.get(name).is_some_and(|rule| *rule.json == *wanted) => {}
                // A rule without a name is refused by the report.
                Some(wanted) => _ = after.rules.put(name, Rule::new(wanted.clone())),
                None => after.rules.take(name),
            }
        }
        if let Some(metadata) = &self.metadata {
            after.metadata = Arc::new(metadata.clone());
        }
        if let Some(document) = &self.document {
            after.document = Arc::new(document.clone());
        }
        // What is wrong with it, the plan's report tells.
        let _ = after.link();
        after.flags.fresh.clear();
        after
    }
}

fn check_variant(key: &str, flag: &FlagDefinition, variant: &str) -> Result<(), FlagEditError> {
    if flag.variants().contains_key(variant) {
        return Ok(());
    }
    let close = nearest(variant, flag.variants().keys().map(String::as_str));
    Err(FlagEditError::NoVariant { key: key.to_owned(), variant: variant.to_owned(), close })
}

/// The flag with these shares where its rule has some.
fn rollout(
    key: &str,
    flag: &FlagDefinition,
    shares: &[(String, u64)],
) -> Result<Map<String, Json>, FlagEditError> {
    let refused = |problem| FlagEditError::Shares { key: key.to_owned(), problem };
    let sum: u64 = shares.iter().map(|(_, weight)| weight).sum();
    if shares.is_empty() {
        return Err(refused("there are none"));
    }
    if sum == 0 {
        return Err(refused("all weights are zero, so nobody gets one"));
    }
    if sum > u64::from(MAX_WEIGHT) {
        return Err(refused("the sum of the weights is above 2 147 483 647"));
    }
    for (place, (variant, _)) in shares.iter().enumerate() {
        check_variant(key, flag, variant)?;
        if shares.iter().take(place).any(|(earlier, _)| earlier == variant) {
            return Err(refused("a variant stands there twice"));
        }
    }
    let shares: Vec<Json> = shares.iter().map(|(variant, weight)| json!([variant, weight])).collect();
    let mut object = flag.to_object();
    let Some(rule) = flag.targeting() else {
        object.insert("targeting".to_owned(), json!({"fractional": shares}));
        return Ok(object);
    };
    let mut rule = rule.clone();
    let found = replace_shares(&mut rule, &shares);
    if found != 1 {
        return Err(FlagEditError::NoPlaceForShares { key: key.to_owned(), found });
    }
    object.insert("targeting".to_owned(), rule);
    Ok(object)
}

/// Replaces the shares of every `fractional`, and says how many there were. What stands before the shares decides about the
/// bucket, and stays.
fn replace_shares(rule: &mut Json, shares: &[Json]) -> usize {
    match rule {
        Json::Array(items) => items.iter_mut().map(|item| replace_shares(item, shares)).sum(),
        Json::Object(entries) => {
            let mut found = 0;
            for (name, value) in entries {
                if name != "fractional" {
                    found += replace_shares(value, shares);
                    continue;
                }
                found += 1;
                let subject = match value {
                    Json::Array(items) => items.first().filter(|first| !first.is_array()).cloned(),
                    _ => None,
                };
                *value = subject.into_iter().chain(shares.iter().cloned()).collect();
            }
            found
        }
        _ => 0,
    }
}
