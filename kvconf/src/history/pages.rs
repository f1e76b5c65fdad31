//! Reading a log page by page, newest first.

use std::collections::VecDeque;
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream, StreamExt, try_unfold};

use super::error::LogError;
use super::log::{LoggedChange, Material, Set, Shown, sets};
use super::retention::Retention;
use crate::store::{Kept, Point, ReadError, Store};
use crate::watch::sets::MOST;
use crate::{Entry, Filter, Prefix, Revision};

/// How many change sets a page has unless told otherwise.
const PAGE: usize = 50;

/// Up to how many entries are read at once rather than looked for in windows: a few milliseconds of a server's time.
const FEW: u64 = 1_024;

/// By how much a window grows that held too little.
const GROWTH: u64 = 4;

/// Which log is meant.
#[derive(Clone)]
pub(crate) struct LogSource {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) shown: Shown,
}

/// A log to be read. From [`Live::log`](crate::Live::log) or [`Bucket::log`](crate::Bucket::log).
///
/// Awaited it gives one page; [`LogRequest::stream`] gives everything that is kept.
#[must_use = "nothing is read before it is awaited"]
pub struct LogRequest {
    source: Result<LogSource, LogError>,
    limit: usize,
    before: Option<Revision>,
}

impl LogRequest {
    pub(crate) const fn new(source: Result<LogSource, LogError>) -> Self {
        Self { source, limit: PAGE, before: None }
    }

    /// How many change sets the page has at most, at least one; 50 by default.
    pub const fn limit(mut self, changes: usize) -> Self {
        self.limit = if changes == 0 { 1 } else { changes };
        self
    }

    /// Only change sets that were complete before this revision: [`Log::older`] of the page before.
    pub const fn before(mut self, revision: Revision) -> Self {
        self.before = Some(revision);
        self
    }

    /// Shows values of keys that no struct describes, in full as it shows others. Without, only their sizes are shown: any
    /// of them may be a secret.
    pub fn show_values(mut self) -> Self {
        if let Ok(source) = &mut self.source
            && matches!(source.shown, Shown::Sizes)
        {
            source.shown = Shown::Values;
        }
        self
    }

    /// Every change set that is kept, newest first, read page by page as it is asked for.
    pub fn stream(self) -> LogStream {
        let start = (self, VecDeque::new(), false);
        let inner =
            try_unfold(start, async |(mut request, mut ready, mut is_last): (Self, VecDeque<_>, bool)| {
                while ready.is_empty() && !is_last {
                    let Log { changes, older } = request.page().await?;
                    is_last = older.is_none();
                    request.before = older;
                    ready.extend(changes);
                }
                Ok(ready.pop_front().map(|change| (change, (request, ready, is_last))))
            });
        LogStream { inner: inner.boxed() }
    }

    async fn page(&self) -> Result<Log, LogError> {
        let source = self.source.as_ref().map_err(Clone::clone)?;
        source.page(self.before, self.limit).await
    }
}

impl IntoFuture for LogRequest {
    type Output = Result<Log, LogError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// # Cancel safety
    /// Cancel safe: it only reads.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.page().await })
    }
}

impl fmt::Debug for LogRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRequest")
            .field("limit", &self.limit)
            .field("before", &self.before)
            .finish_non_exhaustive()
    }
}

/// One page of a log, newest first. Iterate over it; `Display` writes all of it, an empty line between change sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    changes: Vec<LoggedChange>,
    older: Option<Revision>,
}

impl Log {
    /// The change sets, newest first.
    #[must_use]
    pub fn changes(&self) -> &[LoggedChange] {
        &self.changes
    }

    /// Where the next page goes on: give it to [`LogRequest::before`]. `None` when nothing older is kept.
    #[must_use]
    pub const fn older(&self) -> Option<Revision> {
        self.older
    }

    /// The change sets, newest first.
    pub fn iter(&self) -> std::slice::Iter<'_, LoggedChange> {
        self.changes.iter()
    }
}

impl IntoIterator for Log {
    type Item = LoggedChange;
    type IntoIter = std::vec::IntoIter<LoggedChange>;
    fn into_iter(self) -> Self::IntoIter {
        self.changes.into_iter()
    }
}

impl<'a> IntoIterator for &'a Log {
    type Item = &'a LoggedChange;
    type IntoIter = std::slice::Iter<'a, LoggedChange>;
    fn into_iter(self) -> Self::IntoIter {
        self.changes.iter()
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if at == 0 { "" } else { "\n\n" })?;
        }
        Ok(())
    }
}

