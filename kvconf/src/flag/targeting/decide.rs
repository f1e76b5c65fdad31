//! From the tree of a rule to tests in a chain that ends in a variant.

use serde_json::Value as Json;

use super::coercion::to_text;
use super::eval::{Evaluator, Scope};
use super::failure::Failure;
use super::node::{Node, Operands, Operator};
use super::specialise::specialise;
use super::split::Split;
use super::test::Test;
use super::trail::Trail;
use super::world::Sight;
use crate::flag::bucketing::Bucketing;
use crate::flag::evaluation::{EvaluationError, Resolution, Why};
use crate::flag::value::Value;

/// A rule as the tests that lead to a variant, still nested.
#[derive(Debug)]
pub(crate) enum Decision {
    Fixed(Resolution),
    If {
        branches: Box<[(Test, Decision)]>,
        otherwise: Box<Decision>,
    },
    /// A condition that is itself the rule, and means the variants `true` and `false`.
    Truth(Box<Truth>),
    Split(Box<Split>),
    Tree(Box<Tree>),
}

/// A condition, and what it means where it holds and where it does not.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(super) test: Test,
    pub(super) yes: Resolution,
    pub(super) no: Resolution,
}

/// What is walked as it is.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(super) node: Node,
    pub(super) branch: u32,
}

/// What making decisions of a rule needs to know.
pub(crate) struct Maker<'a> {
    pub(crate) flag_key: &'a str,
    pub(crate) targets: &'a Targets,
    pub(crate) bucketing: Bucketing,
    /// The slot of the targeting key.
    pub(crate) subject: Option<u32>,
    /// The path of every branch.
    pub(crate) branches: Vec<Box<str>>,
}

impl Maker<'_> {
    pub(crate) fn make(&mut self, node: &Node, trail: &Trail<'_>) -> Decision {
        match node {
            Node::Constant(constant) if !matches!(constant, Json::Array(_) | Json::Object(_)) => {
                Decision::Fixed(self.answer(constant.into(), trail))
            }
            Node::If(nodes) => self.conditional(nodes, &trail.name("if")),
            Node::Operation(Operator::Compare(_) | Operator::In | Operator::Not | Operator::Truth, _) => {
                let branch = self.branch(trail);
                let answer = |truth| self.targets.resolution(Value::Bool(truth)).by(branch);
                let (yes, no) = (answer(true), answer(false));
                Decision::Truth(Box::new(Truth { test: specialise(node), yes, no }))
            }
            Node::Operation(Operator::Fractional, Operands::Listed(nodes)) => {
                match self.split(node, nodes, trail) {
                    Some(split) => Decision::Split(Box::new(split)),
                    None => self.tree(node, trail),
                }
            }
            _ => self.tree(node, trail),
        }
    }

    fn tree(&mut self, node: &Node, trail: &Trail<'_>) -> Decision {
        Decision::Tree(Box::new(Tree { node: node.clone(), branch: self.branch(trail) }))
    }

    fn conditional(&mut self, nodes: &[Node], trail: &Trail<'_>) -> Decision {
        let (pairs, otherwise) = nodes.as_chunks::<2>();
        let mut branches = Vec::with_capacity(pairs.len());
        for (index, [condition, then]) in pairs.iter().enumerate() {
            let decision = self.make(then, &trail.place(2 * index + 1));
            branches.push((specialise(condition), decision));
        }
        let last = trail.place(nodes.len());
        let otherwise = match otherwise {
            [node, ..] => self.make(node, &trail.place(nodes.len() - 1)),
            [] => Decision::Fixed(self.answer(Value::Null, &last)),
        };
        Decision::If { branches: branches.into(), otherwise: Box::new(otherwise) }
    }

    pub(super) fn answer(&mut self, value: Value<'_>, trail: &Trail<'_>) -> Resolution {
        self.targets.resolution(value).by(self.branch(trail))
    }

    pub(super) fn branch(&mut self, trail: &Trail<'_>) -> u32 {
        self.branches.push(trail.to_string().into());
        self.branches.len() as u32 - 1
    }
}

/// What the values of a rule mean for a flag.
#[derive(Debug)]
pub(crate) struct Targets {
    /// The names of the variants, sorted.
    pub(crate) names: Box<[Box<str>]>,
    /// What null gives.
    pub(crate) default: Option<u32>,
}

impl Targets {
    /// The place of a variant.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let place = self.names.binary_search_by(|known| (**known).cmp(name)).ok()?;
        u32::try_from(place).ok()
    }

    /// What serves a value of the rule.
    pub(crate) fn resolution(&self, value: Value<'_>) -> Resolution {
        let named = |name: &str| match self.find(name) {
            Some(variant) => Resolution::new(Why::TargetingMatch, Some(variant)),
            None => Resolution::failed(EvaluationError::UnknownVariant),
        };
        match value {
            Value::Null => Resolution::new(Why::Default, self.default),
            Value::Text(name) => named(name),
            Value::Bool(true) => named("true"),
            Value::Bool(false) => named("false"),
            Value::Int(_) | Value::Uint(_) | Value::Float(_) => named(&to_text(value)),
            Value::List(_) | Value::Object(_) => Resolution::failed(EvaluationError::UnknownVariant),
        }
    }
}

impl Tree {
    pub(super) fn decide(&self, sight: &impl Sight, targets: &Targets) -> Result<Resolution, Failure> {
        let world = sight.world();
        let value = Evaluator::new(&world).eval(&self.node, Scope::Context)?;
        Ok(targets.resolution(value.value()).by(self.branch))
    }
}
