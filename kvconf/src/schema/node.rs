//! The rows of a struct's table.
//!
//! One row type for all fields of one type: the macro writes data, not code, so a struct of 300 fields compiles about as
//! many instances as it has field types.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::hash::{BuildHasher, Hash};
use std::str::FromStr;

use bytes::Bytes;
use derive_more::{Display, Error};

use super::check::{Check, Constraint, Violation};
use super::validation::{Complaint, Validation};
use super::{KvConfig, Path};
use crate::key::{escape_segment, unescape_segment};
use crate::value::{Codec, DecodeError, EncodeError};

/// What the macro knows about a field besides its type.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The Rust name.
    pub name: &'static str,
    /// The part of the key; empty for a flattened struct.
    pub key: &'static str,
    /// Older names of the key part, tried in this order where the key is absent.
    pub aliases: &'static [&'static str],
    /// The doc comment.
    pub description: &'static str,
    /// The type as it stands in the source.
    pub type_name: &'static str,
    /// `secret`.
    pub secret: bool,
    /// `restart`.
    pub restart: bool,
    /// `deprecated(use = "…")`.
    pub deprecated: Option<&'static str>,
    /// `env = "…"`.
    pub env: Option<&'static str>,
}

/// What a field is where no source has a value.
#[doc(hidden)]
pub enum Absent<V: 'static> {
    /// A problem.
    Required,
    /// An `Option`: this value, and a test for it.
    Optional {
        /// Gives `None`.
        none: fn() -> V,
        /// Whether a value is `None`.
        is_none: fn(&V) -> bool,
    },
    /// The default.
    Value(fn() -> V),
    /// The default in stored form; read by the field's codec.
    Text(&'static str),
}

/// A field with one key.
#[doc(hidden)]
pub struct Leaf<S: 'static, V: 'static> {
    /// What is known of it.
    pub meta: Meta,
    /// Borrows the field.
    pub get: fn(&S) -> &V,
    /// Borrows the field to change it.
    pub get_mut: fn(&mut S) -> &mut V,
    /// Its stored form.
    pub codec: &'static dyn Codec<V>,
    /// What it is without a value.
    pub absent: Absent<V>,
    /// Its checks, all of which are run.
    pub checks: &'static [Check<V>],
}

/// A field that is a struct.
#[doc(hidden)]
pub struct Nested<S: 'static, N: 'static> {
    /// What is known of it; `key` is empty when it is flattened.
    pub meta: Meta,
    /// Borrows the field.
    pub get: fn(&S) -> &N,
    /// Borrows the field to change it.
    pub get_mut: fn(&mut S) -> &mut N,
}

/// A map with one key per entry.
#[doc(hidden)]
pub struct Entries<S: 'static, M: EntryMap> {
    /// What is known of it.
    pub meta: Meta,
    /// Borrows the field.
    pub get: fn(&S) -> &M,
    /// Borrows the field to change it.
    pub get_mut: fn(&mut S) -> &mut M,
    /// The stored form of one entry's value.
    pub codec: &'static dyn Codec<M::Value>,
    /// The checks on the map as a whole.
    pub checks: &'static [Check<M>],
}

/// What somebody wrote, or did not write, for a key.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw<'a> {
    /// Nothing, or a removal.
    Absent,
    /// A value.
    Bytes(&'a [u8]),
    /// An entry whose operation nobody knows.
    Unknown,
}

/// Why one field has no value.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
pub enum FieldError {
    #[display("required, and no source has a value")]
    Missing,
    #[display("{_0}")]
    Decode(#[error(not(source))] DecodeError),
    #[display("the default does not fit the type: {_0}")]
    Default(#[error(not(source))] DecodeError),
    #[display("written by an operation that is not known here")]
    Operation,
    #[display("{value} is outside {constraint}")]
    Range { value: String, constraint: Constraint },
    #[display("length {length} is outside {constraint}")]
    Length { length: usize, constraint: Constraint },
    #[display("{value} does not match {constraint}")]
    Pattern { value: String, constraint: Constraint },
    #[display("{value} is not one of {constraint}")]
    OneOf { value: String, constraint: Constraint },
    #[display("{message}")]
    Function { message: String },
}

/// What a field has to write.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// No key: the field is `None`.
    Absent,
    /// A key with these bytes.
    Value(Bytes),
}

/// What kind of row it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Leaf,
    Entries,
}

