//! flagd's documents, in and out.

use kvconf::flag::{FlagDefinition, FlagDocument, SetProperties};
use kvconf::{CommitError, ImportMode, WriteError};
use kvconf_tests::Backend;
use serde_json::Value as Json;

use super::{put, start, visitor};

const DOCUMENT: &str = r#"{
    "$schema": "https://flagd.dev/schema/v0/flags.json",
    "note": {"kept": [1, 2.0, 1e300]},
    "metadata": {"flagSetId": "shop", "version": "7", "kvconf.bucketing": "v2", "owner": "ops"},
    "$evaluators": {
        "staff": {"ends_with": [{"var": "email"}, "@example.com"]},
        "in nl": {"==": [{"var": "country"}, "NL"]}
    },
    "flags": {
        "cart.new": {
            "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
            "targeting": {"if": [{"$ref": "in nl"}, "on", {"fractional": [["off", 1], ["on", 2]]}]},
            "metadata": {"ticket": 12}, "x-owner": "dev"
        },
        "ratio": {"state": "DISABLED", "variants": {"a": 1.0, "b": 2}, "defaultVariant": null}
    }
}"#;

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

pub(crate) async fn a_document_comes_in_and_goes_out_without_loss(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    let lists = r#"{"flags": [
        {"key": "b", "state": "ENABLED", "variants": {"x": "1"}, "defaultVariant": "x"},
        {"key": "a", "state": "ENABLED", "variants": {"x": {"y": [null]}}}
    ]}"#;
    for (text, keys) in [(DOCUMENT, 6), (lists, 6)] {
        let document = FlagDocument::parse(text).unwrap();
        let plan = flags.edit().import(document, ImportMode::Replace).plan().await.unwrap();
        assert_eq!(plan.changes().count(), if text == DOCUMENT { keys } else { 2 + keys });
        let applied = plan.commit().author("ops").reason("import").await.unwrap();
        flags.wait_for(applied.revision()).await.unwrap();
        let exported = flags.load().to_document();
        let mut expected = json(text);
        if let Some(list) = expected["flags"].as_array_mut() {
            list.sort_by_key(|flag| flag["key"].as_str().map(str::to_owned));
        }
        assert_eq!(json(&exported.to_json().to_string()), expected);
    }
}

pub(crate) async fn importing_what_was_exported_writes_nothing(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    let document = FlagDocument::parse(DOCUMENT).unwrap();
    let applied =
        flags.edit().import(document, ImportMode::Merge).plan().await.unwrap().commit().await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    put(&flags, &bucket, "plain", "true").await;
    put(
        &flags,
        &bucket,
        "_set.evaluators.staff",
        "{ \"ends_with\" : [ {\"var\":\"email\"}, \"@example.com\" ] }",
    )
    .await;
    let exported = flags.load().to_document();
    for mode in [ImportMode::Merge, ImportMode::Replace] {
        let plan = flags.edit().import(exported.clone(), mode).plan().await.unwrap();
        assert_eq!(plan.to_string(), "nothing to change");
    }
}

pub(crate) async fn a_merge_keeps_what_it_does_not_name_and_a_replacement_does_not(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    put(&flags, &bucket, "old", "true").await;
    put(&flags, &bucket, "_set.metadata", r#"{"owner": "dev", "region": "eu"}"#).await;
    let import = async |mode| {
        let document = FlagDocument::parse(DOCUMENT).unwrap();
        let plan = flags.edit().import(document, mode).plan().await.unwrap();
        let applied = plan.commit().await.unwrap();
        flags.wait_for(applied.revision()).await.unwrap();
        let set = flags.load();
        let metadata = set.properties().metadata();
        let told = |name: &str| metadata.get(name).and_then(Json::as_str).map(str::to_owned);
        (set.get("old", &visitor(), false), told("owner"), told("region"))
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(import(ImportMode::Merge).await, (true, text("ops"), text("eu")));
    assert_eq!(import(ImportMode::Replace).await, (false, text("ops"), None));
}

pub(crate) async fn more_than_a_server_takes_at_once_is_refused_and_goes_one_by_one(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    let many = (0..1_001).map(|at| (format!("flag-{at:04}"), FlagDefinition::parse("true").unwrap()));
    let document = FlagDocument::new(SetProperties::default(), many);
    let plan = || flags.edit().import(document.clone(), ImportMode::Merge).plan();
    let error = plan().await.unwrap().commit().await.unwrap_err();
    let CommitError::Write(error @ WriteError::TooMany { .. }) = error else { panic!("{error}") };
    assert_eq!(error.to_string(), "1001 keys at once are too many, the most is 1000");
    assert!(flags.load().is_empty());
    let applied = plan().await.unwrap().commit().one_by_one().await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    assert_eq!(flags.load().len(), 1_001);
}
