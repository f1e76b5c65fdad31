//! Watches beside each other, and making one of them.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::delivered_before;
use crate::watch::machine::{Effect, Input, Machine, Tuning};
use crate::watch::{Update, WatchState};
use crate::{Prefix, Revision};

fn prefixes(texts: &[&str]) -> Vec<Prefix> {
    texts.iter().map(|text| Prefix::new(text).unwrap()).collect()
}

/// The bucket that was created at this second has these entries.
fn load(machine: &mut Machine, created: u64, entries: &[(&str, u64)]) -> Vec<Effect> {
    let now = Instant::now();
    let pending = entries.len() as u64;
    let incarnation = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(created));
    let (history, clock, promised, last) = (Some(64), None, Revision::ZERO, None);
    let mut effects =
        machine.step(now, Input::Opened { pending, incarnation, history, clock, promised, last });
    for (at, (key, revision)) in (1..).zip(entries) {
        effects.extend(machine.step(now, delivered_before(key, *revision, at, pending - at)));
    }
    effects.extend(machine.step(now, Input::Drained));
    effects
}

/// Adds the watch of a prefix with these entries.
fn begin(mut machine: Machine, prefix: &str, created: u64, entries: &[(&str, u64)]) -> Machine {
    machine.step(Instant::now(), Input::Watch(prefixes(&[prefix])));
    load(&mut machine, created, entries);
    assert!(machine.is_settled());
    machine
}

fn first(prefix: &str, entries: &[(&str, u64)]) -> Machine {
    begin(Machine::new(Tuning::default()), prefix, 7, entries)
}

/// A revision, its epoch, and the keys that changed, each with its revision or zero.
type Told<'a> = (u64, u64, Vec<(&'a str, u64)>);

fn told(update: &Update) -> Told<'_> {
    let changes = update.sets.iter().flat_map(|set| &set.changes);
    let revision = |change: &crate::watch::Change| change.entry.as_ref().map_or(0, |e| e.revision().get());
    let changes = changes.map(|change| (change.key.as_str(), revision(change))).collect();
    (update.revision.get(), update.epoch, changes)
}

fn published(effects: &[Effect]) -> Option<Told<'_>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Publish(update) => Some(told(update)),
        _ => None,
    })
}

// P1: each reader has another state before, also of keys that both of them have.
#[test]
fn readers_of_two_watches_are_told_what_is_new_for_each_of_them() {
    let mut one = first("a", &[("a.x", 1), ("a.y", 2)]);
    let two = begin(one.beside(), "", 7, &[("a.y", 2), ("a.x", 4), ("b", 5), ("c", 6)]);
    let base = one.absorb(two);
    one.step(Instant::now(), Input::Watch(prefixes(&[""])));
    let effects = load(&mut one, 7, &[("a.x", 4), ("b", 5), ("a.z", 8)]);
    // Of `b` and `c` the first ones know nothing, and what they are told of them does not matter.
    let (revision, epoch, changes) = published(&effects).unwrap();
    assert_eq!((revision, epoch), (8, 0));
    assert!(
        [("a.x", 4), ("a.z", 8), ("a.y", 0)].iter().all(|change| changes.contains(change)),
        "{changes:?}"
    );
    assert_eq!(told(&one.since(&base).unwrap()), (8, 0, vec![("a.z", 8), ("a.y", 0), ("c", 0)]));
}

// P4: what only one of them has seen counts as seen.
#[test]
fn a_copy_that_lags_behind_one_of_two_watches_is_not_believed() {
    for prefix in ["b", "a"] {
        let mut one = first("a", &[("a.x", 1)]);
        let key = format!("{prefix}.x");
        let two = begin(one.beside(), prefix, 7, &[(&key, 9)]);
        one.absorb(two);
        one.step(Instant::now(), Input::Watch(prefixes(&["a", "b"])));
        let effects = load(&mut one, 7, &[("a.x", 1)]);
        assert_eq!(published(&effects), None, "{prefix}: {effects:?}");
        assert!(matches!(one.watch_state(), WatchState::Suspect { .. }), "{:?}", one.watch_state());
    }
}

// P4: the revision that readers of the other watch have is never given to a state before it.
#[test]
fn the_newer_state_of_two_watches_says_at_which_revision_they_go_on() {
    let mut one = first("a", &[("a.x", 1)]);
    let two = begin(one.beside(), "b", 7, &[("b.x", 9)]);
    let base = one.absorb(two);
    one.step(Instant::now(), Input::Watch(prefixes(&["a", "b"])));
    let effects = load(&mut one, 7, &[("a.x", 1), ("b.x", 9)]);
    assert_eq!((published(&effects), one.since(&base)), (None, None));
    assert_eq!(one.applied(), Some((Revision::new(9), 0)));
}

