//! Buckets that another tool made: what can be done there is done, and of what cannot the reason is told.

use std::error::Error;
use std::time::Duration;

use async_nats::{Client, jetstream};
use kvconf::{Bucket, KvConfig, Live};
use kvconf_tests::server::Server;
use serde_json::{Value, json};

use super::{Pool, reach};

/// An error with its causes.
fn words(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", words(cause)))
}

/// A stream with a bucket's name and these settings.
async fn make(client: &Client, bucket: &str, settings: Value) {
    let mut config = json!({
        "name": format!("KV_{bucket}"), "subjects": [format!("$KV.{bucket}.>")], "retention": "limits", "discard": "new",
        "storage": "file", "num_replicas": 1, "max_msgs_per_subject": 64, "allow_rollup_hdrs": true,
        "deny_delete": true, "allow_direct": true,
    });
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let made: Value =
        jetstream::new(client.clone()).request(format!("STREAM.CREATE.KV_{bucket}"), &config).await.unwrap();
    assert_eq!(made.get("error"), None, "{bucket}");
}

#[tokio::test]
async fn a_stream_that_loses_or_renames_keys_is_refused_with_the_reason() {
    let server = Server::start().await;
    let client = server.client().await;
    for (settings, reason) in [
        (
            json!({ "retention": "interest" }),
            "the retention interest is not supported: no value of bucket b would be kept",
        ),
        (
            json!({ "retention": "workqueue", "max_msgs_per_subject": -1 }),
            "the retention workqueue is not supported: values of bucket b would go when they are read",
        ),
        (
            json!({ "subject_transform": { "src": "$KV.b.>", "dest": "$KV.b.x.>" } }),
            "a stream that stores subjects under other names is not supported: keys of bucket b would not be found",
        ),
        (
            json!({ "subjects": ["orders.>"] }),
            "a stream that takes no keys is not supported: KV_b takes orders.>, and not $KV.b.>",
        ),
    ] {
        make(&client, "b", settings).await;
        assert_eq!(Bucket::open(&client, "b").await.unwrap_err().to_string(), reason);
        Bucket::destroy(&client, "b").await.unwrap();
    }
}

/// What a bucket does not do, in its own words.
async fn complaints(bucket: &Bucket) -> Vec<String> {
    let mut told: Vec<String> = bucket.caveats().iter().map(ToString::to_string).collect();
    let pool: Live<Pool> = bucket.live().prefix("shop").start().await.unwrap();
    let first = match pool.update(|pool| pool.max = 20).author("ops").await {
        Ok(first) => first,
        Err(error) => {
            told.push(format!("a value: {}", words(&error)));
            return told;
        }
    };
    let mut tell = |what: &str, result: Result<(), String>| {
        told.extend(result.err().map(|words| format!("{what}: {words}")));
    };
    reach(&pool, first.revision()).await;
    let second = pool.update(|pool| pool.max = 30).author("ops").await.map_err(|error| words(&error));
    if let Ok(second) = &second {
        reach(&pool, second.revision()).await;
        assert_eq!(pool.load().max, 30);
    }
    tell("a second value", second.map(|_| ()));
    let both = pool.update(|pool| (pool.min, pool.max) = (2, 40)).author("ops").await;
    if let Ok(both) = &both {
        reach(&pool, both.revision()).await;
        assert_eq!((pool.load().min, pool.load().max), (2, 40));
    }
    tell("two keys", both.map(|_| ()).map_err(|error| words(&error)));
    let past = pool.at(first.revision()).await;
    tell("then", past.map(|past| assert_eq!(past.max, 20)).map_err(|error| words(&error)));
    let back = pool.rollback_to(first.revision()).only(Pool::fields().max).author("ops").await;
    if let Ok(back) = &back {
        reach(&pool, back.revision()).await;
        assert_eq!(pool.load().max, 20);
    }
    tell("back", back.map(|_| ()).map_err(|error| words(&error)));
    let log = pool.log().await.map(|log| assert!(!log.changes().is_empty()));
    tell("log", log.map_err(|error| words(&error)));
    tell("another key", bucket.put("other.key", "1").await.map(|_| ()).map_err(|error| words(&error)));
    tell("purge", bucket.purge("other.key").await.map(|_| ()).map_err(|error| words(&error)));
    let passing = bucket.put("other.passing", "1").ttl(Duration::from_secs(60)).await;
    tell("for a time", passing.map(|_| ()).map_err(|error| words(&error)));
    told
}

