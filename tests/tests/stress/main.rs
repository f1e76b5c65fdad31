//! Writers that race on a real server, and readers that must never see a change set in part.
//!
//! The order of the server is known exactly: every acknowledgement names the revisions of its batch. So each snapshot that
//! any reader ever got is held against the true state at its revision.

mod record;
mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions};
use kvconf::{Bucket, BucketConfig, Health, KvConfig, Live, Reader, Revision, Snapshot, Storage, WatchState};
use kvconf_tests::server::Server;
use tokio::time::timeout;

use record::{Log, Seen, State};
use writers::{Numbers, by_batch, by_edit, by_foreign_client};

const BOUND: Duration = Duration::from_secs(180);

/// The pace of polling: several looks at each state, and some time left for the server on a small machine.
const POLL_EVERY: Duration = Duration::from_micros(200);

/// One part of the bucket. No checks: a torn state must be seen, not rejected.
#[derive(KvConfig, Debug, Clone, PartialEq)]
struct Area {
    x0: Option<u64>,
    x1: Option<u64>,
    x2: Option<u64>,
    x3: Option<u64>,
}

/// The whole bucket.
#[derive(KvConfig, Debug, Clone, PartialEq)]
struct Everything {
    #[kv(nested)]
    a: Area,
    #[kv(nested)]
    b: Area,
    #[kv(nested)]
    c: Area,
}

/// What a reader sees, by key.
trait Keys: KvConfig + PartialEq + Send + Sync {
    fn state(&self, prefix: &str) -> State;
}

impl Keys for Area {
    fn state(&self, prefix: &str) -> State {
        let values = [("x0", self.x0), ("x1", self.x1), ("x2", self.x2), ("x3", self.x3)];
        values.into_iter().filter_map(|(name, value)| Some((format!("{prefix}.{name}"), value?))).collect()
    }
}

impl Keys for Everything {
    fn state(&self, _prefix: &str) -> State {
        let parts = [("a", &self.a), ("b", &self.b), ("c", &self.c)];
        parts.into_iter().flat_map(|(prefix, area)| area.state(prefix)).collect()
    }
}

/// Every snapshot that a stream or a reader gets until `done`, each once.
struct Observed {
    prefix: &'static str,
    by_stream: Vec<Seen>,
    by_polling: Vec<Seen>,
}

fn seen<T: Keys>(snapshot: &Snapshot<T>, prefix: &str) -> Seen {
    assert_eq!((snapshot.epoch(), snapshot.rejected().len()), (0, 0));
    Seen { revision: snapshot.revision().get(), state: snapshot.state(prefix) }
}

async fn follow<T: Keys>(live: Live<T>, prefix: &'static str, end: Arc<tokio::sync::Notify>) -> Vec<Seen> {
    let mut changes = live.changes();
    let mut observed = vec![seen(&live.snapshot(), prefix)];
    loop {
        tokio::select! {
            biased;
            changed = changes.next() => match changed {
                Some(changed) => observed.push(seen(changed.after(), prefix)),
                None => return observed,
            },
            () = end.notified() => return observed,
        }
    }
}

fn poll<T: Keys>(mut reader: Reader<T>, prefix: &'static str, done: &AtomicBool) -> Vec<Seen> {
    let mut observed: Vec<Seen> = Vec::new();
    loop {
        // Looked at before the load: the last snapshot is always among them.
        let last = done.load(Ordering::SeqCst);
        let snapshot = reader.load();
        if observed.last().is_none_or(|before| before.revision != snapshot.revision().get()) {
            observed.push(seen(snapshot, prefix));
        }
        if last {
            return observed;
        }
        std::thread::park_timeout(POLL_EVERY);
    }
}

/// Reads one part of the bucket in both ways.
struct Witness<T: Keys> {
    live: Live<T>,
    prefix: &'static str,
    stream: tokio::task::JoinHandle<Vec<Seen>>,
    polling: std::thread::JoinHandle<Vec<Seen>>,
    end: Arc<tokio::sync::Notify>,
}

