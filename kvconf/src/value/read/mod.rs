//! Bytes to values: serde deserializers that let the type say what it wants.

mod enums;
mod error;
mod number;
mod text;
mod tree;

use serde::de::DeserializeOwned;

use super::DecodeError;
use super::json::{Tree, parse};
use super::kind::ValueKind;
use super::show::{quote, quote_text};
pub(super) use error::{ReadError, Step as StepTo, unknown_field, unknown_variant};
pub(super) use number::Numeral;
pub(crate) use text::is_meant_as_json;
pub(super) use text::{KeyReader, MAX_WRAPPERS, TextReader, not_json};
pub(super) use tree::TreeReader;

/// Whether a struct is `std::time::Duration`, which serde reads and writes as a struct of two numbers.
pub(super) fn is_duration(name: &str, fields: &[&str]) -> bool {
    name == "Duration" && fields == ["secs", "nanos"]
}

/// Reads a value as [`Text`](super::Text) does.
///
/// A type that does not take the bytes as they stand gets them again without the space around them: `echo 60 | nats kv put`
/// writes a line feed too, and a `String` is still exactly what was written.
pub(super) fn from_text<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, DecodeError> {
    by_text(bytes, &|| ValueKind::of::<V>(), |reader| V::deserialize(reader))
}

/// The same for whatever reads: a type, or its form alone. `kind` is asked only for messages.
pub(super) fn by_text<'k, R>(
    bytes: &[u8],
    kind: &dyn Fn() -> ValueKind<'k>,
    read: impl Fn(TextReader<'_>) -> Result<R, ReadError>,
) -> Result<R, DecodeError> {
    let error = match read(TextReader::new(bytes)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let trimmed = bytes.trim_ascii();
    if trimmed.is_empty() {
        return Err(DecodeError::new(kind().empty()));
    }
    if trimmed.len() == bytes.len() {
        return Err(finish(error, bytes, kind));
    }
    read(TextReader::new(trimmed)).map_err(|error| finish(error, trimmed, kind))
}

fn finish<'k>(error: ReadError, bytes: &[u8], kind: &dyn Fn() -> ValueKind<'k>) -> DecodeError {
    if bytes == b"null" {
        let kind = kind();
        if !kind.takes_null() {
            return DecodeError::new(format!("expected {kind}, found null, which only an Option can be"));
        }
    }
    error.about(str::from_utf8(bytes).ok()).into()
}

/// Reads a value as [`Json`](super::Json) does.
pub(super) fn from_json<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, DecodeError> {
    by_json(bytes, &|| ValueKind::of::<V>(), |tree| V::deserialize(TreeReader::new(tree)))
}

/// The same for whatever reads.
pub(super) fn by_json<'k, R>(
    bytes: &[u8],
    kind: &dyn Fn() -> ValueKind<'k>,
    read: impl FnOnce(&Tree) -> Result<R, ReadError>,
) -> Result<R, DecodeError> {
    if bytes.trim_ascii().is_empty() {
        return Err(DecodeError::new(kind().empty()));
    }
    let text = str::from_utf8(bytes)
        .map_err(|_| DecodeError::new(format!("expected JSON, found {}", quote(bytes))))?;
    let tree = parse(text)
        .map_err(|fault| DecodeError::new(format!("{} is not JSON: {fault}", quote_text(text))))?;
    read(&tree).map_err(|error| error.about_tree(&tree).into())
}
