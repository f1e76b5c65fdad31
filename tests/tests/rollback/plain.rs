//! Rollback and revert of plain keys, on the memory bucket.

use kvconf::{Bucket, Prefix, RollbackError};

use super::{last, rev, state};

// P8: one prefix, one key, several.
#[tokio::test]
async fn a_prefix_is_again_what_it_was_whatever_it_means() {
    let bucket = Bucket::memory();
    bucket.put("app.a", "1").await.unwrap();
    bucket.put("app.raw", &b"\xff\x00"[..]).await.unwrap();
    let good = bucket.put("log.level", "info").await.unwrap();
    for key in ["app.a", "app.new.deep", "app.raw", "log.level"] {
        bucket.put(key, "9").await.unwrap();
    }
    let applied = bucket.rollback_to(Prefix::new("app").unwrap(), good).author("ops").await.unwrap();
    assert_eq!(applied.written().len(), 3);
    assert_eq!(bucket.get("app.raw").await.unwrap().as_deref(), Some(&b"\xff\x00"[..]));
    assert_eq!(bucket.get("app.new.deep").await.unwrap(), None);
    assert_eq!(bucket.get("log.level").await.unwrap().as_deref(), Some(&b"9"[..]));
    bucket.rollback_to("log.level", good).author("ops").await.unwrap();
    assert_eq!(bucket.get("log.level").await.unwrap().as_deref(), Some(&b"info"[..]));
}

#[tokio::test]
async fn the_keys_of_the_framework_stay() {
    let (bucket, good) = (Bucket::memory(), rev(1));
    bucket.put("app.a", "1").await.unwrap();
    bucket.put("app.a", "2").await.unwrap();
    bucket.rollback_to(">", good).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["app.a=1"]);
}

#[tokio::test]
async fn a_filter_that_is_none_is_refused() {
    let bucket = Bucket::memory();
    let error = bucket.rollback_to("app..a", rev(0)).plan().await.unwrap_err();
    assert!(matches!(error, RollbackError::Read(kvconf::ReadError::Name(_))), "{error:?}");
}

#[tokio::test]
async fn a_single_key_can_go_back_into_the_middle_of_a_change_set() {
    let bucket = Bucket::memory();
    bucket.batch().put("app.a", "1").put("app.b", "1").commit().await.unwrap();
    bucket.put("app.a", "2").await.unwrap();
    let plan = bucket.rollback_to("app.a", rev(1)).show_values().plan().await.unwrap();
    assert_eq!(plan.to_string(), "back to revision 1:\n  app.a: 2 → 1");
    let plan = bucket.rollback_to(["app.a", "app.b"], rev(1)).plan().await.unwrap();
    assert_eq!(plan.revision(), Some(rev(0)), "two keys cannot");
}

#[tokio::test]
async fn a_change_of_plain_keys_is_reverted() {
    let bucket = Bucket::memory();
    bucket.put("app.a", "1").await.unwrap();
    let change = bucket.batch().put("app.a", "2").put("app.b", "2").commit().await.unwrap();
    bucket.put("app.c", "3").await.unwrap();
    bucket.revert("app.>", change).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["app.a=1", "app.c=3"]);
    assert_eq!(last(&bucket).await, rev(6));
}
