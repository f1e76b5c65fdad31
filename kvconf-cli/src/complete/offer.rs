//! What is offered: keys, layers and values, from what is in the bucket and what programs have published. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kvconf::settings::{Constraint, Form, Presence, Schemas, Setting};
use kvconf::{Key, Schema};

use crate::secrecy::is_secret_by_name;

/// From how many on only the next part of a key is offered.
const MANY: usize = 100;

/// The longest value that is worth offering.
const LONGEST: usize = 200;

/// Something to choose, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) text: String,
    pub(super) help: Option<String>,
}

impl Offer {
    pub(super) fn new(text: impl Into<String>, help: impl Into<Option<String>>) -> Self {
        Self { text: text.into(), help: help.into() }
    }
}

/// Every key that begins with what was typed, of the bucket and of schemas, with what follows a whole one: `=` where a value is
/// to come. Of very many only the next part.
pub(super) fn keys(typed: &str, known: &[Key], schemas: &Schemas, behind: &str) -> Vec<Offer> {
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for key in known.iter().filter(|key| key.as_str().starts_with(typed) && !key.is_reserved()) {
        let setting = schemas.for_key(key.as_str()).and_then(|known| known.schema.setting_of(key.as_str()));
        found.insert(format!("{key}{behind}"), setting.map(help_of));
    }
    for published in &schemas.published {
        for layer in layers_of(&published.schema, known) {
            let schema = published.schema.in_layer(&layer);
            for setting in schema.settings.iter().filter(|setting| setting.deprecated.is_none()) {
                let key = schema.full_key(&setting.key);
                // The name of an entry is still to come.
                let text = if setting.entries { format!("{key}.") } else { format!("{key}{behind}") };
                if text.starts_with(typed) && text != typed {
                    found.entry(text).or_insert_with(|| Some(help_of(setting)));
                }
            }
        }
    }
    let offers: Vec<Offer> = found.into_iter().map(|(text, help)| Offer { text, help }).collect();
    if offers.len() <= MANY { offers } else { next_parts(typed, offers) }
}

/// `checkout.` for everything below it.
fn next_parts(typed: &str, offers: Vec<Offer>) -> Vec<Offer> {
    let mut parts: Vec<Offer> = Vec::new();
    for offer in offers {
        let end = offer.text.get(typed.len()..).and_then(|rest| rest.find('.'));
        let part = end.and_then(|end| offer.text.get(..=typed.len() + end));
        match part {
            Some(part) if parts.last().is_some_and(|last| last.text == part) => {}
            Some(part) => parts.push(Offer::new(part, None)),
            None => parts.push(offer),
        }
    }
    parts.dedup_by(|one, other| one.text == other.text);
    parts
}

/// What is above keys that begin so.
pub(super) fn prefixes(typed: &str, known: &[Key], schemas: &Schemas) -> Vec<Offer> {
    let keys = keys_of(known, schemas);
    let parents = keys.iter().flat_map(|key| key.match_indices('.').filter_map(|(at, _)| key.get(..at)));
    let found: BTreeSet<&str> = parents.filter(|parent| parent.starts_with(typed)).collect();
    found.into_iter().map(|parent| Offer::new(parent, None)).collect()
}

fn keys_of(known: &[Key], schemas: &Schemas) -> Vec<String> {
    let mut keys: Vec<String> =
        known.iter().filter(|key| !key.is_reserved()).map(ToString::to_string).collect();
    for published in &schemas.published {
        for layer in layers_of(&published.schema, known) {
            let schema = published.schema.in_layer(&layer);
            // A map is above its entries.
            let full = |setting: &Setting| {
                let key = schema.full_key(&setting.key);
                if setting.entries { format!("{key}.*") } else { key }
            };
            keys.extend(schema.settings.iter().map(full));
        }
    }
    keys
}

