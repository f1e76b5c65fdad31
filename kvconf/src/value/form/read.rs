//! Reading values without their type, by the form alone.
//!
//! Scalars are read by the very types that have such a form, and everything around them in the steps of the readers, so that
//! a value is refused in the same words.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroU8, NonZeroU16, NonZeroU32,
    NonZeroU64, NonZeroU128,
};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::Deserializer;

use super::{Form, FormField, TextFormat, Variant};
use crate::value::read::{
    KeyReader, Numeral, ReadError, StepTo, TextReader, TreeReader, by_json, by_text, is_meant_as_json,
    unknown_field, unknown_variant,
};
use crate::value::{ByteSize, DecodeError, Tree, duration, json};

impl Form {
    /// Reads stored bytes: the value in its own form, or why it is none. Flags, and forms that only the program knows, are
    /// not read here.
    pub(crate) fn read(&self, bytes: &[u8]) -> Result<Tree, DecodeError> {
        match self {
            Self::Json { of } => by_json(bytes, &|| of.kind(), |tree| of.read_tree(tree)),
            Self::Flag { .. } | Self::Opaque => Ok(Tree::Bytes(bytes.to_vec())),
            form => by_text(bytes, &|| form.kind(), |reader| form.read_text(reader)),
        }
    }

    /// The stored form of what [`Self::read`] gave, for messages.
    pub(crate) fn stored(&self, tree: &Tree) -> Vec<u8> {
        match (self, tree) {
            (Self::Json { .. }, tree) => tree.to_json().into_bytes(),
            (_, Tree::Text(text)) if crate::value::write::is_itself(text, &self.kind()) => {
                text.clone().into_bytes()
            }
            (_, Tree::Bytes(bytes)) => bytes.clone(),
            (_, tree) => tree.to_json().into_bytes(),
        }
    }

    fn read_text(&self, reader: TextReader<'_>) -> Result<Tree, ReadError> {
        match self {
            Self::Option { .. } if reader.is_null() => Ok(Tree::Null),
            Self::Option { of } => of.read_text(reader.in_option()),
            Self::Null => reader.json("null", |tree| self.read_tree(tree.tree())),
            Self::List { .. } | Self::Tuple { .. } => {
                reader.json("a list", |tree| self.read_tree(tree.tree()))
            }
            Self::Map { .. } | Self::Struct { .. } => {
                reader.json("an object", |tree| self.read_tree(tree.tree()))
            }
            Self::Enum { variants } => {
                let text = reader.string("the name of a variant")?;
                if text.trim_ascii_start().starts_with('{') {
                    return reader.json("a variant", |tree| self.read_tree(tree.tree()));
                }
                read_variant(variants, &text, None)
            }
            Self::Any => {
                let text = reader.text("JSON or text")?;
                match json::parse(text) {
                    Ok(tree) => Ok(tree),
                    Err(fault) if is_meant_as_json(text) => {
                        Err(crate::value::read::not_json("a value", text, &fault))
                    }
                    Err(_) if text.trim_ascii().is_empty() => Err(ReadError::new("the value is empty")),
                    Err(_) => Ok(Tree::Text(text.to_owned())),
                }
            }
            Self::Bytes => Ok(Tree::Bytes(reader.bytes().to_vec())),
            scalar => scalar.read_scalar(reader),
        }
    }

