//! Rollbacks against writers, and against a network that loses answers; on the memory bucket.

use kvconf::{Bucket, BucketConfig, KvConfig, Revision, RollbackError, WriteError};

use super::{Shop, last, shop, state};

// P6 and P8: exactly one wins.
#[tokio::test]
async fn a_writer_that_comes_between_makes_a_conflict() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let good = bucket.put("shop.price", "200").await.unwrap();
    bucket.put("shop.price", "9").await.unwrap();
    let plan = live.rollback_to(good).plan().await.unwrap();
    live.update(|shop| shop.price = 10).author("eva").reason("by hand").await.unwrap();
    let error = plan.commit().author("ops").await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(
        error.to_string(),
        "shop.price was changed meanwhile: based on revision 2, now at revision 3 by eva (\"by hand\")"
    );
    assert_eq!(state(&bucket).await, ["shop.price=10"]);
}

// P6
#[tokio::test]
async fn a_writer_that_comes_after_gets_the_conflict() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let good = bucket.put("shop.price", "200").await.unwrap();
    let bad = bucket.put("shop.price", "9").await.unwrap();
    let stale = live.edit().set(Shop::fields().price, 10).plan().await.unwrap();
    live.rollback_to(good).author("ops").await.unwrap();
    assert!(stale.commit().author("eva").await.unwrap_err().is_conflict());
    let error = bucket.update("shop.price", "10", bad).await.unwrap_err();
    assert!(matches!(error, WriteError::Conflict { .. }), "{error:?}");
    assert_eq!(state(&bucket).await, ["shop.price=200"]);
}

// P8: the state is the one that was asked for, also in keys that were not written.
#[tokio::test]
async fn a_change_of_a_key_that_was_so_already_is_a_conflict_too() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.discount", "5").await.unwrap();
    let good = bucket.put("shop.price", "200").await.unwrap();
    bucket.put("shop.price", "9").await.unwrap();
    for key in ["shop.discount", "shop.limits.gold"] {
        let plan = live.rollback_to(good).plan().await.unwrap();
        bucket.put(key, "6").await.unwrap();
        let RollbackError::Conflict(conflict) = plan.commit().author("ops").await.unwrap_err() else {
            panic!("a conflict")
        };
        assert_eq!(conflict.key.as_str(), key);
    }
    // Who takes back one field has looked at one field.
    let plan = live.rollback_to(good).only(Shop::fields().price).plan().await.unwrap();
    bucket.put("shop.discount", "7").await.unwrap();
    plan.commit().author("ops").await.unwrap();
    bucket.put("shop.price", "9").await.unwrap();
    let plan = live.rollback_to(good).only(Shop::fields().price).plan().await.unwrap();
    bucket.put("shop.discount", "8").await.unwrap();
    assert!(plan.commit().author("ops").guard_all().await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn keys_that_the_struct_does_not_know_are_no_conflict() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let good = bucket.put("shop.price", "200").await.unwrap();
    bucket.put("shop.price", "9").await.unwrap();
    let plan = live.rollback_to(good).plan().await.unwrap();
    bucket.put("shop.of_another_program", "1").await.unwrap();
    plan.commit().author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.of_another_program=1", "shop.price=200"]);

    let plan = bucket.rollback_to("shop.>", good).plan().await.unwrap();
    bucket.put("shop.of_another_program", "2").await.unwrap();
    assert!(plan.commit().author("ops").await.unwrap_err().is_conflict(), "plain keys are all one's own");
}

#[tokio::test]
async fn a_revert_minds_the_keys_of_its_change_only() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let mistake = bucket.put("shop.price", "9").await.unwrap();
    let plan = live.revert(mistake).plan().await.unwrap();
    bucket.put("shop.discount", "1").await.unwrap();
    plan.commit().author("ops").await.unwrap();
    let again = bucket.put("shop.price", "9").await.unwrap();
    let (plan, guarded) =
        (live.revert(again).plan().await.unwrap(), live.revert(again).plan().await.unwrap());
    bucket.put("shop.discount", "2").await.unwrap();
    assert!(guarded.commit().author("ops").guard_all().await.unwrap_err().is_conflict());
    bucket.put("shop.price", "10").await.unwrap();
    assert!(plan.commit().author("ops").await.unwrap_err().is_conflict());
    assert_eq!(state(&bucket).await, ["shop.discount=2", "shop.price=10"]);
}

#[tokio::test]
async fn a_lost_answer_is_looked_into() {
    let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("cfg")).unwrap();
    let live = shop(&bucket).await;
    bucket.batch().put("shop.price", "200").put("shop.discount", "5").commit().await.unwrap();
    let good = last(&bucket).await;
    bucket.batch().put("shop.price", "9").put("shop.discount", "9").commit().await.unwrap();
    faults.lose_acknowledgements(1);
    let applied = live.rollback_to(good).author("ops").await.unwrap();
    assert_eq!(applied.written().len(), 2);
    assert_eq!(last(&bucket).await, Revision::new(6), "written once");
    let again = live.rollback_to(good).author("ops").await.unwrap();
    assert_eq!(again.written().len(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_no_loss() {
    let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("cfg")).unwrap();
    let live = shop(&bucket).await;
    let good = bucket.put("shop.price", "200").await.unwrap();
    bucket.put("shop.price", "9").await.unwrap();
    faults.fail_reads(1, &kvconf::ReadError::Disconnected);
    let error = live.rollback_to(good).author("ops").await.unwrap_err();
    assert!(error.is_retryable() && error.lost().is_empty(), "{error:?}");
    live.rollback_to(good).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.price=200"]);
}
