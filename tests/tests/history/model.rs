//! Random writers against a plain list of states: whatever is asked, the answer is the list's, or that it is not known.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use kvconf::{Bucket, BucketConfig, KeyState, KvConfig, Live, PastError, Point, Revision};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::history::backend::{Backend, rev};

#[derive(KvConfig, Debug, Clone, PartialEq, Default)]
#[kv(prefix = "m")]
struct Model {
    a: Option<String>,
    b: Option<String>,
    #[kv(nested)]
    inner: Inner,
    #[kv(entries)]
    map: BTreeMap<String, String>,
}

#[derive(KvConfig, Debug, Clone, PartialEq, Default)]
struct Inner {
    c: Option<String>,
}

const KEYS: [&str; 6] = ["m.a", "m.b", "m.inner.c", "m.map.x", "m.map.y", "elsewhere.z"];

#[derive(Debug, Clone)]
enum Step {
    Put(usize),
    /// A conditional write, which states what it found.
    Update(usize),
    Delete(usize),
    Purge(usize),
    /// `true` puts, `false` deletes.
    Batch(Vec<(usize, bool)>),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let batch = proptest::sample::subsequence((0..KEYS.len()).collect::<Vec<_>>(), 2..=5)
        .prop_shuffle()
        .prop_flat_map(|keys| {
            proptest::collection::vec(any::<bool>(), keys.len())
                .prop_map(move |puts| keys.iter().copied().zip(puts).collect())
        });
    prop_oneof![
        4 => key.clone().prop_map(Step::Put),
        3 => key.clone().prop_map(Step::Update),
        2 => key.clone().prop_map(Step::Delete),
        1 => key.prop_map(Step::Purge),
        4 => batch.prop_map(Step::Batch),
    ]
}

type State = BTreeMap<&'static str, String>;

/// What was written, as it was written.
#[derive(Default)]
struct Truth {
    /// The state right after each revision; the first is that before all.
    states: Vec<State>,
    /// The revisions of each change set.
    sets: Vec<RangeInclusive<u64>>,
    /// Every revision of a key.
    writes: HashMap<&'static str, Vec<u64>>,
}

impl Truth {
    fn write(&mut self, key: &'static str, value: Option<String>) {
        let mut state = self.states.last().cloned().unwrap_or_default();
        match value {
            Some(value) => state.insert(key, value),
            None => state.remove(key),
        };
        self.states.push(state);
        self.writes.entry(key).or_default().push(self.states.len() as u64 - 1);
    }

    fn struct_at(&self, revision: u64) -> Model {
        let state = &self.states[revision as usize];
        let value = |key: &str| state.get(key).cloned();
        let entry = |key: &str| Some((key.trim_start_matches("m.map.").to_owned(), value(key)?));
        Model {
            a: value("m.a"),
            b: value("m.b"),
            inner: Inner { c: value("m.inner.c") },
            map: ["m.map.x", "m.map.y"].into_iter().filter_map(entry).collect(),
        }
    }

    /// The state that is to be found where a revision is asked for: sets are whole, for whoever sees two keys of them.
    fn visible(&self, revision: u64) -> u64 {
        let within = |set: &&RangeInclusive<u64>| set.contains(&revision) && *set.end() > revision;
        match self.sets.iter().find(within) {
            // What of the set comes later may be elsewhere; then nothing is missing for a reader of the struct.
            Some(set) if self.is_seen(set.clone(), revision) => set.start() - 1,
            _ => revision,
        }
    }

    /// Whether a set has keys of the struct on both sides of a revision.
    fn is_seen(&self, set: RangeInclusive<u64>, revision: u64) -> bool {
        let own = |revision: &u64| {
            self.writes.iter().any(|(key, writes)| key.starts_with("m.") && writes.contains(revision))
        };
        set.clone().filter(|at| *at <= revision).any(|at| own(&at))
            && set.filter(|at| *at > revision).any(|at| own(&at))
    }
}

async fn run(bucket: &Bucket, steps: &[Step]) -> Truth {
    let mut truth = Truth { states: vec![State::new()], ..Truth::default() };
    for (number, step) in steps.iter().enumerate() {
        let value = format!("v{number}");
        let first = truth.states.len() as u64;
        let last = match step {
            Step::Put(key) => {
                truth.write(KEYS[*key], Some(value.clone()));
                bucket.put(KEYS[*key], value).await
            }
            Step::Update(key) => {
                let found = bucket.entry(KEYS[*key]).await.unwrap();
                let found = found.map_or(Revision::ZERO, |entry| entry.revision());
                truth.write(KEYS[*key], Some(value.clone()));
                bucket.update(KEYS[*key], value, found).await
            }
            Step::Delete(key) => {
                truth.write(KEYS[*key], None);
                bucket.delete(KEYS[*key]).await
            }
            Step::Purge(key) => {
                truth.write(KEYS[*key], None);
                bucket.purge(KEYS[*key]).await
            }
            Step::Batch(writes) => {
                let mut batch = bucket.batch();
                for (key, put) in writes {
                    truth.write(KEYS[*key], put.then(|| value.clone()));
                    batch =
                        if *put { batch.put(KEYS[*key], value.clone()) } else { batch.delete(KEYS[*key]) };
                }
                batch.commit().await
            }
        };
        assert_eq!(last.unwrap().get(), truth.states.len() as u64 - 1, "nobody else writes");
        truth.sets.push(first..=truth.states.len() as u64 - 1);
    }
    truth
}

