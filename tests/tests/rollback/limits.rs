//! Times to live, servers without batches, more keys than one change set can hold.

use std::error::Error as _;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kvconf::{Bucket, BucketConfig, CommitError, Key, KvConfig, Live, ReadError, RollbackError, WriteError};

use super::{Shop, keeping, last, rev, shop, state, value};

const TTL: Duration = Duration::from_secs(100);

// P8
#[tokio::test(start_paused = true)]
async fn a_value_that_had_a_time_to_live_returns_for_good_and_is_named() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "200").await.unwrap();
    let limited = bucket.put("shop.price", "150").ttl(TTL).await.unwrap();
    let plan = live.rollback_to(limited).plan().await.unwrap();
    assert_eq!(plan.to_string(), "back to revision 2:\n  1 key is so already", "it stands, and expires");
    bucket.put("shop.price", "9").await.unwrap();

    let plan = live.rollback_to(limited).plan().await.unwrap();
    assert_eq!(
        plan.to_string(),
        "back to revision 2:\n  shop.price: 9 → 150\n  shop.price had a time to live and returns for good"
    );
    assert_eq!(plan.without_ttl(), ["shop.price".parse::<Key>().unwrap()]);
    plan.commit().author("ops").await.unwrap();
    tokio::time::advance(2 * TTL).await;
    assert_eq!(value(&bucket, "shop.price").await.as_deref(), Some("150"));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_about_to_expire_is_not_so_already() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let good = bucket.put("shop.price", "200").await.unwrap();
    bucket.put("shop.price", "9").await.unwrap();
    bucket.put("shop.price", "200").ttl(TTL).await.unwrap();
    live.rollback_to(good).author("ops").await.unwrap();
    tokio::time::advance(2 * TTL).await;
    assert_eq!(value(&bucket, "shop.price").await.as_deref(), Some("200"));
}

// P8: the server's marker tells that something was there.
#[tokio::test(start_paused = true)]
async fn a_value_that_expired_is_lost() {
    let mut config = keeping(1);
    config.limit_markers = Some(Duration::from_secs(1_000));
    let bucket = Bucket::memory_with(config).unwrap();
    let live = shop(&bucket).await;
    let limited = bucket.put("shop.price", "150").ttl(TTL).await.unwrap();
    // A shorter time is raised to that of markers only where more than one revision is kept.
    tokio::time::advance(2 * TTL).await;
    assert_eq!(value(&bucket, "shop.price").await, None);
    let error = live.rollback_to(limited).author("ops").await.unwrap_err();
    assert_eq!(super::lost_keys(&error), ["shop.price"]);
}

// P8: it went out of the middle of what is kept, and the write that replaced it says that it was there.
#[tokio::test(start_paused = true)]
async fn a_value_that_expired_under_a_later_one_is_lost_and_the_one_beneath_is_not_taken_for_it() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let good = bucket.put("shop.price", "200").await.unwrap();
    let limited = bucket.put("shop.price", "150").ttl(TTL).await.unwrap();
    live.wait_for(limited).await.unwrap();
    let bad = live.update(|shop| shop.price = 9).await.unwrap().revision();
    tokio::time::advance(2 * TTL).await;

    let error = live.rollback_to(limited).author("ops").await.unwrap_err();
    let text = "what would return is no longer kept:\n  × shop.price (known from revision 3 on)";
    assert_eq!(error.to_string(), text);
    let lost = "what stood at revision 2 is no longer kept: shop.price (known from revision 3 on)";
    assert_eq!(live.at(limited).await.unwrap_err().to_string(), lost);
    assert_eq!(bucket.at("shop", limited).await.unwrap_err().to_string(), lost);
    for (from, to) in [(limited, bad), (good, limited), (bad, limited)] {
        let told = match bucket.diff("shop.>", from, to).await {
            Ok(mut found) => found.next().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(told.to_string(), lost, "{from} to {to}");
    }
    live.rollback_to(good).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.price=200"]);
}

