//! Operators on texts.

use super::any::Any;
use super::coercion::{to_number, to_text, write_joined};
use super::eval::{Evaluator, Outcome};
use super::failure::Failure;
use super::limits::MAX_BUILT;
use super::semver::{Version, VersionOperator};
use crate::flag::value::Value;

/// How many bytes of a built text count as one step.
const BYTES_PER_STEP: usize = 16;

pub(super) fn cat<'e>(evaluator: &Evaluator<'e>, values: &[Any<'e>]) -> Outcome<'e> {
    let mut text = String::new();
    for value in values {
        write_bounded(evaluator, value.value(), &mut text)?;
    }
    evaluator.build(text.len(), BYTES_PER_STEP)?;
    Ok(Any::text(text))
}

/// As [`write_joined`], but a list of a context may have any number of items.
fn write_bounded(evaluator: &Evaluator<'_>, value: Value<'_>, text: &mut String) -> Result<(), Failure> {
    match value {
        Value::Text(piece) if text.len() + piece.len() > MAX_BUILT => return Err(Failure::TooLarge),
        Value::List(items) => {
            evaluator.spend(items.len())?;
            for index in 0..items.len() {
                if index > 0 {
                    text.push(',');
                }
                write_joined(items.item(index).unwrap_or(Value::Null), 1, text);
                evaluator.build(text.len(), MAX_BUILT)?;
            }
        }
        other => write_joined(other, 0, text),
    }
    Ok(())
}

/// `String.prototype.substr` with PHP's reading of a negative length, as in the reference. It counts characters, where
/// JavaScript counts UTF-16 units and may cut a character in two.
pub(super) fn substr<'e>(evaluator: &Evaluator<'e>, values: &[Any<'e>]) -> Outcome<'e> {
    let Some(first) = values.first() else { return Err(Failure::InvalidArguments) };
    let source = match first.value() {
        Value::Text(text) => std::borrow::Cow::Borrowed(text),
        other => to_text(other).into(),
    };
    evaluator.build(source.len(), BYTES_PER_STEP)?;
    let length = source.chars().count() as f64;
    let start = values.get(1).map_or(0.0, |start| whole(start.value()));
    let start = if start < 0.0 { (length + start).max(0.0) } else { start.min(length) };
    let rest = length - start;
    let taken = match values.get(2).map(|end| whole(end.value())) {
        None => rest,
        Some(end) if end < 0.0 => (rest + end).max(0.0),
        Some(end) => end.min(rest),
    };
    Ok(Any::text(source.chars().skip(start as usize).take(taken as usize).collect()))
}

/// `ToIntegerOrInfinity`: what is no number is zero.
fn whole(value: Value<'_>) -> f64 {
    let number = to_number(value);
    if number.is_nan() { 0.0 } else { number.trunc() }
}

/// `starts_with` and `ends_with`: null unless there are exactly two texts.
pub(super) fn affix<'e>(values: &[Any<'_>], holds: impl Fn(&str, &str) -> bool) -> Any<'e> {
    match values {
        [text, part] => match (text.value(), part.value()) {
            (Value::Text(text), Value::Text(part)) => Any::bool(holds(text, part)),
            _ => Any::NULL,
        },
        _ => Any::NULL,
    }
}

/// `sem_ver`: null unless there are a version, an operator and a version.
pub(super) fn sem_ver<'e>(values: &[Any<'_>]) -> Any<'e> {
    let [left, operator, right] = values else { return Any::NULL };
    let Value::Text(operator) = operator.value() else { return Any::NULL };
    let Some(operator) = VersionOperator::named(operator) else { return Any::NULL };
    compare_versions(left.value(), operator, right.value()).map_or(Any::NULL, Any::bool)
}

/// Compares versions; what is no text is written as one first.
pub(super) fn compare_versions(left: Value<'_>, operator: VersionOperator, right: Value<'_>) -> Option<bool> {
    let (left_text, right_text);
    let left = match left {
        Value::Text(text) => text,
        other => {
            left_text = to_text(other);
            &left_text
        }
    };
    let right = match right {
        Value::Text(text) => text,
        other => {
            right_text = to_text(other);
            &right_text
        }
    };
    Some(operator.holds(&Version::parse(left)?, &Version::parse(right)?))
}
