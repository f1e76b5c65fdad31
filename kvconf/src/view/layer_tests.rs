//! Several layers, against a model: any sequence of change sets across them, good, bad and masked values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::tests::update;
use super::{Table, View};
use crate::layer::Layers;
use crate::{Entry, Headers, KvConfig, Operation, Prefix, ProblemKind, Revision, Validation};

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "p", validate = Self::check)]
struct Shop {
    #[kv(default = 10, alias = "old")]
    low: u8,
    #[kv(default = 20)]
    high: u8,
    #[kv(entries)]
    limits: BTreeMap<String, u8>,
}

impl Shop {
    fn check(&self, problems: &mut Validation<Self>) {
        if self.low > self.high {
            problems.problem("low exceeds high").on(Self::fields().low).on(Self::fields().high);
        }
    }
}

const LAYERS: [&str; 3] = ["", "base", "env.prod"];
const KEYS: [&str; 5] = ["low", "old", "high", "limits.a", "limits.b"];

/// By layer and key: a value, or a removal.
type Set = BTreeMap<(usize, &'static str), Option<&'static str>>;

fn set() -> impl Strategy<Value = Set> {
    let value = prop_oneof![
        2 => Just(None),
        6 => proptest::sample::select(&["0", "5", "15", "25", "x"][..]).prop_map(Some),
    ];
    let place = (0..LAYERS.len(), proptest::sample::select(&KEYS[..]));
    proptest::collection::btree_map(place, value, 1..4)
}

fn layers() -> Layers {
    Layers::new(Prefix::new("p").unwrap(), &LAYERS.map(str::to_owned)).unwrap()
}

fn entry(layer: usize, key: &str, revision: u64, value: Option<&str>) -> Arc<Entry> {
    Arc::new(Entry {
        key: layers().key(layer, key).unwrap(),
        revision: Revision::new(revision),
        value: Bytes::from(value.unwrap_or_default().to_owned()),
        operation: if value.is_some() { Operation::Put } else { Operation::Delete },
        marker: None,
        created: std::time::SystemTime::UNIX_EPOCH,
        headers: Headers::new(),
    })
}

fn start(sets: Vec<Vec<Arc<Entry>>>) -> Option<View<Shop>> {
    let table = Arc::new(Table::new::<Shop>(&|_| None).with_layers(layers()));
    View::start(table, "test", &update(sets)).ok()
}

fn names(key: &'static str) -> Vec<&'static str> {
    match key {
        "low" | "old" => vec!["low", "old"],
        key => vec![key],
    }
}

/// The layer that has the say about a key, and what it says.
fn winner(state: &Set, key: &'static str) -> Option<(usize, &'static str)> {
    let names = names(key);
    (0..LAYERS.len()).rev().find_map(|layer| {
        let text = names.iter().find_map(|name| state.get(&(layer, *name)).copied().flatten())?;
        Some((layer, text))
    })
}

/// What a state comes to, told a second time in a few lines.
fn decode(state: &Set) -> Option<Shop> {
    let read = |key, default| winner(state, key).map_or(Some(default), |(_, text)| text.parse::<u8>().ok());
    let (low, high) = (read("low", 10)?, read("high", 20)?);
    let mut limits = BTreeMap::new();
    for key in ["limits.a", "limits.b"] {
        if let Some((_, text)) = winner(state, key) {
            limits.insert(key[7..].to_owned(), text.parse::<u8>().ok()?);
        }
    }
    (low <= high).then_some(Shop { low, high, limits })
}

/// Bad values that a more specific layer masks.
fn masked(state: &Set) -> BTreeSet<String> {
    let bad = state.iter().filter(|(_, value)| **value == Some("x"));
    let masked = bad.filter(|((layer, key), _)| winner(state, key).is_some_and(|(by, _)| by > *layer));
    masked.map(|((layer, key), _)| layers().full_key(*layer, key)).collect()
}

fn merged<'s>(sets: impl Iterator<Item = &'s Set>) -> Set {
    sets.flat_map(|set| set.iter().map(|(place, value)| (*place, *value))).collect()
}

fn entries(set: &Set, revision: &mut u64) -> Vec<Arc<Entry>> {
    let entry = |((layer, key), value): (&(usize, &'static str), &Option<&'static str>)| {
        *revision += 1;
        entry(*layer, key, *revision, *value)
    };
    set.iter().map(entry).collect()
}

/// The most changes of which any choice is tried.
const MOST: usize = 7;

proptest! {
    #![proptest_config(crate::cases(1_000))]

    // P1, P2, P3
    #[test]
    fn what_is_served_is_what_the_layers_come_to_in_whole_change_sets(
        sets in proptest::collection::vec(set(), 1..MOST),
        cuts in proptest::collection::vec(any::<bool>(), MOST),
        at_the_start in 0..MOST,
    ) {
        serve(&sets, &cuts, at_the_start)?;
    }
}

fn serve(sets: &[Set], cuts: &[bool], at_the_start: usize) -> Result<(), TestCaseError> {
    let (mut revision, mut batch, mut before) = (0, Vec::new(), Revision::ZERO);
    let (first, rest) = sets.split_at(at_the_start.min(sets.len()));
    let loaded: Vec<Vec<Arc<Entry>>> = first.iter().map(|set| entries(set, &mut revision)).collect();
    let Some(mut view) = start(loaded) else {
        prop_assert_eq!(decode(&merged(first.iter())), None);
        return Ok(());
    };
    judge(&view, first)?;
    for (at, set) in rest.iter().enumerate() {
        batch.push(entries(set, &mut revision));
        if !cuts[at] && at + 1 < rest.len() {
            continue;
        }
        view.apply(&update(std::mem::take(&mut batch)));
        prop_assert!(view.snapshot.revision() >= before, "the revision went back");
        before = view.snapshot.revision();
        judge(&view, &sets[..first.len() + at + 1])?;
    }
    Ok(())
}

/// Holds a view that was given these change sets against the model.
fn judge(view: &View<Shop>, seen: &[Set]) -> Result<(), TestCaseError> {
    let truth = merged(seen.iter());
    let served = view.snapshot.value();
    let problems = view.report.iter().flat_map(|report| &report.problems);
    let told: BTreeSet<String> =
        problems.filter(|problem| problem.kind == ProblemKind::Masked).map(|p| p.key.clone()).collect();
    prop_assert_eq!(told, masked(&truth));
    if let Some(value) = decode(&truth) {
        prop_assert_eq!(served, &value);
        prop_assert!(view.rejected.is_empty());
        prop_assert!(view.report.as_ref().is_none_or(|report| !report.is_fatal()));
        return Ok(());
    }
    prop_assert!(view.report.as_ref().is_some_and(|report| report.is_fatal()));
    prop_assert!(!view.rejected.is_empty());
    // Some choice of whole change sets leads exactly to what is served.
    let chosen = |mask: u32| seen.iter().enumerate().filter(move |(at, _)| mask >> at & 1 == 1);
    let choice = (0..1_u32 << seen.len())
        .find(|mask| decode(&merged(chosen(*mask).map(|(_, set)| set))).as_ref() == Some(served));
    prop_assert!(choice.is_some(), "{served:?} is torn: {seen:?}");
    // Nothing that is left out could be taken by itself.
    let state = view.raw.iter().map(|(layer, key, entry)| place(layer, key, Some(entry)));
    let state: Set = state.collect();
    for group in &view.rejected {
        let mut with = state.clone();
        with.extend(group.changes.iter().map(|(layer, key, entry)| place(layer, key, entry)));
        prop_assert_eq!(decode(&with), None, "{:?} is left out of {:?}", group, state);
    }
    Ok(())
}

fn place(
    layer: usize,
    key: &str,
    entry: Option<&Arc<Entry>>,
) -> ((usize, &'static str), Option<&'static str>) {
    let known = |texts: &[&'static str], text: &[u8]| {
        texts.iter().find(|known| known.as_bytes() == text).copied().unwrap()
    };
    let value = entry.and_then(|entry| entry.put_value());
    let value = value.map(|bytes| known(&["0", "5", "15", "25", "x"], bytes));
    ((layer, known(&KEYS, key.as_bytes())), value)
}

// P2
#[test]
fn a_change_set_across_layers_is_rejected_as_a_whole_and_named_whole() {
    let mut view = start(Vec::new()).unwrap();
    let across = vec![entry(1, "low", 1, Some("15")), entry(2, "high", 2, Some("x"))];
    let outcome = view.apply(&update(vec![across]));
    assert!(outcome.snapshot.is_none());
    assert_eq!(view.rejections()[0].keys, ["base.p.low", "env.prod.p.high"]);
    let mended = view.apply(&update(vec![vec![entry(2, "high", 3, Some("25"))]])).snapshot.unwrap();
    assert_eq!((mended.low, mended.high, mended.rejected()), (15, 25, &[][..]));
}

// P1
#[test]
fn a_change_of_a_masked_value_moves_the_revision_and_nothing_else() {
    let mut view = start(vec![vec![entry(2, "low", 1, Some("5"))]]).unwrap();
    let snapshot = view.apply(&update(vec![vec![entry(1, "low", 2, Some("15"))]])).snapshot.unwrap();
    assert_eq!((snapshot.low, snapshot.revision().get()), (5, 2));
}

// P3
#[test]
fn a_masked_bad_value_is_told_at_once_and_keeps_what_masks_it_from_going_away() {
    let mut view = start(vec![vec![entry(2, "low", 1, Some("5"))]]).unwrap();
    view.apply(&update(vec![vec![entry(1, "low", 2, Some("x"))]]));
    let told = |view: &View<Shop>| {
        let text = view.report.as_ref().unwrap().to_string();
        text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(told(&view), @r"
    warning: 1 problem in Shop (bucket test, revision 2)
    × base.p.low: `x` is not a whole number (u8); not read while env.prod.p.low has a value
    ");
    assert_eq!(view.snapshot.revision().get(), 2);

    let outcome = view.apply(&update(vec![vec![entry(2, "low", 3, None)]]));
    assert!(outcome.snapshot.is_none());
    assert_eq!(view.snapshot.low, 5);
    assert_eq!(view.rejections()[0].keys, ["env.prod.p.low"]);
    insta::assert_snapshot!(told(&view), @r"
    error: 1 problem in Shop (bucket test, revision 3); still serving revision 2
    × base.p.low: `x` is not a whole number (u8)
    revision 2, 1970-01-01 00:00; before: 5
    ");

    let mended = view.apply(&update(vec![vec![entry(1, "low", 4, Some("15"))]])).snapshot.unwrap();
    assert_eq!((mended.low, mended.rejected()), (15, &[][..]));
    assert!(view.report.is_none());
}
