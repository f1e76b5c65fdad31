//! Writes through handles, against each other and against the server's limits.

use std::time::Instant;

use kvconf::{Bucket, BucketConfig, CommitError, KvConfig, Live, WriteError};
use kvconf_tests::server::Server;
use tokio::task::JoinSet;

use super::{Both, Pool, another, live, reach, with_bucket};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "stock")]
struct Stock {
    #[kv(default = 0)]
    sold: u64,
}

// P6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_ends_at_the_number_of_acknowledged_updates() {
    const EACH: u64 = 25;
    let (server, bucket) = with_bucket().await;
    let mut sellers = JoinSet::new();
    for process in 0..2 {
        let live: Live<Stock> = another(&server).await.live().start().await.unwrap();
        for task in 0..4 {
            let live = live.clone();
            sellers.spawn(async move {
                let (mut acknowledged, mut runs) = (0, 0);
                for _ in 0..EACH {
                    let update = live.update(|stock| {
                        runs += 1;
                        stock.sold += 1;
                    });
                    match update.author(format!("seller {process}.{task}")).await {
                        Ok(_) => acknowledged += 1,
                        Err(CommitError::Conflict(conflict)) => assert_ne!(conflict.by.author, None),
                        Err(error) => panic!("{error:?}"),
                    }
                }
                (acknowledged, runs)
            });
        }
    }
    let sold = sellers.join_all().await;
    let acknowledged: u64 = sold.iter().map(|(acknowledged, _)| acknowledged).sum();
    println!(
        "{acknowledged} of {} updates, {} runs",
        8 * EACH,
        sold.iter().map(|(_, runs)| runs).sum::<u64>()
    );
    let stored = bucket.get("stock.sold").await.unwrap().unwrap();
    assert_eq!(stored, acknowledged.to_string());
    // Retries with jitter get everybody through.
    assert_eq!(acknowledged, 8 * EACH);
}

// P6: in a loop without a pause somebody always is faster, and nobody always loses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_writers_that_never_pause_all_get_through() {
    const EACH: usize = 150;
    let (server, bucket) = with_bucket().await;
    let mut writers = JoinSet::new();
    for _ in 0..3 {
        let live: Live<Stock> = another(&server).await.live().start().await.unwrap();
        writers.spawn(async move {
            let (mut runs, mut times) = (Vec::new(), Vec::new());
            for _ in 0..EACH {
                let (mut run, begun) = (0, Instant::now());
                let update = live.update(|stock| {
                    run += 1;
                    stock.sold += 1;
                });
                update.await.unwrap_or_else(|error| panic!("after {run} runs: {error}"));
                runs.push(run);
                times.push(begun.elapsed());
            }
            (runs, times)
        });
    }
    for (mut runs, mut times) in writers.join_all().await {
        runs.sort_unstable();
        times.sort_unstable();
        let (most, slowest) = (runs[EACH - 1], times[EACH - 1]);
        println!(
            "runs: half {}, most {most}; times: half {:.1?}, most {slowest:.1?}",
            runs[EACH / 2],
            times[EACH / 2]
        );
        assert!(most <= 48, "{runs:?}");
    }
    assert_eq!(bucket.get("stock.sold").await.unwrap().unwrap(), (3 * EACH).to_string());
}

// P2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_across_two_structs_is_seen_whole_by_each() {
    const CHANGES: u32 = 100;
    let (server, bucket) = with_bucket().await;
    let both: Live<Both> = bucket.live().start().await.unwrap();
    let readers = another(&server).await;
    let (shop, mail) = (live(&readers, "shop").await, live(&readers, "mail").await);
    let whole = |pool: Live<Pool>| async move {
        let mut changes = pool.changes();
        let mut last = 0;
        while last < CHANGES {
            let changed = changes.next().await.unwrap();
            let now = changed.after();
            assert_eq!(now.max, now.min * 10, "P2: {now:?}");
            assert!(now.min > last, "P4: {now:?}");
            last = now.min;
        }
    };
    let (seen_shop, seen_mail) = (tokio::spawn(whole(shop)), tokio::spawn(whole(mail)));
    let fields = Both::fields();
    for number in 1..=CHANGES {
        let edit = both.edit().set(fields.shop.min, number).set(fields.mail.min, number);
        let edit = edit.set(fields.shop.max, number * 10).set(fields.mail.max, number * 10);
        let applied = edit.plan().await.unwrap().commit().author("ops").await.unwrap();
        assert_eq!(applied.written().len(), 4);
    }
    let seen = tokio::time::timeout(super::BOUND, async { tokio::join!(seen_shop, seen_mail) });
    let (shop, mail) = seen.await.expect("the last change in time");
    shop.unwrap();
    mail.unwrap();
}

// P6
#[tokio::test]
async fn a_stale_plan_names_the_key_both_revisions_and_the_other_author() {
    let (server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    let stale = pool.edit().set(Pool::fields().max, 30).set(Pool::fields().min, 3).plan().await.unwrap();
    let other = live(&another(&server).await, "shop").await;
    other.update(|pool| pool.max = 20).author("eva").reason("sale").await.unwrap();
    let error = stale.commit().author("ops").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "shop.max was changed meanwhile: based on no value, now at revision 1 by eva (\"sale\")"
    );
    assert_eq!(bucket.get("shop.min").await.unwrap(), None);
}

// P10
#[tokio::test]
async fn a_value_over_the_limit_is_refused_with_the_limit_and_nothing_is_written() {
    let server = Server::start().await;
    let mut config = BucketConfig::new("b");
    config.max_value_size = Some(1_000);
    let bucket = Bucket::create(server.client().await, config).await.unwrap();
    let pool = live(&bucket, "shop").await;
    let long = "x".repeat(2_000);
    for edit in [pool.edit(), pool.edit().set(Pool::fields().max, 20)] {
        let plan = edit.set(Pool::fields().name, Some(long.clone())).plan().await.unwrap();
        let error = plan.commit().author("ops").await.unwrap_err();
        let CommitError::Write(WriteError::TooLarge { key, bytes, max }) = &error else {
            panic!("{error:?}")
        };
        assert_eq!((key.as_str(), *max), ("shop.name", 1_000));
        assert!(*bytes > 2_000, "its headers count: {bytes}");
        assert!(!error.is_retryable());
    }
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 0);
    let applied = pool.update(|pool| pool.name = Some("short".to_owned())).await.unwrap();
    reach(&pool, applied.revision()).await;
    assert_eq!(pool.load().name.as_deref(), Some("short"));
}
