//! What runs compiled gives what the tree gives, and nothing that a rule says is slow or panics.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::decide::Targets;
use super::eval::{Evaluator, Scope};
use super::limits::{MAX_DEPTH, MAX_ITERATIONS};
use super::parse::parse;
use super::world::{Frame, Scene, Sight};
use crate::flag::evaluation::EvaluationError;
use crate::flag::{
    Bucketing, CompiledFlag, DynamicContext, Failure, FlagDefinition, FlagProblemKind, Reason, SetProperties,
    evaluate_rule,
};

/// Boxed, as all that others are made of: unboxed the trees of their values take more than the stack of a thread has.
fn scalar() -> BoxedStrategy<Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        prop_oneof![Just(0), Just(1), Just(18), Just(-3), Just(i64::MAX)].prop_map(Json::from),
        prop_oneof![Just(0.5), Just(18.0), Just(1e21)].prop_map(Json::from),
        prop_oneof![
            Just("on"),
            Just("off"),
            Just(""),
            Just("18"),
            Just("NL"),
            Just("true"),
            Just("1.2.0"),
            Just("é")
        ]
        .prop_map(Json::from),
    ]
    .boxed()
}

fn constant() -> BoxedStrategy<Json> {
    let list = prop::collection::vec(scalar(), 0..12).prop_map(Json::from);
    prop_oneof![4 => scalar(), 1 => list, 1 => Just(json!({"a": 1, "b": 2}))].boxed()
}

fn variable() -> BoxedStrategy<Json> {
    let path = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("user.name"),
        Just("user.tags.0"),
        Just("targetingKey"),
        Just("nowhere"),
        Just("$flagd.flagKey"),
        Just("$flagd.timestamp"),
        Just("$flagd"),
        Just(""),
    ];
    prop_oneof![
        3 => path.clone().prop_map(|path| json!({"var": path})),
        1 => (path, scalar()).prop_map(|(path, default)| json!({"var": [path, default]})),
    ]
    .boxed()
}

fn rule() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![3 => variable(), 2 => constant()];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let some = prop::collection::vec(inner.clone(), 0..5);
        let two = prop::collection::vec(inner.clone(), 2..4);
        let share = prop_oneof![
            3 => (scalar(), 0_u32..50).prop_map(|(variant, weight)| json!([variant, weight])),
            1 => scalar().prop_map(|variant| json!([variant])),
            1 => inner.clone().prop_map(|inner| json!([inner, 3])),
        ];
        let shares = (inner.clone(), any::<bool>(), prop::collection::vec(share, 0..4));
        let shares = shares.prop_map(|(first, explicit, mut shares)| {
            if explicit {
                shares.insert(0, first);
            }
            json!({"fractional": shares})
        });
        let compare = prop_oneof![
            Just("=="), Just("!="), Just("==="), Just("!=="), Just("<"), Just("<="), Just(">"), Just(">="), Just("in"),
            Just("starts_with"), Just("ends_with"),
        ];
        let operator = prop_oneof![
            Just("and"), Just("or"), Just("if"), Just("!"), Just("!!"), Just("cat"), Just("merge"), Just("+"), Just("-"),
            Just("*"), Just("/"), Just("%"), Just("max"), Just("min"), Just("missing"), Just("substr"), Just("map"),
            Just("filter"), Just("some"), Just("all"), Just("none"), Just("reduce"), Just("missing_some"), Just("log"),
        ];
        let version = prop_oneof![Just("="), Just(">"), Just("^"), Just("~"), Just("?")];
        prop_oneof![
            3 => (compare, two).prop_map(|(name, operands)| json!({name: operands})),
            3 => (operator, some.clone()).prop_map(|(name, operands)| json!({name: operands})),
            2 => some.prop_map(|operands| json!({"if": operands})),
            2 => shares,
            1 => (inner.clone(), version).prop_map(|(left, operator)| json!({"sem_ver": [left, operator, "1.2"]})),
            1 => inner.prop_map(|operand| json!({"!": operand})),
        ]
    })
}

fn context() -> impl Strategy<Value = DynamicContext> {
    let attribute = || prop::option::of(constant());
    (attribute(), attribute(), attribute(), attribute(), prop::option::of(scalar())).prop_map(
        |(a, b, c, name, key)| {
            let mut context = DynamicContext::new().with("user", json!({"name": name, "tags": ["x", 1]}));
            for (attribute, value) in [("a", a), ("b", b), ("c", c), ("targetingKey", key)] {
                if let Some(value) = value {
                    context.insert(attribute, value);
                }
            }
            context
        },
    )
}

