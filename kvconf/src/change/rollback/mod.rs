//! Taking changes back: to what stood at a revision, or one change set out of the middle of history.
//!
//! History is never rewritten: what a rollback writes is a change set like any other, each of its keys on condition that
//! nobody has changed it since it was read. Values return byte for byte, under the keys under which they stood.
//!
//! `target` and `set` decide and are pure, as `change/parts.rs` is; `read` reads, `commit` writes; `scope` knows whom to ask
//! what values mean.

mod commit;
mod error;
mod plan;
mod read;
mod scope;
mod set;
mod target;

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use commit::RollbackCommit;
pub use error::{ChangedSince, RollbackError};
pub use plan::RollbackPlan;
pub use set::ChangeRef;

use crate::bucket::disjoint;
use crate::change::commit::{Applied, Terms, terms};
use crate::history::LostKey;
use crate::key::escape_segment;
use crate::schema::{EntryMap, Field, KvConfig};
use crate::{Bucket, Entry, IntoFilters, Key, Live, Point};
use commit::{Division, division};
use plan::Purpose;
use read::{OfChange, as_of, of_change};
use scope::{Plain, Scope, Struct};

/// Stands for a struct where a rollback is about plain keys: `Rollback<PlainKeys>`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PlainKeys;

/// What is to be taken back.
#[derive(Debug, Clone)]
enum Wanted {
    To(Point),
    Without(ChangeRef),
}

/// A rollback or a revert: planned by [`Rollback::plan`], or planned and made at once when it is awaited.
///
/// Of a struct (`Rollback<Checkout>`, from [`Live::rollback_to`] and [`Live::revert`]) or of plain
/// keys ([`Bucket::rollback_to`] and the like).
#[must_use = "nothing is planned before `plan`, and nothing is written before it is awaited"]
pub struct Rollback<S> {
    scope: Box<dyn Scope>,
    wanted: Wanted,
    terms: Terms,
    division: Division,
    marker: PhantomData<fn() -> S>,
}

impl<S> fmt::Debug for Rollback<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollback").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl<T: KvConfig> Live<T> {
    fn take_back(&self, wanted: Wanted) -> Rollback<T> {
        Rollback::new(Box::new(Struct::new(Arc::clone(&self.shared))), wanted)
    }

    /// Takes the struct back to what it was right after a revision, or at a time by the server's clock:
    /// `live.rollback_to(revision).author("ops").await?`.
    ///
    /// Its keys hold again what they held then, byte for byte: keys created since are removed, removed ones return, under
    /// the names under which they stood (old ones of renamed fields included). Keys under the prefix that no field knows are
    /// left alone. With layers, all of them go back together, unless [`Rollback::layer`] names some. It is one change set; when anything of the struct changes between the look and the write, it is a
    /// conflict. Before anything is written, today's decoder and checks have to take the result.
    ///
    /// A revision in the middle of a change set means the state before the set, for nobody ever saw half of it:
    /// [`RollbackPlan::revision`] tells. So `rollback_to(applied.revision() - 1)` takes back a change of any number of keys,
    /// with all that came after it.
    ///
    /// A value that had a time to live returns for good, and [`RollbackPlan::without_ttl`] names it.
    ///
    /// ```
    /// use kvconf::{Bucket, KvConfig};
    ///
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     #[kv(default = 50)]
    ///     max_items: u32,
    ///     region: Option<String>,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = Bucket::memory();
    /// let live = bucket.live::<Checkout>().start().await?;
    /// let good = live.update(|checkout| checkout.max_items = 80).author("ops").await?;
    /// live.update(|checkout| checkout.max_items = 8).author("dev").await?;
    /// live.update(|checkout| checkout.region = Some("eu".into())).author("dev").await?;
    ///
    /// let plan = live.rollback_to(good.revision()).plan().await?;
    /// assert_eq!(
    ///     plan.to_string(),
    ///     "back to revision 1:\n  checkout.max_items: 8 → 80\n  checkout.region: `eu` → (none)"
    /// );
    /// let applied = plan.commit().author("ops").reason("errors up").await?;
    /// live.wait_for(applied.revision()).await?;
    /// assert_eq!((live.load().max_items, &live.load().region), (80, &None));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`RollbackError::Lost`] with every key whose value of then the bucket no longer has; else as [`RollbackError`] says.
    /// Nothing is written then.
    pub fn rollback_to(&self, point: impl Into<Point>) -> Rollback<T> {
        self.take_back(Wanted::To(point.into()))
    }

    /// Takes one change set back and leaves what came after it: each of its keys holds again what it held right before.
    /// Named by its id ([`Applied::change`]) or by any revision that it wrote.
    ///
    /// Where later changes touched one of its keys it is refused with the keys and those who changed them: taking them back
    /// too is [`Live::rollback_to`], or a revert of the later ones first. A key that holds again already what it held before is
    /// in nobody's way. Of a change set across several structs, this one's part.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32, region: Option<String> }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let live = Bucket::memory().live::<Checkout>().start().await?;
    /// let mistake = live.update(|checkout| checkout.max_items = 8).author("dev").await?;
    /// live.update(|checkout| checkout.region = Some("eu".into())).author("eva").await?;
    ///
    /// let applied = live.revert(mistake.change()).author("ops").reason("eight is too few").await?;
    /// live.wait_for(applied.revision()).await?;
    /// assert_eq!((live.load().max_items, live.load().region.as_deref()), (50, Some("eu")));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`RollbackError::ChangedSince`], [`RollbackError::UnknownChange`], [`RollbackError::Incomplete`] when entries of the
    /// change set are gone; else as [`Live::rollback_to`].
    pub fn revert(&self, change: impl Into<ChangeRef>) -> Rollback<T> {
        self.take_back(Wanted::Without(change.into()))
    }
}

