//! What a handle is told that joins a watch in trouble.

use std::time::Duration;

use super::watching;
use crate::Prefix;
use crate::store::{Delivery, Fault, ReadError};
use crate::watch::WatchState;
use crate::watch::machine::{Effect, Input};

fn prefixes() -> Vec<Prefix> {
    ["a", "c"].map(|prefix| Prefix::new(prefix).unwrap()).into()
}

// P5: a start that ends in vain says why, and not that it began.
#[test]
fn what_is_wrong_stays_what_is_told_when_another_handle_begins() {
    let (mut machine, now) = watching("a", 0);
    machine.step(now, Input::Drained);
    let silent = Fault::Silent { after: Duration::from_secs(3) };
    machine.step(now, Input::Delivered(Delivery::Fault(silent)));
    let unanswered = ReadError::Timeout { what: "a subscription", after: Duration::from_secs(2) };
    for (error, words) in [
        (unanswered, "reading the bucket again: no answer within 2s to a subscription"),
        (ReadError::Disconnected, "disconnected"),
        (ReadError::ClientEnded, "the client has ended and connects no more"),
        (ReadError::BucketNotFound { bucket: "b".to_owned() }, "the bucket is missing"),
    ] {
        machine.step(now, Input::NotOpened(error));
        let effects = machine.step(now, Input::Watch(prefixes()));
        let [Effect::State(state), Effect::Subscribe { failures: None }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(state.to_string(), words);
        let effects = machine.step(now + Duration::from_secs(1), Input::Deadline);
        assert_eq!((effects, machine.watch_state().to_string().as_str()), (vec![], words));
    }
}

#[test]
fn a_watch_that_is_well_says_that_another_handle_begins_where_that_takes_long() {
    let (mut machine, now) = watching("a", 0);
    machine.step(now, Input::Drained);
    let effects = machine.step(now, Input::Watch(prefixes()));
    assert_eq!(effects, [Effect::Subscribe { failures: None }]);
    machine.step(now + Duration::from_secs(1), Input::Deadline);
    assert!(
        matches!(machine.watch_state(), WatchState::Resyncing { cause } if cause == "another handle begins")
    );
}
