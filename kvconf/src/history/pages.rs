//! Logs that can be asked for, page by page or as a stream, newest first.

use std::collections::VecDeque;
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream, StreamExt, try_unfold};

use super::error::LogError;
use super::log::{LoggedChange, Shown};
use super::walk::{LogSource, Walk};
use crate::Revision;

/// How many change sets a page has unless told otherwise.
const PAGE: usize = 50;

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

    /// Every change set that is kept, newest first, read as it is asked for: however many there are, only some of them, and
    /// the names of the keys, are held at a time.
    pub fn stream(self) -> LogStream {
        let walk = self.source.map(|source| Walk::new(source, self.before, self.limit));
        let inner = try_unfold((walk, VecDeque::new()), async |(walk, mut ready): (_, VecDeque<_>)| {
            let mut walk: Walk = walk?;
            while ready.is_empty() && !walk.is_over() {
                ready.extend(walk.next_part().await?);
            }
            Ok(ready.pop_front().map(|change| (change, (Ok(walk), ready))))
        });
        LogStream { inner: inner.boxed() }
    }

    async fn page(&self) -> Result<Log, LogError> {
        let source = self.source.as_ref().map_err(Clone::clone)?;
        let (changes, older) = Walk::new(source.clone(), self.before, self.limit).page(self.limit).await?;
        Ok(Log { changes, older })
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
