//! Checks on one field's value.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::OnceLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// What a check asks for, as plain data: for messages and for the schema. Values are in stored form, constants
/// of the program too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Constraint {
    /// `range(…)`: bounds in stored form, `None` where open.
    Range {
        /// The lower bound, included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Cow<'static, str>>,
        /// The upper bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Cow<'static, str>>,
        /// Whether the upper bound is excluded (`1..10`).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        exclusive: bool,
    },
    /// `length(…)`: of a text in characters, of a collection in items.
    Length {
        /// The least length, included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<usize>,
        /// The greatest length, included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<usize>,
    },
    /// `pattern("…")`: a regular expression that must match somewhere.
    Pattern(Cow<'static, str>),
    /// `one_of(…)`: the values in stored form.
    OneOf(Cow<'static, [Cow<'static, str>]>),
    /// `validate = …`: a function of the user.
    Function(Cow<'static, str>),
}

/// `1..=500`, `3..`, `..10`; lengths alike; `a, b or c`.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { min, max, exclusive } => {
                let between = if *exclusive || max.is_none() { ".." } else { "..=" };
                write!(f, "{}{between}{}", min.as_deref().unwrap_or(""), max.as_deref().unwrap_or(""))
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
    /// The values that it compares with, where their text in the source is not their stored form.
    pub values: Option<fn() -> Vec<V>>,
}

impl<V> Check<V> {
    /// What it asks for, every value in stored form as far as it has one.
    pub(super) fn told(&self, encode: &dyn Fn(&V) -> Option<String>) -> Constraint {
        let Some(values) = self.values else { return self.constraint.clone() };
        let mut stored = values().into_iter().map(|value| encode(&value).map(Cow::Owned));
        let mut next = |text: &Cow<'static, str>| stored.next().flatten().unwrap_or_else(|| text.clone());
        match &self.constraint {
            Constraint::Range { min, max, exclusive } => Constraint::Range {
                min: min.as_ref().map(&mut next),
                max: max.as_ref().map(&mut next),
                exclusive: *exclusive,
            },
            Constraint::OneOf(values) => Constraint::OneOf(values.iter().map(next).collect()),
            other => other.clone(),
        }
    }
}

/// The verdict of a test that either holds or not.
///
/// # Errors
/// [`Violation::Constraint`] when it does not hold.
#[doc(hidden)]
pub const fn holds(test: bool) -> Result<(), Violation> {
    if test { Ok(()) } else { Err(Violation::Constraint) }
}

/// Whether the length stands between these, both included.
///
/// # Errors
/// [`Violation::Length`] when it does not.
#[doc(hidden)]
pub fn has_length<V: Length + ?Sized>(
    value: &V,
    min: Option<usize>,
    max: Option<usize>,
) -> Result<(), Violation> {
    let length = value.length();
    let fits = min.is_none_or(|min| length >= min) && max.is_none_or(|max| length <= max);
    if fits { Ok(()) } else { Err(Violation::Length(length)) }
}

/// What a function of the user says.
///
/// # Errors
/// [`Violation::Message`] with its error's text.
#[doc(hidden)]
pub fn by_function<E: fmt::Display>(verdict: Result<(), E>) -> Result<(), Violation> {
    verdict.map_err(|error| Violation::Message(error.to_string()))
}

/// A regular expression, compiled at its first use. The derive has compiled it once already, so it cannot fail here;
/// should it, nothing matches.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pattern {
    text: &'static str,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Takes the expression.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self { text, regex: OnceLock::new() }
    }

    /// Whether it matches somewhere in `value`.
    ///
    /// # Errors
    /// [`Violation::Constraint`] when it does not.
    pub fn test(&self, value: &str) -> Result<(), Violation> {
        let regex = self.regex.get_or_init(|| Regex::new(self.text).ok());
        holds(regex.as_ref().is_some_and(|regex| regex.is_match(value)))
    }
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