fn flag(targeting: impl Into<Json>) -> FlagDefinition {
    let targeting: Json = targeting.into();
    let variants = json!({"on": 1, "off": 2, "true": 3, "18": 4});
    FlagDefinition::from_json(json!({
        "state": "ENABLED", "variants": variants, "defaultVariant": "off", "targeting": targeting
    }))
    .unwrap()
}

fn names() -> Box<[Box<str>]> {
    ["18", "off", "on", "true"].map(Box::from).into()
}

proptest! {
    #![proptest_config(crate::cases(1500))]

    #[test]
    fn compiled_and_walked_a_rule_gives_the_same(
        rule in rule(),
        context in context(),
        bucketing in prop_oneof![Just(Bucketing::V2), Just(Bucketing::V3)],
    ) {
        // At the top stands an operation.
        let rule = json!({"if": [true, rule]});
        let set = SetProperties::default().with_bucketing(bucketing);
        let Ok(compiled) = CompiledFlag::compile("flag", &flag(rule.clone()), &set) else { return Ok(()) };
        let found = compiled.resolve(&context, 1_700_000_000);

        let parsed = parse(&rule, &Map::new()).unwrap();
        let scene = Scene { flag_key: "flag".into(), bucketing, slots: parsed.slots.into() };
        let sight = Frame::new(&scene, &context, 1_700_000_000).by_name();
        let world = sight.world();
        let targets = Targets { names: names(), default: Some(1) };
        let walked = Evaluator::new(&world).eval(&parsed.root, Scope::Context);
        let expected = match walked {
            Ok(value) => targets.resolution(value.value()),
            Err(failure) => crate::flag::Resolution::failed(EvaluationError::Rule(failure)),
        };
        prop_assert_eq!(
            (found.variant(), found.reason(), found.error()),
            (expected.variant(), expected.reason(), expected.error()),
            "{}", rule
        );
    }
}

