//! From the tree of a condition to its shape.

use serde_json::Value as Json;

use super::node::{Comparison, Node, Operands, Operator, Place};
use super::semver::{Version, VersionOperator};
use super::test::{Test, Texts};
use crate::flag::value::Value;

/// The condition that this node is true.
pub(super) fn specialise(node: &Node) -> Test {
    let test = match node {
        Node::Constant(constant) => Some(Test::Constant(Value::from(constant).is_truthy())),
        Node::Variable(_) => attribute(node).map(Test::Attribute),
        Node::And(nodes) => Some(Test::All(nodes.iter().map(specialise).collect())),
        Node::Or(nodes) => Some(Test::Any(nodes.iter().map(specialise).collect())),
        Node::Operation(operator, Operands::Listed(nodes)) => operation(*operator, nodes),
        Node::Operation(Operator::Not, Operands::Spread(node)) => Some(Test::Not(Box::new(specialise(node)))),
        Node::Operation(Operator::Truth, Operands::Spread(node)) => Some(specialise(node)),
        _ => None,
    };
    test.unwrap_or_else(|| Test::Tree(Box::new(node.clone())))
}

/// The slot of a variable that is an attribute of the context, and has no default.
pub(super) fn attribute(node: &Node) -> Option<usize> {
    match node {
        Node::Variable(variable) if variable.default.is_none() => match variable.place {
            Place::Attribute(slot) => Some(slot),
            _ => None,
        },
        _ => None,
    }
}

fn operation(operator: Operator, nodes: &[Node]) -> Option<Test> {
    match (operator, nodes) {
        (Operator::Not, [node, ..]) => Some(Test::Not(Box::new(specialise(node)))),
        (Operator::Truth, [node, ..]) => Some(specialise(node)),
        (Operator::Compare(comparison), [variable, Node::Constant(constant)]) => {
            compare(attribute(variable)?, comparison, constant)
        }
        (Operator::Compare(comparison), [Node::Constant(constant), variable]) => {
            compare(attribute(variable)?, mirrored(comparison), constant)
        }
        (Operator::In, [variable, Node::Constant(Json::Array(items))]) => {
            Some(among(attribute(variable)?, items))
        }
        (Operator::In, [Node::Constant(Json::String(part)), variable]) => {
            Some(Test::Contains { slot: attribute(variable)?, part: part.as_str().into() })
        }
        (Operator::StartsWith, [variable, Node::Constant(Json::String(part))]) => {
            Some(Test::StartsWith { slot: attribute(variable)?, part: part.as_str().into() })
        }
        (Operator::EndsWith, [variable, Node::Constant(Json::String(part))]) => {
            Some(Test::EndsWith { slot: attribute(variable)?, part: part.as_str().into() })
        }
        (
            Operator::SemVer,
            [variable, Node::Constant(Json::String(operator)), Node::Constant(Json::String(version))],
        ) => {
            let operator = VersionOperator::named(operator)?;
            Version::parse(version)?;
            Some(Test::Version { slot: attribute(variable)?, operator, version: version.as_str().into() })
        }
        _ => None,
    }
}

fn compare(slot: usize, comparison: Comparison, constant: &Json) -> Option<Test> {
    match constant {
        Json::String(text) => Some(Test::Text { slot, comparison, text: text.as_str().into() }),
        Json::Number(number) => Some(match number.as_i64() {
            Some(number) => Test::Whole { slot, comparison, number },
            None => Test::Scalar { slot, comparison, constant: Box::new(constant.clone()) },
        }),
        Json::Null | Json::Bool(_) => {
            Some(Test::Scalar { slot, comparison, constant: Box::new(constant.clone()) })
        }
        Json::Array(_) | Json::Object(_) => None,
    }
}

/// The comparison with its sides exchanged.
fn mirrored(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}

fn among(slot: usize, items: &[Json]) -> Test {
    match items.iter().map(Json::as_str).collect::<Option<Vec<_>>>() {
        Some(texts) => Test::AmongTexts { slot, texts: Texts::new(texts.into_iter()) },
        None => Test::Among { slot, items: items.into() },
    }
}
