//! What a live watch asks the bucket, and what it takes back.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{delivered, delivered_before, watching};
use crate::store::header::{BATCH_ID, BATCH_SEQUENCE};
use crate::store::{Delivery, Fault, ReadError, Reading};
use crate::watch::WatchState;
use crate::watch::machine::{About, Effect, Input, Machine, Tuning};
use crate::{Headers, Prefix, Revision};

fn created(at: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(at)
}

/// A live watch of an empty bucket that keeps 64 revisions.
fn live(incarnation: Option<u64>) -> (Machine, Instant) {
    let now = Instant::now();
    let mut machine = Machine::new(Tuning::default());
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    let (pending, history, clock, promised, last) = (0, Some(64), None, Revision::ZERO, None);
    let incarnation = incarnation.map(created);
    machine.step(now, Input::Opened { pending, incarnation, history, clock, promised, last });
    machine.step(now, Input::Drained);
    (machine, now)
}

fn reads(effects: &[Effect]) -> bool {
    effects.contains(&Effect::Read { whole: false })
}

// P5: permissions can be granted at any time.
#[test]
fn a_reading_that_was_refused_is_asked_for_again_after_a_while() {
    let refused = ReadError::NotPermitted { subject: "s".to_owned() };
    let torn = Reading { entries: Vec::new(), revision: Revision::new(1), isolated: false };
    for answer in [Err(refused), Ok(torn)] {
        let (mut machine, now) = live(None);
        let part: Headers = [(BATCH_ID, "q"), (BATCH_SEQUENCE, "1")].into_iter().collect();
        machine.step(now, delivered("a.x", 1, part));
        assert!(reads(&machine.step(now, Input::Drained)));
        machine.step(now, Input::Read(answer));
        for seconds in [1, 30, 59] {
            let later = now + Duration::from_secs(seconds);
            assert!(!reads(&machine.step(later, Input::Drained)), "after {seconds} seconds");
        }
        assert!(reads(&machine.step(now + Duration::from_secs(60), Input::Drained)));
    }
}

// P1: with one revision kept, what is pending may have pushed out what was delivered before.
#[test]
fn a_history_that_was_lowered_is_noticed_while_the_watch_is_live() {
    let (mut machine, now) = live(Some(7));
    machine.step(now, delivered_before("a.x", 1, 1, 3));
    let published = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Publish(_)));
    assert!(published(&machine.step(now, Input::Drained)), "with 64 revisions it is exact");

    let due = now + Tuning::default().count_every;
    machine.step(due - Duration::from_millis(1), Input::Deadline);
    let mut asked = Vec::new();
    while !asked.contains(&Effect::Count) {
        asked.extend(machine.step(due, Input::Deadline));
    }
    assert!(asked.contains(&Effect::Describe), "{asked:?}");
    machine.step(due, Input::Described(Ok(About { created: created(7), history: 1 })));
    machine.step(due, delivered_before("a.x", 2, 2, 2));
    assert!(!published(&machine.step(due, Input::Drained)));
    machine.step(due, delivered_before("a.y", 3, 3, 0));
    assert!(published(&machine.step(due, Input::Drained)));
}

// P4
#[test]
fn a_bucket_that_says_in_between_that_it_is_another_one_is_loaded_again() {
    let (mut machine, now) = live(Some(7));
    let effects = machine.step(now, Input::Described(Ok(About { created: created(8), history: 64 })));
    assert!(
        matches!(effects[..], [Effect::State(_), Effect::Subscribe { failures: Some(0) }]),
        "{effects:?}"
    );
}

// A server may log every refusal.
#[test]
fn who_may_not_ask_about_the_bucket_is_not_made_to_try() {
    let (mut machine, now) = live(None);
    let due = now + Tuning::default().count_every;
    let mut asked = Vec::new();
    while !asked.contains(&Effect::Count) {
        asked.extend(machine.step(due, Input::Deadline));
    }
    assert!(!asked.contains(&Effect::Describe), "{asked:?}");
}

// P5: a writer of bad will under the same prefix, and a reader who may not ask for the state as a whole.
#[test]
fn who_writes_sets_that_never_end_does_not_keep_a_restricted_reader_from_other_changes() {
    let refused = || Err(ReadError::NotPermitted { subject: "s".to_owned() });
    let (mut machine, now) = live(None);
    let (mut published, mut revision) = (Vec::new(), 0);
    let mut at = now;
    for round in 1..=10_u64 {
        let mut effects = Vec::new();
        // Never idle, and at the end of what has come there is always one of his.
        for key in ["a.good", "a.bad"] {
            revision += 1;
            let forged: Headers = [(BATCH_ID, "q"), (BATCH_SEQUENCE, "1")].into_iter().collect();
            let headers = if key == "a.bad" { forged } else { Headers::new() };
            effects.extend(machine.step(at, delivered(key, revision, headers)));
        }
        effects.extend(machine.step(at, Input::Drained));
        if reads(&effects) {
            machine.step(at, Input::Read(refused()));
        }
        at += Duration::from_millis(50);
        effects.extend(machine.step(at, Input::Deadline));
        published.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Publish(update) => Some((round, update.revision.get())),
            _ => None,
        }));
    }
    // Each change of the other is there after 50 ms, and his with the next of them.
    let expected: Vec<(u64, u64)> = (1..=10).map(|round| (round, 2 * round - 1)).collect();
    assert_eq!(published, expected);
}

// P1, P5: both are taken in one go, and what came before is still published.
#[test]
fn a_connection_that_broke_behind_a_change_or_a_load_is_not_live() {
    let broken = || Input::Delivered(Delivery::Fault(Fault::Disconnected));
    let published = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Publish(_)));

    let (mut machine, now) = live(None);
    machine.step(now, delivered_before("a.x", 1, 1, 0));
    machine.step(now, broken());
    let effects = machine.step(now, Input::Drained);
    assert_eq!((published(&effects), machine.watch_state()), (true, &WatchState::Disconnected));
    // One more that the client had received before.
    machine.step(now, delivered_before("a.x", 2, 2, 0));
    let effects = machine.step(now, Input::Drained);
    assert_eq!((published(&effects), machine.watch_state()), (true, &WatchState::Disconnected));

    let (mut machine, now) = watching("a", 1);
    machine.step(now, delivered_before("a.x", 1, 1, 0));
    machine.step(now, broken());
    let effects = machine.step(now, Input::Drained);
    assert_eq!((published(&effects), machine.watch_state()), (true, &WatchState::Disconnected));
    machine.step(now, Input::Delivered(Delivery::Fault(Fault::Reconnected)));
    let (pending, history, clock, promised, last) = (1, Some(64), None, Revision::ZERO, None);
    machine.step(now, Input::Opened { pending, incarnation: None, history, clock, promised, last });
    machine.step(now, delivered_before("a.x", 1, 1, 0));
    machine.step(now, Input::Drained);
    assert_eq!(machine.watch_state(), &WatchState::Live);
}
