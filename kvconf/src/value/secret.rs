//! Values that are not shown.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kind::ValueKind;
use super::{Codec, DecodeError, EncodeError, Form, MASK, Text};

/// A value that shows itself to nobody who does not ask by name.
///
/// `Debug` and `Display` write `***`. There is no `Serialize`, on purpose: written as it is the secret would leak into
/// whatever somebody serializes, and written as a mask it would one day be stored in place of the secret. To put one into
/// another format, [`expose`](Secret::expose) it there by name.
///
/// Comparing takes longer the more of the beginning is equal: compare a secret with what a stranger sent by a function made
/// for that. The memory is not wiped when it is dropped: the bytes have been in buffers of the connection before.
///
/// ```
/// use kvconf::Secret;
///
/// let key = Secret::new("s3cr3t".to_owned());
/// assert_eq!(format!("{key:?} {key}"), "*** ***");
/// assert_eq!(key.expose(), "s3cr3t");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret<V>(V);

impl<V> Secret<V> {
    /// Hides a value.
    #[must_use]
    pub const fn new(value: V) -> Self {
        Self(value)
    }

    /// The value in clear.
    #[must_use]
    pub const fn expose(&self) -> &V {
        &self.0
    }

    /// Takes the value out, in clear.
    #[must_use]
    pub fn into_exposed(self) -> V {
        self.0
    }
}

impl<V> From<V> for Secret<V> {
    fn from(value: V) -> Self {
        Self(value)
    }
}

/// Writes the mask.
impl<V> fmt::Debug for Secret<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Writes the mask.
impl<V> fmt::Display for Secret<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// What a field marked `secret` may be: `Secret<T>` or `Option<Secret<T>>`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field marked `secret` has the type Secret<T> or Option<Secret<T>>, so that Debug masks it",
    label = "this would show itself"
)]
pub trait SecretValue: Sized + Send + Sync + 'static {
    /// What is stored.
    #[doc(hidden)]
    type Clear: Serialize + DeserializeOwned;

    #[doc(hidden)]
    fn hide(clear: Self::Clear) -> Self;

    #[doc(hidden)]
    fn encode_clear(&self) -> Result<Bytes, EncodeError>;
}

impl<V> SecretValue for Secret<V>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Clear = V;

    fn hide(clear: V) -> Self {
        Self(clear)
    }

    fn encode_clear(&self) -> Result<Bytes, EncodeError> {
        Text.encode(&self.0)
    }
}

impl<V> SecretValue for Option<Secret<V>>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Clear = Option<V>;

    fn hide(clear: Option<V>) -> Self {
        clear.map(Secret)
    }

    fn encode_clear(&self) -> Result<Bytes, EncodeError> {
        Text.encode(&self.as_ref().map(|secret| secret.0.clone()))
    }
}

/// The codec of `#[kv(secret)]`: as [`Text`], of what the secret holds. Its errors show nothing of the value.
#[derive(Debug, Clone, Copy)]
pub struct SecretText;

impl<S: SecretValue> Codec<S> for SecretText {
    fn decode(&self, bytes: &[u8]) -> Result<S, DecodeError> {
        Text.decode(bytes).map(S::hide).map_err(|_| {
            let kind = ValueKind::of::<S::Clear>();
            if bytes.trim_ascii().is_empty() {
                return DecodeError::secret(kind.empty());
            }
            DecodeError::secret(format!("the secret value is not {kind}"))
        })
    }

    fn encode(&self, value: &S) -> Result<Bytes, EncodeError> {
        value.encode_clear().map_err(|_| EncodeError::new("the secret value has no stored form"))
    }

    fn stored_form(&self, text: Option<&str>) -> Option<Bytes> {
        Codec::<S::Clear>::stored_form(&Text, text)
    }

    fn form(&self) -> Form {
        Codec::<S::Clear>::form(&Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<S: SecretValue + fmt::Debug>(bytes: &[u8]) -> String {
        Codec::<S>::decode(&SecretText, bytes).unwrap_err().to_string()
    }

    #[test]
    fn nothing_of_the_value_is_shown() {
        // P11
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {secret} {secret:#?} {:?}", Some(&secret)), "*** *** *** Some(***)");
    }

    #[test]
    fn errors_show_what_was_expected_and_nothing_else() {
        // P11
        assert_eq!(fault::<Secret<u16>>(b"hunter2"), "the secret value is not a whole number (u16)");
        assert_eq!(fault::<Option<Secret<u16>>>(b"hunter2"), "the secret value is not a whole number (u16)");
        assert_eq!(fault::<Secret<Vec<u16>>>(br#"["hunter2"]"#), "the secret value is not a list");
        assert_eq!(fault::<Secret<String>>(b"hunter\xff"), "the secret value is not a text");
        assert_eq!(
            fault::<Secret<u16>>(b""),
            "the value is empty, expected a whole number (u16); to unset it, delete the key"
        );
        let error = SecretText.encode(&Secret::new(f64::NAN)).unwrap_err();
        assert_eq!(error.to_string(), "the secret value has no stored form");
    }

    #[test]
    fn a_masked_error_stays_as_it_is() {
        let error = Codec::<Secret<u16>>::decode(&SecretText, b"x").unwrap_err();
        assert_eq!(error.clone().masked("Secret<u16>"), error);
        let error = DecodeError::new("`hunter2` is no number").masked("a number");
        assert_eq!(error.to_string(), "the secret value is not a number");
    }

    #[test]
    fn stored_as_what_the_secret_holds() {
        let encoded = SecretText.encode(&Secret::new("s3cr3t".to_owned())).unwrap();
        assert_eq!(encoded, "s3cr3t");
        assert_eq!(SecretText.decode(&encoded), Ok(Secret::new("s3cr3t".to_owned())));
        assert_eq!(SecretText.decode(b"null"), Ok(None::<Secret<String>>));
        assert_eq!(SecretText.decode(b"\"null\""), Ok(Some(Secret::new("null".to_owned()))));
        assert_eq!(SecretText.encode(&Some(Secret::new(7_u8))).unwrap(), "7");
    }
}
