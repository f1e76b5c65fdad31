//! Rules on data, here and in `datalogic-rs`: each difference is one that is known, and said who decided it.
//!
//! The input is a rule and data, a line of JSON each. Any other input is a seed for the random rules and data of the property
//! test, so that most of them are rules.

#![no_main]

#[path = "../../tests/tests/flag_differential/blame.rs"]
mod blame;
#[path = "../../tests/tests/flag_differential/engines.rs"]
mod engines;
#[path = "../../tests/tests/flag_differential/known.rs"]
#[expect(dead_code, reason = "the table also tells people what differs and why")]
mod known;
#[path = "../../tests/tests/flag_differential/rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use blame::blame;
use engines::{differ, ours, theirs};
use known::KNOWN;

fuzz_target!(|input: &[u8]| {
    let Some((rule, data)) = written(input).or_else(|| made(input)) else { return };
    if !differ(&rule, &data) {
        return;
    }
    let culprit = blame(&rule, &data);
    let (rule, data) = (&culprit.rule, &culprit.data);
    assert!(
        KNOWN.iter().any(|known| (known.covers)(&culprit)),
        "{rule} on {data}: {:?} here, {:?} there",
        ours(rule, data),
        theirs(rule, data)
    );
});

fn written(input: &[u8]) -> Option<(Value, Value)> {
    let (rule, data) = std::str::from_utf8(input).ok()?.split_once('\n')?;
    Some((serde_json::from_str(rule).ok()?, serde_json::from_str(data).ok()?))
}

fn made(input: &[u8]) -> Option<(Value, Value)> {
    let mut seed = [0; 32];
    for (at, byte) in input.iter().enumerate() {
        seed[at % 32] ^= byte;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    Some((rules::rule(), rules::data()).new_tree(&mut runner).ok()?.current())
}
