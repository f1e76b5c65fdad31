//! What one key holds, as documents have it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json::Json;
use super::{BASE64, JSON, MASKED, UNSET, Wish};

/// A value as it is written into a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Leaf {
    /// The bytes that stand in the bucket.
    Stored(Vec<u8>),
    /// A secret that is not to be seen.
    Masked,
}

/// The forms that a value can have in a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// An array or an object, the latter with at least one member.
    Json(Json),
    Base64(String),
    Masked,
}

impl Leaf {
    /// The most telling form that is read back to the same bytes.
    pub(super) fn shape(&self) -> Shape {
        let Self::Stored(bytes) = self else { return Shape::Masked };
        let Ok(text) = str::from_utf8(bytes) else { return Shape::Base64(STANDARD.encode(bytes)) };
        match text {
            "true" => return Shape::Bool(true),
            "false" => return Shape::Bool(false),
            _ => {}
        }
        if let Ok(int) = text.parse::<i64>()
            && int.to_string() == text
        {
            return Shape::Int(int);
        }
        if text.contains('.')
            && let Ok(float) = text.parse::<f64>()
            && float.is_finite()
            && float_text(float) == text
        {
            return Shape::Float(float);
        }
        if text.starts_with(['[', '{'])
            && let Ok(json) = serde_json::from_str::<Json>(text)
            && json.compact() == text
            && is_plain(&json, true)
        {
            return Shape::Json(json);
        }
        Shape::Text(text.to_owned())
    }
}

/// The text of a number with a fraction: with a point, so that it stays one.
pub(super) fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    let text = value.to_string();
    if text.contains(['.', 'i']) { text } else { text + ".0" }
}

/// Whether every form of document can hold it as it is: TOML has no null and 64 bits with a sign, and members must not
/// repeat or look like ours.
fn is_plain(json: &Json, is_outermost: bool) -> bool {
    match json {
        Json::Null | Json::Large(_) => false,
        Json::Float(value) => value.is_finite(),
        Json::Bool(_) | Json::Int(_) | Json::Text(_) => true,
        Json::List(values) => values.iter().all(|value| is_plain(value, false)),
        Json::Object(members) => {
            let is_ours = |name: &str| name.starts_with('$');
            let repeats = |at: usize, name: &str| members.iter().take(at).any(|(other, _)| other == name);
            // An empty object on the outside would be a tree without keys.
            !(is_outermost && members.is_empty())
                && members
                    .iter()
                    .enumerate()
                    .all(|(at, (name, value))| !is_ours(name) && !repeats(at, name) && is_plain(value, false))
        }
    }
}

/// One of our own forms, by its single member; `None` when it is none.
pub(super) fn special(json: &Json) -> Option<Result<Wish, &'static str>> {
    let (name, value) = json.only_member()?;
    Some(match (name, value) {
        (BASE64, Json::Text(text)) => match STANDARD.decode(text) {
            Ok(bytes) => Ok(Wish::Set(bytes.into())),
            Err(_) => Err("$base64 is not followed by base64"),
        },
        (BASE64, _) => Err("$base64 is followed by a text"),
        (MASKED, Json::Bool(true)) => Ok(Wish::Keep),
        (MASKED, _) => Err("$masked is followed by true"),
        (UNSET, Json::Bool(true)) => Ok(Wish::Unset),
        (UNSET, _) => Err("$unset is followed by true"),
        (JSON, value) => Ok(Wish::Set(value.compact().into())),
        _ if name.starts_with('$') => Err("only $base64, $masked, $unset, $json and $value have a meaning"),
        _ => return None,
    })
}
