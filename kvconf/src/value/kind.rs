//! What a type asks for first when it is read.

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

use super::read::is_duration;

/// How many wrappers (newtypes, options) around a value are looked through. A type that wraps itself has no end.
const MAX_WRAPPERS: u8 = 16;

/// What kind of value a type reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValueKind<'n> {
    Whole {
        signed: bool,
        bits: u8,
    },
    Float {
        bits: u8,
    },
    Bool,
    Char,
    Text,
    Bytes,
    Duration,
    /// The names of the variants.
    Enum(Vec<&'n str>),
    Option(Box<Self>),
    Unit,
    List,
    Map,
    /// Whatever stands there: `serde_json::Value`, untagged and internally tagged enums.
    Any,
}

impl ValueKind<'static> {
    /// Asks the type.
    pub(crate) fn of<V: DeserializeOwned>() -> Self {
        let mut kind = None;
        // The error is how the probe ends.
        let _ = V::deserialize(Probe { kind: &mut kind, wrappers: 0 });
        kind.unwrap_or(Self::Any)
    }
}

impl ValueKind<'_> {
    /// What to say where such a value stands empty.
    pub(crate) fn empty(&self) -> String {
        format!("the value is empty, expected {self}; to unset it, delete the key")
    }

    /// Whether `null` is a value.
    pub(crate) fn takes_null(&self) -> bool {
        matches!(self, Self::Option(_) | Self::Unit | Self::Any)
    }
}

/// Fits behind "expected ".
impl fmt::Display for ValueKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { signed, bits } => {
                write!(f, "a whole number ({}{bits})", if *signed { 'i' } else { 'u' })
            }
            Self::Float { bits } => write!(f, "a number (f{bits})"),
            Self::Bool => f.write_str("true or false"),
            Self::Char => f.write_str("one character"),
            Self::Text => f.write_str("a text"),
            Self::Bytes => f.write_str("bytes"),
            Self::Duration => f.write_str("a duration such as 3s"),
            Self::Enum(variants) => write_one_of(variants, f),
            Self::Option(inner) => inner.fmt(f),
            Self::Unit => f.write_str("null"),
            Self::List => f.write_str("a list"),
            Self::Map => f.write_str("an object"),
            Self::Any => f.write_str("JSON or text"),
        }
    }
}

/// `a, b or c`, each quoted.
pub(super) fn write_one_of(names: &[&str], out: &mut impl fmt::Write) -> fmt::Result {
    match names.split_last() {
        None => out.write_str("nothing"),
        Some((last, [])) => write!(out, "`{last}`"),
        Some((last, head)) => write!(out, "`{}` or `{last}`", head.join("`, `")),
    }
}

/// Fails at the first question and remembers what it was.
struct Probe<'k> {
    kind: &'k mut Option<ValueKind<'static>>,
    wrappers: u8,
}

/// The end of a probe.
#[derive(Debug)]
struct Asked;

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("asked")
    }
}

impl std::error::Error for Asked {}

impl de::Error for Asked {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Probe<'_> {
    fn answer<T>(self, kind: ValueKind<'static>) -> Result<T, Asked> {
        *self.kind = Some(kind);
        Err(Asked)
    }
}

