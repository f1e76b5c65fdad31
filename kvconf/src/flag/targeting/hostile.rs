//! Rules that somebody wrote to be slow: each is refused, or fails, or is answered, and none takes long.
//!
//! Each stood for something that took seconds, minutes or all memory before it was bounded. The times are those of a processor, in
//! a build without optimization.

use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use crate::flag::{
    Bucketing, CompiledFlag, DynamicContext, EvaluationError, Failure, FlagDefinition, FlagDocument,
    FlagProblemKind, Resolution, SetProperties, check_targeting, evaluate_rule,
};

/// How long anything of a hostile rule may take here. Optimized it is a twentieth of that.
const MOST: Duration = Duration::from_secs(3);

/// The time that this thread has had a processor; that of the clock where the system does not tell.
fn spent(since: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// Does something, which must not take long.
#[track_caller]
fn soon<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let before = spent(since);
    let done = work();
    let taken = spent(since) - before;
    assert!(taken < MOST, "{what} took {taken:?}");
    done
}

fn set() -> SetProperties {
    SetProperties::default()
}

fn definition(variants: impl Into<Json>, targeting: impl Into<Json>) -> FlagDefinition {
    let (variants, targeting): (Json, Json) = (variants.into(), targeting.into());
    FlagDefinition::from_json(json!({"state": "ENABLED", "variants": variants, "targeting": targeting}))
        .unwrap()
}

fn compiled(what: &str, targeting: Json) -> CompiledFlag {
    let definition = definition(json!({"on": 1, "off": 2}), targeting);
    soon(what, || CompiledFlag::compile("flag", &definition, &set())).unwrap()
}

/// What an evaluation comes to, first and once more.
fn resolved(what: &str, targeting: Json, context: &DynamicContext) -> Resolution {
    let flag = compiled(what, targeting);
    soon(what, || flag.resolve(context, 0))
}

fn failure(what: &str, targeting: Json, context: &DynamicContext) -> Option<EvaluationError> {
    resolved(what, targeting, context).error()
}

const TOO_MANY_STEPS: Option<EvaluationError> = Some(EvaluationError::Rule(Failure::TooManySteps));

fn numbers(count: u32) -> Json {
    (0..count).collect()
}

fn nobody() -> DynamicContext {
    DynamicContext::new().targeting_key("user-1")
}

/// A rule that runs an operation for each of so many items.
fn for_each(count: u32, operation: impl Into<Json>) -> Json {
    let operation: Json = operation.into();
    json!({"map": [numbers(count), operation]})
}

#[test]
fn operators_on_long_texts_are_bounded_in_iterations() {
    let long = "1".repeat(300_000);
    let other = format!("{}2", &long[1..]);
    let texts: Vec<&str> = vec![&long; 9];
    for operation in [
        json!({"missing": [long]}),
        json!({"missing_some": [long, []]}),
        json!({"var": {"cat": [{"substr": [long, 0, 60_000]}]}}),
        json!({"==": [long, other]}),
        json!({"<": [long, other]}),
        json!({"===": [long, other]}),
        json!({"in": [other, long]}),
        json!({"in": ["2", long]}),
        json!({"in": [other, texts]}),
        json!({"starts_with": [long, other]}),
        json!({"ends_with": [long, other]}),
        json!({"sem_ver": [long, "<", other]}),
        json!({"+": [long]}),
        json!({"max": [long, other]}),
        json!({"substr": [long, 1]}),
        json!({"cat": [long]}),
        json!({"fractional": [long, ["on", 1]]}),
    ] {
        let name = operation.to_string();
        let name = &name[..30];
        let error = failure(name, for_each(20_000, operation), &nobody());
        let is_bounded = matches!(error, Some(EvaluationError::Rule(_)));
        assert!(is_bounded, "{name}: {error:?}");
    }
}

#[test]
fn names_of_a_million_digits_are_no_places_in_lists() {
    let rule = json!({"map": [vec![[1]; 20_000], {"var": "1".repeat(500_000)}]});
    assert_eq!(failure("a place", rule, &nobody()), Some(EvaluationError::UnknownVariant));
}

#[test]
fn subjects_of_shares_are_bounded() {
    let large: Map<String, Json> = (0..100_000).map(|number| (format!("k{number}"), number.into())).collect();
    let rule = for_each(5_000, json!({"fractional": [large, ["on", 1]]}));
    assert_eq!(failure("an object", rule, &nobody()), TOO_MANY_STEPS);
    let rule = for_each(20_000, json!({"fractional": [["on", 1]]}));
    let somebody = DynamicContext::new().targeting_key("x".repeat(1_000_000));
    assert_eq!(failure("a targeting key", rule, &somebody), TOO_MANY_STEPS);
}

