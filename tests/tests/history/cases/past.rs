use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kvconf::{BucketConfig, KvConfig, Origin, PastError, Point, Revision};

use crate::history::backend::{Backend, Shop, reach, rev, shop};

// P8
pub(crate) async fn every_state_can_be_read_with_its_origins(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    let fields = Shop::fields();
    live.update(|shop| shop.max_items = 60).author("ops").reason("sale").await.unwrap();
    let second = live.update(|shop| _ = shop.limits.insert("nl".to_owned(), 3)).author("eve").await.unwrap();
    let third = live.update(|shop| shop.max_items = 70).await.unwrap();

    let then = live.at(second.revision()).await.unwrap();
    assert_eq!((then.max_items, &then.limits), (60, &BTreeMap::from([("nl".to_owned(), 3)])));
    assert_eq!((then.revision(), then.asked()), (second.revision(), Point::Revision(second.revision())));
    assert_eq!(then.origin(fields.max_items).to_string(), "revision 1 by ops");
    assert_eq!(then.origin(fields.region), Origin::Default);
    let newest = then.newest().unwrap();
    assert_eq!((newest.revision, newest.attribution.author.as_deref()), (second.revision(), Some("eve")));
    let entry = then.entry(&"shop.limits.nl".parse().unwrap()).unwrap();
    assert_eq!(&entry.value()[..], b"3");

    // Before the first write and at the present one.
    let nothing = live.at(Revision::ZERO).await.unwrap();
    assert_eq!((nothing.max_items, nothing.limits.len(), nothing.newest()), (50, 0, None));
    reach(&live, third.revision()).await;
    assert_eq!(live.at(third.revision()).await.unwrap().value(), live.load().value());
    let keys = bucket.at("shop", second.revision()).await.unwrap();
    assert_eq!(
        (keys.get("shop.max_items").map(|value| &value[..]), keys.entries().count()),
        (Some(&b"60"[..]), 2)
    );
    let fixed = kvconf::Live::fixed(live.load().value().clone());
    assert!(matches!(fixed.at(rev(1)).await, Err(PastError::Fixed)));
}

// P2 and P8
pub(crate) async fn no_state_lies_within_a_change_set(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    let fields = Shop::fields();
    bucket.put("shop.max_items", "60").await.unwrap();
    let set = bucket
        .batch()
        .put("other.a", "1")
        .put("shop.retry.min", "7")
        .put("shop.retry.max", "9")
        .put("other.b", "1");
    assert_eq!(set.commit().await.unwrap(), rev(5));
    for (asked, found, min) in [(1, 1, 1), (2, 2, 1), (3, 1, 1), (4, 4, 7), (5, 5, 7)] {
        let then = live.at(rev(asked)).await.unwrap();
        assert_eq!((then.revision(), then.retry.min), (rev(found), min), "at {asked}");
        assert_eq!(then.asked(), Point::Revision(rev(asked)));
    }
    // The revision before a change of several keys is the state before that change.
    reach(&live, rev(4)).await;
    let two = live.edit().set(fields.max_items, 70).set(fields.region, Some("eu".to_owned()));
    let applied = two.plan().await.unwrap().commit().await.unwrap();
    let before = live.at(applied.revision() - 1).await.unwrap();
    assert_eq!((before.max_items, before.region.as_deref(), before.revision()), (60, None, rev(5)));
}

// P8
pub(crate) async fn keys_created_since_are_absent(backend: &Backend) {
    let bucket = backend.keeping(4).await;
    let live = shop(&bucket).await;
    let start = bucket.put("shop.max_items", "60").await.unwrap();
    // Unconditional and few, and conditional and as many as are kept.
    bucket.put("shop.region", "eu").await.unwrap();
    bucket.create_key("shop.retry.min", "2").await.unwrap();
    for n in 3..=5 {
        bucket.put("shop.retry.min", n.to_string()).await.unwrap();
    }
    let then = live.at(start).await.unwrap();
    assert_eq!((then.max_items, then.region.as_deref(), then.retry.min), (60, None, 1));
}

