//! Numbers from text, exactly or not at all.

use std::num::IntErrorKind;

use crate::value::show::quote_text;

/// A primitive number.
pub(in crate::value) trait Numeral: Sized {
    /// Fits behind "expected ".
    const EXPECTED: &'static str;

    /// Reads the whole text. A number that this type cannot hold as it stands is an error, never another number.
    fn read(text: &str) -> Result<Self, String>;

    /// The canonical text, which is JSON. `None` for what is no finite number.
    fn write(self) -> Option<String>;
}

macro_rules! whole_numerals {
    ($($type:ty)*) => {$(
        impl Numeral for $type {
            const EXPECTED: &'static str = concat!("a whole number (", stringify!($type), ")");

            fn read(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: std::num::ParseIntError| {
                    let outside = matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow);
                    if outside || is_negative_whole(text) {
                        let (min, max) = (Self::MIN, Self::MAX);
                        format!("{} is outside {min}..={max} ({})", quote_text(text), stringify!($type))
                    } else {
                        format!("{} is not {}", quote_text(text), Self::EXPECTED)
                    }
                })
            }

            fn write(self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}

whole_numerals! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 }

/// To an unsigned type a minus is no digit, but the number is whole nevertheless.
fn is_negative_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

macro_rules! float_numerals {
    ($($type:ty)*) => {$(
        impl Numeral for $type {
            const EXPECTED: &'static str = concat!("a number (", stringify!($type), ")");

            fn read(text: &str) -> Result<Self, String> {
                // `parse` takes "inf", "infinity" and "nan" too.
                let number: Option<Self> = text.parse().ok().filter(|number: &Self| !number.is_nan());
                match number {
                    Some(number) if number.is_finite() => Ok(number),
                    Some(_) if text.contains(|c: char| c.is_ascii_digit()) => {
                        Err(format!("{} is outside the range of {}", quote_text(text), stringify!($type)))
                    }
                    _ => Err(format!("{} is not {}", quote_text(text), Self::EXPECTED)),
                }
            }

            fn write(self) -> Option<String> {
                // The shortest text that reads back as the same bits; unlike `Display`, with an exponent where that is
                // shorter, and `1.0` rather than `1`.
                self.is_finite().then(|| format!("{self:?}"))
            }
        }
    )*};
}

float_numerals! { f32 f64 }
