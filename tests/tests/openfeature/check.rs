//! Comparing what came out with what the specification says.

use serde_json::Value as Json;

use crate::openfeature::gherkin::Step;
use crate::openfeature::world::{Call, Told};

pub(crate) type Outcome = Result<(), String>;

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found:?} and not {expected:?}")) }
}

/// A value of this type as it stands in a scenario.
pub(crate) fn value(kind: &str, text: &str) -> Json {
    let parse = || serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match kind.to_lowercase().as_str() {
        "string" => text.into(),
        "float" => text.parse::<f64>().unwrap_or_else(|error| panic!("{text}: {error}")).into(),
        "boolean" | "integer" | "object" => parse(),
        other => panic!("no type: {other}"),
    }
}

pub(crate) fn metadata(told: &Told, table: &[Vec<String>]) -> Outcome {
    let expected = table.iter().skip(1).map(|row| match row.as_slice() {
        [key, kind, text] => (key.clone(), value(kind, text)),
        row => panic!("a row of metadata: {row:?}"),
    });
    same("the metadata", &told.metadata, &expected.collect())
}

/// Whether hooks at these stages were called with these details.
pub(crate) fn hook_details(calls: &[Call], stages: &str, step: &Step) -> Outcome {
    for stage in stages.split(',').map(str::trim) {
        let call = calls.iter().find(|call| call.stage == stage);
        let Some(told) = call.and_then(|call| call.details.as_ref()) else {
            return Err(format!("no {stage} hook was called with details"));
        };
        for row in step.table.iter().skip(1) {
            let [kind, key, expected] = row.as_slice() else { panic!("a row of details: {row:?}") };
            let text = |text: &Option<String>| text.clone().map_or(Json::Null, Json::from);
            let found = match key.as_str() {
                "flag_key" => told.key.as_str().into(),
                "value" => told.value.clone(),
                "variant" => text(&told.variant),
                "reason" => text(&told.reason),
                "error_code" => text(&told.error),
                other => panic!("no detail: {other}"),
            };
            let expected = if expected == "null" { Json::Null } else { value(kind, expected) };
            same(&format!("{key} of the {stage} hook"), found, expected)?;
        }
    }
    Ok(())
}
