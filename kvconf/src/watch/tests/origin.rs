//! A bucket that copies another one, and does not hear of it.

use super::{delivered_before, watching};
use crate::store::Origin;
use crate::watch::WatchState;
use crate::watch::machine::{Effect, Input};

fn away(cause: Option<&str>) -> Option<Origin> {
    Some(Origin::Away { bucket: "far".to_owned(), cause: cause.map(str::to_owned) })
}

// P5: it delivers all it has, and what the other one has by now nobody knows.
#[test]
fn a_watch_of_a_copy_that_is_cut_off_goes_on_and_says_so() {
    let (mut machine, now) = watching("a", 0);
    machine.step(now, Input::Origin(away(None)));
    let effects = machine.step(now, Input::Drained);
    let cut_off = WatchState::OriginAway { origin: "far".to_owned(), cause: None };
    assert!(effects.contains(&Effect::State(cut_off.clone())), "{effects:?}");
    assert!(!effects.contains(&Effect::State(WatchState::Live)), "not for a moment: {effects:?}");
    assert!(cut_off.is_stale());

    // Somebody writes to the copy itself.
    machine.step(now, delivered_before("a.x", 3, 1, 0));
    let effects = machine.step(now, Input::Drained);
    assert!(matches!(&effects[..], [Effect::Publish(_)]), "{effects:?}");
    assert_eq!(machine.watch_state(), &cut_off);

    let effects = machine.step(now, Input::Origin(away(Some("stream not found"))));
    let [Effect::State(state)] = &effects[..] else { panic!("{effects:?}") };
    let expected = "nothing is heard of bucket far, which this one copies: stream not found";
    assert_eq!(state.to_string(), expected);
    assert_eq!(machine.step(now, Input::Origin(None)), [Effect::State(WatchState::Live)]);
    assert_eq!(machine.step(now, Input::Origin(None)), []);
}

#[test]
fn a_copy_that_lacks_much_of_its_origin_lags() {
    let (mut machine, now) = watching("a", 0);
    machine.step(now, Input::Drained);
    let ahead = |entries| Input::Origin(Some(Origin::Ahead { entries }));
    let lagging = |pending| [Effect::State(WatchState::Lagging { pending })];
    assert_eq!(machine.step(now, ahead(900)), lagging(900));
    assert_eq!(machine.step(now, ahead(400)), lagging(400));
    machine.step(now, delivered_before("a.x", 3, 1, 0));
    machine.step(now, Input::Drained);
    assert_eq!(machine.watch_state(), &WatchState::Lagging { pending: 400 });
    assert_eq!(machine.step(now, Input::Origin(None)), [Effect::State(WatchState::Live)]);
}

// P5: it hears of the other one, and what it has is nothing that the other one ever had.
#[test]
fn a_watch_of_a_mirror_whose_origin_is_another_one_says_so_as_long_as_that_is_so() {
    let (mut machine, now) = watching("a", 0);
    machine.step(now, Input::Drained);
    machine.step(now, Input::Origin(away(Some("stream not found"))));
    let replaced = || Some(Origin::Replaced { bucket: "far".to_owned() });
    let effects = machine.step(now, Input::Origin(replaced()));
    let [Effect::State(state)] = &effects[..] else { panic!("{effects:?}") };
    let expected =
        "bucket far, which this one copies, is not the one whose entries are here: make this one anew";
    assert_eq!(state.to_string(), expected);
    assert!(state.is_stale());
    assert_eq!(machine.step(now, Input::Origin(replaced())), []);
    assert_eq!(machine.step(now, Input::Origin(None)), [Effect::State(WatchState::Live)]);
}
