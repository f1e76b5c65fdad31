//! Values of the bucket that do not count, because a stronger source has one.
//!
//! They are not read: a bad one keeps nobody from the state that it stands in. It is told all the same, for it is what
//! readers get as soon as the value that masks it goes away; then it counts, and that removal is what they reject.

use std::sync::Arc;

use super::evaluate::contained_read;
use super::overlay::{Layered, Opened, origin_of};
use super::{Target, View};
use crate::schema::{FieldError, KvConfig, Slot, node_at};
use crate::{Entry, Origin, Problem, ProblemKind};

/// The keys that can hold the same value as this one; `None` for a key that no field knows.
fn names<'k>(state: &Layered<'k>, key: &'k str) -> Option<Vec<&'k str>> {
    match state.table.target(key)? {
        Target::Field(at) => state.table.slot(at).map(Slot::names),
        Target::Entry(..) => Some(vec![key]),
    }
}

/// What is wrong with a value of a layer while a more specific layer has one, too.
pub(super) fn bad<T: KvConfig>(
    state: &Layered<'_>,
    layer: usize,
    key: &str,
    entry: &Arc<Entry>,
) -> Option<Problem> {
    let layers = &state.table.layers;
    if !layers.are_several() {
        return None;
    }
    let (_, by) = state.winner(&names(state, key)?.into_iter()).filter(|(winner, _)| *winner > layer)?;
    let errors = examine::<T>(state, key, entry).err()?;
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Some(Problem {
        key: layers.full_key(layer, key),
        kind: ProblemKind::Masked,
        message: format!("{}; not read while {} has a value", errors.join(", "), by.key()),
        origin: Some(origin_of(layers, layer, entry)),
        before: None,
        before_revision: None,
        fields: Vec::new(),
    })
}

/// Reads one entry by itself, into nothing.
fn examine<T: KvConfig>(state: &Layered<'_>, key: &str, entry: &Arc<Entry>) -> Result<(), Vec<FieldError>> {
    let (at, segment) = match state.table.target(key) {
        Some(Target::Field(at)) => (at, None),
        Some(Target::Entry(at, segment)) => (at, Some(segment)),
        None => return Ok(()),
    };
    let Some(slot) = state.table.slot(at) else { return Ok(()) };
    let Some((node, rest)) = node_at::<T>(slot.path.steps()) else { return Ok(()) };
    let opened = Opened::default();
    let raw = opened.raw(&state.table.seals, slot.meta.secret, Some(entry));
    contained_read(|| node.examine(rest, &slot.key, segment, raw))
}

impl<T: KvConfig> View<T> {
    /// What counts in a state instead of a key of a layer: an override, a variable, or a key of a more specific layer.
    pub(crate) fn mask(&self, state: &Layered<'_>, layer: usize, key: &str) -> Option<Origin> {
        let names = names(state, key)?;
        if let Some(given) = names.first().and_then(|own| state.above(own)) {
            return Some(given.origin.clone());
        }
        self.mask_in_bucket(state, layer, key)
    }

    /// The same, in the bucket only.
    pub(crate) fn mask_in_bucket(&self, state: &Layered<'_>, layer: usize, key: &str) -> Option<Origin> {
        let names = names(state, key)?;
        let (winner, entry) = state.winner(&names.into_iter()).filter(|(winner, _)| *winner > layer)?;
        Some(origin_of(self.layers(), winner, entry))
    }

    /// What is wrong with the value under a key of a layer in a state, by itself.
    pub(crate) fn examine(&self, state: &Layered<'_>, layer: usize, key: &str) -> Vec<Problem> {
        let entry = state.entry(layer, key).filter(|entry| !entry.operation().is_removal());
        let Some(entry) = entry else { return Vec::new() };
        let errors = examine::<T>(state, key, entry).err().unwrap_or_default();
        let told = |error: &FieldError| {
            super::report::problem_of(self.layers().full_key(layer, key), error, Some(entry))
        };
        errors.iter().map(told).collect()
    }
}
