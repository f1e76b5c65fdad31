//! Streams, time and faults of the memory bucket. What it shares with a server is in the semantics suite.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use super::{MemoryFaults, MemoryStore};
use crate::store::{Action, Delivery, Expect, Fault, Start, Store, Subscription, Write};
use crate::{BucketConfig, Entry, Filter, Headers, Key, Operation, ReadError, Revision, WriteError};

fn write(key: &str, action: Action) -> Write {
    Write { key: Key::new(key).unwrap(), action, expect: Expect::Any, ttl: None, headers: Headers::new() }
}

fn put(key: &str, value: &'static str) -> Write {
    write(key, Action::Put(value.into()))
}

fn bucket(history: u32) -> (MemoryStore, MemoryFaults) {
    let mut config = BucketConfig::new("test");
    config.history = Some(history);
    config.limit_markers = Some(Duration::from_secs(2));
    let store = MemoryStore::new(config).unwrap();
    let faults = store.faults();
    (store, faults)
}

async fn all(store: &MemoryStore, start: Start) -> Subscription {
    store.subscribe(&[Filter::all()], start).await.unwrap()
}

async fn next(subscription: &mut Subscription) -> Delivery {
    timeout(Duration::from_secs(60), subscription.deliveries.next()).await.unwrap().unwrap()
}

