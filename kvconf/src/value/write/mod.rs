//! Values to bytes: the mirror of the readers.

mod key;
mod tree;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json::{Tree, parse};
use super::kind::ValueKind;
use super::{DecodeError, EncodeError, read};
use tree::TreeWriter;

/// Writes a value as [`Text`](super::Text) does.
pub(super) fn to_text<V: Serialize + DeserializeOwned>(value: &V) -> Result<Bytes, EncodeError> {
    let tree = value.serialize(TreeWriter::new()).map_err(EncodeError::from)?;
    let bytes = match (&tree, ValueKind::of::<V>()) {
        (Tree::Text(text), kind) if is_itself(text, &kind) => text.clone().into_bytes(),
        (Tree::Bytes(bytes), kind) if reads_bytes(&kind) => {
            if matches!(kind, ValueKind::Option(_)) && bytes.trim_ascii() == b"null" {
                return Err(EncodeError::new("the bytes `null` in an Option would be read as None"));
            }
            bytes.clone()
        }
        (tree, _) => tree.to_json().into_bytes(),
    };
    check(read::from_text::<V>(&bytes))?;
    Ok(bytes.into())
}

/// The stored form of a text that stands in a file, or of `null`, in a field of this type.
pub(super) fn form_of_text<V: DeserializeOwned>(text: Option<&str>) -> Option<Bytes> {
    let kind = ValueKind::of::<V>();
    let Some(text) = text else { return kind.takes_null().then(|| Bytes::from_static(b"null")) };
    let stored = if is_itself(text, &kind) { text.to_owned() } else { Tree::Text(text.to_owned()).to_json() };
    Some(stored.into())
}

/// Writes a value as [`Json`](super::Json) does.
pub(super) fn to_json<V: Serialize + DeserializeOwned>(value: &V) -> Result<Bytes, EncodeError> {
    let tree = value.serialize(TreeWriter::new()).map_err(EncodeError::from)?;
    let bytes = tree.to_json().into_bytes();
    check(read::from_json::<V>(&bytes))?;
    Ok(bytes.into())
}

/// Nothing is stored that its readers refuse: a type may write what it does not read, and a value may have been made past
/// the checks in its type's `Deserialize`.
fn check<V>(read_back: Result<V, DecodeError>) -> Result<(), EncodeError> {
    read_back
        .map(drop)
        .map_err(|error| EncodeError::new(format!("what would be stored cannot be read back: {error}")))
}

/// Whether a string is stored as its own letters, or needs JSON's quotes to be told from something else.
pub(super) fn is_itself(text: &str, kind: &ValueKind<'_>) -> bool {
    let trimmed = text.trim_ascii();
    match kind {
        ValueKind::Option(inner) => trimmed != "null" && !trimmed.starts_with('"') && is_itself(text, inner),
        ValueKind::Any => !trimmed.is_empty() && !read::is_meant_as_json(text) && parse(text).is_err(),
        _ => true,
    }
}

fn reads_bytes(kind: &ValueKind<'_>) -> bool {
    match kind {
        ValueKind::Option(inner) => reads_bytes(inner),
        kind => *kind == ValueKind::Bytes,
    }
}
