//! `fractional`: a share of all subjects for each of several variants.

use super::any::Any;
use super::eval::{Evaluator, Outcome};
use super::size;
use super::world::World;
use crate::flag::bucketing::{Bucketing, MAX_WEIGHT, Murmur3, bucket, write_list, write_text, write_value};
use crate::flag::context::{AttributeName, TARGETING_KEY};
use crate::flag::value::{Items, Value};

/// The variant for this subject, or null where the operands or the context do not allow one.
pub(super) fn apply<'e>(evaluator: &Evaluator<'e>, values: &[Any<'e>]) -> Outcome<'e> {
    evaluator.spend(values.len())?;
    let spend = |steps| evaluator.spend(steps);
    if let Some(first) = values.first().filter(|first| first.length().is_none()) {
        size::as_a_whole(first.value(), &spend)?;
    }
    if let Some(subject) = subject(evaluator.world) {
        spend(size::of_text(subject))?;
    }
    Ok(choose(evaluator, values).unwrap_or(Any::NULL))
}

fn choose<'e>(evaluator: &Evaluator<'e>, values: &[Any<'e>]) -> Option<Any<'e>> {
    let (first, behind) = values.split_first()?;
    let world = evaluator.world;
    let version = world.scene.bucketing;
    let (hash, shares) = match (version, first.value()) {
        (Bucketing::V2, Value::Text(text)) => (hash_text(version, text), behind),
        // flagd's Go core leaves a null out and takes the subject.
        (Bucketing::V2, Value::Null) => (hash_subject(world)?, behind),
        (Bucketing::V2, _) | (Bucketing::V3, Value::List(_)) => (hash_subject(world)?, values),
        (Bucketing::V3, Value::Null) => return None,
        (Bucketing::V3, value) => (hash_value(value)?, behind),
    };
    let mut total = 0_u64;
    for share in shares {
        total += u64::from(weight(share)?);
    }
    let total = u32::try_from(total).ok().filter(|total| (1..=MAX_WEIGHT).contains(total))?;
    let bucket = bucket(hash, total);
    let mut end = 0;
    for share in shares {
        end += weight(share)?;
        if bucket < end {
            return share.item(0);
        }
    }
    None
}

/// The weight of a share: a list of a variant and a weight, which is 1 if it is not there.
fn weight(share: &Any<'_>) -> Option<u32> {
    let Value::List(parts) = share.value() else { return None };
    if let Value::List(_) | Value::Object(_) = parts.item(0)? {
        return None;
    }
    match parts.len() {
        1 => Some(1),
        2 => whole_weight(parts),
        _ => None,
    }
}

fn whole_weight(parts: &dyn Items) -> Option<u32> {
    let weight = match parts.item(1)? {
        Value::Int(weight) => weight,
        Value::Float(weight) if weight.fract() == 0.0 => weight as i64,
        _ => return None,
    };
    u32::try_from(weight.max(0)).ok().filter(|weight| *weight <= MAX_WEIGHT)
}

/// Whom the flag is for.
fn subject<'e>(world: &World<'e>) -> Option<&'e str> {
    match world.context.lookup(&AttributeName::new(TARGETING_KEY)) {
        Some(Value::Text(subject)) if !subject.is_empty() => Some(subject),
        _ => None,
    }
}

/// The hash of the flag and whom it is for.
fn hash_subject(world: &World<'_>) -> Option<u32> {
    let subject = subject(world)?;
    let mut hash = subject_prefix(world.scene.bucketing, &world.scene.flag_key);
    write_subject(world.scene.bucketing, subject, &mut hash);
    Some(hash.finish())
}

/// What is hashed before the subject.
pub(super) fn subject_prefix(version: Bucketing, flag_key: &str) -> Murmur3 {
    let mut hash = Murmur3::new();
    match version {
        Bucketing::V2 => hash.write(flag_key.as_bytes()),
        Bucketing::V3 => {
            write_list(2, &mut hash);
            write_text(flag_key, &mut hash);
        }
    }
    hash
}

#[inline]
pub(super) fn write_subject(version: Bucketing, subject: &str, hash: &mut Murmur3) {
    match version {
        Bucketing::V2 => hash.write(subject.as_bytes()),
        Bucketing::V3 => write_text(subject, hash),
    }
}

#[inline]
pub(super) fn hash_text(version: Bucketing, text: &str) -> u32 {
    let mut hash = Murmur3::new();
    write_subject(version, text, &mut hash);
    hash.finish()
}

fn hash_value(value: Value<'_>) -> Option<u32> {
    let mut hash = Murmur3::new();
    write_value(value, &mut hash).ok()?;
    Some(hash.finish())
}

/// The hash of what decides about the bucket, where it is no list: `None` where the answer is null.
pub(super) fn hash_of(world: &World<'_>, value: Value<'_>) -> Option<u32> {
    match (world.scene.bucketing, value) {
        (version, Value::Text(text)) => Some(hash_text(version, text)),
        (Bucketing::V2, Value::Null) => hash_subject(world),
        (Bucketing::V3, Value::Null) | (Bucketing::V2, _) => None,
        (Bucketing::V3, value) => hash_value(value),
    }
}
