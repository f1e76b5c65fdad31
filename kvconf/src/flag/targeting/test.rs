//! Conditions in the shapes that rules have in practice, each decided without building anything.
//!
//! A shape decides the usual kind of value by itself and leaves the others to the function that the tree walk uses.

use serde_json::Value as Json;

use super::eval::holds_between;
use super::failure::Failure;
use super::literal::{Constants, Literal, Texts};
use super::node::{Comparison, Node};
use super::semver::VersionOperator;
use super::size;
use super::text::compare_versions;
use crate::flag::value::Value;

/// A condition.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Leaf(Leaf),
    Not(Box<Test>),
    All(Box<[Test]>),
    Any(Box<[Test]>),
    Constant(bool),
    /// Anything else.
    Tree(Box<Node>),
}

/// A condition on one attribute.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) slot: u32,
    pub(crate) question: Question,
}

/// What is asked of an attribute.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// Equal to a text, by `==` or `===`.
    Is(Literal, Comparison),
    /// Compared with a whole number.
    Whole(Range, Comparison, i64),
    /// Among these texts.
    AmongTexts(Texts),
    /// Neither zero nor empty.
    Truth,
    /// Compared with anything else that is constant.
    Scalar(Comparison, Box<Json>),
    /// Among these values.
    Among(Box<Constants>),
    /// Has this text as a part or as an item.
    Contains(Box<str>),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Version(VersionOperator, Box<str>),
    /// Asked of all there is.
    Tree(Box<Node>),
}

/// The whole numbers for which a comparison with a constant holds: every comparison is one of these, so that none has to be
/// told from the others when a rule runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    low: i64,
    high: i64,
    /// Whether it holds within.
    within: bool,
}

impl Range {
    pub(crate) fn of(comparison: Comparison, number: i64) -> Self {
        let (low, high, within) = match comparison {
            Comparison::Equal | Comparison::StrictlyEqual => (number, number, true),
            Comparison::Unequal | Comparison::StrictlyUnequal => (number, number, false),
            Comparison::LessOrEqual => (i64::MIN, number, true),
            Comparison::Greater => (i64::MIN, number, false),
            Comparison::GreaterOrEqual => (number, i64::MAX, true),
            Comparison::Less => (number, i64::MAX, false),
        };
        Self { low, high, within }
    }

    #[inline]
    pub(crate) fn holds(self, number: i64) -> bool {
        ((self.low <= number) & (number <= self.high)) == self.within
    }
}

impl Question {
    /// Counts what is looked at of a value, where that can be more than a few words.
    pub(crate) fn count(
        &self,
        value: Value<'_>,
        spend: &dyn Fn(usize) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match (self, value) {
            (Self::Contains(_), Value::List(items)) => spend(items.len() / 8),
            (Self::Truth | Self::Among(_) | Self::AmongTexts(_), _) => Ok(()),
            _ => size::as_text(value, spend),
        }
    }

    /// Whether it holds of this value.
    pub(crate) fn holds(&self, value: Value<'_>) -> Result<bool, Failure> {
        let text = match value {
            Value::Text(text) => Some(text),
            _ => None,
        };
        match self {
            Self::Is(literal, comparison) => holds_between(*comparison, value, Value::Text(literal.text())),
            Self::Whole(_, comparison, number) => holds_between(*comparison, value, Value::Int(*number)),
            Self::Scalar(comparison, constant) => holds_between(*comparison, value, (&**constant).into()),
            Self::AmongTexts(texts) => Ok(text.is_some_and(|text| texts.contains(text))),
            Self::Truth => Ok(value.is_truthy()),
            Self::Among(constants) => Ok(constants.contains(value)),
            Self::Contains(part) => Ok(contains(value, part)),
            Self::StartsWith(part) => Ok(text.is_some_and(|text| text.starts_with(&**part))),
            Self::EndsWith(part) => Ok(text.is_some_and(|text| text.ends_with(&**part))),
            Self::Version(operator, version) => {
                Ok(compare_versions(value, *operator, Value::Text(version)).unwrap_or(false))
            }
            // Is asked of no value: see `Step::holds`.
            Self::Tree(_) => Ok(false),
        }
    }
}

fn contains(value: Value<'_>, part: &str) -> bool {
    match value {
        Value::Text(text) => text.contains(part),
        Value::List(items) => {
            (0..items.len()).any(|index| matches!(items.item(index), Some(Value::Text(item)) if item == part))
        }
        _ => false,
    }
}