    fn read_tree(&self, tree: &Tree) -> Result<Tree, ReadError> {
        match (self, tree) {
            (Self::Option { .. }, Tree::Null) => Ok(Tree::Null),
            (Self::Option { of } | Self::Json { of }, tree) => of.read_tree(tree),
            (Self::Any | Self::Flag { .. } | Self::Opaque, tree) => Ok(tree.clone()),
            (Self::Null, tree) => <()>::deserialize(TreeReader::new(tree)).map(|()| Tree::Null),
            (Self::Bytes, tree) => Self::List { items: Box::new(BYTE), distinct: false }.read_tree(tree),
            (Self::List { items, .. }, Tree::List(list)) => {
                read_items(list.iter().map(|item| (&**items, item)))
            }
            (Self::Tuple { items }, Tree::List(list)) => {
                if list.len() != items.len() {
                    let (wanted, found) = (items.len(), list.len());
                    return Err(ReadError::new(format!("expected a list of {wanted} items, found {found}")));
                }
                read_items(items.iter().zip(list))
            }
            (Self::List { .. } | Self::Tuple { .. }, other) => Err(ReadError::mismatch("a list", other)),
            (Self::Map { keys, values }, Tree::Object(entries)) => read_map(keys, values, entries),
            (Self::Struct { fields, closed, .. }, Tree::Object(entries)) => {
                read_struct(fields, *closed, entries)
            }
            (Self::Map { .. } | Self::Struct { .. }, other) => Err(ReadError::mismatch("an object", other)),
            (Self::Enum { variants }, Tree::Text(name)) => read_variant(variants, name, None),
            (Self::Enum { variants }, Tree::Object(entries)) => match entries.iter().next() {
                Some((name, content)) if entries.len() == 1 => read_variant(variants, name, Some(content)),
                _ => Err(ReadError::new(format!("expected one variant, found {}", entries.len()))),
            },
            (Self::Enum { .. }, other) => Err(ReadError::mismatch("a variant", other)),
            (scalar, tree) => scalar.read_scalar(TreeReader::new(tree)),
        }
    }

    /// By the type itself.
    fn read_scalar<'de, D: Deserializer<'de, Error = ReadError>>(&self, from: D) -> Result<Tree, ReadError> {
        match self {
            Self::Bool => bool::deserialize(from).map(Tree::Bool),
            Self::Whole { signed, bits, nonzero: false } => read_whole(*signed, *bits, from),
            Self::Whole { signed, bits, nonzero: true } => read_nonzero(*signed, *bits, from),
            Self::Float { bits: 32 } => f32::deserialize(from).and_then(number),
            Self::Float { .. } => f64::deserialize(from).and_then(number),
            Self::Char => char::deserialize(from).map(|letter| Tree::Text(letter.to_string())),
            Self::Text { format } => read_text_as(format.as_ref(), from),
            Self::Duration => Duration::deserialize(from).map(|time| Tree::Text(duration::format(time))),
            Self::ByteSize => ByteSize::deserialize(from).map(shown),
            // The others are no scalars, and read before.
            _ => Err(ReadError::new("cannot be read without the program")),
        }
    }

    fn read_key(&self, key: &str) -> Result<(), ReadError> {
        match self.inner() {
            Self::Enum { variants } => read_variant(variants, key, None).map(drop),
            Self::Any | Self::Opaque => Ok(()),
            form => form.read_scalar(KeyReader::new(key)).map(drop),
        }
    }
}

const BYTE: Form = Form::Whole { signed: false, bits: 8, nonzero: false };

fn number<N: Numeral>(number: N) -> Result<Tree, ReadError> {
    number.write().map(Tree::Number).ok_or_else(|| ReadError::new("no finite number"))
}

