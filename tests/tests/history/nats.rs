//! What only a real server and its other clients do.

use async_nats::jetstream;
use kvconf::{Bucket, BucketConfig, KvConfig, LogError, PastError, ReadError};
use kvconf_tests::foreign;
use kvconf_tests::server::Server;

use crate::history::backend::{Shop, rev, shop};

async fn with_bucket(history: u32) -> (Server, async_nats::Client, Bucket) {
    let server = Server::start().await;
    let client = server.client().await;
    let mut config = BucketConfig::new("cfg");
    config.history = Some(history);
    let bucket = Bucket::create(&client, config).await.unwrap();
    (server, client, bucket)
}

// P2 and P8
#[tokio::test]
async fn a_batch_of_another_client_is_one_change() {
    let (_server, client, bucket) = with_bucket(64).await;
    let live = shop(&bucket).await;
    bucket.put("shop.max_items", "60").await.unwrap();
    let writes = [
        ("shop.retry.min", Some("7")),
        ("other.a", Some("1")),
        ("shop.retry.max", Some("9")),
        ("other.b", Some("2")),
    ];
    assert_eq!(foreign::batch(&client, "cfg", &writes).await, 5);
    // Right behind it: not part of it.
    bucket.put("shop.region", "eu").await.unwrap();

    let log = live.log().await.unwrap();
    let told: Vec<_> =
        log.iter().map(|change| (change.keys().len(), change.author(), change.missing())).collect();
    assert_eq!(told, [(1, None, 0), (2, None, 0), (1, None, 0)]);
    let everything = bucket.log("").await.unwrap();
    assert_eq!(everything.changes()[1].revisions(), rev(2)..=rev(5));
    for (asked, found, min) in [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 4, 7), (5, 5, 7), (6, 6, 7)] {
        let then = live.at(rev(asked)).await.unwrap();
        assert_eq!((then.revision(), then.retry.min), (rev(found), min), "at {asked}");
    }
    // No state in the middle of it was ever refused, though there min is above max.
    assert!(bucket.check::<Shop>().replay().await.unwrap().is_clean());
}

// P8
#[tokio::test]
async fn writes_of_a_plain_client_are_in_the_log() {
    let (_server, client, bucket) = with_bucket(64).await;
    let live = shop(&bucket).await;
    let store = jetstream::new(client).get_key_value("cfg").await.unwrap();
    store.put("shop.max_items", "80".into()).await.unwrap();
    store.update("shop.max_items", "many".into(), 1).await.unwrap();
    store.delete("shop.max_items").await.unwrap();
    let log = live.log().await.unwrap();
    let told: Vec<String> = log
        .iter()
        .flat_map(|change| change.keys())
        .map(|key| format!("{} → {}", key.before, key.after))
        .collect();
    assert_eq!(told, ["`many` → (deleted)", "80 → `many`", "(none) → 80"]);
    assert!(
        log.iter()
            .all(|change| change.author().is_none() && change.to_string().contains(", author unknown\n"))
    );
}

/// Values that are written all the time, while the past is read.
#[tokio::test]
async fn a_past_state_stays_what_it_is_while_others_write() {
    let (server, _client, bucket) = with_bucket(64).await;
    let live = shop(&bucket).await;
    let batch =
        |n: u32| bucket.batch().put("shop.retry.min", n.to_string()).put("shop.retry.max", n.to_string());
    let mut asked = rev(0);
    for n in 1..=20 {
        asked = batch(n).commit().await.unwrap();
    }
    let writer = Bucket::open(server.client().await, "cfg").await.unwrap();
    let writing = async {
        for n in 21..=60_u32 {
            let batch =
                writer.batch().put("shop.retry.min", n.to_string()).put("shop.retry.max", n.to_string());
            batch.commit().await.unwrap();
        }
    };
    let reading = async {
        for n in 0..40_u64 {
            // Also in the middle of a set.
            let then = live.at(asked - n % 4).await.unwrap();
            let expected = 20 - (n % 4).div_ceil(2) as u32;
            assert_eq!((then.retry.min, then.retry.max), (expected, expected));
            let now = live.diff(asked, kvconf::Point::Latest).await.unwrap();
            let mut plain = bucket.diff("shop.>", asked - 4, asked).await.unwrap();
            let mut told = Vec::new();
            while let Some(one) = plain.next().await.unwrap() {
                let text =
                    |value: Option<&bytes::Bytes>| String::from_utf8_lossy(value.unwrap()).into_owned();
                told.push(format!("{}: {} → {}", one.key(), text(one.before()), text(one.after())));
            }
            assert_eq!(told, ["shop.retry.max: 18 → 20", "shop.retry.min: 18 → 20"]);
            let fields = Shop::fields().retry;
            assert_eq!(now.after(fields.min), now.after(fields.max));
        }
    };
    tokio::join!(writing, reading);
}

