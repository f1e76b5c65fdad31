//! A set of flags that stays live.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value as Json;

use super::set::FlagSet;
use crate::cache::Cache;
use crate::exposure::Exposure;
use crate::flag::{EvaluationContext, FlagError, FlagValue};
use crate::{
    Bucket, Changes, Guard, Health, Live, LiveBuilder, LogRequest, Past, PastError, Point, Prefix, Reader,
    Readiness, Revision, Rollback, Snapshot, StartError, WaitError,
};

/// How a set of flags is to start. From [`Bucket::flags`].
#[derive(Debug)]
#[must_use = "nothing happens before `start`"]
pub struct FlagsBuilder(LiveBuilder<FlagSet>);

impl Bucket {
    /// Begins a live handle of all flags under a prefix, by name: `bucket.flags("shop.flags").start().await?`.
    ///
    /// For providers, tools, and programs that do not know their flags beforehand; a program that does has them as
    /// [`Flag`](crate::Flag) in a struct, with their types checked when they arrive. The empty prefix is the whole bucket. See
    /// [`guide::flag_sets`](crate::guide::flag_sets) for what stands where.
    pub fn flags(&self, prefix: impl Into<String>) -> FlagsBuilder {
        FlagsBuilder(self.live().prefix(prefix))
    }
}

impl FlagsBuilder {
    /// How long to wait for the bucket's state; 10 s by default. As [`LiveBuilder::deadline`].
    pub fn deadline(self, deadline: Duration) -> Self {
        Self(self.0.deadline(deadline))
    }

    /// Keeps the last good set on disk, and starts from it where the bucket cannot be had. As [`LiveBuilder::cache`].
    pub fn cache(self, cache: Cache) -> Self {
        Self(self.0.cache(cache))
    }

    /// Starts without any flag where neither the bucket nor the cache has given a state in time: callers then get their
    /// defaults. As [`LiveBuilder::or_defaults`].
    pub fn or_empty(self) -> Self {
        Self(self.0.or_defaults())
    }

    /// Calls a function at every evaluation. As [`LiveBuilder::on_evaluation`]; also for flags that are not there.
    pub fn on_evaluation(self, function: impl Fn(&Exposure<'_>) + Send + Sync + 'static) -> Self {
        Self(self.0.on_evaluation(function))
    }

    /// Lets the handle answer those who ask the fleet. As [`LiveBuilder::instance`].
    #[cfg(feature = "fleet")]
    pub fn instance(self, instance: crate::fleet::Instance) -> Self {
        Self(self.0.instance(instance))
    }

    /// Loads the set and keeps it live. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// As [`LiveBuilder::start`]: [`StartError::Invalid`] with every problem of every flag when one of them cannot be used.
    ///
    /// # Cancel safety
    /// Dropping the future ends what was begun.
    pub async fn start(self) -> Result<Flags, StartError> {
        Ok(Flags { live: self.0.start().await? })
    }
}

/// A handle to all flags under a prefix, by name. Cloning is cheap; all clones see the same snapshots.
///
/// It is a [`Live`] handle of a [`FlagSet`], and holds what every handle does: one snapshot is one revision; a change set is
/// taken whole or not at all; a flag that cannot be used never reaches readers, who keep the last good one. A changed rule of
/// the set compiles the flags that use it anew, and only those.
///
/// ```
/// use kvconf::Bucket;
/// use kvconf::flag::{DynamicContext, Reason};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bucket = Bucket::memory();
/// let flags = bucket.flags("shop.flags").start().await?;
/// let visitor = DynamicContext::new().targeting_key("user-1");
/// assert_eq!(flags.get("new-cart", &visitor, false), false);
///
/// let revision = bucket.put("shop.flags.new-cart", "true").await?;
/// flags.wait_for(revision).await?;
/// let set = flags.load();
/// let detail = set.evaluate("new-cart", &visitor, false);
/// assert_eq!((detail.value, detail.reason, detail.revision), (true, Reason::Static, Some(revision)));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Flags {
    live: Live<FlagSet>,
}

impl Flags {
    /// A handle with a fixed set and no bucket, for tests. It needs no runtime. [`Self::set_fixed`] changes the set.
    #[must_use]
    pub fn fixed(set: FlagSet) -> Self {
        Self { live: Live::fixed(set) }
    }

    /// Gives a [`Self::fixed`] handle another set. Does nothing, and answers `false`, for a handle with a bucket.
    pub fn set_fixed(&self, set: FlagSet) -> bool {
        self.live.set_fixed(set)
    }