#[tokio::test(start_paused = true)]
async fn in_a_bucket_whose_entries_age_absence_proves_nothing() {
    let mut config = keeping(64);
    config.max_age = Some(TTL);
    let bucket = Bucket::memory_with(config).unwrap();
    let live = shop(&bucket).await;
    let early = bucket.put("shop.price", "200").await.unwrap();
    tokio::time::advance(2 * TTL).await;
    bucket.put("shop.price", "9").await.unwrap();
    let error = live.rollback_to(early).only(Shop::fields().price).author("ops").await.unwrap_err();
    assert_eq!(super::lost_keys(&error), ["shop.price"]);
    let error = live.rollback_to(early).author("ops").await.unwrap_err();
    let fields = ["shop.price", "shop.discount", "shop.payment-timeout", "shop.region", "shop.limits.*"];
    assert_eq!(super::lost_keys(&error), fields, "all may have been there");
    let error = bucket.rollback_to("shop.>", early).author("ops").await.unwrap_err();
    assert_eq!(super::lost_keys(&error), ["shop.price", "shop.>"]);
    live.rollback_to(rev(0)).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, Vec::<String>::new(), "before the first write there was nothing");
}

// P8: what is kept is told beside what is lost, and goes back by itself.
#[tokio::test(start_paused = true)]
async fn in_a_bucket_whose_entries_age_single_fields_still_go_back() {
    let mut config = keeping(64);
    config.max_age = Some(TTL);
    let bucket = Bucket::memory_with(config).unwrap();
    let live = shop(&bucket).await;
    bucket.put("shop.region", "eu").await.unwrap();
    tokio::time::advance(2 * TTL).await;
    for (key, value) in [("shop.price", "200"), ("shop.discount", "20")] {
        bucket.put(key, value).await.unwrap();
    }
    let good = last(&bucket).await;
    for (key, value) in [("shop.price", "9"), ("shop.discount", "8")] {
        bucket.put(key, value).await.unwrap();
    }
    let error = live.rollback_to(good).author("ops").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "what would return is no longer kept:\n  × shop.payment-timeout (nothing is kept)\n  × shop.region (nothing is kept)\n  \
         × shop.limits.* (nothing is kept)\n  kept, and can be taken back by themselves: shop.discount, shop.price"
    );
    let fields = Shop::fields();
    live.rollback_to(good).only(fields.price).only(fields.discount).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.discount=20", "shop.price=200"]);

    let bad = bucket.put("shop.price", "9").await.unwrap();
    let error = bucket.rollback_to("shop.>", bad - 1).author("ops").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("× shop.> (nothing is kept)\n  kept, and can be taken back by themselves: shop.price"),
        "{text}"
    );
    bucket.rollback_to("shop.price", bad - 1).author("ops").await.unwrap();
    assert_eq!(value(&bucket, "shop.price").await.as_deref(), Some("200"));
}

#[tokio::test]
async fn a_purged_value_is_lost_and_the_purge_itself_is_not() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let good = bucket.put("shop.price", "200").await.unwrap();
    let purged = bucket.purge("shop.price").await.unwrap();
    bucket.put("shop.price", "9").await.unwrap();
    let error = live.rollback_to(good).author("ops").await.unwrap_err();
    assert_eq!(super::lost_keys(&error), ["shop.price"]);
    live.rollback_to(purged).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_key_that_vanished_without_a_marker_returns() {
    let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("cfg")).unwrap();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "200").await.unwrap();
    let good = bucket.put("shop.region", "eu").await.unwrap();
    bucket.put("shop.region", "us").await.unwrap();
    // As an administrator does who removes a message.
    faults.remove_newest(&"shop.region".parse().unwrap());
    live.rollback_to(good).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.price=200", "shop.region=eu"]);
}

