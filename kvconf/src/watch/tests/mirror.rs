//! A mirror gets change sets entry by entry, and its connection to the origin can stand still at any place.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::*;
use crate::store::Origin;

#[derive(Debug, Clone)]
enum Step {
    /// Something that happens to the origin, or to the watch.
    Do(Op),
    /// The mirror gets so many entries more.
    Copy(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let stamped = op().prop_map(|op| match op {
        // Of others' batches nothing tells on a mirror.
        Op::Batch(members, _) => Op::Batch(members, true),
        // Nothing of these is different for a mirror.
        Op::Recreate | Op::Replay => Op::Run(100),
        op => op,
    });
    prop_oneof![6 => stamped.prop_map(Step::Do), 4 => (0_usize..5).prop_map(Step::Copy)]
}

/// A bucket that is written to by copying what stands in its origin. The model is of the origin.
struct Mirrored {
    world: World,
    /// What the mirror does not have yet.
    outstanding: VecDeque<(Key, Option<Bytes>, Headers)>,
    /// What is told of the origin when something is outstanding.
    told: Told,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    /// It is on its way, and that takes too short a time to be told.
    Nothing,
    /// Nothing has been heard of it for long.
    Away,
    Ahead,
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![Just(Told::Nothing), Just(Told::Away), Just(Told::Ahead)]
}

impl Mirrored {
    fn write(&mut self, changes: Vec<(Key, Option<Bytes>, Headers)>) {
        let plain = changes.iter().map(|(key, value, _)| (key.clone(), value.clone()));
        self.world.model.write(&plain.collect::<Vec<_>>());
        self.outstanding.extend(changes);
    }

    async fn copy(&mut self, count: usize) {
        for _ in 0..count {
            let Some((key, value, headers)) = self.outstanding.pop_front() else { return };
            self.world.store.write(write(&key, value.as_ref(), headers)).await.unwrap();
        }
    }

    async fn perform(&mut self, step: &Step) {
        let bytes = |value: u8| Bytes::from(value.to_string());
        match step {
            Step::Copy(count) => self.copy(*count).await,
            Step::Do(Op::Put(key, value)) => {
                self.write(vec![(Key::new(KEYS[*key]).unwrap(), Some(bytes(*value)), Headers::new())]);
            }
            Step::Do(Op::Delete(key)) => {
                self.write(vec![(Key::new(KEYS[*key]).unwrap(), None, Headers::new())]);
            }
            Step::Do(Op::Forge(key, value, how)) => {
                let headers = forged(*how);
                self.write(vec![(Key::new(KEYS[*key]).unwrap(), Some(bytes(*value)), headers)]);
            }
            Step::Do(Op::Batch(members, _)) => {
                let changes = changes_of(members);
                self.world.batches += 1;
                let headers = set_headers(self.world.batches, &changes);
                let stamped = changes.into_iter().zip(headers);
                self.write(stamped.map(|((key, value), headers)| (key, value, headers)).collect());
            }
            // Too short to be told, all in all.
            Step::Do(Op::Run(ms)) if self.told == Told::Nothing => {
                self.world.perform(&Op::Run(ms % 100)).await
            }
            Step::Do(op) => self.world.perform(op).await,
        }
        self.world.faults.mirror(self.origin());
    }

    fn origin(&self) -> Option<Origin> {
        match (self.told, self.outstanding.len() as u64) {
            (_, 0) | (Told::Nothing, _) => None,
            (Told::Away, _) => away(),
            (Told::Ahead, entries) => Some(Origin::Ahead { entries }),
        }
    }
}

fn run_mirrored(
    history: u8,
    (steps, told): (&[Step], Told),
    faults: impl FnOnce(&MemoryFaults),
) -> Result<(), TestCaseError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut mirrored = Mirrored { world: World::new(history), outstanding: VecDeque::new(), told };
        mirrored.world.faults.mirror(None);
        faults(&mirrored.world.faults);
        mirrored.world.join("");
        mirrored.world.join("a");
        for step in steps {
            mirrored.perform(step).await;
        }
        mirrored.world.faults.resume();
        if told != Told::Nothing {
            // However long the connection stands still.
            tokio::time::sleep(Duration::from_secs(120)).await;
            mirrored.world.check()?;
        }
        mirrored.perform(&Step::Copy(usize::MAX)).await;
        mirrored.world.converge().await?;
        mirrored.world.check()
    })
}