#[expect(clippy::needless_pass_by_value, reason = "it fits behind `map`")]
fn shown(value: impl ToString) -> Tree {
    Tree::Text(value.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it fits behind `map`")]
fn digits(value: impl ToString) -> Tree {
    Tree::Number(value.to_string())
}

fn read_whole<'de, D: Deserializer<'de, Error = ReadError>>(
    signed: bool,
    bits: u8,
    from: D,
) -> Result<Tree, ReadError> {
    match (signed, bits) {
        (false, 8) => u8::deserialize(from).map(digits),
        (false, 16) => u16::deserialize(from).map(digits),
        (false, 32) => u32::deserialize(from).map(digits),
        (false, 64) => u64::deserialize(from).map(digits),
        (false, _) => u128::deserialize(from).map(digits),
        (true, 8) => i8::deserialize(from).map(digits),
        (true, 16) => i16::deserialize(from).map(digits),
        (true, 32) => i32::deserialize(from).map(digits),
        (true, 64) => i64::deserialize(from).map(digits),
        (true, _) => i128::deserialize(from).map(digits),
    }
}

fn read_nonzero<'de, D: Deserializer<'de, Error = ReadError>>(
    signed: bool,
    bits: u8,
    from: D,
) -> Result<Tree, ReadError> {
    match (signed, bits) {
        (false, 8) => NonZeroU8::deserialize(from).map(digits),
        (false, 16) => NonZeroU16::deserialize(from).map(digits),
        (false, 32) => NonZeroU32::deserialize(from).map(digits),
        (false, 64) => NonZeroU64::deserialize(from).map(digits),
        (false, _) => NonZeroU128::deserialize(from).map(digits),
        (true, 8) => NonZeroI8::deserialize(from).map(digits),
        (true, 16) => NonZeroI16::deserialize(from).map(digits),
        (true, 32) => NonZeroI32::deserialize(from).map(digits),
        (true, 64) => NonZeroI64::deserialize(from).map(digits),
        (true, _) => NonZeroI128::deserialize(from).map(digits),
    }
}

fn read_text_as<'de, D: Deserializer<'de, Error = ReadError>>(
    format: Option<&TextFormat>,
    from: D,
) -> Result<Tree, ReadError> {
    match format {
        None | Some(TextFormat::Other(_)) => String::deserialize(from).map(Tree::Text),
        Some(TextFormat::Path) => PathBuf::deserialize(from).map(|path| shown(path.display())),
        Some(TextFormat::Ip) => IpAddr::deserialize(from).map(shown),
        Some(TextFormat::Ipv4) => Ipv4Addr::deserialize(from).map(shown),
        Some(TextFormat::Ipv6) => Ipv6Addr::deserialize(from).map(shown),
        Some(TextFormat::Socket) => SocketAddr::deserialize(from).map(shown),
        Some(TextFormat::SocketV4) => SocketAddrV4::deserialize(from).map(shown),
        Some(TextFormat::SocketV6) => SocketAddrV6::deserialize(from).map(shown),
    }
}

fn read_items<'a>(items: impl Iterator<Item = (&'a Form, &'a Tree)>) -> Result<Tree, ReadError> {
    let read = |(at, (form, item)): (usize, (&Form, &Tree))| {
        form.read_tree(item).map_err(|error| error.about_tree(item).at(StepTo::Index(at)))
    };
    items.enumerate().map(read).collect::<Result<_, _>>().map(Tree::List)
}

fn read_value(form: &Form, name: &str, value: &Tree) -> Result<Tree, ReadError> {
    form.read_tree(value).map_err(|error| error.about_tree(value).at(StepTo::Key(name.to_owned())))
}

fn read_map(keys: &Form, values: &Form, entries: &BTreeMap<String, Tree>) -> Result<Tree, ReadError> {
    let mut read = BTreeMap::new();
    for (name, value) in entries {
        keys.read_key(name).map_err(|error| error.about(Some(name)))?;
        read.insert(name.clone(), read_value(values, name, value)?);
    }
    Ok(Tree::Object(read))
}

fn read_struct(
    fields: &[FormField],
    closed: bool,
    entries: &BTreeMap<String, Tree>,
) -> Result<Tree, ReadError> {
    let mut read = BTreeMap::new();
    for (name, value) in entries {
        match fields.iter().find(|field| field.name == *name) {
            Some(field) => {
                read.insert(name.clone(), read_value(&field.form, name, value)?);
            }
            None if closed => {
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                return Err(unknown_field(name, &names));
            }
            None => {}
        }
    }
    match fields.iter().find(|field| field.required && !entries.contains_key(&field.name)) {
        Some(field) => Err(ReadError::new(format!("the field `{}` is missing", field.name))),
        None => Ok(Tree::Object(read)),
    }
}

fn read_variant(variants: &[Variant], name: &str, content: Option<&Tree>) -> Result<Tree, ReadError> {
    let Some(variant) = variants.iter().find(|variant| variant.name == name) else {
        let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
        return Err(unknown_variant(name, &names));
    };
    match (&variant.content, content) {
        (None, None | Some(Tree::Null)) => Ok(Tree::Text(name.to_owned())),
        (None, Some(_)) => Err(ReadError::new(format!("the variant `{name}` holds no value: write {name}"))),
        (Some(_), None) => {
            Err(ReadError::new(format!("the variant `{name}` holds a value: write {{\"{name}\":…}}")))
        }
        (Some(form), Some(tree)) => {
            let read = read_value(form, name, tree)?;
            Ok(Tree::Object([(name.to_owned(), read)].into()))
        }
    }
}
