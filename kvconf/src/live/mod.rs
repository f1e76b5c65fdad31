//! A struct that stays live.

mod builder;
mod changes;
#[cfg(feature = "files")]
mod files;
mod guarded;
mod health;
mod hooks;
mod keep;
mod meter;
mod observer;
mod overrides;
#[cfg(feature = "fleet")]
mod participant;
mod reader;
mod start;
mod task;
#[cfg(test)]
mod tests;
mod told;
mod wait;

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use builder::LiveBuilder;
pub use changes::{Changed, Changes};
pub(crate) use guarded::lock;
pub use health::{Health, Readiness};
pub use hooks::Hook;
pub(crate) use observer::{Environment, table_of};
pub use overrides::{OverrideError, OverrideGuard, Overrides};
pub use reader::Reader;
pub use start::{StartError, Tried};
pub use wait::WaitError;

use crate::schema::{Field, KvConfig};
use crate::store::Store;
use crate::view::{Explanation, Table, View};
use crate::watch::{Attachment, WatchState};
use crate::{Origin, Prefix, Revision, Snapshot};
use guarded::Guarded;
use health::Condition;
use told::Told;

/// How far a handle is. Every change of it wakes those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Everything up to here was looked at.
    pub(crate) seen: Revision,
    pub(crate) epoch: u64,
    /// Counts snapshots.
    pub(crate) snapshots: u64,
}

/// What all clones of a handle share.
pub(crate) struct Shared<T> {
    pub(crate) current: Arc<ArcSwap<Snapshot<T>>>,
    /// The program's own code runs while it is locked: whoever can be called by that looks at `told` or `table`, or asks first.
    pub(crate) view: Guarded<View<T>>,
    /// What is told of the view.
    told: Mutex<Told>,
    /// The view's, which never changes.
    pub(crate) table: Arc<Table>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) condition: watch::Sender<Condition>,
    /// `None` for a fixed handle.
    pub(crate) store: Option<Arc<dyn Store>>,
    /// The newest revision that was written through this handle.
    pub(crate) written: Arc<AtomicU64>,
    hooks: hooks::Hooks<T>,
    meter: meter::Meter,
    attachment: Mutex<Option<Attachment>>,
    /// What makes the handle answer questions.
    #[cfg(feature = "fleet")]
    membership: Mutex<Option<crate::instance::Membership>>,
    /// Ends the tasks of this handle.
    ended: CancellationToken,
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// A handle to a struct whose values follow the bucket. Cloning is cheap; all clones see the same snapshots.
///
/// Reading never waits and never allocates. Dropping the last clone ends the handle's share in the bucket's watch.
///
/// ```
/// use kvconf::{Bucket, KvConfig};
///
/// #[derive(KvConfig, Debug, Clone)]
/// #[kv(prefix = "checkout")]
/// struct Checkout {
///     #[kv(default = 50, range(1..=500))]
///     max_items: u32,
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bucket = Bucket::memory();
/// let live = bucket.live::<Checkout>().start().await?;
/// assert_eq!(live.load().max_items, 50);
///
/// let revision = bucket.put("checkout.max_items", "60").await?;
/// live.wait_for(revision).await?;
/// assert_eq!(live.load().max_items, 60);
/// # Ok(()) }
/// ```
pub struct Live<T: KvConfig> {
    pub(crate) shared: Arc<Shared<T>>,
}

impl<T: KvConfig> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// A borrowed snapshot: dereferences to [`Snapshot`], and through it to the struct.
///
/// Meant to be held for a moment. Hold [`Live::snapshot`] for longer, or across an `.await`.
pub struct Guard<T> {
    inner: arc_swap::Guard<Arc<Snapshot<T>>>,
}

impl<T> Deref for Guard<T> {
    type Target = Snapshot<T>;
    #[inline]
    fn deref(&self) -> &Snapshot<T> {
        &self.inner
    }
}

impl<T: fmt::Debug> fmt::Debug for Guard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: KvConfig> Shared<T> {
    pub(crate) fn new(view: View<T>, store: Option<Arc<dyn Store>>, state: WatchState) -> Self {
        let progress = Progress { seen: view.seen, epoch: view.epoch, snapshots: 0 };
        let meter = meter::Meter::new(&view, &state);
        Self {
            current: Arc::new(ArcSwap::new(Arc::clone(&view.snapshot))),
            condition: watch::Sender::new(Condition::new(state, view.report.clone())),
            progress: watch::Sender::new(progress),
            told: Mutex::new(Told::of(&view)),
            table: Arc::clone(&view.table),
            view: Guarded::new(view),
            store,
            written: Arc::default(),
            hooks: hooks::Hooks::default(),
            meter,
            attachment: Mutex::new(None),
            #[cfg(feature = "fleet")]
            membership: Mutex::new(None),
            ended: CancellationToken::new(),
        }
    }

