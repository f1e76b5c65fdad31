//! The values that rules see: borrowed from a context, from a rule, or made in between.

use std::fmt;

use super::context::EvaluationContext;

/// A value as a rule sees it: JSON's kinds, borrowed from whoever holds them.
///
/// Whole numbers keep all their digits. A list or an object is looked into item by item, so that a typed context needs to
/// build nothing.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// JSON's `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above [`i64::MAX`].
    Uint(u64),
    /// Any other number. Never NaN, never infinite in what comes from JSON.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// A list.
    List(&'a dyn Items),
    /// Named values.
    Object(&'a dyn EvaluationContext),
}

/// The items of a list.
pub trait Items {
    /// How many there are.
    fn len(&self) -> usize;

    /// The item at this place, or `None` behind the end.
    fn item(&self, index: usize) -> Option<Value<'_>>;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> Value<'a> {
    /// What [`Self::Uint`] and [`Self::Int`] share: the smaller form where both would do.
    pub(crate) fn from_unsigned(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Uint(number), Self::Int)
    }

    /// JSONLogic's truth: `null`, `false`, zero, the empty text and the empty list are false. An object is true.
    pub(crate) fn is_truthy(&self) -> bool {
        match *self {
            Self::Null => false,
            Self::Bool(value) => value,
            Self::Int(number) => number != 0,
            Self::Uint(number) => number != 0,
            Self::Float(number) => number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Object(_) => true,
        }
    }
}

/// As JSON, but cut short below a depth of eight.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(*self, 0, f)
    }
}

const SHOWN_DEPTH: u8 = 8;

fn show(value: Value<'_>, depth: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Null => f.write_str("null"),
        Value::Bool(value) => write!(f, "{value}"),
        Value::Int(number) => write!(f, "{number}"),
        Value::Uint(number) => write!(f, "{number}"),
        Value::Float(number) => write!(f, "{number:?}"),
        Value::Text(text) => write!(f, "{text:?}"),
        Value::List(_) | Value::Object(_) if depth >= SHOWN_DEPTH => f.write_str("…"),
        Value::List(items) => {
            f.write_str("[")?;
            for index in 0..items.len() {
                f.write_str(if index == 0 { "" } else { "," })?;
                show(items.item(index).unwrap_or(Value::Null), depth + 1, f)?;
            }
            f.write_str("]")
        }
        Value::Object(object) => {
            f.write_str("{")?;
            let mut outcome = Ok(());
            let mut first = true;
            object.visit(&mut |name, value| {
                let mut write = || {
                    f.write_str(if std::mem::take(&mut first) { "" } else { "," })?;
                    write!(f, "{name:?}:")?;
                    show(value, depth + 1, f)
                };
                if outcome.is_ok() {
                    outcome = write();
                }
            });
            outcome?;
            f.write_str("}")
        }
    }
}
