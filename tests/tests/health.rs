//! What a handle says of its watch, on a bucket in memory that fails where it is told to.

use std::time::{Duration, SystemTime};

use kvconf::{Bucket, BucketConfig, Fault, KvConfig, Live, MemoryFaults, ReadError, Readiness, WatchState};

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50)]
    max_items: u64,
}

fn bucket() -> (Bucket, MemoryFaults) {
    Bucket::memory_with_faults(BucketConfig::new("prod")).unwrap()
}

async fn live(bucket: &Bucket) -> Live<Checkout> {
    bucket.live().start().await.unwrap()
}

/// Waits until the handle is in this state; within a minute of paused time.
async fn reaches(live: &Live<Checkout>, wanted: WatchState) -> SystemTime {
    let reached = live.wait_for_health(|health| health.state == wanted);
    match tokio::time::timeout(Duration::from_secs(60), reached).await {
        Ok(health) => health.since,
        Err(_) => panic!("not {wanted:?} but {:?}", live.health().state),
    }
}

// P5
#[tokio::test(start_paused = true)]
async fn a_broken_connection_shows_with_the_moment_and_ends_with_what_was_missed() {
    let (bucket, faults) = bucket();
    let live = live(&bucket).await;
    let connected = reaches(&live, WatchState::Live).await;

    faults.pause();
    faults.cut(&Fault::Disconnected);
    let broke = reaches(&live, WatchState::Disconnected).await;
    assert!(broke >= connected);
    assert!(live.health().is_ready() && !live.health().is_current());
    let missed = bucket.put("checkout.max_items", "60").await.unwrap();
    assert_eq!(live.load().max_items, 50);

    faults.resume();
    faults.cut(&Fault::Reconnected);
    live.wait_for(missed).await.unwrap();
    reaches(&live, WatchState::Live).await;
    assert_eq!(live.load().max_items, 60);
    assert!(live.health().is_current());
}

// P5
#[tokio::test(start_paused = true)]
async fn a_refusal_shows_and_is_asked_about_again_without_haste() {
    let (bucket, faults) = bucket();
    let live = live(&bucket).await;
    let subject = "$JS.API.CONSUMER.CREATE.KV_prod".to_owned();
    faults.fail_reads(8, &ReadError::NotPermitted { subject: subject.clone() });

    let begun = tokio::time::Instant::now();
    faults.cut(&Fault::Ended);
    reaches(&live, WatchState::NotPermitted { subject }).await;
    reaches(&live, WatchState::Live).await;
    // Eight pauses with full jitter below up to 4 s each: ten milliseconds in all is as good as impossible.
    assert!(begun.elapsed() >= Duration::from_millis(10), "eight attempts within {:?}", begun.elapsed());
}

// P5
#[tokio::test(start_paused = true)]
async fn a_probe_is_told_why_a_handle_is_not_at_its_best_and_passes_until_it_is_stopped() {
    let (bucket, faults) = bucket();
    let live = live(&bucket).await;
    reaches(&live, WatchState::Live).await;
    assert_eq!(live.readiness().to_string(), "ready");
    assert!(live.health().contact_age().unwrap() < Duration::from_secs(3));

    let bad = bucket.put("checkout.max_items", "many").await.unwrap();
    live.wait_for(bad).await.unwrap_err();
    assert_eq!(live.readiness().to_string(), "degraded: 1 change set is rejected");
    faults.pause();
    faults.cut(&Fault::Disconnected);
    reaches(&live, WatchState::Disconnected).await;
    let readiness = live.readiness();
    assert_eq!(readiness.to_string(), "degraded: disconnected; 1 change set is rejected");
    assert!(readiness.is_ready());
    let contact = live.health().last_contact.unwrap();
    assert!(contact <= live.health().since, "the last contact was before the break");
    live.stop();
    assert_eq!(live.readiness(), Readiness::NotReady { reason: "stopped".to_owned() });
    assert!(!live.readiness().is_ready());
}