/// A list of lists that are one and the same list: written out it would have billions of items.
#[test]
fn lists_that_share_their_parts_are_not_written_out() {
    let list = numbers(100_000);
    let some = for_each(2_000, list.clone());
    let grown = for_each(50_000, list);
    for rule in [
        json!({"==": ["a", grown]}),
        json!({"<": [true, grown]}),
        json!({"sem_ver": [grown, "=", "1"]}),
        json!({"substr": [grown, 1]}),
        json!({"cat": [grown]}),
        json!({"in": [grown, "a"]}),
        json!({"var": grown}),
        json!({"missing": {"map": [[1], grown]}}),
        json!({"reduce": [some, {"fractional": [{"var": ""}, ["on", 1]]}, 0]}),
    ] {
        let name = rule.to_string();
        let error = failure(&name[..20], json!({"if": [rule, "on"]}), &nobody());
        let is_bounded = error == TOO_MANY_STEPS || error == Some(EvaluationError::Rule(Failure::TooLarge));
        assert!(is_bounded, "{}: {error:?}", &name[..20]);
    }
    let told = soon("telling it", || evaluate_rule(&grown, &Json::Null, Bucketing::V3));
    assert_eq!(
        told.unwrap_err().to_string(),
        "the rule failed: a text or list of more than 65536 bytes or items"
    );
}

#[test]
fn many_variables_are_numbered_without_looking_through_all_of_them() {
    let variables: Vec<Json> = (0..9_000).map(|number| json!({"var": format!("{number:0>80}")})).collect();
    let rule = json!({"if": [{"or": variables}, "on", "off"]});
    assert_eq!(resolved("variables", rule, &nobody()).variant(), Some(0));
}

#[test]
fn many_branches_find_their_variants_among_many() {
    let name = |number: u32| format!("{number:0>12}");
    let variants: Map<String, Json> = (0..30_000).map(|number| (name(number), number.into())).collect();
    let branches: Vec<Json> =
        (0..30_000).flat_map(|number| [0.into(), name(29_999 - number).into()]).collect();
    let definition = definition(variants, json!({"if": branches}));
    let flag = soon("compiling", || CompiledFlag::compile("flag", &definition, &set())).unwrap();
    assert_eq!(soon("evaluating", || flag.resolve(&nobody(), 0)).variant(), None);
    let findings = soon("analysing", || definition.analyse(&set())).unwrap();
    assert_eq!(findings.len(), 100);
}

#[test]
fn nested_lists_are_not_copied_at_each_level() {
    let mut list = numbers(150_000);
    for _ in 0..60 {
        list = json!([list]);
    }
    assert_eq!(failure("nesting", json!({"if": [0, list]}), &nobody()), None);
}

#[test]
fn long_names_of_unknown_operators_are_not_compared_with_all_known_ones() {
    let long = |number: u32| format!("{}{number}", "fractiona".repeat(20_000));
    let rule = json!({"if": (0..5).map(|number| json!({long(number): []})).collect::<Vec<_>>()});
    let definition = definition(json!({"on": 1}), rule.clone());
    let error = soon("compiling", || CompiledFlag::compile("flag", &definition, &set())).unwrap_err();
    assert_eq!(error.problems().len(), 5);
    assert_eq!(soon("checking", || check_targeting(&rule)).len(), 5);
}

#[test]
fn many_conditions_are_not_compared_with_each_other() {
    // They differ in the last of many items.
    let condition = |number: u32| {
        let items: Vec<u32> = (0..38).chain([number]).collect();
        json!({"in": [{"var": "a"}, items]})
    };
    let conditions: Vec<Json> = (100..4_600).flat_map(|number| [condition(number), "on".into()]).collect();
    let definition = definition(json!({"on": 1}), json!({"if": conditions}));
    assert_eq!(soon("conditions", || definition.analyse(&set())).unwrap().len(), 0);
}

#[test]
fn many_shares_are_analysed_and_found_soon() {
    let variants: Map<String, Json> = (0..60_000).map(|number| (number.to_string(), number.into())).collect();
    let shares: Vec<Json> = variants.keys().map(|name| json!([name, 1])).collect();
    let definition = definition(variants, json!({"fractional": shares}));
    assert_eq!(soon("analysing", || definition.analyse(&set())).unwrap(), []);
    let flag = soon("compiling", || CompiledFlag::compile("flag", &definition, &set())).unwrap();
    let last = DynamicContext::new().targeting_key("user-1");
    soon("evaluating", || (0..5_000).for_each(|_| assert!(flag.resolve(&last, 0).variant().is_some())));
}

