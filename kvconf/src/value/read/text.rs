//! Plain text for scalars, JSON for the rest; and the keys of maps, which are plain text inside JSON.

use std::borrow::Cow;

use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::enums::{Variant, visit_duration};
use super::error::ReadError;
use super::is_duration;
use super::number::Numeral;
use super::tree::TreeReader;
use crate::value::duration;
use crate::value::json::{Fault, Tree, parse};
use crate::value::show::{quote, quote_text};

/// How many wrappers (newtypes, options) may stand around one value. A type that wraps itself has no end.
pub(in crate::value) const MAX_WRAPPERS: u8 = 16;

/// Methods that read one number.
macro_rules! deserialize_numbers {
    () => {
        deserialize_numbers! {
            deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32 deserialize_u64 visit_u64
            deserialize_u128 visit_u128 deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32
            deserialize_i64 visit_i64 deserialize_i128 visit_i128 deserialize_f32 visit_f32 deserialize_f64 visit_f64
        }
    };
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            visitor.$visit(self.number()?)
        }
    )*};
}
pub(super) use deserialize_numbers;

/// Reads what stands under one key.
#[derive(Clone, Copy)]
pub(in crate::value) struct TextReader<'a> {
    bytes: &'a [u8],
    /// Inside an `Option`, where `null` and JSON strings are not just letters.
    optional: bool,
    wrappers: u8,
}

impl<'a> TextReader<'a> {
    pub(in crate::value) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, optional: false, wrappers: 0 }
    }

    fn wrapped(self) -> Result<Self, ReadError> {
        if self.wrappers >= MAX_WRAPPERS {
            return Err(ReadError::new("the type wraps itself"));
        }
        Ok(Self { wrappers: self.wrappers + 1, ..self })
    }

    pub(in crate::value) fn text(self, expected: &str) -> Result<&'a str, ReadError> {
        let refuse = |_| ReadError::new(format!("expected {expected}, found {}", quote(self.bytes)));
        str::from_utf8(self.bytes).map_err(refuse)
    }

    /// The text as a string: exactly as it is, but for a JSON string inside an `Option`.
    pub(in crate::value) fn string(self, expected: &str) -> Result<Cow<'a, str>, ReadError> {
        let text = self.text(expected)?;
        if self.optional
            && text.trim_ascii_start().starts_with('"')
            && let Ok(Tree::Text(string)) = parse(text)
        {
            return Ok(Cow::Owned(string));
        }
        Ok(Cow::Borrowed(text))
    }

    /// The bytes as they stand there.
    pub(in crate::value) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// What an `Option` reads as `None`.
    pub(in crate::value) fn is_null(self) -> bool {
        self.bytes.trim_ascii() == b"null"
    }

    /// The same inside an `Option`.
    pub(in crate::value) const fn in_option(self) -> Self {
        Self { optional: true, ..self }
    }

    fn number<N: Numeral>(self) -> Result<N, ReadError> {
        N::read(self.text(N::EXPECTED)?).map_err(ReadError::new)
    }

    /// Hands the text over as JSON.
    pub(in crate::value) fn json<T>(
        self,
        expected: &str,
        read: impl FnOnce(TreeReader<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let text = self.text(expected)?;
        let tree = parse(text).map_err(|fault| not_json(expected, text, &fault))?;
        read(TreeReader::new(&tree))
    }
}

pub(in crate::value) fn not_json(expected: &str, text: &str, fault: &Fault) -> ReadError {
    ReadError::new(format!("expected {expected} as JSON, found {}: {fault}", quote_text(text)))
}

/// Texts that begin so are meant as JSON: a slip in them must not make them a string.
pub(crate) fn is_meant_as_json(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '[', '"'])
}

fn read_bool(text: &str) -> Result<bool, ReadError> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(ReadError::new(format!("expected true or false, found {}", quote_text(other)))),
    }
}

pub(super) fn read_char(text: &str) -> Result<char, ReadError> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => Err(ReadError::new(format!("expected one character, found {}", quote_text(text)))),
    }
}