/// The layers of a schema by name: those that always have the same one, and those that stand in the bucket.
pub(crate) fn layers_of(schema: &Schema, known: &[Key]) -> BTreeSet<String> {
    if schema.layers.is_empty() {
        return [String::new()].into();
    }
    let fixed = schema.layers.iter().filter(|layer| !layer.contains('*')).cloned();
    let standing = known.iter().filter_map(|key| schema.layer_of(key.as_str())).map(str::to_owned);
    fixed.chain(standing).collect()
}

/// What a setting is, on one line.
fn help_of(setting: &Setting) -> String {
    let first = setting.description.lines().next().unwrap_or_default().trim();
    if first.is_empty() { setting.values() } else { first.to_owned() }
}

/// The values that a key can have and that begin with what was typed. `now` is what stands there.
pub(super) fn values(typed: &str, key: &str, now: Option<&str>, schemas: &Schemas) -> Vec<Offer> {
    let setting = schemas.for_key(key).and_then(|published| published.schema.setting_of(key));
    let is_secret =
        schemas.is_secret(key).unwrap_or_else(|| Key::new(key).is_ok_and(|key| is_secret_by_name(&key)));
    if is_secret {
        return Vec::new();
    }
    let default = setting.and_then(|setting| match &setting.presence {
        Presence::Default(stored) if !setting.entries => Some(stored.as_str()),
        _ => None,
    });
    let mut found: Vec<String> = setting.map(possible).unwrap_or_default();
    let fits =
        |value: &&str| !value.is_empty() && value.len() <= LONGEST && !value.contains(char::is_control);
    for more in now.into_iter().chain(default).filter(fits) {
        if !found.iter().any(|value| value == more) {
            found.push(more.to_owned());
        }
    }
    let marked = |value: String| {
        let marks = [(now, "stands there now"), (default, "the default")];
        let marks = marks.into_iter().filter(|(of, _)| *of == Some(value.as_str())).map(|(_, mark)| mark);
        let help = marks.collect::<Vec<_>>().join(", ");
        Offer { help: (!help.is_empty()).then_some(help), text: value }
    };
    found.into_iter().filter(|value| value.starts_with(typed)).map(marked).collect()
}

/// Every value, where they can be counted.
fn possible(setting: &Setting) -> Vec<String> {
    let one_of = setting.constraints.iter().find_map(|constraint| match constraint {
        Constraint::OneOf(values) => Some(values.iter().map(ToString::to_string).collect()),
        _ => None,
    });
    one_of.unwrap_or_else(|| of_form(&setting.form))
}

fn of_form(form: &Form) -> Vec<String> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    match form {
        Form::Bool => names(&["true", "false"]),
        Form::Null => names(&["null"]),
        Form::Enum { variants } => {
            let plain = variants.iter().filter(|variant| variant.content.is_none());
            plain.map(|variant| variant.name.clone()).collect()
        }
        Form::Option { of } => {
            let mut inside = of_form(of);
            if !inside.is_empty() {
                inside.push("null".to_owned());
            }
            inside
        }
        Form::Flag { value, .. } => of_form(value),
        _ => Vec::new(),
    }
}

/// The flags below a prefix.
pub(super) fn flags(prefix: &str, known: &[Key]) -> Vec<Offer> {
    let below = |key: &Key| {
        let key = key.as_str();
        let name = if prefix.is_empty() { Some(key) } else { key.strip_prefix(prefix)?.strip_prefix('.') };
        name.map(str::to_owned)
    };
    let names: BTreeSet<String> = known.iter().filter(|key| !key.is_reserved()).filter_map(below).collect();
    names.into_iter().map(|name| Offer::new(name, None)).collect()
}

/// The variants of a flag, out of its stored form.
pub(super) fn variants(stored: &[u8]) -> Vec<Offer> {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(stored) else { return Vec::new() };
    let variants = json.get("variants").and_then(serde_json::Value::as_object);
    let variants = variants.into_iter().flatten();
    variants.map(|(name, value)| Offer::new(name.clone(), Some(value.to_string()))).collect()
}
