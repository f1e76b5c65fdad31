//! `serde_json`'s values as what rules see.

use serde_json::{Map, Number, Value as Json};

use super::{Attribute, AttributeKind, AttributeName, EvaluationContext};
use crate::flag::value::Value;

impl<'a> From<&'a Json> for Value<'a> {
    #[inline]
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(value) => number(value),
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(items),
            Json::Object(entries) => Self::Object(entries),
        }
    }
}

#[inline]
pub(crate) fn number(number: &Number) -> Value<'static> {
    if let Some(whole) = number.as_i64() {
        Value::Int(whole)
    } else if let Some(whole) = number.as_u64() {
        Value::Uint(whole)
    } else {
        number.as_f64().map_or(Value::Null, Value::Float)
    }
}

impl EvaluationContext for Map<String, Json> {
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Value<'_>> {
        self.get(name.text()).map(Value::from)
    }

    fn visit(&self, visitor: &mut dyn FnMut(&str, Value<'_>)) {
        for (name, value) in self {
            visitor(name, value.into());
        }
    }
}

impl Attribute for Json {
    fn value(&self) -> Option<Value<'_>> {
        Some(self.into())
    }

    fn kind() -> AttributeKind {
        AttributeKind::Any
    }
}

impl Attribute for Map<String, Json> {
    fn value(&self) -> Option<Value<'_>> {
        Some(Value::Object(self))
    }

    fn kind() -> AttributeKind {
        AttributeKind::Any
    }
}
