//! Handles that join a watch, and one that misbehaves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::{watching, write};
use crate::store::memory::MemoryStore;
use crate::store::{ReadError, Store};
use crate::watch::machine::{Effect, Input};
use crate::watch::{Attachment, Hub, Observer, Update, WatchState};
use crate::{BucketConfig, Headers, Key, Prefix};

/// What an observer was told.
#[derive(Default)]
struct Told {
    updates: usize,
    states: Vec<String>,
}

struct Noting {
    told: Arc<Mutex<Told>>,
    panics: bool,
}

impl Observer for Noting {
    fn update(&mut self, update: &Update) {
        if update.sets.is_empty() {
            // Only how far it is.
            return;
        }
        self.told.lock().unwrap().updates += 1;
        assert!(!self.panics || self.told.lock().unwrap().updates == 1, "an observer's own fault");
    }

    fn state(&mut self, state: &WatchState) {
        self.told.lock().unwrap().states.push(state.to_string());
    }
}

fn attach(hub: &Hub, prefix: &str, panics: bool) -> (Arc<Mutex<Told>>, Attachment) {
    let told = Arc::default();
    let noting = Noting { told: Arc::clone(&told), panics };
    (told, hub.attach(Prefix::new(prefix).unwrap(), Box::new(noting)))
}

fn updates(told: &Mutex<Told>) -> usize {
    told.lock().unwrap().updates
}

async fn put(store: &MemoryStore, key: &str) {
    let value = Bytes::from_static(b"1");
    store.write(write(&Key::new(key).unwrap(), Some(&value), Headers::new())).await.unwrap();
}

fn bucket() -> (Arc<MemoryStore>, Hub) {
    let store = Arc::new(MemoryStore::new(BucketConfig::new("joining")).unwrap());
    let hub = Hub::new(Arc::clone(&store) as Arc<dyn Store>);
    (store, hub)
}

// P5: each of them begins a load, and a load that is begun again and again never ends.
#[tokio::test(start_paused = true)]
async fn handles_that_keep_coming_do_not_keep_others_from_their_state() {
    let (store, hub) = bucket();
    for number in 0..2_000 {
        put(&store, &format!("a.k{number}")).await;
    }
    let mut joined = Vec::new();
    for _ in 0..200 {
        joined.push(attach(&hub, "a", false));
        tokio::task::yield_now().await;
    }
    let loaded = joined.iter().filter(|(told, _)| updates(told) > 0).count();
    assert!(loaded > 0, "none of {} has a state", joined.len());
    // The last ones too, once it is quiet.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(joined.iter().all(|(told, _)| updates(told) > 0));
}

// P5
#[tokio::test(start_paused = true)]
async fn a_handle_that_joins_is_told_what_the_others_know_already() {
    let (store, hub) = bucket();
    let missing = ReadError::BucketNotFound { bucket: "joining".to_owned() };
    store.faults().fail_reads(100_000, &missing);
    let (first, _keeps) = attach(&hub, "a", false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(first.lock().unwrap().states, ["the bucket is missing"]);
    let (second, _keeps) = attach(&hub, "a", false);
    tokio::task::yield_now().await;
    assert_eq!(second.lock().unwrap().states, ["the bucket is missing"]);
}

// P5: nothing is delivered while the watch begins anew for somebody else.
#[test]
fn a_watch_that_takes_long_to_begin_anew_says_so() {
    let (mut machine, now) = watching("a", 0);
    machine.step(now, Input::Drained);
    assert_eq!(machine.watch_state(), &WatchState::Live);
    machine.step(now, Input::Watch(vec![Prefix::new("").unwrap()]));
    let due = machine.deadline().unwrap();
    assert_eq!(due - now, Duration::from_millis(500));
    let [Effect::State(state)] = &machine.step(due, Input::Deadline)[..] else { panic!("nothing is said") };
    assert_eq!(state.to_string(), "reading the bucket again: another handle begins");
    assert_eq!(machine.deadline(), None);
}

// P5: one struct of a program is no reason for the others to go stale.
#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_does_not_end_the_watch_of_others() {
    let (store, hub) = bucket();
    let (bad, _keeps) = attach(&hub, "a", true);
    let (good, _keeps) = attach(&hub, "a", false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    put(&store, "a.x").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    put(&store, "a.y").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((updates(&good), updates(&bad)), (3, 3));
}

/// The states that it was told, without repetitions.
fn states(told: &Mutex<Told>) -> Vec<String> {
    let mut states = told.lock().unwrap().states.clone();
    states.dedup();
    states
}

async fn until(what: &str, fulfilled: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if fulfilled() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what}: not in ten seconds");
}

