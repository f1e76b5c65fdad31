//! Starting a handle on a server.

use std::time::Instant;

use anyhow::{Result, ensure};
use async_nats::jetstream::kv;
use futures_util::StreamExt;
use kvconf::{Bucket, KvConfig, Live};
use kvconf_tests::server::Server;

use crate::figures::{Row, median, millis, ratio};
use crate::live_server::{Setup, fill};
use crate::settings::{Few, Limits, Widest};

const MANY: u32 = 10_000;
const FEW: u32 = 20;
const CROWD: u32 = 200_000;

/// Milliseconds until a stock watch has delivered the last entry of each key.
async fn drain(store: &kv::Store, filter: &str, expected: u32) -> Result<f64> {
    let begin = Instant::now();
    let mut watch = store.watch_with_history(filter).await?;
    let mut seen = 0;
    while let Some(entry) = watch.next().await {
        seen += 1;
        if entry?.delta == 0 {
            break;
        }
    }
    let took = millis(begin.elapsed());
    ensure!(seen == expected, "{seen} entries instead of {expected}");
    Ok(took)
}

async fn start<T: KvConfig>(bucket: &Bucket, prefix: &str, check: impl Fn(&T) -> bool) -> Result<f64> {
    let begin = Instant::now();
    let live: Live<T> = bucket.live::<T>().prefix(prefix).start().await?;
    let took = millis(begin.elapsed());
    ensure!(check(&live.load()), "not everything was loaded");
    live.stop();
    Ok(took)
}

async fn compare<T: KvConfig>(
    setup: &Setup,
    what: &str,
    most: &'static str,
    (prefix, keys, rounds): (&str, u32, usize),
    check: impl Fn(&T) -> bool,
) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let filter = format!("{prefix}.>");
    for round in 0..rounds + 2 {
        for ours_first in [round % 2 == 0, round % 2 != 0] {
            let (samples, took) = if ours_first {
                (&mut ours, start::<T>(&setup.bucket, prefix, &check).await?)
            } else {
                (&mut theirs, drain(&setup.store, &filter, keys).await?)
            };
            if round >= 2 {
                samples.push(took);
            }
            // What the one has left to do must not fall into the other's time.
            tokio::time::sleep(std::time::Duration::from_millis(if keys > FEW { 20 } else { 5 })).await;
        }
    }
    let how = format!("medians {:.2} and {:.2} ms, {rounds} rounds", median(&ours), median(&theirs));
    Ok(Row::ratio(what, ratio(&ours, &theirs), Some((1.20, most)), how))
}

/// The rows of starting.
pub async fn rows() -> Result<Vec<Row>> {
    let server = Server::builder().on_disk().start().await;
    let setup = Setup::new(&server, "many").await?;
    let limits = (0..MANY).map(|at| (format!("limits.of.customer-{at}"), at.to_string()));
    fill(&setup.url, "many", limits).await?;
    let widest = "abcdefghij".chars().flat_map(|part| {
        (0..400)
            .map(|at| (format!("number_{at}"), at.to_string()))
            .chain((0..300).map(|at| (format!("text_{at}"), format!("the text number {at}"))))
            .chain((0..100).map(|at| (format!("wait_{at}"), format!("{}ms", at + 1))))
            .chain((0..100).map(|at| (format!("switch_{at}"), (at % 2 == 0).to_string())))
            .chain((0..100).map(|at| (format!("list_{at}"), format!("[\"NL\",\"{at}\"]"))))
            .map(move |(name, value)| (format!("widest.{part}.{name}"), value))
            .collect::<Vec<_>>()
    });
    fill(&setup.url, "many", widest).await?;
    let map = compare::<Limits>(
        &setup,
        "start on a prefix of 10 000 keys, one map of entries, to a bare `watch_with_history` drain",
        "≤ 1.20 ×",
        ("limits", MANY, 41),
        |limits| limits.of.len() == MANY as usize,
    )
    .await?;
    let fields = compare::<Widest>(
        &setup,
        "the same with 10 000 fields in ten structs",
        "≤ 1.20 ×",
        ("widest", MANY, 41),
        |widest| widest.j.number_399 == 399 && widest.a.list_99.last().is_some_and(|last| last == "99"),
    )
    .await?;
    let setup = Setup::new(&server, "crowd").await?;
    let few = |prefix: &'static str| (0..FEW).map(move |at| (format!("{prefix}.of.k{at}"), at.to_string()));
    fill(&setup.url, "crowd", few("first")).await?;
    fill(&setup.url, "crowd", (0..CROWD - 2 * FEW).map(|at| (format!("crowd.k{at}"), at.to_string())))
        .await?;
    fill(&setup.url, "crowd", few("last")).await?;
    let loaded = |few: &Few| few.of.len() == FEW as usize;
    let first = compare::<Few>(
        &setup,
        "start on 20 keys in a bucket of 200 000, written first, to a bare filtered `watch_with_history`",
        "≤ 1.2 ×",
        ("first", FEW, 201),
        loaded,
    )
    .await?;
    let last =
        compare::<Few>(&setup, "the same, written last", "≤ 1.2 ×", ("last", FEW, 201), loaded).await?;
    Ok(vec![map, fields, first, last])
}
