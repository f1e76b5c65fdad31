use kvconf::{BucketConfig, Filter, KeyError, Operation, ReadError, Revision, WriteError};

use super::backend::{Backend, rev, shorts, value};

/// What a conflict says that it found; anything else fails the case.
pub(crate) fn conflict(result: Result<Revision, WriteError>) -> Option<u64> {
    match result {
        Err(WriteError::Conflict { found }) => found.map(Revision::get),
        other => panic!("a conflict, not {other:?}"),
    }
}

pub(crate) async fn revisions_are_one_sequence_for_the_whole_bucket(backend: &Backend) {
    let bucket = backend.plain().await;
    let mut revisions = Vec::new();
    for key in ["a", "b", "a"] {
        revisions.push(bucket.put(key, "v").await.unwrap().get());
    }
    revisions.push(bucket.delete("b").await.unwrap().get());
    revisions.push(bucket.purge("a").await.unwrap().get());
    assert_eq!(revisions, [1, 2, 3, 4, 5]);
}

pub(crate) async fn an_update_needs_the_newest_revision(backend: &Backend) {
    let bucket = backend.plain().await;
    let first = bucket.put("a", "1").await.unwrap();
    bucket.put("other", "1").await.unwrap();
    let second = bucket.update("a", "2", first).await.unwrap();
    assert_eq!(conflict(bucket.update("a", "3", first).await), Some(second.get()));
    assert_eq!(conflict(bucket.update("a", "3", rev(99)).await), Some(second.get()));
    assert_eq!(value(&bucket, "a").await.as_deref(), Some("2"));
}

pub(crate) async fn revision_zero_expects_no_entry_at_all(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.update("a", "1", Revision::ZERO).await.unwrap();
    assert_eq!(conflict(bucket.update("a", "2", Revision::ZERO).await), Some(1));
    let marker = bucket.delete("a").await.unwrap();
    assert_eq!(conflict(bucket.update("a", "2", Revision::ZERO).await), Some(marker.get()));
    bucket.update("a", "2", marker).await.unwrap();
    assert_eq!(value(&bucket, "a").await.as_deref(), Some("2"));
}

