//! From a plain client's put to the value that readers see.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use async_nats::jetstream::kv;
use futures_util::StreamExt;
use kvconf_tests::server::Server;
use tokio::runtime::Handle;

use crate::figures::{Row, median, micros, quantile};
use crate::live_server::{Setup, spin};
use crate::settings::Checkout;

const RUNS: usize = 9;
const PUTS: u32 = 500;

/// The same by hand: a stock watch, and an `ArcSwap` with the struct.
async fn bare(store: &kv::Store) -> Result<Arc<ArcSwap<Checkout>>> {
    let current = Arc::new(ArcSwap::from_pointee(Checkout::usual()));
    let mut watch = store.watch("checkout.>").await?;
    let swap = Arc::clone(&current);
    tokio::spawn(async move {
        while let Some(Ok(entry)) = watch.next().await {
            let mut next = Checkout::clone(&swap.load());
            let text = std::str::from_utf8(&entry.value).unwrap_or_default();
            match entry.key.as_str() {
                "checkout.max_items" => next.max_items = text.parse().unwrap_or(0),
                "checkout.other" => next.other = text.parse().unwrap_or(0),
                _ => continue,
            }
            swap.store(Arc::new(next));
        }
    });
    Ok(current)
}

/// Microseconds from before the put until `seen` gives the value.
fn once(runtime: &Handle, writer: &kv::Store, value: u32, seen: impl Fn() -> u32) -> Result<f64> {
    let text = value.to_string();
    let writer = writer.clone();
    let begin = Instant::now();
    let put = runtime.spawn(async move { writer.put("checkout.max_items", text.into()).await });
    spin("a put value", || seen() == value)?;
    let took = micros(begin.elapsed());
    runtime.block_on(put)?.context("put")?;
    Ok(took)
}

/// The rows of arrival. Each side has a bucket of its own, so that one never wakes the other.
pub fn rows(runtime: &Handle) -> Result<Vec<Row>> {
    let server = runtime.block_on(Server::start());
    let ours = runtime.block_on(Setup::new(&server, "ours"))?;
    let theirs = runtime.block_on(Setup::new(&server, "theirs"))?;
    let live = runtime.block_on(ours.bucket.live::<Checkout>().start())?;
    let swap = runtime.block_on(bare(&theirs.store))?;
    let (mut middle, mut tail) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    let mut value = 1_000;
    for run in 0..=RUNS {
        let (mut with_kvconf, mut by_hand) = (Vec::new(), Vec::new());
        for put in 0..PUTS {
            value += 1;
            for first in [put % 2 == 0, put % 2 != 0] {
                if first {
                    with_kvconf.push(once(runtime, &ours.writer, value, || live.load().max_items)?);
                } else {
                    by_hand.push(once(runtime, &theirs.writer, value, || swap.load().max_items)?);
                }
            }
        }
        // The first run warms up.
        if run > 0 {
            middle.0.push(quantile(&with_kvconf, 0.5));
            middle.1.push(quantile(&by_hand, 0.5));
            tail.0.push(quantile(&with_kvconf, 0.99));
            tail.1.push(quantile(&by_hand, 0.99));
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
