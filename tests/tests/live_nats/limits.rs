//! What an account allows, and what changes of it mean for those who are there.

use std::error::Error;
use std::time::Duration;

use async_nats::ConnectOptions;
use kvconf::nats::{Connection, Denials};
use kvconf::{Bucket, BucketConfig, Health, WatchState, WriteError};
use kvconf_tests::server::Server;
use kvconf_tests::wait_for;

use super::{BOUND, Pool, health, live, reach};

/// An error with its causes.
fn words(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", words(cause)))
}

/// One account with these limits of JetStream, beside another one that has it.
fn account(jetstream: &str) -> String {
    format!(
        "accounts {{
           A {{ {jetstream} users: [{{ user: admin, password: a }}] }}
           B {{ jetstream: enabled, users: [{{ user: other, password: o }}] }}
         }}"
    )
}

async fn start(jetstream: &str) -> (Server, Bucket) {
    let server = Server::builder().config(account(jetstream)).start().await;
    let client = server.client_as("admin", "a").await;
    let bucket = Bucket::create(client, BucketConfig::new("b")).await.unwrap();
    (server, bucket)
}

fn is_live(health: &Health) -> bool {
    health.state == WatchState::Live
}

// P5
#[tokio::test]
async fn a_start_names_the_limit_of_consumers_and_goes_through_when_there_is_one_again() {
    let (server, bucket) = start("jetstream { max_consumers: 1, max_file: 100MB },").await;
    let first = live(&bucket, "shop").await;
    let other = Bucket::open(server.client_as("admin", "a").await, "b").await.unwrap();
    let start = other.live::<Pool>().prefix("shop").deadline(Duration::from_secs(1)).start();
    assert_eq!(
        start.await.unwrap_err().to_string(),
        "bucket b was not loaded within 1s: reading the bucket again: the server refused a subscription (error 10026): \
         maximum consumers limit reached"
    );
    // It waits for one.
    let start = tokio::spawn(other.live::<Pool>().prefix("shop").deadline(BOUND).start());
    let revision = bucket.put("shop.max", "20").await.unwrap();
    reach(&first, revision).await;
    drop(first);
    let second = start.await.unwrap().unwrap();
    assert_eq!((second.load().max, second.health().state), (20, WatchState::Live));
}

// P5, P6: the bucket itself has no limit.
#[tokio::test]
async fn an_account_without_room_says_so_and_readers_go_on() {
    let limits = |file: &str| format!("jetstream {{ max_consumers: 100, max_file: {file} }},");
    let (mut server, bucket) = start(&limits("200KB")).await;
    let pool = live(&bucket, "shop").await;
    let mut number = 0;
    let refused = wait_for("a write that is refused", BOUND, async || {
        number += 1;
        bucket.put(format!("filler.{number}"), vec![b'x'; 20_000]).await.err()
    });
    let refused = refused.await;
    assert!(matches!(&refused, WriteError::NoRoom { bucket, .. } if bucket == "b"), "{refused:?}");
    assert_eq!(refused.to_string(), "there is no room for bucket b: resource limits exceeded for account");
    assert_eq!(pool.health().state, WatchState::Live);
    server.reload(&account(&limits("20MB"))).await;
    let large = bucket.put("filler.large", vec![b'x'; 20_000]).await.unwrap();
    let applied = pool.update(|pool| (pool.max, pool.min) = (40, 30)).await.unwrap();
    assert!(applied.revision() > large);
    reach(&pool, applied.revision()).await;
}

// P4, P5: the connection stays.
#[tokio::test]
async fn jetstream_that_is_taken_from_an_account_and_given_back_is_told_of() {
    let (mut server, bucket) = start("jetstream: enabled,").await;
    let pool = live(&bucket, "shop").await;
    let revision = bucket.put("shop.max", "20").await.unwrap();
    reach(&pool, revision).await;
    server.reload(&account("")).await;
    let off = "reading the bucket again: the server refused a subscription (error 10039): JetStream not enabled for account";
    let told = health(&pool, |health| health.state.to_string() == off).await;
    assert!(told.is_ready() && !told.is_current());
    let refused = pool.update(|pool| pool.max = 30).await.unwrap_err();
    assert_eq!(
        words(&refused),
        "the change was not written: the write was not made: the server refused a write (error 503): nobody answers for \
         bucket b: its replicas elect a leader, or JetStream is off"
    );
    assert_eq!(pool.load().max, 20);
    server.reload(&account("jetstream: enabled,")).await;
    health(&pool, is_live).await;
    let applied = pool.update(|pool| pool.max = 30).await.unwrap();
    reach(&pool, applied.revision()).await;
    assert_eq!((pool.load().max, pool.load().epoch()), (30, 0));
}

// P5, P6
#[tokio::test]
async fn a_writer_who_loses_the_permission_to_write_is_told_which_and_goes_on_to_read() {
    let users = |more: &str| {
        format!(
            "authorization {{ users: [
               {{ user: admin, password: a }}
               {{ user: writer, password: w, permissions: {{
                  publish: [\"$JS.>\"{more}], subscribe: [\"_INBOX_writer.>\"] }} }}
             ] }}"
        )
    };
    let (with, without) = (users(", \"$KV.>\""), users(""));
    let mut server = Server::builder().config(&with).start().await;
    let admin = Bucket::create(server.client_as("admin", "a").await, BucketConfig::new("b")).await.unwrap();
    let denials = Denials::new();
    let told = denials.clone();
    let options = ConnectOptions::with_user_and_password("writer".into(), "w".into())
        .custom_inbox_prefix("_INBOX_writer")
        .event_callback(move |event| {
            told.observe(&event);
            std::future::ready(())
        });
    let client = server.connect(options).await;
    let writer = Bucket::open(Connection::new(&client).denials(&denials), "b").await.unwrap();
    let pool = live(&writer, "shop").await;
    let applied = pool.update(|pool| (pool.max, pool.min) = (40, 30)).await.unwrap();
    reach(&pool, applied.revision()).await;

    server.reload(&without).await;
    for refused in [
        pool.update(|pool| pool.max = 50).await.unwrap_err(),
        pool.update(|pool| (pool.max, pool.min) = (50, 40)).await.unwrap_err(),
    ] {
        let words = words(&refused);
        let expected = "the change was not written: the write was not made: not permitted: $KV.b.shop.m";
        assert!(words.starts_with(expected), "{words}");
    }
    let theirs = admin.put("shop.max", "60").await.unwrap();
    reach(&pool, theirs).await;
    assert_eq!((pool.load().min, pool.load().max), (30, 60));

    server.reload(&with).await;
    let applied = pool.update(|pool| (pool.max, pool.min) = (70, 60)).await.unwrap();
    reach(&pool, applied.revision()).await;
    assert_eq!(health(&pool, is_live).await.applied, applied.revision());
}
