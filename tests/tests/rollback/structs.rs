//! Rollback of a struct and of its fields, on the memory bucket.

use std::time::Duration;

use kvconf::{Attribution, Bucket, KvConfig, Live, ProblemKind, Revision, RollbackError, Secret};

use super::{Shop, last, lost_keys, rev, shop, state, value};

// P7 and P8: keys created since go, removed ones return, changed ones are as they were, all in one change set.
#[tokio::test]
async fn a_struct_is_again_what_it_was() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.region", "eu").await.unwrap();
    bucket.put("shop.limits.gold", "7").await.unwrap();
    let good = bucket.put("shop.price", "0120").await.unwrap();
    let then = state(&bucket).await;
    bucket.batch().put("shop.price", "9").put("shop.discount", "9").commit().await.unwrap();
    bucket.delete("shop.region").await.unwrap();
    bucket.put("shop.limits.silver", "3").await.unwrap();

    let applied = live.rollback_to(good).author("ops").reason("errors up").await.unwrap();
    assert_eq!(state(&bucket).await, then, "byte for byte: 0120 is not written again as 120");
    assert_eq!(applied.written().len(), 4);
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!((live.load().price, live.load().discount), (120, 0));
    assert_eq!((live.load().region.as_deref(), live.load().limits.len()), (Some("eu"), 1));
    for (key, revision) in applied.written() {
        let entry = bucket.entry_at(key.clone(), *revision).await.unwrap().unwrap();
        let by = Attribution::of(&entry);
        assert_eq!((by.author.as_deref(), by.reason.as_deref()), (Some("ops"), Some("errors up")));
        assert_eq!(by.change.as_deref(), Some(applied.change()));
    }
    let history = bucket.history("shop.price").await.unwrap();
    assert_eq!(history.len(), 3, "history is not rewritten");
}

#[tokio::test]
async fn readers_see_a_rollback_in_one_swap() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.batch().put("shop.price", "500").put("shop.discount", "400").commit().await.unwrap();
    let good = last(&bucket).await;
    bucket.batch().put("shop.price", "5").put("shop.discount", "4").commit().await.unwrap();
    let bad = last(&bucket).await;
    live.wait_for(bad).await.unwrap();
    let mut changes = live.changes();
    live.rollback_to(good).author("ops").await.unwrap();
    let changed = changes.next().await.unwrap();
    assert_eq!((changed.before().price, changed.before().discount), (5, 4));
    assert_eq!((changed.after().price, changed.after().discount), (500, 400));
}

#[tokio::test]
async fn a_plan_says_what_would_change_and_what_is_so_already_and_writes_nothing() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.region", "eu").await.unwrap();
    bucket.put("shop.discount", "5").await.unwrap();
    let good = last(&bucket).await;
    bucket.put("shop.price", "9").await.unwrap();
    bucket.delete("shop.region").await.unwrap();
    bucket.put("shop.discount", "6").await.unwrap();
    bucket.put("shop.discount", "5").await.unwrap();
    let before = last(&bucket).await;

    let plan = live.rollback_to(good).plan().await.unwrap();
    assert_eq!(
        plan.to_string(),
        "back to revision 2:\n  shop.price: 9 → (default 100)\n  shop.region: (none) → `eu`\n  1 key is so already"
    );
    assert_eq!(plan.unchanged(), ["shop.discount".parse().unwrap()]);
    assert_eq!((plan.revision(), plan.parts(), plan.is_empty()), (Some(good), 1, false));
    assert!(plan.obstacle().is_none());
    assert_eq!(last(&bucket).await, before);
    let applied = plan.commit().author("ops").await.unwrap();
    assert_eq!(
        applied.written().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["shop.price", "shop.region"]
    );

    let plan = live.rollback_to(good).plan().await.unwrap();
    assert_eq!(plan.to_string(), "back to revision 2:\n  3 keys are so already");
    let before = last(&bucket).await;
    bucket.put("mail.host", "of somebody else").await.unwrap();
    let nothing = plan.commit().author("ops").await.unwrap();
    assert_eq!((nothing.written().len(), nothing.revision()), (0, before));
    live.wait_for(nothing.revision()).await.unwrap();
}