proptest! {
    #![proptest_config(crate::cases(100))]

    // P1, P2, P4
    #[test]
    fn a_mirror_never_shows_a_part_of_a_set(
        steps in proptest::collection::vec(step(), 1..80),
        told in told(),
    ) {
        run_mirrored(64, (&steps, told), |_| ())?;
    }

    // P1, P2, P4
    #[test]
    fn also_where_few_revisions_are_kept(
        steps in proptest::collection::vec(step(), 40..120),
        told in told(),
    ) {
        run_mirrored(8, (&steps, told), |_| ())?;
    }

    // P1, P2, P4
    #[test]
    fn also_for_who_may_not_read_as_of_a_moment(
        steps in proptest::collection::vec(step(), 1..80),
        told in told(),
    ) {
        run_mirrored(8, (&steps, told), MemoryFaults::refuse_readings)?;
    }
}

/// Writes to few keys, so that many are pushed out before they are copied; and what happens to the watch after each entry that
/// is copied, or only how long it takes.
fn outage() -> impl Strategy<Value = (Vec<Op>, Vec<Op>)> {
    let key = 0..3_usize;
    let member = (key.clone(), proptest::option::weighted(0.8, any::<u8>()));
    let write = prop_oneof![
        4 => (key.clone(), any::<u8>()).prop_map(|(k, v)| Op::Put(k, v)),
        1 => key.prop_map(Op::Delete),
        2 => proptest::collection::vec(member, 2..4).prop_map(|members| Op::Batch(members, true)),
    ];
    let beside = prop_oneof![
        40 => (0_u16..20).prop_map(Op::Run),
        1 => any::<u8>().prop_map(Op::Cut),
        1 => any::<u8>().prop_map(Op::Lose),
        2 => (0..PREFIXES.len()).prop_map(Op::Join),
        1 => Just(Op::Leave),
    ];
    (proptest::collection::vec(write, 1..80), proptest::collection::vec(beside, 60))
}

impl Mirrored {
    /// The mirror gets what its origin still keeps.
    async fn catch_up(&mut self, history: usize, beside: &[Op]) {
        let mut beside = beside.iter().cycle();
        while let Some((key, ..)) = self.outstanding.front() {
            let entries = self.outstanding.len() as u64;
            self.world.faults.mirror(Some(Origin::Ahead { entries }));
            let newer = self.outstanding.iter().skip(1).filter(|(other, ..)| other == key).count();
            if newer >= history {
                self.outstanding.pop_front();
                self.world.faults.skip();
            } else {
                self.copy(1).await;
            }
            self.world.perform(beside.next().unwrap()).await;
        }
    }
}

proptest! {
    #![proptest_config(crate::cases(100))]

    // P1, P2, P4: what is pushed out at the origin while nothing is copied never comes.
    #[test]
    fn a_mirror_that_catches_up_shows_no_state_that_never_was(outages in proptest::collection::vec(outage(), 1..4)) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut mirrored = Mirrored { world: World::new(8), outstanding: VecDeque::new(), told: Told::Away };
            mirrored.world.faults.mirror(None);
            mirrored.world.join("");
            mirrored.world.join("a");
            tokio::time::sleep(Duration::from_secs(3)).await;
            for (writes, beside) in &outages {
                for write in writes {
                    mirrored.perform(&Step::Do(write.clone())).await;
                }
                // Long enough to be told, whenever it is looked at.
                tokio::time::sleep(Duration::from_secs(10)).await;
                mirrored.catch_up(8, beside).await;
                mirrored.world.faults.mirror(None);
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            mirrored.world.converge().await?;
            mirrored.world.check()
        })?;
    }
}

// P5: whatever the server says of its origin, what is delivered is served in the end.
#[tokio::test(start_paused = true)]
async fn what_a_mirror_delivers_is_not_held_back_for_ever() {
    let mut mirrored = Mirrored { world: World::new(8), outstanding: VecDeque::new(), told: Told::Away };
    mirrored.world.faults.mirror(away());
    mirrored.world.join("a");
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (value, seconds, seen) in [(1, 9, vec![""]), (2, 3, vec!["", "2"]), (3, 1, vec!["", "2", "3"])] {
        mirrored.perform(&Step::Do(Op::Put(0, value))).await;
        mirrored.copy(1).await;
        mirrored.world.faults.mirror(away());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        assert_eq!(mirrored.world.seen(), seen, "{value}");
    }
}

/// Two keys that are changed together, `a.x` and `a.y`, the mirror having the first one only; both had a value before.
async fn cut_off(origin: Option<Origin>) -> Mirrored {
    let mut mirrored = Mirrored { world: World::new(8), outstanding: VecDeque::new(), told: Told::Away };
    for step in [Op::Put(0, 1), Op::Put(1, 1), Op::Batch(vec![(0, Some(2)), (1, Some(2))], true)] {
        mirrored.perform(&Step::Do(step)).await;
    }
    mirrored.copy(3).await;
    mirrored.world.faults.mirror(origin);
    mirrored
}

