//! Somebody confirms it, or takes it back.

use kvconf::{KvConfig, Operation, Revision, SettleError};

use crate::deadline::backend::{
    Backend, LATER, SOON, Shop, header, quick, quick_on, reach, reach_revision, start, trial, until,
    until_over, value,
};

// P2, P7
pub(crate) async fn a_confirmed_change_stays(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.min", "2").await.unwrap();
    let live = start(&bucket).await;
    let change = trial(&live, SOON).await;
    let applied = change.confirm().author("dev").await.unwrap();
    assert_eq!(applied.written().len(), 2);
    until_over(&bucket, &change).await;
    for (key, revision) in applied.written() {
        let entry = bucket.entry(key).await.unwrap().unwrap();
        assert_eq!(entry.revision(), *revision);
        assert_eq!(header(&entry, "Kvconf-Confirms"), change.change());
        assert_eq!(header(&entry, "Kvconf-Author"), "dev");
        assert_eq!(header(&entry, "Kvconf-Reason"), format!("confirms change {}: sale", change.change()));
        assert_eq!(header(&entry, "Nats-TTL"), "(none)");
    }
    assert_eq!(start(&bucket).await.load().short(), "5-50 -");
    // No marker of an expiry was left on the way.
    assert_eq!(bucket.status().await.unwrap().last_revision, applied.revision());
}

// P2, P7
pub(crate) async fn a_change_is_taken_back_at_once(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.min", "2").await.unwrap();
    let live = start(&bucket).await;
    let mut changes = live.changes();
    let change = trial(&live, LATER).await;
    while changes.next().await.unwrap().after().short() != "5-50 -" {}
    let applied = change.take_back().author("dev").reason("errors are up").await.unwrap();
    let back = changes.next().await.unwrap();
    assert_eq!(back.after().short(), "2-10 -");
    assert_eq!(applied.revision(), back.after().revision());
    let entry = bucket.entry("shop.min").await.unwrap().unwrap();
    assert_eq!(header(&entry, "Kvconf-Takes-Back"), change.change());
    assert_eq!((header(&entry, "Kvconf-Author"), header(&entry, "Kvconf-Reason")), ("dev", "errors are up"));
    assert_eq!(bucket.entry("shop.max").await.unwrap().unwrap().operation(), Operation::Delete);
}

pub(crate) async fn settling_twice_is_no_error(backend: &Backend) {
    let bucket = quick_on(backend).await;
    let live = start(&bucket).await;
    let change = trial(&live, LATER).await;
    let first = change.confirm().author("dev").await.unwrap();
    assert_eq!(change.confirm().author("ops").await.unwrap(), first);
    let refused = change.take_back().await.unwrap_err();
    assert!(
        matches!(&refused, SettleError::Confirmed { by, .. } if by.author.as_deref() == Some("dev")),
        "{refused:?}"
    );
    assert_eq!(refused.to_string(), format!("change {} was confirmed before", change.change()));

    let plan = live.edit().set(Shop::fields().max, 7).plan().await.unwrap();
    let other = plan.commit().confirm_within(LATER).await.unwrap();
    let first = other.take_back().author("dev").await.unwrap();
    assert_eq!(other.take_back().await.unwrap(), first);
    assert!(matches!(other.confirm().await, Err(SettleError::TakenBack { .. })));
    assert_eq!(value(&bucket, "shop.max").await, "50");
}

pub(crate) async fn a_change_that_went_back_cannot_be_confirmed(backend: &Backend) {
    let bucket = quick_on(backend).await;
    let live = start(&bucket).await;
    let change = trial(&live, SOON).await;
    until(&live, "1-10 -").await;
    let before = bucket.status().await.unwrap().last_revision;
    for settle in [change.confirm(), change.confirm().remaining()] {
        let error = settle.await.unwrap_err();
        assert_eq!(error.to_string(), format!("change {} has gone back", change.change()));
        assert!(error.is_over());
    }
    assert_eq!(bucket.status().await.unwrap().last_revision, before);
}

// P6
pub(crate) async fn a_conflict_names_the_other_author_and_writes_nothing(backend: &Backend) {
    let bucket = quick_on(backend).await;
    let live = start(&bucket).await;
    let change = trial(&live, LATER).await;
    let other = live.update(|shop| shop.max = 60).author("dev").reason("INC-42").await.unwrap();
    for settle in [change.confirm(), change.take_back()] {
        let error = settle.await.unwrap_err();
        assert!(error.is_conflict() && !error.is_over(), "{error:?}");
        assert_eq!(
            error.to_string(),
            r#"shop.max was changed meanwhile: based on revision 3, now at revision 5 by dev ("INC-42")"#
        );
    }
    assert_eq!(bucket.status().await.unwrap().last_revision, other.revision());
}

