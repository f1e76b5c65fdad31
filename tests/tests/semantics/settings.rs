use std::time::Duration;

use kvconf::{BucketConfig, ReadError, Storage, WriteError};

use super::backend::{Backend, rev};

pub(crate) async fn a_status_is_fresh(backend: &Backend) {
    let bucket = backend.keeping(2).await;
    let before = bucket.status().await.unwrap();
    assert_eq!((before.entries, before.bytes, before.last_revision), (0, 0, rev(0)));
    for n in 0..3 {
        bucket.put("a", n.to_string()).await.unwrap();
    }
    let after = bucket.status().await.unwrap();
    assert_eq!((after.entries, after.first_revision, after.last_revision), (2, rev(2), rev(3)));
    assert_eq!(after.created, before.created);
    assert!(after.bytes > 0);
    let watch = bucket.watch_all().await.unwrap();
    assert_eq!(bucket.status().await.unwrap().consumers, 1);
    drop(watch);
}

pub(crate) async fn an_update_of_one_setting_keeps_the_others(backend: &Backend) {
    let mut config = BucketConfig::new("cfg");
    config.description = Some("before".to_owned());
    config.history = Some(7);
    config.max_age = Some(Duration::from_secs(3_600));
    config.max_bytes = Some(1_000_000);
    config.max_value_size = Some(1_000);
    config.limit_markers = Some(Duration::from_secs(60));
    config.max_consumers = Some(2_000);
    let bucket = backend.bucket(config.clone()).await;
    let mut change = BucketConfig::unchanged("cfg");
    change.description = Some("after".to_owned());
    let answered = bucket.update_config(&change).await.unwrap().config;
    let asked = bucket.status().await.unwrap().config;
    for found in [answered, asked] {
        assert_eq!(found.description.as_deref(), Some("after"));
        assert_eq!(found.history, config.history);
        assert_eq!(found.max_age, config.max_age);
        assert_eq!(found.max_bytes, config.max_bytes);
        assert_eq!(found.max_value_size, config.max_value_size);
        assert_eq!(found.limit_markers, config.limit_markers);
        assert_eq!(found.max_consumers, config.max_consumers);
        assert_eq!(found.allow_atomic_batches, Some(true));
    }
}

pub(crate) async fn metadata_is_merged(backend: &Backend) {
    let mut config = BucketConfig::new("cfg");
    config.metadata.insert("team".to_owned(), "shop".to_owned());
    config.metadata.insert("tier".to_owned(), "1".to_owned());
    let bucket = backend.bucket(config).await;
    let mut change = BucketConfig::unchanged("cfg");
    change.metadata.insert("tier".to_owned(), "2".to_owned());
    let found = bucket.update_config(&change).await.unwrap().config.metadata;
    assert_eq!(found.get("team").map(String::as_str), Some("shop"));
    assert_eq!(found.get("tier").map(String::as_str), Some("2"));
}

pub(crate) async fn what_is_fixed_at_creation_is_refused(backend: &Backend) {
    let mut config = BucketConfig::new("cfg");
    config.storage = Some(Storage::Memory);
    let bucket = backend.bucket(config).await;
    let mut change = BucketConfig::unchanged("cfg");
    change.storage = Some(Storage::File);
    let refused = bucket.update_config(&change).await;
    assert!(
        matches!(&refused, Err(WriteError::Failed(ReadError::Server { code: 10_052, .. }))),
        "{refused:?}"
    );
    assert_eq!(bucket.status().await.unwrap().config.storage, Some(Storage::Memory));
}