impl<T: Keys> Witness<T> {
    async fn start(bucket: &Bucket, prefix: &'static str, done: &Arc<AtomicBool>) -> Self {
        let live = bucket.live::<T>().prefix(prefix).start().await.unwrap();
        let (reader, done) = (live.reader(), Arc::clone(done));
        let polling = std::thread::spawn(move || poll(reader, prefix, &done));
        let end = Arc::new(tokio::sync::Notify::new());
        let stream = tokio::spawn(follow(live.clone(), prefix, Arc::clone(&end)));
        Self { live, prefix, stream, polling, end }
    }

    /// Waits for the end of the log; every part of the bucket is written to in the last batch.
    async fn converge(&self, last: &Log) {
        let newest = Revision::new(last.newest(self.prefix));
        timeout(BOUND, self.live.wait_for(newest)).await.expect("the end in time").unwrap();
        timeout(BOUND, self.live.wait_for_health(|health| health.state == WatchState::Live))
            .await
            .expect("it recovers");
    }

    /// After `done` was said.
    async fn observed(self) -> Observed {
        self.end.notify_one();
        Observed {
            prefix: self.prefix,
            by_stream: self.stream.await.unwrap(),
            by_polling: self.polling.join().unwrap(),
        }
    }
}

/// An administrator, and a reader who may follow one prefix and do nothing else.
const USERS: &str = r#"authorization { users: [
  { user: admin, password: a }
  { user: reader, password: r, permissions: {
    publish: ["$JS.API.CONSUMER.CREATE.KV_stress.*.$KV.stress.c.>", "$JS.API.CONSUMER.DELETE.KV_stress.*",
              "$JS.API.DIRECT.GET.KV_stress.$KV.stress.c.>", "$JS.FC.KV_stress.>"],
    subscribe: ["_INBOX_reader.>"] } }
] }"#;

async fn client(server: &Server) -> Client {
    server.client_as("admin", "a").await
}

async fn open(server: &Server) -> Bucket {
    Bucket::open(client(server).await, "stress").await.unwrap()
}

/// Without the bucket's settings and without consistent readings: deliveries are all there is to go by.
async fn open_restricted(server: &Server) -> Bucket {
    let options = ConnectOptions::with_user_and_password("reader".into(), "r".into());
    let client = server.connect(options.custom_inbox_prefix("_INBOX_reader")).await;
    Bucket::open(client, "stress").await.unwrap()
}

/// Starts one handle after the other until `done`: what each one starts with, while the writers are busy.
async fn newcomers<T: Keys>(bucket: Bucket, prefix: &'static str, done: Arc<AtomicBool>) -> Vec<Seen> {
    let mut observed = Vec::new();
    while !done.load(Ordering::SeqCst) {
        let live = bucket.live::<T>().prefix(prefix).start().await.unwrap();
        observed.push(seen(&live.snapshot(), prefix));
    }
    observed
}

/// Breaks a reader's connection again and again until `done`; gives how often.
async fn shake<T: Keys>(client: Client, live: Live<T>, done: Arc<AtomicBool>) -> u64 {
    let mut times = 0;
    while !done.load(Ordering::SeqCst) {
        client.force_reconnect().await.unwrap();
        times += 1;
        let doubtful = |health: &Health| health.state != WatchState::Live;
        // At the end nothing more may be said to be in doubt.
        let _ = timeout(Duration::from_secs(1), live.wait_for_health(doubtful)).await;
        timeout(BOUND, live.wait_for_health(|health| !doubtful(health))).await.expect("it recovers");
    }
    times
}

