//! What a handle can be asked about the past.

use std::sync::Arc;
use std::time::SystemTime;

use super::at::keys_at;
use super::diff::Diff;
use super::error::{LogError, PastError};
use super::fields::{FieldHistory, filters_of, read_field};
use super::log::Shown;
use super::moment::Wanted;
use super::pages::LogRequest;
use super::past::{Frame, Past};
use super::walk::LogSource;
use crate::retention::{Retention, may_begin};
use crate::schema::{Field, KvConfig};
use crate::store::{Point, ReadError, Store};
use crate::{Filter, Live, Revision};

impl<T: KvConfig> Live<T> {
    /// The struct's change sets, in all its layers, newest first: who, when, why, and what. From the entries that the bucket keeps, so those
    /// of other clients are in it too.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let live = Bucket::memory().live::<Checkout>().start().await?;
    /// live.update(|checkout| checkout.max_items = 80).author("ops").reason("sale").await?;
    /// for change in live.log().await? {
    ///     println!("{change}");
    ///     assert_eq!((change.author(), change.reason()), (Some("ops"), Some("sale")));
    /// }
    /// # Ok(()) }
    /// ```
    pub fn log(&self) -> LogRequest {
        let source = self.frame().zip(self.shared.store.clone()).map(|(frame, store)| {
            let prefixes = frame.table.layers.prefixes();
            let filters = prefixes.iter().map(Filter::from).collect();
            LogSource::new(store, filters, Shown::Fields(frame.table))
        });
        LogRequest::new(source.ok_or(LogError::Fixed))
    }

    /// All that the bucket keeps of one field, in all layers, newest first: values with their types, removals, and what today's type
    /// refuses. What stands under older names of the field ([`alias`](macro@crate::KvConfig)) is part of it.
    ///
    /// ```
    /// # use kvconf::{Bucket, FieldState, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50, range(1..=500))] max_items: u32 }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// # let live = bucket.live::<Checkout>().start().await?;
    /// bucket.put("checkout.max_items", "80").await?;
    /// bucket.put("checkout.max_items", "many").await?;
    /// let history = live.history(Checkout::fields().max_items).await?;
    /// let states: Vec<_> = history.iter().map(|revision| &revision.state).collect();
    /// assert!(matches!(states[..], [FieldState::Rejected(_), FieldState::Value(80)]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`LogError::Read`] when the bucket cannot be read, [`LogError::Fixed`] for a handle without one.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn history<V: Clone + 'static>(&self, field: Field<T, V>) -> Result<FieldHistory<V>, LogError> {
        let (store, frame) = self.shared.store.clone().zip(self.frame()).ok_or(LogError::Fixed)?;
        let Some((_, slot)) = frame.table.slot_at(field.path()) else {
            return Ok(FieldHistory::empty());
        };
        let filters = filters_of(&frame, slot)?;
        let entries = store.history(&filters).await?;
        let retention = if may_begin(&entries) {
            match store.kept(&filters).await {
                Ok(kept) => Retention::of(&kept),
                Err(ReadError::NotPermitted { .. } | ReadError::Timeout { .. }) => Retention::UNKNOWN,
                Err(error) => return Err(error.into()),
            }
        } else {
            Retention::UNKNOWN
        };
        Ok(read_field(entries, (&frame, slot), T::clone(&self.load()), retention))
    }

    /// The whole struct as it was right after a revision, read with today's type; the state before the change set where
    /// the revision lies within one ([`Past::revision`]).
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let live = Bucket::memory().live::<Checkout>().start().await?;
    /// let applied = live.update(|checkout| checkout.max_items = 80).author("ops").await?;
    /// let then = live.at(applied.revision() - 1).await?;
    /// assert_eq!(then.max_items, 50);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`PastError::Lost`] with every key whose value of that moment is no longer kept, or may not be;
    /// [`PastError::OutOfRange`] for a revision to come and for one before all that is kept; [`PastError::Invalid`] with
    /// every problem when today's type refuses the values.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn at(&self, revision: Revision) -> Result<Past<T>, PastError> {
        self.past(Point::Revision(revision)).await
    }

    /// The whole struct as it was at a time, by the server's clock.
    ///
    /// # Errors
    /// As [`Live::at`]; [`PastError::OutOfTime`] for a time to come and for one before the bucket was made.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn at_time(&self, time: SystemTime) -> Result<Past<T>, PastError> {
        self.past(Point::Time(time)).await
    }

    /// What differs between two moments: a revision, a time, or [`Point::Latest`].
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig, Point, Revision};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32, region: Option<String> }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let live = Bucket::memory().live::<Checkout>().start().await?;
    /// let fields = Checkout::fields();
    /// live.edit().set(fields.max_items, 80).set(fields.region, Some("eu".into())).plan().await?.commit().await?;
    /// let diff = live.diff(Revision::ZERO, Point::Latest).await?;
    /// assert_eq!(diff.to_string(), "checkout.max_items  50     → 80\ncheckout.region     (none) → `eu`");
    /// assert_eq!((diff.before(fields.max_items), diff.after(fields.max_items)), (Ok(50), Ok(80)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Live::at`], except that values which today's type refuses are no error: they are shown as they stand.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn diff(&self, from: impl Into<Point>, to: impl Into<Point>) -> Result<Diff<T>, PastError> {
        let (from, to) = (from.into(), to.into());
        let (store, frame) = self.shared.store.clone().zip(self.frame()).ok_or(PastError::Fixed)?;
        let wanted = Wanted::Fields(&frame.table);
        let (store, prefixes): (&dyn Store, _) = (&*store, frame.table.layers.prefixes());
        let from = keys_at(store, &prefixes, from, wanted).await?.complete(&frame.bucket)?;
        let to = keys_at(store, &prefixes, to, wanted).await?.complete(&frame.bucket)?;
        Ok(Diff::new(from, to, frame, self.snapshot()))
    }

    async fn past(&self, point: Point) -> Result<Past<T>, PastError> {
        let (store, frame) = self.shared.store.clone().zip(self.frame()).ok_or(PastError::Fixed)?;
        let prefixes = frame.table.layers.prefixes();
        let keys = keys_at(&*store, &prefixes, point, Wanted::Fields(&frame.table)).await?;
        Past::new(keys, point, frame, Some(self.load().revision()))
    }

    /// The eyes with which this handle looks at its bucket; `None` for a fixed handle.
    pub(crate) fn frame(&self) -> Option<Frame> {
        let bucket = self.shared.store.as_ref()?.name().to_owned();
        Some(Frame { table: Arc::clone(&self.shared.table), bucket })
    }
}