    /// A handle of its own, with the flags as they are now but for these, which always have these values: for a test.
    ///
    /// It has no bucket: nothing changes under the test, and what one test fixes no other sees, whatever threads they run
    /// in. Nobody is told of its evaluations.
    ///
    /// ```
    /// use kvconf::flag::DynamicContext;
    /// use kvconf::{FlagSet, Flags};
    ///
    /// let shared = Flags::fixed(FlagSet::fixed([("new-cart", false.into()), ("page-size", 20.into())])?);
    /// let mine = shared.overridden([("new-cart", true.into())])?;
    /// let visitor = DynamicContext::new();
    /// assert_eq!((mine.get("new-cart", &visitor, false), mine.get("page-size", &visitor, 0_i64)), (true, 20));
    /// assert_eq!(shared.get("new-cart", &visitor, false), false);
    /// # Ok::<(), kvconf::flag::FlagError>(())
    /// ```
    ///
    /// # Errors
    /// As [`FlagSet::fixed`].
    pub fn overridden<K: Into<String>>(
        &self,
        values: impl IntoIterator<Item = (K, Json)>,
    ) -> Result<Self, FlagError> {
        let mut set = self.load().value().clone();
        set.observers = None;
        set.with_fixed(values).map(Self::fixed)
    }

    /// The handle as that of a struct, with everything that such a handle has.
    #[must_use]
    pub const fn live(&self) -> &Live<FlagSet> {
        &self.live
    }

    /// Borrows the newest snapshot. Wait-free, allocation-free, a few nanoseconds. To evaluate several flags in one state,
    /// or with details.
    #[inline]
    #[must_use]
    pub fn load(&self) -> Guard<FlagSet> {
        self.live.load()
    }

    /// The newest snapshot, to be kept.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot<FlagSet>> {
        self.live.snapshot()
    }

    /// A reader for one thread or task. As [`Live::reader`].
    #[must_use]
    pub fn reader(&self) -> Reader<FlagSet> {
        self.live.reader()
    }

    /// What a context gets of the flag with this key now. As [`FlagSet::get`].
    #[inline]
    pub fn get<T: FlagValue>(&self, key: &str, context: &dyn EvaluationContext, default: T) -> T {
        self.live.load().get(key, context, default)
    }

    /// How the handle is now. As [`Live::health`].
    #[must_use]
    pub fn health(&self) -> Health {
        self.live.health()
    }

    /// What to answer a readiness probe. As [`Live::readiness`].
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.live.readiness()
    }

    /// Waits until the health fulfils a condition. As [`Live::wait_for_health`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn wait_for_health(&self, fulfilled: impl FnMut(&Health) -> bool) -> Health {
        self.live.wait_for_health(fulfilled).await
    }

    /// Waits until readers see the set as it stands at this revision or a later one. As [`Live::wait_for`].
    ///
    /// # Errors
    /// [`WaitError::Rejected`] when that change was looked at and rejected, [`WaitError::Stopped`] after [`Self::stop`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn wait_for(&self, revision: Revision) -> Result<(), WaitError> {
        self.live.wait_for(revision).await
    }

    /// A stream of coalesced changes. As [`Live::changes`]; [`Changed::fields`](crate::Changed::fields) names the flags.
    #[must_use]
    pub fn changes(&self) -> Changes<FlagSet> {
        self.live.changes()
    }

    /// The set's change sets, newest first. As [`Live::log`].
    pub fn log(&self) -> LogRequest {
        self.live.log()
    }

    /// The set as it was right after a revision: who got what then.
    ///
    /// ```
    /// # use kvconf::Bucket;
    /// # use kvconf::flag::DynamicContext;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// # let flags = bucket.flags("shop.flags").start().await?;
    /// let monday = bucket.put("shop.flags.greeting", "hello").await?;
    /// bucket.put("shop.flags.greeting", "goodbye").await?;
    /// let visitor = DynamicContext::new().targeting_key("user-1");
    /// let then = flags.at(monday).await?;
    /// assert_eq!(then.get("greeting", &visitor, String::new()), "hello");
    /// # Ok(()) }
    /// ```
    ///
    /// For a rule that asks for the time, [`FlagSet::evaluate_at`] takes that of then.
    ///
    /// # Errors
    /// As [`Live::at`]: what the bucket no longer keeps is named.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn at(&self, revision: Revision) -> Result<Past<FlagSet>, PastError> {
        self.live.at(revision).await
    }

    /// The set as it was at a time, by the server's clock. As [`Live::at_time`].
    ///
    /// # Errors
    /// As [`Live::at_time`].
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn at_time(&self, time: SystemTime) -> Result<Past<FlagSet>, PastError> {
        self.live.at_time(time).await
    }

    /// Takes the set back to what it was. As [`Live::rollback_to`].
    pub fn rollback_to(&self, point: impl Into<Point>) -> Rollback<FlagSet> {
        self.live.rollback_to(point)
    }

    /// The prefix under which the flags stand.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        self.live.prefix()
    }

    /// Ends this handle and all its clones. As [`Live::stop`].
    pub fn stop(&self) {
        self.live.stop();
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flags").field("snapshot", &*self.load()).finish_non_exhaustive()
    }
}
