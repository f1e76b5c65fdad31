//! All that a rule can see: the context, and what flagd puts over it.

use std::cell::Cell;

use super::any::member;
use super::binding::Binding;
use super::failure::Failure;
use super::limits::MAX_STEPS;
use super::node::{Name, Slot};
use crate::flag::bucketing::Bucketing;
use crate::flag::context::{AttributeName, EvaluationContext, Way};
use crate::flag::value::Value;

/// What all evaluations of a flag share.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) flag_key: Box<str>,
    pub(crate) bucketing: Bucketing,
    /// The attributes that the rule asks for.
    pub(crate) slots: Box<[Slot]>,
}

impl Scene {
    #[inline]
    pub(crate) fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)
    }

    /// An attribute by its name, where the context has it itself.
    #[inline]
    pub(crate) fn lookup<'c>(
        &self,
        context: &'c (impl EvaluationContext + ?Sized),
        slot: u32,
    ) -> Option<Value<'c>> {
        let slot = self.slot(slot).filter(|slot| slot.inner.is_empty())?;
        context.lookup(&slot.first.as_name())
    }
}

/// One evaluation's view of its context.
///
/// The type of the context is kept: where it is known, finding an attribute is no call but part of the test.
pub(crate) trait Sight {
    /// An attribute of the context.
    fn attribute(&self, slot: u32) -> Option<Value<'_>>;

    /// The same, where it is found without a call: `None` also where only [`Self::attribute`] finds it.
    fn near(&self, slot: u32) -> Option<Value<'_>>;

    /// All that can be seen, for a walk through the tree of a rule.
    fn world(&self) -> World<'_>;

    /// Counts steps, which end.
    fn spend(&self, steps: usize) -> Result<(), Failure>;
}

/// What all views of a context have.
pub(crate) struct Frame<'e, C: ?Sized> {
    scene: &'e Scene,
    context: &'e C,
    now: i64,
    steps: Cell<u32>,
}

/// A context whose attributes are found by their places.
pub(crate) struct ByPlace<'e, C: ?Sized> {
    frame: Frame<'e, C>,
    binding: &'e Binding,
}

/// A context whose attributes are found by their names.
pub(crate) struct ByName<'e, C: ?Sized>(Frame<'e, C>);

impl<'e, C: EvaluationContext + ?Sized> Frame<'e, C> {
    #[inline]
    pub(crate) fn new(scene: &'e Scene, context: &'e C, now: i64) -> Self {
        Self { scene, context, now, steps: Cell::new(0) }
    }

    #[inline]
    pub(crate) fn by_place(self, binding: &'e Binding) -> ByPlace<'e, C> {
        ByPlace { frame: self, binding }
    }

    #[inline]
    pub(crate) fn by_name(self) -> ByName<'e, C> {
        ByName(self)
    }

    fn world<'w>(&'w self, binding: Option<&'w Binding>) -> World<'w> {
        World {
            scene: self.scene,
            context: &self.context,
            binding,
            flagd: Flagd { flag_key: &self.scene.flag_key, timestamp: self.now },
            steps: &self.steps,
        }
    }
}

impl<C: EvaluationContext + ?Sized> Sight for ByPlace<'_, C> {
    #[inline]
    fn near(&self, slot: u32) -> Option<Value<'_>> {
        self.frame.context.attribute(self.binding.place(slot)?)
    }

    #[inline]
    fn attribute(&self, slot: u32) -> Option<Value<'_>> {
        match self.binding.place(slot) {
            Some(place) => self.frame.context.attribute(place),
            None => follow(&self.frame.context, self.binding.way(slot), self.frame.scene, slot),
        }
    }

    fn world(&self) -> World<'_> {
        self.frame.world(Some(self.binding))
    }

    fn spend(&self, steps: usize) -> Result<(), Failure> {
        spend(&self.frame.steps, steps)
    }
}

impl<C: EvaluationContext + ?Sized> Sight for ByName<'_, C> {
    #[inline]
    fn near(&self, slot: u32) -> Option<Value<'_>> {
        self.0.scene.lookup(self.0.context, slot)
    }

    #[inline]
    fn attribute(&self, slot: u32) -> Option<Value<'_>> {
        find(self.0.context, self.0.scene, slot)
    }

    fn world(&self) -> World<'_> {
        self.0.world(None)
    }

    fn spend(&self, steps: usize) -> Result<(), Failure> {
        spend(&self.0.steps, steps)
    }
}

