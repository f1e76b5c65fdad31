//! Users and permissions that are taken away while a handle is there, and given back.

use std::time::{Duration, Instant};

use async_nats::ConnectOptions;
use futures_util::{FutureExt, StreamExt};
use kvconf::nats::{Connection, Denials};
use kvconf::{Bucket, BucketConfig, Health, StartError, WatchState, WriteError};
use kvconf_tests::server::Server;

use super::{BOUND, Pool, health, live, reach};

/// What a service that reads and writes one prefix needs of everything that it can do.
const ALL: [&str; 8] = [
    "$JS.API.STREAM.INFO.KV_b",
    "$JS.API.STREAM.MSG.GET.KV_b",
    "$JS.API.CONSUMER.CREATE.KV_b.*.$KV.b.shop.>",
    "$JS.API.CONSUMER.DELETE.KV_b.*",
    "$JS.API.DIRECT.GET.KV_b",
    "$JS.API.DIRECT.GET.KV_b.$KV.b.shop.>",
    "$JS.FC.KV_b.>",
    "$KV.b.shop.>",
];
const INBOX: &str = "_INBOX_service.>";

/// An administrator, and a service that may publish and subscribe to these.
fn users(publish: &[&str], subscribe: &str) -> String {
    format!(
        "authorization {{ users: [
           {{ user: admin, password: a }}
           {{ user: service, password: s, permissions: {{ publish: {publish:?}, subscribe: [\"{subscribe}\"] }} }}
         ] }}"
    )
}

/// All of it without one.
fn without(subject: &str) -> String {
    let rest: Vec<&str> = ALL.into_iter().filter(|other| *other != subject).collect();
    assert_eq!(rest.len(), ALL.len() - 1);
    users(&rest, INBOX)
}

/// The bucket as the administrator and as the service have it, which is told of refusals or not.
async fn opened(config: &str, told: bool) -> (Server, Bucket, Bucket) {
    let server = Server::builder().config(config).start().await;
    let admin = Bucket::create(server.client_as("admin", "a").await, BucketConfig::new("b")).await.unwrap();
    let denials = Denials::new();
    let observer = denials.clone();
    let options = ConnectOptions::with_user_and_password("service".into(), "s".into())
        .custom_inbox_prefix("_INBOX_service")
        .event_callback(move |event| {
            observer.observe(&event);
            std::future::ready(())
        });
    let connection = Connection::new(&server.connect(options).await);
    let connection = if told { connection.denials(&denials) } else { connection };
    (server, admin, Bucket::open(connection, "b").await.unwrap())
}

fn is_live(health: &Health) -> bool {
    health.state == WatchState::Live
}

// P5
#[tokio::test]
async fn a_user_that_is_removed_has_lost_the_connection_until_it_is_back() {
    let (mut server, admin, bucket) = opened(&users(&ALL, INBOX), true).await;
    let pool = live(&bucket, "shop").await;
    server.reload("authorization { users: [{ user: admin, password: a }] }").await;
    let lost = health(&pool, |health| health.state == WatchState::Disconnected).await;
    assert!(lost.is_ready() && !lost.is_current());
    let revision = admin.put("shop.max", "30").await.unwrap();
    let error = pool.update(|pool| pool.min = 2).author("service").await.unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the write was not made");
    server.reload(&users(&ALL, INBOX)).await;
    reach(&pool, revision).await;
    health(&pool, is_live).await;
    let applied = pool.update(|pool| (pool.min, pool.max) = (2, 40)).author("service").await.unwrap();
    reach(&pool, applied.revision()).await;
    assert_eq!((pool.load().min, pool.load().max), (2, 40));
}

// P6: the server took it, and only its answer was not let through.
#[tokio::test]
async fn a_write_whose_answer_may_not_be_heard_may_have_taken_place() {
    let (mut server, admin, bucket) = opened(&users(&ALL, INBOX), true).await;
    let pool = live(&bucket, "shop").await;
    server.reload(&users(&ALL, "nothing")).await;
    health(&pool, |health| matches!(health.state, WatchState::NotPermitted { .. })).await;
    let written = bucket.put("shop.max", "30").await;
    assert!(matches!(written, Err(WriteError::Unconfirmed { .. })), "{written:?}");
    let stands = async |key: &str, value: &str| {
        // It can be on its way still: the word that the answer is refused came first.
        kvconf_tests::wait_until("it stands there", BOUND, async || {
            admin.get(key).await.unwrap().is_some_and(|found| found == value)
        })
        .await;
    };
    stands("shop.max", "30").await;
    let batch = bucket.batch().put("shop.max", "40").put("shop.min", "4").commit().await;
    assert!(matches!(batch, Err(WriteError::Unconfirmed { .. })), "{batch:?}");
    stands("shop.min", "4").await;
}

// P4: what was known of the bucket is not known of the one that took its place.
#[tokio::test]
async fn a_bucket_made_again_is_another_one_for_who_may_no_longer_ask() {
    let (mut server, admin, bucket) = opened(&users(&ALL, INBOX), true).await;
    let pool = live(&bucket, "shop").await;
    for number in 1..=50 {
        admin.put("shop.max", number.to_string()).await.unwrap();
    }
    server.reload(&without("$JS.API.STREAM.INFO.KV_b")).await;
    let client = server.client_as("admin", "a").await;
    Bucket::destroy(&client, "b").await.unwrap();
    let again = Bucket::create(&client, BucketConfig::new("b")).await.unwrap();
    again.put("shop.max", "7").await.unwrap();
    let another = kvconf_tests::wait_for("the other bucket", BOUND, async || {
        let now = pool.load();
        (now.max == 7).then(|| (now.epoch(), now.revision().get()))
    });
    assert_eq!(another.await, (1, 1));
    health(&pool, is_live).await;
}

// P5: what has a replacement is not asked for while it is forbidden, and is again when it may be.
#[tokio::test]
async fn what_was_forbidden_for_a_while_is_asked_for_again() {
    const LEADER: &str = "$JS.API.STREAM.MSG.GET.KV_b";
    const SEVERAL: &str = "$JS.API.CONSUMER.CREATE.KV_b.*";
    let (mut server, admin, bucket) = opened(&without(LEADER), true).await;
    admin.batch().put("shop.a.x", "1").put("shop.b.x", "2").commit().await.unwrap();
    let client = server.client_as("admin", "a").await;
    let mut asked = Vec::new();
    for subject in [LEADER, SEVERAL] {
        asked.push(client.subscribe(subject).await.unwrap());
    }
    client.flush().await.unwrap();
    let read = async || {
        let one = bucket.get("shop.a.x").await.ok()??;
        let both = bucket.history(["shop.a.>", "shop.b.>"]).await.ok()?;
        (one == "1" && both.len() == 2).then_some(())
    };
    // The way around serves, and neither was let through.
    read().await.unwrap();
    assert!(asked.iter_mut().all(|asked| asked.next().now_or_never().is_none()));
    let all: Vec<&str> = ALL.into_iter().chain([SEVERAL]).collect();
    server.reload(&users(&all, INBOX)).await;
    for asked in &mut asked {
        kvconf_tests::wait_for("it is asked for again", BOUND, async || {
            read().await;
            asked.next().now_or_never().flatten()
        })
        .await;
    }
}

// P5
#[tokio::test]
async fn a_start_goes_through_when_its_permission_comes_and_ends_at_once_where_the_server_says_no() {
    let (mut server, admin, bucket) = opened(&users(&["nothing"], INBOX), false).await;
    let revision = admin.put("shop.max", "20").await.unwrap();
    let start = tokio::spawn(bucket.live::<Pool>().prefix("shop").deadline(BOUND).start());
    let refused = kvconf_tests::wait_for("the server refuses it", BOUND, async || {
        server.log().contains("Publish Violation").then_some(())
    });
    refused.await;
    server.reload(&users(&ALL, INBOX)).await;
    let pool = start.await.unwrap().unwrap();
    assert_eq!((pool.load().max, pool.load().revision()), (20, revision));
    // All else is there as well, though it was not when the bucket was opened.
    let applied = pool.update(|pool| (pool.min, pool.max) = (2, 40)).author("service").await.unwrap();
    reach(&pool, applied.revision()).await;

    let (_server, _admin, told) = opened(&users(&["nothing"], INBOX), true).await;
    let began = Instant::now();
    let error = told.live::<Pool>().prefix("shop").deadline(BOUND).start().await.unwrap_err();
    assert!(matches!(error, StartError::NotPermitted { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
