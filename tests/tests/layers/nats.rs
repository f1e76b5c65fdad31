//! What only a real server can show: what is asked of it, writers that race, and permissions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::jetstream;
use futures_util::TryStreamExt;
use kvconf::{Bucket, BucketConfig, KvConfig, Live, Revision};
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
async fn write(server: &Server, bucket: Bucket, writer: usize, last: u64) -> Written {
    let client = server.client().await;
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

async fn race(server: &Server, admin: &Bucket, reader: &Bucket) {
    let live: Live<Numbers> =
        reader.live().layers(["base", "env.prod"]).without_environment().start().await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let following = tokio::spawn(follow(live.clone(), Arc::clone(&done)));
    let (one, two, three) = tokio::join!(
        write(server, admin.clone(), 0, 150),
        write(server, admin.clone(), 1, 150),
        write(server, admin.clone(), 2, 150),
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
    race(&server, &bucket, &bucket).await;
}
