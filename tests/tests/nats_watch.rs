//! Watching a bucket on a real server: what is delivered, what is left behind, and what happens when things break.

use std::time::Duration;

use async_nats::jetstream;
use futures_util::StreamExt;
use kvconf::{Bucket, BucketConfig, Fault, Interruption, Watch, WatchEvent};
use kvconf_tests::server::Server;
use kvconf_tests::wait_until;

const BOUND: Duration = Duration::from_secs(30);

async fn with_bucket() -> (Server, Bucket) {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    (server, bucket)
}

async fn event(watch: &mut Watch) -> WatchEvent {
    tokio::time::timeout(BOUND, watch.next()).await.expect("an event in time").expect("a watch does not end")
}

/// The key and the value of the next entry; interruptions on the way are collected.
async fn entry(watch: &mut Watch, interruptions: &mut Vec<Interruption>) -> (String, String) {
    loop {
        match event(watch).await {
            WatchEvent::Entry(entry) => {
                let value = String::from_utf8(entry.value().to_vec()).unwrap();
                return (entry.key().as_str().to_owned(), value);
            }
            WatchEvent::Interrupted(interruption) => interruptions.push(interruption),
            _ => {}
        }
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

async fn consumers(server: &Server) -> Vec<String> {
    let stream = jetstream::new(server.client().await).get_stream("KV_b").await.unwrap();
    stream.consumer_names().map(Result::unwrap).collect().await
}

#[tokio::test]
async fn an_empty_scope_is_loaded_at_once() {
    let (_server, bucket) = with_bucket().await;
    bucket.put("other", "x").await.unwrap();
    let mut watch = bucket.watch("app.>").await.unwrap();
    assert!(matches!(event(&mut watch).await, WatchEvent::Loaded));
}

#[tokio::test]
async fn several_filters_are_one_subscription() {
    let (server, bucket) = with_bucket().await;
    for key in ["a.x", "b.x", "c.x"] {
        bucket.put(key, "1").await.unwrap();
    }
    let mut watch = bucket.watch(["a.>", "c.>"]).await.unwrap();
    let mut none = Vec::new();
    assert_eq!(entry(&mut watch, &mut none).await, pair("a.x", "1"));
    assert_eq!(entry(&mut watch, &mut none).await, pair("c.x", "1"));
    assert!(matches!(event(&mut watch).await, WatchEvent::Loaded));
    assert_eq!(consumers(&server).await.len(), 1);
}

#[tokio::test]
async fn a_dropped_watch_leaves_no_consumer_behind() {
    let (server, bucket) = with_bucket().await;
    bucket.put("k", "v").await.unwrap();
    let watch = bucket.watch_all().await.unwrap();
    assert_eq!(consumers(&server).await.len(), 1);
    drop(watch);
    wait_until("no consumer is left", BOUND, || async { consumers(&server).await.is_empty() }).await;
    // Counting and reading by consumer leave none either.
    bucket.history(">").await.unwrap();
    wait_until("no consumer is left", BOUND, || async { consumers(&server).await.is_empty() }).await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_loses_nothing() {
    let (server, bucket) = with_bucket().await;
    let mut watch = bucket.watch_all().await.unwrap();
    assert!(matches!(event(&mut watch).await, WatchEvent::Loaded));
    // More than the client keeps for one subscription: only flow control can hold them back.
    const PUTS: usize = 80_000;
    let client = server.client().await;
    for number in 0..PUTS {
        client.publish(format!("$KV.b.k{number}"), "v".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    wait_until("all are stored", BOUND, || async {
        bucket.status().await.is_ok_and(|status| status.entries == PUTS as u64)
    })
    .await;
    let mut interruptions = Vec::new();
    for number in 0..PUTS {
        assert_eq!(entry(&mut watch, &mut interruptions).await.0, format!("k{number}"));
    }
    assert!(interruptions.is_empty(), "{interruptions:?}");
}

#[tokio::test]
async fn a_deleted_consumer_is_noticed_by_its_silence() {
    let (server, bucket) = with_bucket().await;
    let mut watch = bucket.watch_all().await.unwrap();
    assert!(matches!(event(&mut watch).await, WatchEvent::Loaded));
    let stream = jetstream::new(server.client().await).get_stream("KV_b").await.unwrap();
    stream.delete_consumer(&consumers(&server).await[0]).await.unwrap();
    bucket.put("k", "v").await.unwrap();
    let deleted = std::time::Instant::now();
    let mut interruptions = Vec::new();
    assert_eq!(entry(&mut watch, &mut interruptions).await, pair("k", "v"));
    assert!(matches!(interruptions[..], [Interruption::Fault(Fault::Silent { .. })]), "{interruptions:?}");
    assert!(deleted.elapsed() < Duration::from_secs(6), "{:?}", deleted.elapsed());
}

#[tokio::test]
async fn a_restarted_server_is_watched_on() {
    let (mut server, bucket) = with_bucket().await;
    bucket.put("k", "1").await.unwrap();
    let mut watch = bucket.watch_all().await.unwrap();
    let mut interruptions = Vec::new();
    assert_eq!(entry(&mut watch, &mut interruptions).await, pair("k", "1"));
    server.kill();
    let gone = event_until_interrupted(&mut watch).await;
    assert!(matches!(gone, Interruption::Fault(Fault::Disconnected)), "{gone:?}");
    server.restart().await;
    server.client().await.request("$KV.b.k", "2".into()).await.unwrap();
    assert_eq!(entry(&mut watch, &mut interruptions).await, pair("k", "2"));
}

async fn event_until_interrupted(watch: &mut Watch) -> Interruption {
    loop {
        if let WatchEvent::Interrupted(interruption) = event(watch).await {
            return interruption;
        }
    }
}

#[tokio::test]
async fn a_bucket_that_is_made_again_is_read_from_its_beginning() {
    let (server, bucket) = with_bucket().await;
    for number in 0..50 {
        bucket.put("old", number.to_string()).await.unwrap();
    }
    let mut watch = bucket.watch_all().await.unwrap();
    let mut interruptions = Vec::new();
    assert_eq!(entry(&mut watch, &mut interruptions).await, pair("old", "49"));
    let context = jetstream::new(server.client().await);
    context.delete_key_value("b").await.unwrap();
    let again = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    again.put("new", "1").await.unwrap();
    let mut recreated = false;
    loop {
        match event(&mut watch).await {
            WatchEvent::Recreated => recreated = true,
            WatchEvent::Entry(entry) if entry.key().as_str() == "new" => break,
            _ => {}
        }
    }
    assert!(recreated);
    assert_eq!(bucket.get("new").await.unwrap().as_deref(), Some(&b"1"[..]));
}

/// A server that waits for the reader says so in its heartbeats, which is another thing than having nothing more to say.
#[tokio::test]
async fn a_reader_that_was_busy_for_a_while_still_gets_everything_before_it_is_told_so() {
    const KEYS: usize = 30_000;
    let (_server, bucket) = with_bucket().await;
    let keys: Vec<String> = (0..KEYS).map(|number| format!("k{number}")).collect();
    for part in keys.chunks(1_000) {
        let batch = part.iter().fold(bucket.batch(), |batch, key| batch.put(key.as_str(), vec![b'x'; 200]));
        batch.commit().await.unwrap();
    }
    let mut watch = bucket.watch_all().await.unwrap();
    let mut entries = 0;
    loop {
        match event(&mut watch).await {
            WatchEvent::Entry(_) => entries += 1,
            WatchEvent::Loaded => break,
            other => panic!("{other:?}"),
        }
        // Longer than two heartbeats of a server that has sent all that it may send ahead.
        if entries == 100 {
            tokio::time::sleep(Duration::from_millis(2_500)).await;
        }
    }
    assert_eq!(entries, KEYS);
}
