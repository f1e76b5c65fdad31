//! The same rules in other engines, each with its context built beforehand.

use std::collections::HashMap;
use std::hint::black_box;

use datalogic_rs::{Engine, Logic, ParsedData};
use launchdarkly_server_sdk_evaluation as launchdarkly;
use serde_json::{Value, json};
use unleash_yggdrasil::{Context, EngineState, UpdateMessage};

use crate::cases::{self, Rule};
use crate::timing::Subject;

/// Everybody else on this rule.
pub(crate) fn subjects(rule: Rule) -> Vec<Subject<'static>> {
    let mut all = vec![unleash(rule), launchdarkly(rule)];
    if rule != Rule::Static {
        all.extend([datalogic(rule), flagd(rule)]);
    }
    all
}

/// The variants of the flag, for engines that give the name of one: looked through as such a list is, by name.
fn value(variants: &[(Box<str>, bool)], name: Option<&str>) -> bool {
    let found = name.and_then(|name| variants.iter().find(|(known, _)| **known == *name));
    found.is_some_and(|(_, value)| *value)
}

fn variants() -> Box<[(Box<str>, bool)]> {
    [("off", false), ("on", true)].map(|(name, value)| (name.into(), value)).into()
}

fn datalogic(rule: Rule) -> Subject<'static> {
    let engine = Engine::new();
    let logic: Logic = engine.compile(&*rule.json().expect("a rule").to_string()).expect("compiles");
    let mut attributes = cases::attributes();
    attributes["$flagd"] = json!({"flagKey": cases::KEY, "timestamp": 0});
    let data = ParsedData::from_json(&attributes.to_string()).expect("JSON");
    let mut arena = datalogic_rs::bumpalo::Bump::new();
    let variants = variants();
    let mut enabled = move || {
        arena.reset();
        let found = engine.evaluate(black_box(&logic), black_box(&data), &arena).expect("evaluates");
        value(&variants, found.as_str())
    };
    assert_eq!(enabled(), rule.expected());
    Subject::new("datalogic-rs", enabled)
}

fn flagd(rule: Rule) -> Subject<'static> {
    let operator = flagd_evaluation_engine::Operator::new();
    let rule_text = rule.json().expect("a rule").to_string();
    let context = open_feature::EvaluationContext::default()
        .with_targeting_key(cases::ID)
        .with_custom_field("country", "NL")
        .with_custom_field("tier", "gold")
        .with_custom_field("age", 31_i64);
    let variants = variants();
    let enabled = move || {
        let found =
            operator.apply(cases::KEY, black_box(&rule_text), black_box(&context)).expect("evaluates");
        value(&variants, found.as_deref())
    };
    assert_eq!(enabled(), rule.expected());
    Subject::new("flagd-evaluation-engine", enabled)
}

fn unleash(rule: Rule) -> Subject<'static> {
    let constraint = |name: &str, operator: &str, values: Value| {
        let mut constraint = json!({"contextName": name, "operator": operator});
        let field = if values.is_array() { "values" } else { "value" };
        constraint[field] = values;
        constraint
    };
    let country = constraint("country", "IN", json!(["NL"]));
    let constraints = match rule {
        Rule::One => json!([country]),
        Rule::Three => json!([
            country,
            constraint("tier", "IN", json!(["silver", "gold", "platinum"])),
            constraint("age", "NUM_GT", json!("18"))
        ]),
        Rule::Static | Rule::Percentage => json!([]),
    };
    let strategy = if rule == Rule::Percentage {
        let parameters = json!({"rollout": "25", "stickiness": "userId", "groupId": cases::KEY});
        json!({"name": "flexibleRollout", "constraints": constraints, "parameters": parameters})
    } else {
        json!({"name": "default", "constraints": constraints})
    };
    let feature = json!({"name": cases::KEY, "type": "release", "enabled": true, "strategies": [strategy]});
    let features = serde_json::from_value(json!({"version": 2, "features": [feature]})).expect("features");
    let engine = EngineState::initial_state(chrono::Utc::now());
    engine.take_state(UpdateMessage::FullResponse(features));
    let text = |text: &str| text.to_owned();
    let properties = [("country", "NL"), ("tier", "gold"), ("age", "31")];
    let properties: HashMap<_, _> = properties.map(|(name, value)| (text(name), text(value))).into();
    let context =
        Context { user_id: Some(text(cases::ID)), properties: Some(properties), ..Context::default() };
    if rule != Rule::Percentage {
        assert!(engine.is_enabled(cases::KEY, &context, &None));
    }
    Subject::new("unleash-yggdrasil", move || engine.is_enabled(cases::KEY, black_box(&context), &None))
}

struct NoStore;

impl launchdarkly::Store for NoStore {
    fn flag(&self, _: &str) -> Option<launchdarkly::Flag> {
        None
    }

    fn segment(&self, _: &str) -> Option<launchdarkly::Segment> {
        None
    }
}

fn launchdarkly(rule: Rule) -> Subject<'static> {
    let clause = |attribute: &str, op: &str, values: Value| json!({"attribute": attribute, "op": op, "values": values, "negate": false, "contextKind": "user"});
    let country = clause("country", "in", json!(["NL"]));
    let clauses = match rule {
        Rule::One => Some(json!([country])),
        Rule::Three => Some(json!([
            country,
            clause("tier", "in", json!(["silver", "gold", "platinum"])),
            clause("age", "greaterThan", json!([18]))
        ])),
        Rule::Static | Rule::Percentage => None,
    };
    let rules = clauses
        .map(|clauses| json!([{"id": "rule", "clauses": clauses, "variation": 0, "trackEvents": false}]));
    let fallthrough = match rule {
        Rule::Percentage => json!({"rollout": {"variations": [
            {"variation": 0, "weight": 25_000}, {"variation": 1, "weight": 75_000}
        ]}}),
        Rule::Static => json!({"variation": 0}),
        Rule::One | Rule::Three => json!({"variation": 1}),
    };
    let flag = json!({
        "key": cases::KEY, "version": 1, "on": true, "targets": [], "contextTargets": [], "prerequisites": [],
        "rules": rules.unwrap_or(json!([])), "fallthrough": fallthrough, "offVariation": 1,
        "variations": [true, false], "clientSide": false, "salt": "salt"
    });
    let flag: launchdarkly::Flag = serde_json::from_value(flag).expect("a flag");
    let mut builder = launchdarkly::ContextBuilder::new(cases::ID);
    builder.set_string("country", "NL").set_string("tier", "gold");
    builder.set_value("age", launchdarkly::AttributeValue::Number(31.0));
    let context = builder.build().expect("a context");
    let enabled = move || {
        let detail = launchdarkly::evaluate(&NoStore, black_box(&flag), black_box(&context), None);
        detail.value.and_then(launchdarkly::FlagValue::as_bool).unwrap_or(false)
    };
    if rule != Rule::Percentage {
        assert!(enabled());
    }
    Subject::new("launchdarkly", enabled)
}
