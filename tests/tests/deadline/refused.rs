//! What a change with a deadline needs, and what is said where it is missing.

use kvconf::{Bucket, BucketConfig, CommitError, KvConfig, Live, ProvisionalError, Revision};

use crate::deadline::backend::{Backend, LATER, SECOND, Shop, both, quick, quick_on, start, trial};

/// Tries a change of two keys and makes sure that nothing was written.
async fn refusal(bucket: &Bucket, live: &Live<Shop>, within: std::time::Duration) -> ProvisionalError {
    let before = bucket.status().await.unwrap().last_revision;
    let refused = both(live, 5, 50).await.commit().confirm_within(within).await.unwrap_err();
    assert_eq!(bucket.status().await.unwrap().last_revision, before);
    refused
}

async fn with(backend: &Backend, change: impl FnOnce(&mut BucketConfig)) -> (Bucket, Live<Shop>) {
    let mut config = quick();
    change(&mut config);
    let bucket = backend.bucket(config).await;
    let live = start(&bucket).await;
    (bucket, live)
}

pub(crate) async fn a_bucket_that_keeps_one_revision(backend: &Backend) {
    let (bucket, live) = with(backend, |config| config.history = Some(1)).await;
    let refused = refusal(&bucket, &live, LATER).await;
    assert_eq!(refused.to_string(), "the bucket keeps no earlier revision to go back to");
}

pub(crate) async fn a_bucket_without_time_to_live(backend: &Backend) {
    let (bucket, live) = with(backend, |config| config.limit_markers = None).await;
    let refused = refusal(&bucket, &live, LATER).await;
    assert_eq!(refused.to_string(), "the bucket has no time to live for single keys");
}

pub(crate) async fn a_deadline_that_the_bucket_cannot_keep(backend: &Backend) {
    let (bucket, live) = with(backend, |config| {
        config.limit_markers = Some(5 * SECOND);
        config.max_age = Some(60 * SECOND);
    })
    .await;
    let short = refusal(&bucket, &live, 4 * SECOND).await;
    assert_eq!(short.to_string(), "a deadline of 4s is too short: the bucket's least is 5s");
    let long = refusal(&bucket, &live, 61 * SECOND).await;
    assert_eq!(long.to_string(), "a deadline of 61s is too long: the bucket keeps no value longer than 60s");
    assert!(matches!(
        refusal(&bucket, &live, std::time::Duration::ZERO).await,
        ProvisionalError::TooShort { .. }
    ));
}

// P2
pub(crate) async fn several_keys_without_atomic_batches(backend: &Backend) {
    let (bucket, live) = with(backend, |config| config.allow_atomic_batches = Some(false)).await;
    let refused = refusal(&bucket, &live, LATER).await;
    assert_eq!(refused.to_string(), "2 keys cannot be changed at once, the most is 1");
    let one = live.edit().set(Shop::fields().max, 50).plan().await.unwrap();
    let change = one.commit().confirm_within(LATER).await.unwrap();
    assert_eq!(change.confirm().await.unwrap().written().len(), 1);
}

// P6
pub(crate) async fn a_key_that_waits_already(backend: &Backend) {
    let (bucket, live) = with(backend, |_| {}).await;
    let first = trial(&live, LATER).await;
    let before = bucket.status().await.unwrap().last_revision;
    let plan = live.edit().set(Shop::fields().max, 60).plan().await.unwrap();
    let refused = plan.commit().confirm_within(LATER).await.unwrap_err();
    let expected = format!("shop.max waits for change {} to be confirmed", first.change());
    assert_eq!(refused.to_string(), expected);
    assert_eq!(bucket.status().await.unwrap().last_revision, before);
    // Without a deadline it may be written over: a fix must not have to wait.
    live.update(|shop| shop.max = 60).await.unwrap();
}

pub(crate) async fn a_value_that_ends_by_itself(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.max", "20").ttl(LATER).await.unwrap();
    let live = start(&bucket).await;
    let refused = refusal(&bucket, &live, LATER).await;
    assert_eq!(refused.to_string(), "what stands at shop.max cannot be brought back");
}

// P6
pub(crate) async fn a_plan_that_was_overtaken(backend: &Backend) {
    let (bucket, live) = with(backend, |_| {}).await;
    let stale = both(&live, 5, 50).await;
    let other = live.update(|shop| shop.max = 60).author("dev").await.unwrap();
    let refused = stale.commit().confirm_within(LATER).await.unwrap_err();
    assert!(refused.is_conflict());
    let ProvisionalError::Commit(CommitError::Conflict(conflict)) = refused else { panic!("{refused:?}") };
    assert_eq!((conflict.found, conflict.by.author.as_deref()), (Some(other.revision()), Some("dev")));
    assert_eq!(bucket.status().await.unwrap().last_revision, other.revision());
}

// P6
pub(crate) async fn a_guarded_prefix_that_changed(backend: &Backend) {
    let (bucket, live) = with(backend, |_| {}).await;
    let stale = both(&live, 5, 50).await;
    bucket.put("shop.region", "eu").await.unwrap();
    let refused = stale.commit().guard_all().confirm_within(LATER).await.unwrap_err();
    assert!(refused.is_conflict(), "{refused:?}");
    let fresh = both(&start(&bucket).await, 5, 50).await;
    let change = fresh.commit().confirm_within(LATER).guard_all().await.unwrap();
    assert_eq!(change.revision(), Revision::new(5));
}

pub(crate) async fn nothing_invalid_and_nothing_in_parts(backend: &Backend) {
    let (bucket, live) = with(backend, |_| {}).await;
    let plan = both(&live, 5, 5_000).await;
    let refused = plan.commit().confirm_within(LATER).await.unwrap_err();
    assert!(matches!(&refused, ProvisionalError::Commit(CommitError::Invalid(_))), "{refused:?}");
    let refused = both(&live, 5, 50).await.commit().one_by_one().confirm_within(LATER).await.unwrap_err();
    assert_eq!(refused.to_string(), "a change with a deadline cannot be written one by one");
    let refused = live.edit().plan().await.unwrap().commit().confirm_within(LATER).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is nothing to change");
    let commit = both(&live, 5, 50).await.commit().confirm_within(LATER);
    let refused = commit.author("two\nlines").await.unwrap_err();
    assert!(matches!(&refused, ProvisionalError::Commit(CommitError::Attribution { .. })), "{refused:?}");
    assert_eq!(bucket.status().await.unwrap().last_revision, Revision::ZERO);
    let fixed = Live::fixed(Shop { min: 1, max: 2, region: None, limits: [].into() });
    assert!(fixed.pending().await.unwrap().is_empty());
}