macro_rules! answers {
    ($($method:ident($($arg:ty),*) => $kind:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, $(_: $arg,)* _: V) -> Result<V::Value, Asked> {
            self.answer($kind)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Asked;

    answers! {
        deserialize_any() => ValueKind::Any;
        deserialize_ignored_any() => ValueKind::Any;
        deserialize_bool() => ValueKind::Bool;
        deserialize_u8() => ValueKind::Whole { signed: false, bits: 8 };
        deserialize_u16() => ValueKind::Whole { signed: false, bits: 16 };
        deserialize_u32() => ValueKind::Whole { signed: false, bits: 32 };
        deserialize_u64() => ValueKind::Whole { signed: false, bits: 64 };
        deserialize_u128() => ValueKind::Whole { signed: false, bits: 128 };
        deserialize_i8() => ValueKind::Whole { signed: true, bits: 8 };
        deserialize_i16() => ValueKind::Whole { signed: true, bits: 16 };
        deserialize_i32() => ValueKind::Whole { signed: true, bits: 32 };
        deserialize_i64() => ValueKind::Whole { signed: true, bits: 64 };
        deserialize_i128() => ValueKind::Whole { signed: true, bits: 128 };
        deserialize_f32() => ValueKind::Float { bits: 32 };
        deserialize_f64() => ValueKind::Float { bits: 64 };
        deserialize_char() => ValueKind::Char;
        deserialize_str() => ValueKind::Text;
        deserialize_string() => ValueKind::Text;
        deserialize_identifier() => ValueKind::Text;
        deserialize_bytes() => ValueKind::Bytes;
        deserialize_byte_buf() => ValueKind::Bytes;
        deserialize_unit() => ValueKind::Unit;
        deserialize_unit_struct(&'static str) => ValueKind::Unit;
        deserialize_seq() => ValueKind::List;
        deserialize_tuple(usize) => ValueKind::List;
        deserialize_tuple_struct(&'static str, usize) => ValueKind::List;
        deserialize_map() => ValueKind::Map;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Asked> {
        let mut inner = None;
        if self.wrappers < MAX_WRAPPERS {
            let _ = visitor.visit_some(Probe { kind: &mut inner, wrappers: self.wrappers + 1 });
        }
        self.answer(ValueKind::Option(Box::new(inner.unwrap_or(ValueKind::Any))))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Asked> {
        if self.wrappers >= MAX_WRAPPERS {
            return self.answer(ValueKind::Any);
        }
        visitor.visit_newtype_struct(Probe { wrappers: self.wrappers + 1, ..self })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Asked> {
        let duration = is_duration(name, fields);
        self.answer(if duration { ValueKind::Duration } else { ValueKind::Map })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Asked> {
        self.answer(ValueKind::Enum(variants.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::IpAddr;
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Port(#[expect(dead_code, reason = "only read")] u16);

    #[derive(Deserialize)]
    enum Level {
        Debug,
        #[serde(rename = "info")]
        Info,
    }

    #[derive(Deserialize)]
    struct Endless(#[expect(dead_code, reason = "only read")] Option<Box<Endless>>);

    #[test]
    fn types_say_what_they_read() {
        assert_eq!(ValueKind::of::<i128>(), ValueKind::Whole { signed: true, bits: 128 });
        assert_eq!(ValueKind::of::<Port>(), ValueKind::Whole { signed: false, bits: 16 });
        assert_eq!(ValueKind::of::<Level>(), ValueKind::Enum(vec!["Debug", "info"]));
        assert_eq!(
            ValueKind::of::<Option<Box<Duration>>>(),
            ValueKind::Option(Box::new(ValueKind::Duration))
        );
        assert_eq!(ValueKind::of::<IpAddr>(), ValueKind::Text);
        assert_eq!(ValueKind::of::<BTreeMap<u8, u8>>(), ValueKind::Map);
        assert_eq!(ValueKind::of::<serde_json::Value>(), ValueKind::Any);
    }

    #[test]
    fn a_type_that_wraps_itself_is_any() {
        let mut kind = ValueKind::of::<Endless>();
        while let ValueKind::Option(inner) = kind {
            kind = *inner;
        }
        assert_eq!(kind, ValueKind::Any);
    }

    #[test]
    fn kinds_fit_behind_expected() {
        assert_eq!(ValueKind::of::<u8>().to_string(), "a whole number (u8)");
        assert_eq!(ValueKind::of::<Option<f32>>().to_string(), "a number (f32)");
        assert_eq!(ValueKind::of::<Level>().to_string(), "`Debug` or `info`");
    }
}
