//! Opening, making and changing buckets on real servers: settings, permissions, domains, old servers.

use std::time::Duration;

use async_nats::jetstream::{self, kv};
use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt;
use kvconf::nats::{Connection, Denials};
use kvconf::{
    Bucket, BucketConfig, Compression, External, Placement, ReadError, Republish, Source, Status, Storage,
    WatchEvent, WriteError,
};
use kvconf_tests::server::{HubAndLeaf, Server, installed};
use kvconf_tests::wait_for;
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(30);

/// The settings of a bucket's stream, as the server says them.
async fn raw(client: &Client, bucket: &str) -> Value {
    let info: Value =
        jetstream::new(client.clone()).request(format!("STREAM.INFO.KV_{bucket}"), &()).await.unwrap();
    info["config"].clone()
}

#[tokio::test]
async fn a_new_bucket_is_what_every_client_takes_for_one() {
    let server = Server::start().await;
    let client = server.client().await;
    let bucket = Bucket::create(&client, BucketConfig::new("b")).await.unwrap();
    let ours = raw(&client, "b").await;
    let context = jetstream::new(client.clone());
    let config = kv::Config {
        bucket: "stock".into(),
        history: 64,
        limit_markers: Some(BucketConfig::new("b").limit_markers.unwrap()),
        ..Default::default()
    };
    context.create_key_value(config).await.unwrap();
    let stock = raw(&client, "stock").await;
    let differing: Vec<_> = ours
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, value)| stock.get(name) != Some(value))
        .map(|(name, _)| name.as_str())
        .collect();
    // Beyond the name: the two that kvconf adds.
    assert_eq!(differing, ["allow_atomic", "max_consumers", "metadata", "name", "subjects"]);
    let status = bucket.status().await.unwrap();
    assert_eq!((status.max_batch, status.entries, status.config.history), (1_000, 0, Some(64)));
    assert_eq!(status.server_version, Some(client.server_info().version));
}

