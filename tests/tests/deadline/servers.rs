//! What only a real server can show: it goes back when everybody is gone.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures_util::StreamExt;
use futures_util::future::join_all;
use kvconf::{Bucket, KvConfig, Live, Plan, Storage};
use kvconf_tests::proxy::Proxy;
use kvconf_tests::server::{Cluster, Server, installed};
use kvconf_tests::{wait_for, wait_until};

use crate::deadline::backend::{
    BOUND, LATER, SECOND, Shop, header, quick, start, trial, until, until_over, value,
};

/// The oldest server that goes back.
const OLDEST: &str = "2.12.5";

async fn with(server: &Server) -> Bucket {
    Bucket::create(server.client().await, quick()).await.unwrap()
}

async fn another(server: &Server) -> Bucket {
    Bucket::open(server.client().await, "cfg").await.unwrap()
}

// P2
#[tokio::test]
async fn it_goes_back_when_its_author_is_gone_and_the_server_was_killed_before_the_deadline() {
    let mut server = Server::start().await;
    let bucket = with(&server).await;
    bucket.put("shop.max", "20").await.unwrap();
    let reader = start(&another(&server).await).await;
    let author = tokio::spawn(async move {
        let live = start(&bucket).await;
        let _change = trial(&live, 4 * SECOND).await;
        std::future::pending::<()>().await;
    });
    until(&reader, "5-50 -").await;
    author.abort();
    assert!(author.await.is_err_and(|error| error.is_cancelled()));
    server.restart().await;
    until(&reader, "1-20 -").await;
    let bucket = another(&server).await;
    assert_eq!(
        (value(&bucket, "shop.min").await, value(&bucket, "shop.max").await),
        ("-".into(), "20".into())
    );
}

#[tokio::test]
async fn it_goes_back_when_the_server_is_down_at_the_deadline() {
    let mut server = Server::start().await;
    let bucket = with(&server).await;
    let live = start(&bucket).await;
    let change = trial(&live, 2 * SECOND).await;
    server.kill();
    wait_until("the deadline passes", BOUND, async || change.deadline().elapsed().is_ok()).await;
    assert_eq!(live.load().short(), "5-50 -");
    server.restart().await;
    until(&live, "1-10 -").await;
    assert!(another(&server).await.pending(">").await.unwrap().is_empty());
}

/// Measured: servers up to 2.12.4 take a key for absent when it should go back to an earlier value.
#[tokio::test]
async fn servers_that_do_not_go_back_reliably_are_refused() {
    for version in ["2.11.11", "2.12.4"] {
        let server = Server::builder().binary(installed(version)).start().await;
        let bucket = with(&server).await;
        bucket.put("shop.max", "20").await.unwrap();
        let live = start(&bucket).await;
        let plan = live.edit().set(Shop::fields().max, 50).plan().await.unwrap();
        let refused = plan.commit().confirm_within(LATER).await.unwrap_err();
        let expected = format!("nats-server {version} does not go back reliably, 2.12.5 and later do");
        assert_eq!(refused.to_string(), expected);
        assert_eq!(bucket.status().await.unwrap().last_revision.get(), 1);
    }
}

/// What kvconf relies on, in the oldest server that it is asked of: every way to read a key, and to expect it, agrees.
#[tokio::test]
async fn every_way_to_read_goes_back_on_the_oldest_server_that_can() {
    let server = Server::builder().binary(installed(OLDEST)).start().await;
    for storage in [Storage::File, Storage::Memory] {
        let name = format!("{storage:?}");
        let mut config = quick();
        (config.name, config.storage) = (name.clone(), Some(storage));
        let bucket = Bucket::create(server.client().await, config).await.unwrap();
        for old in ["10", "20"] {
            bucket.put("shop.max", old).await.unwrap();
        }
        let live = start(&bucket).await;
        let change = trial(&live, 2 * SECOND).await;
        until(&live, "1-20 -").await;
        until_over(&bucket, &change).await;
        let kv = jetstream::new(server.client().await).get_key_value(&name).await.unwrap();
        assert_eq!(kv.get("shop.max").await.unwrap().unwrap(), "20");
        assert_eq!(value(&bucket, "shop.max").await, "20");
        let reading = bucket.read("shop.max").await.unwrap();
        let revision = reading.entries()[0].revision();
        assert_eq!(reading.get("shop.max").map(|value| &value[..]), Some(&b"20"[..]));
        bucket.update("shop.max", "30", revision).await.unwrap();
    }
}

/// Servers of version 2.12 take up to a quarter of a second to remove all keys of one change. Whoever starts in between
/// waits.
// P2
#[tokio::test]
async fn who_starts_at_the_deadline_sees_all_of_the_change_or_nothing() {
    let server = Server::builder().binary(installed(OLDEST)).start().await;
    let bucket = with(&server).await;
    let live = start(&bucket).await;
    for round in 0..4 {
        let applied = limits(&live, round).await.commit().await.unwrap();
        live.wait_for(applied.revision()).await.unwrap();
        let change = limits(&live, 1_000 + round).await.commit().confirm_within(SECOND).await.unwrap();
        live.wait_for(change.revision()).await.unwrap();
        // What the server has removed is told by what it still holds, in one isolated reading.
        wait_until("the first key goes back", BOUND, async || held(&bucket).await.contains(&round)).await;
        let starts = (0..8).map(async |_| start(&another(&server).await).await.snapshot());
        for snapshot in join_all(starts).await {
            let distinct: BTreeSet<u32> = snapshot.limits.values().copied().collect();
            let keys = snapshot.limits.len();
            assert_eq!((keys, distinct.len()), (60, 1), "{:?}", snapshot.limits);
        }
        wait_until("the last key goes back", BOUND, async || held(&bucket).await.len() == 1).await;
        let seen = async || live.load().limits.values().all(|limit| *limit == round);
        wait_until("the reader sees it", BOUND, seen).await;
    }
}

