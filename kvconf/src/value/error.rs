//! Why bytes are no value, or a value has no bytes.

use derive_more::{Display, Error};

/// Why the bytes of a key are no value of the field's type.
///
/// The message names what was expected and what stands there, shortened and with control characters escaped. For a value
/// inside JSON it begins with the way to it, as in `[2].port: expected a whole number (u16), found null`. Of a secret
/// it shows nothing but what was expected.
///
/// ```
/// use kvconf::{Codec, DecodeError, Text};
///
/// let error: DecodeError = Codec::<u16>::decode(&Text, b"70000").unwrap_err();
/// assert_eq!(error.to_string(), "`70000` is outside 0..=65535 (u16)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[display("{message}")]
pub struct DecodeError {
    message: String,
    /// Nothing of the value stands in the message: masking it again would only lose what was expected.
    masked: bool,
}

impl DecodeError {
    /// An error with this message: lowercase, no full stop, fits behind "checkout.max_items: ".
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), masked: false }
    }

    /// The same error without anything that could show the value. One that is masked already stays as it is.
    #[must_use]
    pub fn masked(self, expected: &str) -> Self {
        if self.masked {
            return self;
        }
        Self { message: format!("the secret value is not {expected}"), masked: true }
    }

    /// An error whose message shows nothing of the value.
    pub(crate) fn secret(message: impl Into<String>) -> Self {
        Self { message: message.into(), masked: true }
    }
}

/// Why a value has no stored form, such as a map whose keys are no text.
///
/// ```
/// use kvconf::{Codec, EncodeError, Text};
///
/// let error: EncodeError = Text.encode(&f64::NAN).unwrap_err();
/// assert_eq!(error.to_string(), "NaN is not a finite number");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[display("{message}")]
pub struct EncodeError {
    message: String,
}

impl EncodeError {
    /// An error with this message: lowercase, no full stop.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
