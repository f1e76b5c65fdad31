//! Between bytes in a bucket and Rust values: text for scalars, JSON for the rest. The rules stand at [`Text`].

mod byte_size;
pub(crate) mod duration;
mod error;
mod form;
mod json;
mod kind;
mod read;
mod secret;
mod show;
mod write;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use byte_size::ByteSize;
pub use error::{DecodeError, EncodeError};
pub use form::{Form, FormField, TextFormat, Variant};
#[cfg(feature = "yaml")]
pub(crate) use json::is_number as is_json_number;
pub(crate) use json::{Fault as JsonFault, MAX_DEPTH, Parser as JsonParser, Tree, parse as parse_tree};
pub(crate) use read::is_meant_as_json;
pub use secret::{Secret, SecretText, SecretValue};
pub(crate) use show::{quote, quote_text, show, tame};

use crate::Revision;
use crate::exposure::Observers;

/// What stands for a secret value wherever something is shown.
pub(crate) const MASK: &str = "***";

/// Where a value stands that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ValuePlace<'a> {
    /// The field's key below the struct's prefix, whatever name the value was found under; of a map with one key per entry
    /// the entry's key in the map.
    pub key: &'a str,
    /// The revision of the entry in the bucket; `None` for what stands anywhere else.
    pub revision: Option<Revision>,
}

/// How one field's values stand in the bucket.
///
/// [`Text`] is the codec of every field that names no other. Implement this for a unit struct and name it in
/// `#[kv(with = MyCodec)]` to store a field in another form.
///
/// ```
/// use kvconf::{Codec, DecodeError, EncodeError};
///
/// /// Permission bits, as people write them: `755`.
/// struct Octal;
///
/// impl Codec<u32> for Octal {
///     fn decode(&self, bytes: &[u8]) -> Result<u32, DecodeError> {
///         str::from_utf8(bytes)
///             .ok()
///             .and_then(|text| u32::from_str_radix(text.trim(), 8).ok())
///             .ok_or_else(|| DecodeError::new("expected an octal number"))
///     }
///
///     fn encode(&self, value: &u32) -> Result<bytes::Bytes, EncodeError> {
///         Ok(format!("{value:o}").into())
///     }
/// }
///
/// assert_eq!(Octal.decode(b"755\n"), Ok(0o755));
/// assert_eq!(Octal.encode(&0o644).unwrap(), "644");
/// ```
pub trait Codec<V>: Send + Sync + 'static {
    /// Reads a value. The bytes are whatever somebody wrote: any of them must give a value or an error.
    ///
    /// # Errors
    /// [`DecodeError`] says what was expected and what stands there.
    fn decode(&self, bytes: &[u8]) -> Result<V, DecodeError>;

    /// Reads a value that stands in this place.
    ///
    /// Unless a codec says otherwise the place does not matter.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    fn decode_at(&self, place: ValuePlace<'_>, bytes: &[u8]) -> Result<V, DecodeError> {
        let _ = place;
        self.decode(bytes)
    }

    /// Lets a flag tell of its evaluations.
    #[doc(hidden)]
    fn equip(&self, value: &mut V, observers: &Observers) {
        let _ = (value, observers);
    }

    /// Writes a value so that [`Codec::decode`] gives an equal one.
    ///
    /// # Errors
    /// [`EncodeError`] when the value has no stored form.
    fn encode(&self, value: &V) -> Result<Bytes, EncodeError>;

    /// The stored form of a text, or of `null`, that stands in a file; `None` where `null` is no value. Every other value of
    /// a file is stored as [`Text`] stores it.
    ///
    /// Unless a codec says otherwise a text is stored as it is, and `null` is no value.
    fn stored_form(&self, text: Option<&str>) -> Option<Bytes> {
        text.map(|text| Bytes::copy_from_slice(text.as_bytes()))
    }

    /// What the stored values look like, for schemas: who has no Rust type can read them by it.
    ///
    /// Unless a codec says otherwise only the program knows.
    fn form(&self) -> Form {
        Form::Opaque
    }
}

#[doc = include_str!("text.md")]
#[derive(Debug, Clone, Copy)]
pub struct Text;

impl<V: Serialize + DeserializeOwned> Codec<V> for Text {
    fn decode(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        read::from_text(bytes)
    }

    fn encode(&self, value: &V) -> Result<Bytes, EncodeError> {
        write::to_text(value)
    }

    fn stored_form(&self, text: Option<&str>) -> Option<Bytes> {
        write::form_of_text::<V>(text)
    }

    fn form(&self) -> Form {
        form::form_of::<V>()
    }
}

/// The codec of `#[kv(json)]`: JSON for everything, scalars included.
///
/// For a bucket whose other users write JSON. What stands inside is read as [`Text`] reads the inside of JSON: `Duration`
/// as `"3s"`, no number from a text, no key twice.
///
/// ```
/// use std::time::Duration;
///
/// use kvconf::{Codec, Json};
///
/// assert_eq!(Json.encode(&"debug".to_owned()).unwrap(), r#""debug""#);
/// assert_eq!(Json.decode(br#""3s""#), Ok(Duration::from_secs(3)));
///
/// let error = Codec::<u16>::decode(&Json, br#""80""#).unwrap_err();
/// assert_eq!(error.to_string(), "expected a whole number (u16), found the text `80`");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    fn decode(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        read::from_json(bytes)
    }

    fn encode(&self, value: &V) -> Result<Bytes, EncodeError> {
        write::to_json(value)
    }

    fn stored_form(&self, text: Option<&str>) -> Option<Bytes> {
        Some(text.map_or(Tree::Null, |text| Tree::Text(text.to_owned())).to_json().into())
    }

    fn form(&self) -> Form {
        Form::Json { of: Box::new(form::form_of::<V>()) }
    }
}

#[cfg(test)]
mod tests;
