//! The stage of a fault: a server, a proxy before it, a handle behind the proxy, and writers.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream::Stream};
use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt;
use kvconf::{Bucket, BucketConfig, External, Live, Source};
use kvconf_tests::proxy::Proxy;
use kvconf_tests::server::{Cluster, HubAndLeaf, Server};
use kvconf_tests::wait_for;

use super::ledger::{Ledger, Writers};
use super::table::Row;
use super::watched::Watched;

/// For what a healthy server does in milliseconds; generous, for a machine that is busy with a build.
pub const PROMPT: Duration = Duration::from_secs(30);

pub const BUCKET: &str = "faults";
pub const STREAM: &str = "KV_faults";

/// How many writers raise the number.
const WRITERS: usize = 3;

pub fn config() -> BucketConfig {
    BucketConfig::new(BUCKET)
}

/// A handle on the ledger, on a connection of its own that leads through `proxy`.
pub async fn watch_through(proxy: &Proxy) -> Watched {
    let client = ConnectOptions::new().connect(proxy.url()).await.unwrap();
    watch(&client).await
}

pub async fn watch(client: &Client) -> Watched {
    let bucket = Bucket::open(client, BUCKET).await.unwrap();
    Watched::start(bucket.live::<Ledger>().start().await.unwrap())
}

/// The bucket's stream, as an administrator sees it.
pub async fn stream(client: &Client) -> Stream {
    jetstream::new(client.clone()).get_stream(STREAM).await.unwrap()
}

/// One server, with an administrator's bucket.
pub struct Scene {
    pub server: Server,
    pub proxy: Proxy,
    pub bucket: Bucket,
    pub watched: Watched,
}

impl Scene {
    pub async fn start() -> Self {
        Self::start_with(config()).await
    }

    pub async fn start_with(config: BucketConfig) -> Self {
        let server = Server::start().await;
        let bucket = Bucket::create(server.client().await, config).await.unwrap();
        let proxy = Proxy::start(server.port()).await;
        let watched = watch_through(&proxy).await;
        Self { server, proxy, bucket, watched }
    }

    /// Writers that are at work; they do not go through the proxy.
    pub async fn writers(&self) -> Writers {
        let mut clients = Vec::new();
        for _ in 0..WRITERS {
            clients.push(self.server.client().await);
        }
        at_work(Writers::start(clients, BUCKET).await).await
    }

    pub async fn converges(self, row: Row, writers: Writers, healed: Instant, bound: Duration) -> Row {
        converges(row, self.watched, writers, healed, bound, &self.bucket).await
    }
}

/// A cluster of three with three copies of the bucket.
pub struct ClusterScene {
    pub cluster: Cluster,
    pub watched: Watched,
}

/// Where the consumer of a handle lives. A cluster puts it on any server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// On the server that the handle is connected to.
    Reader,
    /// On another one.
    Elsewhere,
}

impl ClusterScene {
    /// The handle is connected to all servers.
    pub async fn start(cluster: Cluster) -> Self {
        let client = replicated(&cluster).await;
        let live = start_on(&Bucket::open(&client, BUCKET).await.unwrap()).await;
        Self { cluster, watched: Watched::start(live) }
    }

    /// The handle is connected to one server, and its consumer lives there or elsewhere.
    pub async fn start_at(cluster: Cluster, server: usize, home: Home) -> Self {
        let admin = replicated(&cluster).await;
        let options = ConnectOptions::new().ignore_discovered_servers();
        let client = cluster.servers()[server].connect(options).await;
        let bucket = Bucket::open(&client, BUCKET).await.unwrap();
        let stream = stream(&admin).await;
        let live = wait_for("a consumer in the right place", PROMPT, async || {
            let live = start_on(&bucket).await;
            let consumers: Vec<_> = stream.consumers().collect().await;
            // That of a handle before may still be there.
            let [Ok(only)] = &consumers[..] else { return None };
            let leader = only.cluster.as_ref()?.leader.as_deref()?;
            let is_home = leader == format!("n{server}");
            (is_home == (home == Home::Reader)).then_some(live)
        });
        Self { watched: Watched::start(live.await), cluster }
    }

    /// Writers that know all servers, or some.
    pub async fn writers(&self, servers: &[usize]) -> Writers {
        let mut clients = Vec::new();
        for _ in 0..WRITERS {
            let urls: Vec<String> =
                servers.iter().map(|number| self.cluster.servers()[*number].url()).collect();
            let options = ConnectOptions::new().ignore_discovered_servers();
            clients.push(options.connect(urls).await.unwrap());
        }
        at_work(Writers::start(clients, BUCKET).await).await
    }

    /// The first words of each state since then, each once.
    pub fn told(&self, since: Instant) -> String {
        let mut kinds: Vec<String> = Vec::new();
        for state in self.watched.states(since) {
            let text = state.to_string();
            if !kinds.contains(&text) {
                kinds.push(text);
            }
        }
        kinds.join("; ")
    }

    pub async fn converges(self, row: Row, writers: Writers, healed: Instant, bound: Duration) -> Row {
        let client = self.cluster.client().await;
        let bucket = wait_for("the bucket", PROMPT, async || Bucket::open(&client, BUCKET).await.ok()).await;
        converges(row, self.watched, writers, healed, bound, &bucket).await
    }
}

/// Makes the bucket with a copy on each server; gives the connection that did.
async fn replicated(cluster: &Cluster) -> Client {
    let mut config = config();
    config.num_replicas = Some(3);
    let client = cluster.client().await;
    // A cluster that has just met may not know yet where to place three copies.
    wait_for("a cluster that makes a bucket of three copies", PROMPT, async || {
        Bucket::create(&client, config.clone()).await.ok()
    })
    .await;
    cluster.stream_leader(STREAM).await;
    client
}

async fn start_on(bucket: &Bucket) -> Live<Ledger> {
    wait_for("a handle on a new cluster", PROMPT, async || bucket.live::<Ledger>().start().await.ok()).await
}

pub async fn at_work(writers: Writers) -> Writers {
    writers.go_on(PROMPT).await;
    writers
}

/// A bucket on a leaf node that mirrors the one of the hub, which is made too.
pub async fn mirrored(pair: &HubAndLeaf) -> Bucket {
    Bucket::create(pair.hub.client().await, config()).await.unwrap();
    let mut mirror = BucketConfig::unchanged(BUCKET);
    let external = External { api_prefix: "$JS.hub.API".into(), deliver_prefix: None };
    mirror.mirror = Some(Source { bucket: BUCKET.into(), external: Some(external), ..Source::default() });
    mirror.history = config().history;
    Bucket::create(pair.leaf.client().await, mirror).await.unwrap()
}

/// The fault is over since `healed`: the handle must follow within `bound`, and all must be accounted for.
pub async fn converges(
    row: Row,
    watched: Watched,
    writers: Writers,
    healed: Instant,
    bound: Duration,
    bucket: &Bucket,
) -> Row {
    let converged = watched.converges(healed, writers.newest(), bound).await;
    let books = writers.finish(PROMPT).await;
    let (_, last) = *books.acknowledgements.last().expect("there are some");
    watched.converges(Instant::now(), last, PROMPT).await;
    // P6: the number is what was acknowledged, for a reader that begins now as for the one that was there all along.
    let fresh = bucket.live::<Ledger>().start().await.unwrap();
    assert_eq!(fresh.load().count, books.total, "P6: {books:?}");
    assert_eq!(watched.live.load().value(), fresh.load().value());
    let seen = watched.finish(&books).await;
    assert!(seen.snapshots > 1, "readers saw changes");
    row.converged(converged, bound).books(&books)
}
