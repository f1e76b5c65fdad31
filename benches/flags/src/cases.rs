//! The rules, and whom they are evaluated for: the same on every side.

use kvconf::flag::{Bucketing, CompiledFlag, DynamicContext, EvaluationContext, FlagDefinition, SetProperties};
use serde_json::{Value, json};

/// A visitor, typed.
#[derive(EvaluationContext)]
pub(crate) struct Visitor<'a> {
    #[context(targeting_key)]
    pub(crate) id: &'a str,
    pub(crate) country: &'a str,
    pub(crate) tier: Tier,
    pub(crate) age: u32,
}

#[derive(EvaluationContext)]
#[context(rename_all = "lowercase")]
#[expect(dead_code, reason = "one of them visits")]
pub(crate) enum Tier {
    Free,
    Gold,
}

pub(crate) const ID: &str = "6f1c2a9e-4b7d-4b0e-9a57-0d3f6a1b2c3d";

pub(crate) fn typed() -> Visitor<'static> {
    Visitor { id: ID, country: "NL", tier: Tier::Gold, age: 31 }
}

pub(crate) fn attributes() -> Value {
    json!({"targetingKey": ID, "country": "NL", "tier": "gold", "age": 31})
}

pub(crate) fn dynamic() -> DynamicContext {
    DynamicContext::new().targeting_key(ID).with("country", "NL").with("tier", "gold").with("age", 31)
}

/// One condition.
pub(crate) fn one() -> Value {
    json!({"if": [{"==": [{"var": "country"}, "NL"]}, "on", "off"]})
}

/// Three conditions: equal, one of three, greater.
pub(crate) fn three() -> Value {
    json!({"if": [{"and": [
        {"==": [{"var": "country"}, "NL"]},
        {"in": [{"var": "tier"}, ["silver", "gold", "platinum"]]},
        {">": [{"var": "age"}, 18]}
    ]}, "on", "off"]})
}

/// A quarter of all.
pub(crate) fn percentage() -> Value {
    json!({"fractional": [["on", 25], ["off", 75]]})
}

/// Twenty conditions, in ten branches.
pub(crate) fn twenty() -> Value {
    let mut branches = Vec::new();
    for number in 0..10 {
        branches.push(json!({"and": [
            {"==": [{"var": "country"}, format!("C{number}")]},
            {">": [{"var": "age"}, number]}
        ]}));
        branches.push(json!("on"));
    }
    branches.push(json!("off"));
    json!({"if": branches})
}

pub(crate) fn definition(targeting: Option<Value>) -> FlagDefinition {
    let mut flag = json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off"});
    if let Some(targeting) = targeting {
        flag["targeting"] = targeting;
    }
    FlagDefinition::from_json(flag).expect("a flag")
}

pub(crate) fn flag(targeting: Option<Value>, bucketing: Bucketing) -> CompiledFlag {
    let set = SetProperties::default().with_bucketing(bucketing);
    CompiledFlag::compile("new-cart", &definition(targeting), &set).expect("a flag")
}