// P4
#[test]
fn a_bucket_that_one_of_two_watches_knows_to_be_another_one_is_another_one_for_both() {
    // The newcomer finds the new bucket, and the one that was there has not noticed yet.
    let mut one = first("a", &[("a.x", 500)]);
    let two = begin(one.beside(), "b", 8, &[("b.x", 2)]);
    assert_eq!(two.applied(), Some((Revision::new(2), 1)));
    let base = one.absorb(two);
    one.step(Instant::now(), Input::Watch(prefixes(&["a", "b"])));
    let effects = load(&mut one, 8, &[("b.x", 2), ("a.x", 3)]);
    let (revision, epoch, changes) = published(&effects).unwrap();
    assert_eq!((revision, epoch, changes), (3, 1, vec![("a.x", 3)]));
    assert_eq!(one.since(&base), None);

    // The other way round: who has noticed takes in who has not.
    let one = first("a", &[("a.x", 500)]);
    let mut two = begin(one.beside(), "b", 8, &[("b.x", 2)]);
    let base = two.absorb(one);
    two.step(Instant::now(), Input::Watch(prefixes(&["a", "b"])));
    load(&mut two, 8, &[("b.x", 2), ("a.x", 3)]);
    assert_eq!(told(&two.since(&base).unwrap()), (3, 1, vec![("a.x", 3)]));

    // Each has noticed another one: neither knows which of the two is there now.
    let root = first("a", &[("a.x", 500)]);
    let mut one = begin(root.beside(), "b", 8, &[("b.x", 2)]);
    let two = begin(root.beside(), "c", 9, &[("c.x", 300)]);
    let base = one.absorb(two);
    one.step(Instant::now(), Input::Watch(prefixes(&["b", "c"])));
    let effects = load(&mut one, 9, &[("b.x", 4), ("c.x", 300)]);
    assert_eq!(published(&effects).unwrap(), (300, 2, vec![("b.x", 4)]));
    assert_eq!(one.since(&base), None);
}

#[test]
fn readers_of_keys_that_a_later_state_has_go_on_with_it_at_once() {
    let one = first("", &[("a.x", 1), ("b.x", 5), ("a.y", 6)]);
    let two = begin(one.beside(), "a", 7, &[("a.x", 1)]);
    assert_eq!(told(&one.continues(&two).unwrap()), (6, 0, vec![("a.y", 6)]));
    let same = begin(one.beside(), "b", 7, &[("b.x", 5)]);
    assert_eq!(told(&one.continues(&same).unwrap()), (6, 0, vec![]));
}

// P4: what one of them knows to be gone does not come back with the other.
#[test]
fn readers_do_not_go_on_with_a_state_that_may_be_the_earlier_one() {
    let one = first("a", &[("a.x", 1), ("a.y", 4)]);
    let later = begin(one.beside(), "a", 7, &[("a.x", 1), ("a.y", 4), ("a.z", 5)]);
    assert_eq!(one.continues(&later), None, "the other one is the later one");
    let wider = begin(one.beside(), "", 7, &[("a.x", 1), ("a.y", 4)]);
    assert_eq!(one.continues(&wider), None, "not all of its keys are here");
    let expired = begin(one.beside(), "a", 7, &[("a.y", 4)]);
    assert_eq!(one.continues(&expired), None, "a key is gone there");
    let with_more = begin(one.beside(), "a", 7, &[("a.w", 3), ("a.y", 4)]);
    assert_eq!(one.continues(&with_more), None, "a key is gone here");
    let another = begin(one.beside(), "a", 8, &[("a.x", 1)]);
    assert_eq!(one.continues(&another), None, "it is in another bucket");
}

// P5
#[test]
fn a_watch_that_joins_knows_that_the_bucket_is_away() {
    let mut one = first("a", &[]);
    let error = crate::ReadError::Disconnected;
    one.step(Instant::now(), Input::NotOpened(error));
    let effects = one.beside().step(Instant::now(), Input::Watch(prefixes(&["b"])));
    assert_eq!(effects, [Effect::State(WatchState::Disconnected), Effect::Subscribe { failures: None }]);
}
