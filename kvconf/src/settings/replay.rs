//! A schema held against what a bucket holds and held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::judge::{Place, Table, Verdict, missing};
use super::{Presence, Schema, Setting};
use crate::history::{CheckError, Play, Replay, tape};
use crate::problem::in_order;
use crate::watch::read_latest;
use crate::{Bucket, Entry, Prefix, Problem};

impl Bucket {
    /// Begins to hold a schema against what the bucket holds and held, without the program that it is of: for a check before
    /// a deployment. [`Bucket::check`] does the same with the type, and then knows more.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig, Schema};
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
    /// bucket.put("checkout.max_items", "60").await?;
    ///
    /// let schema = Schema::of::<Checkout>();
    /// assert!(!bucket.check_schema(&schema).now().await?.is_refused());
    ///
    /// let replay = bucket.check_schema(&schema).replay().await?;
    /// assert_eq!(replay.rejected[0].report.problems[0].to_string(), "checkout.max_items: 9999 is outside 1..=500");
    /// # Ok(()) }
    /// ```
    pub const fn check_schema<'a>(&'a self, schema: &'a Schema) -> CheckSchema<'a> {
        CheckSchema { bucket: self, schema }
    }
}

/// A schema to be held against a bucket. From [`Bucket::check_schema`].
#[derive(Debug, Clone, Copy)]
#[must_use = "nothing is checked before `now` or `replay`"]
pub struct CheckSchema<'a> {
    bucket: &'a Bucket,
    schema: &'a Schema,
}

impl CheckSchema<'_> {
    /// What is wrong with the values that the bucket holds now.
    ///
    /// # Errors
    /// [`CheckError`] when the bucket cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn now(self) -> Result<Verdict, CheckError> {
        Prefix::new(&self.schema.prefix)?;
        let mut filters = self.schema.filters();
        // What stands there without a layer is told of, where nobody reads it.
        let bare = Prefix::new(&self.schema.prefix).map(crate::Filter::from)?;
        if !self.schema.prefix.is_empty() && !filters.iter().any(|filter| filter.overlaps(&bare)) {
            filters.push(bare);
        }
        let reading = read_latest(&*self.bucket.store, &filters).await?;
        Ok(self.schema.judge(&reading.entries))
    }

    /// What would have been wrong with every state that the bucket still knows, one for each change set.
    ///
    /// What a change does not touch is not read again, so it costs about what reading the entries costs.
    ///
    /// # Errors
    /// [`CheckError`] when the bucket cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn replay(self) -> Result<Replay, CheckError> {
        Prefix::new(&self.schema.prefix)?;
        let tape = tape(&*self.bucket.store, &self.schema.filters()).await?;
        let table = Table::new(self.schema);
        let mut trial = Trial {
            schema: self.schema,
            table: &table,
            newest: BTreeMap::new(),
            wrong: BTreeMap::new(),
            having: BTreeMap::new(),
        };
        trial.start();
        let play = Play {
            name: self.schema.name.clone().into(),
            bucket: self.bucket.name().to_owned(),
            is_field: &|entry| {
                let place = self.schema.place(entry.key().as_str());
                place.is_some_and(|(_, key)| table.target(key).is_some())
            },
        };
        Ok(tape.play_with(play, &mut |entries| trial.step(entries)))
    }
}

/// A setting in a layer; the layer has no name where there are none.
type Owner = (String, String);

/// A state that changes, and what is wrong with it by layer and setting.
struct Trial<'a> {
    schema: &'a Schema,
    table: &'a Table<'a>,
    /// Each with its own keys: what one has does not concern another.
    newest: BTreeMap<Owner, BTreeMap<String, Arc<Entry>>>,
    wrong: BTreeMap<Owner, Vec<Problem>>,
    /// The layers that have a value of a setting, where there are layers.
    having: BTreeMap<String, BTreeSet<String>>,
}

impl Trial<'_> {
    /// Of an empty bucket: what is required is missing.
    fn start(&mut self) {
        if self.schema.layers.is_empty() {
            for setting in &self.schema.settings {
                self.read(&(String::new(), setting.key.clone()));
            }
        }
    }

    fn step(&mut self, entries: &[Arc<Entry>]) -> Vec<Problem> {
        let mut touched = BTreeSet::new();
        for entry in entries {
            let Some((layer, key)) = self.schema.place(entry.key().as_str()) else { continue };
            if self.table.target(key).is_none() {
                continue;
            }
            let owner = (layer.to_owned(), self.table.touched(key));
            self.newest.entry(owner.clone()).or_default().insert(key.to_owned(), Arc::clone(entry));
            touched.insert(owner);
        }
        for owner in &touched {
            self.read(owner);
        }
        let mut problems: Vec<Problem> = self.wrong.values().flatten().cloned().collect();
        problems.extend(self.missing());
        in_order(&mut problems);
        problems
    }

    fn read(&mut self, owner: &Owner) {
        let (layer, setting) = owner;
        let found = self.newest.get(owner).into_iter().flat_map(BTreeMap::values);
        let has_value = found.clone().any(|entry| !entry.operation().is_removal());
        let place = match self.schema.layers.is_empty() {
            true => Place::whole(self.schema),
            false => Place::layer(self.schema, layer),
        };
        let mut problems =
            self.schema.judge_setting(self.table, &place, setting, found.map(|entry| &**entry));
        problems.retain(|problem| !problem.kind.is_warning());
        if problems.is_empty() {
            self.wrong.remove(owner);
        } else {
            self.wrong.insert(owner.clone(), problems);
        }
        let having = self.having.entry(setting.clone()).or_default();
        if has_value {
            having.insert(layer.clone());
        } else {
            having.remove(layer);
        }
    }

    /// What is required and stands in no layer; without layers that is among what is wrong already.
    fn missing(&self) -> Vec<Problem> {
        if self.schema.layers.is_empty() {
            return Vec::new();
        }
        let is_missing = |setting: &&Setting| {
            setting.presence == Presence::Required
                && !setting.entries
                && self.having.get(&setting.key).is_none_or(BTreeSet::is_empty)
        };
        self.schema.settings.iter().filter(is_missing).map(|setting| missing(self.schema, setting)).collect()
    }
}