#[tokio::test]
async fn before_the_first_write_there_was_nothing() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "9").await.unwrap();
    let applied = live.rollback_to(Revision::ZERO).author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(live.load().price, 100);
    assert_eq!(state(&bucket).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_revision_that_is_still_to_come_is_refused() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "9").await.unwrap();
    let error = live.rollback_to(rev(2)).author("ops").await.unwrap_err();
    assert!(matches!(error, RollbackError::OutOfRange { .. }), "{error:?}");
    assert_eq!(error.to_string(), "revision 2 is outside what the bucket holds: 1 to 1");
    let empty = Bucket::memory().rollback_to("shop.>", rev(1)).plan().await.unwrap_err();
    assert_eq!(empty.to_string(), "revision 1 is outside what the bucket holds: nothing was written yet");
}

// P8: what was before the bucket is not known, and what is to come neither.
#[tokio::test]
async fn a_time_outside_the_life_of_the_bucket_is_refused_and_removes_nothing() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "9").await.unwrap();
    let created = bucket.status().await.unwrap().created;
    let hour = Duration::from_secs(3_600);
    for asked in [created - hour, created + 2 * hour] {
        let error = live.rollback_to(asked).author("ops").await.unwrap_err();
        assert!(matches!(error, RollbackError::OutOfTime { asked: told, .. } if told == asked), "{error:?}");
    }
    assert_eq!(state(&bucket).await, ["shop.price=9"]);
}

#[tokio::test]
async fn a_fixed_handle_has_nothing_to_go_back_to() {
    let live = Live::fixed(shop(&Bucket::memory()).await.load().value().clone());
    let error = live.rollback_to(rev(1)).plan().await.unwrap_err();
    assert_eq!(error.to_string(), "a fixed handle has no bucket");
}

// P8: one field, one entry of a map.
#[tokio::test]
async fn single_fields_are_taken_back_and_others_stay() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket
        .batch()
        .put("shop.price", "200")
        .put("shop.limits.gold", "1")
        .put("shop.limits.silver", "1")
        .commit()
        .await
        .unwrap();
    let good = last(&bucket).await;
    let bad = ["shop.price", "shop.discount", "shop.limits.gold", "shop.limits.silver"];
    for key in bad {
        bucket.put(key, "9").await.unwrap();
    }
    let fields = Shop::fields();
    live.rollback_to(good).only(fields.price).author("ops").await.unwrap();
    let after = ["shop.discount=9", "shop.limits.gold=9", "shop.limits.silver=9", "shop.price=200"];
    assert_eq!(state(&bucket).await, after);
    live.rollback_to(good)
        .only(fields.discount)
        .only_entry(fields.limits, "gold")
        .author("ops")
        .await
        .unwrap();
    assert_eq!(state(&bucket).await, ["shop.limits.gold=1", "shop.limits.silver=9", "shop.price=200"]);
    live.rollback_to(good).only(fields.limits).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.limits.gold=1", "shop.limits.silver=1", "shop.price=200"]);
}

#[tokio::test]
async fn keys_that_no_field_knows_are_left_alone() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let good = bucket.put("shop.price", "200").await.unwrap();
    for key in ["shop.price", "shop.of_another_program", "mail.host"] {
        bucket.put(key, "9").await.unwrap();
    }
    live.rollback_to(good).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["mail.host=9", "shop.of_another_program=9", "shop.price=200"]);
}

// P8: an old name of a renamed field is a key of its own, and returns as such.
#[tokio::test]
async fn a_renamed_field_returns_under_the_name_that_it_had() {
    let bucket = Bucket::memory();
    bucket.put("shop.timeout", "5s").await.unwrap();
    let good = last(&bucket).await;
    let live = shop(&bucket).await;
    assert_eq!(live.load().payment_timeout, Duration::from_secs(5));
    // Somebody moves the value to the new name, and changes it.
    bucket.batch().put("shop.payment-timeout", "50ms").delete("shop.timeout").commit().await.unwrap();

    let plan = live.rollback_to(good).only(Shop::fields().payment_timeout).plan().await.unwrap();
    assert_eq!(
        plan.to_string(),
        "back to revision 1:\n  shop.payment-timeout: 50ms → (5s of this change)\n  shop.timeout: (none) → 5s"
    );
    let applied = plan.commit().author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(live.load().payment_timeout, Duration::from_secs(5));
    assert_eq!(state(&bucket).await, ["shop.timeout=5s"]);
}

