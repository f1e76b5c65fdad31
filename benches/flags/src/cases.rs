//! The rules, and whom they are evaluated for: the same on every side.

use kvconf::Flag;
use kvconf::flag::{BUCKETING_METADATA, Bucketing, DynamicContext, EvaluationContext};
use serde_json::{Value, json};

/// Which rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Static,
    One,
    Three,
    Percentage,
}

impl Rule {
    pub(crate) const ALL: [Self; 4] = [Self::Static, Self::One, Self::Three, Self::Percentage];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::One => "1 condition",
            Self::Three => "3 conditions",
            Self::Percentage => "percentage",
        }
    }

    /// What it gives. The two versions of bucketing agree about this visitor.
    pub(crate) fn expected(self) -> bool {
        self != Self::Percentage
    }

    /// As JSONLogic.
    pub(crate) fn json(self) -> Option<Value> {
        match self {
            Self::Static => None,
            Self::One => Some(one()),
            Self::Three => Some(three()),
            Self::Percentage => Some(percentage()),
        }
    }
}

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

pub(crate) const KEY: &str = "new-cart";

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

/// A flag object with this rule.
pub(crate) fn object(targeting: Option<Value>, bucketing: Bucketing) -> Value {
    let mut flag = json!({
        "state": "ENABLED", "variants": {"on": true, "off": false},
        "defaultVariant": if targeting.is_some() { "off" } else { "on" },
        "metadata": {BUCKETING_METADATA: bucketing.name()}
    });
    if let Some(targeting) = targeting {
        flag["targeting"] = targeting;
    }
    flag
}

/// The flag as a field of a struct holds it.
pub(crate) fn flag(targeting: Option<Value>, bucketing: Bucketing) -> Flag<bool> {
    Flag::parse(KEY, &object(targeting, bucketing).to_string(), Some(false)).expect("a flag")
}
