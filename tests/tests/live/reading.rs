//! Snapshots, streams, hooks, and the life of a handle.

use std::sync::mpsc;
use std::time::Duration;

use kvconf::{Bucket, BucketConfig, KvConfig, Live, StartError, WaitError};
use kvconf_tests::wait_until;

use crate::live::settings::{Checkout, Pricing, start};

#[tokio::test(start_paused = true)]
async fn a_handle_starts_from_the_defaults_of_an_empty_bucket() {
    let live = start(&Bucket::memory()).await;
    let cfg = live.load();
    assert_eq!((cfg.max_items, cfg.payment_timeout, cfg.revision().get()), (50, Duration::from_secs(3), 0));
    assert_eq!(
        (cfg.region.as_deref(), cfg.limits.len(), &cfg.countries[..]),
        (None, 0, &["NL".into(), "BE".into()][..])
    );
}

// P3
#[tokio::test(start_paused = true)]
async fn a_handle_that_cannot_start_says_everything_that_is_wrong() {
    let bucket = Bucket::memory();
    for (key, value) in
        [("max_items", "many"), ("retry.min", "9"), ("limits.gold", "-1"), ("countries", "NL")]
    {
        bucket.put(format!("checkout.{key}"), value).await.unwrap();
    }
    let error = bucket.live::<Checkout>().without_environment().start().await.unwrap_err();
    let StartError::Invalid(report) = error else { panic!("{error:?}") };
    let told: Vec<String> = report.problems.iter().map(|problem| problem.to_string()).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    checkout.countries: expected a list as JSON, found `NL`: unexpected `N` at column 1
    checkout.limits.gold: `-1` is outside 0..=4294967295 (u32)
    checkout.max_items: `many` is not a whole number (u32)
    checkout.retry: min (9) must not exceed max (5)
    ");
}

// P1
#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_kept_never_changes() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let kept = live.snapshot();
    let revision = bucket.put("checkout.max_items", "60").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!((kept.max_items, live.load().max_items), (50, 60));
    let mut reader = live.reader();
    assert_eq!((reader.load().max_items, reader.load().revision()), (60, revision));
}

#[tokio::test(start_paused = true)]
async fn a_start_sees_what_was_acknowledged_before_it() {
    let bucket = Bucket::memory();
    let first = start(&bucket).await;
    for n in 1..=20_u32 {
        let revision = bucket.put("checkout.max_items", n.to_string()).await.unwrap();
        let next = start(&bucket).await;
        assert_eq!((next.load().max_items, next.load().revision()), (n, revision));
    }
    assert_eq!(first.load().max_items, 20);
}

#[tokio::test(start_paused = true)]
async fn the_stream_of_changes_coalesces_and_never_holds_up_the_watch() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let mut changes = live.changes();
    for n in 1..=300_u32 {
        let revision = bucket.put("checkout.max_items", n.to_string()).await.unwrap();
        live.wait_for(revision).await.unwrap();
    }
    let changed = changes.next().await.unwrap();
    assert_eq!((changed.before().max_items, changed.after().max_items), (50, 300));
    assert!(changed.touches(Checkout::fields().max_items) && !changed.touches(Checkout::fields().region));
    let fields: Vec<String> = changed.fields().iter().map(ToString::to_string).collect();
    assert_eq!(fields, ["checkout.max_items: 50 → 300"]);
    drop(live);
    assert!(changes.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_hook_is_called_for_its_field_only_and_only_when_the_value_differs() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let (calls, called) = mpsc::channel();
    live.on_change(Checkout::fields().retry.max, move |old, new| calls.send((*old, *new)).unwrap());
    for (key, value) in [
        ("max_items", "60"),
        ("retry.max", "5"),
        ("retry.max", "7"),
        ("retry.max", "7 "),
        ("retry.min", "2"),
        ("retry.max", "9"),
    ] {
        let revision = bucket.put(format!("checkout.{key}"), value).await.unwrap();
        live.wait_for(revision).await.unwrap();
        settle().await;
    }
    assert_eq!(called.try_iter().collect::<Vec<_>>(), [(5, 7), (7, 9)]);
}

// P10
#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_is_called_again_and_harms_no_other() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let (calls, called) = mpsc::channel();
    let panicking = calls.clone();
    live.on_change(Checkout::fields().max_items, move |_, new| {
        panicking.send(format!("first {new}")).unwrap();
        panic!("a hook's own mistake");
    });
    let second = live
        .on_change(Checkout::fields().max_items, move |_, new| calls.send(format!("second {new}")).unwrap());
    for n in [60, 70] {
        let revision = bucket.put("checkout.max_items", n.to_string()).await.unwrap();
        live.wait_for(revision).await.unwrap();
        settle().await;
    }
    second.remove();
    let revision = bucket.put("checkout.max_items", "80").await.unwrap();
    live.wait_for(revision).await.unwrap();
    settle().await;
    let told: Vec<String> = called.try_iter().collect();
    assert_eq!(told, ["first 60", "second 60", "first 70", "second 70", "first 80"]);
}

#[tokio::test(start_paused = true)]
async fn all_handles_of_a_bucket_share_one_watch_that_ends_with_the_last() {
    let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("shared")).unwrap();
    let checkout = start(&bucket).await;
    let pricing: Live<Pricing> = bucket.live().start().await.unwrap();
    let other: Live<Pricing> = bucket.clone().live().prefix("eu.pricing").start().await.unwrap();
    // Each that joins has one beside the others at first.
    wait_until("one watch", Duration::from_secs(10), async || faults.subscriptions() == 1).await;
    for (key, value) in
        [("checkout.max_items", "60"), ("pricing.discount", "5"), ("eu.pricing.discount", "9")]
    {
        bucket.put(key, value).await.unwrap();
    }
    let last = bucket.put("eu.pricing.discount", "10").await.unwrap();
    other.wait_for(last).await.unwrap();
    assert_eq!((checkout.load().max_items, pricing.load().discount, other.load().discount), (60, 5, 10));
    drop((checkout, pricing));
    settle().await;
    assert_eq!(faults.subscriptions(), 1);
    drop(other);
    settle().await;
    assert_eq!(faults.subscriptions(), 0);
    let again = start(&bucket).await;
    assert_eq!(again.load().max_items, 60);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_handle_keeps_its_last_state_and_says_so() {
    let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("stop")).unwrap();
    let live = start(&bucket).await;
    let mut changes = live.changes();
    live.stop();
    assert!(changes.next().await.is_none());
    settle().await;
    assert_eq!(faults.subscriptions(), 0);
    let revision = bucket.put("checkout.max_items", "60").await.unwrap();
    let error = live.wait_for(revision).await.unwrap_err();
    assert!(matches!(error, WaitError::Stopped { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the handle was stopped before revision 1 became visible");
    assert_eq!(
        (live.load().max_items, live.health().state.to_string(), live.health().is_ready()),
        (50, "stopped".to_owned(), false)
    );
}

#[test]
fn a_fixed_handle_needs_no_bucket_and_no_runtime() {
    let live = Live::fixed(Pricing { discount: 3 });
    assert_eq!(live.load().discount, 3);
    assert!(live.set_fixed(Pricing { discount: 4 }));
    assert_eq!((live.load().discount, live.load().revision().get()), (4, 1));
}

/// Lets every task that can run do so: paused time moves on only when all of them wait.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