fn away() -> Option<Origin> {
    Some(Origin::Away { bucket: "origin".to_owned(), cause: None })
}

impl World {
    /// The values of the first reader's states so far.
    fn seen(&self) -> Vec<String> {
        let published = self.readers[0].published.lock().unwrap();
        let values = |state: &State| -> Vec<String> {
            state.values().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
        };
        published.iter().map(|step| values(&step.state).join(" ")).collect()
    }
}

// P2, P5: it need not wait for the origin.
#[tokio::test(start_paused = true)]
async fn a_start_on_a_mirror_that_is_cut_off_in_a_set_begins_before_the_set() {
    let mut mirrored = cut_off(away()).await;
    mirrored.world.join("a");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(mirrored.world.seen(), ["1 1"]);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(mirrored.world.seen(), ["1 1"]);
    mirrored.perform(&Step::Copy(1)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(mirrored.world.seen(), ["1 1", "2 2"]);
}

// P2, P5: without a reading as of a moment nothing tells what stood there before.
#[tokio::test(start_paused = true)]
async fn without_the_state_before_the_set_a_start_waits_for_its_rest() {
    let mut mirrored = cut_off(away()).await;
    mirrored.world.faults.refuse_readings();
    mirrored.world.join("a");
    // Whenever it comes: also while the watch asks once more how it stands with the origin.
    tokio::time::sleep(Duration::from_secs(3_600) + Duration::from_millis(u64::from(rand::random::<u16>())))
        .await;
    assert_eq!(mirrored.world.seen(), Vec::<String>::new());
    mirrored.perform(&Step::Copy(1)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(mirrored.world.seen(), ["2 2"]);
}

// P5: anybody can write the header, and an origin that is there would have sent the rest.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_set_that_its_origin_does_not_have_is_not_waited_for() {
    for may_read in [true, false] {
        let mut mirrored = cut_off(None).await;
        if !may_read {
            mirrored.world.faults.refuse_readings();
        }
        mirrored.world.join("a");
        tokio::time::sleep(Duration::from_secs(14)).await;
        let before = mirrored.world.seen();
        assert_eq!(before, if may_read { vec!["1 1"] } else { vec![] });
        tokio::time::sleep(Duration::from_secs(26)).await;
        assert_eq!(mirrored.world.seen().last().map(String::as_str), Some("2 1"), "may read: {may_read}");
    }
}

fn reading(entries: &[(&str, u64)], revision: u64) -> Input {
    let entry = |(key, revision): &(&str, u64)| match delivered_before(key, *revision, 1, 0) {
        Input::Delivered(Delivery::Entry { entry, .. }) => Arc::unwrap_or_clone(entry),
        _ => unreachable!("an entry"),
    };
    let entries = entries.iter().map(entry).collect();
    Input::Read(Ok(Reading { entries, revision: Revision::new(revision), isolated: true }))
}

/// The first of two messages of a set.
fn first_of_two(key: &str, revision: u64, sequence: u64) -> Input {
    let headers: Headers = [(CHANGE, "c"), (SET, "1/2 a:2@2")].into_iter().collect();
    match delivered(key, revision, headers) {
        Input::Delivered(Delivery::Entry { entry, .. }) => {
            Input::Delivered(Delivery::Entry { entry, sequence, pending: 0 })
        }
        other => other,
    }
}

fn states(effects: &[Effect]) -> Vec<String> {
    let state = |effect: &Effect| match effect {
        Effect::State(state) => Some(state.to_string()),
        _ => None,
    };
    effects.iter().filter_map(state).collect()
}

// P5
#[test]
fn a_watch_that_waits_for_the_rest_of_a_set_says_so() {
    let (mut machine, now) = watching("a", 1);
    machine.step(now, Input::Mirror(true));
    machine.step(now, delivered("a.x", 1, Headers::new()));
    machine.step(now, Input::Drained);
    machine.step(now, first_of_two("a.x", 2, 2));
    assert_eq!(machine.step(now, Input::Drained), []);

    let patience = now + Duration::from_millis(50);
    assert_eq!(machine.step(patience, Input::Deadline), [Effect::Read { whole: true }]);
    let effects = machine.step(patience, reading(&[("a.x", 1)], 1));
    assert_eq!(effects, [Effect::Loaded { as_arrived: false }], "it is the state that was published");
    let later = patience + Duration::from_secs(1);
    assert_eq!(machine.deadline(), Some(later));
    assert_eq!(states(&machine.step(later, Input::Deadline)), ["lagging, 1 entry behind"]);
    let effects = machine.step(later, Input::Origin(away()));
    assert_eq!(states(&effects), ["nothing is heard of bucket origin, which this one copies"]);

    machine.step(later, Input::Origin(None));
    machine.step(later, opened_with(2));
    machine.step(later, first_of_two("a.x", 2, 1));
    let rest: Headers = [(CHANGE, "c"), (SET, "2/2 a:2@2")].into_iter().collect();
    let Input::Delivered(Delivery::Entry { entry, .. }) = delivered("a.y", 3, rest) else { unreachable!() };
    machine.step(later, Input::Delivered(Delivery::Entry { entry, sequence: 2, pending: 0 }));
    let effects = machine.step(later, Input::Drained);
    assert_eq!((states(&effects), machine.watch_state()), (vec!["live".to_owned()], &WatchState::Live));
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Publish(update) if update.revision.get() == 3))
    );
}

