//! What goes wrong between a reader and the type that it serves.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use crate::value::DecodeError;
use crate::value::json::Tree;
use crate::value::kind::write_one_of;
use crate::value::show::{quote, quote_text, tame};

/// The message and the way to the place.
#[derive(Debug)]
pub(in crate::value) struct ReadError {
    message: String,
    /// Innermost first.
    path: Vec<Step>,
    /// Made by the type itself, so the value may be missing in it.
    bare: bool,
}

/// One step down.
#[derive(Debug)]
pub(in crate::value) enum Step {
    Index(usize),
    Key(String),
}

impl ReadError {
    pub(in crate::value) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), path: Vec::new(), bare: false }
    }

    /// The value is of another JSON type.
    pub(in crate::value) fn mismatch(expected: impl Display, tree: &Tree) -> Self {
        Self::new(format!("expected {expected}, found {}", tree.found()))
    }

    /// The same, one level up.
    pub(in crate::value) fn at(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    /// Names the text that a type refused, where the type did not.
    pub(in crate::value) fn about(mut self, text: Option<&str>) -> Self {
        if let Some(text) = text
            && self.bare
            && self.path.is_empty()
            && !self.message.contains(&quote_text(text))
            && !self.message.contains(&format!("{text:?}"))
        {
            self.message = format!("{}: {}", quote_text(text), self.message);
            self.bare = false;
        }
        self
    }

    /// The same for what stands in JSON; lists and objects are too long to be of use.
    pub(in crate::value) fn about_tree(self, tree: &Tree) -> Self {
        match tree {
            Tree::Number(text) | Tree::Text(text) => self.about(Some(text)),
            Tree::Null | Tree::Bool(_) | Tree::List(_) | Tree::Object(_) | Tree::Bytes(_) => self,
        }
    }
}

impl Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.path.iter().rev().enumerate() {
            match step {
                Step::Index(item) => write!(f, "[{item}]")?,
                Step::Key(key) if !is_plain(key) => write!(f, "[{}]", quote_text(key))?,
                Step::Key(key) if index == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        f.write_str(if self.path.is_empty() { "" } else { ": " })?;
        f.write_str(&self.message)
    }
}

fn is_plain(key: &str) -> bool {
    (1..=64).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

impl From<ReadError> for DecodeError {
    fn from(error: ReadError) -> Self {
        Self::new(error.to_string())
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: Display>(message: T) -> Self {
        Self { bare: true, ..Self::new(tame(&message.to_string())) }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (expected, found) = (tame(&expected.to_string()), shown(found));
        // The readers know a duration by its name. What serde has put aside for later does not ask by it.
        if expected == "struct Duration" {
            return Self::new(format!(
                "serde hides a duration in a flattened, untagged or internally tagged type, found {found}; \
                 mark it with #[serde(with = \"kvconf::duration\")]"
            ));
        }
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {length}", tame(&expected.to_string())))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        unknown_variant(variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        unknown_field(field, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("the field `{field}` is missing"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("the field `{field}` stands twice"))
    }
}

/// No variant of an enum has this name.
pub(in crate::value) fn unknown_variant(variant: &str, expected: &[&str]) -> ReadError {
    let choice = Choice { found: variant, expected };
    ReadError::new(format!("{} is not one of {choice}", quote_text(variant)))
}

/// No field of a struct has this name, and it takes no others.
pub(in crate::value) fn unknown_field(field: &str, expected: &[&str]) -> ReadError {
    let choice = Choice { found: field, expected };
    ReadError::new(format!("unknown field {}, expected {choice}", quote_text(field)))
}

fn shown(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Float(value) => format!("`{value:?}`"),
        Unexpected::Char(value) => quote_text(value.encode_utf8(&mut [0; 4])),
        Unexpected::Str(text) => format!("the text {}", quote_text(text)),
        Unexpected::Bytes(bytes) => quote(bytes),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq | Unexpected::TupleVariant => "a list".to_owned(),
        Unexpected::Map | Unexpected::StructVariant => "an object".to_owned(),
        other => tame(&other.to_string()),
    }
}

/// The names that would do, and the nearest one.
struct Choice<'a> {
    found: &'a str,
    expected: &'a [&'a str],
}

/// Names that are further apart are no misspellings of each other (strsim's own examples use 0.7 and above for Jaro).
const ALIKE: f64 = 0.7;

/// Beyond this many the nearest ones say more than all.
const LISTED_NAMES: usize = 12;

impl Display for Choice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected.get(LISTED_NAMES..) {
            Some([_, ..]) => write!(f, "the {} known names", self.expected.len())?,
            _ => write_one_of(self.expected, f)?,
        }
        // A long name is no misspelling, and comparing takes its length squared.
        if self.found.len() > 64 {
            return Ok(());
        }
        let found = self.found.to_lowercase();
        let likeness = |name: &str| strsim::jaro_winkler(&found, &name.to_lowercase());
        let nearest = self
            .expected
            .iter()
            .map(|name| (likeness(name), name))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .max_by(|(left, _), (right, _)| left.total_cmp(right));
        match nearest {
            Some((_, name)) => write!(f, ", did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}
