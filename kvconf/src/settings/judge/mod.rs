//! Judging values without the program: the raw keys of a bucket, or a change of them, held against a schema.
//!
//! Values are read by their forms ([`Form::read`]) and checked by their constraints, in the words of the reader with the type.

mod constraint;
mod layered;
mod setting;
mod state;
mod table;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Schema, Setting};
use crate::problem::{deprecated, old_name, unknown_key};
use crate::schema::join;
use crate::{Entry, Problem, ProblemKind};
use layered::Layered;
use setting::Reading;
use state::{State, Stood};
use table::Target;

pub(super) use constraint::compare_stored;
pub(super) use layered::{Place, missing};
pub(super) use state::below;
pub(super) use table::Table;
pub use verdict::{Unchecked, Verdict};

impl Schema {
    /// Everything that is wrong with the newest entries of a bucket, as far as it can be told without the program.
    ///
    /// Entries outside the prefix are left alone. Of a schema with [layers](Schema::with_layers) every layer is looked at by
    /// itself, as a part: nothing is wrong with what it does not have, unless no layer has it. A struct that the program starts with other sources too (files, the
    /// environment) may have values there that are missing here.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig, Point, Prefix, Schema};
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     #[kv(default = 50, range(1..=500))]
    ///     max_items: u32,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = Bucket::memory();
    /// bucket.put("checkout.max_items", "9999").await?;
    /// bucket.put("checkout.max_itmes", "60").await?;
    ///
    /// let now = bucket.at("checkout", Point::Latest).await?;
    /// let verdict = Schema::of::<Checkout>().judge(now.entries());
    /// let told: Vec<String> = verdict.problems.iter().map(ToString::to_string).collect();
    /// assert_eq!(told, [
    ///     "checkout.max_items: 9999 is outside 1..=500",
    ///     "checkout.max_itmes: unknown key, did you mean checkout.max_items?",
    /// ]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn judge<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) -> Verdict {
        let table = Table::new(self);
        if !self.layers.is_empty() {
            return Layered::new(self, &table).judge(entries);
        }
        let state = State::of(&self.prefix, entries);
        let place = Place::whole(self);
        Judge { schema: self, place: &place, table: &table, state: &state, before: None }.all()
    }

    /// The same for a change of these entries that is not written yet: keys in full, each with its new value, or `None` for
    /// its removal.
    ///
    /// [`Verdict::problems`] has what the change makes wrong, or leaves wrong of the settings that it touches;
    /// [`Verdict::standing`] what is wrong elsewhere already.
    #[must_use]
    pub fn judge_change<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a Entry>,
        change: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Verdict {
        let table = Table::new(self);
        if !self.layers.is_empty() {
            return Layered::new(self, &table).judge_change(entries, change);
        }
        let before = State::of(&self.prefix, entries);
        let change: BTreeMap<String, Option<Bytes>> = change
            .into_iter()
            .filter_map(|(key, value)| {
                Some((below(key, &self.prefix)?.to_owned(), value.map(Bytes::copy_from_slice)))
            })
            .collect();
        let touched: BTreeSet<String> = change.keys().map(|key| table.touched(key)).collect();
        let state = before.with(change);
        let place = Place::whole(self);
        let judge =
            Judge { schema: self, place: &place, table: &table, state: &state, before: Some(&before) };
        judge.all().split(&touched)
    }
}

impl Schema {
    /// The setting that a key in full belongs to: its own, or that of the map that it is an entry of. In each of the layers,
    /// and below the prefix as it is.
    #[must_use]
    pub fn setting_of(&self, key: &str) -> Option<&Setting> {
        self.setting_below(self.below(key)?)
    }

    /// What is wrong with one setting in one place, whose entries these are.
    pub(super) fn judge_setting<'a>(
        &self,
        table: &Table<'_>,
        place: &Place,
        key: &str,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Vec<Problem> {
        let state = State::of(&place.prefix, entries);
        let judge = Judge { schema: self, place, table, state: &state, before: None };
        let mut verdict = Verdict::new(state.newest());
        if let Some(setting) = self.setting(key) {
            judge.setting(setting, &mut verdict);
        }
        verdict.problems
    }
}

