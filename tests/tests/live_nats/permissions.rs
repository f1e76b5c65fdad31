//! Handles of users who may not do everything.

use std::time::Duration;

use async_nats::ConnectOptions;
use kvconf::nats::{Connection, Denials};
use kvconf::{Bucket, BucketConfig, KvConfig, Live, StartError, WatchState};
use kvconf_tests::foreign;
use kvconf_tests::server::Server;

use super::{Pool, live, reach};

/// A server with an administrator, a reader of one prefix, and a user who may do nothing.
async fn guarded() -> (Server, Bucket) {
    let server = Server::builder()
        .config(
            r#"authorization { users: [
              { user: admin, password: a }
              { user: reader, password: r, permissions: {
                publish: ["$JS.API.DIRECT.GET.KV_b.$KV.b.app1.>", "$JS.API.CONSUMER.CREATE.KV_b.*.$KV.b.app1.>",
                          "$JS.API.CONSUMER.DELETE.KV_b.*", "$JS.FC.KV_b.>"],
                subscribe: ["_INBOX_reader.>"] } }
              { user: nobody, password: n, permissions: {
                publish: ["unused"], subscribe: ["_INBOX_nobody.>"] } }
            ] }"#,
        )
        .start()
        .await;
    let bucket = Bucket::create(server.client_as("admin", "a").await, BucketConfig::new("b")).await.unwrap();
    (server, bucket)
}

fn as_user(user: &str) -> ConnectOptions {
    ConnectOptions::with_user_and_password(user.into(), user[..1].into())
        .custom_inbox_prefix(format!("_INBOX_{user}"))
}

/// A bucket whose user is told of missing permissions.
async fn open_as(server: &Server, user: &str) -> Bucket {
    let denials = Denials::new();
    let told = denials.clone();
    let options = as_user(user).event_callback(move |event| {
        told.observe(&event);
        std::future::ready(())
    });
    Bucket::open(Connection::new(&server.connect(options).await).denials(&denials), "b").await.unwrap()
}

#[tokio::test]
async fn permissions_on_one_prefix_are_enough_to_follow_it() {
    let (server, admin) = guarded().await;
    admin.put("app1.max", "20").await.unwrap();
    let bucket = open_as(&server, "reader").await;
    let pool = live(&bucket, "app1").await;
    assert_eq!(pool.load().max, 20);

    let revision = admin.put("app1.max", "30").await.unwrap();
    reach(&pool, revision).await;
    // Change sets that reach beyond what the user may see, with kvconf's headers and without.
    let last =
        admin.batch().put("app1.max", "40").put("app1.min", "4").put("app2.max", "4").commit().await.unwrap();
    reach(&pool, last - 1).await;
    assert_eq!((pool.load().min, pool.load().max), (4, 40));
    let client = server.client_as("admin", "a").await;
    let writes = [("app1.max", Some("50")), ("app1.min", Some("5")), ("app2.max", Some("5"))];
    let last = foreign::batch(&client, "b", &writes).await;
    reach(&pool, kvconf::Revision::new(last - 1)).await;
    assert_eq!((pool.load().min, pool.load().max), (5, 50));
    assert_eq!(pool.health().state, WatchState::Live);
    // What such a user reads is not of one moment, and says so.
    assert!(!bucket.read("app1.>").await.unwrap().is_isolated());
    assert!(admin.read("app1.>").await.unwrap().is_isolated());
}

#[tokio::test]
async fn who_is_refused_leaves_the_other_handles_as_they_were() {
    let (server, admin) = guarded().await;
    let bucket = open_as(&server, "reader").await;
    let pool = live(&bucket, "app1").await;
    // A watch of both prefixes is refused as a whole.
    let refused: Result<Live<Pool>, _> = bucket.live().prefix("app2").start().await;
    assert!(matches!(refused, Err(StartError::NotPermitted { .. })), "{refused:?}");
    let revision = admin.put("app1.max", "30").await.unwrap();
    reach(&pool, revision).await;
    assert_eq!((pool.load().max, pool.health().state), (30, WatchState::Live));
}

#[tokio::test]
async fn a_user_without_permission_is_told_the_subject_at_once() {
    let (server, _admin) = guarded().await;
    let bucket = open_as(&server, "nobody").await;
    let started = std::time::Instant::now();
    let error = bucket.live::<Pool>().prefix("app1").start().await.unwrap_err();
    let StartError::NotPermitted { subject } = &error else { panic!("{error:?}") };
    assert!(subject.starts_with("$JS.API.CONSUMER.CREATE.KV_b.kvconf-"), "{subject}");
    assert!(subject.ends_with(".$KV.b.app1.>"), "{subject}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn without_word_from_the_server_a_start_in_vain_says_what_it_waited_for() {
    let (server, _admin) = guarded().await;
    let bucket = Bucket::open(server.connect(as_user("nobody")).await, "b").await.unwrap();
    let error =
        bucket.live::<Pool>().prefix("app1").deadline(Duration::from_secs(7)).start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "bucket b was not loaded within 7s: reading the bucket again: no answer within 5s to a subscription"
    );
}

// P6
#[tokio::test]
async fn a_reader_cannot_write() {
    let (server, admin) = guarded().await;
    let bucket = open_as(&server, "reader").await;
    let pool = live(&bucket, "app1").await;
    let plan = pool.edit().set(Pool::fields().max, 20).plan().await.unwrap();
    let error = plan.commit().author("reader").await.unwrap_err();
    let kvconf::CommitError::Write(error) = error else { panic!("{error:?}") };
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "not permitted: $KV.b.app1.max");
    assert_eq!(admin.get("app1.max").await.unwrap(), None);
}
