//! What a bucket on a real server stores, as plain clients see it, and reads that no single answer can hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use futures_util::StreamExt;
use kvconf::{
    Bucket, BucketConfig, Filter, MarkerReason, Operation, ReadError, Revision, Storage, WriteError,
};
use kvconf_tests::replica::{LaggingReplica, Manner};
use kvconf_tests::server::{Cluster, Server, installed};
use kvconf_tests::wait_for;

const BOUND: Duration = Duration::from_secs(30);

async fn with_bucket() -> (Server, Bucket, kv::Store) {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    let plain = bucket.kv_store().await.unwrap();
    (server, bucket, plain)
}

fn filter(text: &str) -> Filter {
    Filter::new(text).unwrap()
}

#[tokio::test]
async fn plain_clients_and_kvconf_read_each_other() {
    let (_server, bucket, plain) = with_bucket().await;
    let first = bucket.put("app.port", "80").header("Kvconf-Author", "ops").await.unwrap();
    let entry = plain.entry("app.port").await.unwrap().unwrap();
    assert_eq!((entry.revision, &entry.value[..]), (first.get(), &b"80"[..]));

    let second = plain.update("app.port", "81".into(), first.get()).await.unwrap();
    let entry = bucket.entry("app.port").await.unwrap().unwrap();
    assert_eq!((entry.revision().get(), &entry.value()[..]), (second, &b"81"[..]));

    plain.delete("app.port").await.unwrap();
    assert_eq!(bucket.entry("app.port").await.unwrap().unwrap().operation(), Operation::Delete);
    bucket.purge("app.port").await.unwrap();
    let entry = plain.entry("app.port").await.unwrap().unwrap();
    assert_eq!(entry.operation, kv::Operation::Purge);
    assert_eq!(bucket.history("app.port").await.unwrap().len(), 1, "a purge drops earlier revisions");
}

// P1, P8: a server sends so many bytes of an answer and no more, and says only at its end that there is a rest.
#[tokio::test]
async fn a_state_that_is_larger_than_an_answer_is_read_whole() {
    // Three parts of 8 MiB, and one key in the last of them: there 2.11 says at the end of the part before that nothing is left.
    const KEYS: usize = 19;
    for binary in [None, Some(installed("2.11.11"))] {
        let server = match binary {
            Some(binary) => Server::builder().binary(binary).start().await,
            None => Server::start().await,
        };
        let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
        let value = |number: usize, round: usize| format!("{number} {round} {}", "x".repeat(1_000_000));
        let mut moment = Revision::ZERO;
        for round in 0..2 {
            for number in 0..KEYS {
                moment = bucket.put(format!("k.{number}"), value(number, round)).await.unwrap();
            }
        }
        let then = moment - KEYS as u64;
        let values = |entries: &[kvconf::Entry], round: usize| {
            let found: BTreeMap<String, Bytes> =
                entries.iter().map(|entry| (entry.key().to_string(), entry.value().clone())).collect();
            let all = (0..KEYS).map(|number| (format!("k.{number}"), Bytes::from(value(number, round))));
            assert_eq!(found.len(), KEYS);
            assert!(found == all.collect(), "the values of round {round}");
        };
        values(bucket.read(filter("k.>")).await.unwrap().entries(), 1);
        let reading = bucket.read_at(filter("k.>"), then).await.unwrap();
        assert_eq!(reading.revision(), then);
        values(reading.entries(), 0);
        // As a rollback and `at` read it.
        let past = bucket.at("k", then).await.unwrap();
        assert_eq!(past.entries().count(), KEYS);
    }
}