struct Judge<'a> {
    schema: &'a Schema,
    place: &'a Place,
    table: &'a Table<'a>,
    state: &'a State,
    /// What stood before the change.
    before: Option<&'a State>,
}

impl Schema {
    /// The structs that check their fields together.
    fn push_validated(&self, verdict: &mut Verdict) {
        for key in &self.validated {
            let what = "its fields are checked together by the program alone".to_owned();
            verdict.push_unchecked(key, self.full_key(key), what);
        }
    }
}

impl Judge<'_> {
    fn all(&self) -> Verdict {
        let mut verdict = Verdict::new(self.before.unwrap_or(self.state).newest());
        for setting in &self.schema.settings {
            self.setting(setting, &mut verdict);
        }
        if self.place.is_whole {
            self.schema.push_validated(&mut verdict);
        }
        for (key, stood) in self.state.present() {
            if let Some(problem) = self.warning(key, stood) {
                verdict.push(key, problem);
            }
        }
        verdict.sort();
        verdict
    }

    fn setting(&self, setting: &Setting, verdict: &mut Verdict) {
        let reading = if setting.entries { self.entries(setting) } else { self.field(setting) };
        self.tell(setting, reading, verdict);
    }

    /// A setting with one key.
    fn field(&self, setting: &Setting) -> Reading {
        let mut reading = Reading::default();
        match self.state.of_setting(setting) {
            Some((_, stood)) => reading.value(setting, &setting.key, stood),
            // A layer is a part.
            None if !self.place.is_whole => {}
            None => reading.absent(setting),
        }
        reading
    }

    /// A map with one key per entry.
    fn entries(&self, setting: &Setting) -> Reading {
        let mut reading = Reading::default();
        let mut count = 0;
        for (segment, stood) in self.state.below(&setting.key) {
            count += 1;
            reading.entry(setting, segment, &join(&setting.key, segment), stood);
        }
        if self.place.is_whole {
            reading.map(setting, count);
        } else if count > 0 {
            reading.part_of_map(setting);
        }
        reading
    }

    fn tell(&self, setting: &Setting, reading: Reading, verdict: &mut Verdict) {
        for (key, error) in reading.errors {
            let culprit = self.state.culprit(setting, &key);
            let before = self.before.and_then(|before| before.culprit(setting, &key));
            let before = before.filter(|stood| stood.value().is_some());
            let problem = Problem {
                key: self.place.full_key(&key),
                kind: crate::view::kind_of(&error),
                message: error.to_string(),
                origin: culprit.and_then(Stood::origin),
                before: before.and_then(|stood| stood.shown(setting.secret)),
                before_revision: before.and_then(Stood::revision),
                fields: Vec::new(),
            };
            verdict.push(&setting.key, problem);
        }
        for (key, what) in reading.unchecked {
            verdict.push_unchecked(&setting.key, self.place.full_key(&key), what);
        }
    }

    fn warning(&self, key: &str, stood: &Stood) -> Option<Problem> {
        let (kind, message) = match self.table.target(key) {
            None => {
                let similar = self.table.similar(key).map(|key| self.place.full_key(&key));
                (ProblemKind::UnknownKey, unknown_key(similar.as_deref()))
            }
            Some(Target::Entry(_)) => return None,
            Some(Target::Field(setting)) if setting.key != key => {
                let is_read = self.state.of_setting(setting).is_some_and(|(used, _)| used == key);
                (ProblemKind::Alias, old_name(&self.place.full_key(&setting.key), is_read))
            }
            Some(Target::Field(setting)) => {
                (ProblemKind::Deprecated, deprecated(setting.deprecated.as_deref()?))
            }
        };
        Some(Problem {
            key: self.place.full_key(key),
            kind,
            message,
            origin: stood.origin(),
            before: None,
            before_revision: None,
            fields: Vec::new(),
        })
    }
}