// P1
#[test]
fn what_comes_while_a_mirror_catches_up_is_loaded_again_at_once_when_it_has() {
    let (mut machine, now) = watching("a", 0);
    machine.step(now, Input::Mirror(true));
    machine.step(now, Input::Drained);
    let published = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Publish(_)));
    machine.step(now, Input::Origin(away()));
    machine.step(now, delivered("a.x", 1, Headers::new()));
    assert!(!published(&machine.step(now, Input::Drained)));
    machine.step(now, Input::Origin(Some(Origin::Ahead { entries: 1_000 })));
    machine.step(now, delivered("a.x", 2, Headers::new()));
    assert!(!published(&machine.step(now, Input::Drained)));
    // The last of it may be on its way.
    let effects = machine.step(now, Input::Origin(None));
    assert_eq!(states(&effects), ["reading the bucket again: the mirror has caught up"]);
    assert_eq!(effects.last(), Some(&Effect::Subscribe { failures: Some(0) }));
    machine.step(now, opened_with(1));
    machine.step(now, delivered_before("a.x", 2, 1, 0));
    assert!(published(&machine.step(now, Input::Drained)));
    machine.step(now, Input::Origin(Some(Origin::Ahead { entries: 1_000 })));
    machine.step(now, delivered_before("a.x", 3, 2, 0));
    assert!(published(&machine.step(now, Input::Drained)), "it only lags");
}

// P1, P2: a bucket that looks emptied, and then has a set in part, is not believed at once; the set is not lost over that.
#[test]
fn what_came_of_a_set_is_kept_while_the_state_before_it_is_not_believed() {
    let (mut machine, now) = watching("a", 2);
    machine.step(now, Input::Mirror(true));
    machine.step(now, delivered("a.x", 1, Headers::new()));
    machine.step(now, delivered("a.y", 2, Headers::new()));
    machine.step(now, Input::Drained);
    machine.step(now, Input::Delivered(Delivery::Fault(Fault::Reconnected)));
    machine.step(now, opened_with(1));
    machine.step(now, first_of_two("a.x", 3, 1));
    machine.step(now, Input::Drained);
    let patience = now + Duration::from_millis(50);
    assert_eq!(machine.step(patience, Input::Deadline), [Effect::Read { whole: true }]);
    machine.step(patience, reading(&[], 2));
    assert!(matches!(machine.watch_state(), WatchState::Suspect { .. }), "{:?}", machine.watch_state());

    let rest: Headers = [(CHANGE, "c"), (SET, "2/2 a:2@2")].into_iter().collect();
    let Input::Delivered(Delivery::Entry { entry, .. }) = delivered("a.y", 4, rest) else { unreachable!() };
    machine.step(patience, Input::Delivered(Delivery::Entry { entry, sequence: 2, pending: 0 }));
    let effects = machine.step(patience, Input::Drained);
    let published = effects.iter().find_map(|effect| match effect {
        Effect::Publish(update) => Some(update),
        _ => None,
    });
    let keys = published.iter().flat_map(|update| &update.sets).flat_map(|set| &set.changes);
    let keys: Vec<String> = keys.map(|change| change.key.to_string()).collect();
    assert_eq!(keys, ["a.x", "a.y"]);
}