// P8
pub(crate) async fn a_lost_value_is_an_error_that_names_its_key(backend: &Backend) {
    let bucket = backend.keeping(2).await;
    let live = shop(&bucket).await;
    bucket.put("elsewhere.first", "1").await.unwrap();
    let asked = bucket.put("shop.region", "eu").await.unwrap();
    for n in 1..=3 {
        bucket.put("shop.max_items", n.to_string()).await.unwrap();
        bucket.put("shop.retry.max", (n + 10).to_string()).await.unwrap();
        // A key that no field of the struct has is nobody's loss.
        bucket.put("shop.unknown", n.to_string()).await.unwrap();
    }
    let error = live.at(asked).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "what stood at revision 2 is no longer kept: shop.max_items (known from revision 6 on), \
         shop.retry.max (known from revision 7 on)"
    );
    assert_eq!(error.lost().len(), 2);
    let error = bucket.at("shop", asked).await.unwrap_err();
    assert_eq!(
        error.lost().iter().map(|lost| lost.key.as_str()).collect::<Vec<_>>(),
        ["shop.max_items", "shop.retry.max", "shop.unknown"]
    );
    // From where everything is known again on.
    assert_eq!(live.at(rev(7)).await.unwrap().retry.max, 12);
    assert!(matches!(live.diff(asked, Point::Latest).await, Err(PastError::Lost { .. })));
}

// P8
pub(crate) async fn a_purged_value_is_lost(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    bucket.put("elsewhere.first", "1").await.unwrap();
    let asked = bucket.put("shop.max_items", "60").await.unwrap();
    let purged = bucket.purge("shop.max_items").await.unwrap();
    bucket.put("shop.max_items", "70").await.unwrap();
    let error = live.at(asked).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "what stood at revision 2 is no longer kept: shop.max_items (known from revision 3 on)"
    );
    assert_eq!(live.at(purged).await.unwrap().max_items, 50);
}

// P8
pub(crate) async fn a_revision_outside_of_the_bucket_is_an_error(backend: &Backend) {
    let bucket = backend.keeping(1).await;
    let live = shop(&bucket).await;
    for n in 1..=3 {
        bucket.put("shop.max_items", n.to_string()).await.unwrap();
    }
    for asked in [4, 1_000_000] {
        let error = live.at(rev(asked)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("revision {asked} is outside what the bucket holds: 3 to 3"));
    }
    // Before the first write there was nothing.
    assert_eq!(live.at(Revision::ZERO).await.unwrap().max_items, 50);
    let entries = bucket.history("shop.max_items").await.unwrap();
    let early = entries[0].created() - Duration::from_nanos(1);
    assert!(matches!(live.at_time(early).await, Err(PastError::OutOfRange { .. })));
    for asked in [1, 2] {
        let error = live.at(rev(asked)).await.unwrap_err();
        assert!(
            matches!(&error, PastError::OutOfRange { asked: found, oldest, newest }
                if (found.get(), oldest.get(), newest.get()) == (asked, 3, 3)),
            "{error}"
        );
    }
    assert_eq!(live.at(rev(3)).await.unwrap().max_items, 3);
}

// P8
pub(crate) async fn a_time_has_a_state(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    let created = bucket.status().await.unwrap().created;
    for n in 1..=3 {
        bucket.put("shop.max_items", n.to_string()).await.unwrap();
    }
    let entries = bucket.history("shop.max_items").await.unwrap();
    let nano = Duration::from_nanos(1);
    for (entry, value) in entries.iter().zip(1..) {
        let then = live.at_time(entry.created()).await.unwrap();
        assert_eq!((then.max_items, then.revision()), (value, entry.revision()));
        let before = live.at_time(entry.created() - nano).await.unwrap();
        assert_eq!(before.max_items, if value == 1 { 50 } else { value - 1 });
    }
    let early = live.at_time(created - Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(early, PastError::OutOfTime { .. }), "{early}");
    assert!(early.to_string().contains(" is outside the bucket's life: "), "{early}");
    let late = live.at_time(SystemTime::now() + Duration::from_secs(3_600)).await.unwrap_err();
    assert!(matches!(late, PastError::OutOfTime { .. }), "{late}");
    let diff = live.diff(entries[0].created(), entries[2].created()).await.unwrap();
    assert_eq!(diff.to_string(), "shop.max_items  1 → 3");
}

