//! Values that run out under later ones, against a plain account of what was written: a past state is never another one, and
//! lost is what is gone and said to be gone by what is left.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use kvconf::{
    Bucket, BucketConfig, Key, KvConfig, Live, LostKey, PastError, RollbackError, StartError, WriteError,
};
use kvconf_tests::server::Cluster;
use kvconf_tests::{Backend, wait_for, wait_until};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::time::Instant;

use crate::history::backend::rev;

const BOUND: Duration = Duration::from_secs(60);

/// How long a value lives that is there for a time: longer than all writes of a case should take.
const TTL: Duration = Duration::from_secs(8);

/// How often a case is tried that servers did not let come to its end.
const TRIES: u32 = 5;

const KEYS: [&str; 4] = ["g.a", "g.b", "g.c", "elsewhere.z"];

#[derive(KvConfig, Debug, Clone, PartialEq, Default)]
#[kv(prefix = "g")]
struct Gone {
    a: Option<String>,
    b: Option<String>,
    c: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Write {
    key: usize,
    kind: Kind,
    /// Whether it is on the condition of what it found.
    is_careful: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Put,
    /// With a time to live.
    Lend,
    Delete,
    Purge,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Write(Write),
    /// What has a time to live runs out. Not on a server, where that takes as long as it says.
    Pass,
}

fn write(key: usize) -> impl Strategy<Value = Write> {
    let kind = prop_oneof![
        5 => Just(Kind::Put),
        4 => Just(Kind::Lend),
        1 => Just(Kind::Delete),
        1 => Just(Kind::Purge),
    ];
    (kind, prop::bool::weighted(0.8)).prop_map(move |(kind, is_careful)| Write { key, kind, is_careful })
}

/// The history of a bucket, whether every key is there from the start, and what is done.
fn steps(most: usize) -> impl Strategy<Value = (u32, bool, Vec<Step>)> {
    let write = (0..KEYS.len()).prop_flat_map(write).prop_map(Step::Write);
    let step = prop_oneof![12 => write, 1 => Just(Step::Pass)];
    let steps = proptest::collection::vec(step, 1..most);
    (prop::sample::select(vec![2, 3, 5, 64]), any::<bool>(), steps)
}

/// One entry, as it was written.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    revision: u64,
    value: Option<String>,
    kind: Kind,
    /// What it says that it replaced.
    states: Option<u64>,
}

type State = BTreeMap<&'static str, Written>;

/// Why a case says nothing: servers gave no answer, as while they elect a leader, or values ran out before all was written.
#[derive(Debug)]
struct Hindered(String);

fn answered<T, E: Debug>(result: Result<T, E>, is_retryable: impl FnOnce(&E) -> bool) -> Result<T, Hindered> {
    result.map_err(|error| {
        let told = format!("{error:?}");
        assert!(is_retryable(&error), "{told}");
        Hindered(told)
    })
}

/// Where a case is tried, and how.
struct Case<'a, S> {
    bucket: &'a Bucket,
    history: usize,
    ttl: Duration,
    /// How many entries each copy of the bucket has.
    stored: S,
}

/// What was written, and what of it is left.
#[derive(Default)]
struct Truth {
    /// When the first value was written that runs out.
    lent: Option<Instant>,
    /// The state right after each revision; the first is that before all.
    states: Vec<State>,
    left: BTreeMap<&'static str, Vec<Written>>,
}

/// What is told of a key at a moment.
#[derive(Debug, PartialEq)]
enum Told {
    Value(Option<String>),
    Lost,
}

