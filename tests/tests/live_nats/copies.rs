//! Buckets that copy others: mirrors on leaf nodes, and sources.

use std::time::Duration;

use kvconf::{
    Attribution, Bucket, BucketConfig, Caveat, CommitError, External, KvConfig, Live, Revision, Source,
    WatchState,
};
use kvconf_tests::server::{HubAndLeaf, Server};
use kvconf_tests::{wait_for, wait_until};

use super::{BOUND, Pool, another, health, live, reach};

const HUB: &str = "$JS.hub.API";

/// A bucket on a hub, and a mirror of it on a leaf node.
async fn mirrored(settings: BucketConfig) -> (HubAndLeaf, Bucket, Bucket) {
    let pair = HubAndLeaf::start().await;
    let hub = Bucket::create(pair.hub.client().await, settings).await.unwrap();
    let mut mirror = BucketConfig::unchanged("b");
    let external = External { api_prefix: HUB.into(), deliver_prefix: None };
    mirror.mirror = Some(Source { bucket: "b".into(), external: Some(external), ..Source::default() });
    mirror.history = Some(64);
    let mirror = Bucket::create(pair.leaf.client().await, mirror).await.unwrap();
    (pair, hub, mirror)
}

// P2, P7
#[tokio::test]
async fn a_handle_on_a_mirror_sees_values_removals_and_whole_sets_with_their_authors() {
    let (_pair, hub, mirror) = mirrored(BucketConfig::new("b")).await;
    let pool = live(&mirror, "shop").await;
    let there = live(&hub, "shop").await;
    let applied = there.update(|pool| (pool.max, pool.min, pool.name) = (40, 30, Some("n".into())));
    let applied = applied.author("ops").reason("more").await.unwrap();
    reach(&pool, applied.revision()).await;
    assert_eq!(*pool.load().value(), Pool { min: 30, max: 40, name: Some("n".into()) });
    assert_eq!(pool.load().revision(), applied.revision());
    let entry = mirror.entry("shop.max").await.unwrap().unwrap();
    let Attribution { author, reason, .. } = Attribution::of(&entry);
    assert_eq!((author.as_deref(), reason.as_deref()), (Some("ops"), Some("more")));

    let removed = hub.delete("shop.name").await.unwrap();
    reach(&pool, removed).await;
    assert_eq!(*pool.load().value(), Pool { min: 30, max: 40, name: None });
}

/// Keys that change together, with one between them that takes its time on a slow connection.
#[derive(KvConfig, Debug, Clone, PartialEq)]
struct Wide {
    #[kv(default = 1)]
    first: u32,
    middle: Option<String>,
    #[kv(default = 1)]
    z_last: u32,
}

