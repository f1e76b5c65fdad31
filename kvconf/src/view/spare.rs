//! A second copy of the value, so that a change costs what it changes and not what the struct holds.
//!
//! The snapshot before the present one differs from it by the keys of one update. When no reader holds it any more, it is
//! taken back, the fields of those keys are copied into it, and it is ready for the next change: nothing else is cloned. A
//! clone of a struct of 1 000 fields, 400 of them with allocations, takes about 15 µs, more than everything else together.
//! When somebody still holds the old snapshot, or the update was large, cloning is what happens.

use std::sync::Arc;

use super::evaluate::contained;
use super::overlay::Overlay;
use super::{Target, View};
use crate::Snapshot;
use crate::schema::{KvConfig, link, node_at};
use crate::snapshot::Unshared;

/// Above how many keys a clone is cheaper than copying them one by one.
const MOST_KEYS: usize = 64;

/// The snapshot before the present one, and what leads from it to the present one.
pub(crate) struct Spare<T> {
    snapshot: Arc<Snapshot<T>>,
    /// Only the keys matter.
    changed: Overlay,
}

impl<T> Spare<T> {
    pub(super) fn new(snapshot: Arc<Snapshot<T>>, changed: Overlay) -> Option<Self> {
        (changed.len() <= MOST_KEYS).then_some(Self { snapshot, changed })
    }
}

impl<T: KvConfig> View<T> {
    /// A value equal to the present snapshot's, to be changed. `None` where the program's own code panics on making one.
    pub(super) fn scratch(&mut self) -> Option<Unshared<T>> {
        let spare = self.spare.take();
        let brought_up = spare.and_then(|spare| contained(|| self.bring_up(spare)).flatten());
        brought_up.or_else(|| self.copy())
    }

    /// The same by a clone.
    pub(crate) fn copy(&self) -> Option<Unshared<T>> {
        contained(|| Unshared::new(T::clone(&self.snapshot)))
    }

    fn bring_up(&self, spare: Spare<T>) -> Option<Unshared<T>> {
        let mut unshared = Unshared::take_back(spare.snapshot)?;
        let value = unshared.value_mut();
        self.put_back(value, &spare.changed);
        link(&self.table.linkers, value).is_empty().then_some(unshared)
    }

    /// Makes the fields of these keys what they are in the present snapshot, each by itself.
    pub(super) fn put_back(&self, value: &mut T, changed: &Overlay) {
        let present: &T = &self.snapshot;
        changed.each_key(&mut |key| {
            let (at, segment) = match self.table.target(key) {
                Some(Target::Field(at)) => (at, None),
                Some(Target::Entry(at, segment)) => (at, Some(segment)),
                None => return,
            };
            let slot = self.table.slot(at);
            if let Some((node, rest)) = slot.and_then(|slot| node_at::<T>(slot.path.steps())) {
                node.copy(value, present, rest, segment);
            }
        });
    }
}
