//! Keys of maps, which are texts in JSON.

use std::fmt::Display;

use serde::ser::{Impossible, Serialize, Serializer};

use super::tree::{TreeWriter, WriteError, write_number};
use crate::value::json::Tree;

/// Writes the key of one entry.
pub(super) struct KeyWriter;

fn refuse<T>(what: impl Display) -> Result<T, WriteError> {
    Err(WriteError::new(format!("the keys of a map must have a text form, {what} has none")))
}

macro_rules! serialize_numbers {
    ($($method:ident $type:ty)*) => {$(
        fn $method(self, number: $type) -> Result<String, WriteError> {
            write_number(number)
        }
    )*};
}

impl Serializer for KeyWriter {
    type Ok = String;
    type Error = WriteError;
    type SerializeSeq = Impossible<String, WriteError>;
    type SerializeTuple = Impossible<String, WriteError>;
    type SerializeTupleStruct = Impossible<String, WriteError>;
    type SerializeTupleVariant = Impossible<String, WriteError>;
    type SerializeMap = Impossible<String, WriteError>;
    type SerializeStruct = DurationKey;
    type SerializeStructVariant = Impossible<String, WriteError>;

    serialize_numbers! {
        serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 serialize_u64 u64 serialize_u128 u128
        serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 serialize_i128 i128
        serialize_f32 f32 serialize_f64 f64
    }

    fn serialize_bool(self, value: bool) -> Result<String, WriteError> {
        Ok(value.to_string())
    }

    fn serialize_char(self, value: char) -> Result<String, WriteError> {
        Ok(value.to_string())
    }

    fn serialize_str(self, value: &str) -> Result<String, WriteError> {
        Ok(value.to_owned())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<String, WriteError> {
        str::from_utf8(value).map(str::to_owned).or_else(|_| refuse("what is not UTF-8"))
    }

    fn serialize_none(self) -> Result<String, WriteError> {
        refuse("None")
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<String, WriteError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<String, WriteError> {
        refuse("()")
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<String, WriteError> {
        refuse(name)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, WriteError> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, WriteError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<String, WriteError> {
        refuse(variant)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, WriteError> {
        refuse("a list")
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, WriteError> {
        refuse("a tuple")
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, WriteError> {
        refuse(name)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, WriteError> {
        refuse(variant)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, WriteError> {
        refuse("a map")
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<DurationKey, WriteError> {
        Ok(DurationKey { name, inner: TreeWriter::new().serialize_struct(name, len)? })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, WriteError> {
        refuse(variant)
    }
}

/// A struct as a key: only a duration has a text.
pub(super) struct DurationKey {
    name: &'static str,
    inner: <TreeWriter as Serializer>::SerializeStruct,
}

impl serde::ser::SerializeStruct for DurationKey {
    type Ok = String;
    type Error = WriteError;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.inner.serialize_field(key, value)
    }

    fn end(self) -> Result<String, WriteError> {
        match self.inner.end()? {
            Tree::Text(duration) => Ok(duration),
            _ => refuse(self.name),
        }
    }
}
