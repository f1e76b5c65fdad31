//! JSON text to `serde_json`'s values, exactly.
//!
//! Not by `serde_json`'s own parser: it may read a float one bit off unless a feature is on, and keeps the last of two equal
//! keys in silence. A rule's constant must be the very number that a program's context has.

use derive_more::{Display, Error};
use serde_json::{Number, Value as Json};

use crate::value::{JsonFault, JsonTree, parse_tree};

/// A text is not the JSON that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[display("{fault}")]
pub struct NotJson {
    fault: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, Display)]
enum Reason {
    #[display("no JSON: {_0}")]
    Fault(JsonFault),
    #[display("a number is too large")]
    Number,
    #[display("no JSON object")]
    NoObject,
}

impl NotJson {
    pub(crate) fn no_object() -> Self {
        Self { fault: Reason::NoObject }
    }
}

/// Reads one JSON value.
pub(crate) fn parse_json(text: &str) -> Result<Json, NotJson> {
    let tree = parse_tree(text).map_err(|fault| NotJson { fault: Reason::Fault(fault) })?;
    convert(tree).ok_or(NotJson { fault: Reason::Number })
}

/// The parser has bounded the depth.
fn convert(tree: JsonTree) -> Option<Json> {
    Some(match tree {
        JsonTree::Null => Json::Null,
        JsonTree::Bool(value) => Json::Bool(value),
        JsonTree::Number(text) => Json::Number(number(&text)?),
        JsonTree::Text(text) => Json::String(text),
        JsonTree::List(items) => Json::Array(items.into_iter().map(convert).collect::<Option<_>>()?),
        JsonTree::Object(entries) => Json::Object(
            entries.into_iter().map(|(key, value)| Some((key, convert(value)?))).collect::<Option<_>>()?,
        ),
        JsonTree::Bytes(bytes) => bytes.into(),
    })
}

fn number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse::<i64>() {
        // The sign of "-0" is lost with this; nothing here tells it from 0.
        return Some(whole.into());
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    Number::from_f64(text.parse().ok()?)
}
