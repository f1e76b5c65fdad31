//! A schema held against the past of a bucket.

use kvconf::{Revision, Schema};
use kvconf_tests::Backend;

use super::rich::Checkout;

pub(crate) async fn what_was_refused_once_is_told_with_its_revisions(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("shop.checkout.bind", "127.0.0.1:80").await.unwrap();
    bucket.put("shop.checkout.api_key", "s3cr3t-enough").await.unwrap();
    bucket.put("shop.checkout.max_items", "60").await.unwrap();
    bucket.put("shop.checkout.max_items", "501").await.unwrap();
    bucket.put("shop.checkout.limits.gold", "x").await.unwrap();
    bucket.put("shop.checkout.max_items", "70").await.unwrap();
    bucket.delete("shop.checkout.limits.gold").await.unwrap();
    let schema = Schema::of::<Checkout>();
    let replay = bucket.check_schema(&schema).replay().await.unwrap();
    let told: Vec<(u64, u64, Vec<String>, Option<Revision>)> = replay
        .rejected
        .iter()
        .map(|rejected| {
            let problems = rejected.report.problems.iter().map(ToString::to_string).collect();
            (rejected.from.get(), rejected.until.get(), problems, rejected.report.serving)
        })
        .collect();
    let three = bucket.read("shop.checkout.>").await.unwrap();
    assert_eq!(three.entries().len(), 4);
    let at = |revision: u64| {
        told.iter().find(|(from, ..)| *from == revision).map(|(_, _, problems, _)| problems.clone())
    };
    assert_eq!(replay.states, 7);
    assert_eq!(at(1), Some(vec!["shop.checkout.api_key: required, and no source has a value".to_owned()]));
    assert_eq!(at(3), None);
    assert_eq!(at(4), Some(vec!["shop.checkout.max_items: 501 is outside 1..=500".to_owned()]));
    assert_eq!(
        at(5),
        Some(vec![
            "shop.checkout.limits.gold: `x` is not a whole number (u32)".to_owned(),
            "shop.checkout.max_items: 501 is outside 1..=500".to_owned()
        ])
    );
    assert_eq!(at(6), Some(vec!["shop.checkout.limits.gold: `x` is not a whole number (u32)".to_owned()]));
    assert_eq!(at(7), None);
    // With the type the same is said.
    let typed = bucket.check::<Checkout>().without_environment().replay().await.unwrap();
    let states =
        |replay: &kvconf::Replay| replay.rejected.iter().map(|it| (it.from, it.until)).collect::<Vec<_>>();
    assert_eq!(states(&typed), states(&replay));
    assert!(!bucket.check_schema(&schema).now().await.unwrap().is_refused());
}
