//! A hundred thousand puts at once.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::kv;
use futures_util::StreamExt;
use kvconf_tests::server::Server;
use tokio::runtime::Handle;

use crate::allocations;
use crate::figures::{Row, median, millis, ratio};
use crate::live_server::{Setup, fill, spin};
use crate::settings::{Checkout, Limits};

const PUTS: u32 = 100_000;
const KEYS: u32 = 1_000;
const ROUNDS: usize = 7;

/// The argument with which this program is started again to publish, so that this does not count as the watcher's work.
pub const PUBLISH: &str = "--publish";

/// The publishing process: `<url> <bucket> <round>`.
pub async fn publish(arguments: &[String]) -> Result<()> {
    let [url, bucket, round] = arguments else { anyhow::bail!("three arguments, not {arguments:?}") };
    let round: u32 = round.parse()?;
    let pairs = (0..PUTS).map(|at| (format!("limits.of.k{}", at % KEYS), at.to_string()));
    fill(url, bucket, pairs.chain([("checkout.max_items".to_owned(), round.to_string())])).await
}

/// What one burst took: milliseconds, and the bytes that were in use at most beyond those before.
struct Burst {
    took: f64,
    grown: usize,
}

fn burst(url: &str, bucket: &str, round: u32, what: &str, seen: impl FnMut() -> bool) -> Result<Burst> {
    allocations::track();
    let begin = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .args([PUBLISH, url, bucket, &round.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .context("start the publisher")?;
    if let Err(error) = spin(what, seen) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    let took = millis(begin.elapsed());
    let grown = allocations::peak();
    ensure!(child.wait()?.success(), "the publisher failed");
    Ok(Burst { took, grown })
}

/// A stock watch that only counts, and keeps the last value that ends a burst.
async fn bare(store: &kv::Store) -> Result<Arc<AtomicU32>> {
    let last = Arc::new(AtomicU32::new(0));
    let mut watch = store.watch_many(["limits.>", "checkout.>"]).await?;
    let shared = Arc::clone(&last);
    tokio::spawn(async move {
        while let Some(Ok(entry)) = watch.next().await {
            if entry.key == "checkout.max_items" {
                let text = std::str::from_utf8(&entry.value).unwrap_or_default();
                shared.store(text.parse().unwrap_or(0), Ordering::Release);
            }
        }
    });
    Ok(last)
}

/// The rows of the burst.
pub fn rows(runtime: &Handle) -> Result<Vec<Row>> {
    let server = runtime.block_on(Server::builder().on_disk().start());
    let ours = runtime.block_on(Setup::new(&server, "ours"))?;
    let theirs = runtime.block_on(Setup::new(&server, "theirs"))?;
    let live = runtime.block_on(ours.bucket.live::<Limits>().start())?;
    let mark = runtime.block_on(ours.bucket.live::<Checkout>().start())?;
    let last = runtime.block_on(bare(&theirs.store))?;
    let (mut with_kvconf, mut by_hand) = (Vec::new(), Vec::new());
    let (mut swaps, mut grown) = (Vec::new(), (Vec::new(), Vec::new()));
    for round in 1..=ROUNDS as u32 + 1 {
        for first in [round % 2 == 0, round % 2 != 0] {
            if first {
                let (mut states, mut revision) = (0_u32, live.load().revision());
                let ours = burst(&ours.url, "ours", 1_000 + round, "the end of a burst", || {
                    let now = live.load().revision();
                    states += u32::from(now != revision);
                    revision = now;
                    mark.load().max_items == 1_000 + round
                })?;
                let load = live.load();
                ensure!(
                    (0..KEYS).all(|at| load.of.get(&format!("k{at}")) == Some(&(PUTS - KEYS + at))),
                    "a state without the last values"
                );
                if round > 1 {
                    with_kvconf.push(ours.took);
                    swaps.push(f64::from(states));
                    grown.0.push(ours.grown as f64);
                }
            } else {
                let what = "the end of a burst by hand";
                let theirs = burst(&theirs.url, "theirs", 1_000 + round, what, || {
                    last.load(Ordering::Acquire) == 1_000 + round
                })?;
                if round > 1 {
                    by_hand.push(theirs.took);
                    grown.1.push(theirs.grown as f64);
                }
            }
        }
    }
    let mib = |samples: &[f64]| median(samples) / 1_048_576.0;
    Ok(vec![
        Row::ratio(
            "a burst of 100 000 puts on 1 000 keys until the last is in `load()`, to a bare drain",
            ratio(&with_kvconf, &by_hand),
            Some((1.20, "≤ 1.2 ×")),
            format!("medians {:.0} and {:.0} ms, {ROUNDS} rounds", median(&with_kvconf), median(&by_hand)),
        ),
        Row {
            what: "states that readers could see in it".to_owned(),
            bound: "far fewer than puts",
            found: format!("{:.0}", median(&swaps)),
            holds: Some(median(&swaps) * 10.0 <= f64::from(PUTS)),
            how: format!("{:.0} at most", swaps.iter().copied().fold(0.0, f64::max)),
        },
        Row {
            what: "memory in use at its peak beyond that before the burst".to_owned(),
            bound: "bounded",
            found: format!("{:.1} MiB", mib(&grown.0)),
            holds: None,
            how: format!("bare drain: {:.1} MiB", mib(&grown.1)),
        },
    ])
}
