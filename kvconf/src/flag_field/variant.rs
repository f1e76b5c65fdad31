//! Which Rust types the values of a flag can have.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::flag::MAX_SAFE_INTEGER;
use crate::value::{Codec, DecodeError, EncodeError, Json as JsonCodec};

/// A type that the variants of a [`Flag`](super::Flag) can have.
///
/// `bool`, whole numbers up to 64 bits, `f32`, `f64`, `String` and JSON objects have it. Derive it for an enum without
/// fields, whose variants are texts, and for a struct, which is an object; serde's derives say how they are written.
///
/// ```
/// use kvconf::flag::DynamicContext;
/// use kvconf::{Flag, FlagVariant};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(FlagVariant, Serialize, Deserialize, Debug, Clone, Copy, PartialEq)]
/// #[serde(rename_all = "kebab-case")]
/// enum Theme {
///     Light,
///     VeryDark,
/// }
///
/// #[derive(FlagVariant, Serialize, Deserialize, Debug, Clone, PartialEq)]
/// struct Limits {
///     items: u32,
/// }
///
/// let visitor = DynamicContext::new();
/// let theme = Flag::parse("theme", "very-dark", Some(Theme::Light))?;
/// assert_eq!(theme.get(&visitor), Theme::VeryDark);
/// let limits = Flag::fixed(Limits { items: 3 });
/// assert_eq!(limits.get(&visitor), &Limits { items: 3 });
/// # Ok::<(), kvconf::DecodeError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a flag",
    label = "not a type of variants",
    note = "derive `FlagVariant`, with serde's derives, for an enum without fields or for a struct"
)]
pub trait FlagVariant: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// What is given out: the value itself where it is small, else borrowed from the flag.
    type Served<'f>;

    /// Gives it out.
    fn served(&self) -> Self::Served<'_>;
}

macro_rules! by_value {
    ($($ty:ty)*) => {$(
        impl FlagVariant for $ty {
            type Served<'f> = Self;

            #[inline]
            fn served(&self) -> Self {
                *self
            }
        }
    )*};
}

by_value! { bool i8 i16 i32 i64 isize u8 u16 u32 u64 usize f32 f64 }

impl FlagVariant for String {
    type Served<'f> = &'f str;

    #[inline]
    fn served(&self) -> &str {
        self
    }
}

/// An object that is known at run time only.
impl FlagVariant for Map<String, Json> {
    type Served<'f> = &'f Self;

    #[inline]
    fn served(&self) -> &Self {
        self
    }
}

/// Reads a variant as kvconf reads what stands inside JSON. Numbers convert only without loss, as the reason
/// `TYPE_MISMATCH` of flagd has it: `10.0` is a whole number, and beyond 2^53 − 1 none is.
pub(super) fn read<T: FlagVariant>(value: &Json) -> Result<T, DecodeError> {
    JsonCodec.decode(read_text(value)?.as_bytes())
}

/// The JSON that a variant is read from.
pub(super) fn read_text(value: &Json) -> Result<String, DecodeError> {
    Ok(match value {
        Json::Number(number) => match number.as_i64() {
            Some(whole) if whole.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() => whole.to_string(),
            None if number.is_f64() => number_text(number.as_f64().unwrap_or_default()),
            _ => {
                return Err(DecodeError::new(format!(
                    "{number} is beyond 2^53 − 1, where numbers are rounded"
                )));
            }
        },
        other => other.to_string(),
    })
}

/// A whole float as a whole number.
fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64 {
        return (number as i64).to_string();
    }
    Json::from(number).to_string()
}

/// The JSON of a value, if it can be read again.
pub(super) fn write<T: FlagVariant>(value: &T) -> Result<Json, EncodeError> {
    let bytes = JsonCodec.encode(value)?;
    let json = serde_json::from_slice(&bytes).map_err(|error| EncodeError::new(error.to_string()))?;
    match read::<T>(&json) {
        Ok(_) => Ok(json),
        Err(error) => Err(EncodeError::new(error.to_string())),
    }
}
