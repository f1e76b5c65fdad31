//! From a rule to what runs: tests in a chain that ends in a variant.

use serde_json::Value as Json;

use super::coercion::to_text;
use super::eval::{Evaluator, Scope};
use super::failure::Failure;
use super::fractional::{hash_of, subject_prefix, write_subject};
use super::node::{Node, Operands, Operator, Place};
use super::specialise::{attribute, specialise};
use super::test::Test;
use super::trail::Trail;
use super::world::Sight;
use crate::flag::bucketing::{Bucketing, MAX_WEIGHT, Murmur3, bucket, write_text_head};
use crate::flag::evaluation::{EvaluationError, Reason, Resolution};
use crate::flag::value::Value;

/// A rule as it runs.
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
    test: Test,
    yes: Resolution,
    no: Resolution,
}

/// What is walked as it is.
#[derive(Debug)]
pub(crate) struct Tree {
    node: Node,
    branch: u32,
}

/// A `fractional` with constant shares.
#[derive(Debug)]
pub(crate) struct Split {
    identity: Identity,
    total: u32,
    /// The end of each share, and what it gets.
    shares: Box<[(u32, Resolution)]>,
    none: Resolution,
    /// For what the shapes do not cover.
    tree: Tree,
}

/// What decides about the bucket.
#[derive(Debug)]
enum Identity {
    /// The flag's key and the targeting key. The former is hashed already.
    Subject {
        prefix: Murmur3,
        slot: usize,
    },
    Attribute(usize),
    /// Texts put together.
    Joined(Box<[Piece]>),
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Attribute(usize),
}

/// What making decisions of a rule needs to know.
pub(crate) struct Maker<'a> {
    pub(crate) flag_key: &'a str,
    pub(crate) targets: &'a Targets,
    pub(crate) bucketing: Bucketing,
    /// The slot of the targeting key.
    pub(crate) subject: Option<usize>,
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

    fn answer(&mut self, value: Value<'_>, trail: &Trail<'_>) -> Resolution {
        self.targets.resolution(value).by(self.branch(trail))
    }

    fn branch(&mut self, trail: &Trail<'_>) -> u32 {
        self.branches.push(trail.to_string().into());
        self.branches.len() as u32 - 1
    }

    fn split(&mut self, node: &Node, nodes: &[Node], trail: &Trail<'_>) -> Option<Split> {
        let (first, behind) = nodes.split_first()?;
        let (identity, shares, skipped) = match self.identity(first) {
            Some(identity) => (identity, behind, 1),
            None => {
                // Only where the first operand is a share itself, a list of a constant.
                matches!(first, Node::Constant(Json::Array(_))).then_some(())?;
                let prefix = subject_prefix(self.bucketing, self.flag_key);
                (Identity::Subject { prefix, slot: self.subject? }, nodes, 0)
            }
        };
        let constants: Vec<_> = shares.iter().map(constant_share).collect::<Option<_>>()?;
        let total: u64 = constants.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let total = u32::try_from(total).ok().filter(|total| (1..=MAX_WEIGHT).contains(total))?;
        let trail = trail.name("fractional");
        let mut end = 0;
        let shares = constants.iter().enumerate().map(|(index, (variant, weight))| {
            end += weight;
            (end, self.answer((*variant).into(), &trail.place(index + skipped)))
        });
        let shares = shares.collect();
        let branch = self.branch(&trail);
        let none = self.targets.resolution(Value::Null).by(branch);
        Some(Split { identity, total, shares, none, tree: Tree { node: node.clone(), branch } })
    }

    fn identity(&self, node: &Node) -> Option<Identity> {
        if let Some(slot) = attribute(node) {
            return Some(Identity::Attribute(slot));
        }
        let Node::Operation(Operator::Cat, Operands::Listed(nodes)) = node else { return None };
        let piece = |node: &Node| match node {
            Node::Constant(Json::String(text)) => Some(Piece::Text(text.as_str().into())),
            Node::Variable(variable) if variable.place == Place::FlagKey => {
                Some(Piece::Text(self.flag_key.into()))
            }
            node => attribute(node).map(Piece::Attribute),
        };
        Some(Identity::Joined(nodes.iter().map(piece).collect::<Option<_>>()?))
    }
}

/// A constant list of a scalar and a whole number.
fn constant_share(node: &Node) -> Option<(&Json, u32)> {
    let Node::Constant(Json::Array(parts)) = node else { return None };
    let (variant, weight) = match parts.as_slice() {
        [variant] => (variant, 1),
        [variant, weight] => (variant, u32::try_from(weight.as_i64()?.max(0)).ok()?),
        _ => return None,
    };
    let is_scalar = !matches!(variant, Json::Array(_) | Json::Object(_));
    (is_scalar && weight <= MAX_WEIGHT).then_some((variant, weight))
}

