//! Nobody confirms it.

use futures_util::StreamExt;
use kvconf::{KvConfig, Operation, Origin};
use tokio::time::timeout;

use crate::deadline::backend::{
    BOUND, Backend, SECOND, SOON, Shop, both, header, quick_on, reach, start, trial, until, until_over, value,
};

// P2
pub(crate) async fn readers_see_the_old_the_new_and_the_old_again(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.min", "2").await.unwrap();
    bucket.put("shop.max", "20").await.unwrap();
    let author = start(&bucket).await;
    let reader = start(&bucket).await;
    let seen = reader.changes().map(|changed| changed.after().short());
    drop(trial(&author, SOON).await);
    drop(author);
    // A step may lead to the same values: the copies that are kept to go back to are written first.
    let steps = seen.filter(|short| std::future::ready(short != "2-20 -")).take(1).collect::<Vec<_>>();
    assert_eq!(timeout(BOUND, steps).await.expect("in time"), ["5-50 -"]);
    let before = reader.snapshot().revision();
    let mut changes = reader.changes();
    let back = timeout(BOUND, changes.next()).await.expect("in time").expect("the handle lives");
    assert_eq!((back.before().short(), back.after().short()), ("5-50 -".into(), "2-20 -".into()));
    assert!(back.after().revision() >= before, "{before} {:?}", back.after().revision());
    assert!(reader.health().is_current(), "{:?}", reader.health());
}

// P7
pub(crate) async fn what_is_there_afterwards_says_why(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.max", "20").await.unwrap();
    let live = start(&bucket).await;
    let change = trial(&live, SOON).await;
    until(&live, "1-20 -").await;
    let entry = bucket.entry("shop.max").await.unwrap().unwrap();
    assert_eq!((entry.revision().get(), entry.value().as_ref()), (2, &b"20"[..]));
    assert_eq!(header(&entry, "Kvconf-Author"), "ops");
    assert_eq!(header(&entry, "Kvconf-Before"), change.change());
    let reason = format!("goes back to this unless change {} is confirmed within 4s: sale", change.change());
    assert_eq!(header(&entry, "Kvconf-Reason"), reason);
    assert_ne!(header(&entry, "Kvconf-Change"), change.change());
    let explained = live.explain(Shop::fields().max);
    let origin = explained.sources.iter().find_map(|source| match &source.origin {
        Origin::Key(key) => Some(key.clone()),
        _ => None,
    });
    assert_eq!(origin.unwrap().attribution.reason.as_deref(), Some(&*reason));
    // What stood there before is still in the history, the copy on top of it.
    let kept = bucket.history("shop.max").await.unwrap();
    let kept: Vec<_> = kept.iter().map(|entry| entry.revision().get()).collect();
    assert_eq!(kept, [1, 2]);
}

// P6
pub(crate) async fn what_others_wrote_on_top_stays(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.min", "2").await.unwrap();
    bucket.put("shop.max", "20").await.unwrap();
    let live = start(&bucket).await;
    let change = trial(&live, SOON).await;
    bucket.put("shop.max", "99").await.unwrap();
    until(&live, "2-99 -").await;
    until_over(&bucket, &change).await;
    assert_eq!(
        (value(&bucket, "shop.min").await, value(&bucket, "shop.max").await),
        ("2".into(), "99".into())
    );
}

/// The time is told by the bucket's clock: it does not begin again when a reader comes.
pub(crate) async fn a_reader_that_came_late_sees_it_too(backend: &Backend) {
    let bucket = quick_on(backend).await;
    let begun = tokio::time::Instant::now();
    let change = both(&start(&bucket).await, 5, 50).await.commit().confirm_within(4 * SECOND).await.unwrap();
    // The revision moves on, so that the wait has something to see.
    kvconf_tests::wait_until("some time passes", BOUND, async || begun.elapsed() >= 3 * SECOND).await;
    let late = start(&bucket).await;
    reach(&late, &change).await;
    until(&late, "1-10 -").await;
    // The deadline, a second of patience, and some for a busy machine; by its own clock it would be nine.
    let took = begun.elapsed();
    assert!(took >= 4 * SECOND && took < 8 * SECOND, "{took:?}");
}

pub(crate) async fn a_created_key_vanishes_and_a_removed_one_returns(backend: &Backend) {
    let bucket = quick_on(backend).await;
    bucket.put("shop.region", "eu").await.unwrap();
    bucket.put("shop.limits.a", "1").await.unwrap();
    let live = start(&bucket).await;
    let fields = Shop::fields();
    let edit = live.edit().set(fields.max, 50).set(fields.region, None);
    let edit = edit.unset_entry(fields.limits, "a").set_entry(fields.limits, "b", 2);
    let change = edit.plan().await.unwrap().commit().confirm_within(SOON).await.unwrap();
    reach(&live, &change).await;
    assert_eq!((live.load().short(), live.load().limits.get("b")), ("1-50 -".into(), Some(&2)));
    until(&live, "1-10 eu").await;
    assert_eq!(live.load().limits.iter().collect::<Vec<_>>(), [(&"a".to_owned(), &1)]);
    let gone = bucket.entry("shop.max").await.unwrap().unwrap();
    assert_eq!((gone.operation(), gone.marker_reason()), (Operation::Delete, None));
}
