//! All that a rule can see: the context, and what flagd puts over it.

use std::cell::Cell;

use super::any::member;
use super::failure::Failure;
use super::limits::MAX_STEPS;
use super::node::Slot;
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

/// One evaluation's view of its context.
pub(crate) struct Sight<'e> {
    pub(crate) scene: &'e Scene,
    pub(crate) context: &'e dyn EvaluationContext,
    /// How each slot leads into the context; empty where its type is not known.
    pub(crate) ways: &'e [Way],
    pub(crate) now: i64,
    steps: Cell<u32>,
}

impl<'e> Sight<'e> {
    #[inline]
    pub(crate) fn new(
        scene: &'e Scene,
        context: &'e dyn EvaluationContext,
        ways: &'e [Way],
        now: i64,
    ) -> Self {
        Self { scene, context, ways, now, steps: Cell::new(0) }
    }

    /// Counts steps, which end.
    pub(crate) fn spend(&self, steps: usize) -> Result<(), Failure> {
        let spent = self.steps.get().saturating_add(u32::try_from(steps).unwrap_or(u32::MAX));
        self.steps.set(spent);
        if spent > MAX_STEPS { Err(Failure::TooManySteps) } else { Ok(()) }
    }

    /// An attribute of the context.
    #[inline]
    pub(crate) fn attribute(&self, slot: usize) -> Option<Value<'e>> {
        match self.ways.get(slot) {
            Some(Way::Attribute(place)) => self.context.attribute(*place),
            Some(way) => self.follow(way, slot),
            None => self.find(slot),
        }
    }

    #[inline(never)]
    fn follow(&self, way: &Way, slot: usize) -> Option<Value<'e>> {
        let (places, known) = match way {
            Way::Nested(places) => (places, None),
            Way::Mixed(places, known) => (places, Some(*known)),
            Way::Attribute(_) | Way::Nowhere => return None,
        };
        let (first, inner) = places.split_first()?;
        let mut value = self.context.attribute(*first)?;
        for place in inner {
            let Value::Object(object) = value else { return None };
            value = object.attribute(*place)?;
        }
        let names =
            known.and_then(|known| self.scene.slots.get(slot)?.names.get(known..)).unwrap_or_default();
        names.iter().try_fold(value, |value, name| member(value, &name.as_name()))
    }

    #[inline]
    fn find(&self, slot: usize) -> Option<Value<'e>> {
        match &*self.scene.slots.get(slot)?.names {
            [name] => self.context.lookup(&name.as_name()),
            [first, inner @ ..] => {
                let value = self.context.lookup(&first.as_name())?;
                inner.iter().try_fold(value, |value, name| member(value, &name.as_name()))
            }
            [] => None,
        }
    }

    /// All that can be seen, for a walk through the tree of a rule.
    pub(crate) fn world(&self) -> World<'e> {
        World { context: self.context, flagd: Flagd { flag_key: &self.scene.flag_key, timestamp: self.now } }
    }
}

/// What a rule is evaluated against.
pub(crate) struct World<'e> {
    pub(crate) context: &'e dyn EvaluationContext,
    pub(crate) flagd: Flagd<'e>,
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