fn without_batches() -> Bucket {
    let mut config = keeping(64);
    config.allow_atomic_batches = Some(false);
    Bucket::memory_with(config).unwrap()
}

#[tokio::test]
async fn without_batches_a_rollback_of_several_keys_is_refused_unless_one_by_one() {
    let bucket = without_batches();
    let live = shop(&bucket).await;
    for key in ["shop.price", "shop.discount", "shop.limits.gold"] {
        bucket.put(key, "9").await.unwrap();
    }
    let before = last(&bucket).await;
    let error = live.rollback_to(rev(0)).author("ops").await.unwrap_err();
    let RollbackError::Commit(CommitError::Write(WriteError::Failed(ReadError::Unsupported {
        what, ..
    }))) = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((*what, last(&bucket).await), ("an atomic batch", before));

    let applied = live.rollback_to(rev(0)).author("ops").one_by_one().await.unwrap();
    let written: Vec<_> =
        applied.written().iter().map(|(key, revision)| (key.as_str(), revision.get())).collect();
    assert_eq!(written, [("shop.discount", 4), ("shop.limits.gold", 5), ("shop.price", 6)]);
    assert_eq!(state(&bucket).await, Vec::<String>::new());
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "tenants")]
struct Tenants {
    #[kv(entries)]
    limits: std::collections::BTreeMap<String, u32>,
    #[kv(entries)]
    names: std::collections::BTreeMap<String, String>,
}

/// 700 limits and 800 names, all written twice.
async fn many(bucket: &Bucket) -> Live<Tenants> {
    for round in 1..=2 {
        for (map, count) in [("limits", 700), ("names", 800)] {
            let mut batch = bucket.batch();
            for number in 0..count {
                batch = batch.put(format!("tenants.{map}.t{number:03}"), round.to_string());
            }
            batch.commit().await.unwrap();
        }
    }
    bucket.live().start().await.unwrap()
}

// P8: said before anything is written.
#[tokio::test]
async fn more_keys_than_one_change_set_can_hold_go_in_parts_when_asked_for() {
    let bucket = Bucket::memory();
    let live = many(&bucket).await;
    let plan = live.rollback_to(rev(1_500)).plan().await.unwrap();
    assert_eq!((plan.changes().count(), plan.parts()), (1_500, 2));
    assert!(plan.to_string().contains("1500 keys are more than the 1000 of one change set"), "{plan}");
    let error = plan.commit().author("ops").await.unwrap_err();
    assert!(matches!(error, RollbackError::TooMany { keys: 1_500, max: 1_000, parts: 2 }), "{error:?}");
    assert_eq!(last(&bucket).await, rev(3_000));

    let applied = live.rollback_to(rev(1_500)).author("ops").in_parts().await.unwrap();
    assert_eq!((applied.written().len(), applied.revision()), (1_500, rev(4_500)));
    live.wait_for(applied.revision()).await.unwrap();
    assert!(live.load().limits.values().all(|limit| *limit == 1));
    assert!(live.load().names.values().all(|name| name == "1"));
    // Prefix by prefix, each in one change set.
    let last_limit = bucket.entry("tenants.limits.t699").await.unwrap().unwrap();
    let first_name = bucket.entry("tenants.names.t000").await.unwrap().unwrap();
    assert_eq!(last_limit.headers().get("Kvconf-Set").map(|set| &set[..7]), Some("700/700"));
    assert_eq!(first_name.headers().get("Kvconf-Set").map(|set| &set[..5]), Some("1/800"));
    let reverted = live.revert(&applied).author("ops").in_parts().await.unwrap();
    assert_eq!(reverted.written().len(), 1_500, "all parts have one id");
}