// P8
pub(crate) async fn bad_values_of_the_past_are_reported_with_their_authors(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    bucket.put("shop.max_items", "60").await.unwrap();
    bucket.put("shop.retry.min", "9").header("Kvconf-Author", "eve").await.unwrap();
    let bad = bucket.put("shop.max_items", "many").header("Kvconf-Author", "bob").await.unwrap();
    let error = live.at(bad).await.unwrap_err();
    let report = error.report().unwrap_or_else(|| panic!("{error}"));
    let told: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["shop.max_items: `many` is not a whole number (u32)", "shop.retry: min is above max"]);
    assert_eq!(report.revision, Some(bad));
    let text = report.to_string();
    assert!(text.contains("revision 3 by bob") && text.contains("min from revision 2 by eve"), "{text}");
}

// P8
pub(crate) async fn what_aged_out_is_not_taken_for_absent(backend: &Backend) {
    let mut config = BucketConfig::new("cfg");
    config.max_age = Some(Duration::from_secs(2));
    config.limit_markers = None;
    let bucket = backend.bucket(config).await;
    let live = shop(&bucket).await;
    bucket.put("shop.max_items", "60").await.unwrap();
    // Nothing has left yet: what is absent is absent.
    let early = bucket.put("shop.region", "eu").await.unwrap();
    bucket.put("shop.retry.min", "2").await.unwrap();
    assert_eq!(live.at(early).await.unwrap().max_items, 60);
    kvconf_tests::wait_for("nothing left", Duration::from_secs(60), async || {
        (bucket.status().await.unwrap().entries == 0).then_some(())
    })
    .await;
    let asked = bucket.put("shop.region", "us").await.unwrap();
    bucket.put("shop.max_items", "70").await.unwrap();
    let error = live.at(asked).await.unwrap_err();
    let lost: Vec<String> = error.lost().iter().map(ToString::to_string).collect();
    assert_eq!(
        lost,
        [
            "shop.api_key (nothing is kept)",
            "shop.limits.* (nothing is kept)",
            "shop.max_items (known from revision 5 on)",
            "shop.retry.max (nothing is kept)",
            "shop.retry.min (nothing is kept)",
        ]
    );
    assert_eq!(live.at(rev(5)).await.unwrap().max_items, 70);
}

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "big")]
struct Big {
    #[kv(entries)]
    numbers: BTreeMap<String, u64>,
}

// P8
pub(crate) async fn thousands_of_keys_have_one_state(backend: &Backend) {
    const KEYS: u64 = 2_500;
    let bucket = backend.keeping(3).await;
    // So that the bucket's oldest revision stays the first.
    bucket.put("anchor", "1").await.unwrap();
    let live = bucket.live::<Big>().start().await.unwrap();
    // Each batch writes one number to 500 keys: a state is exact when the keys of one batch agree.
    let round = async |number: u64| {
        let mut last = Revision::ZERO;
        for part in 0..KEYS / 500 {
            let mut batch = bucket.batch();
            for key in part * 500..(part + 1) * 500 {
                batch = batch.put(format!("big.numbers.k{key:04}"), number.to_string());
            }
            last = batch.commit().await.unwrap();
        }
        last
    };
    let first = round(1).await;
    let second = round(2).await;
    let then = live.at(first).await.unwrap();
    assert_eq!((then.numbers.len() as u64, then.revision()), (KEYS, first));
    assert!(then.numbers.values().all(|number| *number == 1));
    // Somebody writes on while it is read.
    let (third, then) = tokio::join!(round(3), live.at(second - 250));
    let then = then.unwrap();
    assert_eq!(then.revision(), second - 500);
    let values: Vec<u64> = then.numbers.values().copied().collect();
    assert_eq!(values, [vec![2; 2_000], vec![1; 500]].concat());
    assert_eq!(live.diff(second, third).await.unwrap().changes().len() as u64, KEYS);
    round(4).await;
    let error = live.at(first).await.unwrap_err();
    assert_eq!(error.lost().len() as u64, KEYS, "{error}");
}