pub(crate) async fn a_key_is_created_once(backend: &Backend) {
    let bucket = backend.plain().await;
    let created = bucket.create_key("a", "1").await.unwrap();
    match bucket.create_key("a", "2").await {
        Err(WriteError::Exists { key, revision }) => {
            assert_eq!((key.as_str(), revision), ("a", created));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(value(&bucket, "a").await.as_deref(), Some("1"));
}

pub(crate) async fn a_removed_key_can_be_created_again(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    bucket.delete("a").await.unwrap();
    bucket.create_key("a", "2").await.unwrap();
    bucket.purge("a").await.unwrap();
    let third = bucket.create_key("a", "3").header("Kvconf-Author", "ops").await.unwrap();
    let entry = bucket.entry("a").await.unwrap().unwrap();
    assert_eq!(entry.revision(), third);
    assert_eq!(entry.headers().get("Kvconf-Author"), Some("ops"));
}

pub(crate) async fn an_expectation_can_stand_on_another_key(backend: &Backend) {
    let bucket = backend.plain().await;
    let on = || Filter::new("gate").unwrap();
    bucket.put("a", "1").expect_on(on(), Revision::ZERO).await.unwrap();
    let gate = bucket.put("gate", "open").await.unwrap();
    bucket.put("a", "2").expect_on(on(), gate).await.unwrap();
    let closed = bucket.delete("gate").await.unwrap();
    assert_eq!(conflict(bucket.put("a", "3").expect_on(on(), gate).await), Some(closed.get()));
    assert_eq!(value(&bucket, "a").await.as_deref(), Some("2"));
}

pub(crate) async fn an_expectation_on_a_pattern_guards_a_whole_prefix(backend: &Backend) {
    let bucket = backend.plain().await;
    let on = || Filter::new("app.>").unwrap();
    bucket.put("app.a", "1").await.unwrap();
    let newest = bucket.put("app.b.c", "1").await.unwrap();
    bucket.put("other", "1").await.unwrap();
    let mine = bucket.put("app.a", "2").expect_on(on(), newest).await.unwrap();
    assert_eq!(conflict(bucket.put("app.b.c", "2").expect_on(on(), newest).await), Some(mine.get()));
    bucket.put("elsewhere", "1").expect_on(on(), mine).await.unwrap();
}

pub(crate) async fn a_delete_leaves_a_marker_and_the_history(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    bucket.delete("a").await.unwrap();
    assert_eq!(value(&bucket, "a").await, None);
    let marker = bucket.entry("a").await.unwrap().unwrap();
    assert_eq!((marker.operation(), marker.marker_reason()), (Operation::Delete, None));
    assert_eq!(marker.value(), "");
    assert_eq!(marker.headers().get("KV-Operation"), Some("DEL"));
    assert_eq!(shorts(&bucket.history("a").await.unwrap()), "a@1=1 a@2-");
}

pub(crate) async fn a_purge_leaves_a_marker_alone(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    bucket.put("a", "2").await.unwrap();
    bucket.purge("a").header("Kvconf-Reason", "leaked").await.unwrap();
    assert_eq!(shorts(&bucket.history(">").await.unwrap()), "b@2=1 a@4!");
    let marker = bucket.entry("a").await.unwrap().unwrap();
    assert_eq!((marker.operation(), marker.marker_reason()), (Operation::Purge, None));
    assert_eq!(marker.headers().get("KV-Operation"), Some("PURGE"));
    assert_eq!(marker.headers().get("Kvconf-Reason"), Some("leaked"));
}

pub(crate) async fn removals_take_an_expected_revision(backend: &Backend) {
    let bucket = backend.plain().await;
    let first = bucket.put("a", "1").await.unwrap();
    let second = bucket.put("a", "2").await.unwrap();
    assert_eq!(conflict(bucket.delete("a").expect(first).await), Some(second.get()));
    assert_eq!(conflict(bucket.purge("a").expect(first).await), Some(second.get()));
    let deleted = bucket.delete("a").expect(second).await.unwrap();
    bucket.purge("a").expect(deleted).await.unwrap();
    assert_eq!(shorts(&bucket.history("a").await.unwrap()), "a@4!");
}

pub(crate) async fn removing_what_is_not_there_leaves_a_marker(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.delete("a").await.unwrap();
    bucket.purge("b").await.unwrap();
    assert_eq!(shorts(&bucket.history(">").await.unwrap()), "a@1- b@2!");
}

pub(crate) async fn headers_come_back_as_they_were_written(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").header("Kvconf-Author", "José: ops").header("x-Trace", "1,2").await.unwrap();
    let entry = bucket.entry("a").await.unwrap().unwrap();
    assert_eq!(entry.headers().get("Kvconf-Author"), Some("José: ops"));
    assert_eq!(entry.headers().get("x-Trace"), Some("1,2"));
    assert_eq!(entry.headers().get("X-Trace"), None);
}

pub(crate) async fn an_empty_value_is_a_value(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "").await.unwrap();
    assert_eq!(value(&bucket, "a").await.as_deref(), Some(""));
    assert_eq!(bucket.keys(">").await.unwrap().len(), 1);
}

pub(crate) async fn names_are_checked_before_anything_is_sent(backend: &Backend) {
    let bucket = backend.plain().await;
    let is_empty_token = |error: &KeyError| matches!(error, KeyError::EmptyToken { text } if text == "a..b");
    let refused = bucket.put("a..b", "1").await;
    assert!(
        matches!(&refused, Err(WriteError::Failed(ReadError::Name(error))) if is_empty_token(error)),
        "{refused:?}"
    );
    let refused = bucket.batch().put("a", "1").put("a..b", "1").commit().await;
    assert!(
        matches!(&refused, Err(WriteError::Failed(ReadError::Name(error))) if is_empty_token(error)),
        "{refused:?}"
    );
    let refused = bucket.get("a..b").await;
    assert!(matches!(&refused, Err(ReadError::Name(error)) if is_empty_token(error)), "{refused:?}");
    let refused = bucket.keys("a*").await;
    assert!(matches!(&refused, Err(ReadError::Name(KeyError::Wildcard { .. }))), "{refused:?}");
    let refused = bucket.watch("a..b").await;
    assert!(matches!(&refused, Err(ReadError::Name(error)) if is_empty_token(error)), "{refused:?}");
    assert_eq!(bucket.status().await.unwrap().last_revision, Revision::ZERO);
}

pub(crate) async fn reserved_keys_and_headers_are_refused(backend: &Backend) {
    let bucket = backend.plain().await;
    let refusal = |result: Result<Revision, WriteError>| result.unwrap_err().to_string();
    assert_eq!(
        refusal(bucket.put("_kvconf.schema", "1").await),
        "invalid write: _kvconf.schema belongs to kvconf, as all keys below _kvconf"
    );
    assert_eq!(
        refusal(bucket.put("a", "1").header("Kvconf-Set", "1/1").await),
        "header Kvconf-Set cannot be sent: kvconf writes it on the entries of a batch"
    );
    for name in ["Nats-Rollup", "nats-ttl", "KV-Operation"] {
        assert_eq!(
            refusal(bucket.batch().put("a", "1").header(name, "all").commit().await),
            format!("header {name} cannot be sent: its name has a meaning for the server")
        );
    }
    assert_eq!(
        refusal(bucket.put("a", "1").header("A", "x\nNats-Rollup: all").await),
        "header A cannot be sent: its value has a line break"
    );
    assert_eq!(bucket.status().await.unwrap().last_revision, Revision::ZERO);
}

pub(crate) async fn a_value_above_the_limit_is_refused_with_its_size(backend: &Backend) {
    let mut config = BucketConfig::new("cfg");
    config.max_value_size = Some(60);
    let bucket = backend.bucket(config).await;
    bucket.put("a", vec![b'x'; 60]).await.unwrap();
    let refused = bucket.put("a", vec![b'x'; 61]).await;
    assert!(
        matches!(&refused, Err(WriteError::TooLarge { key, bytes: 61, max: 60 }) if key.as_str() == "a"),
        "{refused:?}"
    );
    // The headers count: 25 bytes for one of this size, its frame included.
    bucket.put("a", vec![b'x'; 35]).header("Name", "value").await.unwrap();
    let refused = bucket.put("a", vec![b'x'; 36]).header("Name", "value").await;
    assert!(matches!(refused, Err(WriteError::TooLarge { bytes: 61, max: 60, .. })), "{refused:?}");
    let status = bucket.status().await.unwrap();
    assert_eq!((status.entries, status.last_revision), (2, rev(2)));
}

pub(crate) async fn a_full_bucket_refuses_what_is_new(backend: &Backend) {
    let mut config = BucketConfig::new("cfg");
    config.history = Some(1);
    config.max_bytes = Some(300);
    let bucket = backend.bucket(config).await;
    for key in ["a", "b", "c"] {
        bucket.put(key, vec![b'x'; 50]).await.unwrap();
    }
    let refused = bucket.put("d", vec![b'x'; 50]).await;
    assert!(matches!(&refused, Err(WriteError::Full { bucket }) if bucket == "cfg"), "{refused:?}");
    // What pushes out an older entry of its own size still fits.
    bucket.put("a", vec![b'y'; 50]).await.unwrap();
    assert_eq!(bucket.keys(">").await.unwrap().len(), 3);
}

/// Past states are told from it: what a write expected is known to have stood there.
pub(crate) async fn an_expectation_is_kept_with_its_entry(backend: &Backend) {
    const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
    const EXPECTED_ON: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    bucket.update("a", "2", rev(1)).await.unwrap();
    bucket.create_key("b", "1").await.unwrap();
    bucket.batch().put("a", "3").expect(rev(2)).put("c", "1").expect(rev(0)).commit().await.unwrap();
    bucket.put("d", "1").expect_on(Filter::new("a").unwrap(), rev(4)).await.unwrap();
    let entries = bucket.history(">").await.unwrap();
    let kept: Vec<_> =
        entries.iter().map(|e| (e.headers().get(EXPECTED), e.headers().get(EXPECTED_ON))).collect();
    assert_eq!(
        kept,
        [
            (None, None),
            (Some("1"), None),
            (Some("0"), None),
            (Some("2"), None),
            (Some("0"), None),
            (Some("4"), Some("$KV.cfg.a")),
        ]
    );
}
