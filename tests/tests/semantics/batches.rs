use kvconf::{BucketConfig, Filter, ReadError, Revision, WriteError};

use super::backend::{Backend, rev, shorts, value};
use super::writes::conflict;

pub(crate) async fn a_batch_stands_in_one_piece(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    bucket.put("c", "1").await.unwrap();
    let last = bucket
        .batch()
        .put("a", "2")
        .expect(rev(1))
        .delete("b")
        .expect(rev(2))
        .purge("c")
        .put("d", "1")
        .expect(Revision::ZERO)
        .commit()
        .await
        .unwrap();
    assert_eq!(last, rev(7));
    assert_eq!(shorts(&bucket.history(">").await.unwrap()), "a@1=1 b@2=1 a@4=2 b@5- c@6! d@7=1");
}

pub(crate) async fn one_wrong_expectation_refuses_the_whole_batch(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    let last = bucket.put("b", "2").await.unwrap();
    let refused = bucket.batch().put("a", "2").expect(rev(1)).put("b", "3").expect(rev(2)).put("c", "1");
    assert_eq!(conflict(refused.commit().await), Some(last.get()));
    assert_eq!(shorts(bucket.read(">").await.unwrap().entries()), "a@1=1 b@3=2");
    assert_eq!(bucket.status().await.unwrap().last_revision, last);
}

pub(crate) async fn a_batch_expects_what_was_before_it(backend: &Backend) {
    let bucket = backend.plain().await;
    let on = || Filter::new("app.>").unwrap();
    let newest = bucket.put("app.a", "1").await.unwrap();
    // The first message writes below the prefix; the second one's guard still sees the state before the batch.
    let batch = bucket.batch().put("app.b", "1").put("app.c", "1").expect_on(on(), newest);
    let last = batch.commit().await.unwrap();
    assert_eq!(last, rev(3));
    let stale = bucket.batch().put("x", "1").put("y", "1").expect_on(on(), newest);
    assert_eq!(conflict(stale.commit().await), Some(3));
}

pub(crate) async fn a_batch_cannot_expect_a_key_that_it_wrote_before(backend: &Backend) {
    let bucket = backend.plain().await;
    let newest = bucket.put("a", "1").await.unwrap();
    let on = Filter::new("a").unwrap();
    let batch = bucket.batch().put("a", "2").put("b", "1").expect_on(on, newest);
    let refused = batch.commit().await;
    assert!(matches!(refused, Err(WriteError::Conflict { .. })), "{refused:?}");
    assert_eq!(value(&bucket, "a").await.as_deref(), Some("1"));
}

pub(crate) async fn a_key_stands_once_in_a_batch(backend: &Backend) {
    let bucket = backend.plain().await;
    let refusal = |result: Result<Revision, WriteError>| result.unwrap_err().to_string();
    assert_eq!(
        refusal(bucket.batch().put("a", "1").put("b", "1").delete("a").commit().await),
        "invalid write: a stands twice in one batch; no server takes that safely"
    );
    assert_eq!(refusal(bucket.batch().commit().await), "invalid write: a batch needs at least one key");
    assert_eq!(
        refusal(bucket.batch().expect(rev(1)).put("a", "1").commit().await),
        "invalid write: expect needs a key before it"
    );
    assert_eq!(bucket.status().await.unwrap().last_revision, Revision::ZERO);
}

fn without_batches() -> BucketConfig {
    let mut config = BucketConfig::new("cfg");
    config.allow_atomic_batches = Some(false);
    config
}

pub(crate) async fn a_bucket_without_atomic_batches_says_so(backend: &Backend) {
    let bucket = backend.bucket(without_batches()).await;
    let refused = bucket.batch().put("a", "1").put("b", "1").commit().await;
    assert!(matches!(&refused, Err(WriteError::Failed(ReadError::Unsupported { .. }))), "{refused:?}");
    let status = bucket.status().await.unwrap();
    assert_eq!((status.max_batch, status.last_revision), (1, Revision::ZERO));
}

pub(crate) async fn a_batch_of_one_needs_no_atomic_batches(backend: &Backend) {
    let bucket = backend.bucket(without_batches()).await;
    let first = bucket.batch().put("a", "1").expect(Revision::ZERO).commit().await.unwrap();
    assert_eq!(conflict(bucket.batch().put("a", "2").expect(Revision::ZERO).commit().await), Some(1));
    assert_eq!(first, rev(1));
}

pub(crate) async fn a_thousand_keys_are_the_most(backend: &Backend) {
    let bucket = backend.plain().await;
    let batch = |count: usize| (0..count).fold(bucket.batch(), |batch, n| batch.put(format!("k{n}"), "v"));
    assert_eq!(bucket.status().await.unwrap().max_batch, 1_000);
    let refused = batch(1_001).commit().await;
    assert!(matches!(refused, Err(WriteError::TooMany { keys: 1_001, max: 1_000 })), "{refused:?}");
    assert_eq!(bucket.status().await.unwrap().last_revision, Revision::ZERO);
    assert_eq!(batch(1_000).commit().await.unwrap(), rev(1_000));
}

pub(crate) async fn a_batch_carries_one_change_id(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.batch().put("a", "1").header("Kvconf-Author", "ops").put("b", "1").commit().await.unwrap();
    let entries = bucket.history(">").await.unwrap();
    let header = |at: usize, name: &str| entries[at].headers().get(name).map(str::to_owned);
    assert!(header(0, "Kvconf-Change").is_some());
    assert_eq!(header(0, "Kvconf-Change"), header(1, "Kvconf-Change"));
    assert_eq!(header(0, "Kvconf-Author").as_deref(), Some("ops"));
    assert_eq!(header(1, "Kvconf-Author"), None);
    assert_eq!(header(0, "Nats-Batch-Id"), header(1, "Nats-Batch-Id"));
    assert_eq!(header(0, "Nats-Batch-Sequence").as_deref(), Some("1"));
    assert_eq!(header(1, "Nats-Batch-Sequence").as_deref(), Some("2"));
    assert_eq!(header(0, "Nats-Batch-Commit"), None);
    assert_eq!(header(1, "Nats-Batch-Commit").as_deref(), Some("1"));
}