/// The revisions of a key that are left.
async fn retained(bucket: &Bucket) -> HashMap<String, Vec<u64>> {
    let mut retained: HashMap<String, Vec<u64>> = HashMap::new();
    for entry in bucket.history("m.>").await.unwrap() {
        retained.entry(entry.key().to_string()).or_default().push(entry.revision().get());
    }
    retained
}

/// Whether all that stood at a revision is still there.
fn is_kept(truth: &Truth, retained: &HashMap<String, Vec<u64>>, revision: u64) -> bool {
    truth.writes.iter().filter(|(key, _)| key.starts_with("m.")).all(|(key, writes)| {
        let stood = writes.iter().rev().find(|at| **at <= revision);
        stood.is_none_or(|at| retained.get(*key).is_some_and(|kept| kept.contains(at)))
    })
}

/// Whether an absent key can be known to have been absent: it has fewer entries than are kept, or was made by an update.
fn is_provable(truth: &Truth, steps: &[Step], history: usize, revision: u64) -> bool {
    let made_by_update = |first: u64| {
        let at = truth.sets.iter().position(|set| set.contains(&first));
        at.is_some_and(|at| matches!(steps[at], Step::Update(_)))
    };
    let is_purge = |first: u64| {
        let at = truth.sets.iter().position(|set| set.contains(&first));
        at.is_some_and(|at| matches!(steps[at], Step::Purge(_)))
    };
    truth.writes.iter().filter(|(key, _)| key.starts_with("m.")).all(|(_, writes)| {
        let first = writes[0];
        first <= revision
            || writes.iter().all(|at| !is_purge(*at))
                && (writes.len() < history || made_by_update(first) && writes.len() <= history)
    })
}

// P8
async fn past_states_are_those_of_the_list(
    live: &Live<Model>,
    bucket: &Bucket,
    truth: &Truth,
    history: usize,
    steps: &[Step],
) {
    let kept = retained(bucket).await;
    let last = truth.states.len() as u64 - 1;
    for revision in 0..=last {
        let visible = truth.visible(revision);
        match live.at(rev(revision)).await {
            Ok(then) => {
                assert_eq!(then.revision(), rev(visible), "asked for {revision}");
                assert_eq!(then.value(), &truth.struct_at(visible), "at {revision} of {:?}", truth.sets);
            }
            Err(PastError::Lost { revision: at, keys }) => {
                // Where the part of a set that was written up to then is lost, nothing tells of the set.
                assert!([visible, revision].contains(&at.get()), "asked for {revision}, found {at}");
                assert!(!keys.is_empty());
                let known = is_kept(truth, &kept, visible) && is_provable(truth, steps, history, visible);
                assert!(!known, "{revision} is known: {keys:?}");
            }
            Err(PastError::OutOfRange { oldest, newest, .. }) => {
                assert_eq!(newest.get(), last);
                assert!(visible < oldest.get(), "{revision} is kept from {oldest} on");
            }
            Err(other) => panic!("{other:?} at {revision}"),
        }
    }
    assert!(matches!(live.at(rev(last + 1)).await, Err(PastError::OutOfRange { .. })));
    let now = live.diff(Point::Latest, rev(last)).await.unwrap();
    assert!(now.is_empty(), "{now}");
}

