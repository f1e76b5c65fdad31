//! Conditions in the shapes that rules have in practice, each decided without building anything.
//!
//! A shape decides the usual kind of value by itself and leaves the others to the function that the tree walk uses.

use serde_json::Value as Json;

use super::coercion::strictly_equal;
use super::eval::{Evaluator, Scope, holds_between};
use super::failure::Failure;
use super::node::{Comparison, Node};
use super::semver::VersionOperator;
use super::text::compare_versions;
use super::world::Sight;
use crate::flag::context::hash;
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
    pub(crate) slot: usize,
    pub(crate) question: Question,
}

/// What is asked of an attribute.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// Compared with a text.
    Text(Comparison, Box<str>),
    /// Compared with a whole number.
    Whole(Comparison, i64),
    /// Among these texts.
    AmongTexts(Texts),
    /// Neither zero nor empty.
    Truth,
    /// Compared with anything else that is constant.
    Scalar(Comparison, Box<Json>),
    /// Among these values.
    Among(Box<[Json]>),
    /// Has this text as a part or as an item.
    Contains(Box<str>),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Version(VersionOperator, Box<str>),
}

/// A set of texts.
#[derive(Debug, Clone)]
pub(crate) enum Texts {
    Few(Box<[Box<str>]>),
    /// Sorted by hash.
    Many(Box<[(u64, Box<str>)]>),
}

impl Texts {
    const FEW: usize = 8;

    pub(crate) fn new<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let texts: Vec<Box<str>> = texts.map(Into::into).collect();
        if texts.len() <= Self::FEW {
            return Self::Few(texts.into());
        }
        let mut hashed: Vec<_> = texts.into_iter().map(|text| (hash(text.as_bytes()), text)).collect();
        hashed.sort();
        hashed.dedup();
        Self::Many(hashed.into())
    }

    #[inline]
    pub(crate) fn contains(&self, text: &str) -> bool {
        match self {
            Self::Few(texts) => texts.iter().any(|known| **known == *text),
            Self::Many(texts) => {
                let wanted = hash(text.as_bytes());
                let start = texts.partition_point(|(hash, _)| *hash < wanted);
                let same =
                    texts.get(start..).unwrap_or_default().iter().take_while(|(hash, _)| *hash == wanted);
                same.into_iter().any(|(_, known)| **known == *text)
            }
        }
    }
}

impl Test {
    /// Whether it holds.
    #[inline]
    pub(crate) fn holds<'e>(&'e self, sight: &Sight<'e>) -> Result<bool, Failure> {
        match self {
            Self::Leaf(leaf) => leaf.holds(sight),
            other => other.holds_jointly(sight),
        }
    }

    /// Leaves are looked at in the loops, not by one more call for each.
    fn holds_jointly<'e>(&'e self, sight: &Sight<'e>) -> Result<bool, Failure> {
        match self {
            Self::Leaf(leaf) => leaf.holds(sight),
            Self::All(tests) => {
                for test in tests {
                    if !test.holds(sight)? {
                        return Ok(false);
                    }
                }
                // Of no operands, `and` gives false.
                Ok(!tests.is_empty())
            }
            Self::Any(tests) => {
                for test in tests {
                    if test.holds(sight)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(test) => Ok(!test.holds(sight)?),
            Self::Constant(holds) => Ok(*holds),
            Self::Tree(node) => {
                let world = sight.world();
                Evaluator::new(&world, sight).holds(node, Scope::Context)
            }
        }
    }
}

impl Leaf {
    #[inline]
    fn holds<'e>(&'e self, sight: &Sight<'e>) -> Result<bool, Failure> {
        let value = sight.attribute(self.slot);
        match (&self.question, value) {
            (
                Question::Text(Comparison::Equal | Comparison::StrictlyEqual, text),
                Some(Value::Text(value)),
            ) => Ok(*value == **text),
            (Question::Whole(comparison, number), Some(Value::Int(value))) => {
                Ok(compare_whole(*comparison, value, *number))
            }
            (Question::AmongTexts(texts), Some(Value::Text(value))) => Ok(texts.contains(value)),
            (question, value) => question.holds(&value.unwrap_or(Value::Null)),
        }
    }
}

impl Question {
    /// The less usual questions, and the less usual kinds of values.
    #[inline(never)]
    fn holds(&self, value: &Value<'_>) -> Result<bool, Failure> {
        let value = *value;
        let text = match value {
            Value::Text(text) => Some(text),
            _ => None,
        };
        match self {
            Self::Text(comparison, text) => holds_between(*comparison, value, Value::Text(text)),
            Self::Whole(comparison, number) => holds_between(*comparison, value, Value::Int(*number)),
            Self::Scalar(comparison, constant) => holds_between(*comparison, value, (&**constant).into()),
            Self::AmongTexts(texts) => Ok(text.is_some_and(|text| texts.contains(text))),
            Self::Truth => Ok(value.is_truthy()),
            Self::Among(items) => Ok(items.iter().any(|item| strictly_equal(value, item.into()))),
            Self::Contains(part) => Ok(contains(value, part)),
            Self::StartsWith(part) => Ok(text.is_some_and(|text| text.starts_with(&**part))),
            Self::EndsWith(part) => Ok(text.is_some_and(|text| text.ends_with(&**part))),
            Self::Version(operator, version) => {
                Ok(compare_versions(value, *operator, Value::Text(version)).unwrap_or(false))
            }
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

#[inline]
fn compare_whole(comparison: Comparison, left: i64, right: i64) -> bool {
    match comparison {
        Comparison::Equal | Comparison::StrictlyEqual => left == right,
        Comparison::Unequal | Comparison::StrictlyUnequal => left != right,
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    }
}