#[test]
fn long_lists_of_constants_are_searched() {
    let mixed: Vec<Json> =
        (0..60_000).flat_map(|number| [json!(number), json!(format!("t{number}"))]).collect();
    let flag = compiled("a list", json!({"if": [{"in": [{"var": "a"}, mixed]}, "on", "off"]}));
    let (inside, outside) = (DynamicContext::new().with("a", 59_999), DynamicContext::new().with("a", 0.5));
    soon("searching", || {
        for _ in 0..3_000 {
            assert_eq!(flag.resolve(&inside, 0).variant(), Some(1));
            assert_eq!(flag.resolve(&outside, 0).variant(), Some(0));
        }
    });
}

/// What the rule alone does not bound is bounded when it meets such a context.
#[test]
fn long_texts_and_lists_of_a_context_are_bounded() {
    let question = |number: u32| json!({"in": [format!("x{number}"), {"var": "agent"}]});
    let questions: Vec<Json> = (0..4_000).map(question).collect();
    let context = DynamicContext::new().with("agent", "y".repeat(1 << 20));
    assert_eq!(failure("parts", json!({"if": [{"or": questions}, "on"]}), &context), TOO_MANY_STEPS);
    let among = |number: u32| {
        let texts: Vec<String> = (0..10).map(|text| format!("{number} {text}")).collect();
        json!({"in": [{"var": "agent"}, texts]})
    };
    let questions: Vec<Json> = (0..4_000).map(among).collect();
    assert_eq!(failure("texts", json!({"if": [{"or": questions}, "on"]}), &context), None);
    let question = |number: u32| json!({"==": [{"var": "list"}, format!("x{number}")]});
    let questions: Vec<Json> = (0..4_000).map(question).collect();
    let context = DynamicContext::new().with("list", numbers(100_000));
    assert_eq!(failure("lists", json!({"if": [{"or": questions}, "on"]}), &context), TOO_MANY_STEPS);
}

#[test]
fn contexts_of_many_attributes_are_read_soon() {
    let text = |number: u32| format!("{number:0>20}");
    let attributes: Map<String, Json> = (0..60_000).map(|number| (text(number), number.into())).collect();
    let json = Json::from(attributes).to_string();
    let context = soon("reading", || DynamicContext::parse(&json)).unwrap();
    assert_eq!(context.get(&text(59_999)), Some(&59_999.into()));
    let twice = (0..60_000).chain(0..60_000).map(|number| (text(number), number + 1));
    let context = soon("collecting", || twice.collect::<DynamicContext>());
    assert_eq!((context.iter().count(), context.get(&text(7))), (60_000, Some(&8.into())));
}

#[test]
fn shared_rules_count_wherever_they_are_used() {
    let evaluators = Map::from_iter([("large".to_owned(), json!({"in": [{"var": "a"}, numbers(1_000)]}))]);
    let set = SetProperties::new(evaluators, Map::new()).unwrap();
    let uses = vec![json!({"$ref": "large"}); 5_000];
    let definition = definition(json!({"on": 1}), json!({"if": [{"or": uses}, "on"]}));
    let error = soon("compiling", || CompiledFlag::compile("flag", &definition, &set)).unwrap_err();
    assert_eq!(error.problems()[0].kind(), &FlagProblemKind::TooManyConstants);
}

#[test]
fn violations_of_the_schema_end() {
    let mut rule = json!({"fractional": [["on", -1]]});
    for _ in 0..300 {
        rule = json!({"fractional": [[rule, 1]]});
    }
    soon("nesting", || check_targeting(&rule));
    let mut rule = json!({"fractional": vec![json!(["on", -1]); 20_000]});
    for _ in 0..50 {
        rule = json!({"if": [rule]});
    }
    assert_eq!(soon("many", || check_targeting(&rule)).len(), 32);
}

#[test]
fn documents_of_many_flags_are_read_soon() {
    let flag = |number: u32| {
        let (key, on) = (format!("{number:0>16}"), json!({"on": true}));
        json!({"key": key, "state": "ENABLED", "variants": on})
    };
    let flags: Vec<Json> = (0..20_000).map(flag).collect();
    let text = json!({"flags": flags}).to_string();
    let document = soon("reading", || FlagDocument::parse(&text)).unwrap();
    assert_eq!(document.flags().count(), 20_000);
}
