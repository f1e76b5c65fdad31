//! Asking a type one question: what it wants at some place in its values.
//!
//! serde has types say what they want before anything is read. So a deserializer leads the type to the place, gives it
//! samples for what stands in the way, notes what it asks for there, and fails.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::{Form, TextFormat};
use crate::value::read::{KeyReader, MAX_WRAPPERS, TreeReader, is_duration};
use crate::value::{Tree, byte_size, duration};

/// One step down into a value.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Into an option.
    Some,
    /// Into a list or a tuple, behind these items.
    Item(Vec<Tree>),
    /// To the names of an object.
    Key,
    /// To the value with this name.
    Value(String),
    /// To a field of a struct.
    Field(&'static str),
    /// To what stands beside the name of a variant.
    Variant(&'static str),
    /// Builds a struct from these fields, to see which others it misses.
    Build(Vec<(String, Tree)>),
    /// Gives a struct a name that it does not know.
    Stranger,
}

/// What a type wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// A value without parts.
    Plain(Form),
    Option,
    /// Whether it is a set.
    List(bool),
    Tuple(usize),
    Map,
    /// The names, and who asks: the same type asking below itself has no end.
    Struct(&'static [&'static str], &'static str),
    Enum(&'static [&'static str], &'static str),
    /// The variant's name stands alone.
    NoContent,
    /// A name of a struct, where a map was asked for: one with flattened fields.
    Identifier,
    /// To [`Step::Build`]: this field is missing too.
    Missing(&'static str),
    /// To [`Step::Build`]: none is missing. To [`Step::Stranger`]: it is ignored.
    Content,
    /// To [`Step::Stranger`]: it is refused.
    Refused,
}

/// Asks a type what it wants at a place. `None` where it cannot be led there.
pub(super) fn ask<V: DeserializeOwned>(path: &[Step]) -> Option<Answer> {
    let found = RefCell::new(None);
    // The error is how a question ends.
    let _ = V::deserialize(Guide { path, found: &found, wrappers: 0 });
    found.into_inner()
}

/// How the compiler calls the sets of the standard library. Where it one day calls them otherwise they are lists.
const SETS: [&str; 2] =
    ["alloc::collections::btree::set::BTreeSet<", "std::collections::hash::set::HashSet<"];

/// Leads along a path.
#[derive(Clone, Copy)]
struct Guide<'a> {
    path: &'a [Step],
    found: &'a RefCell<Option<Answer>>,
    wrappers: u8,
}

/// The end of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Asked,
    Missing(&'static str),
    Unknown,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("asked")
    }
}

impl std::error::Error for End {}

impl de::Error for End {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Asked
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::Unknown
    }
}

impl Guide<'_> {
    /// Notes an answer at the end of the path; before it the type has nothing where the path leads.
    fn answer<T>(self, answer: Answer) -> Result<T, End> {
        if self.path.is_empty() {
            *self.found.borrow_mut() = Some(answer);
        }
        Err(End::Asked)
    }

    fn plain<T>(self, form: Form) -> Result<T, End> {
        self.answer(Answer::Plain(form))
    }

    fn behind(self) -> Self {
        Self { path: self.path.get(1..).unwrap_or_default(), ..self }
    }

    fn whole<'de, V: Visitor<'de>>(self, signed: bool, bits: u8, visitor: &V) -> Result<V::Value, End> {
        // Of the types of the standard library only `NonZero…` asks for a number with other words.
        let nonzero = expecting(visitor).starts_with("a nonzero ");
        self.plain(Form::Whole { signed, bits, nonzero })
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: &V) -> Result<V::Value, End> {
        let expected = expecting(visitor);
        match expected.as_str() {
            byte_size::EXPECTED => return self.plain(Form::ByteSize),
            duration::EXPECTED => return self.plain(Form::Duration),
            _ => {}
        }
        self.plain(Form::Text { format: TextFormat::expected(&expected) })
    }

    fn items<'de, V: Visitor<'de>>(self, answer: Answer, visitor: V) -> Result<V::Value, End> {
        match self.path.first() {
            Some(Step::Item(before)) => {
                visitor.visit_seq(Items { before: before.iter(), guide: self.behind() })
            }
            _ => self.answer(answer),
        }
    }

    fn fields<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, End> {
        match self.path.first() {
            Some(Step::Field(name)) => {
                visitor.visit_map(Entry { name: Some(name), is_name_asked: false, guide: self.behind() })
            }
            Some(Step::Build(entries)) => {
                let end = visitor.visit_map(Samples { entries: entries.iter(), value: None });
                let answer = match end {
                    Ok(_) => Some(Answer::Content),
                    Err(End::Missing(field)) => Some(Answer::Missing(field)),
                    Err(_) => None,
                };
                *self.found.borrow_mut() = answer;
                Err(End::Asked)
            }
            Some(Step::Stranger) => {
                let entry = Entry { name: Some("\u{0}"), is_name_asked: false, guide: self.behind() };
                let end = visitor.visit_map(entry).err();
                let answer = if end == Some(End::Unknown) { Answer::Refused } else { Answer::Content };
                *self.found.borrow_mut() = Some(answer);
                Err(End::Asked)
            }
            _ => self.answer(Answer::Struct(fields, std::any::type_name::<V>())),
        }
    }
}

fn expecting<'de, V: Visitor<'de>>(visitor: &V) -> String {
    struct Words<'a, V>(&'a V);
    impl<'de, V: Visitor<'de>> fmt::Display for Words<'_, V> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.expecting(f)
        }
    }
    Words(visitor).to_string()
}