#[tokio::test]
async fn a_state_that_todays_type_refuses_is_refused_with_all_its_problems() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "0").await.unwrap();
    bucket.put("shop.payment-timeout", "soon").await.unwrap();
    let bad = last(&bucket).await;
    bucket.put("shop.price", "200").await.unwrap();
    bucket.put("shop.payment-timeout", "1s").await.unwrap();
    let before = last(&bucket).await;

    let plan = live.rollback_to(bad).plan().await.unwrap();
    let kinds: Vec<_> = plan.report().unwrap().problems.iter().map(|p| (p.key.as_str(), p.kind)).collect();
    assert_eq!(kinds, [("shop.payment-timeout", ProblemKind::Decode), ("shop.price", ProblemKind::Check)]);
    let error = plan.commit().author("ops").await.unwrap_err();
    assert_eq!(error.report().map(|report| report.problems.len()), Some(2));
    assert_eq!(error.to_string(), "readers would reject the earlier state");
    assert_eq!(last(&bucket).await, before);

    // By name, and with a reason, for a build that is about to be rolled back too.
    let unreasoned = live.rollback_to(bad).author("ops").force().await.unwrap_err();
    assert!(matches!(unreasoned, RollbackError::Commit(_)), "{unreasoned:?}");
    live.rollback_to(bad).author("ops").reason("the build of yesterday follows").force().await.unwrap();
    assert_eq!(value(&bucket, "shop.price").await.as_deref(), Some("0"));
}

// P3 and P8: the trial is that of the reader, all fields together.
#[tokio::test]
async fn a_field_that_does_not_fit_the_present_others_is_refused() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let low = bucket.put("shop.price", "20").await.unwrap();
    bucket.put("shop.price", "200").await.unwrap();
    bucket.put("shop.discount", "100").await.unwrap();
    let error = live.rollback_to(low).only(Shop::fields().price).author("ops").await.unwrap_err();
    assert_eq!(
        error.report().map(|r| r.problems[0].message.clone()).as_deref(),
        Some("discount (100) must not exceed price (20)")
    );
    live.rollback_to(low).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.price=20"]);
}

#[tokio::test]
async fn a_rejected_change_is_taken_back_too() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    let good = bucket.put("shop.price", "200").await.unwrap();
    let bad = bucket.put("shop.price", "a lot").await.unwrap();
    assert!(live.wait_for(bad).await.is_err());
    let applied = live.rollback_to(good).author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert!(live.health().report.is_none());
    assert_eq!(live.load().rejected().len(), 0);
}

// P2 and P8: half of a change set is no state.
#[tokio::test]
async fn a_revision_inside_a_change_set_means_the_state_before_it() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "200").await.unwrap();
    let change = bucket
        .batch()
        .put("shop.price", "9")
        .put("shop.discount", "9")
        .put("mail.host", "x")
        .commit()
        .await
        .unwrap();
    assert_eq!(change, rev(4));
    let plan = live.rollback_to(rev(2)).plan().await.unwrap();
    assert_eq!(plan.revision(), Some(rev(1)));
    assert_eq!(
        plan.to_string(),
        "back to revision 1:\n  shop.discount: 9 → (default 0)\n  shop.price: 9 → 200"
    );
    let plan = live.rollback_to(rev(3)).plan().await.unwrap();
    assert_eq!(plan.revision(), Some(rev(3)), "of the shop's keys all are written");
    assert!(plan.is_empty());
    // A single field cannot be half there: it can go back to the very revision that wrote it.
    bucket.put("shop.price", "7").await.unwrap();
    let plan = live.rollback_to(rev(2)).only(Shop::fields().price).plan().await.unwrap();
    assert_eq!(plan.to_string(), "back to revision 2:\n  shop.price: 7 → 9");
}