fn spend(spent: &Cell<u32>, steps: usize) -> Result<(), Failure> {
    let sum = spent.get().saturating_add(u32::try_from(steps).unwrap_or(u32::MAX));
    spent.set(sum);
    if sum > MAX_STEPS { Err(Failure::TooManySteps) } else { Ok(()) }
}

/// Through objects.
#[inline(never)]
fn follow<'e>(context: &'e dyn EvaluationContext, way: &Way, scene: &Scene, slot: u32) -> Option<Value<'e>> {
    let (places, known) = match way {
        Way::Attribute(place) => return context.attribute(*place),
        Way::Nested(places) => (places, None),
        Way::Mixed(places, known) => (places, Some(*known)),
        Way::Nowhere => return None,
    };
    let (first, inner) = places.split_first()?;
    let mut value = context.attribute(*first)?;
    for place in inner {
        let Value::Object(object) = value else { return None };
        value = object.attribute(*place)?;
    }
    match known {
        Some(known) => {
            let mut names = scene.slot(slot)?.names().skip(known);
            names.try_fold(value, |value, name| member(value, &name.as_name()))
        }
        None => Some(value),
    }
}

#[inline]
fn find<'e, C: EvaluationContext + ?Sized>(context: &'e C, scene: &Scene, slot: u32) -> Option<Value<'e>> {
    let slot = scene.slot(slot)?;
    let value = context.lookup(&slot.first.as_name())?;
    if slot.inner.is_empty() { Some(value) } else { find_inside(value, &slot.inner) }
}

#[inline(never)]
fn find_inside<'e>(value: Value<'e>, names: &[Name]) -> Option<Value<'e>> {
    names.iter().try_fold(value, |value, name| member(value, &name.as_name()))
}

/// What the tree of a rule is walked against.
pub(crate) struct World<'e> {
    pub(crate) scene: &'e Scene,
    pub(crate) context: &'e dyn EvaluationContext,
    /// Where attributes are found by their places.
    binding: Option<&'e Binding>,
    pub(crate) flagd: Flagd<'e>,
    /// Shared by all walks of an evaluation.
    steps: &'e Cell<u32>,
}

impl<'e> World<'e> {
    /// An attribute of the context.
    pub(crate) fn attribute(&self, slot: u32) -> Option<Value<'e>> {
        match self.binding {
            Some(binding) => follow(self.context, binding.way(slot), self.scene, slot),
            None => find(self.context, self.scene, slot),
        }
    }

    /// Counts steps, which end.
    pub(crate) fn spend(&self, steps: usize) -> Result<(), Failure> {
        spend(self.steps, steps)
    }
}

/// The object `$flagd`.
pub(crate) struct Flagd<'e> {
    pub(crate) flag_key: &'e str,
    /// Whole seconds since the Unix epoch.
    pub(crate) timestamp: i64,
}

/// The context as a whole, as `{"var": ""}` gives it.
impl EvaluationContext for World<'_> {
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Value<'_>> {
        if name.text() == "$flagd" { Some(Value::Object(&self.flagd)) } else { self.context.lookup(name) }
    }

    fn visit(&self, visitor: &mut dyn FnMut(&str, Value<'_>)) {
        visitor("$flagd", Value::Object(&self.flagd));
        self.context.visit(&mut |name, value| {
            if name != "$flagd" {
                visitor(name, value);
            }
        });
    }
}

impl EvaluationContext for Flagd<'_> {
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Value<'_>> {
        match name.text() {
            "flagKey" => Some(Value::Text(self.flag_key)),
            "timestamp" => Some(Value::Int(self.timestamp)),
            _ => None,
        }
    }

    fn visit(&self, visitor: &mut dyn FnMut(&str, Value<'_>)) {
        visitor("flagKey", Value::Text(self.flag_key));
        visitor("timestamp", Value::Int(self.timestamp));
    }
}
