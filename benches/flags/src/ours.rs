//! The flags of this library, as a program has them: in a field, asked by `get`.

use std::hint::black_box;

use kvconf::flag::{Bucketing, CompiledFlag, EvaluationContext, FlagDefinition, SetProperties};
use kvconf::{Flag, LiveBuilder};

use crate::cases::{self, Rule};
use crate::load::{self, Shop};
use crate::timing::Subject;

/// Ours on this rule: with the type of the context known, with names at run time, and behind a pointer that tells nothing.
pub(crate) fn subjects(rule: Rule) -> Vec<Subject<'static>> {
    let versions: &[_] =
        if rule == Rule::Percentage { &[Bucketing::V2, Bucketing::V3] } else { &[Bucketing::V3] };
    let mut subjects = Vec::new();
    for version in versions {
        let shown = if rule == Rule::Percentage { format!(", {version}") } else { String::new() };
        let flag = || cases::flag(rule.json(), *version);
        subjects.push(subject(rule, format!("kvconf, typed{shown}"), flag(), cases::typed()));
        subjects.push(subject(rule, format!("kvconf, dynamic{shown}"), flag(), cases::dynamic()));
        let (flag, behind): (_, Box<dyn EvaluationContext>) = (flag(), Box::new(cases::typed()));
        subjects.push(Subject::new(format!("kvconf, typed, by `dyn`{shown}"), move || {
            black_box(&flag).get(&**black_box(&behind))
        }));
    }
    subjects
}

fn subject(
    rule: Rule,
    name: String,
    flag: Flag<bool>,
    context: impl EvaluationContext + 'static,
) -> Subject<'static> {
    assert_eq!(flag.get(&context), rule.expected());
    Subject::new(name, move || black_box(&flag).get(black_box(&context)))
}

/// What a field adds to a rule of one condition, with nobody to be told of evaluations and with somebody.
///
/// The rule alone knows nothing of functions that are told, so what a field costs above it is the most that their being possible
/// can cost. It has the value to look up as the field has.
pub(crate) fn told() -> Vec<Subject<'static>> {
    let object = cases::object(Rule::One.json(), Bucketing::V3);
    let definition = FlagDefinition::from_json(object.clone()).expect("a flag");
    let compiled =
        CompiledFlag::compile(cases::KEY, &definition, &SetProperties::default()).expect("compiles");
    let values: Box<[bool]> = Box::new([false, true]);
    let rule = (compiled, values);
    let context = cases::typed();
    let alone = move || {
        let (compiled, values) = black_box(&rule);
        let found = compiled.resolve(black_box(&context), 0).variant();
        found.and_then(|variant| values.get(variant)).copied().unwrap_or(false)
    };
    assert!(alone());
    let field = |builder: fn(LiveBuilder<Shop>) -> LiveBuilder<Shop>| {
        let (_runtime, _bucket, live) = load::live_with(&object.to_string(), builder);
        live.load().new_cart.clone()
    };
    let nobody = field(|builder| builder);
    let somebody = field(|builder| {
        builder.on_evaluation(|exposure| {
            black_box(exposure.key);
        })
    });
    vec![
        Subject::new("the rule alone, and its value", alone),
        subject(Rule::One, "a field, nobody told".to_owned(), nobody, cases::typed()),
        subject(Rule::One, "a field, somebody told".to_owned(), somebody, cases::typed()),
    ]
}

/// Compiling a rule of twenty conditions, without and with reading its JSON.
pub(crate) fn compilations() -> [Subject<'static>; 2] {
    let object = cases::object(Some(cases::twenty()), Bucketing::V3);
    let definition = FlagDefinition::from_json(object.clone()).expect("a flag");
    let text = object.to_string();
    [
        Subject::new("from its definition", move || {
            CompiledFlag::compile(cases::KEY, black_box(&definition), &SetProperties::default())
        }),
        Subject::new("from JSON", move || {
            let definition = FlagDefinition::parse(black_box(&text)).expect("a flag");
            CompiledFlag::compile(cases::KEY, &definition, &SetProperties::default())
        }),
    ]
}
