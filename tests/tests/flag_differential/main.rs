//! Random rules on random data, here and in `datalogic-rs`: each difference is traced to the one operator that makes it, and
//! must be a known one.
//!
//! `KVCONF_DIFFERENTIAL` says how many cases there are, `KVCONF_DIFFERENTIAL_SEED` (a number) makes other ones.

mod blame;
mod engines;
mod known;
mod rules;

use std::collections::BTreeMap;

use blame::{Culprit, blame};
use engines::{Failed, differ, ours, theirs};
use known::KNOWN;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// As many as take a few seconds.
const CASES: usize = 3_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

#[test]
fn every_difference_to_the_oracle_is_known() {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("KVCONF_DIFFERENTIAL_SEED").unwrap_or(1).to_le_bytes());
    let cases = number("KVCONF_DIFFERENTIAL").map_or(CASES, |cases| cases as usize);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut found = BTreeMap::<&str, usize>::new();
    let mut unknown = Vec::new();
    for _ in 0..cases {
        let case = (rules::rule(), rules::data()).new_tree(&mut runner).expect("a case");
        let (rule, data) = case.current();
        if !differ(&rule, &data) {
            continue;
        }
        let culprit = blame(&rule, &data);
        match KNOWN.iter().find(|known| (known.covers)(&culprit)) {
            Some(known) => *found.entry(known.what).or_default() += 1,
            None => unknown.push(shown(&culprit)),
        }
    }
    let differing = found.values().sum::<usize>() + unknown.len();
    println!("{differing} of {cases} differ:");
    found.iter().for_each(|(what, count)| println!("{count:6} {what}"));
    unknown.sort_by_key(String::len);
    let shown = unknown.iter().take(30).cloned().collect::<Vec<_>>().join("\n");
    assert!(unknown.is_empty(), "{} differences that are not known, among them\n{shown}", unknown.len());
}

fn shown(culprit: &Culprit) -> String {
    let (rule, data) = (&culprit.rule, &culprit.data);
    format!("{rule} on {data}: {:?} here, {:?} there", ours(rule, data), theirs(rule, data))
}

#[test]
fn every_known_difference_is_one() {
    for known in KNOWN {
        let [rule, data] = (known.example)();
        let (what, decided) = (known.what, known.decided);
        assert_eq!(ours(&rule, &data), (known.ours)().ok_or(Failed), "{what} ({decided:?})");
        assert_eq!(theirs(&rule, &data), (known.theirs)().ok_or(Failed), "{what}, there");
        let culprit = blame(&rule, &data);
        let first = KNOWN.iter().find(|known| (known.covers)(&culprit)).map(|known| known.what);
        assert_eq!(first, Some(what), "{rule}");
    }
}