macro_rules! plain {
    ($($method:ident => $form:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, End> {
            self.plain($form)
        }
    )*};
}

macro_rules! whole {
    ($($method:ident $signed:literal $bits:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
            self.whole($signed, $bits, &visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Guide<'_> {
    type Error = End;

    plain! {
        deserialize_any => Form::Any;
        deserialize_ignored_any => Form::Any;
        deserialize_bool => Form::Bool;
        deserialize_f32 => Form::Float { bits: 32 };
        deserialize_f64 => Form::Float { bits: 64 };
        deserialize_char => Form::Char;
        deserialize_bytes => Form::Bytes;
        deserialize_byte_buf => Form::Bytes;
        deserialize_unit => Form::Null;
    }

    whole! {
        deserialize_u8 false 8;
        deserialize_u16 false 16;
        deserialize_u32 false 32;
        deserialize_u64 false 64;
        deserialize_u128 false 128;
        deserialize_i8 true 8;
        deserialize_i16 true 16;
        deserialize_i32 true 32;
        deserialize_i64 true 64;
        deserialize_i128 true 128;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        self.text(&visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        self.text(&visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, End> {
        self.answer(Answer::Identifier)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, End> {
        self.plain(Form::Null)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        match self.path.first() {
            Some(Step::Some) => visitor.visit_some(self.behind()),
            _ => self.answer(Answer::Option),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, End> {
        if self.wrappers >= MAX_WRAPPERS {
            return self.plain(Form::Any);
        }
        visitor.visit_newtype_struct(Self { wrappers: self.wrappers + 1, ..self })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        let value = std::any::type_name::<V::Value>();
        self.items(Answer::List(SETS.iter().any(|set| value.starts_with(set))), visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, End> {
        self.items(Answer::Tuple(len), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, End> {
        self.items(Answer::Tuple(len), visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        match self.path.first() {
            Some(Step::Key) => {
                visitor.visit_map(Entry { name: Some(""), is_name_asked: true, guide: self.behind() })
            }
            Some(Step::Value(name)) => {
                visitor.visit_map(Entry { name: Some(name), is_name_asked: false, guide: self.behind() })
            }
            _ => self.answer(Answer::Map),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, End> {
        if is_duration(name, fields) {
            return self.plain(Form::Duration);
        }
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, End> {
        match self.path.first() {
            Some(Step::Variant(name)) => visitor.visit_enum(Named { name, guide: self.behind() }),
            _ => self.answer(Answer::Enum(variants, std::any::type_name::<V>())),
        }
    }
}

/// Samples, and then the item that is asked about.
struct Items<'a> {
    before: std::slice::Iter<'a, Tree>,
    guide: Guide<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = End;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, End> {
        match self.before.next() {
            Some(sample) => seed.deserialize(TreeReader::new(sample)).map(Some).map_err(|_| End::Asked),
            None => seed.deserialize(self.guide).map(Some),
        }
    }
}

/// One entry, of which the name or the value is asked about.
struct Entry<'a> {
    name: Option<&'a str>,
    is_name_asked: bool,
    guide: Guide<'a>,
}

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = End;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, End> {
        if self.is_name_asked {
            return seed.deserialize(self.guide).map(Some);
        }
        let Some(name) = self.name.take() else { return Ok(None) };
        seed.deserialize(NameReader(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, End> {
        seed.deserialize(self.guide)
    }
}

/// Methods that read a name as any reader of JSON does.
macro_rules! read_name {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
            KeyReader::new(self.0).$method(visitor).map_err(|_| End::Asked)
        }
    )*};
}

/// Reads a name as readers do, but keeps what kind of error it was.
struct NameReader<'a>(&'a str);

impl<'de> Deserializer<'de> for NameReader<'_> {
    type Error = End;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        KeyReader::new(self.0).deserialize_any(visitor).map_err(|_| End::Asked)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        let name: StrDeserializer<'_, End> = self.0.into_deserializer();
        name.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, End> {
        KeyReader::new(self.0).deserialize_newtype_struct(name, visitor).map_err(|_| End::Asked)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, End> {
        KeyReader::new(self.0).deserialize_enum(name, variants, visitor).map_err(|_| End::Asked)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, End> {
        KeyReader::new(self.0).deserialize_struct(name, fields, visitor).map_err(|_| End::Asked)
    }

    read_name! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option
    }

    serde::forward_to_deserialize_any! { unit unit_struct seq tuple tuple_struct map ignored_any }
}

/// Fields with samples.
struct Samples<'a> {
    entries: std::slice::Iter<'a, (String, Tree)>,
    value: Option<&'a Tree>,
}

impl<'de> MapAccess<'de> for Samples<'_> {
    type Error = End;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, End> {
        let Some((name, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(NameReader(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, End> {
        let value = self.value.take().unwrap_or(&Tree::Null);
        seed.deserialize(TreeReader::new(value)).map_err(|_| End::Asked)
    }
}

/// A variant by name, whose content is asked about.
struct Named<'a> {
    name: &'static str,
    guide: Guide<'a>,
}

impl<'de> EnumAccess<'de> for Named<'_> {
    type Error = End;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), End> {
        let name: StrDeserializer<'_, End> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Named<'_> {
    type Error = End;

    fn unit_variant(self) -> Result<(), End> {
        self.guide.answer(Answer::NoContent)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, End> {
        seed.deserialize(self.guide)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, End> {
        self.guide.items(Answer::Tuple(len), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, End> {
        self.guide.fields(fields, visitor)
    }
}
