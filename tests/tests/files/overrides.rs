//! Overrides in the process.

use std::collections::BTreeMap;

use kvconf::{Bucket, KvConfig, Live, Origin, OverrideError, Secret};

use crate::files::folder::{Checkout, Folder, start, until};

async fn plain(bucket: &Bucket) -> Live<Checkout> {
    bucket.live().without_environment().start().await.unwrap()
}

#[tokio::test]
async fn several_overrides_become_visible_in_one_swap() {
    let live = plain(&Bucket::memory()).await;
    let (fields, mut changes) = (Checkout::fields(), live.changes());
    let limits = BTreeMap::from([("gold".to_owned(), 3)]);
    // Neither of the two bounds alone would be valid.
    let set = live.overrides().set(fields.retry.min, 8).set(fields.retry.max, 9).set(fields.limits, limits);
    set.set(fields.api_key, Secret::new("s3cr3t".to_owned())).apply().unwrap();
    let changed = changes.next().await.expect("a change");
    let told: Vec<String> = changed.fields().iter().map(ToString::to_string).collect();
    let expected = [
        "checkout.retry.min: 1 → 8",
        "checkout.retry.max: 5 → 9",
        "checkout.api_key: *** → ***",
        "checkout.limits.gold: (none) → 3",
    ];
    assert_eq!(told, expected);
    live.overrides().clear_all().apply().unwrap();
    assert_eq!((live.load().retry.min, live.load().retry.max, live.load().limits.len()), (1, 5, 0));
}

// P3
#[tokio::test]
async fn an_override_that_is_not_valid_changes_nothing_and_says_why() {
    let live = plain(&Bucket::memory()).await;
    let fields = Checkout::fields();
    let error = live.overrides().set(fields.max_items, 0).set(fields.region, Some("eu".into())).apply();
    let Err(OverrideError::Invalid(report)) = error else { panic!("{error:?}") };
    insta::assert_snapshot!(report, @r"
    error: 1 problem in Checkout (bucket memory, planned change); still serving the last good values
      × checkout.max_items: 0 is outside 1..=500
          from an override
    ");
    assert_eq!((live.load().max_items, live.load().region.as_deref()), (50, None));
    assert_eq!((live.health().report, live.health().rejected.len()), (None, 0));
    let fixed = Live::fixed(Checkout::clone(&live.load()));
    assert!(matches!(fixed.overrides().set(fields.max_items, 1).apply(), Err(OverrideError::Fixed)));
}

#[tokio::test]
async fn none_hides_what_weaker_sources_have() {
    let (folder, bucket) = (Folder::new(), Bucket::memory());
    bucket.put("checkout.limits.gold", "1").await.unwrap();
    let live = start(&bucket, folder.write("app.toml", "[checkout]\nregion = 'eu'\nlimits.tin = 2\n")).await;
    let fields = Checkout::fields();
    let guard =
        live.overrides().set(fields.region, None).set(fields.limits, BTreeMap::new()).scoped().unwrap();
    assert_eq!((live.load().region.as_deref(), live.load().limits.len()), (None, 0));
    insta::assert_snapshot!(folder.hide(&live.explain(fields.region).to_string()), @r"
    checkout.region
      → no value   from an override
        `eu`   from app.toml:2
        no value   from the default
    ");
    drop(guard);
    assert_eq!((live.load().region.as_deref(), live.load().limits.len()), (Some("eu"), 2));
    live.overrides().set_entry(fields.limits, "tin & zinc", 7).apply().unwrap();
    assert_eq!(live.load().limits["tin & zinc"], 7);
    live.overrides().clear(fields.limits).apply().unwrap();
    assert_eq!(live.load().limits.len(), 2);
}

#[tokio::test]
async fn guards_give_back_what_was_before_them_and_leave_others_alone() {
    let live = plain(&Bucket::memory()).await;
    let fields = Checkout::fields();
    live.overrides().set(fields.max_items, 1).apply().unwrap();
    let outer = live.overrides().set(fields.max_items, 2).set(fields.old_limit, 3).scoped().unwrap();
    let inner = live.overrides().set(fields.max_items, 4).scoped().unwrap();
    assert_eq!(live.load().max_items, 4);
    drop(inner);
    assert_eq!(live.load().max_items, 2);
    live.overrides().set(fields.old_limit, 9).apply().unwrap();
    drop(outer);
    assert_eq!((live.load().max_items, live.load().old_limit), (1, 9), "what was set later stays");
}

// P3
#[tokio::test]
async fn an_override_stays_while_what_it_hides_is_bad() {
    let bucket = Bucket::memory();
    let live = plain(&bucket).await;
    let fields = Checkout::fields();
    let guard = live.overrides().set(fields.max_items, 7).scoped().unwrap();
    let hidden = bucket.put("checkout.max_items", "9999").await.unwrap();
    live.wait_for(hidden).await.unwrap();
    let error = live.overrides().clear(fields.max_items).apply().unwrap_err();
    assert_eq!(error.to_string(), "the overrides are not valid");
    drop(guard);
    assert_eq!(live.load().max_items, 7, "the last good stays");
    let report = live.health().report.expect("what is hidden is bad");
    assert_eq!(report.problems[0].to_string(), "checkout.max_items: 9999 is outside 1..=500");
    bucket.put("checkout.max_items", "8").await.unwrap();
    until(&live, |cfg| cfg.max_items == 8).await;
    assert_eq!(live.health().report, None);
    assert!(matches!(live.origin(fields.max_items), Some(Origin::Key(_))));
}