impl Truth {
    fn last(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    fn newest(&self, key: &str) -> u64 {
        self.left.get(key).and_then(|left| left.last()).map_or(0, |newest| newest.revision)
    }

    fn written(&mut self, write: Write, value: Option<String>, history: usize) {
        let key = KEYS[write.key];
        let states = write.is_careful.then(|| self.newest(key));
        let left = self.left.entry(key).or_default();
        if write.kind == Kind::Purge {
            left.clear();
        }
        left.push(Written { revision: self.states.len() as u64, value, kind: write.kind, states });
        if left.len() > history {
            left.remove(0);
        }
        let now = self.left.iter().filter_map(|(key, left)| Some((*key, left.last()?.clone())));
        self.states.push(now.collect());
    }

    /// What has a time to live may be gone, and what is written then would not replace what is thought to stand there.
    fn may_run_out(&self, ttl: Duration) -> bool {
        self.lent.is_some_and(|lent| lent.elapsed() >= ttl)
    }

    /// Keys that would be gone with what runs out.
    fn lent_only(&self) -> Vec<usize> {
        let is_lent = |at: &usize| {
            self.left.get(KEYS[*at]).is_some_and(|left| left.iter().all(|entry| entry.kind == Kind::Lend))
        };
        (0..KEYS.len()).filter(is_lent).collect()
    }

    fn run_out(&mut self) {
        self.lent = None;
        for left in self.left.values_mut() {
            left.retain(|entry| entry.kind != Kind::Lend);
        }
    }

    /// What is to be told of a key at a moment, by the rules that the docs have.
    fn told(&self, key: &str, moment: u64, history: usize) -> Told {
        let left = self.left.get(key).map(Vec::as_slice).unwrap_or_default();
        let found = left.iter().rev().find(|entry| entry.revision <= moment);
        let next = left.iter().find(|entry| entry.revision > moment);
        let stated = next.and_then(|next| next.states);
        match (found, next) {
            (Some(found), _) => {
                let is_denied = stated.is_some_and(|stated| found.revision < stated && stated <= moment);
                if is_denied { Told::Lost } else { Told::Value(found.value.clone()) }
            }
            (None, None) => Told::Value(None),
            (None, Some(next)) => {
                let is_settled = match stated {
                    Some(stated) => stated == 0,
                    None => next.kind != Kind::Purge && left.len() < history,
                };
                if is_settled { Told::Value(None) } else { Told::Lost }
            }
        }
    }

    /// Whether what is told is what was. Otherwise nothing that is left speaks of what is gone.
    fn is_true(&self, key: &str, moment: u64, told: &Told) -> bool {
        let stood = self.states[moment as usize].get(key);
        match told {
            Told::Value(value) => *value == stood.and_then(|stood| stood.value.clone()),
            Told::Lost => true,
        }
    }

    /// Whether what is left tells nothing of what stood there: the next entry states nothing, or was written when it had gone
    /// already, or what it replaced was of later and has gone, too.
    fn is_untraced(&self, key: &str, moment: u64) -> bool {
        let left = self.left.get(key).map(Vec::as_slice).unwrap_or_default();
        let found =
            left.iter().rev().find(|entry| entry.revision <= moment).map_or(0, |found| found.revision);
        let next = left.iter().find(|entry| entry.revision > moment);
        let stated = next.and_then(|next| next.states);
        stated.is_none_or(|stated| stated <= found || stated > moment)
    }
}

async fn all_left(bucket: &Bucket) -> Option<Vec<(String, u64)>> {
    let entries = bucket.history(">").await.ok()?;
    Some(entries.iter().map(|entry| (entry.key().to_string(), entry.revision().get())).collect())
}

impl<S: AsyncFn() -> Vec<Option<u64>>> Case<'_, S> {
    async fn run(&self, truth: &mut Truth, write: Write) -> Result<(), Hindered> {
        let (key, value) = (KEYS[write.key], format!("v{}", truth.states.len()));
        let found = rev(truth.newest(key));
        let mut request = match write.kind {
            Kind::Put => self.bucket.put(key, value.clone()),
            Kind::Lend => self.bucket.put(key, value.clone()).ttl(self.ttl),
            Kind::Delete => self.bucket.delete(key),
            Kind::Purge => self.bucket.purge(key),
        };
        if write.is_careful {
            request = request.expect(found);
        }
        if write.kind == Kind::Lend {
            truth.lent.get_or_insert_with(Instant::now);
        }
        let is_value = matches!(write.kind, Kind::Put | Kind::Lend);
        truth.written(write, is_value.then_some(value), self.history);
        let written = request.await;
        if truth.may_run_out(self.ttl) {
            return Err(Hindered("the writes took too long".to_owned()));
        }
        let is_retryable =
            |error: &WriteError| error.is_retryable() || matches!(error, WriteError::Unconfirmed { .. });
        assert_eq!(answered(written, is_retryable)?.get(), truth.last(), "nobody else writes");
        Ok(())
    }

