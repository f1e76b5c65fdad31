//! flagd's own testbed, in both versions of bucketing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kvconf::flag::{
    Bucketing, CompiledFlag, DynamicContext, Evaluation, FlagDefinition, FlagDocument, FlagType,
    SetProperties, evaluate_case,
};
use serde_json::{Map, Value, json};

use crate::flag_conformance::{read, suites};

/// Flags, and what they have in common.
#[derive(Default)]
struct Flags {
    flags: BTreeMap<String, Value>,
    set: SetProperties,
}

/// The union of these documents, shared rules included.
fn load(paths: &[PathBuf]) -> Flags {
    let mut all = Flags::default();
    let mut evaluators = Map::new();
    for path in paths {
        let (document, problems) = FlagDocument::read(&read(path)).unwrap();
        assert_eq!(problems, [], "{}", path.display());
        all.flags.extend(document.flags().map(|(key, flag)| (key.to_owned(), flag.to_object().into())));
        evaluators.extend(document.properties().evaluators().clone());
    }
    all.set = SetProperties::new(evaluators, Map::new()).unwrap();
    all
}

/// Whether a case is one for this version.
fn applies(case: &Value, version: Bucketing) -> bool {
    let tags: Vec<_> = case["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let versions: Vec<_> = tags.iter().filter_map(|tag| tag.strip_prefix("@fractional-")).collect();
    let versions: Vec<_> =
        versions.into_iter().filter(|version| matches!(*version, "v1" | "v2" | "v3")).collect();
    versions.is_empty() || versions.contains(&version.name())
}

/// A value that is written as text, with its type beside it.
fn typed(kind: &str, text: &str) -> Value {
    match kind {
        "String" => text.into(),
        "Boolean" => text.eq_ignore_ascii_case("true").into(),
        "Integer" => serde_json::from_str(text).unwrap(),
        "Float" => json!(text.parse::<f64>().unwrap()),
        // Some cells have their quotes escaped.
        "Object" => serde_json::from_str(text).or_else(|_| serde_json::from_str(&unescaped(text))).unwrap(),
        other => panic!("no type: {other}"),
    }
}

/// What stands between quotes.
fn unescaped(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

fn context(case: &Value) -> Map<String, Value> {
    let attributes = case["context"].as_object().unwrap().iter();
    let value = |cell: &Value| {
        let (kind, text) = (cell["type"].as_str().unwrap(), cell["value"].as_str().unwrap());
        typed(kind, text)
    };
    attributes.map(|(name, cell)| (name.clone(), value(cell))).collect()
}

fn check(case: &Value, flags: &Flags, version: Bucketing) -> Result<(), String> {
    let key = case["flag"].as_str().unwrap();
    let kind = case["type"].as_str().unwrap();
    let default = typed(kind, case["default"].as_str().unwrap());
    let context = context(case);
    let mut line = json!({"key": key, "type": kind, "context": context, "default": default, "bucketing": version.name()});
    if let Some(flag) = flags.flags.get(key) {
        line["flag"] = flag.clone();
    }
    let answer =
        evaluate_case(&line.to_string(), &flags.set, 1_700_000_000).map_err(|error| error.to_string())?;
    let expected = case["expect"].as_object().unwrap();
    let fail = |what: &str, wanted: &Value| Err(format!("{what}: wanted {wanted}, got {answer}\n  {line}"));
    for (what, wanted) in expected {
        match (what.as_str(), wanted) {
            ("value", Value::String(text)) => {
                let wanted = typed(kind, text);
                if !(answer["value"] == wanted
                    || answer["value"].as_f64().is_some_and(|it| wanted.as_f64() == Some(it)))
                {
                    return fail(what, &wanted);
                }
            }
            ("reason", wanted) if answer["reason"] != *wanted => return fail(what, wanted),
            ("error-code", Value::String(code)) => {
                if answer.get("errorCode").and_then(Value::as_str).unwrap_or_default() != code {
                    return fail(what, wanted);
                }
            }
            ("metadata", Value::Array(rows)) => check_metadata(key, flags, rows)?,
            ("reason", _) => {}
            (what, _) => return Err(format!("no expectation: {what}")),
        }
    }
    Ok(())
}

fn check_metadata(key: &str, flags: &Flags, rows: &[Value]) -> Result<(), String> {
    let wanted: Map<String, Value> = rows
        .iter()
        .skip(1)
        .map(|row| {
            let cell = |place: usize| row[place].as_str().unwrap();
            (cell(0).to_owned(), typed(cell(1), cell(2)))
        })
        .collect();
    let definition = FlagDefinition::from_json(flags.flags[key].clone()).unwrap();
    let compiled = CompiledFlag::compile(key, &definition, &flags.set).unwrap();
    let found: Evaluation<'_, Value> = compiled.evaluate(&DynamicContext::new(), 0, Value::Null);
    if *found.metadata == wanted {
        Ok(())
    } else {
        Err(format!("metadata {:?}, wanted {wanted:?}", found.metadata))
    }
}

fn run(version: Bucketing, count: usize) {
    let suites = suites();
    let testbed = suites.join("flagd-testbed");
    let evaluator = load(&[testbed.join("evaluator/flags/testkit-flags.json")]);
    let files = std::fs::read_dir(testbed.join("flags")).unwrap().map(|entry| entry.unwrap().path());
    let is_selector = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("selector");
    let gherkin = load(&files.filter(|path| !is_selector(path)).collect::<Vec<_>>());
    let text = read(&testbed.join("cases.jsonl"));
    let cases: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len(), 415);
    let mut failed = Vec::new();
    let mut ran = 0;
    for case in cases.iter().filter(|case| applies(case, version)) {
        ran += 1;
        let flags =
            if case["file"].as_str().unwrap().starts_with("evaluator/") { &evaluator } else { &gherkin };
        if let Err(complaint) = check(case, flags, version) {
            failed.push(format!("{}: {complaint}", case["name"]));
        }
    }
    eprintln!("flagd-testbed, {version}: {ran} of {count} cases run");
    assert_eq!(ran, count);
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
#[cfg_attr(not(conformance), ignore = "KVCONF_CONFORMANCE does not name the folder of the suites")]
fn every_case_of_the_testbed_for_v3_gives_what_it_should() {
    run(Bucketing::V3, 343);
}

#[test]
#[cfg_attr(not(conformance), ignore = "KVCONF_CONFORMANCE does not name the folder of the suites")]
fn every_case_of_the_testbed_for_v2_gives_what_it_should() {
    run(Bucketing::V2, 253);
}

#[test]
#[cfg_attr(not(conformance), ignore = "KVCONF_CONFORMANCE does not name the folder of the suites")]
fn types_are_named_as_in_the_testbed() {
    let names = [FlagType::Boolean, FlagType::String, FlagType::Integer, FlagType::Float, FlagType::Object];
    assert_eq!(names.map(|name| name.to_string()), ["Boolean", "String", "Integer", "Float", "Object"]);
}
