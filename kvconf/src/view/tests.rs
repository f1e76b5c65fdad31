//! Which changes a view takes, against rules that hold for any sequence of them; and the report, word by word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::prelude::*;

use super::{Table, View};
use crate::attribution::{AUTHOR, REASON};
use crate::watch::{Change, ChangeSet, Update};
use crate::{Entry, Headers, Key, KvConfig, Operation, ProblemKind, Revision, Validation};

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "p", validate = Self::check)]
pub(super) struct Bounds {
    #[kv(default = 10)]
    pub(super) low: u8,
    #[kv(default = 20)]
    pub(super) high: u8,
    #[kv(default = 0, range(0..=9))]
    pub(super) level: u8,
    #[kv(default = 1)]
    pub(super) boom: u8,
}

impl Bounds {
    fn check(&self, problems: &mut Validation<Self>) {
        assert!(self.boom != 13, "code of the program that cannot cope");
        if self.low > self.high {
            problems.problem("low exceeds high").on(Self::fields().low).on(Self::fields().high);
        }
    }
}

pub(super) fn entry(key: &str, revision: u64, value: Option<&str>) -> Arc<Entry> {
    Arc::new(Entry {
        key: Key::new(format!("p.{key}")).unwrap(),
        revision: Revision::new(revision),
        value: Bytes::from(value.unwrap_or_default().to_owned()),
        operation: if value.is_some() { Operation::Put } else { Operation::Delete },
        marker: None,
        created: SystemTime::UNIX_EPOCH,
        headers: Headers::new(),
    })
}

pub(super) fn update(sets: Vec<Vec<Arc<Entry>>>) -> Update {
    let revision = sets.iter().flatten().map(|entry| entry.revision()).max().unwrap_or_default();
    let set = |entries: Vec<Arc<Entry>>| ChangeSet {
        changes: entries.into_iter().map(|e| Change { key: e.key().clone(), entry: Some(e) }).collect(),
    };
    Update { revision, epoch: 0, sets: sets.into_iter().map(set).collect() }
}

fn start() -> View<Bounds> {
    let table = Arc::new(Table::new::<Bounds>(&|_| None));
    View::start(table, "test", &update(Vec::new())).unwrap()
}

const KEYS: [&str; 4] = ["low", "high", "level", "boom"];
const VALUES: [&str; 7] = ["0", "5", "13", "15", "25", "300", "x"];

/// One change set: some keys, each with a value or a removal.
type Set = BTreeMap<&'static str, Option<&'static str>>;

fn set() -> impl Strategy<Value = Set> {
    let value = prop_oneof![1 => Just(None), 6 => proptest::sample::select(&VALUES[..]).prop_map(Some)];
    proptest::collection::btree_map(proptest::sample::select(&KEYS[..]), value, 1..4)
}

/// What a state decodes to, told a second time in a few lines.
fn decode(state: &Set) -> Option<Bounds> {
    let read = |key: &str, default: u8| match state.get(key) {
        Some(Some(text)) => text.parse::<u8>().ok(),
        _ => Some(default),
    };
    let (low, high, level, boom) = (read("low", 10)?, read("high", 20)?, read("level", 0)?, read("boom", 1)?);
    (low <= high && level <= 9 && boom != 13).then_some(Bounds { low, high, level, boom })
}

/// The state after some of the sets, each whole.
fn state_of(sets: &[Set], taken: &[bool]) -> Set {
    let chosen = sets.iter().zip(taken).filter(|(_, taken)| **taken).map(|(set, _)| set.clone());
    chosen.flatten().collect()
}

/// The most changes of which any choice is tried.
const MOST: usize = 7;

proptest! {
    #![proptest_config(crate::cases(1_000))]

    // P1, P2, P3
    #[test]
    fn what_is_served_is_valid_whole_and_as_new_as_it_can_be(
        sets in proptest::collection::vec(set(), 1..MOST),
        cuts in proptest::collection::vec(any::<bool>(), MOST),
    ) {
        // The program's panics are expected and many.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let result = serve(&sets, &cuts);
        std::panic::set_hook(hook);
        result?;
    }
}

