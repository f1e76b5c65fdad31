//! Which layer a change goes to, and what is told of it.

use std::time::Duration;

use kvconf::seal::{Keyring, SealKey};
use kvconf::{CommitError, KvConfig, Live, Origin, PlanError, ProvisionalError};
use kvconf_tests::Backend;

use super::{LAYERS, Shop, in_full, put, reach, start, value};

// P2, P7
pub async fn one_edit_changes_several_layers_in_one_change_set(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let edit = shop.edit().layer("base").set(fields.price, 500).set_entry(fields.limits, "gold", 3);
    let plan = edit.layer("env.prod").set(fields.discount, 400).plan().await.unwrap();
    assert_eq!(
        plan.to_string(),
        "base.shop.limits.gold: (none) → 3\nbase.shop.price: (default 100) → 500\nenv.prod.shop.discount: (default 0) → 400"
    );
    let applied = plan.commit().author("ops").reason("sale").await.unwrap();
    assert_eq!(applied.written().len(), 3);
    reach(&shop, applied.revision()).await;
    assert_eq!((shop.load().price, shop.load().discount, shop.load().limits["gold"]), (500, 400, 3));
    for (key, _) in applied.written() {
        let entry = bucket.entry(key).await.unwrap().unwrap();
        assert_eq!(entry.headers().get("Kvconf-Change"), Some(applied.change()));
    }
    // Not said again: the bucket holds it.
    let again = shop.edit().layer("base").set(fields.price, 500).plan().await.unwrap();
    assert!(again.is_empty());
}

pub async fn a_write_has_to_say_where_it_goes(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let error = shop.edit().set(fields.price, 5).plan().await.unwrap_err();
    assert_eq!(error.to_string(), "which layer to write to was not said: base, env.prod, host.web-1");
    let error = shop.edit().layer("env.dev").set(fields.price, 5).plan().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the handle does not read layer "env.dev", only base, env.prod, host.web-1"#
    );
    let error = shop.update(|shop| shop.price = 5).await.unwrap_err();
    assert!(matches!(error, CommitError::Plan(PlanError::NoLayer { .. })), "{error:?}");

    let plain: Live<Shop> = bucket.live().start().await.unwrap();
    let error = plain.edit().layer("base").set(fields.price, 5).plan().await.unwrap_err();
    assert_eq!(error.to_string(), r#"the handle does not read layer "base": it has none"#);
    // With one layer there is nothing to say.
    let one: Live<Shop> = bucket.live().layers(["base"]).start().await.unwrap();
    one.update(|shop| shop.price = 5).await.unwrap();
    assert_eq!(value(&bucket, "base.shop.price").await.as_deref(), Some("5"));
}

pub async fn a_plan_tells_what_has_no_effect(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("env.prod.shop.price", "200").header("Kvconf-Author", "eva").await.unwrap();
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let plan = shop.edit().layer("base").set(fields.price, 500).plan().await.unwrap();
    assert!(plan.is_valid());
    assert_eq!(
        plan.to_string(),
        "base.shop.price: (none) → 500\n\
         base.shop.price has no effect here while env.prod.shop.price has a value (layer env.prod, revision 1 by eva)"
    );
    assert_eq!(plan.masked()[0].key.as_str(), "base.shop.price");
    // What masks it may be taken out by the same plan, or be set by it.
    let plan = shop.edit().layer("env.prod").unset(fields.price).layer("base").set(fields.price, 500);
    let plan = plan.plan().await.unwrap();
    assert!(plan.masked().is_empty());
    assert_eq!(
        plan.to_string(),
        "base.shop.price: (none) → 500\nenv.prod.shop.price: 200 → (500 of this change)"
    );
    let otherwise =
        |change: &kvconf::FieldChange| change.otherwise.as_ref().map(|found| found.origin.clone());
    assert_eq!(plan.changes().map(otherwise).collect::<Vec<_>>(), [None, Some(Origin::Plan)]);
    let plan = shop.edit().layer("env.prod").set(fields.discount, 3).layer("base").set(fields.discount, 5);
    assert_eq!(
        plan.plan().await.unwrap().masked()[0].to_string(),
        "base.shop.discount has no effect here while this change has a value"
    );
    shop.overrides().set(fields.discount, 1).apply().unwrap();
    let plan = shop.edit().layer("host.web-1").set(fields.discount, 2).plan().await.unwrap();
    assert_eq!(
        plan.masked()[0].to_string(),
        "host.web-1.shop.discount has no effect here while an override has a value"
    );
}

