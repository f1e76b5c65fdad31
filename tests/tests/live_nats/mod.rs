//! Live handles on a real server.

mod attribution;
mod copies;
mod credentials;
mod limits;
mod odd_buckets;
mod old_server;
mod outages;
mod permissions;
mod revoked;
mod sharing;
mod writing;

use std::time::Duration;

use async_nats::jetstream::{self, stream::Stream};
use kvconf::{Bucket, BucketConfig, Health, KvConfig, Live, Revision};
use kvconf_tests::server::Server;
use tokio::time::timeout;

/// For what takes the server milliseconds; generous, for a machine that is busy with a build.
const BOUND: Duration = Duration::from_secs(90);

#[derive(KvConfig, Debug, Clone, PartialEq)]
struct Pool {
    #[kv(default = 1)]
    min: u32,
    #[kv(default = 10, range(1..=1_000))]
    max: u32,
    name: Option<String>,
}

/// Two prefixes as one struct, for changes across both.
#[derive(KvConfig, Debug, Clone, PartialEq)]
struct Both {
    #[kv(nested)]
    shop: Pool,
    #[kv(nested)]
    mail: Pool,
}

async fn with_bucket() -> (Server, Bucket) {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    (server, bucket)
}

/// The same bucket on another connection: another process.
async fn another(server: &Server) -> Bucket {
    Bucket::open(server.client().await, "b").await.unwrap()
}

async fn live(bucket: &Bucket, prefix: &str) -> Live<Pool> {
    bucket.live().prefix(prefix).start().await.unwrap_or_else(|error| panic!("{error:?}"))
}

/// The bucket's stream, as an administrator sees it.
async fn stream(server: &Server) -> Stream {
    jetstream::new(server.client().await).get_stream("KV_b").await.unwrap()
}

async fn reach<T: KvConfig>(live: &Live<T>, revision: Revision) {
    let seen = timeout(BOUND, live.wait_for(revision)).await;
    seen.unwrap_or_else(|_| panic!("revision {revision} in time; {:?}", live.health())).unwrap();
}

async fn health<T: KvConfig>(live: &Live<T>, fulfilled: impl FnMut(&Health) -> bool) -> Health {
    let health = timeout(BOUND, live.wait_for_health(fulfilled)).await;
    health.unwrap_or_else(|_| panic!("the health in time; it is {:?}", live.health()))
}