/// One row of the flattened table: a leaf or a map of entries, wherever it stands.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) path: Path,
    /// Below the struct's prefix.
    pub(crate) key: String,
    /// In full, like `key`.
    pub(crate) aliases: Vec<String>,
    pub(crate) meta: &'static Meta,
    pub(crate) kind: Kind,
    pub(crate) env: Option<String>,
    pub(crate) required: bool,
}

/// A struct with a `validate` function, wherever it stands.
#[derive(Debug, Clone)]
pub(crate) struct Validator {
    pub(crate) path: Path,
    /// Below the root's prefix; empty for the root itself.
    pub(crate) key: String,
}

/// What [`Node::survey`] collects.
#[derive(Debug, Default)]
pub struct Survey {
    pub(crate) slots: Vec<Slot>,
    pub(crate) validators: Vec<Validator>,
}

/// Where a survey stands.
#[derive(Debug, Clone)]
pub struct Place {
    pub(crate) path: Path,
    pub(crate) key: String,
    pub(crate) env_prefix: Option<String>,
}

impl Place {
    pub(crate) fn root(env_prefix: Option<&str>) -> Self {
        Self { path: Path::ROOT, key: String::new(), env_prefix: env_prefix.map(str::to_owned) }
    }

    fn env(&self, meta: &Meta) -> Option<String> {
        let by_prefix =
            || self.env_prefix.as_ref().map(|p| format!("{p}_{}", meta.name.to_ascii_uppercase()));
        meta.env.map(str::to_owned).or_else(by_prefix)
    }
}

/// `a.b`, or the other one where one of them is empty.
pub(crate) fn join(left: &str, right: &str) -> String {
    match (left.is_empty(), right.is_empty()) {
        (true, _) => right.to_owned(),
        (_, true) => left.to_owned(),
        _ => format!("{left}.{right}"),
    }
}

/// One row, without its type. `rest` is what remains of a path behind this row's own index: empty for a leaf.
///
/// A call that does not fit the row (a path that leads nowhere) answers `None` or does nothing.
#[doc(hidden)]
pub trait Node<S>: Send + Sync {
    /// What the macro knows.
    fn meta(&self) -> &Meta;

    /// Adds this row, or the rows below it, to the flattened table.
    fn survey(&'static self, place: &Place, index: u16, survey: &mut Survey);

    /// Borrows the field's value.
    fn value<'a>(&self, target: &'a S, rest: &[u16]) -> Option<&'a dyn Any>;

