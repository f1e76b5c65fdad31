//! What readers of several layers got then and get now: of each setting the value of the most specific layer that has one.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use kvconf::{Bucket, Entry, Filter, Key, KeyDiffs, Prefix, Revision};
use serde_json::{Value as Json, json};

use super::Told;
use crate::change::{flag_parts, value_json, with};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::shown;
use crate::secrecy::Secrecy;
use crate::session::Session;

/// How many columns of a value are kept; the table cuts further.
const KEPT: usize = 200;

/// How many keys are read at once, at both moments.
const PORTION: usize = 100;

/// Layers, from general to specific.
pub(super) struct Merged<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) layers: Vec<Prefix>,
}

/// The value that readers get, under the key that has it.
struct Effective<'a> {
    key: &'a Key,
    value: &'a Bytes,
    layer: &'a Prefix,
}

type State = HashMap<Key, Entry>;

impl Merged<'_> {
    /// Tells what differs, by keys without their layers. Only what was written in one of the layers can.
    pub(super) async fn tell(&self, session: &mut Session, found: &mut KeyDiffs) -> Outcome<usize> {
        let mut names = BTreeSet::new();
        while let Some(one) = found.next().await? {
            names.extend(self.below(one.key()).map(str::to_owned));
        }
        let names: Vec<String> = names.into_iter().collect();
        let mut told = Told::new();
        for portion in names.chunks((PORTION / self.layers.len()).max(1)) {
            let before = self.read(portion, found.from()).await?;
            let after = self.read(portion, found.to()).await?;
            for name in portion {
                let (before, after) = (self.effective(&before, name), self.effective(&after, name));
                let value = |side: &Option<Effective<'_>>| side.as_ref().map(|side| side.value.clone());
                if value(&before) != value(&after) {
                    tell(session, &mut told, name, before.as_ref(), after.as_ref())?;
                }
            }
        }
        told.end(session)
    }

    /// What is left of a key without the layer that it is of: the longest one, for the keys without a layer have every name.
    fn below<'k>(&self, key: &'k Key) -> Option<&'k str> {
        self.layers.iter().filter_map(|layer| key.under(layer)).min_by_key(|below| below.len())
    }

    async fn read(&self, names: &[String], moment: Revision) -> Outcome<State> {
        if moment == Revision::ZERO {
            return Ok(State::new());
        }
        let keys = names.iter().flat_map(|name| self.layers.iter().map(move |layer| layer.key(name)));
        let keys: Vec<Key> = keys.collect::<Result<_, _>>()?;
        let filters: Vec<Filter> = keys.into_iter().map(Filter::from).collect();
        let reading = self.bucket.read_at(filters, moment).await?;
        Ok(reading.live().map(|entry| (entry.key().clone(), entry.clone())).collect())
    }

    fn effective<'s>(&'s self, state: &'s State, name: &str) -> Option<Effective<'s>> {
        self.layers.iter().rev().find_map(|layer| {
            let entry = state.get(&layer.key(name).ok()?)?;
            Some(Effective { key: entry.key(), value: entry.put_value()?, layer })
        })
    }
}

impl Effective<'_> {
    fn text(&self, secrecy: Secrecy) -> String {
        format!("{} ({})", shown(secrecy, self.key, self.value).short(KEPT), self.layer_name())
    }

    fn json(&self, secrecy: Secrecy) -> Json {
        let value = value_json(secrecy, self.key, Some(self.value));
        with(value, "layer", Some(self.layer.as_str().into()))
    }

    fn layer_name(&self) -> &str {
        if self.layer.is_root() { "no layer" } else { self.layer.as_str() }
    }
}

fn tell(
    session: &mut Session,
    told: &mut Told,
    name: &str,
    before: Option<&Effective<'_>>,
    after: Option<&Effective<'_>>,
) -> Outcome {
    let secrecy = session.out.secrecy();
    if session.out.is_json() {
        let side = |side: Option<&Effective<'_>>| side.map(|side| side.json(secrecy));
        return told.json(session, &json!({ "key": name, "before": side(before), "after": side(after) }));
    }
    let parts = match (before, after) {
        // Both may be shown, or neither is.
        (Some(before), Some(after)) if !secrecy.masks(before.key) => {
            flag_parts(secrecy, after.key, Some(before.value), Some(after.value))
        }
        _ => Vec::new(),
    };
    let text = |side: Option<&Effective<'_>>| match side {
        Some(side) if parts.is_empty() => side.text(secrecy),
        Some(side) => format!("({})", side.layer_name()),
        None => String::new(),
    };
    let (sign, arrow) = match (before, after) {
        (None, _) => ("+", ""),
        (_, None) => ("-", ""),
        _ => ("~", "→"),
    };
    let row = [sign.to_owned(), name.to_owned(), text(before), arrow.to_owned(), text(after)];
    told.row(session, |table| {
        table.row(row);
        parts.iter().for_each(|part| table.line(format!("     {part}")));
    })
}

/// What the layers have to be, where their values are to be merged.
pub(super) fn unmerged() -> Failure {
    let words = "values are merged in the order of their layers, which have to be named: from general to specific";
    Failure::new(Exit::Usage, words).hint("--merged --layer base,env.prod,host.web-1")
}