// P1, P8: a client drops what a subscription has no room for, and goes on with the next message.
#[tokio::test]
async fn what_a_client_drops_is_missed() {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    let keys: Vec<String> = (0..600).map(|number| format!("k{number}")).collect();
    for portion in keys.chunks(200) {
        futures_util::future::join_all(portion.iter().map(|key| bucket.put(key, "v").into_future())).await;
    }
    let options = async_nats::ConnectOptions::new().subscription_capacity(4);
    let narrow = Bucket::open(options.connect(server.url()).await.unwrap(), "b").await.unwrap();
    let told = |error: ReadError| (error.to_string(), error.is_retryable());
    let outcome = narrow.read(">").await.map(|reading| reading.entries().len()).map_err(told);
    // A reading whose end was dropped is made in another way.
    let is_told = |outcome: &Result<usize, (String, bool)>| match outcome {
        Ok(found) => *found == 600,
        Err((error, is_retryable)) => {
            let what = error.strip_prefix("the client dropped messages of ");
            let what = what.and_then(|what| what.strip_suffix(": it could not keep up"));
            *is_retryable && matches!(what, Some("a consistent read" | "a read by consumer"))
        }
    };
    assert!(is_told(&outcome), "{outcome:?}");
    // What is read from a revision on goes on where it was dropped.
    let options = async_nats::ConnectOptions::new().subscription_capacity(250);
    let narrow = Bucket::open(options.connect(server.url()).await.unwrap(), "b").await.unwrap();
    let history = narrow.history(">").await.unwrap();
    let revisions = history.iter().map(|entry| entry.revision().get());
    assert!(revisions.eq(1..=600), "{}", history.len());
    let mut diff = narrow.diff(">", Revision::ZERO, kvconf::Point::Latest).await.unwrap();
    for found in 0..600 {
        assert!(diff.next().await.unwrap().is_some(), "{found}");
    }
    assert!(diff.next().await.unwrap().is_none());
}

#[tokio::test]
async fn headers_come_back_by_every_way_of_reading() {
    let (_server, bucket, _) = with_bucket().await;
    let revision = bucket
        .put("k", "v")
        .header("Kvconf-Reason", "because: \u{fc}mlaut")
        .header("Kvconf-Author", "ops")
        .await
        .unwrap();
    let expected = [("Kvconf-Author", "ops"), ("Kvconf-Reason", "because: \u{fc}mlaut")];
    let leader = bucket.entry("k").await.unwrap().unwrap();
    let reading = bucket.read(">").await.unwrap();
    let history = bucket.history("k").await.unwrap();
    assert_eq!(leader.headers().iter().collect::<Vec<_>>(), expected);
    assert_eq!(reading.entries(), std::slice::from_ref(&leader));
    assert_eq!(history, [leader]);
    assert_eq!(reading.revision(), revision);
}

#[tokio::test]
async fn a_conflict_names_what_the_server_found() {
    let (_server, bucket, _) = with_bucket().await;
    let first = bucket.put("a", "1").await.unwrap();
    let second = bucket.put("a", "2").await.unwrap();
    let error = bucket.update("a", "3", first).await.unwrap_err();
    assert!(matches!(error, WriteError::Conflict { found: Some(found) } if found == second), "{error}");
    // A guard on everything else in the prefix.
    let third = bucket.put("b", "1").await.unwrap();
    let error = bucket.put("a", "3").expect_on(filter(">"), second).await.unwrap_err();
    assert!(matches!(error, WriteError::Conflict { found: Some(found) } if found == third), "{error}");
    bucket.put("a", "3").expect_on(filter(">"), third).await.unwrap();
}

#[tokio::test]
async fn a_batch_is_written_whole_and_in_order_or_not_at_all() {
    let (_server, bucket, _) = with_bucket().await;
    let old = bucket.put("a", "0").await.unwrap();
    let batch = bucket.batch().put("a", "1").expect(old).put("b", "1").delete("c");
    let last = batch.commit().await.unwrap();
    assert_eq!(last.get(), 4);
    let history = bucket.history(">").await.unwrap();
    let keys: Vec<_> = history.iter().map(|entry| (entry.key().as_str(), entry.revision().get())).collect();
    assert_eq!(keys, [("a", 1), ("a", 2), ("b", 3), ("c", 4)]);

    let refused = bucket.batch().put("b", "2").put("a", "2").expect(old).commit().await.unwrap_err();
    assert!(refused.is_conflict(), "{refused}");
    assert_eq!(bucket.history(">").await.unwrap(), history);
}

