//! `fractional` with constant shares, as a rule mostly has it.

use serde_json::Value as Json;

use super::decide::{Maker, Targets, Tree};
use super::failure::Failure;
use super::fractional::{hash_of, hash_text, subject_prefix, write_subject};
use super::node::{Node, Operands, Operator, Place};
use super::program::Quick;
use super::specialise::attribute;
use super::trail::Trail;
use super::world::Sight;
use crate::flag::bucketing::{Bucketing, MAX_WEIGHT, Murmur3, bucket, write_text_head};
use crate::flag::evaluation::Resolution;
use crate::flag::value::Value;

/// A `fractional` with constant shares.
#[derive(Debug)]
pub(crate) struct Split {
    identity: Identity,
    version: Bucketing,
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
        slot: u32,
    },
    Attribute(u32),
    /// Texts put together.
    Joined(Box<[Piece]>),
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Attribute(u32),
}

impl Maker<'_> {
    pub(super) fn split(&mut self, node: &Node, nodes: &[Node], trail: &Trail<'_>) -> Option<Split> {
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
        Some(Split {
            identity,
            version: self.bucketing,
            total,
            shares,
            none,
            tree: Tree { node: node.clone(), branch },
        })
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

impl Split {
    /// Decides by a targeting key that `near` finds, the usual case: `None` in every other.
    #[inline]
    pub(super) fn decide_near<'v>(&self, near: impl Fn(u32) -> Option<Value<'v>>) -> Option<Quick> {
        match &self.identity {
            Identity::Subject { prefix, slot } => match near(*slot) {
                Some(Value::Text(subject)) if !subject.is_empty() => Some(self.of_subject(prefix, subject)),
                _ => None,
            },
            _ => None,
        }
    }

    #[inline(never)]
    fn of_subject(&self, prefix: &Murmur3, subject: &str) -> Quick {
        let mut hash = *prefix;
        write_subject(self.version, subject, &mut hash);
        Quick::decided(self.of_hash(hash.finish()))
    }

    #[inline]
    fn of_hash(&self, hash: u32) -> Resolution {
        let bucket = bucket(hash, self.total);
        self.share(bucket).map_or(self.none, |(_, resolution)| *resolution)
    }

    pub(super) fn decide(&self, sight: &impl Sight, targets: &Targets) -> Result<Resolution, Failure> {
        let hash = match &self.identity {
            Identity::Subject { prefix, slot } => match sight.attribute(*slot) {
                Some(Value::Text(subject)) if !subject.is_empty() => {
                    let mut hash = *prefix;
                    write_subject(self.version, subject, &mut hash);
                    hash.finish()
                }
                _ => return Ok(self.none),
            },
            Identity::Attribute(slot) => match sight.attribute(*slot) {
                Some(Value::Text(text)) => hash_text(self.version, text),
                Some(Value::List(_)) => return self.tree.decide(sight, targets),
                value => match hash_of(&sight.world(), value.unwrap_or(Value::Null)) {
                    Some(hash) => hash,
                    None => return Ok(self.none),
                },
            },
            Identity::Joined(pieces) => match self.join(sight, pieces) {
                Some(hash) => hash,
                None => return self.tree.decide(sight, targets),
            },
        };
        Ok(self.of_hash(hash))
    }

    /// The first share that ends behind this bucket.
    #[inline]
    fn share(&self, bucket: u32) -> Option<&(u32, Resolution)> {
        const FEW: usize = 8;
        if self.shares.len() <= FEW {
            return self.shares.iter().find(|(end, _)| bucket < *end);
        }
        self.shares.get(self.shares.partition_point(|(end, _)| *end <= bucket))
    }

    /// The hash of texts put together, or `None` where a piece is neither a text nor absent.
    fn join(&self, sight: &impl Sight, pieces: &[Piece]) -> Option<u32> {
        let mut hash = Murmur3::new();
        if self.version == Bucketing::V3 {
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
}

impl Piece {
    #[inline]
    fn text<'p>(&'p self, sight: &'p impl Sight) -> Option<&'p str> {
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
