//! A second copy of the value, so that a change costs what it changes and not what the struct holds.
//!
//! The snapshot before the present one differs from it by the keys of one update. When no reader holds it any more, it is
//! taken back, those keys are read into it again, and it is ready for the next change: nothing is cloned. A clone of a
//! struct of 1 000 fields, 400 of them with allocations, takes about 15 µs, more than everything else together. When
//! somebody still holds the old snapshot, or the update was large, cloning is what happens.

use std::sync::Arc;

use super::View;
use super::evaluate::{Faults, contained};
use super::overlay::{Layered, Overlay};
use crate::Snapshot;
use crate::schema::{KvConfig, link};
use crate::snapshot::Unshared;

/// Above how many keys a clone is cheaper than reading them again.
const MOST_KEYS: usize = 64;

/// The snapshot before the present one, and what leads from it to the present one.
pub(crate) struct Spare<T> {
    snapshot: Arc<Snapshot<T>>,
    /// Only the keys matter: their entries are in the view's raw state.
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
        let layered = Layered::new(&self.table, &self.raw, &spare.changed);
        let (mut restarts, mut faults) = (Vec::new(), Faults::default());
        let value = unshared.value_mut();
        self.read_fields(&layered, value, &mut restarts, &mut faults);
        faults.fields.extend(link(&self.table.linkers, value));
        faults.is_empty().then_some(unshared)
    }
}
