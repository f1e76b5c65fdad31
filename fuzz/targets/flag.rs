//! A rule and a context, each on a line of its own: no panic, no long run, and what an evaluation tells fits together.

#![no_main]

use kvconf::flag::{
    Bucketing, CompiledFlag, DynamicContext, FlagDefinition, FlagDocument, Reason, SetProperties,
    check_targeting, evaluate_case, evaluate_rule,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|input: &str| {
    let (rule, context) = input.split_once('\n').unwrap_or((input, "{}"));
    let _ = (FlagDocument::parse(input), FlagDefinition::parse(input));
    let _ = evaluate_case(input, &SetProperties::default(), 0);
    let Ok(rule) = serde_json::from_str::<Value>(rule) else { return };
    let data = serde_json::from_str::<Value>(context).unwrap_or_default();
    check_targeting(&rule);
    let context = DynamicContext::parse(context).unwrap_or_default();
    for bucketing in [Bucketing::V2, Bucketing::V3] {
        let _ = evaluate_rule(&rule, &data, bucketing);
        evaluate(&rule, &context, bucketing);
    }
});

fn evaluate(rule: &Value, context: &DynamicContext, bucketing: Bucketing) {
    let variants = json!({"on": 1, "off": 2, "true": 3, "false": 4});
    let flag = json!({"state": "ENABLED", "variants": variants, "defaultVariant": "off", "targeting": rule});
    let Ok(definition) = FlagDefinition::from_json(flag) else { return };
    assert_eq!(FlagDefinition::from_json(definition.to_json()).as_ref(), Ok(&definition));
    let set = SetProperties::default().with_bucketing(bucketing);
    let Ok(flag) = CompiledFlag::compile("flag", &definition, &set) else { return };
    let detail = flag.evaluate(context, 1_700_000_000, 0_i64);
    assert_eq!(detail.error.is_some(), detail.reason == Reason::Error);
    assert_eq!(detail.error.is_some(), detail.variant.is_none());
    assert_eq!(detail.value == 0, detail.variant.is_none());
    assert_eq!(flag.resolve(context, 1_700_000_000), flag.resolve(context, 1_700_000_000));
}
