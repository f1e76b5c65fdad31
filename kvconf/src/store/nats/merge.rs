//! Several consumers as one: their entries in the order of the bucket, none of them before all earlier ones are here. Pure.
//!
//! A user who may read a few prefixes and no more can have one consumer for each of them, but not one for all. The server
//! sends each consumer's entries in order, and says nothing of the order between two. So an entry waits until every other
//! consumer is known to have delivered what stands before it: by a later entry of its own, or by an answer of the server,
//! asked for after that entry came, which names the newest entry of the other prefix.

use std::collections::VecDeque;

use crate::store::Delivery;
use crate::{Fault, Revision};

/// One consumer.
#[derive(Debug, Default)]
struct Lane {
    /// What waits, in order.
    held: VecDeque<Delivery>,
    /// The number of its last delivery.
    received: u64,
    /// The revision of its last delivery.
    cursor: Revision,
    /// Everything of it up to here has been delivered.
    complete_to: Revision,
    /// Up to where it is complete as soon as it has delivered the second.
    due: Option<(Revision, Revision)>,
    /// How many entries stood behind its last one.
    pending: u64,
    /// Whether it has had nothing to say since the last entry of any of them.
    is_idle: bool,
    is_asked: bool,
}

/// Several consumers.
#[derive(Debug)]
pub(super) struct Merge {
    lanes: Vec<Lane>,
    /// Counts what was handed on.
    sequence: u64,
    /// The newest revision that any of them has delivered.
    tip: Revision,
}

impl Merge {
    /// Each with the number of entries that stand before it is caught up.
    pub(super) fn new(pending: impl IntoIterator<Item = u64>) -> Self {
        let lane = |pending| Lane { pending, ..Lane::default() };
        let lanes = pending.into_iter().map(lane).collect();
        Self { lanes, sequence: 0, tip: Revision::ZERO }
    }

    /// What one consumer says. A fault is one of all of them, and is handed back.
    pub(super) fn take(&mut self, at: usize, delivery: Delivery) -> Option<Fault> {
        let lane = self.lanes.get_mut(at)?;
        let (sequence, revision, pending) = match &delivery {
            Delivery::Entry { entry, sequence, pending } => (*sequence, entry.revision(), *pending),
            Delivery::Unreadable { revision, sequence, pending, .. } => (*sequence, *revision, *pending),
            Delivery::Idle { sequence } if *sequence > lane.received => return Some(Fault::Lagged),
            Delivery::Idle { sequence } => {
                if *sequence == lane.received {
                    (lane.is_idle, lane.pending) = (true, 0);
                    // What was to come and does not has gone meanwhile: the server is asked once more.
                    lane.due = None;
                }
                return None;
            }
            Delivery::Fault(fault) => return Some(fault.clone()),
        };
        if sequence != lane.received + 1 || revision <= lane.cursor {
            return Some(Fault::Lagged);
        }
        (lane.received, lane.cursor, lane.pending) = (sequence, revision, pending);
        if let Some((upto, _)) = lane.due.take_if(|(_, newest)| *newest <= revision) {
            lane.complete_to = lane.complete_to.max(upto);
        }
        lane.held.push_back(delivery);
        self.tip = self.tip.max(revision);
        self.lanes.iter_mut().for_each(|lane| lane.is_idle = false);
        None
    }

    /// The next entry in the order of the bucket, or that there is nothing more to say.
    pub(super) fn next(&mut self) -> Option<Delivery> {
        let Some((at, revision)) = self.first() else {
            let all_idle = self.lanes.iter().all(|lane| lane.is_idle);
            if all_idle {
                self.lanes.iter_mut().for_each(|lane| lane.is_idle = false);
            }
            return all_idle.then_some(Delivery::Idle { sequence: self.sequence });
        };
        if self.holding_up(revision).next().is_some() {
            return None;
        }
        let next = self.lanes.get_mut(at)?.held.pop_front()?;
        self.sequence += 1;
        let waiting = self.lanes.iter().map(|lane| lane.pending + lane.held.len() as u64);
        let (sequence, pending) = (self.sequence, waiting.sum());
        Some(match next {
            Delivery::Entry { entry, .. } => Delivery::Entry { entry, sequence, pending },
            Delivery::Unreadable { subject, revision, .. } => {
                Delivery::Unreadable { subject, revision, sequence, pending }
            }
            other => other,
        })
    }

    /// The consumers of which it has to be asked how far they should be, and up to where it is known then.
    pub(super) fn ask(&mut self) -> Vec<(usize, Revision)> {
        let Some((_, revision)) = self.first() else { return Vec::new() };
        let (tip, lanes) = (self.tip, self.holding_up(revision).collect::<Vec<usize>>());
        let mut asked = Vec::new();
        for at in lanes {
            if let Some(lane) = self.lanes.get_mut(at)
                && !lane.is_asked
                && lane.due.is_none_or(|(upto, _)| upto < revision)
            {
                lane.is_asked = true;
                asked.push((at, tip));
            }
        }
        asked
    }

