//! Random changes with deadlines, confirmed, taken back, written over and left alone, against a plain stack of values.

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::{Bucket, KvConfig, Live, Provisional};
use proptest::collection::{btree_set, vec};
use proptest::prelude::{Strategy, any, prop_oneof};
use tokio::time::Instant;

use crate::deadline::backend::{BOUND, Shop, quick, start};

#[derive(Debug, Clone)]
enum Step {
    /// A change of these keys that goes back after so many seconds.
    Try(Vec<usize>, u64),
    /// Somebody else writes a key.
    Put(usize),
    /// The change made so many tries ago is settled.
    Confirm(usize),
    TakeBack(usize),
    /// Seconds pass.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (btree_set(0..KEYS, 1..=KEYS), 1..15_u64).prop_map(|(keys, s)| Step::Try(keys.into_iter().collect(), s)),
        2 => (0..KEYS).prop_map(Step::Put),
        2 => (0..3_usize).prop_map(Step::Confirm),
        1 => (0..3_usize).prop_map(Step::TakeBack),
        2 => (1..10_u64).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(|_| Step::Wait(20)),
    ]
}

const KEYS: usize = 4;

/// A value that a key has until newer ones cover it, or until its end.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Layer {
    value: Option<u32>,
    /// The change that waits, and when it goes back.
    waits: Option<(usize, Instant)>,
}

/// What stands in the bucket, as it should be.
#[derive(Debug, Default)]
struct Model {
    keys: [Vec<Layer>; KEYS],
    /// The keys of each change with a deadline.
    changes: Vec<Vec<usize>>,
    next: u32,
}

impl Model {
    fn top(&self, key: usize, now: Instant) -> Layer {
        let there = |layer: &&Layer| layer.waits.is_none_or(|(_, end)| end > now);
        let none = Layer { value: None, waits: None };
        self.keys[key].iter().rev().find(there).copied().unwrap_or(none)
    }

    fn values(&self, now: Instant) -> BTreeMap<String, u32> {
        let value = |key: usize| Some((format!("k{key}"), self.top(key, now).value?));
        (0..KEYS).filter_map(value).collect()
    }

    fn value(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn write(&mut self, key: usize, value: Option<u32>) {
        self.keys[key].push(Layer { value, waits: None });
    }

    /// Whether every key of a change is as the change has left it.
    fn holds(&self, change: usize, now: Instant) -> bool {
        let held = |key: &usize| self.top(*key, now).waits.is_some_and(|(waits, _)| waits == change);
        self.changes[change].iter().all(held)
    }

    /// What a key goes back to.
    fn beneath(&self, key: usize, change: usize) -> Option<u32> {
        let layers = &self.keys[key];
        let at = layers.iter().position(|layer| layer.waits.is_some_and(|(waits, _)| waits == change));
        layers[at.expect("the change wrote the key") - 1].value
    }
}

struct World {
    bucket: Bucket,
    live: Live<Shop>,
    model: Model,
    made: Vec<Provisional>,
}

impl World {
    /// Lets no deadline end at this very moment: entries that were written at once are kept a nanosecond apart, and end so.
    async fn pass_deadlines(&self) {
        let layers = || self.model.keys.iter().flatten();
        let ends = |now: Instant| layers().any(|layer| layer.waits.is_some_and(|(_, end)| end == now));
        while ends(Instant::now()) {
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    async fn step(&mut self, step: &Step) {
        self.pass_deadlines().await;
        let now = Instant::now();
        match step {
            Step::Try(keys, seconds) => self.attempt(keys, Duration::from_secs(*seconds)).await,
            Step::Put(key) => {
                let value = self.model.value();
                self.bucket.put(format!("shop.limits.k{key}"), value.to_string()).await.unwrap();
                self.model.write(*key, Some(value));
            }
            Step::Confirm(back) | Step::TakeBack(back) => {
                let Some(at) = self.made.len().checked_sub(back + 1) else { return };
                let confirms = matches!(step, Step::Confirm(_));
                let change = &self.made[at];
                let result = if confirms { change.confirm().await } else { change.take_back().await };
                if self.model.holds(at, now) {
                    result.unwrap();
                    for key in self.model.changes[at].clone() {
                        let top = self.model.top(key, now).value;
                        let value = if confirms { top } else { self.model.beneath(key, at) };
                        self.model.write(key, value);
                    }
                }
                // Else it is over, in whole or in part: whatever the answer, no value may change.
            }
            Step::Wait(seconds) => tokio::time::advance(Duration::from_secs(*seconds)).await,
        }
    }

    async fn attempt(&mut self, keys: &[usize], within: Duration) {
        let value = self.model.value();
        let fields = Shop::fields();
        let edit = keys
            .iter()
            .fold(self.live.edit(), |edit, key| edit.set_entry(fields.limits, &format!("k{key}"), value));
        // A plan waits until the handle has seen its own last write, for up to a second while the watch looks twice.
        let plan = edit.plan().await.unwrap();
        self.pass_deadlines().await;
        let now = Instant::now();
        let made = plan.commit().confirm_within(within).await;
        if keys.iter().any(|key| self.model.top(*key, now).waits.is_some()) {
            let refused = made.unwrap_err().to_string();
            assert!(refused.ends_with("to be confirmed"), "{refused}");
            return;
        }
        self.made.push(made.unwrap());
        let change = self.model.changes.len();
        self.model.changes.push(keys.to_vec());
        for key in keys {
            let before = self.model.top(*key, now).value;
            self.model.write(*key, before);
            let waits = Some((change, now + within));
            self.model.keys[*key].push(Layer { value: Some(value), waits });
        }
    }

    /// The bucket at once, and readers soon.
    async fn check(&self, step: &Step) {
        self.pass_deadlines().await;
        for key in 0..KEYS {
            let value = self.bucket.get(format!("shop.limits.k{key}")).await.unwrap();
            let value = value.map(|value| std::str::from_utf8(&value).unwrap().parse().unwrap());
            assert_eq!(value, self.model.top(key, Instant::now()).value, "k{key} after {step:?}");
        }
        let begun = Instant::now();
        while self.live.load().limits != self.model.values(Instant::now()) {
            assert!(begun.elapsed() < BOUND, "{:?} after {step:?}", self.live.load().limits);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

// P6
#[test]
fn no_value_is_lost_and_none_comes_back_that_should_not() {
    let mut runner = proptest::test_runner::TestRunner::default();
    let outcome = runner.run(&vec(step(), 1..25), |steps| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap().block_on(async {
            let bucket = Bucket::memory_with(quick()).unwrap();
            let live = start(&bucket).await;
            let mut world = World { bucket, live, model: Model::default(), made: Vec::new() };
            for step in &steps {
                world.step(step).await;
                world.check(step).await;
            }
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