#[tokio::test]
async fn what_a_bucket_of_another_tool_cannot_do_is_told_and_all_else_is_done() {
    const BATCHES: &str = "no atomic batches are taken: changes of several keys are refused";
    const TWO: &str = "two keys: the change was not written: the write was not made: an atomic batch is not supported: \
                       bucket b does not allow atomic batches; one_by_one writes the keys of a struct one after the other";
    const TTL: &str = "for a time: the write was not made: a time to live per key is not supported: bucket b has no limit_markers";
    const NO_PAST: &str =
        "reading an earlier state is not supported: bucket b does not allow direct gets, or does not exist";
    const PER_KEY: &str = "the server refused a write (error 10077): maximum messages per subject exceeded";
    let server = Server::start().await;
    let client = server.client().await;
    let few = |kept: &str| {
        format!("{kept} kept, 8 are needed to prove that a snapshot under concurrent writes is exact")
    };
    let cases = [
        (json!({}), vec![]),
        (json!({ "max_msgs_per_subject": 300 }), vec![]),
        (json!({ "max_msgs_per_subject": -1 }), vec![]),
        (json!({ "max_msgs_per_subject": 5 }), vec![few("5 revisions of a key are")]),
        (json!({ "discard": "old", "allow_msg_schedules": true }), vec![]),
        (json!({ "storage": "memory", "compression": "s2" }), vec![]),
        (json!({ "republish": { "src": "$KV.b6.>", "dest": "told.>" }, "persist_mode": "async" }), vec![]),
        (json!({ "consumer_limits": { "max_ack_pending": 10 } }), vec![]),
        (json!({ "subjects": ["$KV.b8.>", "orders.>"] }), vec![]),
        (json!({ "max_bytes": 4_000_000, "max_msgs": 4_000 }), vec![]),
        (
            json!({ "max_msgs_per_subject": 1 }),
            vec![
                few("1 revision of a key is"),
                "then: revision 1 is outside what the bucket holds: 2 to 2".to_owned(),
                "back: what would return is no longer kept:\n  × shop.max (known from revision 2 on)".to_owned(),
            ],
        ),
        (
            json!({ "allow_direct": false }),
            vec![
                "no direct reads are taken: readings are not of one moment, and earlier states are not to be had"
                    .to_owned(),
                format!("then: the past could not be read: {NO_PAST}"),
                format!("back: earlier states could not be read: {NO_PAST}"),
            ],
        ),
        (
            json!({ "allow_rollup_hdrs": false, "deny_purge": true }),
            vec![
                "purge: the write was not made: the server refused a write (error 10111): rollup not permitted"
                    .to_owned(),
            ],
        ),
        (
            json!({ "max_msgs_per_subject": 1, "discard_new_per_subject": true }),
            vec![
                few("1 revision of a key is"),
                format!("a second value: the change was not written: the write was not made: {PER_KEY}"),
            ],
        ),
        (
            json!({ "max_msgs": 2 }),
            vec![
                "back: the change was not made: the change was not written: bucket b is full".to_owned(),
                "another key: bucket b is full".to_owned(),
                "purge: bucket b is full".to_owned(),
            ],
        ),
    ];
    for (number, (settings, mut expected)) in cases.into_iter().enumerate() {
        // A stream that is made anew under the name of one that was just deleted can go on with its sequence (seen with 2.15.1).
        let name = format!("b{number}");
        make(&client, &name, settings.clone()).await;
        let bucket = Bucket::open(&client, &name).await.unwrap();
        let told = complaints(&bucket).await;
        let mut told: Vec<String> =
            told.iter().map(|words| words.replace(&format!("bucket {name} "), "bucket b ")).collect();
        expected.extend([BATCHES, TWO, TTL].map(str::to_owned));
        expected.sort();
        told.sort();
        assert_eq!(told, expected, "{settings}");
    }
}