#[tokio::test(start_paused = true)]
async fn a_time_means_the_state_that_stood_then() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "200").await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    let between = bucket.entry("shop.price").await.unwrap().unwrap().created() + Duration::from_secs(30);
    bucket.batch().put("shop.price", "9").put("shop.discount", "9").commit().await.unwrap();
    let first_of_set = bucket.entry("shop.price").await.unwrap().unwrap().created();

    for time in [between, first_of_set] {
        let plan = live.rollback_to(time).plan().await.unwrap();
        assert_eq!(plan.revision(), Some(rev(1)));
    }
    live.rollback_to(between).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, ["shop.price=200"]);
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "pay")]
struct Pay {
    #[kv(secret, default = "none")]
    token: Secret<String>,
}

// P11
#[tokio::test]
async fn a_secret_returns_without_being_shown() {
    let bucket = Bucket::memory();
    let live: Live<Pay> = bucket.live().start().await.unwrap();
    let good = bucket.put("pay.token", "first-token").await.unwrap();
    let leaked = bucket.put("pay.token", "second-token").await.unwrap();
    let plan = live.rollback_to(good).plan().await.unwrap();
    assert_eq!(plan.to_string(), "back to revision 1:\n  pay.token: *** → ***");
    assert!(!format!("{plan:?}").contains("-token"), "{plan:?}");
    plan.commit().author("ops").await.unwrap();
    assert_eq!(value(&bucket, "pay.token").await.as_deref(), Some("first-token"));
    let plan = live.revert(leaked).plan().await.unwrap();
    assert!(!plan.to_string().contains("second"), "{plan}");
    let plan = bucket.rollback_to("pay.>", leaked).plan().await.unwrap();
    assert_eq!(plan.to_string(), "back to revision 2:\n  pay.token: (11 bytes) → (12 bytes)");
}

#[tokio::test]
async fn what_is_lost_is_named_and_nothing_is_written() {
    let bucket = Bucket::memory_with(super::keeping(2)).unwrap();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "1").await.unwrap();
    bucket.put("shop.discount", "0").await.unwrap();
    let long_ago = bucket.put("shop.region", "eu").await.unwrap();
    for price in 2..5 {
        bucket.put("shop.price", price.to_string()).await.unwrap();
        bucket.put("shop.discount", "1").await.unwrap();
    }
    bucket.delete("shop.region").await.unwrap();
    let before = last(&bucket).await;
    let plan = live.rollback_to(long_ago).plan().await.unwrap();
    assert_eq!(
        plan.to_string(),
        "back to revision 3:\n  shop.region: (none) → `eu`\n  \
         × shop.discount (known from revision 7 on)\n  × shop.price (known from revision 6 on)"
    );
    for error in [
        plan.obstacle().unwrap(),
        plan.commit().author("ops").await.unwrap_err(),
        live.rollback_to(long_ago).author("ops").reason("now").force().in_parts().await.unwrap_err(),
    ] {
        assert_eq!(lost_keys(&error), ["shop.discount", "shop.price"]);
    }
    assert_eq!(last(&bucket).await, before);
    // What is still there can be taken back by itself.
    live.rollback_to(long_ago).only(Shop::fields().region).author("ops").await.unwrap();
    assert_eq!(value(&bucket, "shop.region").await.as_deref(), Some("eu"));
}

// P2, P8: what is left of the set says how far it reached.
#[tokio::test]
async fn half_of_a_change_set_is_no_state_though_the_rest_was_purged() {
    let bucket = Bucket::memory();
    let live = shop(&bucket).await;
    bucket.put("shop.price", "120").await.unwrap();
    let before = state(&bucket).await;
    let edit = bucket.edit().set("shop.discount", "9").set("shop.price", "9").set("shop.unknown", "9");
    let set = edit.plan().await.unwrap().commit().author("ops").await.unwrap();
    let [.., (of_price, within), (of_unknown, _)] = set.written() else { panic!("{:?}", set.written()) };
    assert_eq!((of_price.as_str(), of_unknown.as_str()), ("shop.price", "shop.unknown"));
    bucket.purge(of_unknown.clone()).await.unwrap();

    live.rollback_to(*within).author("ops").await.unwrap();
    assert_eq!(state(&bucket).await, before);
}
