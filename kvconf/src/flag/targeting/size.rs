//! How much there is to a value, counted before an operator looks at all of it.
//!
//! A step of a rule is cheap only while what it looks at is small. A list that a rule builds shares its parts, so it can have far
//! more of them, written out, than steps were taken to build it.

use super::failure::Failure;
use crate::flag::value::Value;

/// How many bytes of a text that is only looked at count as one step. A step takes tens of nanoseconds, and so does it to
/// search, hash or compare that many bytes.
const BYTES_PER_STEP: usize = 256;

/// How many lists in one another are written as a text; see `coercion`.
const MAX_DEPTH: u8 = 64;

/// The steps of looking at a text.
pub(super) fn of_text(text: &str) -> usize {
    text.len() / BYTES_PER_STEP
}

/// Counts what is looked at where a value is written as a text: the items of lists, however deep, but not what is in objects.
pub(super) fn as_text(value: Value<'_>, spend: &dyn Fn(usize) -> Result<(), Failure>) -> Result<(), Failure> {
    count(value, Extent::Text, 0, spend)
}

/// Counts everything in a value.
pub(super) fn as_a_whole(
    value: Value<'_>,
    spend: &dyn Fn(usize) -> Result<(), Failure>,
) -> Result<(), Failure> {
    count(value, Extent::Everything, 0, spend)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Text,
    Everything,
}

fn count(
    value: Value<'_>,
    extent: Extent,
    depth: u8,
    spend: &dyn Fn(usize) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match value {
        Value::Text(text) => match of_text(text) {
            0 => Ok(()),
            steps => spend(steps),
        },
        Value::List(_) | Value::Object(_) if depth >= MAX_DEPTH => Ok(()),
        Value::List(items) => {
            spend(items.len())?;
            (0..items.len()).try_for_each(|index| {
                count(items.item(index).unwrap_or(Value::Null), extent, depth + 1, spend)
            })
        }
        Value::Object(object) if extent == Extent::Everything => {
            let mut outcome = Ok(());
            object.visit(&mut |name, value| {
                if outcome.is_ok() {
                    outcome = spend(1 + of_text(name)).and_then(|()| count(value, extent, depth + 1, spend));
                }
            });
            outcome
        }
        _ => Ok(()),
    }
}
