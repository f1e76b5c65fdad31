//! Enums and durations: what both readers hand to a visitor.

use std::time::Duration;

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use super::error::{ReadError, Step};
use super::tree::TreeReader;
use crate::value::json::Tree;

/// A variant by name, with what it holds.
pub(super) struct Variant<'a> {
    pub(super) name: &'a str,
    /// `None` where the name stands alone.
    pub(super) content: Option<&'a Tree>,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), ReadError> {
        let name: StrDeserializer<'_, ReadError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'a> Variant<'a> {
    fn content(&self) -> Result<TreeReader<'a>, ReadError> {
        let name = self.name;
        let missing =
            || ReadError::new(format!("the variant `{name}` holds a value: write {{\"{name}\":…}}"));
        self.content.map(TreeReader::new).ok_or_else(missing)
    }

    fn inside(&self, error: ReadError) -> ReadError {
        match self.content {
            Some(tree) => error.about_tree(tree).at(Step::Key(self.name.to_owned())),
            None => error,
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.content {
            None | Some(Tree::Null) => Ok(()),
            Some(_) => Err(ReadError::new(format!("the variant `{0}` holds no value: write {0}", self.name))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(self.content()?).map_err(|error| self.inside(error))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.content()?.deserialize_tuple(len, visitor).map_err(|error| self.inside(error))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.content()?.deserialize_struct("", fields, visitor).map_err(|error| self.inside(error))
    }
}

/// Gives a duration to the visitor that serde has for it.
pub(super) fn visit_duration<'de, V: Visitor<'de>>(
    duration: Duration,
    visitor: V,
) -> Result<V::Value, ReadError> {
    let fields = [("secs", duration.as_secs()), ("nanos", u64::from(duration.subsec_nanos()))];
    visitor.visit_map(MapDeserializer::<_, ReadError>::new(fields.into_iter()))
}