fn serve(sets: &[Set], cuts: &[bool]) -> Result<(), TestCaseError> {
    let mut view = start();
    let (mut revision, mut batch, mut before) = (0, Vec::new(), Revision::ZERO);
    for (at, set) in sets.iter().enumerate() {
        let entries = set.iter().map(|(key, value)| {
            revision += 1;
            entry(key, revision, *value)
        });
        batch.push(entries.collect());
        if !cuts[at] && at + 1 < sets.len() {
            continue;
        }
        view.apply(&update(std::mem::take(&mut batch)));
        let seen = &sets[..=at];
        let truth = state_of(seen, &vec![true; seen.len()]);
        let served = view.snapshot.value().clone();
        prop_assert!(view.snapshot.revision() >= before, "the revision went back");
        before = view.snapshot.revision();
        match decode(&truth) {
            // A later good change supersedes; two that are only valid together come in together.
            Some(value) => {
                prop_assert_eq!(served, value);
                prop_assert!(view.rejected.is_empty() && view.report.is_none());
            }
            None => {
                prop_assert!(view.report.as_ref().is_some_and(|report| report.is_fatal()));
                prop_assert!(!view.rejected.is_empty());
                // Some choice of whole change sets leads exactly to what is served.
                let choice = (0..1_u32 << seen.len()).find(|mask| {
                    let taken: Vec<bool> = (0..seen.len()).map(|at| mask >> at & 1 == 1).collect();
                    decode(&state_of(seen, &taken)).as_ref() == Some(&served)
                });
                prop_assert!(choice.is_some(), "{served:?} is torn: {seen:?}");
            }
        }
    }
    Ok(())
}

// P3
#[test]
fn two_changes_that_are_only_valid_together_become_visible_together() {
    let mut view = start();
    let outcome = view.apply(&update(vec![vec![entry("low", 1, Some("30"))]]));
    assert!(outcome.snapshot.is_none());
    assert_eq!(view.rejections()[0].keys, ["p.low"]);
    let outcome = view.apply(&update(vec![vec![entry("high", 2, Some("40"))]]));
    let snapshot = outcome.snapshot.unwrap();
    assert_eq!((snapshot.low, snapshot.high, snapshot.revision().get()), (30, 40, 2));
    assert_eq!(snapshot.rejected(), []);
}

// P1, P3
#[test]
fn a_snapshot_names_the_change_sets_that_it_leaves_out() {
    let mut view = start();
    view.apply(&update(vec![vec![entry("level", 1, Some("99")), entry("low", 2, Some("3"))]]));
    let outcome = view.apply(&update(vec![vec![entry("high", 3, Some("50"))]]));
    let snapshot = outcome.snapshot.unwrap();
    assert_eq!((snapshot.low, snapshot.high, snapshot.level, snapshot.revision().get()), (10, 50, 0, 3));
    let [rejected] = snapshot.rejected() else { panic!("{:?}", snapshot.rejected()) };
    let report = view.report.as_ref().unwrap().to_string();
    assert_eq!(
        report.lines().next(),
        Some("error: 1 problem in Bounds (bucket test, revision 3); serving it less what was rejected")
    );
    assert_eq!(
        (rejected.revision.get(), &rejected.keys[..]),
        (2, &["p.level".to_owned(), "p.low".to_owned()][..])
    );
}

// P3: half of a rejected set is superseded; the other half comes in only once nothing is wrong any more.
#[test]
fn the_rest_of_a_superseded_set_comes_in_with_the_change_that_mends_it() {
    let mut view = start();
    view.apply(&update(vec![vec![entry("level", 1, Some("99")), entry("low", 2, Some("3"))]]));
    let snapshot = view.apply(&update(vec![vec![entry("level", 3, Some("4"))]])).snapshot.unwrap();
    assert_eq!((snapshot.low, snapshot.level, snapshot.revision().get()), (3, 4, 3));
    assert!(view.rejected.is_empty());
}

