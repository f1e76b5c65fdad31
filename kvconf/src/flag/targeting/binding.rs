//! How the attributes of a rule lead into contexts of one type: looked up by name once, found by number from then on.

use std::sync::OnceLock;

use super::node::Slot;
use crate::flag::context::{ContextSchema, Way};

/// The types of contexts that a flag has met.
#[derive(Debug, Default)]
pub(crate) struct Bindings(OnceLock<Box<Binding>>);

/// The attributes of a rule in contexts of one type.
#[derive(Debug)]
pub(crate) struct Binding {
    schema: &'static ContextSchema,
    /// The places of those that a context has itself, which nearly all are; [`ELSEWHERE`] for the others.
    places: Box<[u32]>,
    ways: Box<[Way]>,
    next: Bindings,
}

/// How many types of contexts one flag remembers. The attributes of others are found by name.
const MAX_BINDINGS: usize = 8;

/// Not at one place: in an object, or nowhere.
const ELSEWHERE: u32 = u32::MAX;

impl Bindings {
    /// How the rule's attributes lead into contexts of this schema, where it is the first that the flag has met.
    #[inline]
    pub(crate) fn first(&self, schema: &'static ContextSchema) -> Option<&Binding> {
        self.0.get().map(|binding| &**binding).filter(|binding| std::ptr::eq(binding.schema, schema))
    }

    /// How they lead into contexts of any schema; `None` where there have been too many others.
    pub(crate) fn of(&self, schema: &'static ContextSchema, slots: &[Slot]) -> Option<&Binding> {
        let mut cell = &self.0;
        for _ in 0..MAX_BINDINGS {
            let binding = cell.get_or_init(|| Box::new(Binding::new(schema, slots)));
            if std::ptr::eq(binding.schema, schema) {
                return Some(binding);
            }
            cell = &binding.next.0;
        }
        None
    }
}

impl Binding {
    fn new(schema: &'static ContextSchema, slots: &[Slot]) -> Self {
        let ways: Box<[_]> = slots.iter().map(|slot| schema.resolve(slot.texts())).collect();
        let place = |way: &Way| match way {
            Way::Attribute(place) => u32::try_from(*place).unwrap_or(ELSEWHERE),
            _ => ELSEWHERE,
        };
        Self { schema, places: ways.iter().map(place).collect(), ways, next: Bindings::default() }
    }

    /// The place of an attribute that the context has itself.
    #[inline]
    pub(crate) fn place(&self, slot: u32) -> Option<usize> {
        match self.places.get(slot as usize) {
            None | Some(&ELSEWHERE) => None,
            Some(place) => Some(*place as usize),
        }
    }

    /// How an attribute is found.
    pub(crate) fn way(&self, slot: u32) -> &Way {
        self.ways.get(slot as usize).unwrap_or(&Way::Nowhere)
    }
}
