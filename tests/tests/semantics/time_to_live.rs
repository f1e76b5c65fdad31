use std::time::Duration;

use kvconf::{Bucket, BucketConfig, Entry, MarkerReason, Operation, ReadError, Revision, WriteError};
use kvconf_tests::wait_for;

use super::backend::{BOUND, Backend, events, short, shorts, value};

const SECOND: Duration = Duration::from_secs(1);

fn markers_for(ttl: Duration, history: u32) -> BucketConfig {
    let mut config = BucketConfig::new("cfg");
    config.history = Some(history);
    config.limit_markers = Some(ttl);
    config
}

async fn newest(bucket: &Bucket, key: &str) -> Option<Entry> {
    bucket.entry(key).await.unwrap()
}

async fn until_gone(bucket: &Bucket, key: &str) {
    wait_for("no entry left", BOUND, async || newest(bucket, key).await.is_none().then_some(())).await;
}

pub(crate) async fn an_expired_key_leaves_a_marker_that_leaves_too(backend: &Backend) {
    let bucket = backend.bucket(markers_for(SECOND, 1)).await;
    let written = bucket.put("a", "1").ttl(SECOND).await.unwrap();
    let marker = wait_for("the marker", BOUND, async || {
        newest(&bucket, "a").await.filter(|entry| entry.revision() > written)
    })
    .await;
    assert_eq!((marker.operation(), marker.marker_reason()), (Operation::Purge, Some(MarkerReason::MaxAge)));
    assert_eq!((marker.revision().get(), value(&bucket, "a").await), (2, None));
    until_gone(&bucket, "a").await;
    let status = bucket.status().await.unwrap();
    assert_eq!((status.entries, status.last_revision.get()), (0, 2));
}

pub(crate) async fn a_watch_sees_an_expiry(backend: &Backend) {
    let bucket = backend.bucket(markers_for(SECOND, 1)).await;
    let mut watch = bucket.watch("a").await.unwrap();
    bucket.create_key("a", "1").ttl(SECOND).await.unwrap();
    bucket.put("b", "1").await.unwrap();
    assert_eq!(events(&mut watch, 3).await, "loaded a@1=1 a@3!");
}

pub(crate) async fn a_key_with_history_falls_back_without_a_word(backend: &Backend) {
    let bucket = backend.bucket(markers_for(SECOND, 5)).await;
    bucket.put("a", "old").await.unwrap();
    bucket.put("a", "new").ttl(SECOND).await.unwrap();
    wait_for("the earlier value", BOUND, async || {
        (value(&bucket, "a").await.as_deref() == Some("old")).then_some(())
    })
    .await;
    assert_eq!(shorts(&bucket.history("a").await.unwrap()), "a@1=old");
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 2);
}

pub(crate) async fn a_short_time_is_raised_to_that_of_the_markers(backend: &Backend) {
    let bucket = backend.bucket(markers_for(3 * SECOND, 5)).await;
    bucket.put("a", "1").ttl(SECOND).await.unwrap();
    let written = newest(&bucket, "a").await.unwrap();
    let marker = wait_for("the marker", BOUND, async || {
        newest(&bucket, "a").await.filter(|entry| entry.marker_reason().is_some())
    })
    .await;
    let lived = marker.created().duration_since(written.created()).unwrap();
    assert!(lived >= 3 * SECOND, "{lived:?}");
}

pub(crate) async fn a_created_key_keeps_its_time_over_a_marker(backend: &Backend) {
    let bucket = backend.bucket(markers_for(SECOND, 1)).await;
    bucket.put("a", "1").await.unwrap();
    bucket.delete("a").await.unwrap();
    let created = bucket.create_key("a", "2").ttl(SECOND).await.unwrap();
    assert_eq!(value(&bucket, "a").await.as_deref(), Some("2"));
    let marker = wait_for("the marker", BOUND, async || {
        newest(&bucket, "a").await.filter(|entry| entry.revision() > created)
    })
    .await;
    assert_eq!(short(&marker), "a@4!");
}

pub(crate) async fn the_marker_of_a_purge_can_expire(backend: &Backend) {
    let bucket = backend.bucket(markers_for(SECOND, 5)).await;
    bucket.put("a", "1").await.unwrap();
    let purged = bucket.purge("a").ttl(SECOND).await.unwrap();
    until_gone(&bucket, "a").await;
    // A marker that expires leaves no marker.
    assert_eq!(bucket.status().await.unwrap().last_revision, purged);
}

pub(crate) async fn a_bucket_without_markers_takes_no_time_to_live(backend: &Backend) {
    let mut config = BucketConfig::new("cfg");
    config.limit_markers = None;
    let bucket = backend.bucket(config).await;
    let refused = bucket.put("a", "1").ttl(SECOND).await;
    assert!(matches!(&refused, Err(WriteError::Failed(ReadError::Unsupported { .. }))), "{refused:?}");
    assert_eq!(bucket.status().await.unwrap().last_revision, Revision::ZERO);
}

pub(crate) async fn times_are_whole_seconds(backend: &Backend) {
    let bucket = backend.plain().await;
    for ttl in [Duration::ZERO, SECOND / 2, SECOND * 3 / 2] {
        let refused = bucket.create_key("a", "1").ttl(ttl).await;
        assert!(matches!(&refused, Err(WriteError::Invalid { .. })), "{refused:?}");
    }
    assert_eq!(bucket.status().await.unwrap().last_revision, Revision::ZERO);
}

pub(crate) async fn an_expiring_deletion_is_refused(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    let refused = bucket.delete("a").ttl(SECOND).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "invalid write: a would get its earlier value back when its deletion expires; purge it"
    );
}

pub(crate) async fn a_bucket_can_expire_everything_in_silence(backend: &Backend) {
    let mut config = BucketConfig::new("cfg");
    config.limit_markers = None;
    config.max_age = Some(SECOND);
    let bucket = backend.bucket(config).await;
    let mut watch = bucket.watch_all().await.unwrap();
    bucket.put("a", "1").await.unwrap();
    bucket.delete("b").await.unwrap();
    assert_eq!(events(&mut watch, 3).await, "loaded a@1=1 b@2-");
    until_gone(&bucket, "a").await;
    until_gone(&bucket, "b").await;
    bucket.put("c", "1").await.unwrap();
    assert_eq!(events(&mut watch, 1).await, "c@3=1");
}
