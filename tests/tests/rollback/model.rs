//! Random histories with rollbacks and reverts against a plain list of all states that there ever were.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kvconf::{Applied, Bucket, BucketConfig, KvConfig, Live, Revision, RollbackError};
use kvconf_tests::server::Server;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// `s.old` is an earlier name of `s.b`; `s.unknown` is no field's.
const KEYS: [&str; 8] = ["s.a", "s.b", "s.old", "s.m.x", "s.m.y", "s.unknown", "t.z", "s.a.deep"];

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "s")]
struct Settings {
    #[kv(default = 1)]
    a: u32,
    #[kv(alias = "old", default = 2)]
    b: u32,
    #[kv(entries)]
    m: BTreeMap<String, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Put(u8),
    Delete,
    Purge,
}

/// What of the bucket is taken back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Struct,
    FieldB,
    Prefix,
    Everything,
}

impl Part {
    fn has(self, key: &str) -> bool {
        match self {
            Self::Struct => matches!(key, "s.a" | "s.b" | "s.old" | "s.m.x" | "s.m.y"),
            Self::FieldB => matches!(key, "s.b" | "s.old"),
            Self::Prefix => key.starts_with("s."),
            Self::Everything => true,
        }
    }

    /// What of the bucket is read for it.
    fn reads(self, key: &str) -> bool {
        self == Self::Everything || key.starts_with("s.")
    }

    /// What of a change set has to be there in full or not at all.
    fn sees(self, key: &str) -> bool {
        if self == Self::FieldB { self.has(key) } else { self.reads(key) }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// By a client that expects nothing.
    Write(usize, Act),
    /// By one that expects the newest revision.
    Careful(usize, Act),
    Batch(Vec<(usize, Act)>),
    Update(u8),
    Rollback(Part, prop::sample::Index),
    Revert(Part, prop::sample::Index),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![8 => (0..40_u8).prop_map(Act::Put), 3 => Just(Act::Delete), 1 => Just(Act::Purge)]
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => Just(Part::Struct),
        1 => Just(Part::FieldB),
        2 => Just(Part::Prefix),
        1 => Just(Part::Everything)
    ]
}

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS.len();
    let step = prop_oneof![
        4 => (key.clone(), act()).prop_map(|(key, act)| Step::Write(key, act)),
        3 => (key.clone(), act()).prop_map(|(key, act)| Step::Careful(key, act)),
        3 => vec((key, act()), 2..5).prop_map(Step::Batch),
        2 => (0..40_u8).prop_map(Step::Update),
        4 => (part(), any::<prop::sample::Index>()).prop_map(|(part, to)| Step::Rollback(part, to)),
        3 => (part(), any::<prop::sample::Index>()).prop_map(|(part, of)| Step::Revert(part, of)),
    ];
    vec(step, 1..length)
}

type State = BTreeMap<String, Vec<u8>>;

/// One entry that was ever written.
#[derive(Debug, Clone)]
struct Written {
    key: String,
    purge: bool,
    /// The entries written together: the first and the last revision.
    set: (usize, usize),
}

/// All that was ever acknowledged. Revision n is at n - 1 in the list; state n is the one right after it.
struct Truth {
    history: usize,
    list: Vec<Written>,
    states: Vec<State>,
}

impl Truth {
    fn now(&self) -> &State {
        self.states.last().unwrap()
    }

    fn accept(&mut self, writes: &[(String, Option<Vec<u8>>, bool)]) {
        let set = (self.list.len() + 1, self.list.len() + writes.len());
        for (key, value, purge) in writes {
            let mut state = self.now().clone();
            match value {
                Some(value) => state.insert(key.clone(), value.clone()),
                None => state.remove(key),
            };
            self.list.push(Written { key: key.clone(), purge: *purge, set });
            self.states.push(state);
        }
    }

    fn of_key(&self, key: &str) -> impl Iterator<Item = (usize, &Written)> {
        (1..).zip(&self.list).filter(move |(_, written)| written.key == key)
    }

    /// Whether the bucket may have dropped an entry of the key from before `revision`, by pushing out or by a purge.
    fn may_have_lost(&self, key: &str, revision: usize) -> bool {
        let entries: Vec<(usize, &Written)> = self.of_key(key).collect();
        let purged = entries.iter().any(|(at, written)| *at > revision && written.purge);
        entries.len() >= self.history || purged
    }

