//! Edits, plans, commits and updates.

use kvconf::{Bucket, BucketConfig, CommitError, KvConfig, ReadError, Revision, Secret, WriteError};

use crate::live::settings::{Checkout, start};

fn header(entry: &kvconf::Entry, name: &str) -> String {
    entry.headers().get(name).unwrap_or("(none)").to_owned()
}

// P7
#[tokio::test(start_paused = true)]
async fn every_entry_of_a_change_says_who_why_and_what_belongs_together() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let fields = Checkout::fields();
    let plan = live.edit().set(fields.max_items, 80).set(fields.retry.max, 9).plan().await.unwrap();
    assert_eq!(
        plan.to_string(),
        "checkout.max_items: (default 50) → 80\ncheckout.retry.max: (default 5) → 9"
    );
    let applied = plan.commit().author("ops").reason("sale").await.unwrap();
    assert_eq!(applied.revision().get(), 2);
    for (key, revision) in applied.written() {
        let entry = bucket.entry(key).await.unwrap().unwrap();
        assert_eq!(entry.revision(), *revision);
        assert_eq!(
            (header(&entry, "Kvconf-Author"), header(&entry, "Kvconf-Reason")),
            ("ops".into(), "sale".into())
        );
        assert_eq!(header(&entry, "Kvconf-Change"), applied.change());
    }
    let first = bucket.entry("checkout.max_items").await.unwrap().unwrap();
    assert_eq!(header(&first, "Kvconf-Set"), "1/2 checkout:1@1 checkout.retry:1@2");
}

#[tokio::test(start_paused = true)]
async fn a_change_without_an_author_carries_the_programs_name() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    live.update(|c| c.max_items = 51).await.unwrap();
    let entry = bucket.entry("checkout.max_items").await.unwrap().unwrap();
    assert!(header(&entry, "Kvconf-Author").starts_with("together"), "{entry:?}");
    assert_eq!(entry.headers().get("Kvconf-Reason"), None);
}

// P6
#[tokio::test(start_paused = true)]
async fn a_plan_that_was_overtaken_names_the_other_author_and_writes_nothing() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let fields = Checkout::fields();
    let stale = live.edit().set(fields.max_items, 80).set(fields.retry.max, 9).plan().await.unwrap();
    live.update(|c| c.max_items = 60).author("dev").reason("INC-42").await.unwrap();
    let error = stale.commit().author("ops").await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(
        error.to_string(),
        r#"checkout.max_items was changed meanwhile: based on no value, now at revision 1 by dev ("INC-42")"#
    );
    assert_eq!(bucket.get("checkout.retry.max").await.unwrap(), None);
}

// P6
#[tokio::test(start_paused = true)]
async fn no_increment_of_concurrent_updates_is_lost() {
    let bucket = Bucket::memory();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let live = start(&bucket).await;
        tasks.spawn(async move {
            for _ in 0..10 {
                live.update(|c| c.retry.max += 1).author("counter").await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(bucket.get("checkout.retry.max").await.unwrap().unwrap(), "85");
}

// P6: the acknowledgement is lost, the change is not made twice and not reported as a conflict with itself.
#[tokio::test(start_paused = true)]
async fn a_write_whose_acknowledgement_was_lost_is_recognised() {
    let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("ack")).unwrap();
    let live = start(&bucket).await;
    faults.lose_acknowledgements(2);
    let one = live.update(|c| c.max_items += 1).author("ops").await.unwrap();
    let two = live
        .update(|c| {
            c.max_items += 1;
            c.retry.max += 1;
        })
        .author("ops")
        .await
        .unwrap();
    assert_eq!((one.revision().get(), two.revision().get()), (1, 3));
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().unwrap(), "52");
}

// P3: the check before a commit is the reader's own.
#[tokio::test(start_paused = true)]
async fn what_readers_would_refuse_is_not_written_without_force_and_a_reason() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let plan = async || live.edit().set(Checkout::fields().max_items, 501).plan().await.unwrap();
    let refused = plan().await;
    assert!(!refused.is_valid());
    insta::assert_snapshot!(refused, @r"
    checkout.max_items: (default 50) → 501
    error: 1 problem in Checkout (bucket memory, planned change); still serving the defaults
      × checkout.max_items: 501 is outside 1..=500
    ");
    assert!(matches!(refused.commit().author("ops").await, Err(CommitError::Invalid(_))));
    let unexplained = plan().await.commit().author("ops").force().await.unwrap_err();
    assert_eq!(unexplained.to_string(), "the reason is missing: force needs one");
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 0);
    let forced = plan().await.commit().author("ops").reason("drill").force().await.unwrap();
    assert!(live.wait_for(forced.revision()).await.is_err());
    assert_eq!(live.load().max_items, 50);
    // The bad value is mended by an edit that is based on it.
    let mended = live.edit().set(Checkout::fields().max_items, 70).plan().await.unwrap();
    assert_eq!(mended.to_string(), "checkout.max_items: 501 → 70");
    let applied = mended.commit().author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!((live.load().max_items, live.health().report), (70, None));
}