async fn next_entry(subscription: &mut Subscription) -> (Entry, u64, u64) {
    match next(subscription).await {
        Delivery::Entry { entry, sequence, pending } => (Arc::unwrap_or_clone(entry), sequence, pending),
        other => panic!("an entry, not {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_settled_subscription_gives_a_sign_of_life_each_second() {
    let (store, _) = bucket(1);
    let mut subscription = all(&store, Start::Last).await;
    let started = Instant::now();
    assert_eq!(next(&mut subscription).await, Delivery::Idle { sequence: 0 });
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    store.write(put("a", "1")).await.unwrap();
    assert_eq!(next_entry(&mut subscription).await.1, 1);
    assert_eq!(next(&mut subscription).await, Delivery::Idle { sequence: 1 });
    assert_eq!(started.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn an_expiry_wakes_a_waiting_subscription() {
    let (store, _) = bucket(1);
    let mut subscription = all(&store, Start::Last).await;
    store.write(Write { ttl: Some(Duration::from_millis(1_000)), ..put("a", "1") }).await.unwrap();
    let started = Instant::now();
    assert_eq!(next_entry(&mut subscription).await.0.operation(), Operation::Put);
    let marker = loop {
        match next(&mut subscription).await {
            Delivery::Entry { entry, .. } => break entry,
            Delivery::Idle { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((marker.operation(), marker.revision().get()), (Operation::Purge, 2));
    assert_eq!(started.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_pushed_out_before_its_turn_is_never_delivered() {
    let (store, _) = bucket(1);
    for key in ["a", "b", "c"] {
        store.write(put(key, "1")).await.unwrap();
    }
    let mut subscription = all(&store, Start::Last).await;
    assert_eq!(subscription.pending, 3);
    store.write(put("b", "2")).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (entry, sequence, pending) = next_entry(&mut subscription).await;
        seen.push((entry.revision().get(), sequence, pending));
    }
    assert_eq!(seen, [(1, 1, 2), (3, 2, 1), (4, 3, 0)]);
}

#[tokio::test]
async fn a_burst_lets_other_tasks_run() {
    let (store, _) = bucket(1);
    for n in 0..10_000 {
        store.write(put(&format!("k{n}"), "v")).await.unwrap();
    }
    let mut subscription = all(&store, Start::Last).await;
    let other = tokio::spawn(async { 1 });
    let mut delivered = 0;
    while !other.is_finished() {
        next_entry(&mut subscription).await;
        delivered += 1;
    }
    assert!(delivered < 1_000, "{delivered} deliveries before anyone else had a turn");
}

#[tokio::test(start_paused = true)]
async fn a_lost_delivery_shows_as_a_gap() {
    let (store, faults) = bucket(8);
    let mut subscription = all(&store, Start::New).await;
    faults.lose_deliveries(1);
    store.write(put("a", "1")).await.unwrap();
    assert_eq!(next(&mut subscription).await, Delivery::Idle { sequence: 1 });
    store.write(put("a", "2")).await.unwrap();
    assert_eq!(next_entry(&mut subscription).await.1, 2);
}

#[tokio::test(start_paused = true)]
async fn a_replay_delivers_everything_again() {
    let (store, faults) = bucket(8);
    store.write(put("a", "1")).await.unwrap();
    store.write(put("a", "2")).await.unwrap();
    let mut subscription = all(&store, Start::Last).await;
    assert_eq!(next_entry(&mut subscription).await.0.revision().get(), 2);
    faults.replay(Revision::new(1));
    let (first, sequence, pending) = next_entry(&mut subscription).await;
    assert_eq!((first.revision().get(), sequence, pending), (1, 2, 1));
    assert_eq!(next_entry(&mut subscription).await.0.revision().get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_the_subscription_only_when_the_fault_does() {
    let (store, faults) = bucket(8);
    let mut subscription = all(&store, Start::Last).await;
    faults.cut(&Fault::Disconnected);
    assert_eq!(next(&mut subscription).await, Delivery::Fault(Fault::Disconnected));
    store.write(put("a", "1")).await.unwrap();
    assert_eq!(next_entry(&mut subscription).await.1, 1);
    faults.cut(&Fault::Ended);
    assert_eq!(next(&mut subscription).await, Delivery::Fault(Fault::Ended));
    assert_eq!(subscription.deliveries.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_paused_subscription_says_nothing_at_all() {
    let (store, faults) = bucket(8);
    let mut subscription = all(&store, Start::Last).await;
    faults.pause();
    store.write(put("a", "1")).await.unwrap();
    let silence = timeout(Duration::from_secs(60), subscription.deliveries.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    faults.resume();
    assert_eq!(next_entry(&mut subscription).await.0.revision().get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_recreated_bucket_begins_again() {
    let (store, faults) = bucket(8);
    store.write(put("a", "1")).await.unwrap();
    let mut subscription = all(&store, Start::Last).await;
    faults.delete_bucket();
    assert_eq!(next(&mut subscription).await, Delivery::Fault(Fault::BucketGone));
    let gone = store.status().await;
    assert!(matches!(&gone, Err(ReadError::BucketNotFound { bucket }) if bucket == "test"), "{gone:?}");
    let gone = store.write(put("a", "2")).await;
    assert!(matches!(gone, Err(WriteError::Failed(ReadError::BucketNotFound { .. }))), "{gone:?}");

    faults.recreate_bucket();
    let again = all(&store, Start::Last).await;
    assert_ne!(again.incarnation, subscription.incarnation);
    assert_eq!((again.pending, again.history), (0, Some(8)));
    assert_eq!(store.write(put("a", "1")).await.unwrap().get(), 1);
}

#[tokio::test]
async fn what_is_removed_in_silence_leaves_no_marker() {
    let (store, faults) = bucket(8);
    let key = Key::new("a").unwrap();
    store.write(put("a", "1")).await.unwrap();
    store.write(put("a", "2")).await.unwrap();
    faults.remove_newest(&key);
    assert_eq!(store.entry(&key, None).await.unwrap().unwrap().revision().get(), 1);
    faults.remove_key(&key);
    assert_eq!(store.entry(&key, None).await.unwrap(), None);
    let status = store.status().await.unwrap();
    assert_eq!((status.entries, status.bytes, status.last_revision.get()), (0, 0, 2));
}

#[tokio::test]
async fn planned_failures_come_in_order_and_then_no_more() {
    let (store, faults) = bucket(8);
    faults.fail_reads(1, &ReadError::Disconnected);
    faults.fail_writes(1, &WriteError::Conflict { found: None });
    faults.lose_acknowledgements(1);
    let failed = store.status().await;
    assert!(matches!(failed, Err(ReadError::Disconnected)), "{failed:?}");
    assert_eq!(store.status().await.unwrap().entries, 0);
    let failed = store.write(put("a", "1")).await;
    assert!(matches!(failed, Err(WriteError::Conflict { found: None })), "{failed:?}");
    let unheard = store.write(put("a", "2")).await;
    assert!(matches!(unheard, Err(WriteError::Unconfirmed { .. })), "{unheard:?}");
    assert_eq!(store.status().await.unwrap().entries, 1);
    assert_eq!(store.write(put("a", "3")).await.unwrap().get(), 2);
}

#[tokio::test]
async fn dropping_a_subscription_ends_it() {
    let (store, faults) = bucket(8);
    let subscription = all(&store, Start::Last).await;
    assert_eq!((faults.subscriptions(), store.status().await.unwrap().consumers), (1, 1));
    drop(subscription);
    assert_eq!(faults.subscriptions(), 0);
}

#[tokio::test]
async fn a_bucket_takes_as_many_consumers_as_it_is_told() {
    let mut config = BucketConfig::new("test");
    config.max_consumers = Some(1);
    let store = MemoryStore::new(config).unwrap();
    let _first = all(&store, Start::Last).await;
    let second = store.subscribe(&[Filter::all()], Start::Last).await.err();
    assert!(matches!(second, Some(ReadError::Server { code: 10_026, .. })), "{second:?}");
}

#[tokio::test]
async fn settings_that_a_server_refuses_are_refused() {
    let refusal = |change: fn(&mut BucketConfig)| {
        let mut config = BucketConfig::new("test");
        change(&mut config);
        MemoryStore::new(config).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refusal(|c| c.name = "a.b".to_owned()), "invalid name");
    assert_eq!(
        refusal(|c| c.history = Some(65)),
        "this history is not supported: a bucket keeps 1 to 64 revisions of a key"
    );
    assert_eq!(
        refusal(|c| c.limit_markers = Some(Duration::from_millis(500))),
        "this time for markers is not supported: they stay for one second at least"
    );
    assert_eq!(
        refusal(|c| c.mirror = Some(crate::Source::default())),
        "a copy of another bucket is not supported: a memory bucket stands alone"
    );
}

// P8
#[tokio::test(start_paused = true)]
async fn a_bucket_is_whole_from_where_on_nothing_has_gone() {
    let store = MemoryStore::new(BucketConfig::new("test")).unwrap();
    let write = |value: &'static str, ttl: Option<Duration>| Write {
        key: Key::new("k").unwrap(),
        action: Action::Put(value.into()),
        expect: Expect::Any,
        ttl,
        headers: Headers::new(),
    };
    let is_whole = async |from: u64| store.kept(&[]).await.unwrap().span().is_whole_from(Revision::new(from));
    assert!(is_whole(1).await, "nothing was written");
    let ttl = Duration::from_secs(100);
    store.write(write("1", Some(ttl))).await.unwrap();
    store.write(write("2", None)).await.unwrap();
    tokio::time::advance(2 * ttl).await;
    assert!(is_whole(2).await && !is_whole(1).await, "the oldest is gone");
    store.write(write("3", Some(ttl))).await.unwrap();
    store.write(write("4", None)).await.unwrap();
    assert!(is_whole(2).await);
    tokio::time::advance(2 * ttl).await;
    assert!(!is_whole(2).await, "a value ran out under a later one");
}
