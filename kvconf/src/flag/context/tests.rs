//! Derived contexts.

use serde_json::json;

use super::{Attribute as _, AttributeName, ContextSchema, DynamicContext, TypedContext as _, Way};
use crate::flag::{CompiledFlag, EvaluationContext, FlagDefinition, SetProperties};

#[derive(EvaluationContext)]
#[context(rename_all = "kebab-case")]
enum Tier {
    Free,
    VeryGold,
    #[context(rename = "B2B")]
    Business,
}

#[derive(EvaluationContext)]
struct Device<'a> {
    model: &'a str,
    screens: Vec<Screen>,
}

#[derive(EvaluationContext)]
struct Screen {
    width: u32,
}

#[derive(EvaluationContext)]
#[context(rename_all = "camelCase")]
struct Visitor<'a> {
    #[context(targeting_key)]
    id: &'a str,
    tier: Tier,
    country: Option<&'a str>,
    #[context(rename = "years")]
    age: u32,
    roles: &'a [&'a str],
    current_device: Device<'a>,
    other_device: Option<Box<Device<'a>>>,
    balance: f64,
    is_staff: bool,
    #[context(skip)]
    _session: std::marker::PhantomData<&'a ()>,
}

fn visitor() -> Visitor<'static> {
    Visitor {
        id: "user-17",
        tier: Tier::VeryGold,
        country: None,
        age: 31,
        roles: &["admin", "dev"],
        current_device: Device { model: "X1", screens: vec![Screen { width: 1920 }, Screen { width: 800 }] },
        other_device: None,
        balance: -0.5,
        is_staff: true,
        _session: std::marker::PhantomData,
    }
}

fn same() -> DynamicContext {
    DynamicContext::parse(
        r#"{"targetingKey": "user-17", "tier": "very-gold", "years": 31, "roles": ["admin", "dev"],
            "currentDevice": {"model": "X1", "screens": [{"width": 1920}, {"width": 800}]},
            "balance": -0.5, "isStaff": true}"#,
    )
    .unwrap()
}

#[test]
fn a_rule_sees_the_same_in_a_typed_and_in_a_dynamic_context() {
    let rules = [
        json!({"==": [{"var": "tier"}, "very-gold"]}),
        json!({"==": [{"var": ["country", "NL"]}, "NL"]}),
        json!({"==": [{"var": "years"}, 31]}),
        json!({"in": ["dev", {"var": "roles"}]}),
        json!({"==": [{"var": "roles.1"}, "dev"]}),
        json!({"==": [{"var": "currentDevice.model"}, "X1"]}),
        json!({"==": [{"var": "currentDevice.screens.1.width"}, 800]}),
        json!({"some": [{"var": "currentDevice.screens"}, {">": [{"var": "width"}, 1000]}]}),
        json!({"!": {"var": "otherDevice.model"}}),
        json!({"<": [{"var": "balance"}, 0]}),
        json!({"!!": {"var": "isStaff"}}),
        json!({"==": [{"cat": {"missing": ["country", "years", "id"]}}, "countryid"]}),
        json!({"==": [{"var": {"cat": ["current", "Device.model"]}}, "X1"]}),
        json!({"==": [{"var": "targetingKey"}, "user-17"]}),
    ];
    for rule in rules {
        let flag = json!({"state": "ENABLED", "variants": {"true": true, "false": false}, "targeting": rule});
        let flag = FlagDefinition::from_json(flag).unwrap();
        let flag = CompiledFlag::compile("flag", &flag, &SetProperties::default()).unwrap();
        let details = [flag.evaluate(&visitor(), 0, false), flag.evaluate(&same(), 0, false)];
        assert_eq!(details.map(|detail| detail.value), [true, true], "{rule}");
    }
}

