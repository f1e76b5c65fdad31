//! Revert of one change set in the middle of history, on the memory bucket.

use kvconf::{Bucket, ChangeRef, KvConfig, RollbackError};

use super::{Shop, keeping, last, rev, shop, state};

// P7 and P8
#[tokio::test]
async fn one_change_is_taken_back_and_later_ones_stay() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    live.update(|shop| shop.price = 200).await.unwrap();
    let fields = Shop::fields();
    let plan = live.edit().set(fields.price, 9).set(fields.discount, 9).plan().await.unwrap();
    let mistake = plan.commit().author("dev").await.unwrap();
    live.update(|shop| shop.region = Some("eu".to_owned())).author("eva").await.unwrap();

    let plan = live.revert(&mistake).plan().await.unwrap();
    let text = format!(
        "without change `{}`:\n  shop.discount: 9 → (default 0)\n  shop.price: 9 → 200",
        mistake.change()
    );
    assert_eq!(plan.to_string(), text);
    assert_eq!(plan.revision(), None);
    let applied = plan.commit().author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(
        (live.load().price, live.load().discount, live.load().region.as_deref()),
        (200, 0, Some("eu"))
    );

    // A revert is a change set too.
    live.revert(&applied).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.discount=9", "shop.price=9", "shop.region=eu"]);
}

#[tokio::test]
async fn a_change_is_named_by_its_id_or_by_any_of_its_revisions() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let fields = Shop::fields();
    let plan = live.edit().set(fields.price, 9).set(fields.discount, 9).plan().await.unwrap();
    let mistake = plan.commit().author("dev").await.unwrap();
    let by: [ChangeRef; 4] =
        [mistake.change().into(), mistake.change().to_owned().into(), rev(1).into(), rev(2).into()];
    for which in by {
        let plan = live.revert(which).plan().await.unwrap();
        assert_eq!(plan.changes().count(), 2);
    }
    let error = live.revert("no such change").plan().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "change `no such change` is not among the changes that are left under the prefix"
    );
    let error = live.revert(rev(77)).plan().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the change at revision 77 is not among the changes that are left under the prefix"
    );
}

#[tokio::test]
async fn a_change_is_named_by_the_log() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket
        .batch()
        .put("shop.price", "9")
        .put("shop.discount", "9")
        .put("mail.host", "x")
        .commit()
        .await
        .unwrap();
    bucket.put("shop.region", "eu").await.unwrap();
    let log = live.log().await.unwrap();
    live.revert(&log.changes()[1]).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["mail.host=x", "shop.region=eu"]);
}

// P6: the later author is named.
#[tokio::test]
async fn a_change_whose_keys_were_changed_again_is_not_reverted() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let fields = Shop::fields();
    let plan = live.edit().set(fields.price, 9).set(fields.discount, 9).plan().await.unwrap();
    let mistake = plan.commit().author("dev").await.unwrap();
    live.update(|shop| shop.price = 90).author("eva").reason("test").await.unwrap();
    let before = last(&bucket).await;

    let plan = live.revert(&mistake).plan().await.unwrap();
    assert_eq!(plan.changed_since().len(), 1);
    let error = plan.commit().author("ops").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "later changes touched the same keys:\n  × shop.price: changed again at revision 3 by eva (\"test\")"
    );
    assert_eq!(last(&bucket).await, before);
    live.revert(&mistake).only(fields.discount).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.price=90"]);
}

// P6: there is nothing of the later author's that would be undone.
#[tokio::test]
async fn a_key_that_was_put_back_by_hand_is_not_in_the_way_of_a_revert() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    live.update(|shop| shop.price = 200).await.unwrap();
    let fields = Shop::fields();
    let plan = live.edit().set(fields.price, 9).set(fields.discount, 9).plan().await.unwrap();
    let mistake = plan.commit().author("dev").await.unwrap();
    live.update(|shop| shop.price = 200).author("ops").await.unwrap();

    let plan = live.revert(&mistake).plan().await.unwrap();
    let text = format!(
        "without change `{}`:\n  shop.discount: 9 → (default 0)\n  1 key is so already",
        mistake.change()
    );
    assert_eq!(plan.to_string(), text);
    plan.commit().author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.price=200"]);
}

#[tokio::test]
async fn of_a_change_across_two_structs_this_ones_part_is_taken_back() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("mail.host", "old").await.unwrap();
    let change = bucket.batch().put("mail.host", "new").put("shop.price", "9").commit().await.unwrap();
    for which in [change, rev(2)] {
        assert_eq!(live.revert(which).plan().await.unwrap().changes().count(), 1, "{which}");
    }
    live.revert(change).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["mail.host=new"]);
    let error = live.revert(rev(1)).plan().await.unwrap_err();
    assert!(matches!(error, RollbackError::UnknownChange { .. }), "{error:?}");
}

#[tokio::test]
async fn a_removal_is_taken_back_too() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.region", "eu").await.unwrap();
    let removal = bucket.delete("shop.region").await.unwrap();
    live.revert(removal).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.region=eu"]);
}

// P8: named, and nothing is guessed.
#[tokio::test]
async fn what_a_change_replaced_must_still_be_there() {
    let bucket = Bucket::memory_with(keeping(1)).unwrap();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "200").await.unwrap();
    let change = bucket.put("shop.price", "9").await.unwrap();
    let error = live.revert(change).author("ops").await.unwrap_err();
    assert_eq!(super::lost_keys(&error), ["shop.price"]);
    // Of a first value it is known that there was none before: its author expected that.
    let first = live.update(|shop| shop.region = Some("eu".to_owned())).await.unwrap();
    live.revert(&first).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.price=9"]);
}

#[tokio::test]
async fn a_change_of_which_entries_are_gone_is_not_reverted() {
    let bucket = Bucket::memory_with(keeping(2)).unwrap();
    let live = shop(&bucket).await;
    let change = bucket.batch().put("shop.price", "9").put("shop.discount", "9").commit().await.unwrap();
    for price in 10..13 {
        bucket.put("shop.price", price.to_string()).await.unwrap();
    }
    let error = live.revert(change).author("ops").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the change at revision 2 cannot be taken back: 1 of its entries is no longer there"
    );
}

#[tokio::test]
async fn a_change_made_one_by_one_is_reverted_by_its_id() {
    let mut config = keeping(64);
    config.allow_atomic_batches = Some(false);
    let bucket = Bucket::memory_with(config).unwrap();
    let live = shop(&bucket).await;
    let fields = Shop::fields();
    let plan = live.edit().set(fields.price, 9).set(fields.discount, 9).plan().await.unwrap();
    let mistake = plan.commit().author("dev").one_by_one().await.unwrap();
    live.revert(&mistake).author("ops").one_by_one().await.unwrap();
    assert_eq!(state(&bucket).await, Vec::<String>::new());
}
