//! Follows the one change set that can be open at the end of what was delivered.

use std::sync::Arc;

use super::sets::{Extent, MOST, Membership};
use crate::Revision;

/// What an entry means for the sets around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Step {
    /// The set that was open before has ended: this entry is not in it.
    pub(super) ends_previous: bool,
    /// Some entries of a set that has ended were not delivered: newer ones superseded them before, or they were purged.
    pub(super) missing: bool,
    /// With this entry its set is complete.
    pub(super) complete: bool,
}

#[derive(Debug)]
struct Open {
    id: Arc<str>,
    start: Revision,
    extent: Extent,
    seen: u32,
    /// The entry before its first one, and that one.
    between: (Revision, Revision),
}

/// Messages of a batch stand next to each other, so at most one set is open at a time.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    open: Option<Open>,
    /// The newest entry.
    last: Revision,
}

impl Tracker {
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the open set does not say where it ends.
    pub(super) fn is_endless(&self) -> bool {
        matches!(self.open, Some(Open { extent: Extent::Unknown { .. }, .. }))
    }

    /// The first entry of the open set.
    pub(super) fn first(&self) -> Option<Revision> {
        self.open.as_ref().map(|open| open.between.1)
    }

    /// Whether a moment lies right before the open set: between its first entry and the one before that.
    pub(super) fn begins_after(&self, moment: Revision) -> bool {
        self.open
            .as_ref()
            .is_some_and(|Open { between: (before, first), .. }| (*before..*first).contains(&moment))
    }

    /// How many entries, of whatever key, are to come up to the end of the open set; `None` where it does not say so.
    pub(super) fn outstanding(&self) -> Option<u64> {
        match self.open.as_ref()?.extent {
            Extent::Known { end, .. } => Some(end.get().saturating_sub(self.last.get())),
            Extent::Unknown { .. } => None,
        }
    }

    pub(super) fn close(&mut self) {
        self.open = None;
    }

    pub(super) fn observe(&mut self, revision: Revision, membership: &Membership) -> Step {
        let mut step = Step::default();
        let before = std::mem::replace(&mut self.last, revision);
        if self.open.as_ref().is_some_and(|open| !open.contains(revision, membership)) {
            step.ends_previous = true;
            step.missing = self.open.take().is_some_and(|open| open.lacks());
        }
        let Membership::Part { id, start, extent } = membership else {
            step.complete = true;
            return step;
        };
        let new =
            || Open { id: id.clone(), start: *start, extent: *extent, seen: 0, between: (before, revision) };
        let open = self.open.get_or_insert_with(new);
        open.seen += 1;
        step.complete = match *extent {
            Extent::Known { end, .. } => revision >= end,
            Extent::Unknown { closed } => closed,
        };
        if step.complete {
            step.missing |= open.lacks();
            self.open = None;
        }
        step
    }
}

impl Open {
    fn contains(&self, revision: Revision, membership: &Membership) -> bool {
        let Membership::Part { id, start, .. } = membership else { return false };
        *id == self.id
            && *start == self.start
            && match self.extent {
                Extent::Known { end, .. } => revision <= end,
                // No server takes more in one batch.
                Extent::Unknown { .. } => u64::from(self.seen) < MOST,
            }
    }

    fn lacks(&self) -> bool {
        matches!(self.extent, Extent::Known { entries, .. } if self.seen < entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(id: &str, end: u64, entries: u32) -> Membership {
        let extent = Extent::Known { end: Revision::new(end), entries };
        Membership::Part { id: id.into(), start: Revision::new(5), extent }
    }

    fn open_ended(id: &str, closed: bool) -> Membership {
        Membership::Part { id: id.into(), start: Revision::new(1), extent: Extent::Unknown { closed } }
    }

    fn step(ends_previous: bool, missing: bool, complete: bool) -> Step {
        Step { ends_previous, missing, complete }
    }

    #[test]
    fn a_set_is_complete_at_its_last_entry() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.observe(Revision::new(5), &part("a", 7, 2)), step(false, false, false));
        assert!(tracker.is_open());
        assert_eq!(tracker.observe(Revision::new(7), &part("a", 7, 2)), step(false, false, true));
        assert!(!tracker.is_open());
    }

    #[test]
    fn an_entry_from_beyond_the_end_shows_that_the_rest_is_missing() {
        let mut tracker = Tracker::default();
        tracker.observe(Revision::new(5), &part("a", 7, 3));
        assert_eq!(tracker.observe(Revision::new(9), &Membership::Alone), step(true, true, true));
    }

    #[test]
    fn a_missing_first_entry_shows_at_the_last_one() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.observe(Revision::new(7), &part("a", 7, 2)), step(false, true, true));
    }

    // Anybody can write an id again.
    #[test]
    fn the_same_id_at_another_place_is_another_set() {
        let mut tracker = Tracker::default();
        tracker.observe(Revision::new(1), &open_ended("x", false));
        let extent = Extent::Unknown { closed: false };
        let again = Membership::Part { id: "x".into(), start: Revision::new(2), extent };
        assert_eq!(tracker.observe(Revision::new(2), &again), step(true, false, false));
    }

    #[test]
    fn a_set_without_an_end_is_no_longer_than_a_server_takes() {
        let mut tracker = Tracker::default();
        let ended = |n: u64, tracker: &mut Tracker| {
            tracker.observe(Revision::new(n), &open_ended("x", false)).ends_previous
        };
        assert_eq!((1..=MOST).find(|n| ended(*n, &mut tracker)), None);
        assert!(ended(MOST + 1, &mut tracker));
    }

    #[test]
    fn a_foreign_batch_ends_at_its_commit_or_at_the_next_entry() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.observe(Revision::new(1), &open_ended("x", false)), step(false, false, false));
        assert!(tracker.is_endless());
        assert_eq!(tracker.observe(Revision::new(2), &open_ended("x", true)), step(false, false, true));
        assert_eq!(tracker.observe(Revision::new(3), &open_ended("y", false)), step(false, false, false));
        assert_eq!(tracker.observe(Revision::new(6), &open_ended("z", false)), step(true, false, false));
    }
}