#[test]
fn variants_of_an_enum_have_their_texts() {
    let texts =
        [Tier::Free, Tier::VeryGold, Tier::Business].map(|tier| format!("{:?}", tier.value().unwrap()));
    assert_eq!(texts, ["\"free\"", "\"very-gold\"", "\"B2B\""]);
}

#[test]
fn a_context_shown_is_its_attributes() {
    use crate::flag::Value;
    let (typed, dynamic) = (visitor(), same());
    let expected = r#"{"targetingKey":"user-17","tier":"very-gold","years":31,"roles":["admin","dev"],"currentDevice":{"model":"X1","screens":[{"width":1920},{"width":800}]},"balance":-0.5,"isStaff":true}"#;
    assert_eq!(format!("{:?}", Value::Object(&typed)), expected);
    assert_eq!(dynamic.iter().count(), 7);
    assert!(typed.lookup(&AttributeName::new("_session")).is_none());
}

#[test]
fn paths_lead_through_the_schema() {
    let schema: &ContextSchema = Visitor::described();
    assert_eq!(schema.name(), "Visitor");
    let way = |path: &str| schema.resolve(path.split('.'));
    assert_eq!(way("years"), Way::Attribute(3));
    assert_eq!(way("currentDevice.model"), Way::Nested([5, 0].into()));
    assert_eq!(way("currentDevice.screens.0.width"), Way::Mixed([5, 1].into(), 2));
    assert_eq!(way("currentDevice.modle"), Way::Nowhere);
    assert_eq!(way("years.x"), Way::Nowhere);
    assert_eq!(
        schema.paths(),
        [
            "targetingKey",
            "tier",
            "country",
            "years",
            "roles",
            "currentDevice.model",
            "currentDevice.screens",
            "otherDevice.model",
            "otherDevice.screens",
            "balance",
            "isStaff"
        ]
    );
}

#[test]
fn attributes_that_a_context_lacks_are_named_with_what_may_be_meant() {
    let flag = r#"{"state": "ENABLED", "variants": {"on": true}, "targeting":
        {"if": [{"and": [{"==": [{"var": "contry"}, "NL"]}, {"var": "years"}, {"var": "currentDevice.modle"}, {"var": "zzz"}]}, "on"]}}"#;
    let flag = FlagDefinition::parse(flag).unwrap();
    let flag = CompiledFlag::compile("flag", &flag, &SetProperties::default()).unwrap();
    let unknown: Vec<_> =
        flag.unknown_attributes(Visitor::described()).into_iter().map(|it| (it.path, it.close)).collect();
    let expected =
        [("contry", Some("country")), ("currentDevice.modle", Some("currentDevice.model")), ("zzz", None)];
    let expected: Vec<_> =
        expected.into_iter().map(|(path, close)| (path.to_owned(), close.map(str::to_owned))).collect();
    assert_eq!(unknown, expected);
}

#[test]
fn many_types_of_contexts_are_each_found_right() {
    macro_rules! contexts {
        ($($name:ident { $($field:ident),* })*) => {[$({
            #[derive(EvaluationContext)]
            struct $name { $($field: u8),* }
            let context = $name { $($field: if stringify!($field) == "x" { 1 } else { 0 }),* };
            Box::new(context) as Box<dyn EvaluationContext>
        }),*]};
    }
    let contexts = contexts! {
        A { x } B { a, x } C { a, b, x } D { a, b, c, x } E { x, a } F { a, x, b } G { x, a, b }
        H { a, b, c, d, x } I { a, b, c, d, e, x } J { x, b, c } K { b, x, c }
    };
    let flag = r#"{"state": "ENABLED", "variants": {"true": true, "false": false}, "targeting": {"==": [{"var": "x"}, 1]}}"#;
    let flag = FlagDefinition::parse(flag).unwrap();
    let flag = CompiledFlag::compile("flag", &flag, &SetProperties::default()).unwrap();
    for _ in 0..2 {
        for context in &contexts {
            assert!(flag.evaluate(&**context, 0, false).value);
        }
    }
}
