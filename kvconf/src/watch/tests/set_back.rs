//! Buckets whose revisions are given for the second time, although they were not created anew.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::delivered_before;
use crate::watch::machine::{Effect, Input, Machine, Tuning};
use crate::{Prefix, Revision};

fn watching() -> Machine {
    let mut machine = Machine::new(Tuning::default());
    machine.step(Instant::now(), Input::Watch(vec![Prefix::new("a").unwrap()]));
    machine
}

/// A load of a bucket with one entry.
fn load(
    machine: &mut Machine,
    now: Instant,
    revision: u64,
    incarnation: Option<SystemTime>,
    last: Option<u64>,
) -> Option<(u64, u64)> {
    let (history, clock, promised) = (Some(64), None, Revision::ZERO);
    let last = last.map(Revision::new);
    machine.step(now, Input::Opened { pending: 1, incarnation, history, clock, promised, last });
    machine.step(now, delivered_before("a.x", revision, 1, 0));
    published(&machine.step(now, Input::Drained))
}

fn published(effects: &[Effect]) -> Option<(u64, u64)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Publish(update) => Some((update.revision.get(), update.epoch)),
        _ => None,
    })
}

fn again(machine: &mut Machine, after: Duration) -> Instant {
    let later = Instant::now() + after;
    machine.step(later, Input::Deadline);
    later
}

// P4: its newest entries came from a backup, and it goes on from there.
#[test]
fn a_bucket_that_was_set_back_is_another_epoch() {
    let (now, mut machine) = (Instant::now(), watching());
    let created = Some(SystemTime::UNIX_EPOCH);
    assert_eq!(load(&mut machine, now, 50, created, Some(50)), Some((50, 0)));
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    // A leader that has just been elected may say so for a moment.
    assert_eq!(load(&mut machine, now, 30, created, Some(31)), None);
    let later = again(&mut machine, Duration::from_secs(1));
    assert_eq!(load(&mut machine, later, 30, created, Some(31)), Some((30, 1)));
}

// P4: what was seen last is gone; that the bucket gave its revision is known all the same.
#[test]
fn a_bucket_whose_newest_entry_had_vanished_before_it_was_set_back_is_another_epoch() {
    let (now, mut machine) = (Instant::now(), watching());
    let created = Some(SystemTime::UNIX_EPOCH);
    assert_eq!(load(&mut machine, now, 50, created, Some(50)), Some((50, 0)));
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    assert_eq!(load(&mut machine, now, 20, created, Some(50)), None);
    let later = again(&mut machine, Duration::from_secs(1));
    assert_eq!(load(&mut machine, later, 20, created, Some(50)), Some((50, 0)), "the same bucket");
    machine.step(later, Input::Watch(vec![Prefix::new("a").unwrap()]));
    assert_eq!(load(&mut machine, later, 40, created, Some(40)), None);
    let later = again(&mut machine, Duration::from_secs(3));
    assert_eq!(load(&mut machine, later, 40, created, Some(40)), Some((40, 1)));
}

// P1, P4
#[test]
fn a_bucket_that_is_another_one_by_its_revisions_alone_is_at_its_own_revision() {
    let (now, mut machine) = (Instant::now(), watching());
    assert_eq!(load(&mut machine, now, 50, None, None), Some((50, 0)));
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    assert_eq!(load(&mut machine, now, 3, None, None), None);
    let later = again(&mut machine, Duration::from_secs(10));
    assert_eq!(load(&mut machine, later, 3, None, None), Some((3, 1)));
}

// P4: the permission to ask when the bucket was created was taken away meanwhile.
#[test]
fn lower_revisions_that_last_are_another_bucket_for_who_may_no_longer_ask() {
    let (now, mut machine) = (Instant::now(), watching());
    assert_eq!(load(&mut machine, now, 50, Some(SystemTime::UNIX_EPOCH), Some(50)), Some((50, 0)));
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    assert_eq!(load(&mut machine, now, 3, None, None), None);
    let later = again(&mut machine, Duration::from_secs(10));
    assert_eq!(load(&mut machine, later, 3, None, None), Some((3, 1)));
}

// P4: it was loaded before it could be asked which one it is.
#[test]
fn another_bucket_is_told_also_when_its_keys_are_known_already() {
    let (now, mut machine) = (Instant::now(), watching());
    let created = |at| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(at));
    assert_eq!(load(&mut machine, now, 50, created(1), Some(50)), Some((50, 0)));
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    assert_eq!(load(&mut machine, now, 60, None, None), Some((60, 0)));
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    assert_eq!(load(&mut machine, now, 60, created(2), Some(60)), Some((60, 1)));
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    assert_eq!(load(&mut machine, now, 60, created(2), Some(60)), None, "nothing is new");
}
