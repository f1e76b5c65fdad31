//! Values in the tree walk: borrowed ones, and those that a rule builds.

use std::rc::Rc;

use crate::flag::context::{AttributeName, EvaluationContext};
use crate::flag::value::{Items, Value};

/// A value, borrowed from the context or the rule where possible. What a rule builds is shared by counting, so that an item
/// of a built list can outlive the list without a copy.
#[derive(Clone)]
pub(crate) enum Any<'e> {
    Plain(Value<'e>),
    Text(Rc<str>),
    List(Rc<[Any<'e>]>),
    /// What the body of a `reduce` sees.
    Step(Rc<Step<'e>>),
}

/// `{"current": …, "accumulator": …}`.
pub(crate) struct Step<'e> {
    pub(crate) current: Any<'e>,
    pub(crate) accumulator: Any<'e>,
}

impl<'e> Any<'e> {
    pub(crate) const NULL: Self = Self::Plain(Value::Null);

    pub(crate) fn bool(value: bool) -> Self {
        Self::Plain(Value::Bool(value))
    }

    pub(crate) fn text(text: String) -> Self {
        Self::Text(text.into())
    }

    /// A look at the value.
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Plain(value) => *value,
            Self::Text(text) => Value::Text(text),
            Self::List(items) => Value::List(items),
            Self::Step(step) => Value::Object(&**step),
        }
    }

    pub(crate) fn is_truthy(&self) -> bool {
        self.value().is_truthy()
    }

    /// How many items, if it is a list.
    pub(crate) fn length(&self) -> Option<usize> {
        match self {
            Self::Plain(Value::List(items)) => Some(items.len()),
            Self::List(items) => Some(items.len()),
            _ => None,
        }
    }

    /// An item of a list.
    pub(crate) fn item(&self, index: usize) -> Option<Self> {
        match self {
            Self::Plain(Value::List(items)) => items.item(index).map(Self::Plain),
            Self::List(items) => items.get(index).cloned(),
            _ => None,
        }
    }

    /// What stands under a name: in an object the attribute, in a list the item of that number.
    pub(crate) fn member(&self, name: &AttributeName<'_>) -> Option<Self> {
        match self {
            Self::Plain(value) => member(*value, name).map(Self::Plain),
            Self::Text(_) => None,
            Self::List(_) => self.item(index(name)?),
            Self::Step(step) => match name.text() {
                "current" => Some(step.current.clone()),
                "accumulator" => Some(step.accumulator.clone()),
                _ => None,
            },
        }
    }
}

/// What stands under a name.
pub(crate) fn member<'v>(value: Value<'v>, name: &AttributeName<'_>) -> Option<Value<'v>> {
    match value {
        Value::Object(object) => object.lookup(name),
        Value::List(items) => items.item(index(name)?),
        _ => None,
    }
}

/// As many as a number of 64 bits can have.
const MAX_DIGITS: usize = 20;

fn index(name: &AttributeName<'_>) -> Option<usize> {
    let text = name.text();
    // No list has so many items, and a rule may name a million digits for each item of another list.
    if text.len() > MAX_DIGITS {
        return None;
    }
    // `parse` would take "+1" and "01".
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

impl<'e> From<Value<'e>> for Any<'e> {
    fn from(value: Value<'e>) -> Self {
        Self::Plain(value)
    }
}

impl<'e> FromIterator<Any<'e>> for Any<'e> {
    fn from_iter<I: IntoIterator<Item = Any<'e>>>(items: I) -> Self {
        Self::List(items.into_iter().collect())
    }
}

impl Items for Rc<[Any<'_>]> {
    fn len(&self) -> usize {
        <[Any<'_>]>::len(self)
    }

    fn item(&self, index: usize) -> Option<Value<'_>> {
        self.get(index).map(Any::value)
    }
}

impl EvaluationContext for Step<'_> {
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Value<'_>> {
        match name.text() {
            "current" => Some(self.current.value()),
            "accumulator" => Some(self.accumulator.value()),
            _ => None,
        }
    }

    fn visit(&self, visitor: &mut dyn FnMut(&str, Value<'_>)) {
        visitor("accumulator", self.accumulator.value());
        visitor("current", self.current.value());
    }
}
