//! The specification's flags, in flagd's format.

use kvconf::flag::FlagDocument;
use serde_json::{Map, Value as Json, json};

/// The conditions that the flags have, which are written in a language of their own, as rules.
fn rule(condition: &str) -> Json {
    let email = json!({"==": [{"var": "email"}, "ballmer@macrosoft.com"]});
    match condition {
        "email == 'ballmer@macrosoft.com' ? 'zero' : ''" => json!({"if": [email, "zero", null]}),
        "!customer && email == 'ballmer@macrosoft.com' && age > 10 ? 'internal' : ''" => {
            let all = json!({"and": [{"!": [{"var": "customer"}]}, email, {">": [{"var": "age"}, 10]}]});
            json!({"if": [all, "internal", null]})
        }
        other => panic!("a condition that has no rule here: {other}"),
    }
}

pub(crate) fn document(text: &str) -> FlagDocument {
    let Ok(Json::Object(mut flags)) = serde_json::from_str(text) else { panic!("no object of flags") };
    for flag in flags.values_mut() {
        let flag = flag.as_object_mut().unwrap();
        let is_disabled = flag.remove("disabled") == Some(true.into());
        flag.insert("state".into(), if is_disabled { "DISABLED" } else { "ENABLED" }.into());
        if let Some(Json::Object(metadata)) = flag.remove("flagMetadata") {
            flag.insert("metadata".into(), metadata.into());
        }
        if let Some(condition) = flag.remove("contextEvaluator") {
            flag.insert("targeting".into(), rule(condition.as_str().unwrap()));
        }
    }
    // A scenario asks for this one, and the flags do not have it.
    let is = |name: &str, value: Json| json!({"==": [{"var": name}, value]});
    let names = [is("fn", "Sulisław".into()), is("ln", "Świętopełk".into())];
    let customer = json!([names[0], names[1], is("age", 29.into()), is("customer", false.into())]);
    let context_aware = json!({
        "state": "ENABLED", "variants": {"internal": "INTERNAL", "external": "EXTERNAL"}, "defaultVariant": "external",
        "targeting": {"if": [{"and": customer}, "internal"]},
    });
    assert!(flags.insert("context-aware".into(), context_aware).is_none(), "the flags have it now");
    let document = Map::from_iter([("flags".to_owned(), Json::Object(flags))]);
    FlagDocument::parse(&Json::Object(document).to_string()).unwrap()
}