// P8: what was written is said exactly, and the rest can follow.
#[tokio::test]
async fn parts_that_stop_half_way_say_what_was_written() {
    let bucket = Bucket::memory();
    let live: Live<Tenants> = bucket.live().start().await.unwrap();
    let long = "x".repeat(600);
    for (map, count, value) in [("limits", 700, "1"), ("names", 800, &long)] {
        let mut batch = bucket.batch();
        for number in 0..count {
            batch = batch.put(format!("tenants.{map}.t{number:03}"), value.to_owned());
        }
        batch.commit().await.unwrap();
    }
    let good = last(&bucket).await;
    for map in ["limits", "names"] {
        let mut batch = bucket.batch();
        for number in 0..700 {
            batch = batch.put(format!("tenants.{map}.t{number:03}"), "2");
        }
        batch.commit().await.unwrap();
    }
    let mut smaller = BucketConfig::unchanged("memory");
    smaller.max_value_size = Some(500);
    bucket.update_config(&smaller).await.unwrap();

    let error = live.rollback_to(good).author("ops").in_parts().await.unwrap_err();
    let RollbackError::Commit(CommitError::Partial { written, key, error }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!((written.len(), key.as_str()), (700, "tenants.names.t000"));
    assert!(matches!(**error, CommitError::Write(WriteError::TooLarge { .. })), "{error:?}");
    for (key, revision) in written {
        let entry = bucket.entry(key.clone()).await.unwrap().unwrap();
        assert_eq!((entry.revision(), &entry.value()[..]), (*revision, &b"1"[..]));
    }
    assert_eq!(value(&bucket, "tenants.names.t000").await.as_deref(), Some("2"));

    smaller.max_value_size = Some(5_000);
    bucket.update_config(&smaller).await.unwrap();
    let rest = live.rollback_to(good).author("ops").in_parts().await.unwrap();
    assert_eq!(rest.written().len(), 700);
    assert_eq!(value(&bucket, "tenants.names.t000").await.as_deref(), Some(long.as_str()));
}

// P8: whoever is told of a part may stop there, and nothing is left open.
#[tokio::test]
async fn parts_can_be_stopped_between_two_and_followed_later() {
    let bucket = Bucket::memory();
    let live = many(&bucket).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let rollback = async |stops_at: usize| {
        let told = Arc::clone(&told);
        let plan = live.rollback_to(rev(1_500)).plan().await.unwrap();
        let commit = plan.commit().author("ops").in_parts().on_part(move |written| {
            told.lock().unwrap().push(written);
            if written == stops_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        commit.await
    };
    let error = rollback(700).await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "stopped: 700 keys were written, 800 were not");
    let RollbackError::Commit(CommitError::Stopped { written, left }) = error else { panic!("{error:?}") };
    assert_eq!((written.len(), left, last(&bucket).await), (700, 800, rev(3_700)));
    assert_eq!(written.last().map(|(_, revision)| *revision), Some(rev(3_700)));
    // To stop after the last part is too late.
    let rest = rollback(800).await.unwrap();
    assert_eq!((rest.written().len(), last(&bucket).await), (800, rev(4_500)));
    assert_eq!(*told.lock().unwrap(), [700, 800]);
}

// P8: the same revert again goes on where it stopped, though part of its keys was changed since: by itself.
#[tokio::test]
async fn a_revert_in_parts_that_was_stopped_can_be_followed_later() {
    let bucket = Bucket::memory();
    let live = many(&bucket).await;
    let mistake = live.rollback_to(rev(1_500)).author("dev").in_parts().await.unwrap();
    let revert = async |stops_at: usize| {
        let plan = live.revert(&mistake).plan().await.unwrap();
        let commit = plan.commit().author("ops").in_parts().on_part(move |written| {
            if written == stops_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        commit.await
    };
    let error = revert(700).await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "stopped: 700 keys were written, 800 were not");
    assert_eq!(revert(usize::MAX).await.unwrap().written().len(), 800);
    assert_eq!(value(&bucket, "tenants.limits.t000").await.as_deref(), Some("2"));
    assert_eq!(value(&bucket, "tenants.names.t799").await.as_deref(), Some("2"));
}