    #[doc(hidden)]
    fn read(&self, target: &mut S, rest: &[u16], raw: Raw<'_>) -> Result<(), Vec<FieldError>>;

    #[doc(hidden)]
    fn read_entry(
        &self,
        target: &mut S,
        rest: &[u16],
        segment: &str,
        raw: Raw<'_>,
    ) -> Result<(), Vec<FieldError>>;

    /// Runs the checks of a whole map of entries.
    #[doc(hidden)]
    fn check_entries(&self, target: &S, rest: &[u16]) -> Result<(), Vec<FieldError>>;

    #[doc(hidden)]
    fn encode(&self, target: &S, rest: &[u16]) -> Result<Stored, EncodeError>;

    /// The key parts and values of a map of entries.
    #[doc(hidden)]
    fn encode_entries(&self, target: &S, rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError>;

    /// Encodes a value of the field's type that stands nowhere yet; for a map of entries the value of one entry.
    #[doc(hidden)]
    fn encode_value(&self, value: &dyn Any, rest: &[u16]) -> Result<Stored, EncodeError>;

    /// The same for all entries of a map that stands nowhere yet.
    #[doc(hidden)]
    fn encode_map(&self, value: &dyn Any, rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError>;

    /// The stored form of a text, or of `null`, from a file; for a map of entries that of one entry's value. `None` where
    /// `null` is no value.
    #[doc(hidden)]
    fn stored_form(&self, text: Option<&str>, rest: &[u16]) -> Option<Stored>;

    /// The default in stored form.
    #[doc(hidden)]
    fn default_text(&self, rest: &[u16]) -> Option<Bytes>;

    /// Runs the `validate` function of the struct at the path.
    #[doc(hidden)]
    fn validate(&self, target: &S, rest: &[u16]) -> Vec<Complaint>;
}

fn mismatch() -> EncodeError {
    EncodeError::new("the value is of another type than the field")
}

fn run_checks<V>(meta: &Meta, checks: &[Check<V>], value: &V, shown: &dyn Fn() -> String) -> Vec<FieldError> {
    let shown = || if meta.secret { crate::value::MASK.to_owned() } else { shown() };
    checks
        .iter()
        .filter_map(|check| {
            let constraint = check.constraint;
            let violation = (check.test)(value).err()?;
            Some(match (violation, constraint) {
                (Violation::Length(length), _) => FieldError::Length { length, constraint },
                (Violation::Message(_), _) if meta.secret => {
                    FieldError::Function { message: format!("the secret value is refused by {constraint}") }
                }
                (Violation::Message(message), _) => FieldError::Function { message },
                (_, Constraint::Pattern(_)) => FieldError::Pattern { value: shown(), constraint },
                (_, Constraint::OneOf(_)) => FieldError::OneOf { value: shown(), constraint },
                _ => FieldError::Range { value: shown(), constraint },
            })
        })
        .collect()
}

fn mask_if_secret(meta: &Meta, error: DecodeError) -> DecodeError {
    if meta.secret { error.masked(meta.type_name) } else { error }
}

impl<S: 'static, V: Clone + Send + Sync + 'static> Leaf<S, V> {
    /// The value for `raw`, or every problem with it.
    pub(crate) fn decode(&self, raw: Raw<'_>) -> Result<V, Vec<FieldError>> {
        let decode = |bytes| self.codec.decode(bytes).map_err(|e| mask_if_secret(&self.meta, e));
        let value = match (raw, &self.absent) {
            (Raw::Unknown, _) => Err(FieldError::Operation),
            (Raw::Bytes(bytes), _) => decode(bytes).map_err(FieldError::Decode),
            (Raw::Absent, Absent::Required) => Err(FieldError::Missing),
            (Raw::Absent, Absent::Optional { none, .. }) => Ok(none()),
            (Raw::Absent, Absent::Value(default)) => Ok(default()),
            (Raw::Absent, Absent::Text(text)) => decode(text.as_bytes()).map_err(FieldError::Default),
        };
        let value = value.map_err(|error| vec![error])?;
        let shown = || match self.codec.encode(&value) {
            Ok(bytes) => crate::value::show(&bytes),
            Err(_) => "the value".to_owned(),
        };
        let problems = run_checks(&self.meta, self.checks, &value, &shown);
        if problems.is_empty() { Ok(value) } else { Err(problems) }
    }

    fn stored(&self, value: &V) -> Result<Stored, EncodeError> {
        match &self.absent {
            Absent::Optional { is_none, .. } if is_none(value) => Ok(Stored::Absent),
            _ => self.codec.encode(value).map(Stored::Value),
        }
    }
}

impl<S: 'static, V: Clone + Send + Sync + 'static> Node<S> for Leaf<S, V> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn survey(&'static self, place: &Place, index: u16, survey: &mut Survey) {
        survey.slots.push(Slot {
            path: place.path.join(index),
            key: join(&place.key, self.meta.key),
            aliases: self.meta.aliases.iter().map(|alias| join(&place.key, alias)).collect(),
            meta: &self.meta,
            kind: Kind::Leaf,
            env: place.env(&self.meta),
            required: matches!(self.absent, Absent::Required),
        });
    }

    fn value<'a>(&self, target: &'a S, _rest: &[u16]) -> Option<&'a dyn Any> {
        Some((self.get)(target))
    }

