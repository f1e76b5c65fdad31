//! Compiling what has been read: the flags that changed, and those that use a rule that changed.

use std::sync::Arc;

use super::rows::{EVALUATORS, EVALUATORS_ROW, FLAGS_ROW, METADATA, METADATA_ROW};
use super::set::{FlagSet, SetFlag};
use crate::flag::SetProperties;
use crate::flag_field::read::{problems_of, told};
use crate::key::escape_segment;
use crate::schema::{FieldError, Unlinked, join};
use crate::value::DecodeError;

/// Because of which key a flag has to be compiled.
enum Because<'a> {
    Itself,
    Rule(&'a str),
    Metadata,
}

impl FlagSet {
    /// Compiles what has to be. What fails stays as it is, to be tried again when more has been read.
    pub(super) fn link(&mut self) -> Vec<Unlinked> {
        let mut problems = Vec::new();
        let has_metadata = *self.metadata != *self.properties.metadata();
        if has_metadata || !self.rules.changed.is_empty() {
            let rules = self.rules.all.iter().map(|(name, rule)| (name.clone(), (*rule.json).clone()));
            match SetProperties::new(rules.collect(), (*self.metadata).clone()) {
                Ok(properties) => self.properties = Arc::new(properties),
                // The codec has refused such metadata already.
                Err(error) => {
                    let error = told(&problems_of(&error));
                    problems.push(unlinked(METADATA_ROW, METADATA.to_owned(), error));
                }
            }
        }
        let mut again = Vec::new();
        for (key, flag) in &self.flags.compiled {
            if self.flags.fresh.contains_key(key) {
                continue;
            }
            let changed = || flag.stored.uses().find(|name| self.rules.changed.contains(*name));
            let because = match changed() {
                Some(rule) => Because::Rule(rule),
                None if has_metadata => Because::Metadata,
                None => continue,
            };
            again.push((key, &flag.stored, because));
        }
        again.extend(self.flags.fresh.iter().map(|(key, stored)| (key, stored, Because::Itself)));
        again.sort_unstable_by_key(|(key, ..)| *key);
        let mut compiled = Vec::with_capacity(again.len());
        for (key, stored, because) in again {
            match SetFlag::compile(key, stored, &self.properties) {
                Ok(flag) => compiled.push((Arc::clone(key), Arc::new(flag))),
                Err(error) => problems.push(because.told(key, &problems_of(&error))),
            }
        }
        for (key, flag) in compiled {
            self.flags.fresh.remove(&key);
            self.flags.compiled.insert(key, flag);
        }
        // The flags that could not be compiled are found again only by what has changed.
        if problems.is_empty() {
            self.rules.changed.clear();
        }
        problems
    }
}

impl Because<'_> {
    fn told(&self, key: &str, problems: &[String]) -> Unlinked {
        let told_of = |problems: &[String]| {
            let of_flag: Vec<String> =
                problems.iter().map(|problem| format!("flag `{key}`: {problem}")).collect();
            told(&of_flag)
        };
        match self {
            Self::Itself => unlinked(FLAGS_ROW, escape_segment(key), told(problems)),
            Self::Rule(name) => {
                unlinked(EVALUATORS_ROW, join(EVALUATORS, &escape_segment(name)), told_of(problems))
            }
            Self::Metadata => unlinked(METADATA_ROW, METADATA.to_owned(), told_of(problems)),
        }
    }
}

fn unlinked(index: u16, key: String, error: DecodeError) -> Unlinked {
    Unlinked { index, key, error: FieldError::Decode(error) }
}
