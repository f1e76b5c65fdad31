//! Which of several groups are taken.

use std::borrow::Cow;

use super::evaluate::{Candidate, contained, panicked};
use super::groups::{self, merge, merge_taken, unreadable};
use super::{Group, Selection, View};
use crate::Problem;
use crate::schema::KvConfig;
use crate::snapshot::Unshared;

impl<T: KvConfig> View<T> {
    /// Finds the groups to take: all of them, else as many as are valid together. Returns what they lead to, and the
    /// problems of the bucket's true state.
    ///
    /// `scratch` is equal to the snapshot, and used for the first trial.
    pub(crate) fn select(
        &self,
        trial: &[Group],
        scratch: Option<Unshared<T>>,
    ) -> (Option<Selection<T>>, Vec<Problem>) {
        let everything = match trial {
            [only] => Cow::Borrowed(&only.changes),
            several => Cow::Owned(merge(several)),
        };
        let mut problems = groups::problems(trial);
        match self.evaluate(&everything, scratch) {
            Ok(candidate) if groups::unreadable_are_empty(trial) => {
                let taken = groups::not(&unreadable(trial));
                let any = taken.contains(&true) || taken.is_empty();
                return (any.then_some((candidate, taken)), problems);
            }
            Ok(_) => {}
            Err(found) => problems.extend(found),
        }
        // A group with a value that is bad by itself waits until a later change supersedes that value.
        let hopeless = self.bad_alone(trial);
        let taken = groups::not(&hopeless);
        if hopeless.contains(&true)
            && taken.contains(&true)
            && let Ok(candidate) = self.evaluate(&merge_taken(trial, &taken), self.copy())
        {
            if !self.layers().are_several() {
                return (Some((candidate, taken)), problems);
            }
            return (self.grow(trial, &unreadable(trial), Some((candidate, taken))), problems);
        }
        // Between layers nothing is hopeless: what one group holds may be masked by another one, and a removal that lays bare
        // a bad value is fine once that is mended.
        let hopeless = if self.layers().are_several() { unreadable(trial) } else { hopeless };
        (self.grow(trial, &hopeless, None), problems)
    }

    /// The same, where nobody else would keep the groups: what panics outside of a trial, such as the `Drop` of a value that
    /// is of no more use, must not lose them.
    pub(super) fn select_contained(
        &self,
        trial: &[Group],
        scratch: Option<Unshared<T>>,
    ) -> (Option<Selection<T>>, Vec<Problem>) {
        contained(|| self.select(trial, scratch)).unwrap_or_else(|| (None, vec![panicked(&self.table)]))
    }

    /// Takes one group after the other, oldest first, and pairs of them, until nothing more fits.
    ///
    /// After an outage a thousand changes may have come, and one of them is bad. So as soon as one fits, more and more of
    /// those behind it are tried at a time: a trial for each would make this grow with the square of their number.
    fn grow(&self, trial: &[Group], hopeless: &[bool], from: Option<Selection<T>>) -> Option<Selection<T>> {
        let (mut best, mut taken) = match from {
            Some((candidate, taken)) => (Some(candidate), taken),
            None => (None, vec![false; trial.len()]),
        };
        loop {
            let open = groups::open(hopeless, &taken);
            let Some((addition, selection)) = self.grow_once(trial, &open, &taken) else { break };
            let behind = groups::behind(&open, &addition);
            let (candidate, with) = self.grow_on(trial, &behind, selection);
            (best, taken) = (Some(candidate), with);
        }
        best.map(|candidate| (candidate, taken))
    }

    /// The first group that fits, or the first pair.
    fn grow_once(
        &self,
        trial: &[Group],
        open: &[usize],
        taken: &[bool],
    ) -> Option<(Vec<usize>, Selection<T>)> {
        for addition in groups::additions(open) {
            if let Some(selection) = self.with(trial, taken, &addition) {
                return Some((addition, selection));
            }
        }
        None
    }

    /// Takes more, in their order, up to the first one that does not fit.
    fn grow_on(&self, trial: &[Group], open: &[usize], mut grown: Selection<T>) -> Selection<T> {
        let (mut left, mut step, mut grows) = (open, 2_usize, true);
        while !left.is_empty() {
            let (next, behind) = left.split_at_checked(step).unwrap_or((left, &[]));
            match self.with(trial, &grown.1, next) {
                Some(selection) => {
                    (grown, left) = (selection, behind);
                    step = if grows { step.saturating_mul(2) } else { step };
                }
                None if next.len() == 1 => break,
                // One of these does not fit: it is closed in upon.
                None => (step, grows) = (next.len() / 2, false),
            }
        }
        grown
    }

    /// What the taken groups and some more lead to, where that is valid.
    fn with(&self, trial: &[Group], taken: &[bool], add: &[usize]) -> Option<Selection<T>> {
        let with = groups::with(add, taken);
        let candidate: Candidate<T> = self.evaluate(&merge_taken(trial, &with), self.copy()).ok()?;
        Some((candidate, with))
    }
}