/// Sixty keys are looked at, and the server is a fifth of a second away: asked one by one, these take twelve seconds.
// P6
#[tokio::test]
async fn many_keys_far_away_are_confirmed_taken_back_and_told_as_conflicts_soon() {
    // Some three seconds, and what a busy machine adds.
    const SOON: Duration = Duration::from_secs(9);
    let server = Server::start().await;
    with(&server).await;
    let proxy = Proxy::start(server.port()).await;
    let far = Bucket::open(async_nats::connect(proxy.url()).await.unwrap(), "cfg").await.unwrap();
    let (near, live) = (start(&another(&server).await).await, start(&far).await);
    proxy.slow(256 * 1024, Duration::from_millis(100));
    let change = limits(&live, 1).await.commit().confirm_within(LATER).await.unwrap();
    let begun = Instant::now();
    change.confirm().author("ops").await.unwrap();
    assert!(begun.elapsed() < SOON, "confirmed after {:?}", begun.elapsed());
    live.wait_for(change.revision()).await.unwrap();
    let change = limits(&live, 2).await.commit().confirm_within(LATER).await.unwrap();
    let begun = Instant::now();
    change.take_back().author("ops").await.unwrap();
    assert!(begun.elapsed() < SOON, "taken back after {:?}", begun.elapsed());
    let stale = limits(&live, 3).await;
    let applied = limits(&near, 4).await.commit().author("dev").await.unwrap();
    assert_eq!(applied.written().len(), 60);
    let begun = Instant::now();
    let conflict = stale.commit().author("ops").await.unwrap_err();
    assert!(conflict.is_conflict() && conflict.to_string().contains("by dev"), "{conflict}");
    assert!(begun.elapsed() < SOON, "told after {:?}", begun.elapsed());
}

async fn limits(live: &Live<Shop>, value: u32) -> Plan<Shop> {
    let limits = (0..60).map(|n| (format!("k{n}"), value)).collect();
    live.edit().set(Shop::fields().limits, limits).plan().await.unwrap()
}

async fn held(bucket: &Bucket) -> BTreeSet<u32> {
    let reading = bucket.read("shop.limits.>").await.unwrap();
    reading.live().map(|entry| std::str::from_utf8(entry.value()).unwrap().parse().unwrap()).collect()
}

/// What the server does by itself no watch of another client hears of; taking it back once more tells them.
// P7
#[tokio::test]
async fn other_clients_hear_of_it_when_it_is_taken_back() {
    let server = Server::start().await;
    let bucket = with(&server).await;
    bucket.put("shop.max", "20").await.unwrap();
    let live = start(&bucket).await;
    let kv = jetstream::new(server.client().await).get_key_value("cfg").await.unwrap();
    let mut watch = kv.watch("shop.max").await.unwrap();
    let change = trial(&live, 3 * SECOND).await;
    until(&live, "1-20 -").await;
    until_over(&bucket, &change).await;
    change.take_back().author("ops").reason("nobody confirmed it").await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let entry = tokio::time::timeout(BOUND, watch.next()).await.expect("in time").unwrap().unwrap();
        heard.push((entry.revision, String::from_utf8_lossy(&entry.value).into_owned()));
    }
    // The copy to go back to, the change, and what the author wrote in the end.
    assert_eq!(heard, [(2, "20".into()), (4, "50".into()), (6, "20".into())]);
    let last = bucket.entry("shop.max").await.unwrap().unwrap();
    assert_eq!(header(&last, "Kvconf-Takes-Back"), change.change());
}

#[tokio::test]
async fn it_goes_back_when_the_leader_of_a_cluster_is_killed() {
    let mut cluster = Cluster::start(3).await;
    let mut config = quick();
    config.num_replicas = Some(3);
    let client = cluster.client().await;
    // A cluster that has just met may not know yet where to place three copies.
    let bucket = wait_for("a cluster that makes a bucket of three copies", BOUND, async || {
        Bucket::create(&client, config.clone()).await.ok()
    })
    .await;
    cluster.stream_leader("KV_cfg").await;
    wait_for("a leader that takes a write", BOUND, async || bucket.put("shop.max", "20").await.ok()).await;
    let live = start(&bucket).await;
    until(&live, "1-20 -").await;
    drop(trial(&live, 4 * SECOND).await);
    let leader = cluster.stream_leader("KV_cfg").await;
    cluster.servers_mut()[leader].kill();
    until(&live, "1-20 -").await;
    until_value(&bucket, "shop.min", None).await;
    until_value(&bucket, "shop.max", Some("20")).await;
}

async fn until_value(bucket: &Bucket, key: &str, wanted: Option<&str>) {
    wait_until("the value after the election", BOUND, async || {
        bucket.get(key).await.is_ok_and(|value| value.as_deref() == wanted.map(str::as_bytes))
    })
    .await;
}
