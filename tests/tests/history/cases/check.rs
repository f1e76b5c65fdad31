use kvconf::{KvConfig, StartError};

use crate::history::backend::{Backend, Shop, rev};

// P8
pub(crate) async fn a_check_finds_what_a_start_would(backend: &Backend) {
    let bucket = backend.plain().await;
    let checked = bucket.check::<Shop>().now().await.unwrap();
    assert!(checked.would_start());
    assert_eq!(checked.to_string(), "nothing is wrong at revision 0");
    bucket.put("shop.zone", "eu").await.unwrap();
    bucket.put("shop.max_itms", "1").await.unwrap();
    let checked = bucket.check::<Shop>().now().await.unwrap();
    assert!(checked.would_start());
    assert_eq!(checked.report.map(|report| report.problems.len()), Some(2));
    bucket.put("shop.max_items", "many").await.unwrap();
    bucket.put("shop.retry.min", "9").await.unwrap();
    let checked = bucket.check::<Shop>().now().await.unwrap();
    assert!(!checked.would_start());
    let Err(StartError::Invalid(report)) = bucket.live::<Shop>().start().await else { panic!("it started") };
    assert_eq!(checked.report.unwrap().problems, report.problems);
    // Another prefix has other values.
    assert!(bucket.check::<Shop>().prefix("empty").now().await.unwrap().would_start());
    let error = bucket.check::<Shop>().prefix("a..b").now().await.unwrap_err();
    assert_eq!(error.to_string(), "invalid prefix");
}

// P8
pub(crate) async fn a_replay_lists_every_state_that_this_build_refuses(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("shop.max_items", "60").await.unwrap();
    bucket.put("shop.max_items", "many").await.unwrap();
    // Another key changes while the bad one stands.
    bucket.put("shop.region", "eu").await.unwrap();
    bucket.put("shop.max_items", "70").await.unwrap();
    // Valid only together; one after the other they are not.
    bucket.put("shop.retry.min", "9").await.unwrap();
    bucket.put("shop.retry.max", "10").await.unwrap();
    bucket.batch().put("shop.retry.max", "30").put("shop.retry.min", "20").commit().await.unwrap();
    bucket.put("shop.limits.nl", "x").await.unwrap();
    bucket.put("shop.limits.be", "y").await.unwrap();
    bucket.put("shop.limits.nl", "1").await.unwrap();
    bucket.delete("shop.limits.be").await.unwrap();

    let replay = bucket.check::<Shop>().replay().await.unwrap();
    let told: Vec<_> = replay
        .rejected
        .iter()
        .map(|rejected| {
            let problems: Vec<String> = rejected.report.problems.iter().map(ToString::to_string).collect();
            (rejected.from.get(), rejected.until.get(), rejected.states, problems.join("; "))
        })
        .collect();
    let nl = "shop.limits.nl: `x` is not a whole number (u32)";
    let be = "shop.limits.be: `y` is not a whole number (u32)";
    assert_eq!(
        told,
        [
            (2, 3, 2, "shop.max_items: `many` is not a whole number (u32)".to_owned()),
            (5, 5, 1, "shop.retry: min is above max".to_owned()),
            (9, 9, 1, nl.to_owned()),
            (10, 10, 1, format!("{be}; {nl}")),
            (11, 11, 1, be.to_owned()),
        ]
    );
    assert_eq!((replay.states, replay.complete_from, replay.is_clean()), (11, rev(0), false));
    assert_eq!(replay.rejected[0].report.serving, Some(rev(1)));
    let text = replay.to_string();
    assert!(
        text.starts_with("Shop refuses 6 of 11 states of bucket cfg\n\nrevision 2 to 3, 2 states\n"),
        "{text}"
    );
    assert!(bucket.check::<Shop>().prefix("empty").replay().await.unwrap().is_clean());
}

// P8
pub(crate) async fn a_replay_tries_what_is_left_of_lost_states(backend: &Backend) {
    let bucket = backend.keeping(2).await;
    bucket.put("shop.retry.max", "many").await.unwrap();
    bucket.put("shop.retry.max", "8").await.unwrap();
    for n in ["7", "bad", "6"] {
        bucket.put("shop.max_items", n).await.unwrap();
    }
    bucket.put("shop.retry.min", "7").await.unwrap();
    bucket.put("shop.retry.min", "9").await.unwrap();
    let replay = bucket.check::<Shop>().replay().await.unwrap();
    let told: Vec<_> =
        replay.rejected.iter().map(|rejected| (rejected.from.get(), rejected.until.get())).collect();
    // 1: a value by itself. 4: as the oldest that is known of its key. 7: of a complete state.
    assert_eq!(told, [(1, 1), (4, 4), (7, 7)]);
    assert_eq!(replay.complete_from, rev(6));
    assert_eq!(
        replay.lost.iter().map(|lost| lost.key.as_str()).collect::<Vec<_>>(),
        ["shop.retry.max", "shop.max_items", "shop.retry.min"]
    );
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop")]
struct Newer {
    #[kv(default = 50)]
    max_items: u32,
    owner: String,
}

// P8
pub(crate) async fn a_new_required_field_refuses_the_whole_past(backend: &Backend) {
    let bucket = backend.plain().await;
    for n in 1..=3 {
        bucket.put("shop.max_items", n.to_string()).await.unwrap();
    }
    let replay = bucket.check::<Newer>().replay().await.unwrap();
    let [rejected] = &replay.rejected[..] else { panic!("{replay}") };
    assert_eq!((rejected.from, rejected.until, rejected.states), (rev(1), rev(3), 3));
    assert_eq!(rejected.report.problems[0].to_string(), "shop.owner: required, and no source has a value");
    bucket.put("shop.owner", "ops").await.unwrap();
    bucket.put("shop.max_items", "x").await.unwrap();
    let replay = bucket.check::<Newer>().replay().await.unwrap();
    let told: Vec<_> =
        replay.rejected.iter().map(|rejected| (rejected.from.get(), rejected.until.get())).collect();
    assert_eq!(told, [(1, 3), (5, 5)]);
}
