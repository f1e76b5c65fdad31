//! From the tree of a condition to its shape.

use serde_json::Value as Json;

use super::literal::{Constants, Literal, Texts};
use super::node::{Comparison, Node, Operands, Operator, Place};
use super::semver::{Version, VersionOperator};
use super::test::{Leaf, Question, Range, Test};
use crate::flag::value::Value;

/// The condition that this node is true.
pub(super) fn specialise(node: &Node) -> Test {
    let test = match node {
        Node::Constant(constant) => Some(Test::Constant(Value::from(constant).is_truthy())),
        Node::Variable(_) => attribute(node).map(|slot| leaf(slot, Question::Truth)),
        Node::And(nodes) => Some(Test::All(nodes.iter().map(specialise).collect())),
        Node::Or(nodes) => Some(Test::Any(nodes.iter().map(specialise).collect())),
        Node::Operation(operator, Operands::Listed(nodes)) => operation(*operator, nodes),
        Node::Operation(Operator::Not, Operands::Spread(node)) => Some(negated(specialise(node))),
        Node::Operation(Operator::Truth, Operands::Spread(node)) => Some(specialise(node)),
        _ => None,
    };
    test.unwrap_or_else(|| Test::Tree(Box::new(node.clone())))
}

/// The slot of a variable that is an attribute of the context, and has no default.
pub(super) fn attribute(node: &Node) -> Option<u32> {
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
        (Operator::Not, [node]) => Some(negated(specialise(node))),
        (Operator::Truth, [node]) => Some(specialise(node)),
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
            Some(leaf(attribute(variable)?, Question::Contains(part.as_str().into())))
        }
        (Operator::StartsWith, [variable, Node::Constant(Json::String(part))]) => {
            Some(leaf(attribute(variable)?, Question::StartsWith(part.as_str().into())))
        }
        (Operator::EndsWith, [variable, Node::Constant(Json::String(part))]) => {
            Some(leaf(attribute(variable)?, Question::EndsWith(part.as_str().into())))
        }
        (
            Operator::SemVer,
            [variable, Node::Constant(Json::String(operator)), Node::Constant(Json::String(version))],
        ) => {
            let operator = VersionOperator::named(operator)?;
            Version::parse(version)?;
            Some(leaf(attribute(variable)?, Question::Version(operator, version.as_str().into())))
        }
        _ => None,
    }
}

fn leaf(slot: u32, question: Question) -> Test {
    Test::Leaf(Leaf { slot, question })
}

fn compare(slot: u32, comparison: Comparison, constant: &Json) -> Option<Test> {
    let scalar = || Question::Scalar(comparison, Box::new(constant.clone()));
    let question = match constant {
        Json::String(text) => match comparison {
            Comparison::Equal | Comparison::StrictlyEqual => Question::Is(Literal::new(text), comparison),
            Comparison::Unequal => return Some(negated(compare(slot, Comparison::Equal, constant)?)),
            Comparison::StrictlyUnequal => {
                return Some(negated(compare(slot, Comparison::StrictlyEqual, constant)?));
            }
            _ => scalar(),
        },
        Json::Number(number) => match number.as_i64() {
            Some(number) => Question::Whole(Range::of(comparison, number), comparison, number),
            None => scalar(),
        },
        Json::Null | Json::Bool(_) => scalar(),
        Json::Array(_) | Json::Object(_) => return None,
    };
    Some(leaf(slot, question))
}

fn negated(test: Test) -> Test {
    Test::Not(Box::new(test))
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

fn among(slot: u32, items: &[Json]) -> Test {
    let question = match items.iter().map(Json::as_str).collect::<Option<Vec<_>>>() {
        Some(texts) => Question::AmongTexts(Texts::new(texts.into_iter())),
        None => Question::Among(Box::new(Constants::new(items))),
    };
    leaf(slot, question)
}