/// Runs four writers against six readers (one restricted, one with a bad connection), and handles that start meanwhile; checks all that any of them saw.
async fn race(history: u8, storage: Storage, batches: u64) {
    let server = Server::builder().config(USERS);
    let server = match storage {
        Storage::File => server.on_disk(),
        Storage::Memory => server,
    };
    let server = server.start().await;
    let mut config = BucketConfig::new("stress");
    config.history = Some(history.into());
    config.storage = Some(storage);
    let bucket = Bucket::create(client(&server).await, config).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));

    // Watches of their own with different filters, and one watch with two filters.
    let everything = Witness::<Everything>::start(&bucket, "", &done).await;
    let only_a = Witness::<Area>::start(&open(&server).await, "a", &done).await;
    let only_c = Witness::<Area>::start(&open_restricted(&server).await, "c", &done).await;
    let two = open(&server).await;
    let shared_a = Witness::<Area>::start(&two, "a", &done).await;
    let shared_b = Witness::<Area>::start(&two, "b", &done).await;
    let shaken_client = client(&server).await;
    let shaken = Bucket::open(&shaken_client, "stress").await.unwrap();
    let shaken = Witness::<Everything>::start(&shaken, "", &done).await;
    let shaking = tokio::spawn(shake(shaken_client, shaken.live.clone(), Arc::clone(&done)));
    let new_everything = tokio::spawn(newcomers::<Everything>(open(&server).await, "", Arc::clone(&done)));
    let new_b = tokio::spawn(newcomers::<Area>(open(&server).await, "b", Arc::clone(&done)));

    let began = Instant::now();
    let numbers = Numbers::default();
    let author = open(&server).await.live::<Everything>().start().await.unwrap();
    let (edited, batched, one, other) = tokio::join!(
        tokio::spawn(by_edit(author, numbers.clone(), batches)),
        tokio::spawn(by_batch(open(&server).await, numbers.clone(), batches)),
        tokio::spawn(by_foreign_client(client(&server).await, numbers.clone(), batches, 3)),
        tokio::spawn(by_foreign_client(client(&server).await, numbers.clone(), batches, 4)),
    );
    let (edited, conflicts) = edited.unwrap();
    let log = Log::new([edited, batched.unwrap(), one.unwrap(), other.unwrap()]);
    let took = began.elapsed();
    for witness in [&only_a, &only_c, &shared_a, &shared_b] {
        witness.converge(&log).await;
    }
    everything.converge(&log).await;
    shaken.converge(&log).await;
    let end = bucket.read(">").await.unwrap();
    let stored = end.live().map(|entry| {
        let text = std::str::from_utf8(entry.value()).unwrap();
        (entry.key().to_string(), text.parse().unwrap())
    });
    assert_eq!(stored.collect::<State>(), log.last_state());

    done.store(true, Ordering::SeqCst);
    let reconnects = shaking.await.unwrap();
    println!("  {reconnects} reconnects");
    println!(
        "history {history}: {} batches, {} entries in {took:.1?}; {conflicts} commits lost a race",
        log.batches(),
        log.entries()
    );
    for observed in [
        everything.observed().await,
        only_a.observed().await,
        only_c.observed().await,
        shared_a.observed().await,
        shared_b.observed().await,
        shaken.observed().await,
    ] {
        let Observed { prefix, by_stream, by_polling } = observed;
        println!("  reader of {prefix:?}: {} by stream, {} by polling", by_stream.len(), by_polling.len());
        for seen in [by_stream, by_polling] {
            // Readers coalesce, but one that saw only a few states would prove little.
            assert!(seen.len() as u64 > batches / 10, "{} states are too few", seen.len());
            log.verify_all(prefix, &seen);
        }
    }
    for (prefix, seen) in [("", new_everything.await.unwrap()), ("b", new_b.await.unwrap())] {
        println!("  {} starts on {prefix:?}", seen.len());
        assert!(seen.len() as u64 > batches / 10, "{} starts are too few", seen.len());
        log.verify(prefix, &seen);
    }
}

/// How many each of the four writers writes.
fn batches(usual: u32) -> u64 {
    kvconf_tests::cases(usual).into()
}

// P1, P2, P4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_torn_state_under_racing_writers() {
    race(64, Storage::Memory, batches(350)).await;
}

// P1, P2, P4: the fewest revisions with which a state can be exact while others write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_torn_state_with_eight_revisions_kept() {
    race(8, Storage::Memory, batches(150)).await;
}

// P1, P2, P4: slower writers on a disk, so that readers get nearly every state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_torn_state_of_a_bucket_on_disk() {
    race(64, Storage::File, batches(30)).await;
}