// P6
pub(crate) async fn the_remaining_keys_can_be_settled(backend: &Backend) {
    let bucket = quick_on(backend).await;
    let live = start(&bucket).await;
    let change = trial(&live, SOON).await;
    bucket.put("shop.max", "60").await.unwrap();
    let applied = change.confirm().remaining().await.unwrap();
    assert_eq!(applied.written().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["shop.min"]);
    until_over(&bucket, &change).await;
    assert_eq!(
        (value(&bucket, "shop.min").await, value(&bucket, "shop.max").await),
        ("5".into(), "60".into())
    );
}

pub(crate) async fn a_removal_is_confirmed_as_a_removal(backend: &Backend) {
    let bucket = backend.bucket(quick()).await;
    bucket.put("shop.region", "eu").await.unwrap();
    let live = start(&bucket).await;
    let plan = live.edit().unset(Shop::fields().region).plan().await.unwrap();
    let change = plan.commit().confirm_within(SOON).await.unwrap();
    reach(&live, &change).await;
    change.confirm().await.unwrap();
    until_over(&bucket, &change).await;
    assert_eq!(value(&bucket, "shop.region").await, "-");
    assert_eq!(start(&bucket).await.load().region, None);
}

// P7
pub(crate) async fn a_change_that_went_back_can_be_told_of(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.min", "2").await.unwrap();
    let live = start(&bucket).await;
    let change = trial(&live, SOON).await;
    until(&live, "2-10 -").await;
    until_over(&bucket, &change).await;
    let applied = change.take_back().author("dev").await.unwrap();
    assert_eq!(applied.written().len(), 2);
    assert_eq!(value(&bucket, "shop.min").await, "2");
    assert_eq!(bucket.entry("shop.max").await.unwrap().unwrap().operation(), Operation::Delete);
    // Once: whoever comes later finds it done.
    assert_eq!(change.take_back().author("ops").await.unwrap(), applied);
}

// P8: the provisional entries are gone, and nothing of what they led from and to is.
pub(crate) async fn a_confirmed_change_can_be_reverted(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.min", "2").await.unwrap();
    let live = start(&bucket).await;
    let change = trial(&live, SOON).await;
    let confirmed = change.confirm().author("dev").await.unwrap();
    until_over(&bucket, &change).await;
    reach_revision(&live, confirmed.revision()).await;

    let log = live.log().await.unwrap();
    let newest = log.iter().next().unwrap().to_string();
    assert!(newest.contains("shop.max  (none) → 50") && newest.contains("shop.min  2      → 5"), "{newest}");
    let before = live.at(Revision::new(1)).await.unwrap();
    assert_eq!(before.short(), "2-10 -");
    let reverted = live.revert(&confirmed).author("ops").await.unwrap();
    reach_revision(&live, reverted.revision()).await;
    assert_eq!(live.load().short(), "2-10 -");
    let again = live.rollback_to(confirmed.revision()).author("ops").await.unwrap();
    reach_revision(&live, again.revision()).await;
    assert_eq!(live.load().short(), "5-50 -");
}

// P6, P8: a rollback is a later change, whoever waits for what.
pub(crate) async fn a_rollback_settles_it(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.min", "2").await.unwrap();
    let live = start(&bucket).await;
    let change = trial(&live, SOON).await;
    let back = live.rollback_to(Revision::new(1)).author("dev").reason("no sale").await.unwrap();
    reach_revision(&live, back.revision()).await;
    assert_eq!(live.load().short(), "2-10 -");

    let error = change.confirm().author("ops").await.unwrap_err();
    assert!(matches!(error, SettleError::Conflict(_)) && error.to_string().contains("by dev"), "{error}");
    until_over(&bucket, &change).await;
    assert_eq!(
        (live.load().short(), start(&bucket).await.load().short()),
        ("2-10 -".into(), "2-10 -".into())
    );
}

// P6: what comes back by a rollback has no end, and is nobody's to confirm.
pub(crate) async fn what_a_rollback_brings_back_stays(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.min", "2").await.unwrap();
    let live = start(&bucket).await;
    let change = trial(&live, SOON).await;
    let taken_back = change.take_back().author("dev").await.unwrap();
    reach_revision(&live, taken_back.revision()).await;
    let plan = live.rollback_to(change.revision()).plan().await.unwrap();
    let applied = plan.commit().author("ops").await.unwrap();
    reach_revision(&live, applied.revision()).await;
    assert_eq!(live.load().short(), "5-50 -");
    until_over(&bucket, &change).await;
    assert_eq!(start(&bucket).await.load().short(), "5-50 -");
    assert!(bucket.pending(">").await.unwrap().is_empty());
}
