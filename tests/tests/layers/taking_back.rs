//! Rollbacks and reverts over several layers.

use kvconf::{KvConfig, RollbackError};
use kvconf_tests::Backend;

use super::{Shop, put, reach, start, value};

// P8
pub async fn a_rollback_takes_all_layers_back(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let good = put(&bucket, &[("base.shop.price", "100"), ("env.prod.shop.discount", "5")]).await;
    put(&bucket, &[("base.shop.price", "1000"), ("host.web-1.shop.discount", "900")]).await;
    let plan = shop.rollback_to(good).plan().await.unwrap();
    assert_eq!(
        plan.to_string(),
        "back to revision 2:\n  base.shop.price: 1000 → 100\n  host.web-1.shop.discount: 900 → (5 of env.prod.shop.discount)\n  1 key is so already"
    );
    let applied = plan.commit().author("ops").reason("errors up").await.unwrap();
    reach(&shop, applied.revision()).await;
    assert_eq!((shop.load().price, shop.load().discount), (100, 5));
}

// P8
pub async fn a_rollback_can_keep_to_one_layer(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let good = put(&bucket, &[("base.shop.price", "100"), ("env.prod.shop.price", "200")]).await;
    put(&bucket, &[("base.shop.price", "110"), ("env.prod.shop.price", "220")]).await;
    let plan = shop.rollback_to(good).layer("env.prod").plan().await.unwrap();
    assert_eq!(plan.to_string(), "back to revision 2:\n  env.prod.shop.price: 220 → 200");
    // Nobody is in the way in a layer that it leaves alone.
    bucket.put("base.shop.price", "111").await.unwrap();
    plan.commit().author("ops").await.unwrap();
    assert_eq!(value(&bucket, "base.shop.price").await.as_deref(), Some("111"));
    assert_eq!(value(&bucket, "env.prod.shop.price").await.as_deref(), Some("200"));
    let error = shop.rollback_to(good).layer("env.dev").await.unwrap_err();
    assert_eq!(error.to_string(), r#"the handle does not read layer "env.dev""#);
}

// P8
pub async fn a_change_set_across_layers_is_reverted_as_one(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("base.shop.price", "500").await.unwrap();
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let edit = shop.edit().layer("base").set(fields.price, 900).layer("env.prod").set(fields.discount, 700);
    let applied = edit.plan().await.unwrap().commit().author("dev").await.unwrap();
    bucket.put("host.web-1.shop.region", "eu").await.unwrap();
    let back = shop.revert(applied.change()).author("ops").await.unwrap();
    reach(&shop, back.revision()).await;
    let now = shop.load();
    assert_eq!((now.price, now.discount, now.region.as_deref()), (500, 0, Some("eu")));
}

// P8
pub async fn one_field_goes_back_in_all_layers(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let good = put(&bucket, &[("base.shop.price", "100"), ("base.shop.region", "eu")]).await;
    put(&bucket, &[("env.prod.shop.price", "200"), ("base.shop.price", "110"), ("base.shop.region", "us")])
        .await;
    let applied = shop.rollback_to(good).only(Shop::fields().price).author("ops").await.unwrap();
    reach(&shop, applied.revision()).await;
    assert_eq!((shop.load().price, shop.load().region.as_deref()), (100, Some("us")));
    assert_eq!(value(&bucket, "env.prod.shop.price").await, None);
}

// P6, P8: one layer is written, and a key of another one that was so already is no longer so.
pub async fn what_was_so_already_must_stay_so_in_every_layer(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let good = put(&bucket, &[("base.shop.price", "100"), ("env.prod.shop.discount", "5")]).await;
    put(&bucket, &[("base.shop.price", "110")]).await;
    let plan = shop.rollback_to(good).plan().await.unwrap();
    bucket.put("env.prod.shop.discount", "6").header("Kvconf-Author", "eva").await.unwrap();
    let error = plan.commit().author("ops").await.unwrap_err();
    let RollbackError::Conflict(conflict) = &error else { panic!("{error:?}") };
    assert_eq!(
        (conflict.key.as_str(), conflict.by.author.as_deref()),
        ("env.prod.shop.discount", Some("eva"))
    );
    assert_eq!(value(&bucket, "base.shop.price").await.as_deref(), Some("110"));

    // A key that is none of the struct's is looked at again, and is no reason to give up.
    let plan = shop.rollback_to(good).plan().await.unwrap();
    bucket.put("host.web-1.shop.unknown", "1").await.unwrap();
    plan.commit().author("ops").await.unwrap();
    assert_eq!(value(&bucket, "base.shop.price").await.as_deref(), Some("100"));
    assert_eq!(value(&bucket, "env.prod.shop.discount").await.as_deref(), Some("5"));
}
