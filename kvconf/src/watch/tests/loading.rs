//! When a load is complete, and when its answer is believed.

use std::time::Duration;

use super::delivered;
use crate::attribution::PROVISIONAL;
use crate::store::Delivery;
use crate::store::header::TTL;
use crate::watch::WatchState;
use crate::watch::machine::{Effect, Input, Machine, Tuning};
use crate::{Headers, Prefix, Revision};

/// A machine that has just opened a subscription, a minute after the bucket's first entry.
fn loading(now: tokio::time::Instant, machine: &mut Machine, pending: u64) {
    let start = std::time::SystemTime::UNIX_EPOCH;
    let clock = Some(start + Duration::from_secs(60));
    machine.step(
        now,
        Input::Opened {
            pending,
            incarnation: Some(start),
            history: Some(64),
            clock,
            promised: Revision::ZERO,
            last: None,
        },
    );
}

fn ends(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Loaded { .. }))
}

fn begins_anew(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Subscribe { .. }))
}

// P2: an answer from the moment in which a change goes back would otherwise become true by getting old.
#[test]
fn a_suspect_answer_is_asked_for_again_before_it_is_believed() {
    let now = tokio::time::Instant::now();
    let mut machine = Machine::new(Tuning::default());
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    loading(now, &mut machine, 1);
    let overdue: Headers = [(TTL, "10s"), (PROVISIONAL, "1")].into_iter().collect();
    machine.step(now, delivered("a.x", 1, overdue.clone()));
    assert!(!ends(&machine.step(now, Input::Drained)));
    assert!(matches!(machine.watch_state(), WatchState::Suspect { .. }));

    let later = now + Duration::from_secs(2);
    assert!(!ends(&machine.step(later, Input::Delivered(Delivery::Idle { sequence: 1 }))));
    assert!(begins_anew(&machine.step(later, Input::Deadline)));
    loading(later, &mut machine, 1);
    machine.step(later, delivered("a.x", 1, overdue));
    assert!(ends(&machine.step(later, Input::Drained)));
}

// P1: what was removed while it was loaded may have made an earlier entry current that was not on the list.
#[test]
fn a_load_that_is_too_short_is_begun_anew_but_not_for_ever() {
    let now = tokio::time::Instant::now();
    let mut machine = Machine::new(Tuning::default());
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    let mut short = || {
        loading(now, &mut machine, 2);
        machine.step(now, delivered("a.x", 1, Headers::new()));
        let effects = machine.step(now, Input::Drained);
        (begins_anew(&effects), ends(&effects))
    };
    assert_eq!([short(), short(), short()], [(true, false); 3]);
    assert_eq!(short(), (false, true));
}
