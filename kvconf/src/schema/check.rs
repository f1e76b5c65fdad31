//! Checks on one field's value.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;

/// What a check asks for, as plain data: for messages and for the schema. All texts are as they stand in the source or in
/// the stored form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Constraint {
    /// `range(…)`: bounds in stored form, `None` where open.
    Range {
        /// The lower bound, included.
        min: Option<&'static str>,
        /// The upper bound.
        max: Option<&'static str>,
        /// Whether the upper bound is excluded (`1..10`).
        exclusive: bool,
    },
    /// `length(…)`: of a text in characters, of a collection in items.
    Length {
        /// The least length, included.
        min: Option<usize>,
        /// The greatest length, included.
        max: Option<usize>,
    },
    /// `pattern("…")`: a regular expression that must match somewhere.
    Pattern(&'static str),
    /// `one_of(…)`: the values in stored form.
    OneOf(&'static [&'static str]),
    /// `validate = …`: a function of the user.
    Function(&'static str),
}

/// `1..=500`, `3..`, `..10`; lengths alike; `a, b or c`.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { min, max, exclusive } => {
                let between = if *exclusive || max.is_none() { ".." } else { "..=" };
                write!(f, "{}{between}{}", min.unwrap_or(""), max.unwrap_or(""))
            }
            Self::Length { min, max } => match (min, max) {
                (Some(min), Some(max)) if min == max => write!(f, "{min}"),
                (Some(min), Some(max)) => write!(f, "{min}..={max}"),
                (Some(min), None) => write!(f, "{min}.."),
                (None, Some(max)) => write!(f, "..={max}"),
                (None, None) => f.write_str(".."),
            },
            Self::Pattern(pattern) => f.write_str(pattern),
            Self::OneOf(values) => match values.split_last() {
                None => Ok(()),
                Some((last, [])) => f.write_str(last),
                Some((last, head)) => write!(f, "{} or {last}", head.join(", ")),
            },
            Self::Function(name) => f.write_str(name),
        }
    }
}

/// Why a check failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The constraint does not hold; the message is made from it and the value.
    Constraint,
    /// The constraint does not hold for this length.
    Length(usize),
    /// A function of the user said so.
    Message(String),
}

/// One check of a field.
#[doc(hidden)]
pub struct Check<V: 'static> {
    /// What it asks for.
    pub constraint: Constraint,
    /// Whether a value fulfils it.
    pub test: fn(&V) -> Result<(), Violation>,
}

/// What has a length: texts in characters, collections in items.
pub trait Length {
    /// The length.
    fn length(&self) -> usize;
}

impl Length for String {
    fn length(&self) -> usize {
        self.chars().count()
    }
}

impl<V> Length for Vec<V> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl<V> Length for VecDeque<V> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl<V> Length for BTreeSet<V> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl<V, H> Length for HashSet<V, H> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl<K, V> Length for BTreeMap<K, V> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl<K, V, H> Length for HashMap<K, V, H> {
    fn length(&self) -> usize {
        self.len()
    }
}