    fn read(&self, target: &mut S, _rest: &[u16], raw: Raw<'_>) -> Result<(), Vec<FieldError>> {
        let value = self.decode(raw)?;
        *(self.get_mut)(target) = value;
        Ok(())
    }

    fn read_entry(&self, _: &mut S, _: &[u16], _: &str, _: Raw<'_>) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    fn check_entries(&self, _: &S, _: &[u16]) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    fn encode(&self, target: &S, _rest: &[u16]) -> Result<Stored, EncodeError> {
        self.stored((self.get)(target))
    }

    fn encode_entries(&self, _: &S, _: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        Err(mismatch())
    }

    fn encode_value(&self, value: &dyn Any, _rest: &[u16]) -> Result<Stored, EncodeError> {
        self.stored(value.downcast_ref().ok_or_else(mismatch)?)
    }

    fn encode_map(&self, _: &dyn Any, _: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        Err(mismatch())
    }

    fn stored_form(&self, text: Option<&str>, _rest: &[u16]) -> Option<Stored> {
        match (&self.absent, text) {
            (Absent::Optional { .. }, None) => Some(Stored::Absent),
            _ => self.codec.stored_form(text).map(Stored::Value),
        }
    }

    fn default_text(&self, _rest: &[u16]) -> Option<Bytes> {
        match &self.absent {
            Absent::Required | Absent::Optional { .. } => None,
            Absent::Value(default) => self.codec.encode(&default()).ok(),
            Absent::Text(text) => Some(Bytes::from_static(text.as_bytes())),
        }
    }

    fn validate(&self, _: &S, _: &[u16]) -> Vec<Complaint> {
        Vec::new()
    }
}

/// Finds the row that a path leads to below a struct, and what remains of the path.
pub(crate) fn node_at<S: KvConfig>(steps: &[u16]) -> Option<(&'static dyn Node<S>, &[u16])> {
    let (first, rest) = steps.split_first()?;
    Some((*S::__SCHEMA.nodes.get(usize::from(*first))?, rest))
}

/// The struct's own `validate`.
pub(crate) fn validate_struct<S: KvConfig>(target: &S) -> Vec<Complaint> {
    let mut validation = Validation::new();
    if let Some(validate) = S::__SCHEMA.validate {
        validate(target, &mut validation);
    }
    validation.into_complaints()
}

/// Surveys a whole struct from a place on.
pub(crate) fn survey_struct<S: KvConfig>(place: &Place, survey: &mut Survey) {
    if S::__SCHEMA.validate.is_some() {
        survey.validators.push(Validator { path: place.path, key: place.key.clone() });
    }
    for (index, node) in (0_u16..).zip(S::__SCHEMA.nodes) {
        node.survey(place, index, survey);
    }
}