// P3
pub async fn a_bad_value_is_refused_where_it_is_masked_too(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("env.prod.shop.price", "200").await.unwrap();
    let shop = start(&bucket).await;
    let plan = shop.edit().layer("base").set(Shop::fields().price, 99_999).plan().await.unwrap();
    let report = plan.report().unwrap();
    assert_eq!(report.problems[0].to_string(), "base.shop.price: 99999 is outside 1..=10000");
    let error = plan.commit().author("ops").await.unwrap_err();
    assert!(matches!(error, CommitError::Invalid(_)), "{error:?}");
    assert_eq!(value(&bucket, "base.shop.price").await, None);
}

pub async fn nothing_is_written_as_null_where_something_would_come_through(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("base.shop.region", "eu"), ("base.shop.limits.gold", "3")]).await;
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let plan = shop.edit().layer("env.prod").set(fields.region, None).plan().await.unwrap();
    assert_eq!(plan.to_string(), "env.prod.shop.region: (`eu` of base.shop.region) → `null`");
    let applied = plan.commit().author("ops").await.unwrap();
    reach(&shop, applied.revision()).await;
    assert_eq!(shop.load().region, None);
    // In the most general layer there is nothing to mask.
    let plan = shop.edit().layer("base").set(fields.region, None).plan().await.unwrap();
    plan.commit().author("ops").await.unwrap();
    assert_eq!(value(&bucket, "base.shop.region").await, None);

    let error = shop.update(|shop| shop.limits.clear()).layer("env.prod").await.unwrap_err();
    assert_eq!(
        in_full(&error),
        "there is no plan: shop.limits.gold cannot be taken out in layer \"env.prod\", \
         base.shop.limits.gold would come through"
    );
}

// P6
pub async fn an_update_writes_to_its_layer_and_not_over_what_it_did_not_see(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("base.shop.price", "100"), ("env.prod.shop.discount", "5")]).await;
    let shop = start(&bucket).await;
    let applied = shop.update(|shop| shop.price += 10).layer("host.web-1").author("ops").await.unwrap();
    reach(&shop, applied.revision()).await;
    assert_eq!(shop.load().price, 110);
    assert_eq!(value(&bucket, "base.shop.price").await.as_deref(), Some("100"));

    let error = shop.update(|shop| shop.discount += 1).layer("base").await.unwrap_err();
    let CommitError::Masked(masked) = &error else { panic!("{error:?}") };
    assert_eq!(masked.key.as_str(), "base.shop.discount");
    assert_eq!(
        error.to_string(),
        "base.shop.discount has no effect here while env.prod.shop.discount has a value (layer env.prod, revision 2)"
    );
    let applied = shop.update(|shop| shop.discount += 1).layer("env.prod").await.unwrap();
    reach(&shop, applied.revision()).await;
    assert_eq!(shop.load().discount, 6);
}

// P6
pub async fn a_conflict_names_the_key_of_the_layer(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("base.shop.price", "100"), ("env.prod.shop.discount", "5")]).await;
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let edit = shop.edit().layer("base").set(fields.price, 120).layer("env.prod").set(fields.discount, 7);
    let plan = edit.plan().await.unwrap();
    bucket.put("env.prod.shop.discount", "6").header("Kvconf-Author", "eva").await.unwrap();
    let error = plan.commit().author("ops").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "env.prod.shop.discount was changed meanwhile: based on revision 2, now at revision 3 by eva"
    );
    assert_eq!(value(&bucket, "base.shop.price").await.as_deref(), Some("100"));
}

