//! What readers get.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use kvconf::{Bucket, Cache, FileSource, KvConfig, Live, Origin, StartError, WaitError};
use kvconf_tests::Backend;

use super::{LAYERS, Shop, in_full, put, reach, start};

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("kvconf-layers-{}-{}", std::process::id(), rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A handle that is ending may still write there: what stays behind is small.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub async fn the_most_specific_layer_that_has_a_value_wins(backend: &Backend) {
    let bucket = backend.plain().await;
    put(
        &bucket,
        &[
            ("host.web-1.shop.price", "300"),
            ("base.shop.price", "100"),
            ("base.shop.retry.max", "7"),
            ("env.prod.shop.price", "200"),
            ("env.prod.shop.retry.min", "2"),
            ("env.dev.shop.price", "1"),
        ],
    )
    .await;
    let shop = start(&bucket).await;
    assert_eq!(shop.layers(), LAYERS);
    assert_eq!(shop.prefix().as_str(), "shop");
    let now = shop.load();
    assert_eq!((now.price, now.retry.min, now.retry.max, now.discount), (300, 2, 7, 0));
    drop(now);

    let revision = put(&bucket, &[("env.prod.shop.retry.max", "9"), ("host.web-1.shop.price", "400")]).await;
    reach(&shop, revision).await;
    assert_eq!((shop.load().price, shop.load().retry.max), (400, 9));
}

pub async fn old_names_count_within_their_layer(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("base.shop.payment-timeout", "5s"), ("env.prod.shop.timeout", "8s")]).await;
    let shop = start(&bucket).await;
    assert_eq!(shop.load().payment_timeout, Duration::from_secs(8));
    let revision = bucket.put("env.prod.shop.payment-timeout", "9s").await.unwrap();
    reach(&shop, revision).await;
    assert_eq!(shop.load().payment_timeout, Duration::from_secs(9));
    let report = shop.health().report.unwrap();
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["env.prod.shop.timeout: an old name of env.prod.shop.payment-timeout, ignored; \
          write env.prod.shop.payment-timeout instead"]
    );
}

pub async fn a_removal_lets_the_more_general_layer_through(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("base.shop.price", "100"), ("env.prod.shop.price", "200")]).await;
    let shop = start(&bucket).await;
    for (key, price) in [("env.prod.shop.price", 100), ("base.shop.price", 100)] {
        let revision = bucket.delete(key).await.unwrap();
        reach(&shop, revision).await;
        assert_eq!(shop.load().price, price);
    }
    assert_eq!(shop.origin(Shop::fields().price), Some(Origin::Default));
    // What was removed in a layer before the start lets through as well.
    bucket.put("base.shop.price", "150").await.unwrap();
    assert_eq!(start(&bucket).await.load().price, 150);
}

pub async fn null_and_an_empty_text_are_values(backend: &Backend) {
    let bucket = backend.plain().await;
    put(
        &bucket,
        &[
            ("base.shop.region", "eu"),
            ("env.prod.shop.region", "null"),
            ("base.shop.greeting", "hello"),
            ("host.web-1.shop.greeting", ""),
        ],
    )
    .await;
    let shop = start(&bucket).await;
    assert_eq!((shop.load().region.clone(), shop.load().greeting.as_str()), (None, ""));
}

