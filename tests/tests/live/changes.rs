//! Change sets as readers see them.

use kvconf::{Bucket, KvConfig, Live};

use crate::live::settings::{Checkout, Pricing, start};

// P2
#[tokio::test(start_paused = true)]
async fn a_change_set_over_two_structs_is_one_swap_in_each() {
    let bucket = Bucket::memory();
    let checkout = start(&bucket).await;
    let pricing: Live<Pricing> = bucket.live().start().await.unwrap();
    let mut seen = checkout.changes();
    let batch = bucket
        .batch()
        .put("checkout.max_items", "60")
        .put("pricing.discount", "10")
        .put("checkout.retry.max", "6")
        .put("pricing.unknown", "1");
    let applied = batch.commit().await.unwrap();
    checkout.wait_for(applied).await.ok();
    pricing.wait_for(applied).await.unwrap();
    let changed = seen.next().await.unwrap();
    assert_eq!((changed.after().max_items, changed.after().retry.max, pricing.load().discount), (60, 6, 10));
    assert_eq!((changed.before().max_items, changed.before().retry.max), (50, 5));
}

// P3: a set is rejected whole, also the keys of it that are good.
#[tokio::test(start_paused = true)]
async fn one_bad_key_keeps_its_whole_change_set_out() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let batch = bucket.batch().put("checkout.max_items", "60").put("checkout.retry.max", "none");
    let revision = batch.commit().await.unwrap();
    let error = live.wait_for(revision).await.unwrap_err();
    assert_eq!(error.to_string(), "revision 2 was rejected");
    assert_eq!(live.load().max_items, 50);
    let health = live.health();
    assert_eq!((health.applied.get(), health.seen.get(), health.is_current()), (0, 2, false));
    assert_eq!(health.rejected[0].keys, ["checkout.max_items", "checkout.retry.max"]);
    let revision = bucket.put("checkout.retry.max", "6").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!((live.load().max_items, live.load().retry.max), (60, 6));
    assert!(live.health().is_current());
}

#[tokio::test(start_paused = true)]
async fn a_restart_field_is_checked_and_reported_and_keeps_its_value() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let revision = bucket.put("checkout.workers", "many").await.unwrap();
    assert!(live.wait_for(revision).await.is_err());
    let revision = bucket.put("checkout.workers", "16").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!(live.load().workers, 8);
    assert_eq!(live.health().awaiting_restart, ["checkout.workers"]);
    assert_eq!(start(&bucket).await.load().workers, 16);
}

#[tokio::test(start_paused = true)]
async fn every_source_of_a_value_can_be_told() {
    let bucket = Bucket::memory();
    bucket.put("checkout.timeout", "9s").header("Kvconf-Author", "ops").await.unwrap();
    let live = start(&bucket).await;
    let revision = bucket.put("checkout.payment-timeout", "soon").await.unwrap();
    live.wait_for(revision).await.unwrap_err();
    insta::assert_snapshot!(live.explain(Checkout::fields().payment_timeout), @r"
    checkout.payment-timeout
        `soon`   from revision 2   (rejected)
      → 9s   from revision 1 by ops   (under the old name checkout.timeout)
        3s   from the default
    ");
}