/// What the values of a rule mean for a flag.
#[derive(Debug)]
pub(crate) struct Targets {
    /// The names of the variants.
    pub(crate) names: Box<[Box<str>]>,
    /// What null gives.
    pub(crate) default: Option<u32>,
}

impl Targets {
    /// The place of a variant.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.names.iter().position(|known| **known == *name).and_then(|place| u32::try_from(place).ok())
    }

    /// What serves a value of the rule.
    pub(crate) fn resolution(&self, value: Value<'_>) -> Resolution {
        let named = |name: &str| match self.find(name) {
            Some(variant) => Resolution::new(Reason::TargetingMatch, Some(variant)),
            None => Resolution::failed(EvaluationError::UnknownVariant),
        };
        match value {
            Value::Null => Resolution::new(Reason::Default, self.default),
            Value::Text(name) => named(name),
            Value::Bool(true) => named("true"),
            Value::Bool(false) => named("false"),
            Value::Int(_) | Value::Uint(_) | Value::Float(_) => named(&to_text(value)),
            Value::List(_) | Value::Object(_) => Resolution::failed(EvaluationError::UnknownVariant),
        }
    }
}

impl Decision {
    /// Decides.
    #[inline]
    pub(crate) fn decide<'e>(&'e self, sight: &Sight<'e>, targets: &Targets) -> Result<Resolution, Failure> {
        let mut decision = self;
        loop {
            decision = match decision {
                Self::Fixed(resolution) => return Ok(*resolution),
                Self::If { branches, otherwise } => next(sight, branches, otherwise)?,
                Self::Truth(truth) => {
                    return Ok(if truth.test.holds(sight)? { truth.yes } else { truth.no });
                }
                Self::Split(split) => return split.decide(sight, targets),
                Self::Tree(tree) => return tree.decide(sight, targets),
            };
        }
    }
}

#[inline]
fn next<'e>(
    sight: &Sight<'e>,
    branches: &'e [(Test, Decision)],
    otherwise: &'e Decision,
) -> Result<&'e Decision, Failure> {
    for (test, then) in branches {
        if test.holds(sight)? {
            return Ok(then);
        }
    }
    Ok(otherwise)
}

impl Tree {
    #[inline(never)]
    fn decide<'e>(&'e self, sight: &Sight<'e>, targets: &Targets) -> Result<Resolution, Failure> {
        let world = sight.world();
        let value = Evaluator::new(&world, sight).eval(&self.node, Scope::Context)?;
        Ok(targets.resolution(value.value()).by(self.branch))
    }
}

impl Split {
    fn decide<'e>(&'e self, sight: &Sight<'e>, targets: &Targets) -> Result<Resolution, Failure> {
        let hash = match &self.identity {
            Identity::Subject { prefix, slot } => match sight.attribute(*slot) {
                Some(Value::Text(subject)) if !subject.is_empty() => {
                    let mut hash = *prefix;
                    write_subject(sight.scene.bucketing, subject, &mut hash);
                    Some(hash.finish())
                }
                _ => None,
            },
            Identity::Attribute(slot) => match sight.attribute(*slot).unwrap_or(Value::Null) {
                Value::List(_) => return self.tree.decide(sight, targets),
                value => hash_of(sight, value),
            },
            Identity::Joined(pieces) => match join(sight, pieces) {
                Some(hash) => Some(hash),
                None => return self.tree.decide(sight, targets),
            },
        };
        let Some(hash) = hash else { return Ok(self.none) };
        let bucket = bucket(hash, self.total);
        let share = self.shares.iter().find(|(end, _)| bucket < *end);
        Ok(share.map_or(self.none, |(_, resolution)| *resolution))
    }
}

/// The hash of texts put together, or `None` where a piece is neither a text nor absent.
fn join<'p>(sight: &Sight<'p>, pieces: &'p [Piece]) -> Option<u32> {
    let mut hash = Murmur3::new();
    if sight.scene.bucketing == Bucketing::V3 {
        let mut length = 0;
        for piece in pieces {
            length += piece.text(sight)?.len();
        }
        write_text_head(length, &mut hash);
    }
    for piece in pieces {
        hash.write(piece.text(sight)?.as_bytes());
    }
    Some(hash.finish())
}

impl Piece {
    #[inline]
    fn text<'p>(&'p self, sight: &Sight<'p>) -> Option<&'p str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Attribute(slot) => match sight.attribute(*slot) {
                Some(Value::Text(text)) => Some(text),
                Some(Value::Null) | None => Some(""),
                Some(_) => None,
            },
        }
    }
}