pub async fn maps_are_merged_entry_by_entry(backend: &Backend) {
    let bucket = backend.plain().await;
    put(
        &bucket,
        &[
            ("base.shop.limits.silver", "10"),
            ("base.shop.limits.gold", "20"),
            ("env.prod.shop.limits.gold", "30"),
            ("host.web-1.shop.limits.black", "40"),
        ],
    )
    .await;
    let shop = start(&bucket).await;
    let limits = |shop: &Live<Shop>| {
        let entries = shop.load().limits.clone();
        entries.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(limits(&shop), ["black=40", "gold=30", "silver=10"]);
    let revision = bucket.delete("env.prod.shop.limits.gold").await.unwrap();
    reach(&shop, revision).await;
    assert_eq!(limits(&shop), ["black=40", "gold=20", "silver=10"]);
    let revision = bucket.delete("base.shop.limits.gold").await.unwrap();
    reach(&shop, revision).await;
    assert_eq!(limits(&shop), ["black=40", "silver=10"]);
}

pub async fn the_keys_without_a_layer_can_be_one(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("shop.price", "100"), ("env.prod.shop.price", "200"), ("shop.discount", "5")]).await;
    let shop: Live<Shop> =
        bucket.live().layers(["", "env.prod"]).without_environment().start().await.unwrap();
    assert_eq!((shop.load().price, shop.load().discount), (200, 5));
    let origin = shop.origin(Shop::fields().discount).unwrap();
    assert_eq!(origin.to_string(), "no layer, revision 3");

    let refused = bucket.live::<Shop>().prefix("").layers(["", "env.prod"]).start().await.unwrap_err();
    assert!(matches!(refused, StartError::Layers(_)));
    assert_eq!(
        in_full(&refused),
        r#"the layers cannot be read together: layers "" and "env.prod" overlap: keys under env.prod would belong to both"#
    );
}

// P2: price and discount are only valid together.
pub async fn a_change_set_across_layers_is_one_step(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let mut changes = shop.changes();
    let batch = bucket.batch().put("env.prod.shop.discount", "400").put("base.shop.price", "500");
    let last = batch.commit().await.unwrap();
    reach(&shop, last).await;
    let step = changes.next().await.unwrap();
    assert_eq!((step.before().price, step.after().price, step.after().discount), (100, 500, 400));
    let fields: Vec<String> = step.fields().iter().map(ToString::to_string).collect();
    assert_eq!(fields, ["shop.price: 100 → 500", "shop.discount: 0 → 400"]);
    assert!(changes.next().now_or_never().is_none(), "one change set is one step");
}

// P3
pub async fn a_change_set_across_layers_is_refused_as_one(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let batch = bucket.batch().put("base.shop.price", "500").put("host.web-1.shop.retry.max", "many");
    let last = batch.commit().await.unwrap();
    let error = tokio::time::timeout(super::BOUND, shop.wait_for(last)).await.unwrap().unwrap_err();
    let WaitError::Rejected { report, .. } = error else { panic!("{error:?}") };
    assert_eq!(
        report.problems[0].to_string(),
        "host.web-1.shop.retry.max: `many` is not a whole number (u32)"
    );
    assert_eq!(shop.load().price, 100);
    let health = shop.health();
    assert_eq!(health.rejected[0].keys, ["base.shop.price", "host.web-1.shop.retry.max"]);
    let mended = bucket.put("host.web-1.shop.retry.max", "9").await.unwrap();
    reach(&shop, mended).await;
    assert_eq!((shop.load().price, shop.load().retry.max), (500, 9));
}

