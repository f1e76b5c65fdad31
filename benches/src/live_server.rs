//! What the rows with a real server share.

use std::time::Duration;

use anyhow::{Result, ensure};
use async_nats::jetstream::{self, kv};
use futures_util::StreamExt;
use kvconf::{Bucket, BucketConfig};
use kvconf_tests::server::Server;

/// A server, and a bucket on it through two connections: kvconf's and a plain client's.
pub struct Setup {
    /// Where the publishing process connects.
    pub url: String,
    /// kvconf's handle.
    pub bucket: Bucket,
    /// The plain client's handle, on a connection of its own.
    pub store: kv::Store,
    /// A plain client that writes, on a third connection.
    pub writer: kv::Store,
}

/// The plain handle on a bucket, on a new connection.
pub async fn plain(server: &Server, name: &str) -> Result<kv::Store> {
    let context = jetstream::new(async_nats::connect(server.url()).await?);
    Ok(context.get_key_value(name).await?)
}

impl Setup {
    /// Makes a bucket as kvconf makes them.
    pub async fn new(server: &Server, name: &str) -> Result<Self> {
        let client = async_nats::connect(server.url()).await?;
        let bucket = Bucket::create(&client, BucketConfig::new(name)).await?;
        Ok(Self {
            url: server.url(),
            bucket,
            store: plain(server, name).await?,
            writer: plain(server, name).await?,
        })
    }
}

/// Writes many keys without waiting for one after the other.
pub async fn fill(url: &str, bucket: &str, pairs: impl IntoIterator<Item = (String, String)>) -> Result<()> {
    let client = async_nats::connect(url).await?;
    let mut context = jetstream::new(client);
    // On a busy machine a server may be silent for longer than the usual five seconds.
    context.set_timeout(Duration::from_secs(60));
    let mut acks = futures_util::stream::FuturesUnordered::new();
    for (key, value) in pairs {
        let ack = context.publish(format!("$KV.{bucket}.{key}"), value.into()).await?;
        acks.push(std::future::IntoFuture::into_future(ack));
        if acks.len() >= 2_000
            && let Some(ack) = acks.next().await
        {
            ack?;
        }
    }
    while let Some(ack) = acks.next().await {
        ack?;
    }
    Ok(())
}

/// As [`fill`], into a bucket that has let go of an entry between others: of another key, as in every bucket that has been in
/// use for some time.
pub async fn fill_with_a_hole(
    url: &str,
    bucket: &str,
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<()> {
    let other = |key: &str| (format!("elsewhere.{key}"), String::new());
    let before = std::iter::once(other("first")).chain((0..HISTORY).map(|_| other("busy")));
    fill(url, bucket, before).await?;
    fill(url, bucket, pairs).await?;
    // One more than are kept.
    fill(url, bucket, [other("busy")]).await
}

/// How many revisions of a key a bucket keeps, as kvconf makes them.
const HISTORY: usize = 64;

/// Waits until what was asked for holds, giving the processor to whoever has something to do.
pub fn spin(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let begin = std::time::Instant::now();
    while !holds() {
        ensure!(begin.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::yield_now();
    }
    Ok(())
}
