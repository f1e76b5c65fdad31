use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::{BucketConfig, FieldState, KvConfig};
use kvconf_tests::wait_for;

use crate::history::backend::{Backend, Shop, shop};

/// `80`, `-`, `!`, `~` for expired, `?` for what is refused; newest first.
fn short<V: std::fmt::Debug>(state: &FieldState<V>) -> String {
    match state {
        FieldState::Value(value) => format!("{value:?}"),
        FieldState::Rejected(_) => "?".to_owned(),
        FieldState::Deleted => "-".to_owned(),
        FieldState::Purged => "!".to_owned(),
        FieldState::Expired => "~".to_owned(),
        other => format!("{other:?}"),
    }
}

// P8
pub(crate) async fn every_kind_of_write_is_in_a_history(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    let applied = live.update(|shop| shop.max_items = 60).author("ops").reason("sale").await.unwrap();
    bucket.delete("shop.max_items").await.unwrap();
    bucket.put("shop.max_items", "70").await.unwrap();
    bucket.put("shop.max_items2", "80").await.unwrap();
    let history = live.history(Shop::fields().max_items).await.unwrap();
    let states: Vec<String> = history.iter().map(|revision| short(&revision.state)).collect();
    assert_eq!(states, ["70", "-", "60"]);
    let first = &history.revisions()[2];
    assert_eq!((first.revision(), first.state.value()), (applied.revision(), Some(&60)));
    assert_eq!(first.attribution().reason.as_deref(), Some("sale"));
    assert!(history.is_complete());
    assert!(history.to_string().ends_with(", by ops (\"sale\"): 60"), "{history}");
    assert_eq!(history.to_string().lines().count(), 3);
    bucket.purge("shop.max_items").await.unwrap();
    let history = live.history(Shop::fields().max_items).await.unwrap();
    let states: Vec<String> = history.iter().map(|revision| short(&revision.state)).collect();
    assert_eq!(states, ["!"]);
    assert!(!history.is_complete());
    assert!(live.history(Shop::fields().region).await.unwrap().revisions().is_empty());
}

// P8
pub(crate) async fn an_expired_value_is_in_a_history(backend: &Backend) {
    let mut config = BucketConfig::new("cfg");
    config.history = Some(1);
    config.limit_markers = Some(Duration::from_secs(60));
    let bucket = backend.bucket(config).await;
    let live = shop(&bucket).await;
    bucket.put("shop.region", "eu").ttl(Duration::from_secs(1)).await.unwrap();
    let history = wait_for("the marker", Duration::from_secs(60), async || {
        let history = live.history(Shop::fields().region).await.unwrap();
        (history.revisions()[0].revision().get() == 2).then_some(history)
    })
    .await;
    let [marker] = history.revisions() else { panic!("{history}") };
    assert_eq!((short(&marker.state), marker.follows_gap()), ("~".to_owned(), true));
    let log = live.log().await.unwrap();
    let key = &log.changes()[0].keys()[0];
    assert_eq!(format!("{} → {}", key.before, key.after), "(no longer kept) → (expired)");
}

// P8
pub(crate) async fn what_todays_type_refuses_is_shown_with_its_problems(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    for value in ["60", "many", "9999", "70"] {
        bucket.put("shop.max_items", value).await.unwrap();
    }
    let history = live.history(Shop::fields().max_items).await.unwrap();
    let states: Vec<String> = history.iter().map(|revision| short(&revision.state)).collect();
    assert_eq!(states, ["70", "?", "?", "60"]);
    let problems: Vec<String> = history
        .iter()
        .filter_map(|revision| match &revision.state {
            FieldState::Rejected(problems) => {
                Some(problems.iter().map(ToString::to_string).collect::<String>())
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        problems,
        ["shop.max_items: 9999 is outside 1..=500", "shop.max_items: `many` is not a whole number (u32)"]
    );
    assert!(
        history.to_string().contains("author unknown: `many`\n  × `many` is not a whole number (u32)\n"),
        "{history}"
    );
}

// P8
pub(crate) async fn an_old_name_is_part_of_a_history(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    bucket.put("shop.zone", "south").await.unwrap();
    bucket.put("shop.region", "eu").await.unwrap();
    bucket.delete("shop.zone").await.unwrap();
    let history = live.history(Shop::fields().region).await.unwrap();
    let told: Vec<String> =
        history.iter().map(|revision| format!("{} {}", revision.key(), short(&revision.state))).collect();
    assert_eq!(told, ["shop.zone -", "shop.region Some(\"eu\")", "shop.zone Some(\"south\")"]);
    assert!(history.to_string().ends_with(": `south` under shop.zone"), "{history}");
}

pub(crate) async fn the_entries_of_a_map_have_one_history(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = shop(&bucket).await;
    bucket.put("shop.limits.nl", "1").await.unwrap();
    bucket.put("shop.limits.be", "2").await.unwrap();
    bucket.put("shop.limits.nl", "x").await.unwrap();
    bucket.delete("shop.limits.be").await.unwrap();
    let history = live.history(Shop::fields().limits).await.unwrap();
    let told: Vec<String> =
        history.iter().map(|revision| format!("{} {}", revision.key(), short(&revision.state))).collect();
    assert_eq!(
        told,
        ["shop.limits.be -", "shop.limits.nl ?", "shop.limits.be {\"be\": 2}", "shop.limits.nl {\"nl\": 1}"]
    );
    assert_eq!(history.revisions()[3].state, FieldState::Value(BTreeMap::from([("nl".to_owned(), 1)])));
}

// P8
pub(crate) async fn a_history_says_where_it_is_cut(backend: &Backend) {
    let bucket = backend.keeping(3).await;
    let live = shop(&bucket).await;
    let gaps = async || {
        let history = live.history(Shop::fields().max_items).await.unwrap();
        history.iter().map(kvconf::FieldRevision::follows_gap).collect::<Vec<_>>()
    };
    bucket.create_key("shop.max_items", "1").await.unwrap();
    for n in 2..=3 {
        bucket.put("shop.max_items", n.to_string()).await.unwrap();
    }
    // As many as the bucket keeps, and the first one says that there was none before.
    assert_eq!(gaps().await, [false, false, false]);
    bucket.put("shop.max_items", "4").await.unwrap();
    assert_eq!(gaps().await, [false, false, true]);
}
