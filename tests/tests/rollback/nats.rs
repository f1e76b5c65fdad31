//! The same on a real server, where others write at the same time.

use std::future::IntoFuture;

use kvconf::{Bucket, BucketConfig, CommitError, KvConfig, Live, Revision, RollbackError};
use kvconf_tests::server::{Server, installed};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{BOUND, Shop, keeping, last, lost_keys, rev, shop, state};

async fn with_bucket(config: BucketConfig) -> (Server, Bucket) {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, config).await.unwrap();
    (server, bucket)
}

async fn another(server: &Server) -> Bucket {
    Bucket::open(server.client().await, "cfg").await.unwrap()
}

// P7 and P8
#[tokio::test]
async fn a_struct_returns_with_its_headers_in_one_batch() {
    let (_server, bucket) = with_bucket(BucketConfig::new("cfg")).await;
    let live = shop(&bucket).await;
    bucket.put("shop.limits.gold", "07").await.unwrap();
    let good = bucket.put("shop.region", "eu").await.unwrap();
    bucket
        .batch()
        .put("shop.price", "9")
        .put("shop.limits.gold", "9")
        .delete("shop.region")
        .commit()
        .await
        .unwrap();
    bucket.put("shop.other", "x").await.unwrap();
    let time = bucket.entry("shop.limits.gold").await.unwrap().unwrap().created();

    let plan = live.rollback_to(time).plan().await.unwrap();
    assert_eq!(plan.revision(), Some(good), "the time lies inside the batch");
    let plan = live.rollback_to(rev(4)).plan().await.unwrap();
    assert_eq!(plan.revision(), Some(good));
    let applied = plan.commit().author("ops").reason("errors up").await.unwrap();
    assert_eq!(applied.written().len(), 3);
    assert_eq!(state(&bucket).await, ["shop.limits.gold=07", "shop.other=x", "shop.region=eu"]);
    let entry = bucket.entry("shop.price").await.unwrap().unwrap();
    assert_eq!(entry.headers().get("Kvconf-Author"), Some("ops"));
    assert_eq!(entry.headers().get("Kvconf-Set"), Some("2/3 shop:2@3 shop.limits:1@1"));

    live.revert(&applied).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.limits.gold=9", "shop.other=x", "shop.price=9"]);
}

// P8: what the server keeps with an entry proves what was before it.
#[tokio::test]
async fn the_first_value_of_a_key_at_its_limit_is_known_to_be_the_first() {
    let (_server, bucket) = with_bucket(keeping(2)).await;
    let live = shop(&bucket).await;
    let before = bucket.put("other", "x").await.unwrap();
    live.update(|shop| shop.price = 1).author("eva").await.unwrap();
    live.update(|shop| shop.price = 2).author("eva").await.unwrap();
    let batch = live.edit().set(Shop::fields().discount, 1).set(Shop::fields().region, Some("eu".into()));
    batch.plan().await.unwrap().commit().author("eva").await.unwrap();
    live.rollback_to(before).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["other=x"]);
    // The deletion has pushed the first price out.
    let error = live.rollback_to(before).author("ops").await.unwrap_err();
    assert_eq!(lost_keys(&error), ["shop.price"]);
}

#[tokio::test]
async fn without_batches_the_reason_is_given() {
    let server = Server::builder().binary(installed("2.11.11")).start().await;
    let mut config = BucketConfig::new("cfg");
    config.allow_atomic_batches = None;
    let bucket = Bucket::create(server.client().await, config).await.unwrap();
    let live = shop(&bucket).await;
    for key in ["shop.price", "shop.discount"] {
        bucket.put(key, "9").await.unwrap();
    }
    let error = live.rollback_to(rev(0)).author("ops").await.unwrap_err();
    assert!(matches!(&error, RollbackError::Commit(CommitError::Write(_))), "{error:?}");
    assert_eq!(last(&bucket).await, rev(2));
    let applied = live.rollback_to(rev(0)).author("ops").one_by_one().await.unwrap();
    assert_eq!((applied.written().len(), state(&bucket).await), (2, Vec::<String>::new()));
}

#[tokio::test]
async fn a_batch_of_another_client_is_one_change() {
    let (server, bucket) = with_bucket(BucketConfig::new("cfg")).await;
    let live = shop(&bucket).await;
    bucket.put("shop.price", "200").await.unwrap();
    let client = server.client().await;
    for (place, (key, value)) in
        [("shop.price", "9"), ("shop.discount", "9"), ("mail.host", "x")].iter().enumerate()
    {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Batch-Id", "theirs");
        headers.insert("Nats-Batch-Sequence", (place + 1).to_string().as_str());
        let subject = format!("$KV.cfg.{key}");
        if place < 2 {
            client.publish_with_headers(subject, headers, (*value).into()).await.unwrap();
        } else {
            headers.insert("Nats-Batch-Commit", "1");
            let answer = client.request_with_headers(subject, headers, (*value).into()).await.unwrap();
            assert!(!String::from_utf8_lossy(&answer.payload).contains("error"), "{answer:?}");
        }
    }
    let plan = live.rollback_to(rev(2)).plan().await.unwrap();
    assert_eq!(plan.revision(), Some(rev(1)), "nobody saw half of it");
    assert!(live.rollback_to(rev(3)).plan().await.unwrap().is_empty(), "mail is not the shop's");
    let plan = live.revert(rev(3)).plan().await.unwrap();
    assert_eq!(plan.changes().count(), 2);
    plan.commit().author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["mail.host=x", "shop.price=200"]);
}