// P11
pub async fn origins_and_explanations_name_the_layer(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let edit =
        shop.edit().layer("base").set(fields.price, 150).set(fields.api_key, "secret-1".to_owned().into());
    let edit = edit.layer("env.prod").set(fields.api_key, "secret-2".to_owned().into());
    edit.plan().await.unwrap().commit().author("ops").reason("prices").await.unwrap();
    let revision = bucket.put("host.web-1.shop.price", "175").await.unwrap();
    reach(&shop, revision).await;

    let Some(Origin::Key(origin)) = shop.origin(fields.price) else { panic!("it stands in the bucket") };
    assert_eq!((origin.layer.as_deref(), origin.key.as_str()), (Some("host.web-1"), "host.web-1.shop.price"));
    let origin = shop.origin(fields.api_key).unwrap();
    assert_eq!(origin.to_string(), "layer env.prod, revision 3 by ops");
    let _small = shop.overrides().set(fields.price, 5).scoped().unwrap();
    insta::allow_duplicates! { insta::assert_snapshot!(shop.explain(fields.price), @"
    shop.price
      → 5   from an override
        175   from layer host.web-1, revision 4
        150   from layer base, revision 2 by ops
        100   from the default
    ") };
    insta::allow_duplicates! { insta::assert_snapshot!(shop.explain(fields.api_key), @"
    shop.api_key
      → ***   from layer env.prod, revision 3 by ops
        ***   from layer base, revision 1 by ops
        ***   from the default
    ") };
    let revision = put(
        &bucket,
        &[("base.shop.limits.gold", "1"), ("env.prod.shop.limits.gold", "2"), ("base.shop.limits.tin", "3")],
    )
    .await;
    reach(&shop, revision).await;
    insta::allow_duplicates! { insta::assert_snapshot!(shop.explain(fields.limits), @"
    shop.limits
      → shop.limits.gold: 2   from layer env.prod, revision 6
        shop.limits.gold: 1   from layer base, revision 5
      → shop.limits.tin: 3   from layer base, revision 7
    ") };
}

pub async fn unknown_keys_are_told_in_every_layer(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("base.shop.prise", "1"), ("other.shop.prise", "1")]).await;
    let shop = start(&bucket).await;
    let revision = bucket.put("env.prod.shop.retrry.max", "1").await.unwrap();
    reach(&shop, revision).await;
    let report = shop.health().report.unwrap();
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "base.shop.prise: unknown key, did you mean base.shop.price?",
            "env.prod.shop.retrry.max: unknown key, did you mean env.prod.shop.retry.max?",
        ]
    );
}

// P9
pub async fn a_cached_state_is_one_of_its_layers(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("base.shop.price", "150"), ("env.prod.shop.price", "250")]).await;
    let folder = Folder::new();
    let cache = || Cache::at(&folder.0).trust_after(Duration::ZERO);
    let shop: Live<Shop> = bucket.live().layers(LAYERS).cache(cache()).start().await.unwrap();
    let saved = shop.wait_for_health(|health| {
        health.cache.as_ref().and_then(|cache| cache.saved).is_some_and(|saved| saved.trusted)
    });
    tokio::time::timeout(super::BOUND, saved).await.unwrap();
    shop.stop();
    drop(shop);
    // Then the bucket has values that nobody can start from.
    bucket.put("host.web-1.shop.price", "dear").await.unwrap();
    let shop: Live<Shop> = bucket.live().layers(LAYERS).cache(cache()).start().await.unwrap();
    assert!(shop.load().is_cached());
    assert_eq!(shop.load().price, 250);
    let refused = bucket.live::<Shop>().layers(["base", "host.web-1"]).cache(cache()).start().await;
    let StartError::Exhausted { tried } = refused.unwrap_err() else {
        panic!("there is nothing saved for it")
    };
    assert_eq!(tried.len(), 2, "{tried:?}");
    assert!(tried[1].to_string().ends_with("holds no usable state"), "{}", tried[1]);
}

pub async fn what_stands_above_and_below_the_bucket_stands_above_and_below_all_layers(backend: &Backend) {
    let bucket: Bucket = backend.plain().await;
    let folder = Folder::new();
    let path = folder.0.join("shop.toml");
    std::fs::write(&path, "[shop]\nprice = 50\ndiscount = 5\n").unwrap();
    bucket.put("base.shop.price", "150").await.unwrap();
    let shop: Live<Shop> = bucket.live().layers(LAYERS).file(FileSource::new(&path)).start().await.unwrap();
    assert_eq!((shop.load().price, shop.load().discount), (150, 5));
    shop.overrides().set(Shop::fields().price, 20).apply().unwrap();
    let revision = bucket.put("host.web-1.shop.price", "175").await.unwrap();
    reach(&shop, revision).await;
    assert_eq!(shop.load().price, 20);
    shop.overrides().clear_all().apply().unwrap();
    assert_eq!(shop.load().price, 175);
}