#[tokio::test]
async fn every_option_is_set_and_read_back() {
    let server = Server::builder().name("n0").config("server_tags: [\"fast\"]").start().await;
    let client = server.client().await;
    Bucket::create(&client, BucketConfig::new("origin")).await.unwrap();
    let mut config = BucketConfig::new("b");
    config.description = Some("limits of the shop".into());
    config.history = Some(7);
    config.max_age = Some(Duration::from_secs(3_600));
    config.max_bytes = Some(1 << 20);
    config.max_value_size = Some(1 << 16);
    config.storage = Some(Storage::Memory);
    config.num_replicas = Some(1);
    config.compression = Some(Compression::None);
    config.placement = Some(Placement { cluster: None, tags: vec!["fast".into()] });
    config.republish =
        Some(Republish { source: "$KV.b.>".into(), destination: "seen.>".into(), headers_only: false });
    config.sources =
        Some(vec![Source { bucket: "origin".into(), filter: Some("app.>".into()), ..Source::default() }]);
    config.mirror_direct = Some(false);
    config.limit_markers = Some(Duration::from_secs(60));
    config.max_consumers = Some(50);
    config.metadata.insert("team".into(), "checkout".into());
    let bucket = Bucket::create(&client, config.clone()).await.unwrap();
    assert_eq!(bucket.status().await.unwrap().config, config);
    // The source is read under the bucket's own keys.
    let origin = Bucket::open(&client, "origin").await.unwrap();
    origin.put("app.port", "80").await.unwrap();
    origin.put("log.level", "info").await.unwrap();
    let value = wait_for("the sourced key", BOUND, || async { bucket.get("app.port").await.unwrap() }).await;
    assert_eq!(value, "80");
    assert_eq!(bucket.keys(">").await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_update_of_one_option_keeps_those_that_no_client_type_knows() {
    let server = Server::start().await;
    let client = server.client().await;
    let bucket = Bucket::create(&client, BucketConfig::new("b")).await.unwrap();
    let context = jetstream::new(client.clone());
    let mut config = raw(&client, "b").await;
    config["discard"] = "old".into();
    config["allow_msg_schedules"] = true.into();
    config["metadata"]["owner"] = "ops".into();
    config["consumer_limits"] = serde_json::json!({ "max_ack_pending": 77 });
    let _: Value = context.request("STREAM.UPDATE.KV_b", &config).await.unwrap();
    let before = raw(&client, "b").await;
    assert_eq!(before["allow_msg_schedules"], true);

    let mut change = BucketConfig::unchanged("b");
    change.history = Some(5);
    let status: Status = bucket.update_config(&change).await.unwrap();
    assert_eq!(status.config.history, Some(5));
    let mut expected = before;
    expected["max_msgs_per_subject"] = 5.into();
    assert_eq!(raw(&client, "b").await, expected);
    Bucket::create_or_update(&client, change).await.unwrap();
    assert_eq!(raw(&client, "b").await, expected);
}

#[tokio::test]
async fn create_opens_the_same_and_refuses_another() {
    let server = Server::start().await;
    let client = server.client().await;
    let config = BucketConfig::new("b");
    Bucket::create(&client, config.clone()).await.unwrap().put("k", "v").await.unwrap();
    let again = Bucket::create(&client, config.clone()).await.unwrap();
    assert_eq!(again.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));
    let mut other = config;
    other.history = Some(1);
    let error = Bucket::create(&client, other).await.unwrap_err();
    assert!(matches!(error, WriteError::Failed(ReadError::Server { code: 10_058, .. })), "{error:?}");
}

#[tokio::test]
async fn names_are_checked_before_anything_is_sent() {
    let server = Server::builder().without_jetstream().start().await;
    let client = server.client().await;
    for name in ["", "a.b", "a b", "a>"] {
        let error = Bucket::open(&client, name).await.unwrap_err();
        assert!(matches!(error, ReadError::Name(_)), "{name}: {error}");
    }
    let error = Bucket::open(&client, "b").await.unwrap_err();
    assert!(matches!(error, ReadError::Server { code: 503, .. } | ReadError::Client { .. }), "{error:?}");
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_not_opened() {
    let server = Server::start().await;
    let error = Bucket::open(server.client().await, "nope").await.unwrap_err();
    assert_eq!(error.to_string(), "bucket nope does not exist");
}

#[tokio::test]
async fn buckets_whose_keys_would_be_missing_are_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    Bucket::create(&client, BucketConfig::new("origin")).await.unwrap();
    let mut mirror = BucketConfig::unchanged("m");
    mirror.mirror = Some(Source { bucket: "origin".into(), ..Source::default() });
    let expected = "a mirror in the same account and domain is not supported: the keys of m are those of origin: open \
                    origin itself, or use sources";
    let error = Bucket::create(&client, mirror).await.unwrap_err();
    let WriteError::Failed(error) = error else { panic!("{error:?}") };
    assert_eq!(error.to_string(), expected);
    // As made by another client.
    let context = jetstream::new(client.clone());
    let origin = jetstream::stream::Source { name: "origin".into(), ..Default::default() };
    let config = kv::Config { bucket: "m".into(), mirror: Some(origin.clone()), ..Default::default() };
    context.create_key_value(config).await.unwrap();
    assert_eq!(Bucket::open(&client, "m").await.unwrap_err().to_string(), expected);

    let config = jetstream::stream::Config {
        name: "KV_s".into(),
        max_messages_per_subject: 1,
        sources: Some(vec![jetstream::stream::Source { name: "KV_origin".into(), ..Default::default() }]),
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let error = Bucket::open(&client, "s").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "a source without a subject transform is not supported: its keys would not be found in bucket s"
    );
}

#[tokio::test]
async fn a_mirror_on_a_leaf_node_reads_there_and_writes_to_the_hub() {
    let pair = HubAndLeaf::start().await;
    let (hub_client, leaf_client) = (pair.hub.client().await, pair.leaf.client().await);
    let hub = Bucket::create(&hub_client, BucketConfig::new("b")).await.unwrap();
    hub.put("k", "1").await.unwrap();
    let mut config = BucketConfig::unchanged("b");
    config.mirror = Some(Source {
        bucket: "b".into(),
        external: Some(External { api_prefix: "$JS.hub.API".into(), deliver_prefix: None }),
        ..Source::default()
    });
    config.history = Some(64);
    let leaf = Bucket::create(&leaf_client, config).await.unwrap();
    wait_for("the mirrored key", BOUND, || async { leaf.get("k").await.unwrap() }).await;
    let mut watch = leaf.watch_all().new_only().await.unwrap();
    let revision = leaf.put("k", "2").await.unwrap();
    assert_eq!(hub.entry("k").await.unwrap().unwrap().revision(), revision);
    let entry = loop {
        match tokio::time::timeout(BOUND, watch.next()).await.unwrap().unwrap() {
            WatchEvent::Entry(entry) => break entry,
            WatchEvent::Loaded => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((entry.revision(), &entry.value()[..]), (revision, &b"2"[..]));
    assert!(leaf.update("k", "3", kvconf::Revision::new(1)).await.unwrap_err().is_conflict());

    // Without the mirror, through the domain.
    let far = Bucket::open(Connection::new(&leaf_client).domain("hub"), "b").await.unwrap();
    let revision = far.batch().put("k", "4").put("l", "4").commit().await;
    let revision = revision.unwrap();
    assert_eq!(hub.read(">").await.unwrap().revision(), revision);
    assert_eq!(far.read(">").await.unwrap().entries().len(), 2);
    assert_eq!(far.history("k").await.unwrap().len(), 3);
    let mut watch = far.watch("l").await.unwrap();
    let event = tokio::time::timeout(BOUND, watch.next()).await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Entry(entry) if entry.revision() == revision));
}

/// A server with an administrator and users who may do no more than their part asks for.
async fn guarded() -> Server {
    Server::builder()
        .config(
            r#"authorization { users: [
              { user: admin, password: a }
              { user: reader, password: r, permissions: {
                publish: ["$JS.API.DIRECT.GET.KV_b.$KV.b.app.>", "$JS.API.CONSUMER.CREATE.KV_b.*.$KV.b.app.>",
                          "$JS.API.CONSUMER.DELETE.KV_b.*", "$JS.FC.KV_b.>"],
                subscribe: ["_INBOX_reader.>"] } }
              { user: writer, password: w, permissions: {
                publish: ["$KV.b.app.port"], subscribe: ["_INBOX_writer.>"] } }
            ] }"#,
        )
        .start()
        .await
}

