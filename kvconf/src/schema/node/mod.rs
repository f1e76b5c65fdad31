//! The rows of a struct's table.
//!
//! One row type for all fields of one type: the macro writes data, not code, so a struct of 300 fields compiles about as
//! many instances as it has field types.

mod entries;
mod leaf;
mod nested;

use std::any::Any;

use bytes::Bytes;
use derive_more::{Display, Error};

pub use entries::{Entries, EntryMap};
pub use leaf::{Absent, Leaf};
pub use nested::Nested;

use super::check::{Check, Constraint, Violation};
use super::prepared::Prepared;
use super::presence::Presence;
use super::survey::{Place, Survey};
use super::validation::{Complaint, Validation};
use super::{KvConfig, Unlinked};
use crate::Revision;
use crate::exposure::Observers;
use crate::seal::SealError;
use crate::value::{DecodeError, EncodeError, Form};

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
    /// `unit = "…"`.
    pub unit: Option<&'static str>,
}

/// What somebody wrote, or did not write, for a key.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw<'a> {
    /// Nothing, or a removal.
    Absent,
    /// A value, and the revision of the entry that it stands in.
    Bytes(&'a [u8], Option<Revision>),
    /// An entry whose operation nobody knows.
    Unknown,
    /// A sealed value that does not open.
    Sealed(&'a SealError),
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
    #[display("{_0}")]
    Sealed(#[error(not(source))] SealError),
    #[display("{value} is outside {constraint}")]
    Range { value: String, constraint: String },
    #[display("length {length} is outside {constraint}")]
    Length { length: usize, constraint: String },
    #[display("{value} does not match {constraint}")]
    Pattern { value: String, constraint: String },
    #[display("{value} is not one of {constraint}")]
    OneOf { value: String, constraint: String },
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

/// What a row knows of its type, as data.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub form: Form,
    pub presence: Presence,
    pub constraints: Vec<Constraint>,
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

    /// Reads the field's bytes. `key` is the field's, below the struct's prefix.
    #[doc(hidden)]
    fn read(&self, target: &mut S, rest: &[u16], key: &str, raw: Raw<'_>) -> Result<(), Vec<FieldError>>;

    #[doc(hidden)]
    fn read_entry(
        &self,
        target: &mut S,
        rest: &[u16],
        segment: &str,
        raw: Raw<'_>,
    ) -> Result<(), Vec<FieldError>>;

    /// Makes the field what it is in `source`; of a map only the entry named by `segment`.
    #[doc(hidden)]
    fn copy(&self, target: &mut S, source: &S, rest: &[u16], segment: Option<&str>);

    /// Reads a key's bytes before there is a struct: the field's, or those of one entry of its map.
    ///
    /// A value that is bad leaves it [`Prepared::Open`]: whoever builds the struct then finds the same problems.
    #[doc(hidden)]
    fn prepare(&self, prepared: &mut Prepared, rest: &[u16], key: &str, segment: Option<&str>, raw: Raw<'_>);

    /// Reads a key's bytes, the field's or those of one entry of its map, and forgets them: only whether they are good.
    #[doc(hidden)]
    fn examine(
        &self,
        rest: &[u16],
        key: &str,
        segment: Option<&str>,
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

    /// The field as data.
    #[doc(hidden)]
    fn told(&self, rest: &[u16]) -> Option<Told>;

    /// Links the struct at the path.
    #[doc(hidden)]
    fn link(&self, target: &mut S, rest: &[u16]) -> Vec<Unlinked> {
        let _ = (target, rest);
        Vec::new()
    }

    /// Lets flags tell of their evaluations.
    #[doc(hidden)]
    fn equip(&self, target: &mut S, observers: &Observers) {
        let _ = (target, observers);
    }

    /// Runs the `validate` function of the struct at the path.
    #[doc(hidden)]
    fn validate(&self, target: &S, rest: &[u16]) -> Vec<Complaint>;
}

fn mismatch() -> EncodeError {
    EncodeError::new("the value is of another type than the field")
}

/// `encode` gives the stored form of a value, for constants that checks compare with.
fn run_checks<V>(
    meta: &Meta,
    checks: &[Check<V>],
    value: &V,
    shown: &dyn Fn() -> String,
    encode: &dyn Fn(&V) -> Option<String>,
) -> Vec<FieldError> {
    checks
        .iter()
        .filter_map(|check| {
            let violation = (check.test)(value).err()?;
            Some(FieldError::of(violation, &check.told(encode), meta.secret, shown))
        })
        .collect()
}

impl FieldError {
    /// What a check says of a value that fails it.
    pub(crate) fn of(
        violation: Violation,
        constraint: &Constraint,
        secret: bool,
        shown: &dyn Fn() -> String,
    ) -> Self {
        let shown = || if secret { crate::value::MASK.to_owned() } else { shown() };
        match (violation, constraint) {
            (Violation::Length(length), _) => Self::Length { length, constraint: constraint.to_string() },
            (Violation::Message(_), _) if secret => {
                Self::Function { message: format!("the secret value is refused by {constraint}") }
            }
            (Violation::Message(message), _) => Self::Function { message },
            (_, Constraint::Pattern(_)) => {
                Self::Pattern { value: shown(), constraint: constraint.to_string() }
            }
            (_, Constraint::OneOf(_)) => Self::OneOf { value: shown(), constraint: constraint.to_string() },
            _ => Self::Range { value: shown(), constraint: constraint.to_string() },
        }
    }
}

fn mask_if_secret(meta: &Meta, error: DecodeError) -> DecodeError {
    if meta.secret { error.masked(meta.type_name) } else { error }
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
