//! JSONLogic's own suites, and those of flagd's operators in the same form.

use std::collections::BTreeMap;
use std::path::Path;

use kvconf::flag::{Bucketing, CompiledFlag, DynamicContext, FlagDefinition, SetProperties, evaluate_rule};
use serde_json::{Value, json};

use crate::flag_conformance::{read, suites};

/// What flags may use.
const OPERATORS: [&str; 39] = [
    "var",
    "missing",
    "missing_some",
    "if",
    "?:",
    "==",
    "===",
    "!=",
    "!==",
    "!",
    "!!",
    "or",
    "and",
    "<",
    "<=",
    ">",
    ">=",
    "max",
    "min",
    "+",
    "-",
    "*",
    "/",
    "%",
    "map",
    "reduce",
    "filter",
    "all",
    "none",
    "some",
    "merge",
    "in",
    "cat",
    "substr",
    "log",
    "sem_ver",
    "starts_with",
    "ends_with",
    "fractional",
];

/// How many cases of a suite ran, by what kept the others from it.
#[derive(Debug, Default)]
struct Tally {
    run: usize,
    skipped: BTreeMap<String, usize>,
    failed: Vec<String>,
}

/// The operators in a rule.
fn operators(rule: &Value, found: &mut Vec<String>) {
    match rule {
        Value::Array(items) => items.iter().for_each(|item| operators(item, found)),
        Value::Object(entries) => {
            if let (1, Some(name)) = (entries.len(), entries.keys().next()) {
                found.push(name.clone());
            }
            entries.values().for_each(|value| operators(value, found));
        }
        _ => {}
    }
}

/// Numbers are compared as numbers: `2` is `2.0`.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

fn run(path: &Path, bucketing: Bucketing, tally: &mut Tally) {
    let suite: Vec<Value> = serde_json::from_str(&read(path)).unwrap();
    for case in suite.iter().filter(|case| case.is_object()) {
        let (rule, data) = (&case["rule"], case.get("data").unwrap_or(&Value::Null));
        let mut used = Vec::new();
        operators(rule, &mut used);
        if let Some(foreign) = used.into_iter().find(|name| !OPERATORS.contains(&name.as_str())) {
            *tally.skipped.entry(foreign).or_default() += 1;
            continue;
        }
        tally.run += 1;
        let wanted = if case.get("error").is_some() { None } else { Some(&case["result"]) };
        let found = evaluate_rule(rule, data, bucketing);
        let is_right = match (&found, wanted) {
            (Ok(found), Some(wanted)) => same(found, wanted),
            (found, None) => found.is_err(),
            _ => false,
        };
        if !is_right {
            tally.failed.push(format!("{rule} on {data}: {found:?}, wanted {wanted:?}"));
        }
        if let Some(complaint) = as_flag(rule, data, wanted, bucketing) {
            tally.failed.push(complaint);
        }
    }
}

/// The same case as the condition of a flag, which runs compiled instead of as a tree. Lists and objects have no equality,
/// and data that is no object is no context.
fn as_flag(rule: &Value, data: &Value, wanted: Option<&Value>, bucketing: Bucketing) -> Option<String> {
    let context = match data {
        Value::Object(attributes) => DynamicContext::from(attributes.clone()),
        Value::Null => DynamicContext::new(),
        _ => return None,
    };
    // In a flag the whole context has more than the data, and `$flagd` is not the case's own.
    let mut used = Vec::new();
    operators(rule, &mut used);
    let text = rule.to_string();
    if text.contains("$flagd") || used.iter().any(|name| name == "fractional") || asks_for_all(rule) {
        return None;
    }
    let condition = match wanted {
        Some(Value::Array(_) | Value::Object(_)) => return None,
        Some(wanted) => json!({"===": [rule, wanted]}),
        None => json!({"===": [rule, "anything"]}),
    };
    let set = SetProperties::default().with_bucketing(bucketing);
    for targeting in [json!({"if": [condition, "yes", "no"]}), condition] {
        let variants = json!({"yes": "right", "no": "wrong", "true": "right", "false": "wrong"});
        let flag = json!({"state": "ENABLED", "variants": variants, "targeting": targeting});
        let compiled =
            FlagDefinition::from_json(flag).and_then(|flag| CompiledFlag::compile("flag", &flag, &set));
        let compiled = match compiled {
            Ok(compiled) => compiled,
            Err(error) => return Some(format!("{rule}: {error}")),
        };
        let found = compiled.evaluate(&context, 0, String::new());
        let code = found.error.map(|error| error.code().to_string());
        let is_right = match wanted {
            Some(_) => found.value == "right",
            None => code.as_deref() == Some("PARSE_ERROR"),
        };
        if !is_right {
            return Some(format!("as a flag: {rule} on {data}: {found:?}, wanted {wanted:?}"));
        }
    }
    None
}