// P8
#[tokio::test]
async fn a_reader_of_one_prefix_has_a_log_and_no_past() {
    let server = Server::builder()
        .config(
            r#"
            authorization { users = [
                { user: admin, password: pw }
                { user: shop, password: pw, permissions: {
                    publish: ["$JS.API.DIRECT.GET.KV_cfg.$KV.cfg.shop.>", "$JS.API.CONSUMER.CREATE.KV_cfg.*.$KV.cfg.shop.>",
                              "$JS.API.CONSUMER.DELETE.KV_cfg.*", "$JS.FC.KV_cfg.>"]
                    subscribe: ["_INBOX_shop.>"]
                } }
            ] }"#,
        )
        .start()
        .await;
    let admin = async_nats::ConnectOptions::with_user_and_password("admin".into(), "pw".into());
    let bucket =
        Bucket::create(admin.connect(server.url()).await.unwrap(), BucketConfig::new("cfg")).await.unwrap();
    bucket.batch().put("shop.retry.min", "2").put("shop.retry.max", "3").commit().await.unwrap();
    bucket.update("shop.retry.max", "4", rev(2)).await.unwrap();
    let denials = kvconf::nats::Denials::new();
    let options = async_nats::ConnectOptions::with_user_and_password("shop".into(), "pw".into())
        .custom_inbox_prefix("_INBOX_shop");
    let told = denials.clone();
    let options = options.event_callback(move |event| {
        told.observe(&event);
        std::future::ready(())
    });
    let client = options.connect(server.url()).await.unwrap();
    let restricted =
        Bucket::open(kvconf::nats::Connection::new(&client).denials(&denials), "cfg").await.unwrap();
    let live = shop(&restricted).await;

    let log = live.log().await.unwrap();
    let told: Vec<String> = log
        .iter()
        .flat_map(|change| change.keys())
        .map(|key| format!("{}: {} → {}", key.key(), key.before, key.after))
        .collect();
    // It may not ask how many revisions the bucket keeps, so it does not know what was before.
    assert_eq!(
        told,
        [
            "shop.retry.max: 3 → 4",
            "shop.retry.min: (no longer kept) → 2",
            "shop.retry.max: (no longer kept) → 3",
        ]
    );
    let error = live.at(rev(2)).await.unwrap_err();
    assert!(matches!(&error, PastError::Read(ReadError::NotPermitted { .. })), "{error:?}");
    let history = live.history(Shop::fields().retry.max).await.unwrap();
    assert_eq!((history.revisions().len(), history.is_complete()), (2, false));
    assert!(bucket.check::<Shop>().now().await.unwrap().would_start());
    assert!(matches!(kvconf::Live::fixed(live.load().value().clone()).log().await, Err(LogError::Fixed)));
}

/// One direct get gives a key's entries; where a bucket takes none, a consumer does.
#[tokio::test]
async fn a_keys_history_is_the_same_with_and_without_direct_gets() {
    let (_server, client, bucket) = with_bucket(5).await;
    bucket.put("shop.b", "other").await.unwrap();
    assert_eq!(bucket.history("shop.a").await.unwrap(), []);
    for n in 1..=6 {
        bucket.put("shop.a", n.to_string()).await.unwrap();
        bucket.put("shop.b", n.to_string()).await.unwrap();
    }
    bucket.delete("shop.a").await.unwrap();
    let direct = bucket.history("shop.a").await.unwrap();
    let revisions: Vec<u64> = direct.iter().map(|entry| entry.revision().get()).collect();
    assert_eq!(revisions, [6, 8, 10, 12, 14]);
    assert!(direct.last().unwrap().operation().is_removal());

    let context = jetstream::new(client);
    let mut config = context.get_stream("KV_cfg").await.unwrap().cached_info().config.clone();
    config.allow_direct = false;
    context.update_stream(&config).await.unwrap();
    for _ in 0..2 {
        assert_eq!(bucket.history("shop.a").await.unwrap(), direct);
    }
    bucket.purge("shop.a").await.unwrap();
    assert_eq!(bucket.history("shop.a").await.unwrap().len(), 1);
}