// P10
#[test]
fn a_panic_in_the_programs_own_code_is_a_problem_of_the_change() {
    let mut view = start();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = view.apply(&update(vec![vec![entry("boom", 1, Some("13"))]]));
    std::panic::set_hook(hook);
    assert!(outcome.snapshot.is_none() && outcome.report_changed);
    let report = view.report.clone().unwrap();
    let kinds: Vec<ProblemKind> = report.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::Panic]);
    assert_eq!(view.snapshot.boom, 1);
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
    #[kv(nested)]
    retry: Retry,
}

#[derive(KvConfig, Debug, Clone)]
#[kv(validate = Self::check)]
struct Retry {
    #[kv(default = 1)]
    min: u32,
    #[kv(default = 5)]
    max: u32,
}

impl Retry {
    fn check(&self, problems: &mut Validation<Self>) {
        if self.min > self.max {
            let message = format!("min ({}) must not exceed max ({})", self.min, self.max);
            problems.problem(message).on(Self::fields().min).on(Self::fields().max);
        }
    }
}

/// Two minutes past two in the afternoon.
const AFTERNOON: Duration = Duration::from_secs(14 * 3_600 + 2 * 60);

fn checkout_entry(key: &str, revision: u64, value: &str, headers: Headers) -> Arc<Entry> {
    Arc::new(Entry {
        key: Key::new(format!("checkout.{key}")).unwrap(),
        revision: Revision::new(revision),
        value: Bytes::from(value.to_owned()),
        operation: Operation::Put,
        marker: None,
        created: SystemTime::UNIX_EPOCH + AFTERNOON,
        headers,
    })
}

// P3, P7
#[test]
fn the_report_says_what_is_wrong_who_did_it_and_how_to_go_back() {
    let table = Arc::new(Table::new::<Checkout>(&|_| None));
    let good = update(vec![
        vec![checkout_entry("max_items", 4_102, "80", Headers::new())],
        vec![checkout_entry("retrry", 4_179, "{}", Headers::new())],
    ]);
    let mut view = View::<Checkout>::start(table, "prod", &good).unwrap();
    let by_ops = [(AUTHOR, "ops"), (REASON, "raise for sale")].into_iter().collect();
    view.apply(&update(vec![
        vec![checkout_entry("max_items", 4_181, "9999", by_ops)],
        vec![checkout_entry("retry.min", 4_182, "9", Headers::new())],
    ]));
    let mut report = crate::Report::clone(view.report.as_ref().unwrap());
    report.at = SystemTime::UNIX_EPOCH + AFTERNOON + Duration::from_secs(60);
    insta::assert_snapshot!(report, @r#"
    error: 3 problems in Checkout (bucket prod, revision 4182); still serving revision 4179
      × checkout.max_items: 9999 is outside 1..=500
          revision 4181 by ops, 14:02, "raise for sale"; before: 80
          help: kvconf rollback checkout.max_items --to 4102
      × checkout.retrry: unknown key, did you mean checkout.retry?   (ignored)
      × checkout.retry: min (9) must not exceed max (5)
          min from revision 4182 · max from the default
    "#);
}

#[test]
fn the_keys_of_others_do_not_hide_what_is_to_be_mended() {
    let table = Arc::new(Table::new::<Bounds>(&|_| None));
    let others = (1..=10_000).map(|n| entry(&format!("a{n:05}"), n, Some("1"))).collect();
    let mut view: View<Bounds> = View::start(table, "test", &update(vec![others])).unwrap();
    view.apply(&update(vec![vec![entry("level", 10_001, Some("x"))]]));
    let report = view.report.as_ref().unwrap();
    assert_eq!(report.problems.len(), 10_001, "a program gets all of them");
    let shown = report.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 1 + 20 + 2 + 1, "{shown}");
    assert_eq!(lines[20], "  × p.a00020: unknown key   (ignored)");
    assert_eq!(lines[21], "  × p.level: `x` is not a whole number (u8)");
    assert_eq!(lines[23], "  × 9980 more unknown keys   (ignored)");
}

