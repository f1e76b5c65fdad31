use kvconf::{BucketConfig, KeyState, KvConfig, LogError, LoggedChange};

use crate::history::backend::{Backend, Shop, reach, rev, shop};

/// The keys of a change: `max_items: 50 → 80`.
fn keys(change: &LoggedChange) -> Vec<String> {
    change.keys().iter().map(|key| format!("{}: {} → {}", key.key(), key.before, key.after)).collect()
}

/// Without what differs from run to run: times and ids.
fn stable(change: &LoggedChange) -> String {
    let mut text = change.to_string();
    if let (Some(at), Some(until)) = (text.find(", 20"), text.find(" by ").or(text.find(" author"))) {
        text.replace_range(at..until, ", TIME,");
    }
    if let (Some(at), Some(until)) = (text.find("(change "), text.find(')')) {
        text.replace_range(at..=until, "(ID)");
    }
    text
}

// P7 and P8
pub(crate) async fn a_log_says_who_when_why_and_what(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    let fields = Shop::fields();
    let plan =
        live.edit().set(fields.max_items, 80).set(fields.region, Some("eu".to_owned())).plan().await.unwrap();
    let applied = plan.commit().author("ops").reason("sale").await.unwrap();
    // A client that says nothing of itself.
    let foreign = bucket.put("shop.max_items", "90").await.unwrap();
    reach(&live, foreign).await;
    bucket.put("other.key", "1").await.unwrap();
    let removed =
        live.edit().unset(fields.region).plan().await.unwrap().commit().author("eve").await.unwrap();

    let log = live.log().await.unwrap();
    let told: Vec<String> = log.iter().map(stable).collect();
    insta::allow_duplicates! {
        insta::assert_snapshot!(told.join("\n\n"), @r#"
    revision 5, TIME, by eve (ID)
      shop.region  `eu` → (deleted)

    revision 3, TIME, author unknown
      shop.max_items  80 → 90

    revision 1 to 2, TIME, by ops: "sale" (ID)
      shop.max_items  (none) → 80
      shop.region     (none) → `eu`
    "#);
    }
    let [unset, put, both] = log.changes() else { panic!("{log}") };
    assert_eq!(
        (both.author(), both.reason(), both.change()),
        (Some("ops"), Some("sale"), Some(applied.change()))
    );
    assert_eq!((both.revisions(), both.revision()), (rev(1)..=rev(2), applied.revision()));
    assert_eq!((put.author(), put.reason(), put.change()), (None, None, None));
    assert_eq!((unset.revision(), unset.author()), (removed.revision(), Some("eve")));
    // The entries themselves, for whoever goes on from here.
    let [key] = unset.keys() else { panic!("{unset}") };
    assert_eq!(key.replaced().map(|entry| entry.revision().get()), Some(2));
    assert_eq!((key.entry().revision(), &key.after), (removed.revision(), &KeyState::Deleted));
    let entry = bucket.entry("shop.max_items").await.unwrap().unwrap();
    assert_eq!((put.time(), put.keys()[0].entry()), (entry.created(), &entry));
    assert_eq!(log.older(), None);

    // What a purge removes is gone, from the log too.
    bucket.purge("shop.max_items").await.unwrap();
    let log = live.log().await.unwrap();
    let told: Vec<String> = log.iter().map(stable).collect();
    insta::allow_duplicates! {
        insta::assert_snapshot!(told.join("\n\n"), @r#"
    revision 6, TIME, author unknown
      shop.max_items  (no longer kept) → (purged)

    revision 5, TIME, by eve (ID)
      shop.region  `eu` → (deleted)

    revision 1 to 2, TIME, by ops: "sale" (ID)
      shop.region  (none) → `eu`
      and 1 key no longer kept
    "#);
    }
}

// P11
pub(crate) async fn secrets_are_masked_and_their_change_is_seen(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    bucket.put("shop.api_key", "first-secret").await.unwrap();
    bucket.put("shop.api_key", "second-secret").await.unwrap();
    // What no field knows may be somebody's secret too.
    bucket.put("shop.old_password", "third-secret").await.unwrap();
    let log = live.log().await.unwrap();
    let told: Vec<String> = log.iter().flat_map(keys).collect();
    assert_eq!(
        told,
        ["shop.old_password: (none) → (12 bytes)", "shop.api_key: *** → ***", "shop.api_key: (none) → ***"]
    );
    let history = live.history(Shop::fields().api_key).await.unwrap();
    let diff = live.diff(rev(1), rev(2)).await.unwrap();
    assert_eq!(diff.to_string(), "shop.api_key  *** → ***");
    for text in [
        format!("{log} {log:?}"),
        format!("{history} {history:?}"),
        format!("{diff} {diff:?}"),
        format!("{:?}", live.at(rev(1)).await.unwrap()),
        serde_json::to_string(&diff).unwrap(),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(diff.before(Shop::fields().api_key).unwrap().expose(), "first-secret");
}

// P8
pub(crate) async fn keys_that_changed_together_stand_together(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    bucket
        .batch()
        .put("elsewhere.a", "1")
        .put("shop.retry.min", "2")
        .put("elsewhere.b", "1")
        .put("shop.retry.max", "9")
        .commit()
        .await
        .unwrap();
    // One after the other is not together, whoever does it.
    bucket.put("shop.retry.min", "3").await.unwrap();
    bucket.put("shop.retry.max", "4").await.unwrap();
    let log = live.log().await.unwrap();
    let told: Vec<_> =
        log.iter().map(|change| (change.revisions(), keys(change).len(), change.missing())).collect();
    assert_eq!(told, [(rev(6)..=rev(6), 1, 0), (rev(5)..=rev(5), 1, 0), (rev(1)..=rev(4), 2, 0)]);
    let everything = bucket.log("").await.unwrap();
    assert_eq!(everything.changes().last().map(|change| change.keys().len()), Some(4));
}

pub(crate) async fn pages_go_on_where_the_last_one_ended(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    for n in 1..=7 {
        bucket.batch().put("shop.max_items", n.to_string()).put("x.y", "1").commit().await.unwrap();
    }
    let mut before = None;
    let mut pages = Vec::new();
    loop {
        let request = live.log().limit(3);
        let page = match before {
            Some(before) => request.before(before).await.unwrap(),
            None => request.await.unwrap(),
        };
        pages.push(page.iter().map(|change| change.revision().get()).collect::<Vec<_>>());
        before = page.older();
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec![14, 12, 10], vec![8, 6, 4], vec![2]]);
    // In the middle of a set: that one was not complete before.
    let page = live.log().limit(1).before(rev(14)).await.unwrap();
    assert_eq!(page.changes()[0].revision(), rev(12));

    let mut stream = live.log().limit(2).stream();
    let mut streamed = Vec::new();
    while let Some(change) = stream.next().await {
        streamed.push(change.unwrap().revision().get());
    }
    assert_eq!(streamed, [14, 12, 10, 8, 6, 4, 2]);
    assert_eq!(
        kvconf::Live::fixed(live.load().value().clone()).log().await.unwrap_err().to_string(),
        LogError::Fixed.to_string()
    );
}

/// More entries than are read at once.
pub(crate) async fn a_window_that_cuts_a_set_shows_it_on_one_page_only(backend: &Backend) {
    let bucket = backend.plain().await;
    let mut expected = Vec::new();
    for round in 0..60_u64 {
        // Sets of changing sizes, so that windows end within them.
        let mut batch = bucket.batch();
        for key in 0..=(round * 7) % 40 {
            batch = batch.put(format!("many.k{key}"), round.to_string());
        }
        let last = batch.commit().await.unwrap().get();
        expected.push((last - (round * 7) % 40, last));
    }
    expected.reverse();
    let all = bucket.log("many").limit(1_000).await.unwrap();
    let of = |change: &LoggedChange| (change.revisions().start().get(), change.revisions().end().get());
    assert_eq!(all.iter().map(of).collect::<Vec<_>>(), expected);
    for limit in [1, 7, 25] {
        let mut stream = bucket.log("many").limit(limit).stream();
        let mut streamed = Vec::new();
        while let Some(change) = stream.next().await {
            streamed.push(change.unwrap());
        }
        // Found in windows, with what stood before them asked for, they are the same.
        assert_eq!(streamed, all.changes(), "pages of {limit}");
    }
}

// P8
pub(crate) async fn what_retention_lost_is_said(backend: &Backend) {
    let bucket = backend.keeping(2).await;
    let live = shop(&bucket).await;
    bucket.batch().put("shop.max_items", "1").put("shop.region", "eu").commit().await.unwrap();
    for n in 2..=4 {
        bucket.put("shop.max_items", n.to_string()).await.unwrap();
    }
    let log = live.log().await.unwrap();
    let told: Vec<_> = log.iter().map(|change| (keys(change), change.missing())).collect();
    let one = |text: &str, missing| (vec![text.to_owned()], missing);
    assert_eq!(
        told,
        [
            one("shop.max_items: 3 → 4", 0),
            one("shop.max_items: (no longer kept) → 3", 0),
            one("shop.region: (none) → `eu`", 1),
        ]
    );
    assert!(log.changes()[2].is_partial());
    assert!(log.changes()[2].to_string().ends_with("\n  and 1 key no longer kept"), "{log}");
}

pub(crate) async fn a_plain_log_shows_sizes_unless_asked(backend: &Backend) {
    let bucket = backend.bucket(BucketConfig::new("cfg")).await;
    bucket.put("app.token", "t0p").await.unwrap();
    let told = async |request: kvconf::LogRequest| {
        let log = request.await.unwrap();
        log.iter().flat_map(keys).collect::<Vec<_>>()
    };
    assert_eq!(told(bucket.log("app")).await, ["app.token: (none) → (3 bytes)"]);
    assert_eq!(told(bucket.log("app").show_values()).await, ["app.token: (none) → `t0p`"]);
    // A struct's log stays masked, whatever is asked.
    let live = shop(&bucket).await;
    bucket.put("shop.api_key", "t0p").await.unwrap();
    assert_eq!(told(live.log().show_values()).await, ["shop.api_key: (none) → ***"]);
    assert_eq!(bucket.log("a..b").await.unwrap_err().to_string(), "invalid prefix");
}

/// More than a server answers for at once.
pub(crate) async fn a_log_of_filters_knows_what_stood_before_very_many_keys(backend: &Backend) {
    const PART: usize = 700;
    let bucket = backend.keeping(5).await;
    for round in 0..4 {
        for part in 0..2 {
            let keys = part * PART..(part + 1) * PART;
            let batch =
                keys.fold(bucket.batch(), |batch, at| batch.put(format!("n.k{at}"), format!("v{round}")));
            batch.put("other", "x").commit().await.unwrap();
        }
    }
    let log = bucket.log_of(["n.>", "other"]).show_values().limit(3).await.unwrap();
    let told = |change: &LoggedChange| {
        let mut kinds: Vec<String> =
            change.keys().iter().map(|key| format!("{} → {}", key.before, key.after)).collect();
        kinds.sort();
        kinds.dedup();
        (change.keys().len(), change.missing(), kinds)
    };
    let both = |before: &str, after: &str| {
        (PART + 1, 0, vec![format!("`{before}` → `{after}`"), "`x` → `x`".to_owned()])
    };
    let expected = [both("v2", "v3"), both("v2", "v3"), both("v1", "v2")];
    assert_eq!(log.iter().map(told).collect::<Vec<_>>(), expected);
    // Of a key by itself its siblings are not missed.
    let own = bucket.log_of("n.k7").show_values().limit(1).await.unwrap();
    assert_eq!(own.iter().map(told).collect::<Vec<_>>(), [(1, 0, vec!["`v2` → `v3`".to_owned()])]);
    assert_eq!(own.older(), Some(own.changes()[0].revisions().start().to_owned()));
    let error = bucket.log_of(Vec::<kvconf::Filter>::new()).await.unwrap_err();
    assert!(matches!(&error, LogError::Read(kvconf::ReadError::Name(_))), "{error:?}");
}
