//! Changing plain keys with a plan: for tools that know no struct.
//!
//! As a plan of a struct it says what would be written and names the revision of each key that it is based on. Nobody here
//! knows what values mean; whoever does adds a report, and the commit is refused.

mod commit;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use derive_more::{Display, Error, From};

pub use commit::PlainCommit;
pub use plan::{PlainChange, PlainPlan};

use crate::bucket::disjoint;
use crate::store::{Point, Reading, Store};
use crate::{Bucket, Entry, Filter, IntoFilters, Key, KeyError, ReadError};

/// Up to how many keys are asked for by name in one request: what a server answers for at once.
const MOST_BY_NAME: usize = 1_000;

/// Why there is no plan for plain keys. Nothing was written.
#[derive(Debug, Clone, Display, Error, From)]
#[non_exhaustive]
pub enum PlainPlanError {
    /// A text is no key or filter; nothing was read.
    #[display("invalid name")]
    Name(KeyError),
    /// Keys below `_kvconf.` belong to kvconf.
    #[display("{key} belongs to kvconf, as all keys below _kvconf")]
    #[from(ignore)]
    Reserved {
        /// The key.
        #[error(not(source))]
        key: Key,
    },
    /// What stands there cannot be read.
    #[display("what stands there cannot be read")]
    Read(ReadError),
}

impl Bucket {
    /// Begins a set of changes of plain keys, to be planned and committed together.
    ///
    /// For tools: a service changes its own settings with [`Live::edit`](crate::Live::edit), which checks them. Here nobody
    /// knows what values mean; see [`PlainPlan::object`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// bucket.put("app.port", "8080").await?;
    /// let plan = bucket.edit().set("app.host", "localhost").set("app.port", "9090").show_values().plan().await?;
    /// assert_eq!(plan.to_string(), "app.host: (none) → `localhost`\napp.port: 8080 → 9090");
    ///
    /// let applied = plan.commit().author("ops").reason("move").await?;
    /// assert_eq!(applied.written().len(), 2);
    /// assert_eq!(bucket.get("app.port").await?.as_deref(), Some(&b"9090"[..]));
    /// # Ok(()) }
    /// ```
    pub fn edit(&self) -> PlainEdit {
        PlainEdit {
            store: Arc::clone(&self.store),
            wanted: BTreeMap::new(),
            exact: Vec::new(),
            kept: HashSet::new(),
            mistake: None,
            shows_values: false,
        }
    }
}

/// A set of changes of plain keys to be planned. From [`Bucket::edit`].
#[must_use = "nothing is planned before `plan`"]
pub struct PlainEdit {
    store: Arc<dyn Store>,
    wanted: BTreeMap<Key, Option<Bytes>>,
    /// Where everything that is not set is removed.
    exact: Vec<Filter>,
    /// What stays there all the same.
    kept: HashSet<Key>,
    /// The first thing that was wrong.
    mistake: Option<PlainPlanError>,
    shows_values: bool,
}

impl std::fmt::Debug for PlainEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainEdit")
            .field("keys", &self.wanted.keys().collect::<Vec<_>>())
            .field("exact", &self.exact)
            .finish_non_exhaustive()
    }
}

impl PlainEdit {
    /// Sets a key. Of several wishes for one key the last counts.
    pub fn set<K>(self, key: K, value: impl Into<Bytes>) -> Self
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        self.wish(key, Some(value.into()))
    }

    /// Deletes a key. Its earlier revisions are kept.
    pub fn unset<K>(self, key: K) -> Self
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        self.wish(key, None)
    }

    /// Deletes every key that the filters ask for and that this edit does not set, whenever it was or will be called. Keys
    /// below `_kvconf.` stay.
    ///
    /// The commit then conflicts when any key under one of these filters is changed or added meanwhile.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// bucket.put("app.old", "1").await?;
    /// bucket.put("app.port", "8080").await?;
    /// let plan = bucket.edit().set("app.port", "8080").unset_others("app.>").plan().await?;
    /// assert_eq!(plan.changes().map(|change| change.key().as_str()).collect::<Vec<_>>(), ["app.old"]);
    /// # Ok(()) }
    /// ```
    pub fn unset_others(mut self, filters: impl IntoFilters) -> Self {
        match filters.into_filters() {
            Ok(filters) => self.exact.extend(filters),
            Err(error) => self.mistake = self.mistake.or(Some(error.into())),
        }
        self
    }

    /// Leaves a key as it is, also where [`PlainEdit::unset_others`] removes what is not set.
    pub fn keep(mut self, key: Key) -> Self {
        self.kept.insert(key);
        self
    }

    /// Shows values in the plan, secret ones too: among plain keys nobody knows which they are.
    pub fn show_values(mut self) -> Self {
        self.shows_values = true;
        self
    }

    fn wish<K>(mut self, key: K, value: Option<Bytes>) -> Self
    where
        K: TryInto<Key, Error: Into<KeyError>>,
    {
        let mistake = match key.try_into().map_err(Into::into) {
            Ok(key) if key.is_reserved() => PlainPlanError::Reserved { key },
            Ok(key) => {
                self.wanted.insert(key, value);
                return self;
            }
            Err(error) => error.into(),
        };
        self.mistake = self.mistake.or(Some(mistake));
        self
    }

    /// Reads what stands there and works out what is to be written. Writes nothing.
    ///
    /// Up to 1 000 keys are read as of one moment, any number under a filter of [`PlainEdit::unset_others`]. Keys beyond
    /// are read portion by portion; each is still written on condition that it stands as it was read.
    ///
    /// # Errors
    /// [`PlainPlanError`].
    ///
    /// # Cancel safety
    /// Dropping the future does nothing.
    pub async fn plan(self) -> Result<PlainPlan, PlainPlanError> {
        let Self { store, mut wanted, exact, kept, mistake, shows_values } = self;
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        let exact = if exact.is_empty() { exact } else { disjoint(exact)? };
        let mut present: BTreeMap<Key, Entry> = BTreeMap::new();
        let mut guards = Vec::with_capacity(exact.len());
        for filter in exact {
            let reading = store.read(std::slice::from_ref(&filter), Point::Latest).await?;
            let tail = reading.entries.last().map(Entry::revision).unwrap_or_default();
            take_in(&mut present, reading);
            guards.push((filter, tail));
        }
        for (key, entry) in &present {
            if entry.put_value().is_some() && !key.is_reserved() && !kept.contains(key) {
                wanted.entry(key.clone()).or_insert(None);
            }
        }
        let is_read = |key: &Key| guards.iter().any(|(filter, _)| filter.matches(key));
        let by_name: Vec<Filter> = wanted.keys().filter(|key| !is_read(key)).map(Filter::from).collect();
        for portion in by_name.chunks(MOST_BY_NAME) {
            match portion {
                // One key needs less permission by itself.
                [only] => {
                    let Some(key) = only.as_key() else { continue };
                    let entry = store.entry(&key, None).await?;
                    present.extend(entry.map(|entry| (key, entry)));
                }
                portion => take_in(&mut present, store.read(portion, Point::Latest).await?),
            }
        }
        Ok(PlainPlan::new(store, wanted, present, guards, shows_values))
    }
}

fn take_in(present: &mut BTreeMap<Key, Entry>, reading: Reading) {
    present.extend(reading.entries.into_iter().map(|entry| (entry.key().clone(), entry)));
}