thread_local! {
    /// How often the struct was copied, and how often it was checked.
    static WORK: std::cell::Cell<(u32, u32)> = const { std::cell::Cell::new((0, 0)) };
}

#[derive(KvConfig, Debug)]
#[kv(prefix = "p", validate = Self::check)]
struct Laborious {
    #[kv(default = 20)]
    high: u8,
    #[kv(default = 10)]
    low: u8,
    #[kv(entries)]
    limits: BTreeMap<u32, u8>,
}

impl Clone for Laborious {
    fn clone(&self) -> Self {
        WORK.set((WORK.get().0 + 1, WORK.get().1));
        Self { high: self.high, low: self.low, limits: self.limits.clone() }
    }
}

impl Laborious {
    fn check(&self, problems: &mut Validation<Self>) {
        WORK.set((WORK.get().0, WORK.get().1 + 1));
        if self.low > self.high {
            problems.problem("low exceeds high").on(Self::fields().low);
        }
    }
}

// P3, P5: what came during an outage, each by itself. The watch of all handles waits meanwhile.
#[test]
fn one_bad_change_among_a_thousand_does_not_cost_a_trial_for_each() {
    let table = Arc::new(Table::new::<Laborious>(&|_| None));
    let mut view: View<Laborious> = View::start(table, "test", &update(Vec::new())).unwrap();
    let limit = |n: u64| entry(&format!("limits.{n}"), n, Some("7"));
    let mut sets: Vec<Vec<Arc<Entry>>> = (1..=1_000).map(|n| vec![limit(n)]).collect();
    sets.insert(500, vec![entry("low", 1_001, Some("99"))]);
    sets.insert(700, vec![entry("limits.5000", 1_002, Some("300"))]);
    WORK.set((0, 0));
    let outcome = view.apply(&update(sets));
    let (copies, checks) = WORK.get();
    assert!(copies < 60 && checks < 60, "{copies} copies, {checks} checks");
    assert_eq!(outcome.snapshot.unwrap().limits.len(), 1_000);
    let rejected: Vec<u64> = view.rejected.iter().map(|group| group.revision.get()).collect();
    assert_eq!(rejected, [1_001, 1_002]);
}

// P1: the map holds one entry for each key of the bucket, so no two keys may be one in it.
#[test]
fn a_map_takes_no_key_that_would_be_written_in_another_way() {
    let table = Arc::new(Table::new::<Laborious>(&|_| None));
    let first = update(vec![vec![entry("limits.7", 1, Some("1"))]]);
    let mut view: View<Laborious> = View::start(table, "test", &first).unwrap();
    view.apply(&update(vec![vec![entry("limits.07", 2, Some("9"))], vec![entry("limits.8", 3, Some("2"))]]));
    assert_eq!(view.snapshot.limits, BTreeMap::from([(7, 1), (8, 2)]));
    let problems = &view.report.as_ref().unwrap().problems;
    assert_eq!(problems[0].to_string(), "p.limits.07: the key `07` of the map must be written `7`");
    view.apply(&update(vec![vec![entry("limits.07", 4, None)]]));
    assert_eq!(view.snapshot.limits, BTreeMap::from([(7, 1), (8, 2)]));
    assert!(view.report.is_none() && view.snapshot.revision().get() == 4);
    view.apply(&update(vec![vec![entry("limits.x", 5, Some("9"))]]));
    let problems = &view.report.as_ref().unwrap().problems;
    assert_eq!(problems[0].to_string(), "p.limits.x: `x` is not a key of this map");
}
