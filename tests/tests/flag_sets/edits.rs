//! Changing flags, with a plan that says what it means.

use kvconf::flag::{DynamicContext, FlagDefinition, Reason};
use kvconf::{CommitError, FlagEditError};
use kvconf_tests::Backend;
use serde_json::json;

use super::{IN_NL, USES_STAFF, cart, defined, put, start, visitor};

pub(crate) async fn flags_are_switched_rolled_out_and_removed(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    let edit = flags.edit().set("cart", defined(&cart("{}"))).set("size", defined("20"));
    let plan = edit.plan().await.unwrap();
    assert_eq!(
        plan.to_string(),
        "shop.flags.cart: (none) → a flag\n  \
           state: (none) → ENABLED\n  \
           defaultVariant: (none) → off\n  \
           variants.off: (none) → false\n  \
           variants.on: (none) → true\n\
         shop.flags.size: (none) → 20"
    );
    let applied = plan.commit().author("ops").reason("new").await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();

    let all_on = flags.edit().default_variant("cart", "on").plan().await.unwrap();
    assert_eq!(all_on.to_string(), "shop.flags.cart:\n  defaultVariant: off → on");
    let applied = all_on.commit().await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    assert!(flags.get("cart", &visitor(), false));

    let applied = flags.edit().disable("cart").plan().await.unwrap().commit().await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    assert_eq!(flags.load().evaluate("cart", &visitor(), false).reason, Reason::Disabled);

    let edit = flags.edit().enable("cart").rollout("cart", [("on", 100), ("off", 0)]);
    let applied = edit.plan().await.unwrap().commit().await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    let set = flags.load();
    let detail = set.evaluate("cart", &visitor(), false);
    assert_eq!((detail.value, detail.rule), (true, Some("targeting.fractional[0]")));
    assert_eq!(detail.with_split().reason, Reason::Split);

    let applied = flags.edit().remove("cart").plan().await.unwrap().commit().await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    assert!(flags.load().flag("cart").is_none());
    let log = flags.log().await.unwrap();
    let first = log.iter().last().map(|change| (change.author(), change.reason()));
    assert_eq!((log.iter().count(), first), (5, Some((Some("ops"), Some("new")))));
}

async fn refusal(edit: kvconf::FlagEdit) -> String {
    edit.plan().await.unwrap_err().to_string()
}

pub(crate) async fn a_plan_tells_what_is_odd_and_who_would_move(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    put(&flags, &bucket, "_set.evaluators.staff", IN_NL).await;
    put(&flags, &bucket, "cart", &cart(USES_STAFF)).await;
    put(&flags, &bucket, "size", "20").await;
    let rule = format!(
        r#"{{"if": [{IN_NL}, {{"fractional": [{{"var": "account"}}, ["on", 10], ["off", 90]]}}, "off"]}}"#
    );
    put(&flags, &bucket, "desk", &cart(&rule)).await;

    // The shares change, what decides about the bucket stays.
    let plan = flags.edit().rollout("desk", [("on", 45), ("off", 50)]).plan().await.unwrap();
    let desk = plan.after().flag("desk").unwrap().definition().targeting().unwrap();
    assert_eq!(desk["if"][1], json!({"fractional": [{"var": "account"}, ["on", 45], ["off", 50]]}));
    let odd: Vec<String> = plan.findings().iter().map(ToString::to_string).collect();
    assert_eq!(
        odd,
        [
            "flag `desk`: targeting.if[1].fractional: the weights sum up to 95, not to 100: shares are of the sum"
        ]
    );

    // A rule that flags share moves those who are served by its flags.
    let sample = ["NL", "NL", "BE"].map(|country| DynamicContext::new().with("country", country));
    let edit = flags.edit().set_shared_rule("staff", json!({"==": [{"var": "country"}, "BE"]}));
    let plan = edit.plan().await.unwrap();
    let expected = "shop.flags._set.evaluators.staff:\n  rule.==[1]: \"NL\" → \"BE\"";
    assert_eq!(plan.to_string(), expected);
    let radius = plan.blast_radius(&sample, 0);
    assert_eq!((radius.len(), radius[0].0.as_str(), radius[0].1.moved()), (1, "cart", 3));

    let edit = || flags.edit();
    assert_eq!(refusal(edit().enable("crat")).await, "there is no flag `crat`, did you mean `cart`?");
    assert_eq!(
        refusal(edit().default_variant("cart", "onn")).await,
        "flag `cart` has no variant `onn`, did you mean `on`?"
    );
    assert_eq!(
        refusal(edit().rollout("cart", [("on", 1)])).await,
        "flag `cart` has a rule with 0 places for shares (`fractional`), not one"
    );
    assert_eq!(
        refusal(edit().rollout("size", [("20", 0)])).await,
        "the shares for flag `size`: all weights are zero, so nobody gets one"
    );
    assert_eq!(
        refusal(edit().rollout("desk", [("on", 1), ("on", 2)])).await,
        "the shares for flag `desk`: a variant stands there twice"
    );
    assert_eq!(refusal(edit().targeting("cart", json!(3))).await, "flag `cart` cannot be used");
    assert_eq!(refusal(edit().set_metadata("x", json!([]))).await, "the metadata of the set cannot be used");
}

// P3
pub(crate) async fn what_readers_would_refuse_is_not_written(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    let plan = flags.edit().set("cart", defined(&cart(USES_STAFF))).plan().await.unwrap();
    assert!(!plan.is_valid());
    let error = plan.commit().await.unwrap_err();
    assert_eq!(error.report().unwrap().problems[0].message, "targeting.if[0]: no shared rule `staff`");
    // Together with its rule it is one.
    let edit =
        flags.edit().set("cart", defined(&cart(USES_STAFF))).set_shared_rule("staff", json!({"!": [0]}));
    let applied = edit.plan().await.unwrap().commit().await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    assert!(flags.get("cart", &visitor(), false));
    let plan = flags.edit().remove_shared_rule("staff").plan().await.unwrap();
    assert!(matches!(plan.commit().await, Err(CommitError::Invalid(_))));
}

// P6
pub(crate) async fn two_authors_of_one_flag_conflict(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    put(&flags, &bucket, "cart", &cart("{}")).await;
    let mine = flags.edit().disable("cart").plan().await.unwrap();
    let theirs = flags.edit().default_variant("cart", "on").plan().await.unwrap();
    theirs.commit().author("ops").await.unwrap();
    let error = mine.commit().author("dev").await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
}

// P6
pub(crate) async fn a_derived_change_does_not_pass_over_what_was_rejected(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    put(&flags, &bucket, "cart", &cart("{}")).await;
    let bad = bucket.put("shop.flags.cart", "[]").await.unwrap();
    flags.wait_for(bad).await.unwrap_err();
    let error = flags.edit().disable("cart").plan().await.unwrap_err();
    let FlagEditError::OverRejected(unseen) = error else { panic!("{error}") };
    assert_eq!((unseen.key.as_str(), unseen.revision), ("shop.flags.cart", bad));
    // Defining it anew replaces it, also by what is served now.
    let again: FlagDefinition = flags.load().flag("cart").unwrap().definition().clone();
    let applied = flags.edit().set("cart", again).plan().await.unwrap().commit().await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    assert_eq!(flags.health().report, None);
}