    /// Waits until what has a time to live is gone. Of every key something else is left, so that no marker is written.
    async fn until_run_out(&self, truth: &mut Truth) -> Result<(), Hindered> {
        for key in truth.lent_only() {
            self.run(truth, Write { key, kind: Kind::Put, is_careful: true }).await?;
        }
        truth.run_out();
        let mut expected: Vec<_> = truth
            .left
            .iter()
            .flat_map(|(key, left)| left.iter().map(|entry| (key.to_string(), entry.revision)))
            .collect();
        expected.sort_by_key(|(_, revision)| *revision);
        let count = expected.len() as u64;
        let has_run_out = async || {
            // Each copy by its own clock, and any of them may be asked.
            self.bucket.status().await.is_ok_and(|status| status.entries == count)
                && (self.stored)().await.iter().all(|stored| *stored == Some(count))
                && all_left(self.bucket).await.is_some_and(|left| left == expected)
        };
        wait_until("what runs out", BOUND, has_run_out).await;
        Ok(())
    }

    async fn try_steps(&self, starts_full: bool, steps: &[Step]) -> Result<(), Hindered> {
        let is_late = |error: &StartError| matches!(error, StartError::Timeout { .. });
        let live = answered(self.bucket.live::<Gone>().start().await, is_late)?;
        let mut truth = Truth { states: vec![State::new()], ..Truth::default() };
        if starts_full {
            for key in 0..KEYS.len() {
                self.run(&mut truth, Write { key, kind: Kind::Put, is_careful: true }).await?;
            }
        }
        for step in steps {
            match step {
                Step::Write(write) => self.run(&mut truth, *write).await?,
                Step::Pass => self.until_run_out(&mut truth).await?,
            }
        }
        self.until_run_out(&mut truth).await?;
        let left = all_left(self.bucket).await.ok_or_else(|| Hindered("what is left".to_owned()))?;
        let first = left.first().map_or(u64::MAX, |(_, revision)| *revision);
        for moment in 0..=truth.last() {
            self.is_as_told(&live, &truth, (moment, first)).await?;
        }
        Ok(())
    }

    // P8
    async fn is_as_told(
        &self,
        live: &Live<Gone>,
        truth: &Truth,
        (moment, first): (u64, u64),
    ) -> Result<(), Hindered> {
        let is_past = moment > 0 && moment < truth.last();
        let told: BTreeMap<&str, Told> = KEYS[..3]
            .iter()
            .map(|key| match truth.told(key, moment, self.history) {
                // Before all there was nothing, and the present is what there is.
                Told::Lost if !is_past => (*key, Told::Value(None)),
                told => (*key, told),
            })
            .collect();
        for (key, told) in &told {
            assert!(truth.is_true(key, moment, told) || truth.is_untraced(key, moment), "{key} at {moment}");
        }
        let lost: Vec<&str> =
            told.iter().filter(|(_, told)| **told == Told::Lost).map(|(key, _)| *key).collect();
        let values: BTreeMap<&str, String> = told
            .iter()
            .filter_map(
                |(key, told)| if let Told::Value(value) = told { Some((*key, value.clone()?)) } else { None },
            )
            .collect();

        let is_in_range = !is_past || moment >= first;
        match self.bucket.at("g", rev(moment)).await {
            Ok(then) => {
                let found = then.entries().filter_map(|entry| {
                    let value = entry.put_value()?;
                    Some((entry.key().as_str(), String::from_utf8_lossy(value).into_owned()))
                });
                assert_eq!((found.collect(), Vec::new()), (values.clone(), lost.clone()), "keys at {moment}");
            }
            Err(PastError::Lost { keys, .. }) => assert_eq!(names(&keys), lost, "keys at {moment}"),
            Err(PastError::OutOfRange { .. }) => assert!(!is_in_range, "{moment}, from {first} on"),
            other => drop(answered(other, PastError::is_retryable)?),
        }
        let value = |key: &str| values.get(key).cloned();
        match live.at(rev(moment)).await {
            Ok(then) => {
                let expected = Gone { a: value("g.a"), b: value("g.b"), c: value("g.c") };
                assert_eq!((then.value(), Vec::new()), (&expected, lost.clone()), "struct at {moment}");
            }
            Err(PastError::Lost { keys, .. }) => assert_eq!(names(&keys), lost, "struct at {moment}"),
            Err(PastError::OutOfRange { .. }) => assert!(!is_in_range, "{moment}, from {first} on"),
            other => drop(answered(other, PastError::is_retryable)?),
        }
        if moment < truth.last() {
            let plan = answered(live.rollback_to(rev(moment)).plan().await, RollbackError::is_retryable)?;
            assert_eq!(names(plan.lost()), lost, "plan of going back to {moment}");
            let now = |key: &Key| truth.left.get(key.as_str()).and_then(|left| left.last()?.value.clone());
            for (key, before, after) in plan.values() {
                let text = |value: Option<&bytes::Bytes>| {
                    value.map(|value| String::from_utf8_lossy(value).into_owned())
                };
                assert_eq!(
                    (text(before), text(after)),
                    (now(key), value(key.as_str())),
                    "{key} back to {moment}"
                );
            }
        }
        Ok(())
    }
}

