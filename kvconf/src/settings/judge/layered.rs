//! Settings in several layers: each is judged as a part, and what is required has to stand in one of them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::state::State;
use super::table::Table;
use super::verdict::Verdict;
use super::{Judge, below};
use crate::schema::{FieldError, Presence, join};
use crate::settings::{Schema, Setting};
use crate::{Entry, Origin, Problem, ProblemKind};

/// Where keys stand that are judged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::settings) struct Place {
    /// What they begin with.
    pub(in crate::settings) prefix: String,
    /// Whether they are all that there is.
    pub(in crate::settings) is_whole: bool,
}

impl Place {
    /// Of a schema without layers.
    pub(in crate::settings) fn whole(schema: &Schema) -> Self {
        Self { prefix: schema.prefix.clone(), is_whole: true }
    }

    /// Of one layer among others.
    pub(in crate::settings) fn layer(schema: &Schema, layer: &str) -> Self {
        Self { prefix: join(layer, &schema.prefix), is_whole: false }
    }

    pub(super) fn full_key(&self, key: &str) -> String {
        join(&self.prefix, key)
    }
}

/// What is said of a required setting that no layer has. The key is the one without a layer, since none is meant.
pub(in crate::settings) fn missing(schema: &Schema, setting: &Setting) -> Problem {
    problem(schema.full_key(&setting.key), ProblemKind::Missing, FieldError::Missing.to_string(), None)
}

fn problem(key: String, kind: ProblemKind, message: String, origin: Option<Origin>) -> Problem {
    Problem { key, kind, message, origin, before: None, before_revision: None, fields: Vec::new() }
}

/// What stands in one layer, and what is to change there: keys below it and the prefix.
#[derive(Default)]
struct Layer<'a> {
    entries: Vec<&'a Entry>,
    change: BTreeMap<String, Option<Bytes>>,
}

/// Judging a schema with layers.
pub(super) struct Layered<'a> {
    schema: &'a Schema,
    table: &'a Table<'a>,
}

impl<'a> Layered<'a> {
    pub(super) const fn new(schema: &'a Schema, table: &'a Table<'a>) -> Self {
        Self { schema, table }
    }

    pub(super) fn judge<'e>(&self, entries: impl IntoIterator<Item = &'e Entry>) -> Verdict {
        let mut stray = Vec::new();
        let layers = self.layers(entries, &mut stray);
        let mut verdict = Verdict::new(crate::Revision::ZERO);
        let mut had = BTreeSet::new();
        for (layer, found) in &layers {
            let place = Place::layer(self.schema, layer);
            let state = State::of(&place.prefix, found.entries.iter().copied());
            let judge = self.judge_of(&place, &state, None);
            verdict.absorb(judge.all());
            had.extend(self.had(&state));
        }
        for setting in self.lacking(&had) {
            verdict.push(&setting.key, missing(self.schema, setting));
        }
        for entry in stray.into_iter().filter(|entry| entry.put_value().is_some()) {
            let origin = Some(Origin::Key(crate::origin::KeyOrigin::of(entry)));
            self.push_stray(entry.key().as_str(), origin, &mut verdict);
        }
        self.schema.push_validated(&mut verdict);
        verdict.sort();
        verdict
    }

    pub(super) fn judge_change<'e, 'c>(
        &self,
        entries: impl IntoIterator<Item = &'e Entry>,
        change: impl IntoIterator<Item = (&'c str, Option<&'c [u8]>)>,
    ) -> Verdict {
        let mut layers = self.layers(entries, &mut Vec::new());
        let mut verdict = Verdict::new(crate::Revision::ZERO);
        let mut touched_anywhere = BTreeSet::new();
        for (key, value) in change {
            match self.schema.place(key) {
                Some((layer, below)) => {
                    touched_anywhere.insert(self.table.touched(below));
                    let layer = layers.entry(layer.to_owned()).or_default();
                    layer.change.insert(below.to_owned(), value.map(Bytes::copy_from_slice));
                }
                None if value.is_some() => self.push_stray(key, Some(Origin::Plan), &mut verdict),
                None => {}
            }
        }
        let mut had = BTreeSet::new();
        for (layer, found) in layers {
            let place = Place::layer(self.schema, &layer);
            let before = State::of(&place.prefix, found.entries);
            let touched: BTreeSet<String> = found.change.keys().map(|key| self.table.touched(key)).collect();
            let state = before.with(found.change);
            let judge = self.judge_of(&place, &state, Some(&before));
            verdict.absorb(judge.all().split(&touched));
            had.extend(self.had(&state));
        }
        for setting in self.lacking(&had) {
            let problem = missing(self.schema, setting);
            if touched_anywhere.contains(&setting.key) {
                verdict.push(&setting.key, problem);
            } else {
                verdict.standing.push(problem);
            }
        }
        let mut validated = Verdict::new(crate::Revision::ZERO);
        self.schema.push_validated(&mut validated);
        verdict.absorb(validated.split(&touched_anywhere));
        verdict.sort();
        verdict
    }

    fn judge_of<'j>(&'j self, place: &'j Place, state: &'j State, before: Option<&'j State>) -> Judge<'j> {
        Judge { schema: self.schema, place, table: self.table, state, before }
    }

    /// What stands in each layer; `stray` gets what stands below the prefix and in none of them.
    fn layers<'e>(
        &self,
        entries: impl IntoIterator<Item = &'e Entry>,
        stray: &mut Vec<&'e Entry>,
    ) -> BTreeMap<String, Layer<'e>> {
        let mut layers: BTreeMap<String, Layer<'e>> = BTreeMap::new();
        for entry in entries {
            match self.schema.place(entry.key().as_str()) {
                Some((layer, _)) => layers.entry(layer.to_owned()).or_default().entries.push(entry),
                None => stray.push(entry),
            }
        }
        layers
    }

    /// The settings with a value.
    fn had<'s>(&'s self, state: &'s State) -> impl Iterator<Item = &'a str> + use<'s, 'a> {
        let required = self.required().filter(|setting| state.of_setting(setting).is_some());
        required.map(|setting| setting.key.as_str())
    }

    fn required(&self) -> impl Iterator<Item = &'a Setting> + use<'a> {
        let is_required = |setting: &&Setting| setting.presence == Presence::Required && !setting.entries;
        self.schema.settings.iter().filter(is_required)
    }

    fn lacking(&self, had: &BTreeSet<&str>) -> Vec<&'a Setting> {
        self.required().filter(|setting| !had.contains(setting.key.as_str())).collect()
    }

    /// A value of a setting that stands in no layer: the program does not read it.
    fn push_stray(&self, key: &str, origin: Option<Origin>, verdict: &mut Verdict) {
        let Some(below) = below(key, &self.schema.prefix) else { return };
        let Some(setting) = self.schema.setting_below(below) else { return };
        let mut message = format!("stands in no layer of {}, which reads {}", self.schema.name, self.names());
        let named = self.schema.layers.iter().find(|layer| !layer.split('.').any(|part| part == "*"));
        if let Some(layer) = named {
            message += &format!("; did you mean {layer}.{key}?");
        }
        verdict.push(&setting.key, problem(key.to_owned(), ProblemKind::UnknownKey, message, origin));
    }

    /// `base, env.* and host.*`
    fn names(&self) -> String {
        match self.schema.layers.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [others @ .., last] => format!("{} and {last}", others.join(", ")),
        }
    }
}