fn as_user(user: &str) -> ConnectOptions {
    ConnectOptions::with_user_and_password(user.into(), user[..1].into())
        .custom_inbox_prefix(format!("_INBOX_{user}"))
}

fn with_denials(options: ConnectOptions, denials: &Denials) -> ConnectOptions {
    let denials = denials.clone();
    options.event_callback(move |event| {
        denials.observe(&event);
        std::future::ready(())
    })
}

#[tokio::test]
async fn a_reader_of_one_prefix_opens_reads_and_watches_it() {
    let server = guarded().await;
    let admin = Bucket::create(server.client_as("admin", "a").await, BucketConfig::new("b")).await.unwrap();
    let revision = admin.put("app.port", "80").await.unwrap();
    admin.put("secret", "x").await.unwrap();
    let denials = Denials::new();
    for connection in [
        Connection::new(&server.connect(with_denials(as_user("reader"), &denials)).await).denials(&denials),
        Connection::new(&server.connect(as_user("reader")).await),
    ] {
        let bucket = Bucket::open(connection, "b").await.unwrap();
        let mut watch = bucket.watch("app.>").await.unwrap();
        let event = tokio::time::timeout(BOUND, watch.next()).await.unwrap().unwrap();
        assert!(matches!(event, WatchEvent::Entry(entry) if entry.revision() == revision));
        assert_eq!(bucket.get("app.port").await.unwrap().as_deref(), Some(&b"80"[..]));
        let reading = bucket.read("app.>").await.unwrap();
        assert_eq!((reading.entries().len(), reading.revision()), (1, revision));
        assert_eq!(bucket.history("app.>").await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_missing_permission_is_told_at_once_to_who_listens() {
    let server = guarded().await;
    Bucket::create(server.client_as("admin", "a").await, BucketConfig::new("b")).await.unwrap();
    let denials = Denials::new();
    let client = server.connect(with_denials(as_user("writer"), &denials)).await;
    let started = std::time::Instant::now();
    let bucket = Bucket::open(Connection::new(&client).denials(&denials), "b").await.unwrap();
    bucket.put("app.port", "80").await.unwrap();
    let error = bucket.put("app.host", "x").await.unwrap_err();
    assert!(
        matches!(&error, WriteError::Failed(ReadError::NotPermitted { subject }) if subject == "$KV.b.app.host"),
        "{error:?}"
    );
    let error = bucket.get("app.port").await.unwrap_err();
    assert!(matches!(&error, ReadError::NotPermitted { .. }), "{error:?}");
    let error = bucket.watch_all().await.err().unwrap();
    assert!(matches!(&error, ReadError::NotPermitted { .. }), "{error:?}");
    let error = bucket.batch().put("app.port", "1").put("app.host", "1").commit().await.unwrap_err();
    assert!(matches!(&error, WriteError::Failed(ReadError::NotPermitted { .. })), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_of_2_10_is_refused_by_name() {
    let server = Server::builder().binary(installed("2.10.25")).start().await;
    let client = server.client().await;
    let expected = "this server is not supported: nats-server 2.10.25 is too old, kvconf needs 2.11";
    let error = Bucket::create(&client, BucketConfig::new("b")).await.unwrap_err();
    assert!(matches!(error, WriteError::Failed(error) if error.to_string() == expected));
    let context = jetstream::new(client.clone());
    context.create_key_value(kv::Config { bucket: "b".into(), ..Default::default() }).await.unwrap();
    assert_eq!(Bucket::open(&client, "b").await.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn a_server_of_2_11_does_all_but_batches() {
    let server = Server::builder().binary(installed("2.11.11")).start().await;
    let client = server.client().await;
    let bucket = Bucket::create(&client, BucketConfig::new("b")).await.unwrap();
    let status = bucket.status().await.unwrap();
    assert_eq!((status.max_batch, status.config.allow_atomic_batches), (1, Some(false)));
    let first = bucket.put("a", "1").await.unwrap();
    let error = bucket.batch().put("a", "2").put("b", "2").commit().await.unwrap_err();
    assert!(
        matches!(error, WriteError::Failed(ReadError::Unsupported { what: "an atomic batch", .. })),
        "{error:?}"
    );
    bucket.update("a", "3", first).await.unwrap();
    assert_eq!(bucket.read(">").await.unwrap().entries().len(), 1);
    assert_eq!(bucket.read_at(">", first).await.unwrap().get("a").unwrap(), "1");
    let mut watch = bucket.watch_all().await.unwrap();
    let event = tokio::time::timeout(BOUND, watch.next()).await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Entry(entry) if entry.revision().get() == 2));
    Bucket::create_or_update(&client, BucketConfig::new("b")).await.unwrap();
}

// P1: what the server can hide is told when a bucket is opened.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_promise_all_says_so_when_it_is_opened() {
    let server = Server::start().await;
    let client = server.client().await;
    let good = Bucket::create(&client, BucketConfig::new("good")).await.unwrap();
    assert_eq!(good.caveats(), []);
    // As a plain client makes one.
    let plain =
        async_nats::jetstream::kv::Config { bucket: "plain".into(), history: 3, ..Default::default() };
    async_nats::jetstream::new(client.clone()).create_key_value(plain).await.unwrap();
    let told: Vec<String> =
        Bucket::open(&client, "plain").await.unwrap().caveats().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "3 revisions of a key are kept, 8 are needed to prove that a snapshot under concurrent writes is exact",
            "no atomic batches are taken: changes of several keys are refused",
        ]
    );
}

#[tokio::test]
async fn a_bucket_that_is_destroyed_is_gone_from_the_names_and_for_everybody() {
    let server = Server::start().await;
    let client = server.client().await;
    assert_eq!(Bucket::names(&client).await.unwrap(), Vec::<String>::new());
    for name in ["b", "a"] {
        Bucket::create(&client, BucketConfig::new(name)).await.unwrap();
    }
    let stream = jetstream::stream::Config { name: "orders".into(), ..Default::default() };
    jetstream::new(client.clone()).create_stream(stream).await.unwrap();
    assert_eq!(Bucket::names(&client).await.unwrap(), ["a", "b"], "a stream that is no bucket is none");
    let bucket = Bucket::open(&client, "b").await.unwrap();
    Bucket::destroy(&client, "b").await.unwrap();
    assert_eq!(Bucket::names(&client).await.unwrap(), ["a"]);
    let error = bucket.status().await.unwrap_err();
    assert!(matches!(&error, ReadError::BucketNotFound { bucket } if bucket == "b"), "{error}");
    let error = Bucket::destroy(&client, "b").await.unwrap_err();
    assert!(
        matches!(&error, WriteError::Failed(ReadError::BucketNotFound { bucket }) if bucket == "b"),
        "{error}"
    );
}