// P8: an entry that nobody here understands cannot be written again.
#[tokio::test]
async fn an_entry_of_an_unknown_operation_does_not_return() {
    let (server, bucket) = with_bucket(BucketConfig::new("cfg")).await;
    let live = shop(&bucket).await;
    let client = async_nats::jetstream::new(server.client().await);
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("KV-Operation", "MERGE");
    client.publish_with_headers("$KV.cfg.shop.region", headers, "eu".into()).await.unwrap().await.unwrap();
    let odd = bucket.put("shop.price", "200").await.unwrap();
    bucket.put("shop.price", "9").await.unwrap();
    let plan = bucket.rollback_to("shop.>", odd).plan().await.unwrap();
    assert_eq!(plan.unchanged(), ["shop.region".parse().unwrap()], "nobody has touched it");
    bucket.put("shop.region", "us").await.unwrap();
    let error = live.rollback_to(odd).author("ops").await.unwrap_err();
    assert_eq!(lost_keys(&error), ["shop.region"]);
}

// P8: over a thousand keys are read in portions of one revision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_thousand_keys_return_in_parts() {
    let (_server, bucket) = with_bucket(BucketConfig::new("cfg")).await;
    for round in 1..=2 {
        for part in 0..2 {
            let mut batch = bucket.batch();
            for number in 0..600 {
                batch = batch.put(format!("many.p{part}.k{number}"), round.to_string());
            }
            batch.commit().await.unwrap();
        }
    }
    let error = bucket.rollback_to("many.>", rev(1_200)).author("ops").await.unwrap_err();
    assert!(matches!(error, RollbackError::TooMany { keys: 1_200, max: 1_000, parts: 2 }), "{error:?}");
    let applied = bucket.rollback_to("many.>", rev(1_200)).author("ops").in_parts().await.unwrap();
    assert_eq!(applied.written().len(), 1_200);
    let now = bucket.read("many.>").await.unwrap();
    assert_eq!(now.live().filter(|entry| &entry.value()[..] == b"1").count(), 1_200);
}

/// Changes a setting a few times, by compare-and-swap; gives what was acknowledged.
async fn write_some(live: Live<Shop>, writer: u32, round: u32) -> Vec<Revision> {
    let mut acknowledged = Vec::new();
    for number in 0..round % 4 {
        let update = live.update(|shop| match writer {
            0 => shop.price = 100 + 10 * round + number,
            _ => *shop.limits.entry("gold".into()).or_default() += 1,
        });
        match update.author(format!("writer {writer}")).await {
            Ok(applied) => acknowledged.push(applied.revision()),
            Err(error) => assert!(error.is_conflict(), "{error:?}"),
        }
    }
    acknowledged
}

// P6 and P8: every rollback that was acknowledged led to exactly the state that it named, every other changed nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollbacks_among_busy_writers_win_or_conflict() {
    let (server, bucket) = with_bucket(BucketConfig::new("cfg")).await;
    let live = shop(&bucket).await;
    let writers = [shop(&another(&server).await).await, shop(&another(&server).await).await];
    let (mut all, mut won, mut lost) = (Vec::new(), 0, 0);
    // As many rounds as it takes until both have happened often enough to prove something.
    let mut rounds = 0..1_000;
    while won < 20 || lost < 5 {
        let round = rounds.next().expect("both win at times");
        let good = last(&bucket).await;
        let then = state(&bucket).await;
        all.push(bucket.put("shop.discount", round.to_string()).await.unwrap());
        let plan = live.rollback_to(good).plan().await.unwrap();
        let mut writing = JoinSet::new();
        for (writer, live) in (0..).zip(&writers) {
            writing.spawn(write_some(live.clone(), writer, round));
        }
        // Somebody who looked at a plan takes longer than one who did not.
        let rollback = match round % 3 {
            0 => timeout(BOUND, plan.commit().author("ops").into_future()).await,
            _ => timeout(BOUND, live.rollback_to(good).author("ops").into_future()).await,
        };
        match rollback.expect("an answer in time") {
            Ok(applied) => {
                won += 1;
                assert_eq!(state_at(&bucket, applied.revision()).await, then, "P8, round {round}");
                all.extend(applied.written().iter().map(|(_, revision)| *revision));
            }
            Err(error) => {
                assert!(error.is_conflict(), "{error:?}");
                lost += 1;
            }
        }
        all.extend(writing.join_all().await.concat());
    }
    println!("{won} rollbacks won, {lost} lost a race");
    // Each revision was given to one author, and none to a write that was refused.
    all.sort_unstable();
    let every: Vec<Revision> = (1..=last(&bucket).await.get()).map(Revision::new).collect();
    assert_eq!(all, every);
}

async fn state_at(bucket: &Bucket, revision: Revision) -> Vec<String> {
    let reading = bucket.read_at(">", revision).await.unwrap();
    let shown = |entry: &kvconf::Entry| format!("{}={}", entry.key(), String::from_utf8_lossy(entry.value()));
    let mut texts: Vec<String> = reading.live().map(shown).collect();
    texts.sort_unstable();
    texts
}
