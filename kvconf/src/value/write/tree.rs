//! Values to JSON trees.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::key::KeyWriter;
use crate::value::EncodeError;
use crate::value::duration;
use crate::value::json::{MAX_DEPTH, Tree, parse};
use crate::value::read::{Numeral, is_duration};
use crate::value::show::{quote_text, tame};

/// Why a value has no stored form.
#[derive(Debug)]
pub(super) struct WriteError(String);

impl WriteError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WriteError {}

impl ser::Error for WriteError {
    fn custom<T: Display>(message: T) -> Self {
        Self(tame(&message.to_string()))
    }
}

impl From<WriteError> for EncodeError {
    fn from(error: WriteError) -> Self {
        Self::new(error.0)
    }
}

/// Writes one value.
#[derive(Clone, Copy)]
pub(super) struct TreeWriter {
    /// How many lists, objects and options stand around it: not more than can be read again, and a stack has an end.
    depth: u8,
}

impl TreeWriter {
    pub(super) const fn new() -> Self {
        Self { depth: 0 }
    }

    fn inside(self) -> Result<Self, WriteError> {
        if self.depth >= MAX_DEPTH {
            return Err(WriteError::new(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }

    fn list(self) -> Result<ListWriter, WriteError> {
        Ok(ListWriter { item: self.inside()?, items: Vec::new(), variant: None })
    }

    fn object(self) -> Result<ObjectWriter, WriteError> {
        Ok(ObjectWriter {
            value: self.inside()?,
            entries: BTreeMap::new(),
            key: None,
            name: "",
            variant: None,
        })
    }
}

pub(super) fn write_number<N: Numeral + Copy + Display>(number: N) -> Result<String, WriteError> {
    number.write().ok_or_else(|| WriteError::new(format!("{number} is not a finite number")))
}

fn tagged(variant: Option<&'static str>, tree: Tree) -> Tree {
    match variant {
        Some(variant) => Tree::Object(BTreeMap::from([(variant.to_owned(), tree)])),
        None => tree,
    }
}

macro_rules! serialize_numbers {
    ($($method:ident $type:ty)*) => {$(
        fn $method(self, number: $type) -> Result<Tree, WriteError> {
            write_number(number).map(Tree::Number)
        }
    )*};
}

impl Serializer for TreeWriter {
    type Ok = Tree;
    type Error = WriteError;
    type SerializeSeq = ListWriter;
    type SerializeTuple = ListWriter;
    type SerializeTupleStruct = ListWriter;
    type SerializeTupleVariant = ListWriter;
    type SerializeMap = ObjectWriter;
    type SerializeStruct = ObjectWriter;
    type SerializeStructVariant = ObjectWriter;

    serialize_numbers! {
        serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 serialize_u64 u64 serialize_u128 u128
        serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 serialize_i128 i128
        serialize_f32 f32 serialize_f64 f64
    }

    fn serialize_bool(self, value: bool) -> Result<Tree, WriteError> {
        Ok(Tree::Bool(value))
    }

    fn serialize_char(self, value: char) -> Result<Tree, WriteError> {
        Ok(Tree::Text(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result<Tree, WriteError> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Tree, WriteError> {
        Ok(Tree::Bytes(value.to_vec()))
    }

    fn serialize_none(self) -> Result<Tree, WriteError> {
        Ok(Tree::Null)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Tree, WriteError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Tree, WriteError> {
        Ok(Tree::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Tree, WriteError> {
        Ok(Tree::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Tree, WriteError> {
        Ok(Tree::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Tree, WriteError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Tree, WriteError> {
        Ok(tagged(Some(variant), value.serialize(self.inside()?)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ListWriter, WriteError> {
        self.list()
    }

    fn serialize_tuple(self, _: usize) -> Result<ListWriter, WriteError> {
        self.list()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<ListWriter, WriteError> {
        self.list()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ListWriter, WriteError> {
        Ok(ListWriter { variant: Some(variant), ..self.inside()?.list()? })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<ObjectWriter, WriteError> {
        self.object()
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<ObjectWriter, WriteError> {
        Ok(ObjectWriter { name, ..self.object()? })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ObjectWriter, WriteError> {
        Ok(ObjectWriter { variant: Some(variant), ..self.inside()?.object()? })
    }
}

/// Writes the items of a list.
pub(super) struct ListWriter {
    item: TreeWriter,
    items: Vec<Tree>,
    variant: Option<&'static str>,
}

impl ListWriter {
    fn push<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        self.items.push(value.serialize(self.item)?);
        Ok(())
    }

    fn finish(self) -> Tree {
        tagged(self.variant, Tree::List(self.items))
    }
}

impl SerializeSeq for ListWriter {
    type Ok = Tree;
    type Error = WriteError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, WriteError> {
        Ok(self.finish())
    }
}

impl SerializeTuple for ListWriter {
    type Ok = Tree;
    type Error = WriteError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, WriteError> {
        Ok(self.finish())
    }
}

impl SerializeTupleStruct for ListWriter {
    type Ok = Tree;
    type Error = WriteError;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, WriteError> {
        Ok(self.finish())
    }
}

impl SerializeTupleVariant for ListWriter {
    type Ok = Tree;
    type Error = WriteError;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, WriteError> {
        Ok(self.finish())
    }
}

/// What `serde_json` calls the struct and its field.
const JSON_NUMBER: &str = "$serde_json::private::Number";

/// Writes the entries of an object.
pub(super) struct ObjectWriter {
    value: TreeWriter,
    entries: BTreeMap<String, Tree>,
    /// The key whose value comes next.
    key: Option<String>,
    /// Of the struct; empty for a map.
    name: &'static str,
    variant: Option<&'static str>,
}

impl ObjectWriter {
    fn put<T: ?Sized + Serialize>(&mut self, key: String, value: &T) -> Result<(), WriteError> {
        let value = value.serialize(self.value)?;
        // A flattened struct or a map of enums with renamed variants can bring a key again.
        if self.entries.contains_key(&key) {
            return Err(WriteError::new(format!("the key {} would stand twice", quote_text(&key))));
        }
        self.entries.insert(key, value);
        Ok(())
    }

    fn finish(self) -> Tree {
        if let Some(duration) = self.duration() {
            return Tree::Text(duration::format(duration));
        }
        self.json_number().unwrap_or_else(|| tagged(self.variant, Tree::Object(self.entries)))
    }

    /// A number of `serde_json`, which is a struct of one text where some crate of the build turns on its feature
    /// `arbitrary_precision`.
    fn json_number(&self) -> Option<Tree> {
        match self.entries.get(JSON_NUMBER) {
            Some(Tree::Text(number)) if self.name == JSON_NUMBER => {
                parse(number).ok().filter(|tree| matches!(tree, Tree::Number(_)))
            }
            _ => None,
        }
    }

    /// The duration that these entries are, where serde writes `std::time::Duration`.
    fn duration(&self) -> Option<Duration> {
        if self.entries.len() != 2 || !is_duration(self.name, &["secs", "nanos"]) {
            return None;
        }
        let (Tree::Number(secs), Tree::Number(nanos)) =
            (self.entries.get("secs")?, self.entries.get("nanos")?)
        else {
            return None;
        };
        let nanos = nanos.parse().ok().filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Duration::new(secs.parse().ok()?, nanos))
    }
}

impl SerializeMap for ObjectWriter {
    type Ok = Tree;
    type Error = WriteError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), WriteError> {
        self.key = Some(key.serialize(KeyWriter)?);
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        let key =
            self.key.take().ok_or_else(|| WriteError::new("the type writes a value without its key"))?;
        self.put(key, value)
    }

    fn end(self) -> Result<Tree, WriteError> {
        Ok(self.finish())
    }
}

impl SerializeStruct for ObjectWriter {
    type Ok = Tree;
    type Error = WriteError;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.put(key.to_owned(), value)
    }

    fn end(self) -> Result<Tree, WriteError> {
        Ok(self.finish())
    }
}

impl SerializeStructVariant for ObjectWriter {
    type Ok = Tree;
    type Error = WriteError;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.put(key.to_owned(), value)
    }

    fn end(self) -> Result<Tree, WriteError> {
        Ok(self.finish())
    }
}