/// Whether the rule wants the context as a whole. In an iteration that is the item.
fn asks_for_all(rule: &Value) -> bool {
    match rule {
        Value::Array(items) => items.iter().any(asks_for_all),
        Value::Object(entries) => entries.iter().any(|(name, argument)| {
            let path = argument.get(0).unwrap_or(argument);
            match name.as_str() {
                "var" => path.is_null() || path == "" || path == &json!([]) || path.is_object(),
                "map" | "filter" | "reduce" | "all" | "none" | "some" => {
                    argument.get(0).is_some_and(asks_for_all)
                }
                _ => asks_for_all(argument),
            }
        }),
        _ => false,
    }
}

#[test]
#[cfg_attr(not(conformance), ignore = "KVCONF_CONFORMANCE does not name the folder of the suites")]
fn every_official_json_logic_case_gives_what_it_should() {
    let suites = suites();
    let mut tally = Tally::default();
    run(&suites.join("json-logic/suites/compatible.json"), Bucketing::V3, &mut tally);
    eprintln!("json-logic, compatible.json: {} of 278 run", tally.run);
    assert_eq!((tally.run, tally.skipped.len()), (278, 0));
    assert!(tally.failed.is_empty(), "{} failed:\n{}", tally.failed.len(), tally.failed.join("\n"));
}

#[test]
#[cfg_attr(not(conformance), ignore = "KVCONF_CONFORMANCE does not name the folder of the suites")]
fn every_case_of_the_other_json_logic_suites_whose_operators_flags_have_gives_what_it_should() {
    let suites = suites();
    let mut tally = Tally::default();
    let mut folders = vec![suites.join("json-logic/suites")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !matches!(
                path.file_name().and_then(|name| name.to_str()),
                Some("compatible.json" | "index.json")
            ) {
                run(&path, Bucketing::V3, &mut tally);
            }
        }
    }
    eprintln!("json-logic, other suites: {} run; skipped for an operator: {:?}", tally.run, tally.skipped);
    assert_eq!((tally.run, tally.skipped.values().sum::<usize>()), (666, 194));
    assert!(tally.failed.is_empty(), "{} failed:\n{}", tally.failed.len(), tally.failed.join("\n"));
}

#[test]
#[cfg_attr(not(conformance), ignore = "KVCONF_CONFORMANCE does not name the folder of the suites")]
fn every_case_of_flagds_operators_in_datalogic_gives_what_it_should() {
    let suites = suites();
    for (name, count) in [("fractional", 47), ("sem_ver", 43)] {
        let mut tally = Tally::default();
        run(
            &suites.join("datalogic-flagd/flagd").join(name).with_extension("json"),
            Bucketing::V2,
            &mut tally,
        );
        eprintln!("datalogic-flagd, {name}: {} of {count} run", tally.run);
        assert_eq!((tally.run, tally.skipped.len()), (count, 0));
        assert!(tally.failed.is_empty(), "{} failed:\n{}", tally.failed.len(), tally.failed.join("\n"));
    }
}