impl<S: 'static, N: KvConfig> Node<S> for Nested<S, N> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn survey(&'static self, place: &Place, index: u16, survey: &mut Survey) {
        let env_prefix = match N::__SCHEMA.env_prefix {
            Some(own) => Some(own.to_owned()),
            None if self.meta.key.is_empty() => place.env_prefix.clone(),
            None => place.env(&self.meta),
        };
        let place = Place { path: place.path.join(index), key: join(&place.key, self.meta.key), env_prefix };
        survey_struct::<N>(&place, survey);
    }

    fn value<'a>(&self, target: &'a S, rest: &[u16]) -> Option<&'a dyn Any> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.value((self.get)(target), rest),
            None => Some((self.get)(target)),
        }
    }

    fn read(&self, target: &mut S, rest: &[u16], raw: Raw<'_>) -> Result<(), Vec<FieldError>> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.read((self.get_mut)(target), rest, raw),
            None => Ok(()),
        }
    }

    fn read_entry(
        &self,
        target: &mut S,
        rest: &[u16],
        segment: &str,
        raw: Raw<'_>,
    ) -> Result<(), Vec<FieldError>> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.read_entry((self.get_mut)(target), rest, segment, raw),
            None => Ok(()),
        }
    }

    fn check_entries(&self, target: &S, rest: &[u16]) -> Result<(), Vec<FieldError>> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.check_entries((self.get)(target), rest),
            None => Ok(()),
        }
    }

    fn encode(&self, target: &S, rest: &[u16]) -> Result<Stored, EncodeError> {
        let (node, rest) = node_at::<N>(rest).ok_or_else(mismatch)?;
        node.encode((self.get)(target), rest)
    }

    fn encode_entries(&self, target: &S, rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        let (node, rest) = node_at::<N>(rest).ok_or_else(mismatch)?;
        node.encode_entries((self.get)(target), rest)
    }

    fn encode_value(&self, value: &dyn Any, rest: &[u16]) -> Result<Stored, EncodeError> {
        let (node, rest) = node_at::<N>(rest).ok_or_else(mismatch)?;
        node.encode_value(value, rest)
    }

    fn encode_map(&self, value: &dyn Any, rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        let (node, rest) = node_at::<N>(rest).ok_or_else(mismatch)?;
        node.encode_map(value, rest)
    }

    fn stored_form(&self, text: Option<&str>, rest: &[u16]) -> Option<Stored> {
        let (node, rest) = node_at::<N>(rest)?;
        node.stored_form(text, rest)
    }

    fn default_text(&self, rest: &[u16]) -> Option<Bytes> {
        let (node, rest) = node_at::<N>(rest)?;
        node.default_text(rest)
    }

    fn validate(&self, target: &S, rest: &[u16]) -> Vec<Complaint> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.validate((self.get)(target), rest),
            None => validate_struct((self.get)(target)),
        }
    }
}

/// A map that can be spread over one key per entry.
///
/// Implemented for `BTreeMap` and `HashMap` whose keys are written by `Display` and read back by `FromStr`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be spread over one key per entry",
    label = "`entries` needs a `BTreeMap` or a `HashMap`",
    note = "the keys of the map must be `Display` and `FromStr`, its values `Clone + Send + Sync`"
)]
pub trait EntryMap: Clone + Default + Send + Sync + 'static {
    /// What one entry holds.
    type Value: Clone + Send + Sync + 'static;

    #[doc(hidden)]
    fn put(&mut self, key: &str, value: Self::Value) -> Result<(), DecodeError>;

    #[doc(hidden)]
    fn take(&mut self, key: &str);

    #[doc(hidden)]
    fn each(&self) -> Vec<(String, &Self::Value)>;
}

fn parse_map_key<K: FromStr>(key: &str) -> Result<K, DecodeError> {
    key.parse().map_err(|_| DecodeError::new(format!("{key:?} is not a key of this map")))
}

macro_rules! entry_map {
    ($($map:ty where [$($bounds:tt)*];)+) => {$(
        impl<V: Clone + Send + Sync + 'static, $($bounds)*> EntryMap for $map {
            type Value = V;

            fn put(&mut self, key: &str, value: V) -> Result<(), DecodeError> {
                self.insert(parse_map_key(key)?, value);
                Ok(())
            }

            fn take(&mut self, key: &str) {
                if let Ok(key) = key.parse::<K>() {
                    self.remove(&key);
                }
            }

            fn each(&self) -> Vec<(String, &V)> {
                self.iter().map(|(key, value)| (key.to_string(), value)).collect()
            }
        }
    )+};
}

