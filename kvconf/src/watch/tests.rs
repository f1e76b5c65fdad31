//! The watch against a model: whatever is written, lost, replayed or recreated, every published state is one that the
//! bucket really had.

mod asking;
mod beside;
mod joining;
mod leader;
mod loading;
mod mirror;
mod model;
mod newcomers;
mod origin;
mod presumed;
mod set_back;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use self::model::{Model, State, under};
use super::machine::{Effect, Input, Machine, Tuning};
use super::sets::Layout;
use super::{Attachment, Hub, Observer, Update, WatchState};
use crate::attribution::{CHANGE, SET};
use crate::store::header::{BATCH_COMMIT, BATCH_ID, BATCH_SEQUENCE};
use crate::store::memory::{MemoryFaults, MemoryStore};
use crate::store::{Action, Delivery, Expect, Fault, Reading, Store, Write};
use crate::{BucketConfig, Entry, Headers, Key, Prefix, Revision};

const KEYS: [&str; 6] = ["a.x", "a.y", "a.deep.z", "b.x", "b.y", "c"];
const PREFIXES: [&str; 4] = ["", "a", "a.deep", "b"];

#[derive(Debug, Clone)]
enum Op {
    Put(usize, u8),
    Delete(usize),
    /// Keys (some are removed), and whether the writer says what belongs together.
    Batch(Vec<(usize, Option<u8>)>, bool),
    /// One key, by a writer who claims that it is a part of a set, which it is not.
    Forge(usize, u8, u8),
    /// Lets the watch run.
    Run(u16),
    Cut(u8),
    Lose(u8),
    /// All that is retained is delivered again, from the beginning.
    Replay,
    Pause,
    Resume,
    Recreate,
    /// A handle of this prefix joins.
    Join(usize),
    /// The oldest handle leaves.
    Leave,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..KEYS.len();
    let member = (key.clone(), proptest::option::weighted(0.8, any::<u8>()));
    prop_oneof![
        8 => (key.clone(), any::<u8>()).prop_map(|(k, v)| Op::Put(k, v)),
        2 => key.prop_map(Op::Delete),
        8 => (proptest::collection::vec(member, 2..5), any::<bool>()).prop_map(|(keys, stamped)| Op::Batch(keys, stamped)),
        2 => (0..KEYS.len(), any::<u8>(), any::<u8>()).prop_map(|(k, v, how)| Op::Forge(k, v, how)),
        8 => (0_u16..2_000).prop_map(Op::Run),
        1 => any::<u8>().prop_map(Op::Cut),
        1 => (1_u8..4).prop_map(Op::Lose),
        1 => Just(Op::Replay),
        1 => Just(Op::Pause),
        1 => Just(Op::Resume),
        1 => Just(Op::Recreate),
        1 => (0..PREFIXES.len()).prop_map(Op::Join),
        1 => Just(Op::Leave),
    ]
}

/// Handles come and go all the time: watches stand beside each other, and become one, between and during changes.
fn op_with_joins() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => op(),
        6 => (0..PREFIXES.len()).prop_map(Op::Join),
        3 => Just(Op::Leave),
        // Until the next thing that the driver does, be it a load or that all watches become one.
        6 => (990_u16..1_010).prop_map(Op::Run),
        6 => (0_u16..3).prop_map(Op::Run),
    ]
}

#[derive(Debug, Clone)]
struct Published {
    epoch: u64,
    revision: Revision,
    state: State,
}

struct Recorder {
    prefix: Prefix,
    state: State,
    published: Arc<Mutex<Vec<Published>>>,
    /// Whether its first state is made of what arrives during the load.
    prepares: bool,
}

impl Recorder {
    fn change(&mut self, key: &Key, entry: Option<&Arc<Entry>>) {
        if key.under(&self.prefix).is_none() {
            return;
        }
        match entry.and_then(|entry| entry.put_value()) {
            Some(value) => self.state.insert(key.clone(), value.clone()),
            None => self.state.remove(key),
        };
    }

    fn publish(&self, revision: Revision, epoch: u64) {
        self.published.lock().unwrap().push(Published { epoch, revision, state: self.state.clone() });
    }
}

impl Observer for Recorder {
    fn loading(&mut self) {
        assert!(self.published.lock().unwrap().is_empty(), "only before the first state");
        self.state.clear();
    }

