//! `+ - * / %`, `max` and `min`.
//!
//! Whole numbers are computed as such while 64 bits hold them, which gives the same digits as JavaScript's numbers wherever
//! those are exact.

use std::cmp::Ordering;

use super::any::Any;
use super::coercion::to_number;
use super::eval::Outcome;
use super::failure::Failure;
use crate::flag::value::Value;

/// A whole number, or any number.
#[derive(Clone, Copy)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    fn read(value: &Any<'_>) -> Result<Self, Failure> {
        match value.value() {
            Value::Int(number) => Ok(Self::Whole(number)),
            Value::Null => Ok(Self::Whole(0)),
            Value::Bool(value) => Ok(Self::Whole(value.into())),
            other => {
                let number = to_number(other);
                if number.is_nan() { Err(Failure::NotANumber) } else { Ok(Self::Real(number)) }
            }
        }
    }

    fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }

    /// What cannot be told in JSON is no answer.
    fn give<'e>(self) -> Outcome<'e> {
        match self {
            Self::Whole(number) => Ok(Value::Int(number).into()),
            Self::Real(number) if !number.is_finite() => Err(Failure::NotANumber),
            Self::Real(number) => Ok(whole(number).map_or(Value::Float(number), Value::Int).into()),
        }
    }
}

/// Whole numbers within those that a float has exactly are told as such: `{"/": [4, 2]}` is 2, also as a weight.
fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= LIMIT).then_some(number as i64)
}

type Step = (fn(i64, i64) -> Option<i64>, fn(f64, f64) -> f64);

fn step(left: Number, right: Number, (whole, real): Step) -> Number {
    if let (Number::Whole(left), Number::Whole(right)) = (left, right)
        && let Some(number) = whole(left, right)
    {
        return Number::Whole(number);
    }
    Number::Real(real(left.real(), right.real()))
}

fn fold<'e>(start: Number, values: &[Any<'_>], how: Step) -> Outcome<'e> {
    values.iter().try_fold(start, |number, value| Ok(step(number, Number::read(value)?, how)))?.give()
}

pub(super) fn add<'e>(values: &[Any<'_>]) -> Outcome<'e> {
    fold(Number::Whole(0), values, (i64::checked_add, |left, right| left + right))
}

pub(super) fn multiply<'e>(values: &[Any<'_>]) -> Outcome<'e> {
    fold(Number::Whole(1), values, (i64::checked_mul, |left, right| left * right))
}

/// Of one operand, its negative.
pub(super) fn subtract<'e>(values: &[Any<'_>]) -> Outcome<'e> {
    let how: Step = (i64::checked_sub, |left, right| left - right);
    match values {
        [] => Err(Failure::InvalidArguments),
        [one] => step(Number::Whole(0), Number::read(one)?, how).give(),
        [first, rest @ ..] => fold(Number::read(first)?, rest, how),
    }
}

/// Of one operand, its reciprocal.
pub(super) fn divide<'e>(values: &[Any<'_>]) -> Outcome<'e> {
    let how: Step = (|_, _| None, |left, right| left / right);
    match values {
        [] => Err(Failure::InvalidArguments),
        [one] => step(Number::Whole(1), Number::read(one)?, how).give(),
        [first, rest @ ..] => fold(Number::read(first)?, rest, how),
    }
}

/// With the sign of the dividend, as in JavaScript.
pub(super) fn remainder<'e>(values: &[Any<'_>]) -> Outcome<'e> {
    match values {
        [first, rest @ ..] if !rest.is_empty() => {
            fold(Number::read(first)?, rest, (i64::checked_rem, |left, right| left % right))
        }
        _ => Err(Failure::InvalidArguments),
    }
}

/// The largest or the smallest.
pub(super) fn extreme<'e>(values: &[Any<'_>], wanted: Ordering) -> Outcome<'e> {
    let [first, rest @ ..] = values else { return Err(Failure::InvalidArguments) };
    let mut best = Number::read(first)?;
    for value in rest {
        let number = Number::read(value)?;
        let order = match (number, best) {
            (Number::Whole(number), Number::Whole(best)) => number.cmp(&best),
            (number, best) => number.real().total_cmp(&best.real()),
        };
        if order == wanted {
            best = number;
        }
    }
    best.give()
}
