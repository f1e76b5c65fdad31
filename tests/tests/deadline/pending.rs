//! Which changes wait to be confirmed.

use kvconf::{KvConfig, Prefix, Provisional};

use crate::deadline::backend::{Backend, LATER, SECOND, SOON, Shop, quick_on, start, trial, until, value};

/// Two prefixes as one struct, for a change across both.
#[derive(KvConfig, Debug, Clone, PartialEq)]
struct All {
    #[kv(nested)]
    shop: Shop,
    #[kv(default = 0)]
    discount: u8,
}

fn keys(change: &Provisional) -> Vec<&str> {
    change.keys().map(kvconf::Key::as_str).collect()
}

pub(crate) async fn any_process_finds_and_confirms_it(backend: &Backend) {
    let bucket = quick_on(backend).await;
    let live = start(&bucket).await;
    let change = trial(&live, LATER).await;
    assert_eq!(change.deadline().duration_since(change.since()).unwrap(), LATER);
    let written = bucket.entry("shop.max").await.unwrap().unwrap();
    assert_eq!(change.since(), written.created());
    let first = live.edit().set(Shop::fields().region, Some("eu".into())).plan().await.unwrap();
    let first = first.commit().author("dev").confirm_within(60 * SECOND).await.unwrap();

    let found = start(&bucket).await.pending().await.unwrap();
    let ids: Vec<_> = found.iter().map(Provisional::change).collect();
    assert_eq!(ids, [first.change(), change.change()]);
    let found = &found[1];
    assert_eq!((keys(found), found.revision()), (vec!["shop.max", "shop.min"], change.revision()));
    assert_eq!((found.since(), found.deadline()), (change.since(), change.deadline()));
    assert_eq!(found.by(), change.by());
    let text = found.to_string();
    let begins = format!("{} by ops (\"sale\"), goes back at ", change.change());
    assert!(text.starts_with(&begins) && text.ends_with(": shop.max, shop.min"), "{text}");

    found.confirm().await.unwrap();
    let left = bucket.pending("shop.>").await.unwrap();
    assert_eq!(left.iter().map(Provisional::change).collect::<Vec<_>>(), [first.change()]);
    assert!(bucket.pending(Prefix::new("other").unwrap()).await.unwrap().is_empty());
}

// P2
pub(crate) async fn a_part_of_it_leads_to_the_whole(backend: &Backend) {
    let bucket = quick_on(backend).await;
    let live = bucket.live::<All>().without_environment().start().await.unwrap();
    let fields = All::fields();
    let plan = live.edit().set(fields.shop.max, 50).set(fields.discount, 20).plan().await.unwrap();
    let change = plan.commit().confirm_within(LATER).await.unwrap();
    let found = bucket.pending("shop.>").await.unwrap();
    assert_eq!((keys(&found[0]), found[0].is_whole()), (vec!["discount", "shop.max"], true));
    let applied = found[0].take_back().await.unwrap();
    assert_eq!(applied.written().len(), 2);
    assert_eq!(value(&bucket, "discount").await, "-");
    assert_eq!(change.change(), found[0].change());
}

pub(crate) async fn it_lists_what_is_left_of_it(backend: &Backend) {
    let bucket = quick_on(backend).await;
    let live = start(&bucket).await;
    let _ = trial(&live, LATER).await;
    bucket.put("shop.max", "60").await.unwrap();
    let found = bucket.pending(">").await.unwrap();
    assert_eq!((keys(&found[0]), found[0].is_whole()), (vec!["shop.max", "shop.min"], true));
    assert!(found[0].confirm().await.unwrap_err().is_conflict());
    bucket.put("shop.min", "6").await.unwrap();
    assert!(bucket.pending(">").await.unwrap().is_empty());
}

pub(crate) async fn what_is_over_is_not_listed(backend: &Backend) {
    let bucket = quick_on(backend).await;
    let live = start(&bucket).await;
    let _ = trial(&live, SOON).await;
    assert_eq!(live.pending().await.unwrap().len(), 1);
    until(&live, "1-10 -").await;
    assert!(live.pending().await.unwrap().is_empty());
}