#[tokio::test]
async fn a_batch_of_a_thousand_is_taken_and_a_larger_one_refused() {
    let (_server, bucket, _) = with_bucket().await;
    let of = |count: usize| (0..count).fold(bucket.batch(), |batch, n| batch.put(format!("k{n}"), "v"));
    assert_eq!(of(1_000).commit().await.unwrap().get(), 1_000);
    let error = of(1_001).commit().await.unwrap_err();
    assert!(matches!(error, WriteError::TooMany { keys: 1_001, max: 1_000 }), "{error}");
}

#[tokio::test]
async fn no_batch_is_sent_to_a_bucket_that_does_not_allow_it() {
    let server = Server::start().await;
    let client = server.client().await;
    let context = jetstream::new(client.clone());
    context.create_key_value(kv::Config { bucket: "b".into(), ..Default::default() }).await.unwrap();
    let bucket = Bucket::open(&client, "b").await.unwrap();
    let error = bucket.batch().put("a", "1").put("b", "1").commit().await.unwrap_err();
    assert!(matches!(error, WriteError::Failed(ReadError::Unsupported { .. })), "{error:?}");
    assert_eq!(bucket.status().await.unwrap().entries, 0);
    // Allowed meanwhile by somebody else, and forbidden again: both are noticed.
    let mut allow = BucketConfig::unchanged("b");
    allow.allow_atomic_batches = Some(true);
    let other = Bucket::create_or_update(&client, allow.clone()).await.unwrap();
    bucket.batch().put("a", "1").put("b", "1").commit().await.unwrap();
    allow.allow_atomic_batches = Some(false);
    other.update_config(&allow).await.unwrap();
    let error = bucket.batch().put("a", "2").put("b", "2").commit().await.unwrap_err();
    assert!(matches!(error, WriteError::Failed(ReadError::Unsupported { .. })), "{error:?}");
    assert_eq!(bucket.status().await.unwrap().entries, 2);
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_the_limit() {
    let server = Server::builder().config("max_payload: 2048").start().await;
    let client = server.client().await;
    let mut config = BucketConfig::new("b");
    config.max_value_size = Some(100);
    let bucket = Bucket::create(&client, config.clone()).await.unwrap();
    let value = "x".repeat(101);
    let error = bucket.put("k", value.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "k with 101 bytes is too large, the most is 100");
    // The limit counts headers as the server does.
    let error = bucket.put("k", "x".repeat(71)).header("Name", "0123456789").await.unwrap_err();
    assert_eq!(error.to_string(), "k with 101 bytes is too large, the most is 100");
    bucket.put("k", "x".repeat(70)).header("Name", "0123456789").await.unwrap();
    // Without a limit of the bucket, the connection's counts.
    config.name = "other".into();
    config.max_value_size = None;
    let bucket = Bucket::create(&client, config).await.unwrap();
    let error = bucket.put("k", "x".repeat(2_049)).await.unwrap_err();
    assert_eq!(error.to_string(), "k with 2049 bytes is too large, the most is 2048");
}

#[tokio::test]
async fn a_limit_that_changed_meanwhile_is_the_one_that_is_told() {
    let (server, bucket, _) = with_bucket().await;
    let mut smaller = BucketConfig::unchanged("b");
    smaller.max_value_size = Some(10);
    Bucket::create_or_update(server.client().await, smaller).await.unwrap();
    let error = bucket.put("k", "12345678901").await.unwrap_err();
    assert_eq!(error.to_string(), "k with 11 bytes is too large, the most is 10");
    assert_eq!(bucket.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn a_full_bucket_says_so() {
    let server = Server::start().await;
    let mut config = BucketConfig::new("b");
    config.max_bytes = Some(400);
    let bucket = Bucket::create(server.client().await, config).await.unwrap();
    let mut full = None;
    for number in 0..10 {
        match bucket.put(format!("k{number}"), "x".repeat(80)).await {
            Ok(_) => {}
            Err(error) => full = full.or(Some(error.to_string())),
        }
    }
    assert_eq!(full.as_deref(), Some("bucket b is full"));
}

#[tokio::test]
async fn an_expired_key_leaves_a_marker_with_its_reason() {
    let server = Server::start().await;
    let mut config = BucketConfig::new("b");
    config.limit_markers = Some(Duration::from_secs(1));
    let bucket = Bucket::create(server.client().await, config).await.unwrap();
    bucket.put("k", "v").ttl(Duration::from_secs(1)).await.unwrap();
    let marker = wait_for("the marker of the expired key", BOUND, || async {
        bucket.entry("k").await.unwrap().filter(|entry| entry.operation() != Operation::Put)
    })
    .await;
    assert_eq!((marker.operation(), marker.marker_reason()), (Operation::Purge, Some(MarkerReason::MaxAge)));
}

#[tokio::test]
async fn an_operation_that_nobody_knows_is_no_value() {
    let (server, bucket, _) = with_bucket().await;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("KV-Operation", "RENAME");
    let context = jetstream::new(server.client().await);
    context.publish_with_headers("$KV.b.k", headers, "v".into()).await.unwrap().await.unwrap();
    assert_eq!(bucket.entry("k").await.unwrap().unwrap().operation(), Operation::Unknown);
    assert_eq!(bucket.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_key_is_left_out_of_readings() {
    let (server, bucket, _) = with_bucket().await;
    let client = server.client().await;
    client.request("$KV.b.not+a+key", "x".into()).await.unwrap();
    bucket.put("k", "v").await.unwrap();
    let reading = bucket.read(">").await.unwrap();
    assert_eq!(reading.entries().iter().map(|entry| entry.key().as_str()).collect::<Vec<_>>(), ["k"]);
    assert_eq!(reading.revision().get(), 2);
    assert_eq!(bucket.history(">").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_reading_of_nothing_is_as_of_the_newest_revision() {
    let (_server, bucket, _) = with_bucket().await;
    let reading = bucket.read(">").await.unwrap();
    assert_eq!((reading.entries().len(), reading.revision()), (0, Revision::ZERO));
    let revision = bucket.put("other", "v").await.unwrap();
    let reading = bucket.read("app.>").await.unwrap();
    assert_eq!((reading.entries().len(), reading.revision()), (0, revision));
    let error = bucket.read_at("app.>", revision.next()).await.unwrap_err();
    assert!(matches!(error, ReadError::OutOfRange { .. }), "{error}");
    let error = bucket.read_at(">", revision.next()).await.unwrap_err();
    assert!(matches!(error, ReadError::OutOfRange { .. }), "{error}");
}

#[tokio::test]
async fn earlier_states_are_read_by_revision_and_by_time() {
    let (_server, bucket, _) = with_bucket().await;
    let mut entries = Vec::new();
    for number in 0..6 {
        bucket.put(format!("k{}", number % 2), number.to_string()).await.unwrap();
        entries.push(bucket.entry(format!("k{}", number % 2)).await.unwrap().unwrap());
    }
    let values = |reading: kvconf::Reading| -> Vec<Bytes> {
        reading.entries().iter().map(|entry| entry.value().clone()).collect()
    };
    assert_eq!(values(bucket.read_at(">", Revision::new(4)).await.unwrap()), ["2", "3"]);
    let at = entries[4].created();
    let reading = bucket.read_at_time(">", at).await.unwrap();
    assert_eq!(reading.revision().get(), 5, "what was written at that time belongs to it");
    assert_eq!(values(reading), ["3", "4"]);
    let later = std::time::SystemTime::now() + Duration::from_secs(60);
    assert_eq!(values(bucket.read_at_time(">", later).await.unwrap()), ["4", "5"]);
    let before = entries[0].created() - Duration::from_secs(60);
    assert_eq!(values(bucket.read_at_time(">", before).await.unwrap()), Vec::<Bytes>::new());
}

// P2
#[tokio::test]
async fn more_keys_than_one_answer_holds_are_read_as_of_one_moment() {
    const KEYS: usize = 2_500;
    let (server, bucket, _) = with_bucket().await;
    let context = jetstream::new(server.client().await);
    let mut acks = Vec::new();
    for number in 0..KEYS {
        acks.push(context.publish(format!("$KV.b.many.{number}"), "0".into()).await.unwrap());
    }
    for ack in acks {
        ack.await.unwrap();
    }
    let first = bucket.read("many.>").await.unwrap();
    assert_eq!((first.entries().len(), first.revision().get()), (KEYS, KEYS as u64));

    // Keys that always change together, at both ends of the range: so many that a batch is often caught half stored.
    let together = || (0..200).chain(KEYS - 200..KEYS).map(|number| format!("many.{number}"));
    let writer = tokio::spawn({
        let bucket = bucket.clone();
        async move {
            // Fewer rounds than revisions are kept: the first state stays readable.
            for round in 1..60 {
                let batch = together().fold(bucket.batch(), |batch, key| batch.put(key, round.to_string()));
                batch.commit().await.unwrap();
            }
        }
    });
    let mut seen = BTreeSet::new();
    while !writer.is_finished() {
        let reading = bucket.read("many.>").await.unwrap();
        assert_eq!(reading.entries().len(), KEYS);
        let values: BTreeSet<_> = together().map(|key| reading.get(&key).unwrap().clone()).collect();
        assert_eq!(values.len(), 1, "torn at revision {}", reading.revision());
        seen.insert(reading.revision());
    }
    assert!(seen.len() > 1, "the writer was not seen at work");
    let again = bucket.read_at("many.>", first.revision()).await.unwrap();
    assert_eq!(again.entries(), first.entries());
}

/// A bucket of 2 100 keys, of which the first 700 were written to once more, as revision 2 800; and once more behind it. A
/// replica answers for it that is behind for so many requests.
async fn with_lagging_replica(manner: Manner, lagging: usize) -> (Server, Bucket, LaggingReplica) {
    let (server, bucket, _) = with_bucket().await;
    for (keys, value) in [(0..700, "1"), (700..1_400, "1"), (1_400..2_100, "1"), (0..700, "2")] {
        let batch = keys.fold(bucket.batch(), |batch, key| batch.put(format!("many.{key:04}"), value));
        batch.commit().await.unwrap();
    }
    bucket.put("many.0000", "3").await.unwrap();
    let context = jetstream::new(server.client().await);
    let mut config = context.get_stream("KV_b").await.unwrap().cached_info().config.clone();
    config.allow_direct = false;
    context.update_stream(&config).await.unwrap();
    let messages = bucket.history(">").await.unwrap();
    let text = |entry: &kvconf::Entry| String::from_utf8(entry.value().to_vec()).unwrap();
    let messages = messages.iter().map(|entry| (format!("$KV.b.{}", entry.key()), text(entry))).collect();
    let replica = LaggingReplica::start(server.port(), "b", messages, (manner, 2_300, lagging)).await;
    (server, bucket, replica)
}

// P8: no portion is left out, or taken from before.
#[tokio::test]
async fn a_past_state_of_many_keys_is_whole_though_a_replica_lags() {
    for (manner, lagging) in [(Manner::Silent, 20), (Manner::Older, 4)] {
        let (_server, bucket, replica) = with_lagging_replica(manner, lagging).await;
        let reading = bucket.read_at("many.>", Revision::new(2_800)).await.unwrap();
        assert_eq!(reading.revision().get(), 2_800);
        let with = |value: &str| reading.entries().iter().filter(|entry| entry.value() == value).count();
        assert_eq!((with("2"), with("1"), reading.entries().len()), (700, 1_400, 2_100), "{manner:?}");
        assert_eq!(replica.is_behind_for(), 0);
    }
}

#[tokio::test]
async fn a_replica_that_does_not_catch_up_is_an_error_and_no_empty_state() {
    let (_server, bucket, _replica) = with_lagging_replica(Manner::Silent, usize::MAX).await;
    let error = bucket.read_at("many.>", Revision::new(2_800)).await.unwrap_err();
    assert!(matches!(error, ReadError::Timeout { what: "a consistent read", .. }), "{error:?}");
}

#[tokio::test]
async fn a_bucket_without_direct_gets_is_read_by_a_consumer() {
    let (server, bucket, _) = with_bucket().await;
    let revision = bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    let context = jetstream::new(server.client().await);
    let mut config = context.get_stream("KV_b").await.unwrap().cached_info().config.clone();
    config.allow_direct = false;
    context.update_stream(&config).await.unwrap();
    let reading = bucket.read(">").await.unwrap();
    assert_eq!((reading.entries().len(), reading.revision().get()), (2, 2));
    let error = bucket.read_at(">", revision).await.unwrap_err();
    assert!(matches!(error, ReadError::Unsupported { what: "reading an earlier state", .. }), "{error}");
}

#[tokio::test]
async fn the_end_of_a_bucket_is_told_by_every_call() {
    let (server, bucket, _) = with_bucket().await;
    jetstream::new(server.client().await).delete_key_value("b").await.unwrap();
    let gone = |error: ReadError| matches!(error, ReadError::BucketNotFound { bucket } if bucket == "b");
    assert!(gone(bucket.entry("k").await.unwrap_err()));
    assert!(gone(bucket.read(">").await.unwrap_err()));
    assert!(gone(bucket.history(">").await.unwrap_err()));
    assert!(gone(bucket.status().await.unwrap_err()));
    assert!(gone(bucket.watch_all().await.err().unwrap()));
    let error = bucket.put("k", "v").await.unwrap_err();
    assert!(matches!(error, WriteError::Failed(error) if gone(error.clone())));
}

// P8: a replica with memory storage that is behind says so to nobody.
#[tokio::test]
async fn three_replicas_in_memory_give_the_state_of_a_revision_that_was_just_written() {
    let cluster = Cluster::start(3).await;
    let bucket = on_three_replicas(&cluster, Storage::Memory).await;
    for number in 0..300 {
        let revision = written(&bucket, number).await;
        let reading = bucket.read_at(">", revision).await.unwrap();
        assert_eq!(reading.entries().first().map(kvconf::Entry::revision), Some(revision));
    }
}

async fn on_three_replicas(cluster: &Cluster, storage: Storage) -> Bucket {
    let mut config = BucketConfig::new("b");
    config.num_replicas = Some(3);
    config.storage = Some(storage);
    let bucket = wait_for("a bucket on three replicas", BOUND, || async {
        Bucket::create(cluster.client().await, config.clone()).await.ok()
    })
    .await;
    cluster.stream_leader("KV_b").await;
    bucket
}

/// Writes a number to a key. A young cluster may still move its leader.
async fn written(bucket: &Bucket, number: u32) -> Revision {
    wait_for("a leader that takes a write", BOUND, || async {
        match bucket.put("k", number.to_string()).await {
            Ok(revision) => Some(revision),
            Err(error) if error.is_retryable() => None,
            Err(error) => panic!("{error:?}"),
        }
    })
    .await
}

#[tokio::test]
async fn three_replicas_give_what_was_just_written() {
    let cluster = Cluster::start(3).await;
    let bucket = on_three_replicas(&cluster, Storage::File).await;
    for number in 0..200 {
        let revision = written(&bucket, number).await;
        assert_eq!(bucket.entry("k").await.unwrap().unwrap().revision(), revision);
        assert_eq!(bucket.read_at("k", revision).await.unwrap().revision(), revision);
    }
    let last = bucket.batch().put("k", "x").put("l", "x").commit().await.unwrap();
    let mut watch = bucket.watch_all().await.unwrap();
    let event = tokio::time::timeout(BOUND, watch.next()).await.unwrap().unwrap();
    assert!(matches!(event, kvconf::WatchEvent::Entry(entry) if entry.revision() == last - 1));
}
