//! A first load, before the bucket was asked about itself.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::delivered_before;
use crate::store::ReadError;
use crate::watch::WatchState;
use crate::watch::machine::{About, Effect, Input, Machine, Tuning};
use crate::{Prefix, Revision};

fn created(at: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(at)
}

fn about(at: u64) -> Input {
    Input::Described(Ok(About { created: created(at), history: 64 }))
}

fn opened(incarnation: u64, history: Option<u64>) -> Input {
    let incarnation = Some(created(incarnation));
    Input::Opened { pending: 1, incarnation, history, clock: None, promised: Revision::ZERO, last: None }
}

/// A machine that loads one entry from a bucket which is taken for the one that was created at second 7.
fn presuming() -> (Machine, Instant) {
    let now = Instant::now();
    let mut machine = Machine::new(Tuning::default());
    assert!(machine.knows_nothing());
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    machine.step(now, opened(7, None));
    machine.step(now, Input::Presumed);
    (machine, now)
}

fn published(effects: &[Effect]) -> Vec<(u64, u64)> {
    let published = |effect: &Effect| match effect {
        Effect::Publish(update) => Some((update.revision.get(), update.epoch)),
        _ => None,
    };
    effects.iter().filter_map(published).collect()
}

#[test]
fn a_bucket_is_asked_about_itself_once_and_after_the_first_state() {
    let (mut machine, now) = presuming();
    assert_eq!(machine.step(now, Input::Drained), []);
    machine.step(now, delivered_before("a.x", 3, 1, 0));
    let effects = machine.step(now, Input::Drained);
    let [Effect::Arrived(_), Effect::State(WatchState::Live), Effect::Publish(_), loaded, last] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!((loaded, last), (&Effect::Loaded { as_arrived: true }, &Effect::Describe));
    assert_eq!(machine.step(now, Input::Drained), []);
    assert_eq!(machine.step(now, about(7)), []);
    assert_eq!(machine.incarnation(), Some(created(7)));
    assert!(!machine.knows_nothing());
}

// P1: how many revisions the bucket keeps, and so what may be pushed out unseen, is not known before it has answered.
#[test]
fn a_state_with_more_to_come_waits_for_what_the_bucket_says_of_itself() {
    let (mut machine, now) = presuming();
    machine.step(now, delivered_before("a.x", 3, 1, 5));
    let effects = machine.step(now, Input::Drained);
    assert!(matches!(effects[..], [Effect::Arrived(_), Effect::Describe]), "{effects:?}");
    assert_eq!(published(&machine.step(now, about(7))), [(3, 0)]);
}

// P4: nobody knows which of the two was loaded.
#[test]
fn a_bucket_made_again_since_it_was_opened_is_loaded_again_as_another_one() {
    let (mut machine, now) = presuming();
    machine.step(now, delivered_before("a.x", 300, 1, 0));
    assert_eq!(published(&machine.step(now, Input::Drained)), [(300, 0)]);
    let effects = machine.step(now, about(8));
    let cause = "the bucket was created again".to_owned();
    assert_eq!(
        effects,
        [Effect::State(WatchState::Resyncing { cause }), Effect::Subscribe { failures: Some(0) }]
    );
    assert!(!machine.knows_nothing(), "this time it is asked at once");
    machine.step(now, opened(8, Some(64)));
    machine.step(now, delivered_before("a.x", 2, 1, 0));
    assert_eq!(published(&machine.step(now, Input::Drained)), [(2, 1)]);
    assert_eq!(machine.incarnation(), Some(created(8)));
}

// P4
#[test]
fn a_bucket_that_does_not_answer_is_compared_by_the_next_subscription() {
    let (mut machine, now) = presuming();
    machine.step(now, delivered_before("a.x", 300, 1, 0));
    machine.step(now, Input::Drained);
    let silent = ReadError::Timeout { what: "the bucket's settings", after: Duration::from_secs(5) };
    assert_eq!(machine.step(now, Input::Described(Err(silent))), []);
    assert_eq!(machine.watch_state(), &WatchState::Live);
    machine.step(now, opened(8, Some(64)));
    machine.step(now, delivered_before("a.x", 2, 1, 0));
    assert_eq!(published(&machine.step(now, Input::Drained)), [(2, 1)]);
}

#[test]
fn an_answer_that_comes_after_its_subscription_ended_counts_for_nothing() {
    let (mut machine, now) = presuming();
    machine.step(now, delivered_before("a.x", 3, 1, 0));
    machine.step(now, Input::Drained);
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    assert_eq!(machine.step(now, about(8)), []);
}
