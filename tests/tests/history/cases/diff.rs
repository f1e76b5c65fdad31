use kvconf::{FieldChange, KvConfig, Point, Revision};

use crate::history::backend::{Backend, Shop, rev, shop};

// P8
pub(crate) async fn a_diff_is_typed_shown_and_data(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    let fields = Shop::fields();
    bucket.put("shop.region", "eu").await.unwrap();
    bucket.put("shop.limits.nl", "1").await.unwrap();
    let from = bucket.put("shop.retry.max", "5").await.unwrap();
    bucket.put("shop.max_items", "80").await.unwrap();
    bucket.delete("shop.region").await.unwrap();
    bucket.put("shop.limits.nl", "2").await.unwrap();
    bucket.put("shop.limits.be", "1").await.unwrap();
    // The default, written out, and the same number, written otherwise, are no difference.
    bucket.put("shop.retry.min", "1").await.unwrap();
    bucket.put("shop.retry.max", " 5\n").await.unwrap();
    bucket.put("shop.unknown", "1").await.unwrap();

    let diff = live.diff(from, Point::Latest).await.unwrap();
    insta::allow_duplicates! {
        insta::assert_snapshot!(diff, @r"
    shop.max_items  50     → 80
    shop.region     `eu`   → (none)
    shop.limits.be  (none) → 1
    shop.limits.nl  1      → 2
    ");
    }
    assert_eq!((diff.from(), diff.to()), (from, rev(10)));
    assert_eq!((diff.before(fields.max_items), diff.after(fields.max_items)), (Ok(50), Ok(80)));
    assert_eq!(diff.before(fields.region), Ok(Some("eu".to_owned())));
    let limits = diff.after(fields.limits).unwrap();
    assert_eq!(limits.into_iter().collect::<Vec<_>>(), [("be".to_owned(), 1), ("nl".to_owned(), 2)]);
    assert!(diff.touches(fields.limits) && diff.touches(fields.region));
    assert!(!diff.touches(fields.retry.max) && !diff.touches(fields.api_key));
    assert_eq!(
        serde_json::to_value(&diff).unwrap()["changes"][0],
        serde_json::json!({"key": "shop.max_items", "before": "50", "after": "80"})
    );
    let colored = diff.colored().to_string();
    assert!(
        colored.starts_with("shop.max_items  \x1b[31m50    \x1b[0m → \x1b[32m80\x1b[0m\n"),
        "{colored:?}"
    );
    // Backwards too, and without a difference.
    let back = live.diff(Point::Latest, from).await.unwrap();
    let FieldChange { before, after, .. } = &back.changes()[0];
    assert_eq!((before.as_deref(), after.as_deref()), (Some("80"), Some("50")));
    let same = live.diff(from, from).await.unwrap();
    assert!(same.is_empty());
    assert_eq!(same.to_string(), "no difference");
}

// P8
pub(crate) async fn a_diff_shows_what_broke_a_struct(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    let good = bucket.put("shop.max_items", "60").await.unwrap();
    bucket.put("shop.max_items", "many").await.unwrap();
    let diff = live.diff(good, Point::Latest).await.unwrap();
    assert_eq!(diff.to_string(), "shop.max_items  60 → `many`");
    let problems = diff.after(Shop::fields().max_items).unwrap_err();
    assert_eq!(problems[0].to_string(), "shop.max_items: `many` is not a whole number (u32)");
}

pub(crate) async fn an_old_name_is_no_difference(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    let old = bucket.put("shop.zone", "eu").await.unwrap();
    let new = bucket.batch().put("shop.region", "eu").delete("shop.zone").commit().await.unwrap();
    assert!(live.diff(old, new).await.unwrap().is_empty());
    let diff = live.diff(Revision::ZERO, old).await.unwrap();
    assert_eq!(diff.to_string(), "shop.region  (none) → `eu`");
    assert_eq!(live.at(old).await.unwrap().region.as_deref(), Some("eu"));
    assert_eq!(live.at(old).await.unwrap().report().map(|report| report.problems.len()), Some(1));
}

// P8
pub(crate) async fn plain_keys_differ_by_what_was_written_however_many_there_are(backend: &Backend) {
    const KEYS: usize = 1_500;
    let bucket = backend.keeping(5).await;
    let key = |at: usize| format!("n.k{at:04}");
    let write = async |keys: std::ops::Range<usize>, value: &str| {
        let mut last = Revision::ZERO;
        for first in keys.clone().step_by(500) {
            let part = first..keys.end.min(first + 500);
            let batch = part.fold(bucket.batch(), |batch, at| batch.put(key(at), value.to_owned()));
            last = batch.commit().await.unwrap();
        }
        last
    };
    let first = write(0..KEYS, "1").await;
    bucket.put("elsewhere", "x").await.unwrap();
    let second = write(100..1_300, "2").await;
    // Back again, and what is the same as before.
    write(100..200, "1").await;
    write(200..300, "2").await;
    let last = bucket.delete(key(299)).await.unwrap();
    let mut found = bucket.diff("n.>", first, Point::Latest).await.unwrap();
    assert_eq!((found.from(), found.to()), (first, last));
    let mut told = Vec::new();
    while let Some(one) = found.next().await.unwrap() {
        assert_eq!(one.before().map(|value| &value[..]), Some(&b"1"[..]));
        let deleted = one.after_entry().is_some_and(|entry| entry.revision() == last);
        assert_eq!(one.after().map(|value| &value[..]), (!deleted).then_some(&b"2"[..]));
        told.push(one.key().to_string());
    }
    assert_eq!(told, (200..1_300).map(key).collect::<Vec<_>>());
    // All names at once, as of a revision, and some that had nothing there.
    let names: Vec<kvconf::Filter> =
        (0..KEYS + 100).map(|at| kvconf::Filter::new(key(at)).unwrap()).collect();
    let reading = bucket.read_at(names, second).await.unwrap();
    let of = |value: &[u8]| reading.live().filter(|entry| entry.value() == value).count();
    assert_eq!((reading.entries().len(), of(b"1"), of(b"2")), (KEYS, 300, 1_200));
}
