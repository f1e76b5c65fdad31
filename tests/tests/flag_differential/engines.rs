//! The two engines, each asked in the same way.

use std::cell::LazyCell;
use std::panic::catch_unwind;

use datalogic_rs::Engine;
use kvconf::flag::{Bucketing, evaluate_rule};
use serde_json::Value;

/// What a rule gives, or that it fails. Why it fails is each engine's own.
pub(crate) type Answer = Result<Value, Failed>;

/// It has no value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failed;

thread_local! {
    static ENGINE: LazyCell<Engine> = const { LazyCell::new(Engine::new) };
}

/// Ours.
pub(crate) fn ours(rule: &Value, data: &Value) -> Answer {
    evaluate_rule(rule, data, Bucketing::V2).map_err(|_| Failed)
}

/// The oracle's.
pub(crate) fn theirs(rule: &Value, data: &Value) -> Answer {
    let (rule, data) = (rule.to_string(), data.to_string());
    // It panics where weights are so large that their product with a hash does not fit, in builds that check it.
    let found = catch_unwind(|| ENGINE.with(|engine| engine.eval_str(&*rule, &*data).ok()));
    // What is no JSON is a number that JSON has not.
    found.ok().flatten().and_then(|text| serde_json::from_str(&text).ok()).ok_or(Failed)
}

/// Whether they disagree.
pub(crate) fn differ(rule: &Value, data: &Value) -> bool {
    match (ours(rule, data), theirs(rule, data)) {
        (Ok(ours), Ok(theirs)) => !same(&ours, &theirs),
        (ours, theirs) => ours.is_ok() != theirs.is_ok(),
    }
}

/// Numbers are compared as numbers, `2` is `2.0`, and up to the last bits: the order of additions is nobody's promise.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left == right,
            _ => left.as_f64().zip(right.as_f64()).is_some_and(|(left, right)| {
                left == right || (left - right).abs() <= f64::EPSILON * left.abs().max(right.abs())
            }),
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}
