//! What a bucket can be asked without a handle.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;

use super::at::{KeysAt, keys_at};
use super::error::{CheckError, LogError, PastError};
use super::key_diff::KeyDiffs;
use super::log::{Shown, sets};
use super::moment::Wanted;
use super::pages::LogRequest;
use super::past::{Frame, update_of};
use super::replay::{Replay, Tape};
use super::walk::LogSource;
use crate::bucket::disjoint;
use crate::layer::Layers;
use crate::live::{Environment, table_of};
use crate::retention::Retention;
use crate::schema::KvConfig;
use crate::seal::Seals;
use crate::store::{Point, ReadError, Store};
use crate::view::View;
use crate::{Bucket, Entry, Filter, IntoFilters, KeyError, Prefix, Report, Revision};

impl Bucket {
    /// The change sets under a prefix, newest first; the empty prefix is the whole bucket.
    ///
    /// As [`Live::log`](crate::Live::log), for keys of whatever program. Nobody says here which of them are secret, so it
    /// shows sizes, unless [`LogRequest::show_values`] asks for more.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// bucket.put("app.port", "8080").await?;
    /// bucket.delete("app.port").await?;
    /// let log = bucket.log("app").show_values().await?;
    /// let keys: Vec<String> = log.iter().flat_map(|change| change.keys()).map(|key| format!("{} → {}", key.before, key.after)).collect();
    /// assert_eq!(keys, ["8080 → (deleted)", "(none) → 8080"]);
    /// # Ok(()) }
    /// ```
    pub fn log<P>(&self, prefix: P) -> LogRequest
    where
        P: TryInto<Prefix, Error: Into<KeyError>>,
    {
        let prefix = prefix.try_into().map_err(|error| LogError::Prefix(error.into()));
        let source =
            |prefix| LogSource::new(Arc::clone(&self.store), vec![Filter::from(prefix)], Shown::Sizes);
        LogRequest::new(prefix.map(source))
    }

    /// As [`Bucket::log`], of the keys that filters ask for: some keys by name, or a prefix in several layers.
    ///
    /// How many keys of a change set are no longer kept ([`LoggedChange::missing`](crate::LoggedChange::missing)) is told of
    /// those below a prefix.
    ///
    /// ```
    /// # use kvconf::{Bucket, Filter, Key};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// bucket.put("base.app.port", "8080").await?;
    /// bucket.put("env.prod.app.port", "8081").await?;
    /// bucket.put("host.web-1.app.port", "8082").await?;
    /// let log = bucket.log_of(["base.app.>", "env.prod.app.port"]).show_values().await?;
    /// let keys: Vec<&str> = log.iter().flat_map(|change| change.keys()).map(|key| key.key().as_str()).collect();
    /// assert_eq!(keys, ["env.prod.app.port", "base.app.port"]);
    /// # Ok(()) }
    /// ```
    ///
    /// The request gives [`LogError::Read`] for filters that are not valid, overlap or are none.
    pub fn log_of(&self, filters: impl IntoFilters) -> LogRequest {
        let filters = disjoint(filters).map_err(LogError::Read);
        let source = |filters| LogSource::new(Arc::clone(&self.store), filters, Shown::Sizes);
        LogRequest::new(filters.map(source))
    }

