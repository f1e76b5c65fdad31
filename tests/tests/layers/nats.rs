//! What only a real server can show: what is asked of it, writers that race, and permissions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::{ConnectOptions, jetstream};
use futures_util::TryStreamExt;
use kvconf::nats::{Connection, Denials};
use kvconf::{Bucket, BucketConfig, KvConfig, Live, Revision, StartError, WatchState};
use kvconf_tests::foreign;
use kvconf_tests::server::Server;

use super::{BOUND, LAYERS, start};

async fn with_bucket() -> (Server, Bucket) {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    (server, bucket)
}

#[tokio::test]
async fn one_consumer_asks_for_the_layers_and_nothing_wider() {
    let (server, bucket) = with_bucket().await;
    let _shop = start(&bucket).await;
    let stream = jetstream::new(server.client().await).get_stream("KV_b").await.unwrap();
    let consumers: Vec<_> = stream.consumers().try_collect().await.unwrap();
    let filters: Vec<Vec<String>> =
        consumers.iter().map(|consumer| consumer.config.filter_subjects.clone()).collect();
    let wanted: Vec<String> = LAYERS.iter().map(|layer| format!("$KV.b.{layer}.shop.>")).collect();
    assert_eq!(filters, [wanted]);
}

/// One number of each of three writers, in each of two layers.
#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "n")]
pub struct Numbers {
    #[kv(default = 0)]
    pub a0: u64,
    #[kv(default = 0)]
    pub b0: u64,
    #[kv(default = 0)]
    pub a1: u64,
    #[kv(default = 0)]
    pub b1: u64,
    #[kv(default = 0)]
    pub a2: u64,
    #[kv(default = 0)]
    pub b2: u64,
}

impl Numbers {
    const fn pairs(&self) -> [(u64, u64); 3] {
        [(self.a0, self.b0), (self.a1, self.b1), (self.a2, self.b2)]
    }
}

/// What a writer has written: the last revision of each change set, and its number.
type Written = Vec<(u64, u64)>;

/// Writes number after number to both layers at once: two writers by kvconf, one as a client that knows nothing of it.
async fn write(client: async_nats::Client, bucket: Bucket, writer: usize, last: u64) -> Written {
    let (base, prod) = (format!("base.n.a{writer}"), format!("env.prod.n.b{writer}"));
    let mut written = Vec::new();
    for n in 1..=last {
        let text = n.to_string();
        let revision = if writer == 2 {
            foreign::batch(&client, "b", &[(&base, Some(&text)), (&prod, Some(&text))]).await
        } else {
            let batch = bucket.batch().put(&prod, text.clone()).put(&base, text);
            batch.commit().await.unwrap().get()
        };
        written.push((revision, n));
    }
    written
}

/// Every state that a reader gets until the end, each once.
async fn follow(live: Live<Numbers>, done: Arc<AtomicBool>) -> Vec<(u64, [(u64, u64); 3])> {
    let seen = |live: &Live<Numbers>| {
        let snapshot = live.load();
        (snapshot.revision().get(), snapshot.pairs())
    };
    let mut observed = vec![seen(&live)];
    let mut changes = live.changes();
    while !done.load(Ordering::SeqCst) {
        if let Ok(Some(step)) =
            tokio::time::timeout(std::time::Duration::from_millis(50), changes.next()).await
        {
            observed.push((step.after().revision().get(), step.after().pairs()));
        }
    }
    observed.push(seen(&live));
    observed
}

/// Holds every state that was seen against what had been written up to its revision.
fn assert_exact(observed: &[(u64, [(u64, u64); 3])], written: &[Written]) {
    for (revision, pairs) in observed {
        for (writer, (a, b)) in pairs.iter().enumerate() {
            assert_eq!(a, b, "torn at revision {revision}: {pairs:?}");
            let upto = written[writer].iter().take_while(|(last, _)| last <= revision);
            assert_eq!(*a, upto.last().map_or(0, |(_, n)| *n), "writer {writer} at revision {revision}");
        }
    }
    assert!(observed.is_sorted_by_key(|(revision, _)| *revision));
}

