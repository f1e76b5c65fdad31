//! A server without atomic batches.

use std::error::Error;

use kvconf::{Bucket, BucketConfig, CommitError, KvConfig};
use kvconf_tests::server::{Server, installed};

use super::{Pool, live, reach};

#[tokio::test]
async fn several_keys_are_refused_with_the_reason_unless_written_one_by_one() {
    let server = Server::builder().binary(installed("2.11.11")).start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    let pool = live(&bucket, "shop").await;
    let applied = pool.update(|pool| pool.max = 20).author("ops").await.unwrap();
    reach(&pool, applied.revision()).await;

    let edit = || pool.edit().set(Pool::fields().min, 2).set(Pool::fields().max, 30);
    let error = edit().plan().await.unwrap().commit().author("ops").await.unwrap_err();
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    assert_eq!(
        words,
        [
            "the change was not written",
            "the write was not made",
            "an atomic batch is not supported: nats-server 2.11.11 has none, 2.12 is the first that does; \
             one_by_one writes the keys of a struct one after the other"
        ]
    );
    assert_eq!(bucket.status().await.unwrap().last_revision, applied.revision());

    let applied = edit().plan().await.unwrap().commit().author("ops").one_by_one().await.unwrap();
    let written: Vec<_> =
        applied.written().iter().map(|(key, revision)| (key.as_str(), revision.get())).collect();
    assert_eq!(written, [("shop.max", 2), ("shop.min", 3)]);
    reach(&pool, applied.revision()).await;
    assert_eq!((pool.load().min, pool.load().max), (2, 30));
}

// P6
#[tokio::test]
async fn one_by_one_says_what_was_written_when_it_stops() {
    let server = Server::builder().binary(installed("2.11.11")).start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    let pool = live(&bucket, "shop").await;
    let plan = pool.edit().set(Pool::fields().min, 2).set(Pool::fields().max, 30).plan().await.unwrap();
    bucket.put("shop.min", "1").header("Kvconf-Author", "eva").await.unwrap();
    let error = plan.commit().author("ops").one_by_one().await.unwrap_err();
    let CommitError::Partial { written, key, error } = error else { panic!("{error:?}") };
    let written: Vec<_> = written.iter().map(|(key, revision)| (key.as_str(), revision.get())).collect();
    assert_eq!((&written[..], key.as_str()), (&[("shop.max", 2)][..], "shop.min"));
    assert_eq!(
        error.to_string(),
        "shop.min was changed meanwhile: based on no value, now at revision 1 by eva"
    );
}
