//! Updates that race in earnest: on several threads, so that the watch moves on between any two steps of a write.

use kvconf::{Bucket, CommitError, Field, KvConfig, Live, Operation, OverRejected, Revision, Secret};

#[derive(KvConfig, Debug, Clone)]
struct Counter {
    #[kv(default = 0)]
    count: u64,
}

// P6
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_increment_is_lost() {
    const TASKS: u64 = 8;
    const EACH: u64 = 500;
    let bucket = Bucket::memory();
    let live: Live<Counter> = bucket.live().start().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let live = live.clone();
        tasks.spawn(async move {
            for _ in 0..EACH {
                let applied = live.update(|counter| counter.count += 1).await.unwrap();
                assert_eq!(applied.written().len(), 1);
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(bucket.get("count").await.unwrap().unwrap(), (TASKS * EACH).to_string());
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
    #[kv(default = 5, range(..=100), alias = "attempts", alias = "tries")]
    retries: u32,
    #[kv(secret, default = "hunter2", length(..=20))]
    api_key: Secret<String>,
    #[kv(nested)]
    account: Account,
}

#[derive(KvConfig, Debug, Clone)]
struct Account {
    name: String,
}

async fn checkout(bucket: &Bucket) -> Live<Checkout> {
    bucket.put("checkout.account.name", "main").await.unwrap();
    bucket.live().without_environment().start().await.unwrap()
}

/// Writes by another author what readers reject, and waits until this handle has.
async fn reject<V: Send + 'static>(live: &Live<Checkout>, field: Field<Checkout, V>, value: V) -> Revision {
    let plan = live.edit().set(field, value).plan().await.unwrap();
    let written = plan.commit().author("eve").reason("sale").force().await.unwrap().revision();
    assert!(live.wait_for(written).await.is_err(), "readers take it");
    written
}

fn refused(outcome: Result<kvconf::Applied, CommitError>) -> OverRejected {
    match outcome {
        Err(CommitError::OverRejected(unseen)) => *unseen,
        other => panic!("{other:?}"),
    }
}

// P6
#[tokio::test(start_paused = true)]
async fn an_update_does_not_overwrite_a_rejected_value_that_it_never_saw() {
    let bucket = Bucket::memory();
    let live = checkout(&bucket).await;
    let rejected = reject(&live, Checkout::fields().max_items, 9_000).await;
    let error = live.update(|checkout| checkout.max_items += 10).author("ops").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "checkout.max_items: an update would overwrite 9000 of revision 2 by eve (\"sale\"), which readers rejected; \
         replace it by edit().set(..), whose plan shows it"
    );
    assert!(!error.is_conflict() && !error.is_retryable());
    let unseen = refused(Err(error));
    assert_eq!(
        (unseen.revision, unseen.operation, unseen.value.as_deref()),
        (rejected, Operation::Put, Some("9000"))
    );
    assert_eq!(bucket.status().await.unwrap().last_revision, rejected, "nothing was written");

    // Another key is nobody's business, also while this one is rejected.
    let other = live.update(|checkout| checkout.retries = 7).await.unwrap();
    live.wait_for(other.revision()).await.unwrap();
    assert_eq!((live.load().retries, live.load().max_items), (7, 50));

    let plan = live.edit().set(Checkout::fields().max_items, 60).plan().await.unwrap();
    assert_eq!(plan.to_string(), "checkout.max_items: 9000 → 60");
    let mended = plan.commit().author("ops").await.unwrap();
    live.wait_for(mended.revision()).await.unwrap();
    let applied = live.update(|checkout| checkout.max_items += 10).await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(live.load().max_items, 70);
}

// P6: what a rejected set brought along is as unseen as what was wrong with it, and so is a removal.
#[tokio::test(start_paused = true)]
async fn the_good_part_of_a_rejected_set_and_a_rejected_removal_are_not_overwritten_either() {
    let bucket = Bucket::memory();
    let live = checkout(&bucket).await;
    let set =
        bucket.batch().put("checkout.max_items", "many").put("checkout.retries", "9").commit().await.unwrap();
    assert!(live.wait_for(set).await.is_err());
    let unseen = refused(live.update(|checkout| checkout.retries += 1).await);
    assert_eq!(
        (unseen.key.as_str(), unseen.revision, unseen.value.as_deref()),
        ("checkout.retries", set, Some("9"))
    );
    assert_eq!(unseen.by.author, None);

    let removed = bucket.delete("checkout.account.name").await.unwrap();
    assert!(live.wait_for(removed).await.is_err());
    let unseen = refused(live.update(|checkout| checkout.account.name.push('2')).await);
    assert_eq!(
        (unseen.revision, unseen.operation, unseen.value.as_deref()),
        (removed, Operation::Delete, None)
    );
    assert_eq!(
        unseen.to_string(),
        "checkout.account.name: an update would overwrite the removal of revision 4, which readers rejected; \
         replace it by edit().set(..), whose plan shows it"
    );
}

// P6: what counts under an old name is hidden for good by the first value under the present one.
#[tokio::test(start_paused = true)]
async fn a_rejected_value_under_an_old_name_is_not_overwritten_either() {
    let bucket = Bucket::memory();
    let live = checkout(&bucket).await;
    let old = bucket.put("checkout.attempts", "6").await.unwrap();
    live.wait_for(old).await.unwrap();
    let rejected = bucket.put("checkout.attempts", "7000").await.unwrap();
    assert!(live.wait_for(rejected).await.is_err());
    let unseen = refused(live.update(|checkout| checkout.retries += 1).author("ops").await);
    assert_eq!(
        unseen.to_string(),
        "checkout.attempts: an update would overwrite 7000 of revision 3, which readers rejected; replace it by \
         edit().set(..), whose plan shows it"
    );
    assert_eq!(bucket.get("checkout.retries").await.unwrap(), None);

    // An older name still says nothing while this one has a value.
    let other = bucket.put("checkout.tries", "9000").await.unwrap();
    let _ = live.wait_for(other).await;
    let plan = live.edit().set(Checkout::fields().retries, 7).plan().await.unwrap();
    assert_eq!(plan.to_string(), "checkout.retries: (7000 of checkout.attempts) → 7");
    let mended = plan.commit().author("ops").await.unwrap();
    live.wait_for(mended.revision()).await.unwrap();
    // Under the present name it is nobody's business what the old ones hold.
    let worse = bucket.put("checkout.attempts", "8000").await.unwrap();
    live.wait_for(worse).await.unwrap();
    live.update(|checkout| checkout.retries += 1).await.unwrap();
    assert_eq!(bucket.get("checkout.retries").await.unwrap().as_deref(), Some(&b"8"[..]));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_asks_for_it_overwrites_what_was_rejected() {
    let bucket = Bucket::memory();
    let live = checkout(&bucket).await;
    reject(&live, Checkout::fields().max_items, 9_000).await;
    let applied = live.update(|checkout| checkout.max_items += 10).over_rejected().await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!((live.load().max_items, live.health().report), (60, None));
}

// P11
#[tokio::test(start_paused = true)]
async fn a_rejected_secret_is_masked_in_the_refusal() {
    let bucket = Bucket::memory();
    let live = checkout(&bucket).await;
    let secret = "correct horse battery staple";
    reject(&live, Checkout::fields().api_key, Secret::new(secret.to_owned())).await;
    let change = |checkout: &mut Checkout| checkout.api_key = Secret::new("short".to_owned());
    let error = live.update(change).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("horse"), "{error:?}");
    assert_eq!(refused(Err(error)).value.as_deref(), Some("***"));
}
