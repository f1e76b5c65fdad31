//! What counts while a key has no value.

use std::fmt;

use super::plan::Planned;
use crate::schema::{KvConfig, Slot, node_at};
use crate::source::Given;
use crate::view::{Layered, Overlay, Table, Target, View, origin_of, shown_bytes};
use crate::{Key, Origin};

/// What readers get while a key has no value: the default, or what a weaker source has.
///
/// `Display` writes `default 50`, `80 of base.checkout.max_items`, `7 of app.toml:3`, `60 of this change`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Otherwise {
    /// The value in stored form: shortened, and masked for a secret.
    pub value: String,
    /// Where it comes from; [`Origin::Plan`] where the same plan writes it to another key.
    #[serde(serialize_with = "in_words")]
    pub origin: Origin,
}

impl fmt::Display for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => write!(f, "default {}", self.value),
            Origin::Key(origin) => write!(f, "{} of {}", self.value, origin.key),
            origin => write!(f, "{} of {origin}", self.value),
        }
    }
}

fn in_words<S: serde::Serializer>(origin: &Origin, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(origin)
}

impl<T: KvConfig> View<T> {
    /// Says of each write whose key has no value before it, or none after it, what counts then. `over` is what all of them
    /// lead to.
    pub(super) fn tell_otherwise(&self, writes: &mut [Planned], over: &Overlay) {
        // What readers rejected stands in the bucket all the same: it is what the plan is held against, and what it replaces.
        let mut before = Overlay::default();
        self.rejected.iter().for_each(|group| before.extend(&group.changes));
        let mut after = before.clone();
        after.extend(over);
        let before = Layered::new(&self.table, &self.raw, &before);
        let after = Layered::new(&self.table, &self.raw, &after);
        let planned = keys_of(writes);
        for write in writes {
            let state = match (&write.shown.before, &write.shown.after) {
                (_, None) => &after,
                (None, _) => &before,
                _ => continue,
            };
            let found = self.otherwise(state, &write.key);
            write.shown.otherwise = found.map(|found| found.or_of_plan(&planned, &write.shown.after));
        }
    }

    /// What counts in a state in which this key has no value; `None` where nothing does, or a stronger source has the say
    /// with it and without it.
    fn otherwise(&self, state: &Layered<'_>, key: &Key) -> Option<Otherwise> {
        match without(&self.table, state, key)? {
            Without::Told(told) => Some(told),
            Without::ByDefault(slot) => {
                let (node, rest) = node_at::<T>(slot.path.steps())?;
                let default = node.default_text(rest)?;
                Some(Otherwise { value: shown_bytes(&default, slot), origin: Origin::Default })
            }
        }
    }
}

/// What counts while a key has no value, as far as that can be told without knowing the struct.
enum Without<'a> {
    Told(Otherwise),
    /// What the field is by default.
    ByDefault(&'a Slot),
}

fn without<'a>(table: &'a Table, state: &Layered<'_>, key: &Key) -> Option<Without<'a>> {
    let layers = &table.layers;
    let (layer, below) = layers.place(key)?;
    let (slot, names, given_as) = match table.target(below)? {
        Target::Field(at) => table.slot(at).map(|slot| (slot, slot.names(), &*slot.key))?,
        Target::Entry(at, _) => (table.slot(at)?, vec![below], below),
    };
    if state.above(given_as).is_some() {
        return None;
    }
    if let Some((found, entry)) = state.winner(&names.iter().copied()) {
        let rank = |name: &str| names.iter().position(|other| *other == name);
        let same_layer = || rank(layers.place(entry.key())?.1).zip(rank(below));
        let is_weaker = found < layer || (found == layer && same_layer().is_some_and(|(it, own)| it > own));
        let value = entry.put_value().filter(|_| is_weaker)?;
        return Some(Without::Told(Otherwise {
            value: shown_bytes(value, slot),
            origin: origin_of(layers, found, entry),
        }));
    }
    if let Some(Given { value: Some(value), origin, .. }) = state.below(given_as) {
        return Some(Without::Told(Otherwise { value: shown_bytes(value, slot), origin: origin.clone() }));
    }
    matches!(table.target(below)?, Target::Field(_)).then_some(Without::ByDefault(slot))
}

fn keys_of(writes: &[Planned]) -> Vec<Key> {
    writes.iter().map(|write| write.key.clone()).collect()
}

impl Otherwise {
    /// A value that counts afterwards may be one of the plan's, which has no revision yet.
    fn or_of_plan(self, planned: &[Key], after: &Option<String>) -> Self {
        let of_plan = match &self.origin {
            Origin::Key(origin) => after.is_none() && planned.contains(&origin.key),
            _ => false,
        };
        if of_plan { Self { origin: Origin::Plan, ..self } } else { self }
    }
}