entry_map! {
    BTreeMap<K, V> where [K: Ord + FromStr + Display + Clone + Send + Sync + 'static];
    HashMap<K, V, H> where [
        K: Eq + Hash + FromStr + Display + Clone + Send + Sync + 'static,
        H: BuildHasher + Default + Clone + Send + Sync + 'static
    ];
}

impl<S: 'static, M: EntryMap> Entries<S, M> {
    /// Puts one entry into a map, or takes it out.
    pub(crate) fn read_into(&self, map: &mut M, segment: &str, raw: Raw<'_>) -> Result<(), Vec<FieldError>> {
        let one = |error| vec![error];
        let Some(key) = unescape_segment(segment) else {
            let error = DecodeError::new("the last part of the key is no escaped map key");
            // Nothing can stand in the map for it, so there is nothing to take out.
            return if raw == Raw::Absent { Ok(()) } else { Err(one(FieldError::Decode(error))) };
        };
        match raw {
            Raw::Absent => {
                map.take(&key);
                Ok(())
            }
            Raw::Unknown => Err(one(FieldError::Operation)),
            Raw::Bytes(bytes) => {
                let decode = |e| one(FieldError::Decode(mask_if_secret(&self.meta, e)));
                let value = self.codec.decode(bytes).map_err(decode)?;
                map.put(&key, value).map_err(decode)
            }
        }
    }

    pub(crate) fn check(&self, map: &M) -> Vec<FieldError> {
        run_checks(&self.meta, self.checks, map, &|| "the map".to_owned())
    }

    fn encode_all(&self, map: &M) -> Result<Vec<(String, Bytes)>, EncodeError> {
        map.each()
            .into_iter()
            .map(|(key, value)| Ok((escape_segment(&key), self.codec.encode(value)?)))
            .collect()
    }
}

impl<S: 'static, M: EntryMap> Node<S> for Entries<S, M> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn survey(&'static self, place: &Place, index: u16, survey: &mut Survey) {
        survey.slots.push(Slot {
            path: place.path.join(index),
            key: join(&place.key, self.meta.key),
            aliases: Vec::new(),
            meta: &self.meta,
            kind: Kind::Entries,
            env: place.env(&self.meta),
            required: false,
        });
    }

    fn value<'a>(&self, target: &'a S, _rest: &[u16]) -> Option<&'a dyn Any> {
        Some((self.get)(target))
    }

    fn read(&self, _: &mut S, _: &[u16], _: Raw<'_>) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    fn read_entry(
        &self,
        target: &mut S,
        _rest: &[u16],
        segment: &str,
        raw: Raw<'_>,
    ) -> Result<(), Vec<FieldError>> {
        self.read_into((self.get_mut)(target), segment, raw)
    }

    fn check_entries(&self, target: &S, _rest: &[u16]) -> Result<(), Vec<FieldError>> {
        let problems = self.check((self.get)(target));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn encode(&self, _: &S, _: &[u16]) -> Result<Stored, EncodeError> {
        Err(mismatch())
    }

    fn encode_entries(&self, target: &S, _rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        self.encode_all((self.get)(target))
    }

    fn encode_value(&self, value: &dyn Any, _rest: &[u16]) -> Result<Stored, EncodeError> {
        self.codec.encode(value.downcast_ref().ok_or_else(mismatch)?).map(Stored::Value)
    }

    fn encode_map(&self, value: &dyn Any, _rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        self.encode_all(value.downcast_ref().ok_or_else(mismatch)?)
    }

    fn stored_form(&self, text: Option<&str>, _rest: &[u16]) -> Option<Stored> {
        self.codec.stored_form(text).map(Stored::Value)
    }

    fn default_text(&self, _rest: &[u16]) -> Option<Bytes> {
        None
    }

    fn validate(&self, _: &S, _: &[u16]) -> Vec<Complaint> {
        Vec::new()
    }
}