impl World {
    /// How long it takes until the first reader has seen just this.
    async fn until_seen(&self, expected: &[&str]) -> Duration {
        let begun = Instant::now();
        while self.seen() != expected {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", self.seen());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        begun.elapsed()
    }

    /// Waits until a reader has subscribed. The clock goes on when nobody has anything left to do: what it loads is there then.
    async fn until_subscribed(&self) {
        let step = Duration::from_millis(1);
        tokio::time::sleep(step).await;
        while self.faults.subscriptions() == 0 {
            tokio::time::sleep(step).await;
        }
    }
}

/// A mirror with two keys that had a value before, and a reader that waits, for it lacks what came then.
async fn waited_for(steps: &[Op]) -> Mirrored {
    let mut mirrored = Mirrored { world: World::new(8), outstanding: VecDeque::new(), told: Told::Ahead };
    for step in [Op::Put(0, 1), Op::Put(1, 1)].iter().chain(steps) {
        mirrored.perform(&Step::Do(step.clone())).await;
    }
    mirrored.perform(&Step::Copy(2)).await;
    mirrored.world.join("a");
    mirrored
}

// P1, P5: who starts waits for what the mirror lacks, and not for ever.
#[tokio::test(start_paused = true)]
async fn a_start_on_a_mirror_that_never_has_all_takes_five_seconds() {
    let mirrored = waited_for(&[Op::Put(2, 1)]).await;
    let took = mirrored.world.until_seen(&["1 1"]).await;
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
}

// P1: and begins when it has all.
#[tokio::test(start_paused = true)]
async fn a_start_on_a_mirror_ends_when_the_mirror_has_caught_up() {
    let mut mirrored = waited_for(&[Op::Put(0, 2)]).await;
    mirrored.world.until_subscribed().await;
    assert_eq!(mirrored.world.seen(), Vec::<String>::new());
    mirrored.perform(&Step::Copy(1)).await;
    let took = mirrored.world.until_seen(&["2 1"]).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

// P2, P5: what it then has of a set holds it up no more than that of a mirror that is cut off.
#[tokio::test(start_paused = true)]
async fn a_start_that_waits_for_a_mirror_which_is_cut_off_in_a_set_begins_before_the_set() {
    let mut mirrored = waited_for(&[Op::Batch(vec![(0, Some(2)), (1, Some(2))], true)]).await;
    mirrored.world.until_subscribed().await;
    mirrored.told = Told::Away;
    mirrored.perform(&Step::Copy(1)).await;
    let took = mirrored.world.until_seen(&["1 1"]).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    mirrored.perform(&Step::Copy(1)).await;
    mirrored.world.until_seen(&["1 1", "2 2"]).await;
}

fn opened_with(pending: u64) -> Input {
    let (incarnation, history, clock, promised, last) = (None, Some(64), None, Revision::ZERO, None);
    Input::Opened { pending, incarnation, history, clock, promised, last }
}

/// A mirror with `a.x`, nothing being heard of its origin.
fn without_its_origin() -> (Machine, Instant) {
    let (mut machine, now) = watching("a", 1);
    machine.step(now, Input::Mirror(true));
    machine.step(now, delivered_before("a.x", 1, 1, 0));
    machine.step(now, Input::Drained);
    machine.step(now, Input::Origin(away()));
    (machine, now)
}

// P1: what the mirror was the last to get may still be on its way when it says that it has all.
#[test]
fn after_an_outage_of_its_origin_a_mirror_is_read_again_also_where_nothing_came() {
    let (mut machine, now) = without_its_origin();
    let effects = machine.step(now, Input::Origin(None));
    assert_eq!(states(&effects), ["reading the bucket again: the mirror has caught up"]);
    machine.step(now, opened_with(1));
    machine.step(now, delivered_before("a.x", 1, 1, 0));
    let effects = machine.step(now, Input::Drained);
    assert_eq!(states(&effects), ["live"]);
    assert_eq!(machine.step(now, Input::Origin(None)), []);
}

// P1, P5: what is the same as before is no state that never was; what is not waits for the origin.
#[test]
fn a_watch_that_begins_again_while_its_mirror_is_cut_off_waits_only_for_what_is_new() {
    let (mut machine, now) = without_its_origin();
    let is_loaded = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Loaded { .. }));
    for (revision, is_same) in [(1, true), (2, false)] {
        machine.step(now, Input::Delivered(Delivery::Fault(Fault::Reconnected)));
        machine.step(now, opened_with(1));
        machine.step(now, delivered_before("a.x", revision, 1, 0));
        let effects = machine.step(now, Input::Drained);
        assert_eq!(is_loaded(&effects), is_same, "{revision}: {effects:?}");
        let told = "nothing is heard of bucket origin, which this one copies";
        assert_eq!(machine.watch_state().to_string(), told);
    }
    let asked = machine.deadline().unwrap();
    assert_eq!(machine.step(asked, Input::Deadline), [Effect::Check]);
    machine.step(asked, Input::Delivered(Delivery::Fault(Fault::Reconnected)));
    assert_eq!(machine.deadline(), None, "nobody is asked before it is read again");
}