impl Bucket {
    fn take_back(&self, filters: impl IntoFilters, wanted: Wanted) -> Rollback<PlainKeys> {
        Rollback::new(Box::new(Plain::new(Arc::clone(&self.store), disjoint(filters))), wanted)
    }

    /// Takes every key that the filters ask for back to what it was at a revision or a time, whatever it means: for tools that
    /// know no struct. Keys of kvconf itself (`_kvconf.`) are left alone.
    ///
    /// As [`Live::rollback_to`], but nobody checks what the values are; readers that cannot use them keep their last good
    /// ones. When anything that a filter asks for changes between the look and the write, it is a conflict; a filter under
    /// which nothing is to be written is not guarded.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = kvconf::Bucket::memory();
    /// let good = bucket.put("app.port", "8080").await?;
    /// bucket.put("app.port", "80o80").await?;
    /// bucket.put("app.host", "localhost").await?;
    ///
    /// let plan = bucket.rollback_to("app.>", good).show_values().plan().await?;
    /// assert_eq!(
    ///     plan.to_string(),
    ///     "back to revision 1:\n  app.host: `localhost` → (none)\n  app.port: 80o80 → 8080"
    /// );
    /// plan.commit().author("ops").await?;
    /// assert_eq!(bucket.get("app.port").await?.as_deref(), Some(&b"8080"[..]));
    /// assert_eq!(bucket.get("app.host").await?, None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Live::rollback_to`]; [`RollbackError::Read`] for filters that are not valid.
    pub fn rollback_to(&self, filters: impl IntoFilters, point: impl Into<Point>) -> Rollback<PlainKeys> {
        self.take_back(filters, Wanted::To(point.into()))
    }

    /// Takes one change set back, as far as the filters ask for its keys, as [`Live::revert`].
    pub fn revert(&self, filters: impl IntoFilters, change: impl Into<ChangeRef>) -> Rollback<PlainKeys> {
        self.take_back(filters, Wanted::Without(change.into()))
    }
}

impl<T: KvConfig> Rollback<T> {
    /// Takes back this field only, its old names included; for a map, all its entries. May be called repeatedly.
    ///
    /// What else changes meanwhile is no conflict then, unless [`Rollback::guard_all`] is asked for. Of a revision in the
    /// middle of a change set only these fields matter: one field can go back to the very revision that wrote it.
    pub fn only<V>(mut self, field: Field<T, V>) -> Self {
        self.scope.narrow(field.path(), None);
        self
    }

    /// Takes back this layer only of the bucket, and leaves the others as they are. May be called repeatedly, and with
    /// [`Rollback::only`].
    ///
    /// What readers get is merged from all layers; the plan's checks see that.
    pub fn layer(mut self, layer: impl Into<String>) -> Self {
        self.scope.narrow_to_layer(layer.into());
        self
    }

