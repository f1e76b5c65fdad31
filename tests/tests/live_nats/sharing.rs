//! What handles cost the server, and how they share it.

use std::sync::atomic::Ordering;

use kvconf::Bucket;
use kvconf_tests::wait_until;

use super::{BOUND, another, live, reach, stream, with_bucket};

#[tokio::test]
async fn an_empty_bucket_gives_the_defaults_at_once_and_what_comes_later() {
    let (server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    assert_eq!((pool.load().max, pool.load().revision().get()), (10, 0));
    let revision = another(&server).await.put("shop.max", "20").await.unwrap();
    reach(&pool, revision).await;
    assert_eq!((pool.load().max, pool.load().revision()), (20, revision));
}

#[tokio::test]
async fn a_handle_starts_from_what_stands_in_the_bucket() {
    let (server, bucket) = with_bucket().await;
    bucket.put("shop.max", "20").await.unwrap();
    let revision = bucket.batch().put("shop.max", "30").put("shop.min", "3").commit().await.unwrap();
    bucket.put("mail.max", "40").await.unwrap();
    let pool = live(&another(&server).await, "shop").await;
    assert_eq!((pool.load().min, pool.load().max, pool.load().revision()), (3, 30, revision));
}

#[tokio::test]
async fn all_handles_of_a_bucket_share_one_consumer_and_the_last_one_ends_it() {
    let (server, bucket) = with_bucket().await;
    let admin = another(&server).await;
    let consumers = async || admin.status().await.unwrap().consumers;
    let shop = live(&bucket, "shop").await;
    let mail = live(&bucket, "mail").await;
    let again = live(&bucket.clone(), "shop").await;
    let deeper = live(&bucket, "shop.eu").await;
    // A watch that grew has replaced the one before.
    wait_until("one consumer", BOUND, async || consumers().await == 1).await;
    for (prefix, pool) in [("shop", &shop), ("mail", &mail), ("shop", &again), ("shop.eu", &deeper)] {
        let revision = admin.put(format!("{prefix}.max"), "7").await.unwrap();
        reach(pool, revision).await;
        assert_eq!(pool.load().max, 7, "{prefix}");
    }
    drop((shop, mail, again));
    let revision = admin.put("shop.eu.max", "8").await.unwrap();
    reach(&deeper, revision).await;
    assert_eq!(consumers().await, 1);

    let clone = deeper.clone();
    drop(deeper);
    assert_eq!(consumers().await, 1);
    drop(clone);
    wait_until("no consumer", BOUND, async || consumers().await == 0).await;
}

#[tokio::test]
async fn a_stopped_handle_ends_its_consumer_and_stays_readable() {
    let (server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    pool.stop();
    let admin = stream(&server).await;
    wait_until("no consumer", BOUND, async || admin.get_info().await.unwrap().state.consumer_count == 0)
        .await;
    assert_eq!(pool.load().max, 10);
    // The bucket serves new handles afterwards.
    bucket.put("shop.max", "20").await.unwrap();
    assert_eq!(live(&bucket, "shop").await.load().max, 20);
}

#[tokio::test]
async fn handles_that_start_at_the_same_time_all_start_from_the_bucket() {
    let (_server, bucket) = with_bucket().await;
    bucket.put("shop.max", "2").await.unwrap();
    for number in 0..8 {
        bucket.put(format!("p{number}.max"), "7").await.unwrap();
    }
    let shop = live(&bucket, "shop").await;
    let starts = (0..40).map(|number| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            for _ in 0..number {
                tokio::task::yield_now().await;
            }
            live(&bucket, &format!("p{}", number % 8)).await
        })
    });
    for start in starts.collect::<Vec<_>>() {
        assert_eq!(start.await.unwrap().load().max, 7);
    }
    assert_eq!(shop.load().max, 2);
}

#[tokio::test]
async fn what_is_watched_is_not_loaded_again_for_each_handle_that_joins() {
    let (server, admin) = with_bucket().await;
    for number in 0..500 {
        admin.put(format!("large.k{number}"), "1").await.unwrap();
    }
    for number in 0..40 {
        admin.put(format!("p{number}.max"), "7").await.unwrap();
    }
    let client = server.client().await;
    let bucket = Bucket::open(&client, "b").await.unwrap();
    let mut pools = vec![live(&bucket, "large").await];
    let before = client.statistics().in_messages.load(Ordering::Relaxed);
    for number in 0..40 {
        pools.push(live(&bucket, &format!("p{number}")).await);
    }
    let messages = client.statistics().in_messages.load(Ordering::Relaxed) - before;
    // What there was in all for each of them would be more than 20 000.
    assert!(messages < 6_000, "{messages} messages for 40 handles of one key each");
    let consumers = async || admin.status().await.unwrap().consumers;
    wait_until("one consumer", BOUND, async || consumers().await == 1).await;
    for number in 0..40 {
        let revision = admin.put(format!("p{number}.max"), "8").await.unwrap();
        reach(&pools[number + 1], revision).await;
        assert_eq!(pools[number + 1].load().max, 8);
    }
}