    fn arrived(&mut self, entries: &[Arc<Entry>]) {
        if self.prepares {
            entries.iter().for_each(|entry| self.change(entry.key(), Some(entry)));
        }
    }

    fn complete(&mut self, revision: Revision, epoch: u64) -> bool {
        if self.prepares {
            self.publish(revision, epoch);
        }
        self.prepares
    }

    fn update(&mut self, update: &Update) {
        if self.published.lock().unwrap().is_empty() {
            self.state.clear();
        }
        for change in update.sets.iter().flat_map(|set| &set.changes) {
            self.change(&change.key, change.entry.as_ref());
        }
        self.publish(update.revision, update.epoch);
    }

    fn state(&mut self, _: &WatchState) {}
}

struct Reader {
    prefix: Prefix,
    published: Arc<Mutex<Vec<Published>>>,
    _attachment: Attachment,
}

struct World {
    store: Arc<MemoryStore>,
    faults: MemoryFaults,
    hub: Hub,
    model: Model,
    readers: Vec<Reader>,
    gone: Vec<Reader>,
    batches: u32,
}

impl World {
    fn new(history: u8) -> Self {
        let mut config = BucketConfig::new("model");
        config.history = Some(history.into());
        let store = Arc::new(MemoryStore::new(config).unwrap());
        let hub = Hub::new(Arc::clone(&store) as Arc<dyn Store>);
        let mut model = Model::default();
        model.recreate();
        let faults = store.faults();
        Self { store, faults, hub, model, readers: Vec::new(), gone: Vec::new(), batches: 0 }
    }

    fn join(&mut self, prefix: &str) {
        let prefix = Prefix::new(prefix).unwrap();
        let published = Arc::default();
        let recorder = Recorder {
            prefix: prefix.clone(),
            state: State::new(),
            published: Arc::clone(&published),
            prepares: (self.readers.len() + self.gone.len()).is_multiple_of(2),
        };
        let attachment = self.hub.attach(prefix.clone(), Box::new(recorder));
        self.readers.push(Reader { prefix, published, _attachment: attachment });
    }

    async fn put(&mut self, key: usize, value: Option<u8>) {
        let key = Key::new(KEYS[key]).unwrap();
        let value = value.map(|v| Bytes::from(v.to_string()));
        self.store.write(write(&key, value.as_ref(), Headers::new())).await.unwrap();
        self.model.write(&[(key, value)]);
    }

    async fn forge(&mut self, key: usize, value: u8, how: u8) {
        let (key, headers) = (Key::new(KEYS[key]).unwrap(), forged(how));
        let value = Bytes::from(value.to_string());
        self.store.write(write(&key, Some(&value), headers)).await.unwrap();
        self.model.write(&[(key, Some(value))]);
    }

    async fn batch(&mut self, members: &[(usize, Option<u8>)], stamped: bool) {
        let changes = changes_of(members);
        self.batches += 1;
        let mut headers = set_headers(self.batches, &changes);
        if !stamped {
            headers.fill(Headers::new());
        }
        let headers = changes.iter().zip(headers);
        let writes = headers.map(|((key, value), headers)| write(key, value.as_ref(), headers)).collect();
        self.store.write_batch(writes).await.unwrap();
        self.model.write(&changes);
    }

    async fn perform(&mut self, op: &Op) {
        match op {
            Op::Put(key, value) => self.put(*key, Some(*value)).await,
            Op::Delete(key) => self.put(*key, None).await,
            Op::Batch(members, stamped) => self.batch(members, *stamped).await,
            Op::Forge(key, value, how) => self.forge(*key, *value, *how).await,
            Op::Run(ms) => tokio::time::sleep(Duration::from_millis(u64::from(*ms))).await,
            Op::Cut(which) => self.faults.cut(&match which % 4 {
                0 => Fault::Ended,
                1 => Fault::Lagged,
                2 => Fault::Reconnected,
                _ => Fault::Silent { after: Duration::from_secs(3) },
            }),
            Op::Lose(count) => self.faults.lose_deliveries(u64::from(*count)),
            Op::Replay => self.faults.replay(Revision::new(1)),
            Op::Pause => self.faults.pause(),
            Op::Resume => self.faults.resume(),
            Op::Recreate => {
                self.faults.recreate_bucket();
                self.model.recreate();
            }
            Op::Join(prefix) => self.join(PREFIXES[*prefix]),
            Op::Leave if self.readers.len() > 1 => {
                let reader = self.readers.remove(0);
                self.gone.push(reader);
            }
            Op::Leave => {}
        }
    }