// P2, P5, P8: a mirror gets a set message by message.
#[tokio::test]
async fn a_mirror_that_is_cut_off_in_the_middle_of_a_set_shows_nothing_of_it() {
    let (pair, hub, mirror) = mirrored(BucketConfig::new("b")).await;
    let start = async || mirror.live::<Wide>().prefix("w").start().await.unwrap();
    let there: Live<Wide> = hub.live().prefix("w").start().await.unwrap();
    let set = async |value: u32, middle: String| {
        let new = Wide { first: value, middle: Some(middle), z_last: value };
        let change = |wide: &mut Wide| *wide = new.clone();
        there.update(change).author("ops").await.unwrap().revision()
    };
    let both = |live: &Live<Wide>| (live.load().first, live.load().z_last);
    let pool = start().await;
    reach(&pool, set(2, "short".to_owned()).await).await;

    // Nothing that compresses.
    let long = (0..50_000_u64).map(|number| format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let long: String = long.collect();
    pair.slow(8 * 1_024, Duration::from_millis(20));
    let revision = set(3, long).await;
    let newest = async |key: &str| mirror.entry(key).await.unwrap().unwrap().revision();
    wait_until("the first of three", BOUND, async || newest("w.first").await == revision - 2).await;
    pair.stand_still();
    assert!(newest("w.z_last").await < revision - 2, "too late: all of it is there");

    let reading = mirror.read("w.>").await.unwrap();
    let value = |key: &str| reading.get(key).map(|value| value.to_vec());
    assert_eq!((value("w.first"), value("w.z_last")), (Some(b"2".to_vec()), Some(b"2".to_vec())));
    assert!(reading.is_isolated());
    let late = start().await;
    assert_eq!((both(&late), both(&pool)), ((2, 2), (2, 2)));
    for live in [&late, &pool] {
        let told = health(live, |health| matches!(health.state, WatchState::OriginAway { .. })).await;
        assert!(told.is_ready() && !told.is_current());
        assert_eq!(both(live), (2, 2));
    }
    pair.unite();
    for live in [&late, &pool] {
        reach(live, revision).await;
        assert_eq!(both(live), (3, 3));
        health(live, |health| health.state == WatchState::Live).await;
    }
}

// P1: what its origin has let go of meanwhile never comes.
#[tokio::test]
async fn a_mirror_that_was_cut_off_shows_no_state_that_its_origin_never_had() {
    let mut settings = BucketConfig::new("b");
    settings.history = Some(8);
    let (pair, hub, mirror) = mirrored(settings).await;
    let name = async |number: u32| {
        let digits = (0..2_000_u64).map(|at| format!("{:x}", (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let name = format!("{number} {}", digits.collect::<String>());
        hub.put("shop.name", name).await.unwrap();
    };
    name(0).await;
    let pool = live(&mirror, "shop").await;
    let number =
        |pool: &Pool| pool.name.as_ref().and_then(|name| name.split(' ').next()?.parse::<u32>().ok());
    health(&pool, |health| health.state == WatchState::Live && number(pool.load().value()) == Some(0)).await;

    pair.part();
    health(&pool, |health| matches!(health.state, WatchState::OriginAway { .. })).await;
    name(1).await;
    hub.put("shop.min", "5").await.unwrap();
    for later in 2..=20 {
        name(later).await;
    }
    // The names 1 to 12 are gone, and the next one needs its time.
    pair.slow(4 * 1_024, Duration::from_millis(300));
    let check =
        |now: &Pool| assert!(now.min == 1 || number(now) != Some(0), "min was never 5 with the first name");
    let begins = async |key: &str, with: &str| {
        mirror.get(key).await.unwrap().is_some_and(|value| value.starts_with(with.as_bytes()))
    };
    wait_until("the mirror has the first of it", BOUND, async || begins("shop.min", "5").await).await;
    let bucket = another(&pair.leaf).await;
    let starting = tokio::spawn(async move {
        let late = live(&bucket, "shop").await;
        let first = late.load().value().clone();
        (late, first)
    });
    let has_more = async || {
        check(pool.load().value());
        !begins("shop.name", "0 ").await
    };
    wait_until("the mirror has more of it", BOUND, has_more).await;
    pair.unite();
    let (late, first) = starting.await.unwrap();
    check(&first);
    for live in [&pool, &late] {
        let is_newest = async || {
            check(live.load().value());
            number(live.load().value()) == Some(20)
        };
        wait_until("the newest name", BOUND, is_newest).await;
        assert_eq!(live.load().min, 5);
        health(live, |health| health.state == WatchState::Live).await;
    }
}

// P2, P6, P7: they go to the hub, and come back by the mirror.
#[tokio::test]
async fn changes_of_several_keys_are_made_through_a_mirror_when_its_origin_takes_them() {
    let (_pair, hub, mirror) = mirrored(BucketConfig::new("b")).await;
    assert_eq!(mirror.caveats(), []);
    let pool = live(&mirror, "shop").await;
    let applied = pool.update(|pool| (pool.max, pool.min) = (40, 30)).author("ops").await.unwrap();
    assert_eq!(applied.revision(), Revision::new(2));
    reach(&pool, applied.revision()).await;
    assert_eq!(*pool.load().value(), Pool { min: 30, max: 40, name: None });
    assert_eq!(mirror.status().await.unwrap().max_batch, 1_000);

    let mine = pool.edit().set(Pool::fields().max, 50).set(Pool::fields().min, 2).plan().await.unwrap();
    let theirs = live(&hub, "shop").await;
    let theirs = theirs.update(|pool| pool.max = 60).author("them").await.unwrap();
    let Err(CommitError::Conflict(conflict)) = mine.commit().author("ops").await else {
        panic!("a conflict")
    };
    assert_eq!((conflict.found, conflict.by.author.as_deref()), (Some(theirs.revision()), Some("them")));
    reach(&pool, theirs.revision()).await;
    assert_eq!((pool.load().min, pool.load().max), (30, 60));
}

#[tokio::test]
async fn a_mirror_of_a_bucket_without_batches_refuses_changes_of_several_keys() {
    let mut settings = BucketConfig::new("b");
    settings.allow_atomic_batches = Some(false);
    let (_pair, _hub, mirror) = mirrored(settings).await;
    assert_eq!(mirror.caveats(), [Caveat::NoBatches]);
    let pool = live(&mirror, "shop").await;
    let refused = pool.update(|pool| (pool.max, pool.min) = (40, 30)).await.unwrap_err();
    assert!(kvconf_words(&refused).contains("bucket b does not allow atomic batches"), "{refused:?}");
    let one = pool.update(|pool| pool.max = 40).await.unwrap();
    reach(&pool, one.revision()).await;
}

fn kvconf_words(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(kvconf_words);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

// P5: the server copies on behind what the mirror has, and hears of the other one all the while.
#[tokio::test]
async fn a_mirror_whose_origin_was_created_again_says_so_and_goes_on_to_say_it() {
    let (pair, hub, mirror) = mirrored(BucketConfig::new("b")).await;
    let pool = live(&mirror, "shop").await;
    for number in 1..=20_u32 {
        hub.put("shop.min", number.to_string()).await.unwrap();
    }
    health(&pool, |health| health.state == WatchState::Live && pool.load().min == 20).await;
    let client = pair.hub.client().await;
    Bucket::destroy(&client, "b").await.unwrap();
    health(&pool, |health| matches!(health.state, WatchState::OriginAway { .. })).await;

    let hub = Bucket::create(&client, BucketConfig::new("b")).await.unwrap();
    hub.put("shop.min", "1").await.unwrap();
    let replaced = WatchState::OriginReplaced { origin: "b".to_owned() };
    let told = health(&pool, |health| health.state == replaced).await;
    assert!(told.is_ready() && !told.is_current());
    // Who starts now knows as much.
    let late = live(&mirror, "shop").await.health();
    assert_eq!((late.is_ready(), late.state), (true, replaced.clone()));
    // The mirror gets what stands behind its own: a state that neither of the two ever had.
    for number in 2..=30_u32 {
        hub.put("shop.max", number.to_string()).await.unwrap();
    }
    health(&pool, |_| pool.load().max == 30).await;
    assert_eq!((pool.load().min, hub.get("shop.min").await.unwrap().unwrap()), (20, "1".into()));
    assert_eq!(pool.health().state, replaced);

    // Made anew it is a mirror again.
    let leaf = pair.leaf.client().await;
    let settings = mirror.status().await.unwrap().config;
    Bucket::destroy(&leaf, "b").await.unwrap();
    Bucket::create(&leaf, settings).await.unwrap();
    health(&pool, |health| health.state == WatchState::Live && pool.load().min == 1).await;
}

// P2, P5: a copy of another name, whose own writers are not held up.
#[tokio::test]
async fn a_copy_by_sources_says_when_what_it_copies_is_gone() {
    let server = Server::start().await;
    let client = server.client().await;
    let origin = Bucket::create(&client, BucketConfig::new("origin")).await.unwrap();
    let mut config = BucketConfig::new("b");
    config.sources = Some(vec![Source { bucket: "origin".into(), ..Source::default() }]);
    let copy = Bucket::create(&client, config).await.unwrap();
    origin.batch().put("shop.max", "40").put("shop.min", "30").commit().await.unwrap();
    wait_for("what is copied", BOUND, async || copy.get("shop.min").await.unwrap()).await;
    let pool: Live<Pool> = live(&copy, "shop").await;
    health(&pool, |health| health.state == WatchState::Live).await;
    for number in 50..90 {
        let max = (number + 10).to_string();
        origin.batch().put("shop.max", max).put("shop.min", number.to_string()).commit().await.unwrap();
        let now = pool.load();
        assert_eq!(now.max, now.min + 10, "torn");
    }
    health(&pool, |_| pool.load().min == 89).await;

    Bucket::destroy(&client, "origin").await.unwrap();
    let away =
        |state: &WatchState| matches!(state, WatchState::OriginAway { origin, .. } if origin == "origin");
    let lost = health(&pool, |health| away(&health.state)).await;
    assert!(lost.is_ready() && !lost.is_current());
    let own = pool.update(|pool| (pool.max, pool.min) = (7, 3)).await.unwrap();
    reach(&pool, own.revision()).await;
    let after = pool.health();
    assert!(away(&after.state), "{after:?}");
    assert_eq!((after.since, pool.load().max), (lost.since, 7));
}