    /// What differs between two moments, key by key: each a revision, a time, or [`Point::Latest`].
    ///
    /// It costs what has changed since the earlier moment, and the names of the keys; only some values are held at a time.
    /// What only kvconf itself needs is left out.
    ///
    /// ```
    /// # use kvconf::{Bucket, Point};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let then = bucket.put("app.port", "8080").await?;
    /// bucket.put("app.port", "8081").await?;
    /// bucket.put("app.host", "localhost").await?;
    ///
    /// let mut differences = bucket.diff("app.>", then, Point::Latest).await?;
    /// let mut told = Vec::new();
    /// while let Some(difference) = differences.next().await? {
    ///     let text = |value: Option<&bytes::Bytes>| value.map(|value| String::from_utf8_lossy(value).into_owned());
    ///     told.push((difference.key().to_string(), text(difference.before()), text(difference.after())));
    /// }
    /// let (host, port) = (Some("localhost".to_owned()), Some("8081".to_owned()));
    /// assert_eq!(told, [("app.host".to_owned(), None, host), ("app.port".to_owned(), Some("8080".to_owned()), port)]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Bucket::at`], for the earlier moment; [`PastError::Read`] for filters that are not valid, overlap or are none.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn diff(
        &self,
        filters: impl IntoFilters,
        from: impl Into<Point>,
        to: impl Into<Point>,
    ) -> Result<KeyDiffs, PastError> {
        let filters = disjoint(filters)?;
        KeyDiffs::open(Arc::clone(&self.store), filters, from.into(), to.into()).await
    }

    /// The newest entry of each key under a prefix at a moment: a revision, a time, or [`Point::Latest`].
    ///
    /// Other than [`Bucket::read_at`] it never passes off as absent what is no longer kept, and never ends in the middle
    /// of a change set: where the moment lies within one, it is the state before it.
    ///
    /// ```
    /// # use kvconf::{Bucket, BucketConfig, PastError};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config = BucketConfig::new("prod");
    /// config.history = Some(2);
    /// let bucket = Bucket::memory_with(config)?;
    /// let host = bucket.put("app.host", "localhost").await?;
    /// for port in ["8080", "8081", "8082"] {
    ///     bucket.put("app.port", port).await?;
    /// }
    /// let error = bucket.at("app", host).await.expect_err("the first port is gone");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "what stood at revision 1 is no longer kept: app.port (known from revision 3 on)"
    /// );
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Live::at`](crate::Live::at); [`PastError::Prefix`] for a text that is no prefix.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn at<P>(&self, prefix: P, point: impl Into<Point>) -> Result<PastKeys, PastError>
    where
        P: TryInto<Prefix, Error: Into<KeyError>>,
    {
        let prefix = prefix.try_into().map_err(|error| PastError::Prefix(error.into()))?;
        let keys =
            keys_at(&*self.store, std::slice::from_ref(&prefix), point.into(), Wanted::Everything).await?;
        let KeysAt { entries, revision, .. } = keys.complete(self.name())?;
        Ok(PastKeys { entries, revision })
    }

    /// Begins to hold a build against what the bucket holds and held, without starting a handle: for a test before a
    /// deployment.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
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
    /// assert!(bucket.check::<Checkout>().now().await?.would_start());
    ///
    /// let replay = bucket.check::<Checkout>().replay().await?;
    /// assert_eq!(replay.states, 2);
    /// assert_eq!(replay.rejected[0].report.problems[0].to_string(), "checkout.max_items: 9999 is outside 1..=500");
    /// # Ok(()) }
    /// ```
    pub fn check<T: KvConfig>(&self) -> Check<T> {
        Check {
            bucket: self.clone(),
            prefix: None,
            layers: None,
            environment: Environment::Read,
            seals: Seals::default(),
            marker: PhantomData,
        }
    }
}

/// Plain keys as they were at one moment. From [`Bucket::at`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastKeys {
    entries: Vec<Arc<Entry>>,
    revision: Revision,
}

impl PastKeys {
    /// The revision whose state this is: the one that was asked for, or the one before the change set that it lies in.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The newest entry of each key, markers of removals included, in the order in which they were written.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|entry| &**entry)
    }

    /// The value of a key, when it had one. Looks through all entries.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Bytes> {
        self.entries().find(|entry| entry.key().as_str() == key)?.put_value()
    }
}

/// A build to be held against a bucket. From [`Bucket::check`].
#[must_use = "nothing is checked before `now` or `replay`"]
pub struct Check<T> {
    bucket: Bucket,
    prefix: Option<String>,
    layers: Option<Vec<String>>,
    environment: Environment,
    seals: Seals,
    marker: PhantomData<fn() -> T>,
}