/// All change sets that are kept, newest first. From [`LogRequest::stream`].
///
/// A change that is made meanwhile is not in it. After an error it ends.
#[must_use = "a stream does nothing unless it is polled"]
pub struct LogStream {
    inner: BoxStream<'static, Result<LoggedChange, LogError>>,
}

impl LogStream {
    /// The next change set; `None` behind the oldest.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<LoggedChange, LogError>> {
        self.inner.next().await
    }
}

impl Stream for LogStream {
    type Item = Result<LoggedChange, LogError>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(cx)
    }
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStream").finish_non_exhaustive()
    }
}

impl LogSource {
    async fn page(&self, before: Option<Revision>, limit: usize) -> Result<Log, LogError> {
        let filters: Vec<Filter> = self.prefixes.iter().map(Filter::from).collect();
        let material = match self.store.kept(&filters).await {
            Ok(kept) => match self.window(&filters, kept, before, limit).await {
                Err(error) if is_about_permission(&error) => self.everything(&filters, before).await?,
                material => material?,
            },
            Err(error) if is_about_permission(&error) => self.everything(&filters, before).await?,
            Err(error) => return Err(error.into()),
        };
        let has_older = !material.base.is_empty() || material.sets.len() > limit;
        let mut changes = material.assemble(&self.prefixes, &self.shown);
        let is_cut = changes.len() > limit;
        changes.truncate(limit);
        let oldest = changes.last().map(|change| *change.revisions().start());
        Ok(Log { changes, older: oldest.filter(|_| has_older || is_cut) })
    }

    /// The newest sets, out of a part of the bucket that is large enough for them; and what stood before it.
    async fn window(
        &self,
        filters: &[Filter],
        kept: Kept,
        before: Option<Revision>,
        limit: usize,
    ) -> Result<Material, ReadError> {
        let end = before.map_or(kept.last, |before| (before - 1).min(kept.last));
        let mut width = width(&kept, limit);
        loop {
            let from = Revision::new(end.get().saturating_sub(width)).max(kept.first);
            let is_all = from == kept.first;
            let mut sets = self.sets(filters, from, before).await?;
            if !is_all {
                // What began before the window is in it in part only; so is what the window begins right behind.
                sets.retain(|set| set.first >= from);
                if sets.len() < limit {
                    width = width.saturating_mul(GROWTH);
                    continue;
                }
            }
            let first = sets.first().map_or(from, |set| set.first);
            let base = if is_all { Vec::new() } else { self.base(filters, first - 1).await? };
            return Ok(Material { base, sets, retention: Retention::of(&kept), retained: kept.entries });
        }
    }

    async fn base(&self, filters: &[Filter], at: Revision) -> Result<Vec<Arc<Entry>>, ReadError> {
        let reading = self.store.read(filters, Point::Revision(at)).await?;
        Ok(reading.entries.into_iter().map(Arc::new).collect())
    }

    /// The sets that begin behind `from`, and end before `before`.
    async fn sets(
        &self,
        filters: &[Filter],
        from: Revision,
        before: Option<Revision>,
    ) -> Result<Vec<Set>, ReadError> {
        // So far that a set which `before` lies in shows its end.
        let until = before.map_or(u64::MAX, |before| before.get().saturating_add(MOST));
        let entries = self.store.history_between(filters, from, Revision::new(until)).await?;
        Ok(between(entries, before))
    }

    /// All that is kept, where the client may not ask for more than a consumer delivers.
    async fn everything(&self, filters: &[Filter], before: Option<Revision>) -> Result<Material, ReadError> {
        let sets = between(self.store.history(filters).await?, before);
        Ok(Material {
            base: Vec::new(),
            sets,
            retained: std::collections::HashMap::new(),
            retention: Retention::UNKNOWN,
        })
    }
}

fn between(entries: Vec<Entry>, before: Option<Revision>) -> Vec<Set> {
    let own = entries.into_iter().filter(|entry| !entry.key().is_reserved()).map(Arc::new);
    let mut sets = sets(own);
    sets.retain(|set| before.is_none_or(|before| set.last < before));
    sets
}

/// How far back a window reaches that probably holds enough sets.
fn width(kept: &Kept, limit: usize) -> u64 {
    let entries: u64 = kept.entries.values().sum();
    let span = kept.last.get().saturating_sub(kept.first.get()).saturating_add(1);
    if entries <= FEW {
        return span;
    }
    // Four entries a set, if they were spread evenly.
    let wanted = (limit as u64).saturating_mul(4).saturating_add(MOST / 10);
    span.saturating_mul(wanted) / entries
}

/// Whether another way may be open to the client: a server that does not permit may also say nothing.
const fn is_about_permission(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::NotPermitted { .. } | ReadError::Timeout { .. } | ReadError::Unsupported { .. }
    )
}
