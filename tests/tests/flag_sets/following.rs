//! What stands in the bucket is what is evaluated.

use kvconf::flag::{ErrorCode, Reason};
use kvconf::{FlagSet, Flags, KvConfig, Readiness, StartError};
use kvconf_tests::Backend;
use serde_json::{Map, Value as Json, json};

use super::{IN_NL, PREFIX, USES_STAFF, cart, put, start, visitor};

/// What is wrong with the newest change that was refused.
fn told(flags: &Flags) -> Vec<String> {
    let report = flags.health().report.expect("what is refused is told");
    report.problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
}

pub(crate) async fn flags_follow_the_bucket_by_name(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    let missing = flags.load().evaluate("cart", &visitor(), true).error.map(|error| error.code());
    assert_eq!(missing, Some(ErrorCode::FlagNotFound));

    put(&flags, &bucket, "cart", &cart(&format!(r#"{{"if": [{IN_NL}, "on"]}}"#))).await;
    put(&flags, &bucket, "greeting", "hello").await;
    put(&flags, &bucket, "size", "20.0").await;
    let revision = put(&flags, &bucket, "share", "0.5").await;
    let object = r#"{"state": "DISABLED", "variants": {"few": {"items": 3}}, "defaultVariant": "few"}"#;
    put(&flags, &bucket, "limits", object).await;

    let set = flags.load();
    assert!(set.get("cart", &visitor(), false));
    assert_eq!(set.get("greeting", &visitor(), String::new()), "hello");
    assert_eq!(set.get("size", &visitor(), 0_i64), 20);
    let share = set.evaluate("share", &visitor(), 0.0);
    assert_eq!((share.value, share.reason, share.revision), (0.5, Reason::Static, Some(revision)));
    let mismatch = set.evaluate("share", &visitor(), 7_i64);
    assert_eq!(
        (mismatch.value, mismatch.error.map(|error| error.code())),
        (7, Some(ErrorCode::TypeMismatch))
    );
    let limits = set.evaluate("limits", &visitor(), Map::from_iter([("items".to_owned(), Json::from(1))]));
    assert_eq!((limits.value["items"].clone(), limits.reason), (json!(1), Reason::Disabled));
    let keys: Vec<&str> = set.flags().map(|flag| flag.key()).collect();
    assert_eq!(keys, ["cart", "greeting", "limits", "share", "size"]);

    let revision = bucket.delete("shop.flags.cart").await.unwrap();
    flags.wait_for(revision).await.unwrap();
    assert!(flags.load().flag("cart").is_none());
    flags.stop();
    assert_eq!(flags.readiness(), Readiness::NotReady { reason: "stopped".to_owned() });
}

// P1, P2
pub(crate) async fn a_change_set_of_flags_and_rules_is_one_swap(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    let mut changes = flags.changes();
    let batch = bucket
        .batch()
        .put("shop.flags.cart", cart(USES_STAFF))
        .put("shop.flags._set.evaluators.staff", IN_NL)
        .put("shop.flags._set.metadata", r#"{"flagSetId": "shop", "kvconf.bucketing": "v2"}"#)
        .put("shop.flags.size", "20");
    let revision = batch.commit().await.unwrap();
    let step = changes.next().await.unwrap();
    let set = step.after();
    assert_eq!((set.revision(), set.len()), (revision, 2));
    let detail = set.evaluate("cart", &visitor(), false);
    assert_eq!((detail.value, detail.metadata["flagSetId"].as_str()), (true, Some("shop")));
    assert_eq!(set.flag("cart").unwrap().compiled().bucketing(), kvconf::flag::Bucketing::V2);
    let keys: Vec<String> = step.fields().into_iter().map(|field| field.key).collect();
    assert_eq!(
        keys,
        [
            "shop.flags._set.metadata",
            "shop.flags._set.evaluators.staff",
            "shop.flags.cart",
            "shop.flags.size"
        ]
    );
}

pub(crate) async fn a_changed_rule_compiles_the_flags_that_use_it_and_only_those(backend: &Backend) {
    let bucket = backend.plain().await;
    let batch = bucket
        .batch()
        .put("shop.flags._set.evaluators.staff", IN_NL)
        .put("shop.flags._set.evaluators.other", IN_NL)
        .put("shop.flags.cart", cart(USES_STAFF))
        .put("shop.flags.search", cart(r#"{"if": [{"$ref": "other"}, "on"]}"#))
        .put("shop.flags.size", "20");
    batch.commit().await.unwrap();
    let flags = start(&bucket).await;
    let before = flags.snapshot();
    assert!(before.get("cart", &visitor(), false));

    put(&flags, &bucket, "_set.evaluators.staff", r#"{"==": [{"var": "country"}, "BE"]}"#).await;
    let after = flags.snapshot();
    assert!(!after.get("cart", &visitor(), true));
    let same = |key| std::ptr::eq(before.flag(key).unwrap(), after.flag(key).unwrap());
    assert_eq!(["cart", "search", "size"].map(same), [false, true, true]);
    // The flag itself is as old as it was.
    assert_eq!(before.flag("cart").unwrap().revision(), after.flag("cart").unwrap().revision());
}

// P3
pub(crate) async fn a_flag_that_cannot_be_used_leaves_the_last_good_one(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    put(&flags, &bucket, "size", "20").await;
    let bad = r#"{"state": "ON", "variants": {"a": 1, "b": "x"}, "defaultVariant": "c"}"#;
    let revision = bucket.put("shop.flags.size", bad).await.unwrap();
    flags.wait_for(revision).await.unwrap_err();
    assert_eq!(
        told(&flags),
        [
            "shop.flags.size: state: expected `ENABLED` or `DISABLED`; variants.b: a text, where other variants are \
          numbers; defaultVariant: no variant `c`"
        ]
    );
    assert_eq!(flags.get("size", &visitor(), 0_i64), 20);
    // Others go on.
    put(&flags, &bucket, "greeting", "hello").await;
    assert_eq!(flags.load().rejected().len(), 1);
    put(&flags, &bucket, "size", "30").await;
    assert_eq!((flags.get("size", &visitor(), 0_i64), flags.health().report), (30, None));
}

// P3
pub(crate) async fn a_rule_that_breaks_a_flag_is_refused_as_a_whole(backend: &Backend) {
    let bucket = backend.plain().await;
    let batch = bucket
        .batch()
        .put("shop.flags._set.evaluators.staff", IN_NL)
        .put("shop.flags.cart", cart(USES_STAFF))
        .put("shop.flags.desk", cart(USES_STAFF));
    batch.commit().await.unwrap();
    let flags = start(&bucket).await;
    let bad = bucket
        .batch()
        .put("shop.flags._set.evaluators.staff", r#"{"eqals": [1, 1]}"#)
        .put("shop.flags.size", "20");
    let revision = bad.commit().await.unwrap();
    flags.wait_for(revision).await.unwrap_err();
    let problem = "flag `cart`: targeting.if[0]: unknown operator `eqals`";
    let mut told_of = told(&flags);
    assert_eq!(told_of.len(), 2, "{told_of:?}");
    assert!(told_of.remove(0).starts_with(&format!("shop.flags._set.evaluators.staff: {problem}")));
    assert!(flags.get("cart", &visitor(), false) && flags.load().flag("size").is_none());

    let removed = bucket.delete("shop.flags._set.evaluators.staff").await.unwrap();
    flags.wait_for(removed).await.unwrap_err();
    assert_eq!(
        told(&flags),
        ["cart", "desk"].map(|key| format!(
            "shop.flags._set.evaluators.staff: flag `{key}`: targeting.if[0]: no shared rule `staff`"
        ))
    );
    assert!(flags.get("cart", &visitor(), false));
    put(&flags, &bucket, "_set.evaluators.staff", IN_NL).await;
    assert_eq!(flags.get("size", &visitor(), 0_i64), 20);
}

// P3
pub(crate) async fn a_rule_and_its_flag_may_come_one_after_the_other(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    put(&flags, &bucket, "size", "20").await;
    let early = bucket.put("shop.flags.cart", cart(USES_STAFF)).await.unwrap();
    flags.wait_for(early).await.unwrap_err();
    assert_eq!(told(&flags), ["shop.flags.cart: targeting.if[0]: no shared rule `staff`"]);
    put(&flags, &bucket, "_set.evaluators.staff", IN_NL).await;
    assert!(flags.get("cart", &visitor(), false));
    assert_eq!(flags.health().report, None);
}

pub(crate) async fn a_set_with_a_bad_flag_does_not_start(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("shop.flags.size", "[1]").await.unwrap();
    bucket.put("shop.flags.cart", cart(USES_STAFF)).await.unwrap();
    bucket.put("shop.flags._set.metadata", r#"{"kvconf.bucketing": "v1"}"#).await.unwrap();
    let Err(StartError::Invalid(report)) = bucket.flags(PREFIX).start().await else {
        panic!("it starts");
    };
    let problems: Vec<String> =
        report.problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect();
    assert_eq!(
        problems,
        [
            "shop.flags._set.metadata: metadata.kvconf.bucketing: bucketing is `v2` or `v3`",
            "shop.flags.cart: targeting.if[0]: no shared rule `staff`",
            "shop.flags.size: a flag is an object, `true`, `false`, a text or a number",
        ]
    );
}

pub(crate) async fn keys_of_any_letters_stand_escaped(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    let keys = ["a.b", "größe", "_set", "x=1", "with space"];
    let edit = keys.iter().fold(flags.edit(), |edit, key| edit.set(*key, super::defined("true")));
    let applied = edit.plan().await.unwrap().commit().await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    let stored: Vec<String> = applied.written().iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(
        stored,
        [
            "shop.flags._set",
            "shop.flags.a=2Eb",
            "shop.flags.gr=C3=B6=C3=9Fe",
            "shop.flags.with=20space",
            "shop.flags.x=3D1"
        ]
    );
    assert!(keys.iter().all(|key| flags.get(key, &visitor(), false)));
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop")]
struct Shop {
    #[kv(default = 1)]
    price: u32,
    #[kv(nested)]
    flags: FlagSet,
}

pub(crate) async fn one_watch_serves_structs_and_sets(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("shop.flags._set.evaluators.staff", IN_NL).await.unwrap();
    let flags = start(&bucket).await;
    let shop = bucket.live::<Shop>().start().await.unwrap();
    let batch = bucket.batch().put("shop.flags.cart", cart(USES_STAFF)).put("shop.price", "2");
    let revision = batch.commit().await.unwrap();
    shop.wait_for(revision).await.unwrap();
    flags.wait_for(revision).await.unwrap();
    let snapshot = shop.load();
    assert_eq!((snapshot.price, snapshot.flags.get("cart", &visitor(), false)), (2, true));
    assert!(flags.get("cart", &visitor(), false));
    // A rule alone, and a state of the past.
    let rule = bucket.put("shop.flags._set.evaluators.staff", r#"{"!": [true]}"#).await.unwrap();
    shop.wait_for(rule).await.unwrap();
    assert!(!shop.load().flags.get("cart", &visitor(), true));
    assert!(shop.at(revision).await.unwrap().flags.get("cart", &visitor(), false));
}
