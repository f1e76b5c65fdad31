//! The SDK's context as rules see it.

use kvconf::flag::{AttributeName, EvaluationContext as Attributes, TARGETING_KEY, Value as Seen};
use open_feature::{EvaluationContext, EvaluationContextFieldValue as Field, StructValue, Value};
use serde_json::{Map, Value as Json};
use time::format_description::well_known::Rfc3339;

/// Borrows the fields, but for those that have to be written in another form first.
pub(crate) struct Context<'a> {
    given: &'a EvaluationContext,
    written: Vec<(&'a str, Json)>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(given: &'a EvaluationContext) -> Self {
        let written = |(name, field): (&'a String, &'a Field)| Some((name.as_str(), write(field)?));
        Self { given, written: given.custom_fields.iter().filter_map(written).collect() }
    }

    fn seen<'s>(&'s self, name: &str, field: &'s Field) -> Option<Seen<'s>> {
        match field {
            Field::Bool(value) => Some(Seen::Bool(*value)),
            Field::Int(number) => Some(Seen::Int(*number)),
            Field::Float(number) => number.is_finite().then_some(Seen::Float(*number)),
            Field::String(text) => Some(Seen::Text(text)),
            Field::DateTime(_) => self.written(name),
            Field::Struct(inside) => match inside.downcast_ref::<Json>() {
                Some(json) => Some(json.into()),
                None => match inside.downcast_ref::<Map<String, Json>>() {
                    Some(object) => Some(Seen::Object(object)),
                    None => self.written(name),
                },
            },
        }
    }

    fn written(&self, name: &str) -> Option<Seen<'_>> {
        self.written.iter().find(|(known, _)| *known == name).map(|(_, json)| json.into())
    }
}

impl Attributes for Context<'_> {
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Seen<'_>> {
        if name.text() == TARGETING_KEY
            && let Some(key) = &self.given.targeting_key
        {
            return Some(Seen::Text(key));
        }
        self.seen(name.text(), self.given.custom_fields.get(name.text())?)
    }

    fn visit(&self, visitor: &mut dyn FnMut(&str, Seen<'_>)) {
        if let Some(key) = &self.given.targeting_key {
            visitor(TARGETING_KEY, Seen::Text(key));
        }
        for (name, field) in &self.given.custom_fields {
            let is_taken = name == TARGETING_KEY && self.given.targeting_key.is_some();
            if let Some(seen) = self.seen(name, field).filter(|_| !is_taken) {
                visitor(name, seen);
            }
        }
    }
}

/// What a field says in JSON, where it cannot be borrowed.
fn write(field: &Field) -> Option<Json> {
    match field {
        Field::DateTime(time) => time.format(&Rfc3339).ok().map(Json::from),
        Field::Struct(inside) => {
            let inside = &**inside;
            inside.downcast_ref().map(json_of).or_else(|| inside.downcast_ref().map(json_of_struct))
        }
        Field::Bool(_) | Field::Int(_) | Field::Float(_) | Field::String(_) => None,
    }
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(json_of).collect(),
        Value::Struct(fields) => json_of_struct(fields),
    }
}

fn json_of_struct(fields: &StructValue) -> Json {
    let fields = fields.fields.iter().map(|(name, value)| (name.clone(), json_of(value)));
    Json::Object(fields.collect())
}

#[cfg(test)]
mod tests {
    use kvconf::flag::{Bucketing, DynamicContext, evaluate_rule};
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    /// All that rules see of a context.
    fn all(context: &EvaluationContext) -> Json {
        let mut all = Map::new();
        Context::new(context).visit(&mut |name, value| {
            // What is shown is JSON.
            let json = serde_json::from_str(&format!("{value:?}")).unwrap();
            all.insert(name.to_owned(), json);
        });
        for name in all.keys() {
            let found = Context::new(context).lookup(&AttributeName::new(name)).map(|it| format!("{it:?}"));
            assert_eq!(found, Some(all[name].to_string()), "{name}");
        }
        all.into()
    }

    #[test]
    fn fields_of_every_kind_are_attributes() {
        let fields = StructValue::default().with_field("list", Value::Array(vec![1.into(), "x".into()]));
        let context = EvaluationContext::default()
            .with_targeting_key("user-1")
            .with_custom_field("targetingKey", "not this one")
            .with_custom_field("bool", true)
            .with_custom_field("int", i64::MAX)
            .with_custom_field("float", 0.5)
            .with_custom_field("infinite", f64::INFINITY)
            .with_custom_field("text", "Świętopełk")
            .with_custom_field("time", datetime!(2026-03-01 12:00:00.5 UTC))
            .with_custom_field("json", Field::new_struct(json!({"a": [null, 1]})))
            .with_custom_field("map", Field::new_struct(Map::from_iter([("b".to_owned(), json!(2))])))
            .with_custom_field("value", Field::new_struct(Value::Struct(fields.clone())))
            .with_custom_field("struct", Field::new_struct(fields))
            .with_custom_field("opaque", Field::new_struct(std::time::Duration::ZERO));
        assert_eq!(
            all(&context),
            json!({
                "targetingKey": "user-1", "bool": true, "int": i64::MAX, "float": 0.5, "text": "Świętopełk",
                "time": "2026-03-01T12:00:00.5Z", "json": {"a": [null, 1]}, "map": {"b": 2},
                "value": {"list": [1, "x"]}, "struct": {"list": [1, "x"]},
            })
        );
    }

    #[test]
    fn a_targeting_key_may_also_be_a_field() {
        let context = EvaluationContext::default().with_custom_field("targetingKey", "user-2");
        assert_eq!(all(&context), json!({"targetingKey": "user-2"}));
        // As for a context of kvconf's own.
        let own = DynamicContext::new().targeting_key("user-2");
        assert_eq!(format!("{own:?}"), r#"{"targetingKey":"user-2"}"#);
        let rule = json!({"var": "targetingKey"});
        assert_eq!(evaluate_rule(&rule, &all(&context), Bucketing::V3), Ok(json!("user-2")));
    }
}