// P3: what is asked for counts as a whole, also where the bucket holds a part of it that readers do not take.
#[tokio::test(start_paused = true)]
async fn a_value_that_was_refused_before_is_checked_together_with_what_is_written_now() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let (min, max) = (Checkout::fields().retry.min, Checkout::fields().retry.max);
    let plan = async |low, high| live.edit().set(min, low).set(max, high).plan().await.unwrap();
    let forced = plan(9, 7).await.commit().author("ops").reason("drill").force().await.unwrap();
    assert!(live.wait_for(forced.revision()).await.is_err());
    let worse = plan(9, 6).await;
    assert_eq!(worse.changes().map(ToString::to_string).collect::<Vec<_>>(), ["checkout.retry.max: 7 → 6"]);
    assert!(!worse.is_valid());
    let better = plan(9, 10).await;
    assert!(better.is_valid());
    let applied = better.commit().author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!((live.load().retry.min, live.load().retry.max, applied.written().len()), (9, 10, 1));
}

#[tokio::test(start_paused = true)]
async fn unset_brings_the_default_back_and_removes_old_names_too() {
    let bucket = Bucket::memory();
    bucket.put("checkout.timeout", "9s").await.unwrap();
    bucket.put("checkout.region", "eu").await.unwrap();
    let live = start(&bucket).await;
    assert_eq!((live.load().payment_timeout.as_secs(), live.load().region.as_deref()), (9, Some("eu")));
    let report = live.health().report.unwrap();
    assert!(!report.is_fatal());
    assert_eq!(
        report.problems[0].to_string(),
        "checkout.timeout: an old name of checkout.payment-timeout, read; write checkout.payment-timeout instead"
    );
    let fields = Checkout::fields();
    let plan = live.edit().unset(fields.payment_timeout).set(fields.region, None).plan().await.unwrap();
    let applied = plan.commit().author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!((live.load().payment_timeout.as_secs(), live.load().region.as_deref()), (3, None));
    assert_eq!(bucket.get("checkout.timeout").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn entries_of_a_map_are_keys_of_their_own() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let limits = Checkout::fields().limits;
    let plan = live.edit().set_entry(limits, "gold", 9).set_entry(limits, "a.b c", 7).plan().await.unwrap();
    let applied = plan.commit().author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    let keys: Vec<String> =
        bucket.keys("checkout.limits.>").await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["checkout.limits.a=2Eb=20c", "checkout.limits.gold"]);
    assert_eq!(live.load().limits["a.b c"], 7);
    let applied = live.update(|c| c.limits.retain(|_, limit| *limit > 8)).author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(applied.written().len(), 1);
    assert_eq!(live.load().limits.keys().collect::<Vec<_>>(), ["gold"]);
}

#[tokio::test(start_paused = true)]
async fn a_guard_also_conflicts_over_keys_that_were_only_read() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let plan = async || live.edit().set(Checkout::fields().max_items, 80).plan().await.unwrap();
    let (plain, guarded) = (plan().await, plan().await);
    bucket.put("checkout.region", "eu").header("Kvconf-Author", "dev").await.unwrap();
    let error = guarded.commit().author("ops").guard_all().await.unwrap_err();
    assert!(
        matches!(&error, CommitError::Conflict(conflict) if conflict.key.as_str() == "checkout.region"),
        "{error}"
    );
    plain.commit().author("ops").await.unwrap();
}

// P6: a guard is about others, not about what the change itself has just written.
#[tokio::test(start_paused = true)]
async fn a_guarded_change_one_by_one_does_not_conflict_with_itself() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let fields = Checkout::fields();
    let edit = async || {
        live.edit().set(fields.max_items, 80).set(fields.retry.max, 9).plan().await.unwrap().commit()
    };
    let applied = edit().await.author("ops").guard_all().one_by_one().await.unwrap();
    assert_eq!(applied.written().len(), 2);
    live.rollback_to(Revision::ZERO).author("ops").guard_all().one_by_one().await.unwrap();

    let guarded = edit().await.author("ops").guard_all().one_by_one();
    bucket.put("checkout.other", "1").await.unwrap();
    assert!(guarded.await.unwrap_err().is_conflict());
}

