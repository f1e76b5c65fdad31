//! What goes wrong between a handle and its bucket.

use std::time::Duration;

use kvconf::{Bucket, BucketConfig, Fault, Key, Live, MemoryFaults, Revision, WatchState};

use crate::live::settings::{Checkout, start};

async fn world() -> (Bucket, MemoryFaults, Live<Checkout>) {
    let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("faults")).unwrap();
    bucket.put("checkout.max_items", "60").await.unwrap();
    bucket.put("checkout.region", "eu").await.unwrap();
    let live = start(&bucket).await;
    (bucket, faults, live)
}

/// Paused time: minutes pass at once.
async fn until(live: &Live<Checkout>, mut fulfilled: impl FnMut(&Live<Checkout>) -> bool) {
    for _ in 0..6_000 {
        if fulfilled(live) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within ten minutes: {live:?} {:?}", live.health());
}

// P4, P5
#[tokio::test(start_paused = true)]
async fn a_recreated_bucket_is_noticed_and_loaded_afresh() {
    let (bucket, faults, live) = world().await;
    faults.delete_bucket();
    until(&live, |live| live.health().state == WatchState::BucketMissing).await;
    assert_eq!((live.load().max_items, live.load().epoch()), (60, 0));
    faults.recreate_bucket();
    bucket.put("checkout.max_items", "70").await.unwrap();
    until(&live, |live| live.load().max_items == 70).await;
    assert_eq!(
        (live.load().epoch(), live.load().revision(), live.load().region.as_deref()),
        (1, Revision::new(1), None)
    );
    assert_eq!(live.health().state, WatchState::Live);
}

// P3, P5: an election answers "nothing there"; it must not become an empty configuration.
#[tokio::test(start_paused = true)]
async fn an_empty_answer_where_values_stood_is_not_believed_at_once() {
    let (_bucket, faults, live) = world().await;
    for key in ["checkout.max_items", "checkout.region"] {
        faults.remove_key(&Key::new(key).unwrap());
    }
    faults.cut(&Fault::Ended);
    until(&live, |live| matches!(live.health().state, WatchState::Suspect { .. })).await;
    let since = tokio::time::Instant::now();
    assert_eq!(live.load().max_items, 60);
    until(&live, |live| live.load().max_items == 50).await;
    assert!(since.elapsed() >= Duration::from_secs(10), "{:?}", since.elapsed());
}

// P5
#[tokio::test(start_paused = true)]
async fn what_the_server_does_not_announce_is_found_within_a_minute() {
    let (_bucket, faults, live) = world().await;
    faults.remove_key(&Key::new("checkout.region").unwrap());
    let since = tokio::time::Instant::now();
    until(&live, |live| live.load().region.is_none()).await;
    assert!(since.elapsed() <= Duration::from_secs(60), "{:?}", since.elapsed());
    assert_eq!(live.load().max_items, 60);
}

#[tokio::test(start_paused = true)]
async fn a_value_with_a_time_to_live_gives_way_to_what_stood_before() {
    let (bucket, _faults, live) = world().await;
    let revision = bucket.put("checkout.max_items", "99").ttl(Duration::from_secs(30)).await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!(live.load().max_items, 99);
    let since = tokio::time::Instant::now();
    until(&live, |live| live.load().max_items == 60).await;
    assert!(since.elapsed() <= Duration::from_secs(40), "{:?}", since.elapsed());
}

// P4, P5
#[tokio::test(start_paused = true)]
async fn lost_deliveries_replays_and_cuts_end_in_the_buckets_state() {
    let (bucket, faults, live) = world().await;
    type Break = fn(&MemoryFaults);
    let breaks: [Break; 5] = [
        |faults| faults.lose_deliveries(1),
        |faults| faults.replay(Revision::new(1)),
        |faults| faults.cut(&Fault::Lagged),
        |faults| faults.cut(&Fault::Silent { after: Duration::from_secs(3) }),
        |faults| faults.cut(&Fault::Reconnected),
    ];
    let mut before = live.load().revision();
    for (n, break_it) in breaks.iter().enumerate() {
        break_it(&faults);
        let revision = bucket.put("checkout.max_items", (100 + n).to_string()).await.unwrap();
        live.wait_for(revision).await.unwrap();
        assert_eq!(live.load().max_items as usize, 100 + n);
        assert!(live.load().revision() > before);
        before = live.load().revision();
    }
}

// P5
#[tokio::test(start_paused = true)]
async fn a_start_that_waits_in_vain_says_what_it_waited_for() {
    let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("gone")).unwrap();
    faults.delete_bucket();
    let error = bucket.live::<Checkout>().deadline(Duration::from_secs(5)).start().await.unwrap_err();
    assert_eq!(error.to_string(), "bucket gone was not loaded within 5s: the bucket is missing");
}
