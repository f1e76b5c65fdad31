//! How many steps a rule takes, before it has met a context.

use serde_json::Value as Json;

use super::node::{Node, Operands, Operator};

/// How many items a list of a context is taken to have. It may have more; then the bound at run time decides.
const LIST: u64 = 24;

/// The most steps that this rule takes on lists of usual length.
pub(crate) fn weigh(node: &Node) -> u64 {
    match node {
        Node::Constant(_) | Node::Fail(_) => 1,
        Node::List(nodes) | Node::If(nodes) | Node::And(nodes) | Node::Or(nodes) => all(nodes),
        Node::Variable(variable) => 1_u64.saturating_add(variable.default.as_ref().map_or(0, weigh)),
        Node::Operation(Operator::In, operands) => operand_weight(operands).saturating_add(1),
        Node::Operation(_, operands) => operand_weight(operands),
        Node::Iterate(_, parts) => {
            let [list, body] = &**parts;
            weigh(list).saturating_add(items(list).saturating_mul(weigh(body)))
        }
        Node::Reduce(reduction) => {
            let body = items(&reduction.list).saturating_mul(weigh(&reduction.body));
            let initial = reduction.initial.as_ref().map_or(0, weigh);
            weigh(&reduction.list).saturating_add(body).saturating_add(initial)
        }
    }
}

fn all(nodes: &[Node]) -> u64 {
    nodes.iter().fold(1, |sum, node| sum.saturating_add(weigh(node)))
}

fn operand_weight(operands: &Operands) -> u64 {
    match operands {
        Operands::Listed(nodes) => all(nodes),
        Operands::Spread(node) => weigh(node).saturating_add(1),
    }
}

/// How many items this gives an iteration.
fn items(list: &Node) -> u64 {
    match list {
        Node::Constant(Json::Array(items)) => items.len() as u64,
        Node::Constant(_) => 0,
        Node::List(nodes) => nodes.len() as u64,
        Node::Operation(Operator::Merge, Operands::Listed(nodes)) => {
            nodes.iter().fold(0, |sum, node| items(node).saturating_add(sum).saturating_add(1))
        }
        Node::Iterate(_, parts) => items(&parts[0]),
        _ => LIST,
    }
}
