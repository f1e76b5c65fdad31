//! The figures of the feature `metrics`: names, units, labels and values.

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::{Bucket, BucketConfig, Fault, KvConfig, Live, WatchState};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
}

/// Every figure by name, the samples of a histogram as their number. All have the labels of the one handle.
fn figures(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    figures_of(snapshotter, "checkout")
}

fn figures_of(snapshotter: &Snapshotter, prefix: &str) -> BTreeMap<String, f64> {
    let figure = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
        let labels: Vec<String> =
            key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        assert_eq!(labels, ["bucket=prod", &format!("prefix={prefix}"), "struct=Checkout"], "{key:?}");
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(samples) => samples.len() as f64,
        };
        (key.key().name().to_owned(), value)
    };
    snapshotter.snapshot().into_vec().into_iter().map(figure).collect()
}

async fn reaches(live: &Live<Checkout>, wanted: WatchState) {
    let reached = live.wait_for_health(|health| health.state == wanted);
    tokio::time::timeout(Duration::from_secs(60), reached).await.unwrap();
}

// P5
#[tokio::test(start_paused = true)]
async fn the_figures_follow_the_handle() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    // Of this thread, on which everything here runs.
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (bucket, faults): (Bucket, _) = Bucket::memory_with_faults(BucketConfig::new("prod")).unwrap();
    let live: Live<Checkout> = bucket.live().start().await.unwrap();
    reaches(&live, WatchState::Live).await;

    let good = bucket.put("checkout.max_items", "60").await.unwrap();
    live.wait_for(good).await.unwrap();
    let bad = bucket.put("checkout.max_items", "9999").await.unwrap();
    live.wait_for(bad).await.unwrap_err();
    let seen = figures(&snapshotter);
    let names: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "kvconf_applied_revision",
            "kvconf_decode_seconds",
            "kvconf_following",
            "kvconf_last_contact_age_seconds",
            "kvconf_rejected",
            "kvconf_rejections_total",
            "kvconf_resyncs_total",
            "kvconf_seen_revision",
            "kvconf_served_from_bucket",
            "kvconf_snapshots_total",
        ]
    );
    assert_eq!((seen["kvconf_applied_revision"], seen["kvconf_seen_revision"]), (1.0, 2.0));
    assert_eq!((seen["kvconf_rejected"], seen["kvconf_rejections_total"]), (1.0, 1.0));
    assert_eq!((seen["kvconf_snapshots_total"], seen["kvconf_decode_seconds"]), (1.0, 2.0));
    assert_eq!((seen["kvconf_following"], seen["kvconf_served_from_bucket"]), (1.0, 1.0));
    assert_eq!(seen["kvconf_resyncs_total"], 0.0);
    assert!(seen["kvconf_last_contact_age_seconds"] < 3.0, "{seen:?}");

    faults.pause();
    faults.cut(&Fault::Disconnected);
    reaches(&live, WatchState::Disconnected).await;
    assert_eq!(figures(&snapshotter)["kvconf_following"], 0.0);
    faults.resume();
    faults.cut(&Fault::Ended);
    let mended = bucket.put("checkout.max_items", "70").await.unwrap();
    live.wait_for(mended).await.unwrap();
    reaches(&live, WatchState::Live).await;
    let seen = figures(&snapshotter);
    assert_eq!((seen["kvconf_following"], seen["kvconf_applied_revision"]), (1.0, 3.0));
    assert_eq!(seen["kvconf_rejected"], 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_figures_of_a_handle_with_layers_name_them() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let bucket = Bucket::memory_with(BucketConfig::new("prod")).unwrap();
    let live: Live<Checkout> = bucket.live().layers(["base", "env.prod"]).start().await.unwrap();
    for (key, value) in [("base.checkout.max_items", "60"), ("env.prod.checkout.max_items", "70")] {
        let written = bucket.put(key, value).await.unwrap();
        live.wait_for(written).await.unwrap();
    }
    let seen = figures_of(&snapshotter, "base,env.prod:checkout");
    assert_eq!((seen["kvconf_applied_revision"], seen["kvconf_seen_revision"]), (2.0, 2.0));
    assert_eq!((seen["kvconf_snapshots_total"], seen["kvconf_rejected"]), (2.0, 0.0));
}