    /// Every reader ends with the bucket's state, within a bound that covers all timers of the watch.
    async fn converge(&mut self) -> Result<(), TestCaseError> {
        self.faults.resume();
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if self.readers.iter().all(|reader| self.is_current(reader)) {
                return Ok(());
            }
        }
        let stuck = self.readers.iter().find(|reader| !self.is_current(reader)).unwrap();
        let last = stuck.published.lock().unwrap().last().cloned();
        Err(TestCaseError::fail(format!(
            "{:?} stays at {last:?}\nand the bucket has {:?}",
            stuck.prefix,
            under(&self.model.now(), &stuck.prefix)
        )))
    }

    fn is_current(&self, reader: &Reader) -> bool {
        let published = reader.published.lock().unwrap();
        published.last().is_some_and(|last| last.state == under(&self.model.now(), &reader.prefix))
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for reader in self.readers.iter().chain(&self.gone) {
            let published = reader.published.lock().unwrap();
            // The bucket that the reader is in; it never returns to an earlier one.
            let mut incarnation = 0;
            for (at, step) in published.iter().enumerate() {
                if let Some(before) = at.checked_sub(1).and_then(|at| published.get(at)) {
                    // P4
                    prop_assert!(
                        (before.epoch, before.revision) <= (step.epoch, step.revision),
                        "{:?} went back from {before:?} to {step:?}",
                        reader.prefix
                    );
                }
                // P1 and P2
                let is_of = |incarnation: &usize| {
                    self.model.at(*incarnation, step.revision, &reader.prefix).as_ref() == Some(&step.state)
                };
                let found = (incarnation..self.model.moments.len()).find(is_of);
                prop_assert!(
                    found.is_some(),
                    "{:?} saw a state that never was at revision {}: {:?}",
                    reader.prefix,
                    step.revision,
                    step
                );
                incarnation = found.unwrap();
            }
        }
        Ok(())
    }
}

/// What a batch changes: each key once.
fn changes_of(members: &[(usize, Option<u8>)]) -> Vec<(Key, Option<Bytes>)> {
    let mut changes: Vec<(Key, Option<Bytes>)> = Vec::new();
    for (key, value) in members {
        let key = Key::new(KEYS[*key]).unwrap();
        if changes.iter().all(|(other, _)| *other != key) {
            changes.push((key, value.map(|v| Bytes::from(v.to_string()))));
        }
    }
    changes
}

/// What kvconf writes on each message of a change set.
fn set_headers(number: u32, changes: &[(Key, Option<Bytes>)]) -> Vec<Headers> {
    let layout = Layout::new(&changes.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
    let id = format!("change-{number}");
    let headers = |place| [(CHANGE, id.clone()), (SET, layout.header(place))].into_iter().collect();
    (1..=changes.len()).map(headers).collect()
}

/// What claims to be a part of a set of three.
fn forged(how: u8) -> Headers {
    let of_set = format!("{}/3 :1@3 a:3@3 a.deep:3@3 b:3@3", how % 3 + 1);
    [(CHANGE, "change-1".to_owned()), (SET, of_set)].into_iter().collect()
}

fn write(key: &Key, value: Option<&Bytes>, headers: Headers) -> Write {
    let action = value.map_or(Action::Delete, |value| Action::Put(value.clone()));
    Write { key: key.clone(), action, expect: Expect::Any, ttl: None, headers }
}

fn run(history: u8, ops: &[Op]) -> Result<(), TestCaseError> {
    run_with(history, ops, |_| ())
}

fn run_with(history: u8, ops: &[Op], faults: impl FnOnce(&MemoryFaults)) -> Result<(), TestCaseError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(history);
        faults(&world.faults);
        world.join("");
        world.join("a");
        for op in ops {
            world.perform(op).await;
        }
        world.converge().await?;
        world.check()
    })
}

