//! Snapshots as a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};

use super::{Live, Shared};
use crate::Snapshot;
use crate::change::{FieldChange, changed_fields};
use crate::judging::Judging;
use crate::schema::{Field, KvConfig};

/// One step from an earlier state to a later one. Several change sets that came in quick succession are one step.
pub struct Changed<T> {
    before: Arc<Snapshot<T>>,
    after: Arc<Snapshot<T>>,
    shared: Weak<Shared<T>>,
}

impl<T: KvConfig> Changed<T> {
    /// The state before: what the stream yielded last, or what was there when it began.
    #[must_use]
    pub const fn before(&self) -> &Arc<Snapshot<T>> {
        &self.before
    }

    /// The state now.
    #[must_use]
    pub const fn after(&self) -> &Arc<Snapshot<T>> {
        &self.after
    }

    /// Whether a field's value differs between the two.
    #[must_use]
    pub fn touches<V>(&self, field: Field<T, V>) -> bool {
        !crate::change::same_field::<T>(&self.before, &self.after, field.path())
    }

    /// Every field whose value differs, in the order of the struct. Secrets are masked. Empty once the handle is gone.
    #[must_use]
    pub fn fields(&self) -> Vec<FieldChange> {
        match self.shared.upgrade() {
            Some(shared) => {
                let table = Arc::clone(&shared.table);
                changed_fields::<T>(&table, &self.before, &self.after)
            }
            None => Vec::new(),
        }
    }
}

impl<T: KvConfig> fmt::Debug for Changed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed")
            .field("from", &self.before.revision())
            .field("to", &self.after.revision())
            .field("fields", &self.fields())
            .finish_non_exhaustive()
    }
}

/// The states that a handle goes through, coalesced: a slow consumer skips states, and never holds up the watch.
///
/// Ends when the handle is stopped or its last clone dropped; the stream itself does not keep the handle alive.
pub struct Changes<T: KvConfig> {
    inner: BoxStream<'static, Changed<T>>,
}

impl<T: KvConfig> Stream for Changes<T> {
    type Item = Changed<T>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Changed<T>>> {
        match self.inner.poll_next_unpin(cx) {
            Poll::Pending if Judging::is_on() => Poll::Ready(None),
            polled => polled,
        }
    }
}

impl<T: KvConfig> Changes<T> {
    /// The next step; `None` when the handle is gone, and when a `validate` function or a codec asks before there is one: nothing
    /// moves on while it waits.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Changed<T>> {
        StreamExt::next(self).await
    }
}

impl<T: KvConfig> fmt::Debug for Changes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

impl<T: KvConfig> Live<T> {
    /// A stream of coalesced changes, from the present state on.
    #[must_use]
    pub fn changes(&self) -> Changes<T> {
        let progress = self.shared.progress.subscribe();
        let state = (Arc::downgrade(&self.shared), progress, self.snapshot());
        let inner = unfold(state, async |(shared, mut progress, before)| {
            loop {
                {
                    let alive = shared.upgrade()?;
                    progress.borrow_and_update();
                    let after = alive.current.load_full();
                    if !Arc::ptr_eq(&before, &after) {
                        let next = Arc::clone(&after);
                        let changed = Changed { before, after, shared: Weak::clone(&shared) };
                        return Some((changed, (shared, progress, next)));
                    }
                    if alive.ended.is_cancelled() {
                        return None;
                    }
                }
                // Also when the handle is stopped, or its last clone dropped.
                progress.changed().await.ok()?;
            }
        });
        Changes { inner: Box::pin(inner) }
    }
}