impl<T: KvConfig> Check<T> {
    /// Reads the keys under this prefix instead of the one that the struct names.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Reads the keys in these layers of the bucket, from general to specific, as
    /// [`LiveBuilder::layers`](crate::LiveBuilder::layers).
    pub fn layers<L: Into<String>>(mut self, layers: impl IntoIterator<Item = L>) -> Self {
        self.layers = Some(layers.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves environment variables alone: for a test that runs somewhere else than the service.
    pub const fn without_environment(mut self) -> Self {
        self.environment = Environment::Ignored;
        self
    }

    /// Opens sealed secrets with these keys.
    #[cfg(feature = "seal")]
    pub fn keyring(mut self, keyring: crate::seal::Keyring) -> Self {
        self.seals.ring = Some(keyring);
        self
    }

    fn frame(&self) -> Result<Frame, CheckError> {
        let prefix = self.prefix.as_deref().or(T::__SCHEMA.prefix).unwrap_or_default();
        let prefix = Prefix::new(prefix)?;
        let layers = match &self.layers {
            Some(names) => Layers::new(prefix, names)?,
            None => Layers::none(prefix),
        };
        let table = table_of::<T>(self.environment, self.seals.clone(), None, layers);
        Ok(Frame { table, bucket: self.bucket.name().to_owned() })
    }

    /// Whether this build would start on the bucket as it is now: every problem if not. No watch is started.
    ///
    /// # Errors
    /// [`CheckError`] when the bucket cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn now(&self) -> Result<Checked, CheckError> {
        let frame = self.frame()?;
        let wanted = Wanted::Fields(&frame.table);
        let prefixes = frame.table.layers.prefixes();
        let keys = keys_at(&*self.bucket.store, &prefixes, Point::Latest, wanted).await.map_err(unread)?;
        let view = View::<T>::start(Arc::clone(&frame.table), &frame.bucket, &update_of(&keys));
        let report = view.map_or_else(Some, |view| view.report.map(Arc::unwrap_or_clone));
        Ok(Checked { revision: keys.revision, report })
    }

    /// What this build would have said to every state that the bucket still knows, one for each change set.
    ///
    /// Only what a change touches is decoded again, so it costs about what reading the entries costs, and one run of each
    /// `validate` for each change set.
    ///
    /// # Errors
    /// [`CheckError`] when the bucket cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn replay(&self) -> Result<Replay, CheckError> {
        let frame = self.frame()?;
        Ok(tape(&*self.bucket.store, &frame.table.layers.filters()).await?.play::<T>(&frame))
    }
}

/// All that a bucket still knows of some keys.
pub(crate) async fn tape(store: &dyn Store, filters: &[Filter]) -> Result<Tape, ReadError> {
    let entries = store.history(filters).await?;
    let kept = match store.kept(filters).await {
        Ok(kept) => Some(kept),
        Err(ReadError::NotPermitted { .. } | ReadError::Timeout { .. }) => None,
        Err(error) => return Err(error),
    };
    let own = entries.into_iter().filter(|entry| !entry.key().is_reserved()).map(Arc::new);
    Ok(Tape {
        sets: sets(own),
        retention: kept.as_ref().map_or(Retention::UNKNOWN, Retention::of),
        retained: kept.map(|kept| kept.entries).unwrap_or_default(),
    })
}

impl<T> fmt::Debug for Check<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Of the present only the reading itself can fail.
fn unread(error: PastError) -> CheckError {
    match error {
        PastError::Read(error) => CheckError::Read(error),
        other => CheckError::Read(ReadError::Answer { what: "the present state", found: other.to_string() }),
    }
}

/// Whether a build would start on a bucket as it is. From [`Check::now`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// The revision of the state that was looked at.
    pub revision: Revision,
    /// All that was found, warnings included; `None` when there is nothing to say.
    pub report: Option<Report>,
}

impl Checked {
    /// Whether a handle would start.
    #[must_use]
    pub fn would_start(&self) -> bool {
        self.report.as_ref().is_none_or(|report| !report.is_fatal())
    }
}

/// The report, or that nothing is wrong.
impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.report {
            Some(report) => report.fmt(f),
            None => write!(f, "nothing is wrong at revision {}", self.revision),
        }
    }
}