    /// Takes back this entry only of a map with one key per entry. May be called repeatedly, and with [`Rollback::only`].
    pub fn only_entry<M: EntryMap>(mut self, field: Field<T, M>, key: &str) -> Self {
        self.scope.narrow(field.path(), Some(escape_segment(key)));
        self
    }
}

impl Rollback<PlainKeys> {
    /// Shows values in the plan, secret ones too: among plain keys nobody knows which they are.
    pub fn show_values(mut self) -> Self {
        self.scope.show_values();
        self
    }
}

impl<S> Rollback<S> {
    fn new(scope: Box<dyn Scope>, wanted: Wanted) -> Self {
        Self { scope, wanted, terms: Terms::default(), division: Division::default(), marker: PhantomData }
    }

    terms!(terms);
    division!();

    /// Works out what would be written, and writes nothing. A plan that cannot be committed is a plan too: it names what is
    /// lost, what others have changed since, and what readers would reject.
    ///
    /// Author, reason and the like are the commit's: `plan.commit().author("ops")`.
    ///
    /// # Errors
    /// [`RollbackError`], when there is nothing to plan with.
    ///
    /// # Cancel safety
    /// Dropping the future does nothing.
    pub async fn plan(self) -> Result<RollbackPlan, RollbackError> {
        plan(Arc::from(self.scope), self.wanted).await
    }
}

impl<S: 'static> IntoFuture for Rollback<S> {
    type Output = Result<Applied, RollbackError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// Plans and writes. A conflict is not tried again: somebody else has changed what would be overwritten.
    ///
    /// # Errors
    /// [`RollbackError`]; nothing was written, but for what [`RollbackError::Commit`] says of parts.
    ///
    /// # Cancel safety
    /// As [`RollbackCommit`].
    fn into_future(self) -> Self::IntoFuture {
        let Self { scope, wanted, terms, division, .. } = self;
        Box::pin(async move {
            let plan = plan(Arc::from(scope), wanted).await?;
            RollbackCommit::with(plan, terms, division).run().await
        })
    }
}

async fn plan(scope: Arc<dyn Scope>, wanted: Wanted) -> Result<RollbackPlan, RollbackError> {
    let store = scope.store().ok_or(RollbackError::Fixed)?;
    if scope.is_judging() {
        return Err(RollbackError::Judging);
    }
    if let Some(layer) = scope.unknown_layer() {
        return Err(RollbackError::UnknownLayer { layer });
    }
    let filters = scope.filters()?;
    let asked = |key: &Key| scope.has(key);
    let (purpose, target, changed_since, present) = match wanted {
        Wanted::To(point) => {
            // Of a struct as a whole, its readers see what else stands under the prefix; of a few fields, only these.
            let seen = |key: &Key| scope.is_whole() || scope.has(key);
            let (found, present) = as_of(&*store, &filters, point, (&asked, &seen, scope.is_whole())).await?;
            let mut target = target::rollback(&found, &present.entries, asked);
            if found.gone_untold {
                let told = |key: &Key| found.then.contains_key(key) || present.entries.contains_key(key);
                let untold = scope.untold(&told).into_iter();
                target.lost.extend(untold.map(|key| LostKey { key, known_since: None }));
            }
            (Purpose::To(found.revision), target, Vec::new(), present)
        }
        Wanted::Without(change) => {
            let (found, present) = of_change(&*store, &filters, &change).await?;
            let OfChange { members, history, kept, retention } = &found;
            let members: Vec<&Entry> = members.iter().filter(|member| asked(member.key())).collect();
            let mut changed_since = set::changed_since(&members, history, &present.entries);
            let target = target::revert(&members, history, kept, *retention, &present.entries);
            // Nothing of what others did is undone at a key that holds already what it is to hold: it was taken back by hand,
            // or by a revert in parts that did not get to its end.
            changed_since.retain(|since| !target.unchanged.contains_key(&since.key));
            (Purpose::Change(change), target, changed_since, present)
        }
    };
    // Whoever judges has to know the keys that the target does not name, too.
    scope.catch_up(present.standing.newest()).await;
    Ok(RollbackPlan::new(scope, purpose, target, changed_since, present))
}
