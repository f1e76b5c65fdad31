//! Any sequence of writes, faults and steps in time: what handles serve is valid, never goes back, and ends as the bucket.

#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::{Bucket, BucketConfig, Fault, Key, KvConfig, Live, MemoryFaults, Revision, Validation};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

/// A longer input says nothing that a shorter one does not, and takes the fuzzer's time.
const MAX_OPS: usize = 64;

const KEYS: [&str; 9] =
    ["a.min", "a.max", "a.note", "a.old", "a.unknown", "b.limits.x", "b.limits.y", "b.limits.=zz", "c"];

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "a", validate = Self::check)]
struct Bounds {
    #[kv(default = 0)]
    min: u8,
    #[kv(default = 100, alias = "old")]
    max: u8,
    note: Option<String>,
}

impl Bounds {
    fn check(&self, problems: &mut Validation<Self>) {
        if self.min > self.max {
            problems.problem("min must not exceed max").on(Self::fields().min).on(Self::fields().max);
        }
    }
}

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "b")]
struct Limits {
    #[kv(entries, length(..=2))]
    limits: BTreeMap<String, u8>,
}

#[derive(Debug, Arbitrary)]
enum Value {
    Number(u8),
    Bytes(Vec<u8>),
    Removed,
}

#[derive(Debug, Arbitrary)]
enum Op {
    Write {
        key: u8,
        value: Value,
    },
    Batch(Vec<(u8, Value)>),
    Commit {
        min: u8,
        max: u8,
        force: bool,
    },
    /// As any NATS client can: one key that is stored with the time that it lives.
    Fleeting {
        key: u8,
        number: u8,
        seconds: u8,
    },
    Run {
        milliseconds: u16,
    },
    Cut(u8),
    Lose(u8),
    Replay(u8),
    Pause,
    Resume,
    Recreate,
    RemoveKey(u8),
    RemoveNewest(u8),
}

/// A handle, and the newest state that was seen through it.
struct Seen<T: KvConfig> {
    live: Live<T>,
    newest: (u64, Revision),
}

impl<T: KvConfig> Seen<T> {
    async fn start(bucket: &Bucket) -> Self {
        let started = bucket.live().without_environment().start().await;
        let live = started.unwrap_or_else(|error| panic!("an empty bucket: {error}"));
        Self { live, newest: (0, Revision::ZERO) }
    }

    fn look(&mut self, valid: impl Fn(&T) -> bool) {
        let snapshot = self.live.load();
        let now = (snapshot.epoch(), snapshot.revision());
        assert!(self.newest <= now, "went back from {:?} to {now:?}", self.newest);
        assert!(valid(&snapshot), "serves what is not valid");
        self.newest = now;
    }
}

struct World {
    bucket: Bucket,
    faults: MemoryFaults,
    bounds: Seen<Bounds>,
    limits: Seen<Limits>,
}

impl World {
    async fn new() -> Self {
        let made = Bucket::memory_with_faults(BucketConfig::new("fuzz"));
        let (bucket, faults) = made.unwrap_or_else(|error| panic!("the settings are valid: {error}"));
        let (bounds, limits) = (Seen::start(&bucket).await, Seen::start(&bucket).await);
        Self { bucket, faults, bounds, limits }
    }

    fn look(&mut self) {
        self.bounds.look(|bounds| bounds.min <= bounds.max);
        self.limits.look(|limits| limits.limits.len() <= 2);
    }

    /// A write may be refused, for instance as a conflict: what counts is what handles make of the bucket.
    async fn perform(&mut self, op: Op) {
        match op {
            Op::Write { key, value } => match bytes(value) {
                Some(value) => drop(self.bucket.put(name(key), value).await),
                None => drop(self.bucket.delete(name(key)).await),
            },
            Op::Batch(members) => {
                let mut batch = self.bucket.batch();
                for (key, value) in members {
                    batch = match bytes(value) {
                        Some(value) => batch.put(name(key), value),
                        None => batch.delete(name(key)),
                    };
                }
                drop(batch.commit().await);
            }
            Op::Commit { min, max, force } => self.commit(min, max, force).await,
            Op::Fleeting { key, number, seconds } => {
                let ttl = Duration::from_secs(u64::from(seconds) + 1);
                drop(self.bucket.put(name(key), number.to_string()).ttl(ttl).await);
            }
            Op::Run { milliseconds } => {
                tokio::time::sleep(Duration::from_millis(u64::from(milliseconds))).await;
            }
            Op::Cut(which) => self.faults.cut(&match which % 4 {
                0 => Fault::Ended,
                1 => Fault::Lagged,
                2 => Fault::Reconnected,
                _ => Fault::Silent { after: Duration::from_secs(3) },
            }),
            Op::Lose(count) => self.faults.lose_deliveries(u64::from(count % 4)),
            Op::Replay(from) => self.faults.replay(Revision::new(u64::from(from) + 1)),
            Op::Pause => self.faults.pause(),
            Op::Resume => self.faults.resume(),
            Op::Recreate => self.faults.recreate_bucket(),
            Op::RemoveKey(key) => self.faults.remove_key(&name(key)),
            Op::RemoveNewest(key) => self.faults.remove_newest(&name(key)),
        }
    }

    async fn commit(&mut self, min: u8, max: u8, force: bool) {
        let fields = Bounds::fields();
        let Ok(plan) = self.bounds.live.edit().set(fields.min, min).set(fields.max, max).plan().await else {
            return;
        };
        // The check before a commit is the readers' own.
        assert!(min <= max || plan.is_empty() || !plan.is_valid(), "{plan}");
        let commit = plan.commit().author("fuzz").reason("any");
        drop(if force { commit.force().await } else { commit.await });
    }

    /// Both handles serve in the end what a new one loads, where one can start at all. What left no trace, such as an entry
    /// that was removed from under later ones, is found by the regular comparison, ten minutes later and a quarter at most.
    async fn converge(&mut self) {
        self.faults.resume();
        for step in 0..1_500 {
            let pause = if step < 600 { Duration::from_millis(100) } else { Duration::from_secs(1) };
            tokio::time::sleep(pause).await;
            self.look();
            if agrees(&self.bucket, &self.bounds.live).await && agrees(&self.bucket, &self.limits.live).await
            {
                return;
            }
        }
        panic!(
            "a quarter of an hour later: {:?} {:?}\n{:?} {:?}",
            self.bounds.live.load(),
            self.bounds.live.health(),
            self.limits.live.load(),
            self.limits.live.health()
        );
    }
}

async fn agrees<T: KvConfig + PartialEq>(bucket: &Bucket, live: &Live<T>) -> bool {
    // What a new handle may still wait for has come to pass within its deadline.
    match bucket.live::<T>().without_environment().start().await {
        Ok(fresh) => **fresh.load() == **live.load() && live.health().rejected.is_empty(),
        Err(kvconf::StartError::Invalid(_)) => !live.health().rejected.is_empty(),
        Err(_) => false,
    }
}

fn name(key: u8) -> Key {
    let text = KEYS[usize::from(key) % KEYS.len()];
    Key::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::Number(number) => Some(number.to_string().into_bytes()),
        Value::Bytes(bytes) => Some(bytes),
        Value::Removed => None,
    }
}

fuzz_target!(|ops: Vec<Op>| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap_or_else(|error| panic!("no runtime: {error}")).block_on(async {
        let mut world = World::new().await;
        for op in ops.into_iter().take(MAX_OPS) {
            world.perform(op).await;
            world.look();
        }
        world.converge().await;
    });
});
