//! All that a rule can see: the context, and what flagd puts over it.

use crate::flag::context::{AttributeName, EvaluationContext};
use crate::flag::value::Value;

/// What a rule is evaluated against.
pub(crate) struct World<'e> {
    pub(crate) context: &'e dyn EvaluationContext,
    pub(crate) flagd: Flagd<'e>,
}

/// The object `$flagd`.
pub(crate) struct Flagd<'e> {
    pub(crate) flag_key: &'e str,
    /// Whole seconds since the Unix epoch.
    pub(crate) timestamp: i64,
}

/// The context as a whole, as `{"var": ""}` gives it.
impl EvaluationContext for World<'_> {
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Value<'_>> {
        if name.text() == "$flagd" { Some(Value::Object(&self.flagd)) } else { self.context.lookup(name) }
    }

    fn visit(&self, visitor: &mut dyn FnMut(&str, Value<'_>)) {
        visitor("$flagd", Value::Object(&self.flagd));
        self.context.visit(&mut |name, value| {
            if name != "$flagd" {
                visitor(name, value);
            }
        });
    }
}

impl EvaluationContext for Flagd<'_> {
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Value<'_>> {
        match name.text() {
            "flagKey" => Some(Value::Text(self.flag_key)),
            "timestamp" => Some(Value::Int(self.timestamp)),
            _ => None,
        }
    }

    fn visit(&self, visitor: &mut dyn FnMut(&str, Value<'_>)) {
        visitor("flagKey", Value::Text(self.flag_key));
        visitor("timestamp", Value::Int(self.timestamp));
    }
}