    #[cfg(feature = "fleet")]
    fn join(&self, membership: crate::instance::Membership) {
        *lock(&self.membership) = Some(membership);
    }

    fn attach(&self, attachment: Attachment) {
        *lock(&self.attachment) = Some(attachment);
    }
}

impl<T: KvConfig> Live<T> {
    pub(crate) fn from_shared(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// A handle with a fixed value and no bucket, for tests. It needs no runtime. [`Live::set_fixed`] changes the value.
    #[must_use]
    pub fn fixed(value: T) -> Self {
        let view = View::fixed(Arc::new(Table::new::<T>(&|_| None)), value);
        Self::from_shared(Arc::new(Shared::new(view, None, WatchState::Live)))
    }

    /// Gives a [`Live::fixed`] handle another value; readers, hooks and streams see it as they would see a change of the
    /// bucket. Does nothing, and answers `false`, for a handle with a bucket, and when it is called while the handle is being
    /// changed, by what that calls.
    pub fn set_fixed(&self, value: T) -> bool {
        if self.shared.store.is_some() || self.shared.view.is_mine() {
            return false;
        }
        let mut view = lock(&self.shared.view);
        let revision = view.seen.next();
        view.replace(value, revision);
        lock(&self.shared.told).renew(&view);
        self.shared.publish(&view);
        true
    }

    /// Borrows the newest snapshot. Wait-free, allocation-free, a few nanoseconds.
    #[inline]
    #[must_use]
    pub fn load(&self) -> Guard<T> {
        Guard { inner: self.shared.current.load() }
    }

    /// The newest snapshot, to be kept.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot<T>> {
        self.shared.current.load_full()
    }

    /// A reader for one thread or task that keeps the snapshot at hand: about the price of a plain reference.
    #[must_use]
    pub fn reader(&self) -> Reader<T> {
        Reader::new(Arc::clone(&self.shared.current))
    }

    /// Every source's answer for one field, and which one wins. Secrets are masked.
    ///
    /// Asked by code that is called to judge a change of this very handle (`validate`, a codec) it names no source: which ones
    /// count is being decided.
    pub fn explain<V>(&self, field: Field<T, V>) -> Explanation {
        if self.shared.view.is_mine() {
            let key = self.shared.table.slot_at(field.path()).map(|(_, slot)| slot.key.as_str());
            let key =
                key.map_or_else(|| self.prefix().to_string(), |key| self.shared.table.layers.field_key(key));
            return Explanation { key, sources: Vec::new() };
        }
        let explained = lock(&self.shared.view).explain(field.path());
        explained.unwrap_or_else(|| Explanation { key: self.prefix().to_string(), sources: Vec::new() })
    }

    /// Where a field's value comes from. `None` for a map with one key per entry, whose entries come from different places:
    /// [`Live::explain`] tells of each. `None`, too, for code that is called to judge a change of this very handle.
    #[must_use]
    pub fn origin<V>(&self, field: Field<T, V>) -> Option<Origin> {
        // A fixed value stands in no source.
        if self.shared.store.is_none() {
            return Some(Origin::Default);
        }
        if self.shared.view.is_mine() {
            return None;
        }
        lock(&self.shared.view).origin(field.path())
    }

    /// The prefix under which the struct's keys stand, in each of its layers if there are any.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        self.shared.table.layers.prefix().clone()
    }

    /// The layers of the bucket that it reads, from general to specific; none for a handle without layers.
    #[must_use]
    pub fn layers(&self) -> Vec<String> {
        self.shared.table.layers.names().map(ToString::to_string).collect()
    }

    /// Ends this handle and all its clones: no further change arrives, streams end, hooks are not called any more.
    /// Snapshots stay readable.
    pub fn stop(&self) {
        drop(lock(&self.shared.attachment).take());
        #[cfg(feature = "fleet")]
        drop(lock(&self.shared.membership).take());
        self.shared.ended.cancel();
        // Streams wait for this alone.
        self.shared.progress.send_modify(|_| {});
        self.shared.condition.send_modify(|condition| {
            condition.enter(WatchState::Stopped);
        });
    }
}

impl<T: KvConfig + fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("snapshot", &*self.load()).finish_non_exhaustive()
    }
}