fn names(lost: &[LostKey]) -> Vec<&str> {
    lost.iter().map(|lost| lost.key.as_str()).collect()
}

fn keeping(name: &str, history: u32) -> BucketConfig {
    let mut config = BucketConfig::new(name);
    config.history = Some(history);
    config.limit_markers = Some(Duration::from_secs(1));
    config
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvconf_tests::cases(16)))]

    // P8
    #[test]
    fn what_ran_out_under_a_later_value_is_lost_and_nothing_else((history, starts_full, steps) in steps(60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let bucket = Bucket::memory_with(keeping("cfg", history)).unwrap();
        let case = Case { bucket: &bucket, history: history as usize, ttl: TTL, stored: async || Vec::new() };
        runtime.block_on(case.try_steps(starts_full, &steps)).unwrap();
    }
}

/// Cases with few and with many entries behind a moment: they are looked through, or asked for by their keys.
async fn tried_on(
    bucket: impl AsyncFn(BucketConfig) -> Bucket,
    stored: impl AsyncFn(&Bucket) -> Vec<Option<u64>>,
    cases: u32,
) {
    let mut runner = TestRunner::deterministic();
    let mut all = Vec::new();
    for case in 0..cases {
        let (history, starts_full, mut steps) = steps(90).new_tree(&mut runner).unwrap().current();
        steps.retain(|step| matches!(step, Step::Write(_)));
        let (bucket, stored) = (&bucket, &stored);
        // At once: each waits as long as a value lives.
        all.push(async move {
            let mut hindered = Vec::new();
            for attempt in 1..=TRIES {
                let bucket = &bucket(keeping(&format!("cfg{case}-{attempt}"), history)).await;
                let stored = async || stored(bucket).await;
                let case = Case { bucket, history: history as usize, ttl: TTL * attempt, stored };
                match case.try_steps(starts_full, &steps).await {
                    Ok(()) => return,
                    Err(Hindered(why)) => hindered.push(why),
                }
            }
            panic!("no answers: {hindered:?}");
        });
    }
    futures_util::future::join_all(all).await;
}

// P8
#[tokio::test]
async fn on_a_server_what_ran_out_under_a_later_value_is_lost_too() {
    let backend = Backend::nats().await;
    tried_on(async |config| backend.bucket(config).await, async |_| Vec::new(), kvconf_tests::cases(2)).await;
}

// P8: the leader is asked there, for a copy that lags says that nothing came since.
#[tokio::test]
async fn on_three_replicas_it_is_as_well() {
    let cluster = Cluster::start(3).await;
    let made = async |mut config: BucketConfig| {
        config.num_replicas = Some(3);
        let stream = format!("KV_{}", config.name);
        let bucket = wait_for("a bucket on three replicas", BOUND, async || {
            Bucket::create(cluster.client().await, config.clone()).await.ok()
        })
        .await;
        cluster.stream_leader(&stream).await;
        bucket
    };
    let stored = async |bucket: &Bucket| cluster.stored(&format!("KV_{}", bucket.name())).await;
    tried_on(made, stored, kvconf_tests::cases(1)).await;
}