fn problems(targeting: Json) -> Vec<String> {
    let error = CompiledFlag::compile("flag", &flag(targeting), &SetProperties::default()).unwrap_err();
    error.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn unknown_operators_are_told_all_at_once_with_their_places() {
    let rule = json!({"if": [{"=": [1, 2]}, "on", {"fracional": [["on"]]}]});
    assert_eq!(
        problems(rule),
        [
            "targeting.if[0]: unknown operator `=`, did you mean `==`?",
            "targeting.if[2]: unknown operator `fracional`, did you mean `fractional`?",
        ]
    );
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let mut rule = json!({"var": "a"});
    for _ in 0..=MAX_DEPTH {
        rule = json!({"!": [rule]});
    }
    let error = CompiledFlag::compile("flag", &flag(rule), &SetProperties::default()).unwrap_err();
    assert_eq!(error.problems()[0].kind(), &FlagProblemKind::TooDeep);
}

#[test]
fn iterations_in_one_another_are_bounded_in_depth_and_work() {
    let nested =
        |depth| (0..depth).fold(json!({"var": ""}), |rule, _| json!({"map": [{"var": "items"}, rule]}));
    // On plain data, too, where a rule's variables belong to these as to an item.
    let on_data = |rule| evaluate_rule(&rule, &json!({}), Bucketing::V3).is_ok();
    let compiled = CompiledFlag::compile("flag", &flag(nested(MAX_ITERATIONS)), &SetProperties::default());
    assert!(compiled.is_ok() && on_data(nested(MAX_ITERATIONS)));
    assert!(problems(nested(MAX_ITERATIONS + 1)).len() == 1 && !on_data(nested(MAX_ITERATIONS + 1)));
    let list: Vec<u32> = (0..1000).collect();
    let rule = json!({"map": [list, {"map": [list, {"var": ""}]}]});
    assert_eq!(problems(rule), ["targeting: iterations that take too many steps"]);
}

#[test]
fn a_rule_that_doubles_what_it_builds_ends() {
    let items: Vec<u32> = (0..100).collect();
    for body in [
        json!({"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}),
        json!([{"var": "accumulator"}, {"var": "accumulator"}]),
        json!({"merge": [{"var": "accumulator"}, {"var": "accumulator"}]}),
        json!({"var": ""}),
    ] {
        let rule = json!({"reduce": [items, body, "ab"]});
        let compiled = CompiledFlag::compile("flag", &flag(rule), &SetProperties::default()).unwrap();
        let found = compiled.resolve(&DynamicContext::new(), 0);
        let failures = [Failure::TooLarge, Failure::TooManySteps].map(|it| Some(EvaluationError::Rule(it)));
        assert!(failures.contains(&found.error()), "{body}: {found:?}");
    }
}

#[test]
fn a_long_list_in_a_context_ends_a_rule_that_walks_it() {
    let rule = json!({"map": [{"var": "items"}, {"some": [[1, 2, 3], {"==": [{"var": ""}, 4]}]}]});
    let compiled = CompiledFlag::compile("flag", &flag(rule), &SetProperties::default()).unwrap();
    let items: Vec<u32> = (0..60_000).collect();
    let found = compiled.resolve(&DynamicContext::new().with("items", items), 0);
    assert_eq!(found.error(), Some(EvaluationError::Rule(Failure::TooManySteps)));
}

#[test]
fn the_branch_that_decided_is_named() {
    let rule = json!({"if": [
        {"==": [{"var": "a"}, 1]}, "on",
        {"==": [{"var": "a"}, 2]}, {"fractional": [{"var": "b"}, ["on", 0], ["off", 1]]},
        {"==": [{"var": "a"}, 3]}, {"cat": ["o", "n"]},
        {"if": [{"var": "b"}, "off"]}
    ]});
    let compiled = CompiledFlag::compile("flag", &flag(rule), &SetProperties::default()).unwrap();
    let rule = |a: u32, b: &str| {
        let resolution = compiled.resolve(&DynamicContext::new().with("a", a).with("b", b), 0);
        (compiled.rule(resolution).map(str::to_owned), resolution.reason())
    };
    let by = |path: &str, reason| (Some(path.to_owned()), reason);
    assert_eq!(rule(1, "x"), by("targeting.if[1]", Reason::TargetingMatch));
    assert_eq!(rule(2, "x"), by("targeting.if[3].fractional[2]", Reason::TargetingMatch));
    assert_eq!(rule(3, "x"), by("targeting.if[5]", Reason::TargetingMatch));
    assert_eq!(rule(4, "x"), by("targeting.if[6].if[1]", Reason::TargetingMatch));
    assert_eq!(rule(4, ""), by("targeting.if[6].if[2]", Reason::Default));
}

/// The table of what differs between implementations, and how it is decided.
#[test]
fn where_implementations_differ_the_answer_is_fixed() {
    use crate::flag::evaluate_rule;
    let data = json!({"flag": false, "empty": "", "list": ["a"], "object": {}, "text": "héllo"});
    let expected = [
        // JSONLogic's suites have `null == 0`; every core of flagd takes that for false, too. JavaScript has neither.
        (json!({"==": [null, 0]}), Some(json!(true))),
        (json!({"==": [{"var": "absent"}, false]}), Some(json!(true))),
        (json!({"==": [{"var": "absent"}, ""]}), Some(json!(false))),
        (json!({"!=": [{"var": "list"}, null]}), Some(json!(true))),
        // The suites make these errors, JavaScript has NaN and false.
        (json!({"==": [1, "A"]}), None),
        (json!({"<": [1, "A"]}), None),
        (json!({"==": [[1], 1]}), None),
        (json!({"+": ["A", 1]}), None),
        (json!({"/": [1, 0]}), None),
        // The suites are silent, the reference is not: no error between other kinds.
        (json!({"==": [true, "A"]}), Some(json!(false))),
        (json!({"==": [{"var": "list"}, "a"]}), Some(json!(true))),
        (json!({"<": [null, "A"]}), Some(json!(false))),
        // The reference joins without null; flagd's JavaScript core writes it out when it compiles.
        (json!({"cat": ["a", null, ["b", "c"]]}), Some(json!("ab,c"))),
        // The empty text counts as missing, as in the reference.
        (json!({"missing": ["empty", "flag"]}), Some(json!(["empty"]))),
        // Without an initial value it is null, as in the reference.
        (json!({"reduce": [[1, 2], {"*": [{"var": "current"}, {"var": "accumulator"}]}]}), Some(json!(0))),
        // Lists and objects have no identity here.
        (json!({"===": [{"var": "list"}, {"var": "list"}]}), Some(json!(false))),
        // Whole numbers are exact beyond 2^53, as in flagd's Rust and Python cores.
        (json!({"==": [9_007_199_254_740_993_i64, 9_007_199_254_740_992_i64]}), Some(json!(false))),
        (json!({"+": [9_007_199_254_740_993_i64, null, true]}), Some(json!(9_007_199_254_740_994_i64))),
        // Characters, not UTF-16 units, and no properties of JavaScript's texts and lists.
        (json!({"substr": [{"var": "text"}, 1, 1]}), Some(json!("é"))),
        (json!({"var": ["list.length", "none"]}), Some(json!("none"))),
    ];
    for (rule, expected) in expected {
        assert_eq!(evaluate_rule(&rule, &data, Bucketing::V3).ok(), expected, "{rule}");
    }
}
