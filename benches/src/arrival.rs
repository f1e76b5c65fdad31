//! From a plain client's put to the value that readers see.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use async_nats::jetstream::kv;
use futures_util::StreamExt;
use kvconf::{Changes, Live};
use kvconf_tests::server::Server;
use tokio::sync::watch;

use crate::figures::{Row, median, micros, quantile};
use crate::live_server::Setup;
use crate::settings::Checkout;

const RUNS: usize = 31;
const PUTS: u32 = 500;

/// A struct kept live by hand: a stock watch, an `ArcSwap`, and a word to whoever waits, as kvconf gives one.
struct ByHand {
    current: Arc<ArcSwap<Checkout>>,
    told: watch::Receiver<()>,
}

impl ByHand {
    async fn start(store: &kv::Store) -> Result<Self> {
        let current = Arc::new(ArcSwap::from_pointee(Checkout::usual()));
        let (tell, told) = watch::channel(());
        let mut entries = store.watch("checkout.>").await?;
        let swap = Arc::clone(&current);
        tokio::spawn(async move {
            while let Some(Ok(entry)) = entries.next().await {
                let mut next = Checkout::clone(&swap.load());
                let text = std::str::from_utf8(&entry.value).unwrap_or_default();
                match entry.key.as_str() {
                    "checkout.max_items" => next.max_items = text.parse().unwrap_or(0),
                    "checkout.other" => next.other = text.parse().unwrap_or(0),
                    _ => continue,
                }
                swap.store(Arc::new(next));
                tell.send_replace(());
            }
        });
        Ok(Self { current, told })
    }
}

/// Puts a value. The answer of the put is waited for later: what is measured is the way to the reader.
fn put(writer: &kv::Store, value: u32) -> tokio::task::JoinHandle<Result<u64, kv::PutError>> {
    let writer = writer.clone();
    tokio::spawn(async move { writer.put("checkout.max_items", value.to_string().into()).await })
}

/// Microseconds from before the put until a task that waits for a change finds the value in `load()`.
async fn with_kvconf(
    writer: &kv::Store,
    live: &Live<Checkout>,
    changes: &mut Changes<Checkout>,
    value: u32,
) -> Result<f64> {
    let begin = Instant::now();
    let put = put(writer, value);
    while live.load().max_items != value {
        changes.next().await.context("the handle ended")?;
    }
    let took = micros(begin.elapsed());
    put.await??;
    Ok(took)
}

async fn by_hand(writer: &kv::Store, theirs: &mut ByHand, value: u32) -> Result<f64> {
    let begin = Instant::now();
    let put = put(writer, value);
    while theirs.current.load().max_items != value {
        theirs.told.changed().await?;
    }
    let took = micros(begin.elapsed());
    put.await??;
    Ok(took)
}

/// The rows of arrival. Each side has a bucket of its own, so that one never wakes the other.
pub async fn rows() -> Result<Vec<Row>> {
    let server = Server::builder().on_disk().start().await;
    let ours = Setup::new(&server, "ours").await?;
    let theirs = Setup::new(&server, "theirs").await?;
    let live = ours.bucket.live::<Checkout>().start().await?;
    let mut changes = live.changes();
    let mut hand = ByHand::start(&theirs.store).await?;
    let (mut middle, mut tail) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    let mut value = 1_000;
    for run in 0..=RUNS {
        let (mut kvconf, mut bare) = (Vec::new(), Vec::new());
        for put in 0..PUTS {
            value += 1;
            for first in [put % 2 == 0, put % 2 != 0] {
                if first {
                    kvconf.push(with_kvconf(&ours.writer, &live, &mut changes, value).await?);
                } else {
                    bare.push(by_hand(&theirs.writer, &mut hand, value).await?);
                }
            }
        }
        // The first run warms up.
        if run > 0 {
            middle.0.push(quantile(&kvconf, 0.5));
            middle.1.push(quantile(&bare, 0.5));
            tail.0.push(quantile(&kvconf, 0.99));
            tail.1.push(quantile(&bare, 0.99));
        }
    }
    let row = |name: &str, (ours, theirs): &(Vec<f64>, Vec<f64>)| {
        Row::ratio(
            &format!("put by a plain client → visible in `load()`, to a bare async-nats watch, {name}"),
            median(ours) / median(theirs),
            Some((1.10, "≤ 1.10 ×")),
            format!(
                "medians of {RUNS} runs of {PUTS} puts: {:.0} and {:.0} µs",
                median(ours),
                median(theirs)
            ),
        )
    };
    Ok(vec![row("p50", &middle), row("p99", &tail)])
}
