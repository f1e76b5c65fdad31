//! Planning a rollback of a thousand keys on a server.

use std::time::Instant;

use anyhow::{Result, ensure};
use kvconf::{Live, Revision};
use kvconf_tests::server::Server;

use crate::figures::{Row, median, millis, ratio};
use crate::live_server::{Setup, fill, fill_with_a_hole};
use crate::settings::Limits;

const KEYS: u32 = 1_000;
const REVISIONS: u32 = 8;
const ROUNDS: usize = 61;

/// The most that a plan may take beyond its reads, in milliseconds.
const MOST: f64 = 50.0;

/// Milliseconds for what a plan has to read: the settings, the state of then and the present state.
async fn read(setup: &Setup, revision: Revision) -> Result<f64> {
    let begin = Instant::now();
    let status = setup.bucket.status().await?;
    let then = setup.bucket.read_at("limits.>", revision).await?;
    let now = setup.bucket.read("limits.>").await?;
    let took = millis(begin.elapsed());
    let count = then.entries().len() + now.entries().len();
    ensure!(count == 2 * KEYS as usize && status.last_revision > revision, "{count} entries were read");
    Ok(took)
}

async fn plan(live: &Live<Limits>, revision: Revision) -> Result<f64> {
    let begin = Instant::now();
    let plan = live.rollback_to(revision).plan().await?;
    let took = millis(begin.elapsed());
    ensure!(plan.changes().count() == KEYS as usize && plan.obstacle().is_none(), "{plan}");
    Ok(took)
}

/// Milliseconds of plans and of the reads that each needs, taken in turn.
async fn samples(setup: &Setup, half: Revision) -> Result<(Vec<f64>, Vec<f64>)> {
    let live: Live<Limits> = setup.bucket.live().prefix("limits").start().await?;
    let (mut plans, mut reads) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + 4 {
        for plan_first in [round % 2 == 0, round % 2 != 0] {
            let (samples, took) = if plan_first {
                (&mut plans, plan(&live, half).await?)
            } else {
                (&mut reads, read(setup, half).await?)
            };
            if round >= 4 {
                samples.push(took);
            }
        }
    }
    Ok((plans, reads))
}

fn beyond(what: &str, plans: &[f64], reads: &[f64]) -> Row {
    let beyond: Vec<f64> = plans.iter().zip(reads).map(|(plan, read)| plan - read).collect();
    Row {
        what: what.to_owned(),
        bound: "≤ 50 ms",
        found: format!("{:.1} ms", median(&beyond)),
        holds: Some(median(&beyond) <= MOST),
        how: how(plans, reads),
    }
}

fn how(plans: &[f64], reads: &[f64]) -> String {
    format!("medians {:.2} and {:.2} ms, {ROUNDS} rounds", median(plans), median(reads))
}

/// The rows of planning a rollback.
pub async fn rows() -> Result<Vec<Row>> {
    let server = Server::builder().on_disk().start().await;
    let limits = || {
        let of =
            |round: u32| move |at: u32| (format!("limits.of.customer-{at}"), (round * KEYS + at).to_string());
        (0..REVISIONS).flat_map(move |round| (0..KEYS).map(of(round)))
    };
    let whole = Setup::new(&server, "back").await?;
    fill(&whole.url, "back", limits()).await?;
    let (plans, reads) = samples(&whole, Revision::new(u64::from(KEYS * REVISIONS / 2))).await?;
    let holed = Setup::new(&server, "holes").await?;
    fill_with_a_hole(&holed.url, "holes", limits()).await?;
    let last = holed.bucket.status().await?.last_revision;
    // The last one is of another key.
    let half = last - 1 - u64::from(KEYS * REVISIONS / 2);
    let (plans_holed, reads_holed) = samples(&holed, half).await?;
    Ok(vec![
        beyond("plan of a rollback of 1 000 keys, beyond the reads that it needs", &plans, &reads),
        Row::ratio("the same, to these reads", ratio(&plans, &reads), None, how(&plans, &reads)),
        beyond(
            "that plan where something has gone out of the middle of the bucket, beyond the reads",
            &plans_holed,
            &reads_holed,
        ),
    ])
}
