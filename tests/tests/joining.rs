//! Handles that join and leave the one watch of a bucket.

use std::time::Duration;

use kvconf::{Bucket, BucketConfig, KvConfig, ReadError};

#[derive(KvConfig, Debug, Clone, PartialEq)]
struct Limits {
    #[kv(default = 1)]
    max: u32,
}

#[tokio::test(start_paused = true)]
async fn a_second_prefix_of_an_empty_bucket_is_loaded() {
    let bucket = Bucket::memory();
    let shop = bucket.live::<Limits>().prefix("shop").start().await.unwrap();
    let mail = bucket.live::<Limits>().prefix("mail").start().await.unwrap();
    assert_eq!((shop.load().max, mail.load().max), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_joins_while_the_watch_grows_starts_from_the_bucket_and_not_from_nothing() {
    let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("b")).unwrap();
    bucket.put("mail.max", "7").await.unwrap();
    let _shop = bucket.live::<Limits>().prefix("shop").start().await.unwrap();
    // The watch that covers both prefixes does not come about at once, and a third handle does not wait for that.
    faults.fail_reads(3, &ReadError::Disconnected);
    let first = tokio::spawn(bucket.live::<Limits>().prefix("mail").start());
    tokio::task::yield_now().await;
    let second = bucket.live::<Limits>().prefix("mail").start().await.unwrap();
    assert_eq!(second.load().max, 7);
    assert_eq!(first.await.unwrap().unwrap().load().max, 7);
}

// P2: its last key stands under the other prefix.
#[tokio::test(start_paused = true)]
async fn a_change_set_across_handles_that_have_just_joined_is_waited_for_with_each_of_them() {
    let bucket = Bucket::memory();
    let shop = bucket.live::<Limits>().prefix("shop").start().await.unwrap();
    let mail = bucket.live::<Limits>().prefix("mail").start().await.unwrap();
    let began = tokio::time::Instant::now();
    for value in ["2", "3"] {
        let revision = bucket.batch().put("shop.max", value).put("mail.max", value).commit().await.unwrap();
        shop.wait_for(revision).await.unwrap();
        mail.wait_for(revision).await.unwrap();
        assert_eq!((shop.load().max.to_string(), mail.load().max.to_string()), (value.into(), value.into()));
    }
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
}
