//! Bytes that somebody wrote: none of them breaks a service, and three of them mean three things.

use kvconf::{Bucket, KvConfig};
use proptest::prelude::*;

use crate::live::settings::{Checkout, start};

#[tokio::test(start_paused = true)]
async fn empty_null_and_absent_are_three_different_things() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    assert_eq!(live.load().region, None);
    let revision = bucket.put("checkout.region", "").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!(live.load().region.as_deref(), Some(""));
    let revision = bucket.put("checkout.region", "null").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!(live.load().region, None);
    // A number has no empty text and no null; the last good value stays.
    bucket.put("checkout.max_items", "60").await.unwrap();
    for blank in ["", "null"] {
        let revision = bucket.put("checkout.max_items", blank).await.unwrap();
        live.wait_for(revision).await.unwrap_err();
        assert_eq!(live.load().max_items, 60);
    }
    let revision = bucket.delete("checkout.max_items").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!(live.load().max_items, 50);
}

// P3
#[tokio::test(start_paused = true)]
async fn the_removal_of_a_key_that_no_map_can_hold_is_no_problem() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let revision = bucket.delete("checkout.limits.=zz").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert!(live.health().is_current());
    let revision = bucket.put("checkout.limits.=zz", "1").await.unwrap();
    live.wait_for(revision).await.unwrap_err();
    let revision = bucket.delete("checkout.limits.=zz").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert!(live.health().is_current());
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "env_test", env_prefix = "KVCONF_LIVE_TEST")]
struct FromEnvironment {
    #[kv(default = "a")]
    home: String,
    #[kv(env = "PATH", default = "none")]
    path: String,
}

#[tokio::test(start_paused = true)]
async fn an_environment_variable_wins_over_the_bucket() {
    let bucket = Bucket::memory();
    bucket.put("env_test.path", "from the bucket").await.unwrap();
    let live = bucket.live::<FromEnvironment>().start().await.unwrap();
    assert_eq!((live.load().path.clone(), live.load().home.as_str()), (std::env::var("PATH").unwrap(), "a"));
    let explained = live.explain(FromEnvironment::fields().path).to_string();
    assert!(explained.contains("from environment variable PATH"), "{explained}");
    let without = bucket.live::<FromEnvironment>().without_environment().start().await.unwrap();
    assert_eq!(without.load().path, "from the bucket");
}

const KEYS: [&str; 8] = [
    "max_items",
    "payment-timeout",
    "retry.min",
    "region",
    "api_key",
    "limits.gold",
    "countries",
    "limits.=zz",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    // P10
    #[test]
    fn no_bytes_panic_and_the_last_good_value_stays(
        writes in proptest::collection::vec((0..KEYS.len(), proptest::collection::vec(any::<u8>(), 0..40)), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let bucket = Bucket::memory();
            let live = start(&bucket).await;
            for (key, bytes) in writes {
                let revision = bucket.put(format!("checkout.{}", KEYS[key]), bytes).await.unwrap();
                let outcome = live.wait_for(revision).await;
                let rejected = !live.health().rejected.is_empty();
                prop_assert!(outcome.is_ok() || rejected);
                let cfg = live.load();
                prop_assert!((1..=500).contains(&cfg.max_items) && cfg.retry.min <= cfg.retry.max);
                // Whatever the report says, it can be shown.
                let _shown = format!("{} {:?}", live.explain(Checkout::fields().max_items), live.health());
            }
            Ok(())
        })?;
    }
}