    /// The newest entry of a consumer's prefix, asked for when everything up to `upto` was there already.
    pub(super) fn answered(&mut self, at: usize, upto: Revision, newest: Revision) {
        let Some(lane) = self.lanes.get_mut(at) else { return };
        lane.is_asked = false;
        if newest <= lane.cursor {
            lane.complete_to = lane.complete_to.max(upto);
        } else {
            lane.due = Some((upto, newest));
        }
    }

    /// The consumer that has the earliest entry, and its revision.
    fn first(&self) -> Option<(usize, Revision)> {
        let heads = self.lanes.iter().enumerate();
        heads.filter_map(|(at, lane)| Some((at, revision_of(lane.held.front()?)))).min_by_key(|(_, r)| *r)
    }

    /// The consumers that may have something before a revision.
    fn holding_up(&self, revision: Revision) -> impl Iterator<Item = usize> {
        let lanes = self.lanes.iter().enumerate();
        let open = move |lane: &Lane| lane.held.is_empty() && lane.complete_to < revision;
        lanes.filter(move |(_, lane)| open(lane)).map(|(at, _)| at)
    }
}

fn revision_of(delivery: &Delivery) -> Revision {
    match delivery {
        Delivery::Entry { entry, .. } => entry.revision(),
        Delivery::Unreadable { revision, .. } => *revision,
        Delivery::Idle { .. } | Delivery::Fault(_) => Revision::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delivery(revision: u64, sequence: u64) -> Delivery {
        let (subject, pending) = (String::new(), 0);
        Delivery::Unreadable { subject, revision: Revision::new(revision), sequence, pending }
    }

    /// What happens next: a consumer's next message arrives, or the answer to a question, or a question is put.
    fn run(owners: &[usize], steps: &[u8]) -> Result<(), TestCaseError> {
        // Revision `n + 1` belongs to the prefix of `owners[n]`; each prefix's stand in order.
        let of = |lane: usize| {
            let all = owners.iter().zip(1_u64..).filter(move |(owner, _)| **owner == lane);
            all.map(|(_, revision)| revision).collect::<Vec<u64>>()
        };
        let streams: Vec<Vec<u64>> = (0..3).map(of).collect();
        let mut merge = Merge::new([0; 3]);
        let (mut sent, mut questions, mut handed_on) = ([0_usize; 3], Vec::new(), Vec::new());
        let mut written = 0_u64;
        // Then everything that is left, in some order.
        let rest = (0..owners.len() * 12).map(|at| u8::try_from(at % 12).unwrap());
        for step in steps.iter().copied().chain(rest) {
            let lane = usize::from(step % 3);
            match step / 3 {
                0 => written = (written + 1).min(owners.len() as u64),
                1 | 2 => {
                    let next = streams[lane].get(sent[lane]).filter(|revision| **revision <= written);
                    if let Some(revision) = next {
                        sent[lane] += 1;
                        prop_assert_eq!(merge.take(lane, delivery(*revision, sent[lane] as u64)), None);
                    }
                }
                _ => {
                    questions.extend(merge.ask());
                    if !questions.is_empty() {
                        let (lane, upto) = questions.remove(0);
                        let newest = streams[lane].iter().rev().find(|revision| **revision <= written);
                        merge.answered(lane, upto, Revision::new(newest.copied().unwrap_or(0)));
                    }
                }
            }
            while let Some(Delivery::Unreadable { revision, sequence, .. }) = merge.next() {
                handed_on.push(revision.get());
                prop_assert_eq!(sequence, handed_on.len() as u64);
            }
            // In the order of the bucket, and nothing left out.
            let in_order: Vec<u64> = (1..=handed_on.len() as u64).collect();
            prop_assert_eq!(&handed_on, &in_order);
        }
        prop_assert_eq!(handed_on.len(), owners.len(), "something is held for ever");
        Ok(())
    }

    proptest! {
        // P1
        #[test]
        fn entries_come_in_the_order_of_the_bucket_whatever_arrives_first(
            owners in proptest::collection::vec(0..3_usize, 0..12),
            steps in proptest::collection::vec(0..12_u8, 0..60),
        ) {
            run(&owners, &steps)?;
        }
    }

    #[test]
    fn a_missing_delivery_is_a_fault() {
        let mut merge = Merge::new([0; 2]);
        assert_eq!(merge.take(0, delivery(4, 1)), None);
        assert_eq!(merge.take(0, delivery(6, 3)), Some(Fault::Lagged));
        assert_eq!(merge.take(1, Delivery::Idle { sequence: 1 }), Some(Fault::Lagged));
    }

    #[test]
    fn all_have_to_be_idle_since_the_last_entry() {
        let mut merge = Merge::new([0; 2]);
        assert_eq!(merge.take(0, Delivery::Idle { sequence: 0 }), None);
        assert_eq!(merge.next(), None);
        assert_eq!(merge.take(1, Delivery::Idle { sequence: 0 }), None);
        assert_eq!(merge.next(), Some(Delivery::Idle { sequence: 0 }));
        assert_eq!(merge.next(), None);
    }
}
