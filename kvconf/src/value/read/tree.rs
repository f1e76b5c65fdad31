//! Values from JSON. No number is read from a text, no text from a number, no struct from a list.

use std::collections::btree_map;
use std::slice;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::enums::{Variant, visit_duration};
use super::error::{ReadError, Step};
use super::is_duration;
use super::number::Numeral;
use super::text::{KeyReader, MAX_WRAPPERS, deserialize_numbers, read_char};
use crate::value::duration;
use crate::value::json::Tree;

/// Reads one JSON value.
#[derive(Clone, Copy)]
pub(in crate::value) struct TreeReader<'a> {
    tree: &'a Tree,
    wrappers: u8,
}

impl<'a> TreeReader<'a> {
    pub(in crate::value) const fn new(tree: &'a Tree) -> Self {
        Self { tree, wrappers: 0 }
    }

    /// What is read.
    pub(in crate::value) const fn tree(self) -> &'a Tree {
        self.tree
    }

    fn wrapped(self) -> Result<Self, ReadError> {
        if self.wrappers >= MAX_WRAPPERS {
            return Err(ReadError::new("the type wraps itself"));
        }
        Ok(Self { wrappers: self.wrappers + 1, ..self })
    }

    fn number<N: Numeral>(self) -> Result<N, ReadError> {
        match self.tree {
            Tree::Number(number) => N::read(number).map_err(ReadError::new),
            other => Err(ReadError::mismatch(N::EXPECTED, other)),
        }
    }

    fn string(self, expected: &str) -> Result<&'a str, ReadError> {
        match self.tree {
            Tree::Text(text) => Ok(text),
            other => Err(ReadError::mismatch(expected, other)),
        }
    }

    fn list(self) -> Result<&'a [Tree], ReadError> {
        match self.tree {
            Tree::List(items) => Ok(items),
            other => Err(ReadError::mismatch("a list", other)),
        }
    }

    /// Like an own number type: whole numbers are never rounded, not even beyond 64 bits.
    fn visit_number<'de, V: Visitor<'de>>(number: &str, visitor: V) -> Result<V::Value, ReadError> {
        if number.contains(['.', 'e', 'E']) || number == "-0" {
            return visitor.visit_f64(f64::read(number).map_err(ReadError::new)?);
        }
        if let Ok(number) = number.parse() {
            return visitor.visit_u64(number);
        }
        if let Ok(number) = number.parse() {
            return visitor.visit_i64(number);
        }
        if let Ok(number) = number.parse() {
            return visitor.visit_u128(number);
        }
        visitor.visit_i128(i128::read(number).map_err(ReadError::new)?)
    }
}

impl<'de> Deserializer<'de> for TreeReader<'_> {
    type Error = ReadError;

    deserialize_numbers!();

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.tree {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Number(number) => Self::visit_number(number, visitor),
            Tree::Text(text) => visitor.visit_str(text),
            Tree::List(_) => self.deserialize_seq(visitor),
            Tree::Object(_) => self.deserialize_map(visitor),
            Tree::Bytes(bytes) => visitor.visit_bytes(bytes),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.tree {
            Tree::Bool(value) => visitor.visit_bool(*value),
            other => Err(ReadError::mismatch("true or false", other)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_char(read_char(self.string("one character")?)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.string("a text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let byte = |(index, item)| TreeReader::new(item).number::<u8>().map_err(|e| e.at(Step::Index(index)));
        let bytes: Result<Vec<u8>, ReadError> = self.list()?.iter().enumerate().map(byte).collect();
        visitor.visit_byte_buf(bytes?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.tree {
            Tree::Null => visitor.visit_none(),
            _ => visitor.visit_some(self.wrapped()?),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self.wrapped()?)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.tree {
            Tree::Null => visitor.visit_unit(),
            other => Err(ReadError::mismatch("null", other)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let items = self.list()?;
        let mut list = List { items: items.iter(), index: 0 };
        let value = visitor.visit_seq(&mut list)?;
        if list.items.len() > 0 {
            return Err(ReadError::new(format!("expected {} items, found {}", list.index, items.len())));
        }
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, ReadError> {
        let found = self.list()?.len();
        if found != len {
            return Err(ReadError::new(format!("expected a list of {len} items, found {found}")));
        }
        self.deserialize_seq(visitor)
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
        match self.tree {
            Tree::Object(entries) => visitor.visit_map(Object { entries: entries.iter(), entry: None }),
            other => Err(ReadError::mismatch("an object", other)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        // As an object it is what other serde formats write; kvconf writes the text.
        if is_duration(name, fields) && !matches!(self.tree, Tree::Object(_)) {
            let text = match self.tree {
                Tree::Text(text) => text,
                // For the hint that a unit is missing.
                Tree::Number(number) => number,
                other => return Err(ReadError::mismatch("a duration such as 3s", other)),
            };
            return visit_duration(duration::parse(text).map_err(ReadError::new)?, visitor);
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.tree {
            Tree::Text(name) => visitor.visit_enum(Variant { name, content: None }),
            Tree::Object(entries) => match entries.iter().next() {
                Some((name, content)) if entries.len() == 1 => {
                    visitor.visit_enum(Variant { name, content: Some(content) })
                }
                _ => Err(ReadError::new(format!("expected one variant, found {}", entries.len()))),
            },
            other => Err(ReadError::mismatch("a variant", other)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }
}

/// The items of a list.
struct List<'a> {
    items: slice::Iter<'a, Tree>,
    index: usize,
}

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(TreeReader::new(item))
            .map(Some)
            .map_err(|error| error.about_tree(item).at(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of an object.
struct Object<'a> {
    entries: btree_map::Iter<'a, String, Tree>,
    /// The one whose key was read last.
    entry: Option<(&'a String, &'a Tree)>,
}

impl<'de> MapAccess<'de> for Object<'_> {
    type Error = ReadError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        self.entry = self.entries.next();
        let Some((key, _)) = self.entry else { return Ok(None) };
        seed.deserialize(KeyReader::new(key)).map(Some).map_err(|error| error.about(Some(key)))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let (key, value) =
            self.entry.take().ok_or_else(|| ReadError::new("the type asks for a value without its key"))?;
        seed.deserialize(TreeReader::new(value))
            .map_err(|error| error.about_tree(value).at(Step::Key(key.clone())))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}
