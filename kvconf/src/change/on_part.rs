//! Writing a change in parts, and who is told how far it is.

use std::fmt;
use std::ops::ControlFlow;

use super::commit::{CommitError, Job};
use super::plan::Planned;
use crate::{Key, Revision};

type Told = Box<dyn FnMut(usize) -> ControlFlow<()> + Send>;

/// Is told after each part how many keys were written so far, and may stop there.
pub(super) struct OnPart(Option<Told>);

impl OnPart {
    /// Nobody is told.
    pub(super) const fn nobody() -> Self {
        Self(None)
    }

    pub(super) fn new(told: impl FnMut(usize) -> ControlFlow<()> + Send + 'static) -> Self {
        Self(Some(Box::new(told)))
    }

    pub(super) fn tell(&mut self, written: usize) -> ControlFlow<()> {
        match &mut self.0 {
            Some(told) => told(written),
            None => ControlFlow::Continue(()),
        }
    }
}

impl fmt::Debug for OnPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "OnPart(..)" } else { "OnPart(nobody)" })
    }
}

impl Job<'_> {
    /// One change set after the other; stops at the first that fails, and where `on_part` says so.
    pub(super) async fn in_parts(
        &mut self,
        parts: Vec<Vec<Planned>>,
        on_part: &mut OnPart,
    ) -> Result<Vec<(Key, Revision)>, CommitError> {
        let keys: usize = parts.iter().map(Vec::len).sum();
        let mut written: Vec<(Key, Revision)> = Vec::new();
        for part in parts {
            match self.atomic(&part).await {
                Ok(done) => {
                    self.guards.expect_own(&done);
                    written.extend(done);
                    let left = keys.saturating_sub(written.len());
                    if on_part.tell(written.len()).is_break() && left > 0 {
                        return Err(CommitError::Stopped { written, left });
                    }
                }
                Err(error) if written.is_empty() => return Err(error),
                Err(error) => {
                    let Some(first) = part.into_iter().next() else { return Err(error) };
                    return Err(CommitError::Partial { written, key: first.key, error: Box::new(error) });
                }
            }
        }
        Ok(written)
    }
}