// P8
async fn differences_of_plain_keys_are_those_of_the_list(
    bucket: &Bucket,
    truth: &Truth,
    history: usize,
    steps: &[Step],
) {
    let kept = retained(bucket).await;
    let last = truth.states.len() as u64 - 1;
    let own = |revision: u64| {
        let state = truth.states[revision as usize].iter();
        state
            .filter(|(key, _)| key.starts_with("m."))
            .map(|(key, value)| (*key, value))
            .collect::<BTreeMap<_, _>>()
    };
    let known = |revision| is_kept(truth, &kept, revision) && is_provable(truth, steps, history, revision);
    for from in 0..=last {
        // Also backwards.
        let to = (from * 7 + 3) % (last + 1);
        let mut found = match bucket.diff("m.>", rev(from), rev(to)).await {
            Ok(found) => found,
            Err(PastError::Lost { keys, .. }) => {
                assert!(!keys.is_empty());
                let (from, to) = (truth.visible(from), truth.visible(to));
                assert!(!known(from) || !known(to), "{from} and {to} are known: {keys:?}");
                continue;
            }
            Err(PastError::OutOfRange { oldest, newest, .. }) => {
                assert_eq!(newest.get(), last);
                assert!(from.min(to) < oldest.get(), "{from} and {to} are kept from {oldest} on");
                continue;
            }
            Err(other) => panic!("{other:?} from {from} to {to}"),
        };
        let (before, after) = (own(found.from().get()), own(found.to().get()));
        // Where the part of a set that was written up to then is lost, nothing tells of the set; then the state is lost,
        // and it differs from nothing but another one.
        if from != to || found.from().get() != from {
            assert_eq!((found.from(), found.to()), (rev(truth.visible(from)), rev(truth.visible(to))));
        }
        let mut told = Vec::new();
        while let Some(one) = found.next().await.unwrap() {
            let text =
                |value: Option<&bytes::Bytes>| value.map(|value| String::from_utf8_lossy(value).into_owned());
            told.push((one.key().to_string(), text(one.before()), text(one.after())));
        }
        let differs = KEYS.iter().filter(|key| before.get(*key) != after.get(*key));
        let text = |state: &BTreeMap<&str, &String>, key: &str| state.get(key).map(|value| (*value).clone());
        let expected: Vec<_> = differs
            .filter(|key| key.starts_with("m."))
            .map(|key| (key.to_string(), text(&before, key), text(&after, key)))
            .collect();
        assert_eq!(told, expected, "from {from} to {to} of {:?}", truth.sets);
    }
    let now = bucket.diff("m.>", Point::Latest, Point::Latest).await.unwrap().next().await.unwrap();
    assert_eq!(now, None);
}

// P8
async fn the_log_is_the_list_backwards(live: &Live<Model>, truth: &Truth, limit: usize) {
    let mut stream = live.log().limit(limit).stream();
    let mut newest = u64::MAX;
    while let Some(change) = stream.next().await {
        let change = change.unwrap();
        let (first, last) = (change.revisions().start().get(), change.revisions().end().get());
        assert!(truth.sets.contains(&(first..=last)), "{change}");
        assert!(last < newest, "newest first, each once");
        newest = first;
        let own =
            |at: u64| truth.writes.iter().any(|(key, writes)| key.starts_with("m.") && writes.contains(&at));
        let written = (first..=last).filter(|at| own(*at)).count() as u64;
        assert_eq!(change.keys().len() as u64 + change.missing(), written, "{change}");
        for key in change.keys() {
            let at = key.revision().get();
            let shown = |state: &State| match state.get(key.key().as_str()) {
                Some(value) => KeyState::Value(format!("`{value}`")),
                None => KeyState::Absent,
            };
            let after = match &key.after {
                KeyState::Deleted | KeyState::Purged => KeyState::Absent,
                after => after.clone(),
            };
            assert_eq!(after, shown(&truth.states[at as usize]), "{change}");
            if key.before != KeyState::NoLongerKept {
                assert_eq!(key.before, shown(&truth.states[at as usize - 1]), "{change}");
            }
        }
    }
}

async fn try_steps(backend: &Backend, history: u8, name: &str, steps: &[Step]) {
    let mut config = BucketConfig::new(name);
    config.history = Some(history.into());
    let bucket = backend.bucket(config).await;
    let live = bucket.live::<Model>().start().await.unwrap();
    let truth = run(&bucket, steps).await;
    past_states_are_those_of_the_list(&live, &bucket, &truth, usize::from(history), steps).await;
    differences_of_plain_keys_are_those_of_the_list(&bucket, &truth, usize::from(history), steps).await;
    the_log_is_the_list_backwards(&live, &truth, 1 + steps.len() % 5).await;
    // Every state was a good one.
    let replay = bucket.check::<Model>().replay().await.unwrap();
    assert!(replay.is_clean(), "{replay}");
}

fn steps() -> impl Strategy<Value = (u8, Vec<Step>)> {
    (proptest::sample::select(vec![1, 2, 3, 5, 64]), proptest::collection::vec(step(), 1..40))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvconf_tests::cases(32)))]

    // P8
    #[test]
    fn what_is_read_of_the_past_is_what_was((history, steps) in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(try_steps(&Backend::memory(), history, "cfg", &steps));
    }
}

// P8
#[tokio::test]
async fn on_a_server_it_is_too() {
    let backend = Backend::nats().await;
    let mut runner = TestRunner::deterministic();
    for case in 0..kvconf_tests::cases(3) {
        let (history, steps) = steps().new_tree(&mut runner).unwrap().current();
        try_steps(&backend, history, &format!("cfg{case}"), &steps).await;
    }
}