impl<'de> Deserializer<'de> for TextReader<'_> {
    type Error = ReadError;

    deserialize_numbers!();

    /// The type takes what there is: JSON where the text is JSON, else the text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let text = self.text("JSON or text")?;
        match parse(text) {
            Ok(tree) => TreeReader::new(&tree).deserialize_any(visitor),
            Err(fault) if is_meant_as_json(text) => Err(not_json("a value", text, &fault)),
            // Empty or blank: the caller says so.
            Err(_) if text.trim_ascii().is_empty() => Err(ReadError::new("the value is empty")),
            Err(_) => visitor.visit_str(text),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_bool(read_bool(self.text("true or false")?)?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_char(read_char(&self.string("one character")?)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(&self.string("a text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_bytes(self.bytes)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_bytes(self.bytes)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_null() {
            return visitor.visit_none();
        }
        visitor.visit_some(self.wrapped()?.in_option())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self.wrapped()?)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.json("null", |tree| tree.deserialize_unit(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.json("a list", |tree| tree.deserialize_seq(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.json("a list", |tree| tree.deserialize_tuple(len, visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.json("an object", |tree| tree.deserialize_map(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if is_duration(name, fields) {
            let text = self.text("a duration such as 3s")?;
            return visit_duration(duration::parse(text).map_err(ReadError::new)?, visitor);
        }
        self.json("an object", |tree| tree.deserialize_struct(name, fields, visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let text = self.string("the name of a variant")?;
        if text.trim_ascii_start().starts_with('{') {
            return self.json("a variant", |tree| tree.deserialize_enum(name, variants, visitor));
        }
        visitor.visit_enum(Variant { name: &text, content: None })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }
}

/// Reads the key of a map entry inside JSON. Only the canonical form of a number will do, so that no two keys are the same.
#[derive(Clone, Copy)]
pub(in crate::value) struct KeyReader<'a> {
    key: &'a str,
    wrappers: u8,
}

impl<'a> KeyReader<'a> {
    pub(in crate::value) const fn new(key: &'a str) -> Self {
        Self { key, wrappers: 0 }
    }

    fn wrapped(self) -> Result<Self, ReadError> {
        if self.wrappers >= MAX_WRAPPERS {
            return Err(ReadError::new("the type wraps itself"));
        }
        Ok(Self { wrappers: self.wrappers + 1, ..self })
    }

    fn number<N: Numeral>(self) -> Result<N, ReadError> {
        let canonical = N::read(self.key).map_err(ReadError::new)?.write();
        if canonical.as_deref() != Some(self.key) {
            let fixed = canonical.unwrap_or_default();
            return Err(ReadError::new(format!(
                "the key {} must be written `{fixed}`",
                quote_text(self.key)
            )));
        }
        N::read(self.key).map_err(ReadError::new)
    }

    fn refuse<T>(self, expected: &str) -> Result<T, ReadError> {
        Err(ReadError::new(format!("expected {expected}, but the key of an object is always a text")))
    }
}

impl<'de> Deserializer<'de> for KeyReader<'_> {
    type Error = ReadError;

    deserialize_numbers!();

    forward_to_deserialize_any! { str string identifier ignored_any }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.key)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_bool(read_bool(self.key)?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_char(read_char(self.key)?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_bytes(self.key.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_bytes(self.key.as_bytes())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self.wrapped()?)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self.wrapped()?)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ReadError> {
        self.refuse("null")
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, ReadError> {
        self.refuse("null")
    }

    fn deserialize_seq<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ReadError> {
        self.refuse("a list")
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ReadError> {
        self.refuse("a list")
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        _: V,
    ) -> Result<V::Value, ReadError> {
        self.refuse("a list")
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ReadError> {
        self.refuse("an object")
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if !is_duration(name, fields) {
            return self.refuse("an object");
        }
        let duration = duration::parse(self.key).map_err(ReadError::new)?;
        let canonical = duration::format(duration);
        if canonical != self.key {
            return Err(ReadError::new(format!(
                "the key {} must be written `{canonical}`",
                quote_text(self.key)
            )));
        }
        visit_duration(duration, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let name: StrDeserializer<'_, ReadError> = self.key.into_deserializer();
        visitor.visit_enum(name)
    }
}