// The server bears few consumers of a process, and in the end one.
#[tokio::test(start_paused = true)]
async fn watches_beside_each_other_are_few_and_become_one() {
    let (store, hub) = bucket();
    for number in 0..100 {
        put(&store, &format!("s{number}.x")).await;
    }
    let (mut joined, mut most) = (Vec::new(), 0);
    for number in 0..100 {
        let (told, keeps) = attach(&hub, &format!("s{number}"), false);
        until("a state", || updates(&told) == 1).await;
        most = most.max(store.faults().subscriptions());
        joined.push((told, keeps));
    }
    assert!((2..=9).contains(&most), "{most} subscriptions at once");
    until("one subscription", || store.faults().subscriptions() == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(joined.iter().all(|(told, _)| updates(told) == 1), "nobody is told what he knows");
    for (number, (told, _)) in joined.iter().enumerate() {
        put(&store, &format!("s{number}.x")).await;
        until("what is new", || updates(told) > 1).await;
    }
}

// P5: what one of them cannot have is nobody else's concern.
#[tokio::test(start_paused = true)]
async fn a_handle_that_cannot_be_loaded_does_not_disturb_others() {
    let (store, hub) = bucket();
    let (first, _keeps) = attach(&hub, "a", false);
    until("a state", || updates(&first) == 1).await;
    assert_eq!(states(&first), ["live"]);
    let refused = ReadError::NotPermitted { subject: "b".to_owned() };
    store.faults().fail_reads(3, &refused);
    let (second, _keeps) = attach(&hub, "b", false);
    until("the refusal", || !states(&second).is_empty()).await;
    assert_eq!(states(&second), ["not permitted: b"]);
    put(&store, "a.x").await;
    until("what is new", || updates(&first) == 2).await;
    assert_eq!(states(&first), ["live"]);
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_keys_that_are_watched_already_makes_nobody_load_again() {
    let (store, hub) = bucket();
    put(&store, "a.x").await;
    let (first, _keeps) = attach(&hub, "a", false);
    until("a state", || updates(&first) == 1).await;
    let (second, _keeps) = attach(&hub, "a", false);
    until("a state", || updates(&second) == 1).await;
    // Had anybody to ask the bucket again, this would be told.
    store.faults().fail_reads(1, &ReadError::Disconnected);
    until("one subscription", || store.faults().subscriptions() == 1).await;
    assert_eq!((states(&first), states(&second)), (vec!["live".to_owned()], vec!["live".to_owned()]));
    put(&store, "a.x").await;
    until("what is new", || updates(&first) == 2 && updates(&second) == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_the_server_has_no_consumer_for_shares_that_of_the_others() {
    let mut config = BucketConfig::new("joining");
    config.max_consumers = Some(1);
    let store = Arc::new(MemoryStore::new(config).unwrap());
    let hub = Hub::new(Arc::clone(&store) as Arc<dyn Store>);
    let (first, _keeps) = attach(&hub, "a", false);
    until("a state", || updates(&first) == 1).await;
    let (second, _keeps) = attach(&hub, "b", false);
    until("a state", || updates(&second) == 1).await;
    put(&store, "a.x").await;
    put(&store, "b.x").await;
    until("what is new", || updates(&first) > 1 && updates(&second) > 1).await;
}
