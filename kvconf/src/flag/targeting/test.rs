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
use crate::flag::context::hash;
use crate::flag::value::Value;

/// A condition.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Constant(bool),
    Not(Box<Test>),
    All(Box<[Test]>),
    Any(Box<[Test]>),
    /// An attribute that is neither zero nor empty.
    Attribute(usize),
    /// An attribute compared with a text, for equality.
    Text {
        slot: usize,
        comparison: Comparison,
        text: Box<str>,
    },
    /// An attribute compared with a whole number.
    Whole {
        slot: usize,
        comparison: Comparison,
        number: i64,
    },
    /// An attribute compared with anything else that is constant.
    Scalar {
        slot: usize,
        comparison: Comparison,
        constant: Box<Json>,
    },
    /// An attribute in a list of texts.
    AmongTexts {
        slot: usize,
        texts: Texts,
    },
    /// An attribute in a list of anything else.
    Among {
        slot: usize,
        items: Box<[Json]>,
    },
    /// A text in an attribute: a part of its text, or an item of its list.
    Contains {
        slot: usize,
        part: Box<str>,
    },
    StartsWith {
        slot: usize,
        part: Box<str>,
    },
    EndsWith {
        slot: usize,
        part: Box<str>,
    },
    Version {
        slot: usize,
        operator: VersionOperator,
        version: Box<str>,
    },
    /// Anything else.
    Tree(Box<Node>),
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
    pub(crate) fn holds<'e>(&'e self, evaluator: &Evaluator<'e>) -> Result<bool, Failure> {
        match self {
            Self::Text { slot, comparison, text } => {
                let value = evaluator.attribute(*slot).unwrap_or(Value::Null);
                match (comparison, value) {
                    (Comparison::Equal | Comparison::StrictlyEqual, Value::Text(value)) => {
                        Ok(*value == **text)
                    }
                    (Comparison::Unequal | Comparison::StrictlyUnequal, Value::Text(value)) => {
                        Ok(*value != **text)
                    }
                    (comparison, value) => holds_between(*comparison, value, Value::Text(text)),
                }
            }
            Self::Whole { slot, comparison, number } => {
                let value = evaluator.attribute(*slot).unwrap_or(Value::Null);
                match value {
                    Value::Int(value) => Ok(compare_whole(*comparison, value, *number)),
                    value => holds_between(*comparison, value, Value::Int(*number)),
                }
            }
            Self::AmongTexts { slot, texts } => {
                Ok(matches!(evaluator.attribute(*slot), Some(Value::Text(value)) if texts.contains(value)))
            }
            Self::All(tests) => {
                for test in tests {
                    if !test.holds(evaluator)? {
                        return Ok(false);
                    }
                }
                Ok(!tests.is_empty())
            }
            other => other.holds_rarely(evaluator),
        }
    }

    fn holds_rarely<'e>(&'e self, evaluator: &Evaluator<'e>) -> Result<bool, Failure> {
        let value = |slot: &usize| evaluator.attribute(*slot).unwrap_or(Value::Null);
        let text = |slot: &usize| match evaluator.attribute(*slot) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
        match self {
            Self::Constant(holds) => Ok(*holds),
            Self::Not(test) => Ok(!test.holds(evaluator)?),
            Self::Any(tests) => {
                for test in tests {
                    if test.holds(evaluator)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Attribute(slot) => Ok(value(slot).is_truthy()),
            Self::Scalar { slot, comparison, constant } => {
                holds_between(*comparison, value(slot), (&**constant).into())
            }
            Self::Among { slot, items } => {
                let value = value(slot);
                Ok(items.iter().any(|item| strictly_equal(value, item.into())))
            }
            Self::Contains { slot, part } => Ok(contains(value(slot), part)),
            Self::StartsWith { slot, part } => Ok(text(slot).is_some_and(|text| text.starts_with(&**part))),
            Self::EndsWith { slot, part } => Ok(text(slot).is_some_and(|text| text.ends_with(&**part))),
            Self::Version { slot, operator, version } => {
                Ok(compare_versions(value(slot), *operator, Value::Text(version)).unwrap_or(false))
            }
            Self::Tree(node) => evaluator.holds(node, Scope::Context),
            Self::Text { .. } | Self::Whole { .. } | Self::AmongTexts { .. } | Self::All(_) => {
                self.holds(evaluator)
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
