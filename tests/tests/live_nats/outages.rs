//! What readers see, and what the health says, when something breaks.

use std::error::Error;
use std::time::Duration;

use async_nats::{ConnectOptions, jetstream};
use futures_util::StreamExt;
use kvconf::{Bucket, BucketConfig, CommitError, Health, Live, Revision, WatchEvent, WatchState};
use kvconf_tests::server::{Cluster, Server};
use tokio::time::timeout;

use super::{BOUND, Pool, another, health, live, reach, stream, with_bucket};

/// Every state that a handle goes through while `during` runs, each once.
async fn states_during<F: Future>(pool: &Live<Pool>, during: F) -> (Vec<WatchState>, F::Output) {
    let mut states = vec![pool.health().state];
    tokio::pin!(during);
    loop {
        let last = states.last().cloned();
        tokio::select! {
            output = &mut during => return (states, output),
            health = pool.wait_for_health(|health| Some(&health.state) != last.as_ref()) => states.push(health.state),
        }
    }
}

fn is_live(health: &Health) -> bool {
    health.state == WatchState::Live
}

// P4, P5
#[tokio::test]
async fn a_killed_server_is_reported_and_followed_again_when_it_is_back() {
    let (mut server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    let revision = bucket.put("shop.max", "20").await.unwrap();
    reach(&pool, revision).await;

    server.kill();
    let lost = health(&pool, |health| health.state == WatchState::Disconnected).await;
    assert!(lost.is_ready() && !lost.is_current());
    assert!(lost.since.elapsed().unwrap() < BOUND);
    assert_eq!(pool.load().max, 20);

    server.restart().await;
    let revision = another(&server).await.put("shop.max", "30").await.unwrap();
    reach(&pool, revision).await;
    let back = health(&pool, is_live).await;
    assert!(back.is_current() && back.since >= lost.since);
    assert_eq!((pool.load().max, pool.load().revision(), pool.load().epoch()), (30, revision, 0));
}

// P1, P4: the time of creation is the same, and revisions are given for the second time.
#[tokio::test]
async fn a_bucket_from_a_backup_is_followed_at_its_own_revisions() {
    let (mut server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    for max in 1..=5 {
        bucket.put("shop.max", max.to_string()).await.unwrap();
    }
    let backup = server.back_up().await;
    let later = another(&server).await;
    let mut plain = later.watch("shop.>").await.unwrap();
    for max in 6..=20 {
        later.put("shop.max", max.to_string()).await.unwrap();
    }
    reach(&pool, Revision::new(20)).await;
    while !matches!(plain.event().await, WatchEvent::Entry(entry) if entry.revision().get() == 20) {}

    server.bring_back(&backup).await;
    health(&pool, |health| health.applied == Revision::new(5)).await;
    assert_eq!((pool.load().max, pool.load().epoch()), (5, 1));
    let revision = another(&server).await.put("shop.max", "77").await.unwrap();
    assert_eq!(revision, Revision::new(6));
    reach(&pool, revision).await;
    assert_eq!((pool.load().max, pool.load().revision()), (77, revision));
    let again =
        async { while !matches!(plain.event().await, WatchEvent::Entry(entry) if entry.value() == "77") {} };
    timeout(BOUND, again).await.expect("the plain watch has it too");
}

// P5: it will never connect again, whatever becomes of the server.
#[tokio::test]
async fn a_client_that_has_given_up_is_told_from_one_that_connects_again() {
    let mut server = Server::start().await;
    Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    let client = server.connect(ConnectOptions::new().max_reconnects(1)).await;
    let bucket = Bucket::open(&client, "b").await.unwrap();
    let pool = live(&bucket, "shop").await;
    server.kill();
    let ended = health(&pool, |health| health.state == WatchState::ClientEnded).await;
    assert!(ended.is_ready() && !ended.is_current());
    server.restart().await;
    let refused = pool.update(|pool| pool.max = 20).await.unwrap_err();
    assert_eq!(refused.source().unwrap().source().unwrap().to_string(), ENDED);
    assert_eq!(bucket.get("shop.max").await.unwrap_err().to_string(), ENDED);
    for bucket in [bucket, Bucket::open_lazily(&client, "b").unwrap()] {
        let start = bucket.live::<Pool>().prefix("shop").deadline(Duration::from_secs(1)).start();
        let late = format!("bucket b was not loaded within 1s: {ENDED}");
        assert_eq!(start.await.unwrap_err().to_string(), late);
    }
    let now = pool.health();
    assert_eq!((now.state, now.since), (WatchState::ClientEnded, ended.since));
}

const ENDED: &str = "the client has ended and connects no more";

// P1, P4: behind one name stands first the one and then a copy that was taken earlier, and then the one again.
#[tokio::test]
async fn a_server_that_gives_way_to_an_older_copy_of_it_is_followed_there_and_back() {
    let (mut one, mut two) = (Server::start().await, Server::start().await);
    let bucket = Bucket::create(one.client().await, BucketConfig::new("b")).await.unwrap();
    for max in 1..=5 {
        bucket.put("shop.max", max.to_string()).await.unwrap();
    }
    let copy = one.back_up().await;
    two.bring_back(&copy).await;
    let to_one = Bucket::open(one.client().await, "b").await.unwrap();
    let to_two = Bucket::open(two.client().await, "b").await.unwrap();
    // The same revisions, with other values.
    to_one.put("shop.min", "2").await.unwrap();
    to_one.put("shop.max", "11").await.unwrap();
    to_two.put("shop.max", "21").await.unwrap();
    two.kill();
    let options = ConnectOptions::new().ignore_discovered_servers();
    let client = options.connect(vec![one.url(), two.url()]).await.unwrap();
    let pool = live(&Bucket::open(&client, "b").await.unwrap(), "shop").await;
    assert_eq!((pool.load().min, pool.load().max, pool.load().revision().get()), (2, 11, 7));

    one.kill();
    two.restart().await;
    health(&pool, |health| is_live(health) && pool.load().epoch() == 1).await;
    assert_eq!((pool.load().min, pool.load().max, pool.load().revision().get()), (1, 21, 6));
    two.kill();
    one.restart().await;
    health(&pool, |health| is_live(health) && health.applied.get() == 7).await;
    assert_eq!((pool.load().min, pool.load().max), (2, 11));
}

// P6: a write without a server ends, and says that nobody knows.
#[tokio::test]
async fn a_commit_without_a_server_does_not_hang() {
    let (mut server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    server.kill();
    health(&pool, |health| health.state == WatchState::Disconnected).await;
    let error =
        timeout(BOUND, pool.update(|pool| pool.max = 20).into_future()).await.expect("an end").unwrap_err();
    assert!(matches!(error, CommitError::Write(_)), "{error:?}");
    assert!(!error.is_conflict());
}

// P4, P5
#[tokio::test]
async fn a_bucket_that_is_made_again_with_lower_revisions_is_loaded_afresh() {
    let (server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    for number in 20..30 {
        bucket.put("shop.max", number.to_string()).await.unwrap();
    }
    let revision = bucket.put("shop.name", "old").await.unwrap();
    reach(&pool, revision).await;

    let admin = jetstream::new(server.client().await);
    admin.delete_stream("KV_b").await.unwrap();
    let missing = health(&pool, |health| health.state == WatchState::BucketMissing).await;
    assert!(missing.is_ready() && !missing.is_current());
    // The last good state serves while there is none.
    assert_eq!((pool.load().max, pool.load().name.as_deref()), (29, Some("old")));

    let again = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    let revision = again.put("shop.max", "5").await.unwrap();
    assert_eq!(revision.get(), 1);
    let back = health(&pool, |health| is_live(health) && health.applied == revision).await;
    assert!(back.is_current());
    assert_eq!((pool.load().max, pool.load().name.as_deref()), (5, None));
    assert_eq!((pool.load().revision(), pool.load().epoch()), (revision, 1));
    // It goes on in the new one.
    let revision = again.put("shop.max", "6").await.unwrap();
    reach(&pool, revision).await;
    assert_eq!(pool.load().max, 6);
}

// P4: between two heartbeats, so that nothing was ever missing.
#[tokio::test]
async fn a_bucket_that_is_made_again_at_once_is_noticed_too() {
    let (server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    bucket.put("shop.max", "20").await.unwrap();
    let revision = bucket.put("shop.name", "old").await.unwrap();
    reach(&pool, revision).await;
    jetstream::new(server.client().await).delete_stream("KV_b").await.unwrap();
    let again = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    // As many entries as before, so that revisions alone do not tell.
    again.put("shop.max", "5").await.unwrap();
    let revision = again.put("shop.min", "2").await.unwrap();
    health(&pool, |health| is_live(health) && health.applied == revision && pool.load().epoch() == 1).await;
    assert_eq!((pool.load().min, pool.load().max, pool.load().name.as_deref()), (2, 5, None));
}

// P4: a first load does not wait for the answer to which bucket it is.
#[tokio::test]
async fn a_bucket_that_is_made_again_between_opening_and_start_is_read_and_told_of() {
    let (server, bucket) = with_bucket().await;
    bucket.put("shop.max", "20").await.unwrap();
    bucket.put("shop.name", "old").await.unwrap();
    jetstream::new(server.client().await).delete_stream("KV_b").await.unwrap();
    let again = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    again.put("shop.max", "5").await.unwrap();

    let pool = live(&bucket, "shop").await;
    assert_eq!((pool.load().max, pool.load().name.as_deref()), (5, None));
    // The next state says that it is another bucket than the one that was opened.
    let mut number = 5;
    timeout(BOUND, async {
        while pool.load().epoch() == 0 {
            number += 1;
            let revision = again.put("shop.max", number.to_string()).await.unwrap();
            pool.wait_for(revision).await.unwrap();
        }
    })
    .await
    .unwrap_or_else(|_| panic!("another epoch in time; {:?}", pool.health()));
    assert_eq!((pool.load().max, pool.load().epoch()), (number, 1));
    assert_eq!(health(&pool, is_live).await.state, WatchState::Live);
}

// P5
#[tokio::test]
async fn a_consumer_that_an_administrator_deletes_is_replaced() {
    let (server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    let admin = stream(&server).await;
    let name = admin.consumer_names().next().await.unwrap().unwrap();
    admin.delete_consumer(&name).await.unwrap();
    let revision = bucket.put("shop.max", "20").await.unwrap();
    let (states, ()) = states_during(&pool, reach(&pool, revision)).await;
    assert_eq!(pool.load().max, 20);
    let WatchState::Resyncing { cause } = &states[1] else { panic!("{states:?}") };
    assert!(
        ["no heartbeat for 3s", "the server ended the subscription"].contains(&cause.as_str()),
        "{cause}"
    );
    health(&pool, is_live).await;
}

// P4, P5: an election looks as a deleted bucket does.
#[tokio::test]
async fn a_cluster_that_loses_its_leader_takes_no_value_back() {
    let mut cluster = Cluster::start(3).await;
    let mut config = BucketConfig::new("b");
    config.num_replicas = Some(3);
    // A cluster that has just met may not know yet where to place three copies.
    let client = cluster.client().await;
    let bucket = kvconf_tests::wait_for("a cluster that makes a bucket of three copies", BOUND, async || {
        Bucket::create(&client, config.clone()).await.ok()
    })
    .await;
    cluster.stream_leader("KV_b").await;
    let pool = live(&bucket, "shop").await;
    let revision = kvconf_tests::wait_for("a leader that takes a write", BOUND, async || {
        bucket.put("shop.max", "20").await.ok()
    })
    .await;
    reach(&pool, revision).await;

    let leader = cluster.stream_leader("KV_b").await;
    cluster.servers_mut()[leader].kill();
    let writing = async {
        let admin = jetstream::new(cluster.client().await);
        kvconf_tests::wait_for("a leader that takes a write", BOUND, async || {
            let kv = timeout(Duration::from_secs(2), admin.get_key_value("b")).await.ok()?.ok()?;
            timeout(Duration::from_secs(2), kv.put("shop.min", "2".into())).await.ok()?.ok()
        })
        .await
    };
    let mut changes = pool.changes();
    let (states, revision) = states_during(&pool, async {
        let revision = kvconf::Revision::new(writing.await);
        reach(&pool, revision).await;
        revision
    })
    .await;
    println!("{states:?}");
    let changed = timeout(BOUND, changes.next()).await.unwrap().unwrap();
    assert_eq!((changed.after().min, changed.after().max), (2, 20), "the first thing that readers saw");
    assert!(pool.load().revision() >= revision);
    health(&pool, is_live).await;
}
