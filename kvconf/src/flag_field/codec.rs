//! A field that holds a flag, as the derive sees it.

use bytes::Bytes;

use super::Flag;
use super::read::text_form;
use super::variant::FlagVariant;
use crate::exposure::Observers;
use crate::flag::ContextSchema;
use crate::value::{Codec, DecodeError, EncodeError, Form, Text, ValuePlace, is_meant_as_json};

/// The type of a field with `#[kv(flag)]`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no flag",
    label = "not a `Flag`",
    note = "the type of a field with `flag` is `Flag<bool>`, `Flag<String>` and so on"
)]
pub trait FlagField: Sized {
    /// What the flag serves.
    type Value: FlagVariant;

    /// The flag where there is no key.
    fn missing(key: &str, default: Self::Value) -> Self;
}

impl<T: FlagVariant> FlagField for Flag<T> {
    type Value = T;

    fn missing(key: &str, default: T) -> Self {
        Self::missing(key, default)
    }
}

/// The codec of `#[kv(flag)]`.
#[doc(hidden)]
#[derive(Debug)]
pub struct FlagCodec<T: 'static> {
    /// What to serve where no variant is served; without it the flag's own default variant.
    pub default: Option<fn() -> T>,
    /// Whose attributes rules may ask for.
    pub context: Option<fn() -> &'static ContextSchema>,
}

impl<T: FlagVariant> Codec<Flag<T>> for FlagCodec<T> {
    fn decode(&self, bytes: &[u8]) -> Result<Flag<T>, DecodeError> {
        self.decode_at(ValuePlace::default(), bytes)
    }

    fn decode_at(&self, place: ValuePlace<'_>, bytes: &[u8]) -> Result<Flag<T>, DecodeError> {
        let context = self.context.map(|context| context());
        Flag::read(place, bytes, self.default.map(|default| default()), context)
    }

    fn equip(&self, flag: &mut Flag<T>, observers: &Observers) {
        flag.equip(observers);
    }

    fn encode(&self, flag: &Flag<T>) -> Result<Bytes, EncodeError> {
        flag.stored()
    }

    /// A text that begins as JSON does may be a whole definition.
    fn stored_form(&self, text: Option<&str>) -> Option<Bytes> {
        let text = text?;
        Some(if is_meant_as_json(text) { text.to_owned() } else { text_form(text) }.into())
    }

    fn form(&self) -> Form {
        let value = Box::new(Codec::<T>::form(&Text).inner().clone());
        Form::Flag { value, default: self.default.is_some() }
    }
}