proptest! {
    #![proptest_config(crate::cases(200))]

    // P1, P2, P4
    #[test]
    fn every_published_state_is_one_that_the_bucket_had(ops in proptest::collection::vec(op(), 1..80)) {
        run(64, &ops)?;
    }

    // P1, P2, P4: with the fewest revisions for which the guarantee is given, most entries are pushed out undelivered.
    #[test]
    fn also_when_most_entries_are_superseded_before_they_are_delivered(
        ops in proptest::collection::vec(op(), 40..160),
    ) {
        run(8, &ops)?;
    }

    // P1, P2, P4: who may not read several keys as of one moment.
    #[test]
    fn also_without_consistent_readings(ops in proptest::collection::vec(op(), 20..120)) {
        run_with(8, &ops, MemoryFaults::refuse_readings)?;
    }

    // P1, P2, P4: whoever joins, and whenever.
    #[test]
    fn also_while_handles_come_and_go(ops in proptest::collection::vec(op_with_joins(), 20..160)) {
        run(8, &ops)?;
    }
}

fn delivered(key: &str, revision: u64, headers: Headers) -> Input {
    match delivered_before(key, revision, revision, 0) {
        Input::Delivered(Delivery::Entry { entry, sequence, pending }) => {
            let entry = Arc::new(Entry { headers, ..Arc::unwrap_or_clone(entry) });
            Input::Delivered(Delivery::Entry { entry, sequence, pending })
        }
        other => other,
    }
}

fn delivered_before(key: &str, revision: u64, sequence: u64, pending: u64) -> Input {
    let entry = Entry {
        key: Key::new(key).unwrap(),
        revision: Revision::new(revision),
        value: Bytes::from_static(b"1"),
        operation: crate::Operation::Put,
        marker: None,
        created: std::time::SystemTime::UNIX_EPOCH,
        headers: Headers::new(),
    };
    Input::Delivered(Delivery::Entry { entry: Arc::new(entry), sequence, pending })
}

fn watching(prefix: &str, pending: u64) -> (Machine, tokio::time::Instant) {
    let now = tokio::time::Instant::now();
    let mut machine = Machine::new(Tuning::default());
    machine.step(now, Input::Watch(vec![Prefix::new(prefix).unwrap()]));
    machine.step(
        now,
        Input::Opened {
            pending,
            incarnation: None,
            history: Some(64),
            clock: None,
            promised: Revision::ZERO,
            last: None,
        },
    );
    (machine, now)
}

fn keys_and_revisions(entries: &[Arc<Entry>]) -> Vec<(&str, u64)> {
    entries.iter().map(|entry| (entry.key().as_str(), entry.revision().get())).collect()
}

#[test]
fn what_a_load_brings_is_handed_on_before_it_is_complete() {
    let (mut machine, now) = watching("a", 3);
    machine.step(now, delivered_before("a.x", 1, 1, 2));
    let effects = machine.step(now, Input::Drained);
    let [Effect::Arrived(entries)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(keys_and_revisions(entries), [("a.x", 1)]);

    machine.step(now, delivered_before("a.y", 2, 2, 1));
    machine.step(now, delivered_before("a.x", 3, 3, 0));
    let effects = machine.step(now, Input::Drained);
    let [Effect::Arrived(entries), Effect::State(WatchState::Live), Effect::Publish(update), loaded] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(keys_and_revisions(entries), [("a.y", 2), ("a.x", 3)]);
    assert_eq!((update.revision.get(), loaded), (3, &Effect::Loaded { as_arrived: true }));
}

// P1: nobody has prepared what a consistent reading brings.
#[test]
fn a_load_that_a_reading_completes_is_not_what_has_arrived() {
    let (mut machine, now) = watching("a", 1);
    let part: Headers = [(BATCH_ID, "q"), (BATCH_SEQUENCE, "1")].into_iter().collect();
    machine.step(now, delivered("a.x", 1, part));
    let effects = machine.step(now, Input::Drained);
    assert!(matches!(effects[..], [Effect::Arrived(_), Effect::Read { whole: false }]), "{effects:?}");

    let Input::Delivered(Delivery::Entry { entry, .. }) = delivered("a.y", 2, Headers::new()) else {
        unreachable!()
    };
    let reading =
        Reading { entries: vec![Arc::unwrap_or_clone(entry)], revision: Revision::new(2), isolated: true };
    let effects = machine.step(now, Input::Read(Ok(reading)));
    assert_eq!(effects.last(), Some(&Effect::Loaded { as_arrived: false }));
    let update = machine.snapshot_of(&[Prefix::new("a").unwrap()]).unwrap();
    let keys: Vec<&str> = update.sets[0].changes.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, ["a.y"]);
}

