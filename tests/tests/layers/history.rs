//! Looking back over several layers.

use std::time::Duration;

use kvconf::{FieldState, KvConfig, Live, PastError, Point, Revision};
use kvconf_tests::Backend;

use super::{LAYERS, Shop, put, reach, start};

pub async fn the_log_has_the_changes_of_all_layers(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    bucket.put("env.dev.shop.price", "1").await.unwrap();
    let edit = shop.edit().layer("base").set(fields.price, 500).layer("env.prod").set(fields.discount, 400);
    let applied = edit.plan().await.unwrap().commit().author("ops").reason("sale").await.unwrap();
    bucket.put("host.web-1.shop.api_key", "secret").await.unwrap();
    let log = shop.log().await.unwrap();
    let lines: Vec<String> = log
        .iter()
        .flat_map(|change| {
            let text = change.to_string();
            text.lines().skip(1).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        lines,
        [
            "host.web-1.shop.api_key  (none) → ***",
            "base.shop.price         (none) → 500",
            "env.prod.shop.discount  (none) → 400"
        ]
    );
    let sale = &log.changes()[1];
    assert_eq!((sale.change(), sale.missing()), (Some(applied.change()), 0));
}

pub async fn a_field_has_one_history_in_all_layers(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    put(&bucket, &[("base.shop.price", "500"), ("env.prod.shop.price", "many"), ("env.dev.shop.price", "2")])
        .await;
    bucket.delete("base.shop.price").await.unwrap();
    let history = shop.history(Shop::fields().price).await.unwrap();
    let told: Vec<String> = history
        .iter()
        .map(|revision| {
            let what = match &revision.state {
                FieldState::Value(price) => price.to_string(),
                FieldState::Rejected(_) => "rejected".to_owned(),
                FieldState::Deleted => "deleted".to_owned(),
                other => format!("{other:?}"),
            };
            format!("{} {}: {what}", revision.revision(), revision.key())
        })
        .collect();
    assert_eq!(
        told,
        ["4 base.shop.price: deleted", "2 env.prod.shop.price: rejected", "1 base.shop.price: 500"]
    );
    let line = history.revisions()[2].to_string();
    assert!(line.ends_with("author unknown: 500 under base.shop.price"), "{line}");
}

// P8
pub async fn the_past_is_merged_as_the_present_is(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let base = put(&bucket, &[("base.shop.price", "100"), ("base.shop.limits.gold", "1")]).await;
    let prod = put(&bucket, &[("env.prod.shop.limits.gold", "2"), ("env.prod.shop.price", "200")]).await;
    let masked = put(&bucket, &[("base.shop.price", "150")]).await;
    reach(&shop, masked).await;
    let then = shop.at(base).await.unwrap();
    assert_eq!((then.price, then.limits["gold"]), (100, 1));
    assert_eq!(then.newest().unwrap().layer.as_deref(), Some("base"));
    let then = shop.at(prod).await.unwrap();
    assert_eq!((then.price, then.limits["gold"]), (200, 2));
    assert_eq!(then.origin(Shop::fields().price).to_string(), "layer env.prod, revision 4");
    let key = kvconf::Key::new("base.shop.price").unwrap();
    assert_eq!(then.entry(&key).unwrap().revision(), Revision::new(1));

    let diff = shop.diff(base, Point::Latest).await.unwrap();
    assert_eq!(diff.to_string(), "shop.price        100 → 200\nshop.limits.gold  1   → 2");
    assert!(diff.touches(Shop::fields().price) && !diff.touches(Shop::fields().discount));
    assert!(shop.diff(prod, masked).await.unwrap().is_empty(), "what is masked makes no difference");
}

// P8
pub async fn a_time_has_one_state_over_all_layers(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    put(&bucket, &[("base.shop.price", "500"), ("base.shop.limits.gold", "1")]).await;
    let fields = Shop::fields();
    let edit = shop.edit().layer("base").set(fields.discount, 5).layer("env.prod").set(fields.price, 200);
    let both = edit.plan().await.unwrap().commit().await.unwrap().revision();
    let last = put(&bucket, &[("host.web-1.shop.price", "300")]).await;
    reach(&shop, last).await;
    let entry = async |key: &str| bucket.entry(key).await.unwrap().unwrap();
    let told = async |at| {
        let then = shop.at_time(at).await.unwrap();
        (then.price, then.discount, then.limits["gold"], then.revision())
    };
    let first = entry("base.shop.limits.gold").await;
    assert_eq!(told(first.created()).await, (500, 0, 1, first.revision()));
    // The change set of two layers is there as a whole, or not yet.
    assert_eq!(told(entry("env.prod.shop.price").await.created()).await, (200, 5, 1, both));
    let own = entry("host.web-1.shop.price").await;
    assert_eq!(told(own.created()).await, (300, 5, 1, last));
    assert_eq!(told(own.created() - Duration::from_nanos(1)).await, (200, 5, 1, both));
    let then = shop.at_time(own.created() - Duration::from_nanos(1)).await.unwrap();
    assert_eq!(
        then.origin(fields.price).to_string().split(" by ").next(),
        Some("layer env.prod, revision 4")
    );
}

// P8
pub async fn what_is_lost_does_not_matter_where_it_was_masked(backend: &Backend) {
    let bucket = backend.keeping(2).await;
    let shop = start(&bucket).await;
    let fields =
        ["discount", "payment-timeout", "timeout", "greeting", "retry.min", "retry.max", "api_key", "region"];
    for field in fields {
        let value = match field {
            "payment-timeout" | "timeout" => "1s",
            "greeting" | "api_key" | "region" => "x",
            _ => "1",
        };
        bucket.put(format!("host.web-1.shop.{field}"), value).await.unwrap();
    }
    put(&bucket, &[("base.shop.price", "100"), ("env.prod.shop.price", "200")]).await;
    let moment = put(&bucket, &[("host.web-1.shop.limits.gold", "1")]).await;
    let last = put(&bucket, &[("base.shop.price", "101"), ("base.shop.price", "102")]).await;
    reach(&shop, last).await;
    assert_eq!(shop.at(moment).await.unwrap().price, 200);

    let base: Live<Shop> = bucket.live().layers(["base", "host.web-1"]).start().await.unwrap();
    let error = base.at(moment).await.unwrap_err();
    let PastError::Lost { keys, .. } = &error else { panic!("{error:?}") };
    assert_eq!(keys[0].key, "base.shop.price");
}

pub async fn a_build_is_held_against_all_layers(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("env.prod.shop.price", "200"), ("base.shop.price", "many")]).await;
    let check = bucket.check::<Shop>().layers(LAYERS).without_environment();
    let now = check.now().await.unwrap();
    assert!(now.would_start());
    assert_eq!(
        now.report.unwrap().problems[0].to_string(),
        "base.shop.price: `many` is not a whole number (u32); not read while env.prod.shop.price has a value"
    );
    bucket.delete("env.prod.shop.price").await.unwrap();
    let check = || bucket.check::<Shop>().layers(LAYERS).without_environment();
    assert!(!check().now().await.unwrap().would_start());
    let replay = check().replay().await.unwrap();
    assert_eq!((replay.states, replay.rejected.len()), (3, 1));
    assert_eq!(
        replay.rejected[0].report.problems[0].to_string(),
        "base.shop.price: `many` is not a whole number (u32)"
    );
    let error = bucket.check::<Shop>().layers(["base", "base"]).now().await.unwrap_err();
    assert_eq!(super::in_full(&error), r#"the layers cannot be read together: layer "base" is named twice"#);
}