async fn race(client: &async_nats::Client, admin: &Bucket, reader: &Bucket) {
    let live: Live<Numbers> =
        reader.live().layers(["base", "env.prod"]).without_environment().start().await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let following = tokio::spawn(follow(live.clone(), Arc::clone(&done)));
    let (one, two, three) = tokio::join!(
        write(client.clone(), admin.clone(), 0, 150),
        write(client.clone(), admin.clone(), 1, 150),
        write(client.clone(), admin.clone(), 2, 150),
    );
    let written = [one, two, three];
    let last = written.iter().flatten().map(|(revision, _)| *revision).max().unwrap();
    tokio::time::timeout(BOUND, live.wait_for(Revision::new(last))).await.expect("the end in time").unwrap();
    done.store(true, Ordering::SeqCst);
    let observed = following.await.unwrap();
    assert_exact(&observed, &written);
    assert_eq!(live.load().pairs(), [(150, 150); 3]);
}

// P1, P2, P4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_two_layers_never_see_half_a_change_set_while_writers_race() {
    let (server, bucket) = with_bucket().await;
    race(&server.client().await, &bucket, &bucket).await;
}

/// The keys and values of every change set of both layers, newest first.
async fn log_of(bucket: &Bucket) -> Vec<Vec<String>> {
    let live: Live<Numbers> =
        bucket.live().layers(["base", "env.prod"]).without_environment().start().await.unwrap();
    let log = live.log().limit(1_000).await.unwrap();
    let told = |change: &kvconf::LoggedChange| {
        change.keys().iter().map(|key| format!("{} {}", key.key(), key.after)).collect()
    };
    log.iter().map(told).collect()
}

/// An administrator, and a reader who may follow two layers of one struct and nothing else.
const USERS: &str = r#"authorization { users: [
  { user: admin, password: a }
  { user: reader, password: r, permissions: {
    publish: ["$JS.API.DIRECT.GET.KV_b.$KV.b.base.n.>", "$JS.API.DIRECT.GET.KV_b.$KV.b.env.prod.n.>",
              "$JS.API.CONSUMER.CREATE.KV_b.*.$KV.b.base.n.>", "$JS.API.CONSUMER.CREATE.KV_b.*.$KV.b.env.prod.n.>",
              "$JS.API.CONSUMER.DELETE.KV_b.*", "$JS.FC.KV_b.>"],
    subscribe: ["_INBOX_reader.>"] } }
] }"#;

async fn as_reader(server: &Server) -> Bucket {
    let denials = Denials::new();
    let told = denials.clone();
    let options = ConnectOptions::with_user_and_password("reader".into(), "r".into())
        .custom_inbox_prefix("_INBOX_reader")
        .event_callback(move |event| {
            told.observe(&event);
            std::future::ready(())
        });
    Bucket::open(Connection::new(&server.connect(options).await).denials(&denials), "b").await.unwrap()
}

// P1, P2, P4: a consumer for each layer, and the order of the bucket between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions_on_the_layers_are_enough_to_follow_them_exactly() {
    let server = Server::builder().config(USERS).start().await;
    let admin = Bucket::create(server.client_as("admin", "a").await, BucketConfig::new("b")).await.unwrap();
    let reader = as_reader(&server).await;
    race(&server.client_as("admin", "a").await, &admin, &reader).await;
    let live: Live<Numbers> =
        reader.live().layers(["base", "env.prod"]).without_environment().start().await.unwrap();
    assert_eq!(live.health().state, WatchState::Live);

    // Looking back, too: every change set of both layers, each of them whole.
    let (theirs, own) = (log_of(&admin).await, log_of(&reader).await);
    assert!(own.len() == 3 * 64 && own.iter().all(|set| set.len() == 2), "64 revisions are kept: {own:?}");
    assert_eq!(own, theirs);

    let refused = reader.live::<Numbers>().layers(["base", "env.dev"]).start().await.unwrap_err();
    let StartError::NotPermitted { subject } = &refused else { panic!("{refused:?}") };
    assert!(subject.ends_with(".$KV.b.env.dev.n.>"), "{subject}");
    let revision = admin.put("base.n.a0", "7").await.unwrap();
    tokio::time::timeout(BOUND, live.wait_for(revision)).await.expect("it goes on").unwrap();
    assert_eq!(live.load().a0, 7);
}