// P6
pub async fn all_layers_are_guarded_if_asked_for(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("base.shop.price", "100"), ("env.prod.shop.discount", "5")]).await;
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let plan = async || shop.edit().layer("host.web-1").set(fields.price, 120).plan().await.unwrap();
    let late = plan().await;
    bucket.put("env.prod.shop.discount", "6").header("Kvconf-Author", "eva").await.unwrap();
    let error = late.commit().author("ops").guard_all().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "env.prod.shop.discount was changed meanwhile: based on revision 2, now at revision 3 by eva"
    );
    assert_eq!(value(&bucket, "host.web-1.shop.price").await, None);

    reach(&shop, kvconf::Revision::new(3)).await;
    let applied = plan().await.commit().author("ops").guard_all().await.unwrap();
    assert_eq!(applied.written().len(), 1);
    assert_eq!(applied.written()[0].0.as_str(), "host.web-1.shop.price");
    reach(&shop, applied.revision()).await;
    assert_eq!(shop.load().price, 120);
    // Two messages carried what is expected of the layers that it does not write to.
    let carried = bucket.entry("_kvconf.guard.1").await.unwrap().unwrap();
    assert_eq!(carried.headers().get("Kvconf-Change"), Some(applied.change()));
    assert_eq!(carried.revision(), applied.revision() - 1);
    // Again on top of it: carriers of others are no reason for a conflict.
    let applied = shop.update(|shop| shop.price = 130).layer("host.web-1").guard_all().await.unwrap();
    reach(&shop, applied.revision()).await;
    assert_eq!(shop.load().price, 130);
}

pub async fn a_guarded_change_with_a_deadline_needs_room_for_its_guards(backend: &Backend) {
    let bucket = backend.plain().await;
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let plan = shop.edit().layer("base").set(fields.price, 120).plan().await.unwrap();
    let commit = plan.commit().author("ops").guard_all().confirm_within(Duration::from_secs(60));
    let error = commit.await.unwrap_err();
    assert!(matches!(error, ProvisionalError::Commit(CommitError::Write(_))), "{error:?}");
    assert!(
        in_full(&error)
            .ends_with("nothing is written under env.prod.shop.>, host.web-1.shop.> that could guard it"),
        "{}",
        in_full(&error)
    );
    assert_eq!(value(&bucket, "base.shop.price").await, None);
    // Messages of a layer that is guarded as a whole have room.
    let edit = shop.edit().layer("base").set(fields.price, 120).set(fields.discount, 3);
    let plan = edit.set(fields.region, Some("eu".into())).plan().await.unwrap();
    let commit = plan.commit().author("ops").guard_all().confirm_within(Duration::from_secs(60));
    let change = commit.await.unwrap();
    assert_eq!(shop.pending().await.unwrap().len(), 1);
    change.confirm().author("ops").await.unwrap();
}

// P2
pub async fn a_change_of_several_layers_goes_back_as_one(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("base.shop.price", "500").await.unwrap();
    let shop = start(&bucket).await;
    let fields = Shop::fields();
    let edit = shop.edit().layer("base").set(fields.price, 900).layer("host.web-1").set(fields.discount, 700);
    let plan = edit.plan().await.unwrap();
    let change = plan.commit().author("ops").confirm_within(Duration::from_secs(60)).await.unwrap();
    reach(&shop, change.revision()).await;
    assert_eq!((shop.load().price, shop.load().discount), (900, 700));
    let pending = shop.pending().await.unwrap();
    assert!(pending[0].is_whole());
    let back = pending[0].take_back().author("ops").await.unwrap();
    reach(&shop, back.revision()).await;
    assert_eq!((shop.load().price, shop.load().discount), (500, 0));
}

// P11
pub async fn secrets_are_sealed_anew_in_every_layer(backend: &Backend) {
    let bucket = backend.plain().await;
    put(&bucket, &[("base.shop.api_key", "clear-1"), ("env.prod.shop.api_key", "clear-2")]).await;
    let ring = Keyring::new(SealKey::new("k1", [7; 32]).unwrap());
    let shop: Live<Shop> =
        bucket.live().layers(LAYERS).keyring(ring).without_environment().start().await.unwrap();
    let plan = shop.edit().reseal().plan().await.unwrap();
    let keys: Vec<&str> = plan.changes().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, ["base.shop.api_key", "env.prod.shop.api_key"]);
    let applied = plan.commit().author("ops").await.unwrap();
    reach(&shop, applied.revision()).await;
    assert_eq!(shop.load().api_key.expose(), "clear-2");
    assert_ne!(value(&bucket, "base.shop.api_key").await.as_deref(), Some("clear-1"));
}