    fn is_retained(&self, revision: usize) -> bool {
        let own = &self.list[revision - 1];
        let later: Vec<&Written> =
            self.of_key(&own.key).filter(|(at, _)| *at > revision).map(|(_, written)| written).collect();
        later.len() < self.history && later.iter().all(|written| !written.purge)
    }

    /// The last revision up to this one at which a reader of the part saw whole change sets.
    fn whole(&self, revision: usize, part: Part) -> usize {
        let Some(at) = self.list.get(revision.wrapping_sub(1)) else { return revision };
        let (start, end) = at.set;
        let seen = |at: &usize| part.sees(&self.list[at - 1].key);
        let (before, after) =
            ((start..=revision).any(|at| seen(&at)), (revision + 1..=end).any(|at| seen(&at)));
        if before && after { start - 1 } else { revision }
    }
}

struct World<'a> {
    bucket: Bucket,
    live: Live<Settings>,
    truth: Truth,
    tally: &'a Tally,
}

/// How often what came of a rollback or a revert: random histories that never lose or refuse anything would prove little.
#[derive(Debug, Default)]
struct Tally {
    outcomes: Mutex<BTreeMap<&'static str, usize>>,
}

impl Tally {
    fn count(&self, outcome: &'static str) {
        *self.outcomes.lock().unwrap().entry(outcome).or_default() += 1;
    }

    fn verify(&self, expected: &[&str], least: usize) {
        let outcomes = self.outcomes.lock().unwrap();
        println!("{outcomes:?}");
        for outcome in expected {
            assert!(outcomes.get(*outcome).is_some_and(|count| *count >= least), "{outcome}: {outcomes:?}");
        }
    }
}

fn bytes(act: Act) -> Option<Vec<u8>> {
    match act {
        // Some are no numbers, and no reader takes them.
        Act::Put(value) if value >= 36 => Some(format!("bad {value}").into_bytes()),
        // Not as kvconf would write it.
        Act::Put(value) => Some(format!("{value:03}").into_bytes()),
        Act::Delete | Act::Purge => None,
    }
}

fn is_valid(state: &State) -> bool {
    let is_number = |value: &Vec<u8>| !value.starts_with(b"bad");
    let mut read: Vec<&str> = vec!["s.a", "s.m.x", "s.m.y"];
    read.push(if state.contains_key("s.b") { "s.b" } else { "s.old" });
    read.iter().all(|key| state.get(*key).is_none_or(is_number))
}

