//! What the bucket's leader has, and the copy that delivers has not.

use std::time::Duration;

use super::{delivered_before, watching};
use crate::Revision;
use crate::store::ReadError;
use crate::watch::WatchState;
use crate::watch::machine::{Effect, Input};

// P4, P5: whatever the copy of a bucket says that delivers, the leader has more.
#[test]
fn a_load_without_what_the_leader_has_is_not_believed_however_long_it_lasts() {
    let (mut machine, mut now) = watching("a", 1);
    let (history, promised) = (Some(64), Revision::new(7));
    for _ in 0..3 {
        machine.step(
            now,
            Input::Opened { pending: 1, incarnation: None, history, clock: None, promised, last: None },
        );
        machine.step(now, delivered_before("a.x", 3, 1, 0));
        let effects = machine.step(now, Input::Drained);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Publish(_))), "{effects:?}");
        assert!(matches!(machine.watch_state(), WatchState::Suspect { .. }), "{:?}", machine.watch_state());
        now = machine.deadline().expect("it asks again");
        let effects = machine.step(now, Input::Deadline);
        assert!(matches!(effects.last(), Some(Effect::Subscribe { .. })), "{effects:?}");
    }
    machine.step(
        now,
        Input::Opened { pending: 1, incarnation: None, history, clock: None, promised, last: None },
    );
    machine.step(now, delivered_before("a.x", 3, 1, 0));
    machine.step(now, Input::Drained);
    // It catches up.
    machine.step(now, delivered_before("a.x", 7, 2, 0));
    let effects = machine.step(now, Input::Drained);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Publish(_))), "{effects:?}");
    assert_eq!(machine.watch_state(), &WatchState::Live);
}

// P5: a consumer on a server that lost the others says that there is nothing new.
#[test]
fn a_leader_that_is_gone_or_ahead_makes_a_live_watch_doubtful() {
    let electing = ReadError::Timeout { what: "the bucket's leader", after: Duration::from_secs(2) };
    let unchecked = |answers: &[Result<u64, ReadError>]| {
        let (mut machine, now) = watching("a", 0);
        machine.step(now, Input::Drained);
        assert_eq!(machine.watch_state(), &WatchState::Live);
        let due = machine.deadline().expect("it checks");
        assert_eq!(machine.step(due, Input::Deadline), [Effect::Check]);
        for answer in answers {
            machine.step(due, Input::Checked(answer.clone().map(Revision::new)));
        }
        machine.watch_state().to_string()
    };
    assert_eq!(unchecked(&[Ok(0), Ok(0)]), "live");
    assert_eq!(unchecked(&[Ok(5)]), "live", "it may be on its way");
    let lagging = "reading the bucket again: a copy of the bucket lags behind its leader";
    assert_eq!(unchecked(&[Ok(5), Ok(5)]), lagging);
    let alone = "reading the bucket again: no answer within 2s to the bucket's leader";
    assert_eq!(unchecked(&[Err(electing)]), alone);
}