#[tokio::test(start_paused = true)]
async fn without_atomic_batches_several_keys_need_to_be_asked_for_one_by_one() {
    let mut config = BucketConfig::new("plain");
    config.allow_atomic_batches = Some(false);
    let bucket = Bucket::memory_with(config).unwrap();
    let live = start(&bucket).await;
    let fields = Checkout::fields();
    let plan = async || live.edit().set(fields.max_items, 80).set(fields.retry.max, 9).plan().await.unwrap();
    let error = plan().await.commit().author("ops").await.unwrap_err();
    assert!(
        matches!(&error, CommitError::Write(WriteError::Failed(ReadError::Unsupported { .. }))),
        "{error:?}"
    );
    let applied = plan().await.commit().author("ops").one_by_one().await.unwrap();
    let written: Vec<String> =
        applied.written().iter().map(|(key, revision)| format!("{key}@{revision}")).collect();
    assert_eq!(written, ["checkout.max_items@1", "checkout.retry.max@2"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_changes_nothing_writes_nothing() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let applied = live.update(|_| {}).author("ops").await.unwrap();
    assert_eq!((applied.written(), bucket.status().await.unwrap().last_revision.get()), (&[][..], 0));
    let revision = bucket.put("checkout.max_items", "60").await.unwrap();
    live.wait_for(revision).await.unwrap();
    let plan = live.edit().set(Checkout::fields().max_items, 60).plan().await.unwrap();
    assert_eq!((plan.is_empty(), plan.to_string().as_str()), (true, "nothing to change"));
}

#[tokio::test(start_paused = true)]
async fn an_author_or_reason_that_no_header_can_hold_is_refused_before_anything_is_sent() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    for (author, reason, message) in [
        ("", "x", "the author is empty"),
        ("a\nb", "x", "the author has a control character, such as a line break"),
        ("ops", "x\r\ny", "the reason has a control character, such as a line break"),
    ] {
        let error = live.update(|c| c.max_items = 70).author(author).reason(reason).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let long = live.update(|c| c.max_items = 70).author("é".repeat(129)).await.unwrap_err();
    assert_eq!(long.to_string(), "the author is too long");
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 0);
}

// P10: sizes are checked before anything is written.
#[tokio::test(start_paused = true)]
async fn a_value_over_the_buckets_limit_is_refused_with_its_size() {
    let mut config = BucketConfig::new("small");
    config.max_value_size = Some(1_000);
    let bucket = Bucket::memory_with(config).unwrap();
    let live = start(&bucket).await;
    let fields = Checkout::fields();
    let plan = live
        .edit()
        .set(fields.max_items, 60)
        .set(fields.region, Some("x".repeat(2_000)))
        .plan()
        .await
        .unwrap();
    let error = plan.commit().author("ops").await.unwrap_err();
    assert!(matches!(&error, CommitError::Write(WriteError::TooLarge { max: 1_000, .. })), "{error:?}");
    assert_eq!(bucket.get("checkout.max_items").await.unwrap(), None);
}

// P11
#[tokio::test(start_paused = true)]
async fn a_secret_is_masked_wherever_it_could_be_shown() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let secret = "correct horse battery staple";
    let plan =
        live.edit().set(Checkout::fields().api_key, Secret::new(secret.to_owned())).plan().await.unwrap();
    let mut shown = vec![format!("{plan} {plan:?}")];
    let mut changes = live.changes();
    let applied = plan.commit().author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    let changed = changes.next().await.unwrap();
    shown.push(format!("{changed:?} {:?} {applied:?}", changed.fields()));
    shown.push(format!("{live:?} {:?} {}", live.load(), live.explain(Checkout::fields().api_key)));
    shown.push(format!("{:?}", bucket.entry("checkout.api_key").await.unwrap()));
    for text in &shown {
        assert!(!text.contains("horse"), "{text}");
    }
    assert_eq!(live.load().api_key.expose(), secret);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_always_overtaken_gives_up_after_its_attempts() {
    let live = kvconf::Live::fixed(crate::live::settings::Pricing { discount: 0 });
    let other = live.clone();
    let update = live.update(|pricing| {
        pricing.discount += 1;
        other.set_fixed(crate::live::settings::Pricing { discount: 7 });
    });
    let error = update.attempts(3).await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(error.to_string(), "the state changed during each of 3 attempts");
}