// P2: a user of one prefix has no reading of one moment, and the rest of a set may come at any time.
#[test]
fn a_reading_of_several_moments_does_not_complete_a_set() {
    let now = tokio::time::Instant::now();
    let mut machine = Machine::new(Tuning::default());
    machine.step(now, Input::Watch(vec![Prefix::new("a").unwrap()]));
    machine.step(
        now,
        Input::Opened {
            pending: 0,
            incarnation: None,
            history: None,
            clock: None,
            promised: Revision::ZERO,
            last: None,
        },
    );
    machine.step(now, Input::Drained);
    let part: Headers = [(BATCH_ID, "q"), (BATCH_SEQUENCE, "1")].into_iter().collect();
    machine.step(now, delivered("a.x", 1, part.clone()));
    assert_eq!(machine.step(now, Input::Drained), [Effect::Read { whole: false }]);

    let Input::Delivered(Delivery::Entry { entry, .. }) = delivered("a.x", 1, part) else { unreachable!() };
    let reading =
        Reading { entries: vec![Arc::unwrap_or_clone(entry)], revision: Revision::new(1), isolated: false };
    assert_eq!(machine.step(now, Input::Read(Ok(reading))), []);

    let last: Headers = [(BATCH_ID, "q"), (BATCH_SEQUENCE, "2"), (BATCH_COMMIT, "1")].into_iter().collect();
    assert_eq!(machine.step(now, delivered("a.y", 2, last)), []);
    let effects = machine.step(now, Input::Drained);
    let [Effect::Publish(update)] = &effects[..] else { panic!("{effects:?}") };
    let keys: Vec<_> =
        update.sets.iter().flat_map(|set| &set.changes).map(|change| change.key.as_str()).collect();
    assert_eq!((update.revision.get(), keys), (2, vec!["a.x", "a.y"]));
}

fn remembering(incarnation: u64, tail: u64) -> Machine {
    let mut machine = Machine::new(Tuning::default());
    let incarnation = Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(incarnation));
    machine.remember(super::Remembered { incarnation, tail: Revision::new(tail) });
    machine.step(tokio::time::Instant::now(), Input::Watch(vec![Prefix::new("a").unwrap()]));
    machine
}

/// A bucket with one entry of this revision.
fn opened(machine: &mut Machine, now: tokio::time::Instant, incarnation: u64, revision: u64) -> Vec<Effect> {
    let incarnation = Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(incarnation));
    machine.step(
        now,
        Input::Opened {
            pending: 1,
            incarnation,
            history: Some(64),
            clock: None,
            promised: Revision::ZERO,
            last: None,
        },
    );
    let Input::Delivered(Delivery::Entry { entry, .. }) = delivered("a.x", revision, Headers::new()) else {
        unreachable!()
    };
    machine.step(now, Input::Delivered(Delivery::Entry { entry, sequence: 1, pending: 0 }));
    machine.step(now, Input::Drained)
}

// P4, P9: what an earlier process saw counts as seen.
#[test]
fn a_replica_that_is_behind_what_an_earlier_process_saw_is_not_believed_at_once() {
    let now = tokio::time::Instant::now();
    let mut machine = remembering(7, 5);
    let effects = opened(&mut machine, now, 7, 4);
    // What has arrived is handed on, and is no state yet.
    let [Effect::Arrived(_), Effect::State(WatchState::Suspect { .. })] = &effects[..] else {
        panic!("{effects:?}")
    };
    // Asked again, it has caught up.
    machine.step(now + Duration::from_secs(1), Input::Deadline);
    let effects = opened(&mut machine, now + Duration::from_secs(1), 7, 5);
    let published = effects.iter().find_map(|effect| match effect {
        Effect::Publish(update) => Some((update.revision.get(), update.epoch)),
        _ => None,
    });
    assert_eq!(published, Some((5, 0)), "{effects:?}");
}

// P4, P9
#[test]
fn a_bucket_created_since_an_earlier_process_is_another_epoch() {
    let now = tokio::time::Instant::now();
    let mut machine = remembering(7, 500);
    let effects = opened(&mut machine, now, 8, 3);
    let published = effects.iter().find_map(|effect| match effect {
        Effect::Publish(update) => Some((update.revision.get(), update.epoch)),
        _ => None,
    });
    assert_eq!(published, Some((3, 1)), "{effects:?}");
}
