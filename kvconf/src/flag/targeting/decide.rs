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
use crate::flag::bucketing::{Bucketing, MAX_WEIGHT, Murmur3, bucket, write_text_head};
use crate::flag::value::Value;

/// What a rule comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) target: Target,
    /// The number of the branch that was taken.
    pub(crate) branch: u32,
}

/// What a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Variant(u32),
    /// Null: whatever is the default.
    Default,
    /// No variant of this flag.
    Unknown,
}

/// A rule as it runs.
#[derive(Debug)]
pub(crate) enum Decision {
    Fixed(Answer),
    If {
        branches: Box<[(Test, Decision)]>,
        otherwise: Box<Decision>,
    },
    /// A condition that is itself the rule, and means the variants `true` and `false`.
    Truth {
        test: Test,
        yes: Answer,
        no: Answer,
    },
    Split(Box<Split>),
    Tree {
        node: Node,
        branch: u32,
    },
}

/// A `fractional` with constant shares.
#[derive(Debug)]
pub(crate) struct Split {
    identity: Identity,
    total: u32,
    /// The end of each share, and what it gets.
    shares: Box<[(u32, Answer)]>,
    none: Answer,
    /// For what the shapes do not cover.
    tree: Node,
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
    pub(crate) variants: &'a dyn Fn(&str) -> Option<u32>,
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
                let target = self.target(constant.into());
                Decision::Fixed(self.answer(target, trail))
            }
            Node::If(nodes) => self.conditional(nodes, &trail.name("if")),
            Node::Operation(Operator::Compare(_) | Operator::In | Operator::Not | Operator::Truth, _) => {
                let (yes, no) = (self.target(Value::Bool(true)), self.target(Value::Bool(false)));
                let yes = self.answer(yes, trail);
                Decision::Truth { test: specialise(node), yes, no: Answer { target: no, ..yes } }
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
        Decision::Tree { node: node.clone(), branch: self.branch(trail) }
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
            [] => Decision::Fixed(self.answer(Target::Default, &last)),
        };
        Decision::If { branches: branches.into(), otherwise: Box::new(otherwise) }
    }

    fn answer(&mut self, target: Target, trail: &Trail<'_>) -> Answer {
        Answer { target, branch: self.branch(trail) }
    }

    fn branch(&mut self, trail: &Trail<'_>) -> u32 {
        self.branches.push(trail.to_string().into());
        self.branches.len() as u32 - 1
    }

    fn target(&self, value: Value<'_>) -> Target {
        target(value, self.variants)
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
            let target = self.target((*variant).into());
            (end, self.answer(target, &trail.place(index + skipped)))
        });
        let shares = shares.collect();
        let none = self.answer(Target::Default, &trail);
        Some(Split { identity, total, shares, none, tree: node.clone() })
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

/// Which variant a value names.
fn target(value: Value<'_>, variants: &dyn Fn(&str) -> Option<u32>) -> Target {
    let named = |name: &str| variants(name).map_or(Target::Unknown, Target::Variant);
    match value {
        Value::Null => Target::Default,
        Value::Text(name) => named(name),
        Value::Bool(true) => named("true"),
        Value::Bool(false) => named("false"),
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => named(&to_text(value)),
        Value::List(_) | Value::Object(_) => Target::Unknown,
    }
}

impl Decision {
    /// Decides.
    #[inline]
    pub(crate) fn decide<'e>(
        &'e self,
        evaluator: &Evaluator<'e>,
        variants: &dyn Fn(&str) -> Option<u32>,
    ) -> Result<Answer, Failure> {
        let mut decision = self;
        loop {
            decision = match decision {
                Self::Fixed(answer) => return Ok(*answer),
                Self::If { branches, otherwise } => next(evaluator, branches, otherwise)?,
                Self::Truth { test, yes, no } => return Ok(if test.holds(evaluator)? { *yes } else { *no }),
                Self::Split(split) => return split.decide(evaluator, variants),
                Self::Tree { node, branch } => {
                    let value = evaluator.eval(node, Scope::Context)?;
                    return Ok(Answer { target: target(value.value(), variants), branch: *branch });
                }
            };
        }
    }
}

#[inline]
fn next<'e>(
    evaluator: &Evaluator<'e>,
    branches: &'e [(Test, Decision)],
    otherwise: &'e Decision,
) -> Result<&'e Decision, Failure> {
    for (test, then) in branches {
        if test.holds(evaluator)? {
            return Ok(then);
        }
    }
    Ok(otherwise)
}

impl Split {
    fn decide<'e>(
        &'e self,
        evaluator: &Evaluator<'e>,
        variants: &dyn Fn(&str) -> Option<u32>,
    ) -> Result<Answer, Failure> {
        let hash = match &self.identity {
            Identity::Subject { prefix, slot } => match evaluator.attribute(*slot) {
                Some(Value::Text(subject)) if !subject.is_empty() => {
                    let mut hash = *prefix;
                    write_subject(evaluator.bucketing, subject, &mut hash);
                    Some(hash.finish())
                }
                _ => None,
            },
            Identity::Attribute(slot) => match evaluator.attribute(*slot).unwrap_or(Value::Null) {
                Value::List(_) => return self.walk(evaluator, variants),
                value => hash_of(evaluator, value),
            },
            Identity::Joined(pieces) => match join(evaluator, pieces) {
                Some(hash) => Some(hash),
                None => return self.walk(evaluator, variants),
            },
        };
        let Some(hash) = hash else { return Ok(self.none) };
        let bucket = bucket(hash, self.total);
        let share = self.shares.iter().find(|(end, _)| bucket < *end);
        Ok(share.map_or(self.none, |(_, answer)| *answer))
    }

    fn walk<'e>(
        &'e self,
        evaluator: &Evaluator<'e>,
        variants: &dyn Fn(&str) -> Option<u32>,
    ) -> Result<Answer, Failure> {
        let value = evaluator.eval(&self.tree, Scope::Context)?;
        Ok(Answer { target: target(value.value(), variants), branch: self.none.branch })
    }
}

/// The hash of texts put together, or `None` where a piece is neither a text nor absent.
fn join(evaluator: &Evaluator<'_>, pieces: &[Piece]) -> Option<u32> {
    let text = |piece: &'_ Piece| match piece {
        Piece::Text(_) => Some(""),
        Piece::Attribute(slot) => match evaluator.attribute(*slot) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Null) | None => Some(""),
            Some(_) => None,
        },
    };
    let mut hash = Murmur3::new();
    if evaluator.bucketing == Bucketing::V3 {
        let mut length = 0;
        for piece in pieces {
            length += match piece {
                Piece::Text(constant) => constant.len(),
                attribute @ Piece::Attribute(_) => text(attribute)?.len(),
            };
        }
        write_text_head(length, &mut hash);
    }
    for piece in pieces {
        match piece {
            Piece::Text(constant) => hash.write(constant.as_bytes()),
            attribute @ Piece::Attribute(_) => hash.write(text(attribute)?.as_bytes()),
        }
    }
    Some(hash.finish())
}
