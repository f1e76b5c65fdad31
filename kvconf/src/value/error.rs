//! Why bytes are no value, or a value has no bytes.

use derive_more::{Display, Error};

/// Why the bytes of a key are no value of the field's type.
///
/// The message names what stands there, shortened, unless the field is a secret: then it is masked before it gets here.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[display("{message}")]
pub struct DecodeError {
    message: String,
}

impl DecodeError {
    /// An error with this message: lowercase, no full stop, fits behind "checkout.max_items: ".
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// The same error without anything that could show the value.
    #[must_use]
    pub fn masked(self, expected: &str) -> Self {
        Self::new(format!("the secret value is not {expected}"))
    }
}

/// Why a value has no stored form, such as a map whose keys are no text.
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