impl<'a> World<'a> {
    async fn new(bucket: Bucket, history: u8, tally: &'a Tally) -> Self {
        let live = bucket.live().start().await.unwrap();
        let truth = Truth { history: usize::from(history), list: Vec::new(), states: vec![State::new()] };
        Self { bucket, live, truth, tally }
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Write(key, act) | Step::Careful(key, act) => {
                let key = KEYS[*key];
                let expected = self.truth.of_key(key).last().map_or(0, |(at, _)| at as u64);
                let mut request = match (bytes(*act), act) {
                    (Some(value), _) => self.bucket.put(key, value),
                    (None, Act::Purge) => self.bucket.purge(key),
                    (None, _) => self.bucket.delete(key),
                };
                if matches!(step, Step::Careful(..)) {
                    request = request.expect(Revision::new(expected));
                }
                request.await.unwrap();
                self.truth.accept(&[(key.to_owned(), bytes(*act), *act == Act::Purge)]);
            }
            Step::Batch(acts) => {
                let acts: BTreeMap<usize, Act> = acts.iter().copied().collect();
                let mut batch = self.bucket.batch();
                let mut writes = Vec::new();
                // Not in the order of keys, so that the parts of a set lie apart.
                for (key, act) in acts.iter().rev() {
                    let key = KEYS[*key];
                    batch = match (bytes(*act), act) {
                        (Some(value), _) => batch.put(key, value),
                        (None, Act::Purge) => batch.purge(key),
                        (None, _) => batch.delete(key),
                    };
                    writes.push((key.to_owned(), bytes(*act), *act == Act::Purge));
                }
                batch.commit().await.unwrap();
                self.truth.accept(&writes);
            }
            Step::Update(value) => {
                let plan =
                    self.live.edit().set(Settings::fields().b, u32::from(*value)).plan().await.unwrap();
                let value = value.to_string().into_bytes();
                match plan.commit().author("eva").await {
                    Ok(applied) if applied.written().is_empty() => {}
                    Ok(_) => self.truth.accept(&[("s.b".to_owned(), Some(value), false)]),
                    // The rest of the bucket is bad, or somebody was not seen yet.
                    Err(error) => assert!(error.report().is_some() || error.is_conflict(), "{error:?}"),
                }
            }
            Step::Rollback(part, to) => self.roll_back(*part, to.index(self.truth.states.len())).await,
            Step::Revert(part, of) if !self.truth.list.is_empty() => {
                self.revert(*part, of.index(self.truth.list.len()) + 1).await;
            }
            Step::Revert(..) => {}
        }
        let now = self.bucket.read(">").await.unwrap();
        let now: State = now.live().map(|entry| (entry.key().to_string(), entry.value().to_vec())).collect();
        assert_eq!(&now, self.truth.now(), "after {step:?}");
    }

    async fn rolled_back(&self, part: Part, at: Revision) -> Result<Applied, RollbackError> {
        let field = Settings::fields().b;
        match part {
            Part::Struct => self.live.rollback_to(at).author("ops").await,
            Part::FieldB => self.live.rollback_to(at).only(field).author("ops").await,
            Part::Prefix => self.bucket.rollback_to("s.>", at).author("ops").await,
            Part::Everything => self.bucket.rollback_to(">", at).author("ops").await,
        }
    }

    async fn reverted(&self, part: Part, at: Revision) -> Result<Applied, RollbackError> {
        let field = Settings::fields().b;
        match part {
            Part::Struct => self.live.revert(at).author("ops").await,
            Part::FieldB => self.live.revert(at).only(field).author("ops").await,
            Part::Prefix => self.bucket.revert("s.>", at).author("ops").await,
            Part::Everything => self.bucket.revert(">", at).author("ops").await,
        }
    }

    /// Takes over what was written into the list, from the bucket itself.
    async fn acknowledge(&mut self, applied: &Applied) {
        let mut writes = Vec::new();
        for (key, revision) in applied.written() {
            assert_eq!(revision.get() as usize, self.truth.list.len() + writes.len() + 1);
            let entry = self.bucket.entry_at(key.clone(), *revision).await.unwrap().unwrap();
            writes.push((key.to_string(), entry.put_value().map(|value| value.to_vec()), false));
        }
        self.truth.accept(&writes);
    }

    async fn roll_back(&mut self, part: Part, revision: usize) {
        let whole = self.truth.whole(revision, part);
        let then = self.truth.states[whole].clone();
        let before = self.truth.now().clone();
        let mut target = before.clone();
        target.retain(|key, _| !part.has(key));
        target.extend(then.into_iter().filter(|(key, _)| part.has(key)));
        match self.rolled_back(part, Revision::new(revision as u64)).await {
            Ok(applied) => {
                self.tally.count(if applied.written().is_empty() { "so already" } else { "rollback" });
                self.acknowledge(&applied).await;
                assert_eq!(
                    self.truth.now(),
                    &target,
                    "P8: back to {revision}, which is {whole}, of {part:?}"
                );
            }
            Err(RollbackError::Lost { keys, .. }) => {
                self.tally.count("lost");
                for lost in keys {
                    assert!(part.has(&lost.key), "{lost}");
                    assert!(
                        self.truth.may_have_lost(&lost.key, whole),
                        "{lost} is retained: back to {whole}"
                    );
                }
            }
            Err(RollbackError::Invalid(report)) => {
                self.tally.count("invalid");
                assert!(matches!(part, Part::Struct | Part::FieldB) && !is_valid(&target), "{report}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn revert(&mut self, part: Part, revision: usize) {
        let (start, end) = self.truth.list[revision - 1].set;
        let keys: BTreeSet<String> =
            (start..=end).map(|at| self.truth.list[at - 1].key.clone()).filter(|key| part.has(key)).collect();
        let touched = |key: &String| self.truth.of_key(key).any(|(at, _)| at > end);
        let all_there = (start..=end).all(|at| self.truth.is_retained(at));
        let mut target = self.truth.now().clone();
        target.retain(|key, _| !keys.contains(key));
        let then = self.truth.states[start - 1].clone();
        target.extend(then.into_iter().filter(|(key, _)| keys.contains(key)));
        match self.reverted(part, Revision::new(revision as u64)).await {
            Ok(applied) => {
                self.tally.count("revert");
                // A key that held already what it was to hold was not written.
                let undone = |key: &&String| touched(key) && self.truth.now().get(*key) != target.get(*key);
                let undone: Vec<&String> = keys.iter().filter(undone).collect();
                assert!(undone.is_empty(), "P6: later changes of {undone:?} were taken back");
                self.acknowledge(&applied).await;
                assert_eq!(self.truth.now(), &target, "P8: without {start} to {end} of {part:?}");
            }
            Err(RollbackError::ChangedSince(since)) => {
                self.tally.count("changed since");
                for one in &since {
                    assert!(touched(&one.key.to_string()), "{one}");
                }
            }
            Err(RollbackError::Lost { keys: lost, .. }) => {
                self.tally.count("lost");
                for lost in lost {
                    assert!(self.truth.may_have_lost(&lost.key, start - 1), "{lost}");
                }
            }
            Err(RollbackError::Invalid(report)) => {
                self.tally.count("invalid");
                assert!(matches!(part, Part::Struct | Part::FieldB) && !is_valid(&target), "{report}");
            }
            Err(RollbackError::UnknownChange { .. }) => {
                self.tally.count("unknown");
                let own = &self.truth.list[revision - 1].key;
                assert!(
                    !part.reads(own) || !self.truth.is_retained(revision),
                    "revision {revision} is there"
                );
            }
            Err(RollbackError::Incomplete { .. }) => {
                self.tally.count("incomplete");
                assert!(!all_there, "{start} to {end} are all there");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn config(name: &str, history: u8) -> BucketConfig {
    let mut config = BucketConfig::new(name);
    config.history = Some(history.into());
    config
}

// P6, P7, P8: no acknowledged write is lost, and what was taken back is what it was.
#[test]
fn on_a_memory_bucket_every_rollback_leads_to_a_state_that_was() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tally = Tally::default();
    let mut runner = TestRunner::new(Config {
        cases: kvconf_tests::cases(200),
        failure_persistence: None,
        ..Config::default()
    });
    let histories = prop_oneof![3 => Just(64_u8), 3 => 2..5_u8, 1 => Just(1)];
    let outcome = runner.run(&(histories, steps(40)), |(history, steps)| {
        runtime.block_on(async {
            let bucket = Bucket::memory_with(config("model", history)).unwrap();
            let mut world = World::new(bucket, history, &tally).await;
            for step in &steps {
                world.take(step).await;
            }
        });
        Ok(())
    });
    outcome.unwrap();
    tally.verify(&["rollback", "revert", "lost", "invalid", "changed since", "incomplete", "unknown"], 1);
}

// P6, P7, P8
#[test]
fn on_a_server_every_rollback_leads_to_a_state_that_was() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (server, client) = runtime.block_on(async {
        let server = Server::start().await;
        let client = server.client().await;
        (server, client)
    });
    let (buckets, tally) = (AtomicUsize::new(0), Tally::default());
    let mut runner = TestRunner::new(Config {
        cases: kvconf_tests::cases(15),
        failure_persistence: None,
        ..Config::default()
    });
    let histories = prop_oneof![Just(64_u8), 2..5_u8];
    let outcome = runner.run(&(histories, steps(30)), |(history, steps)| {
        runtime.block_on(async {
            let name = format!("model{}", buckets.fetch_add(1, Ordering::Relaxed));
            let mut config = config(&name, history);
            config.storage = Some(kvconf::Storage::Memory);
            let bucket = Bucket::create(&client, config).await.unwrap();
            let mut world = World::new(bucket, history, &tally).await;
            for step in &steps {
                world.take(step).await;
            }
        });
        Ok(())
    });
    outcome.unwrap();
    drop(server);
    tally.verify(&["rollback", "revert", "lost", "so already"], 3);
}
