//! Writing one key.

use std::time::Instant;

use anyhow::{Context, Result};
use kvconf::{KvConfig, Live, Revision};
use kvconf_tests::server::Server;

use crate::figures::{Row, median, micros, ratio};
use crate::live_server::Setup;
use crate::settings::Checkout;

/// Many short runs: what else happens on the machine then falls on both sides of most of them, or of few.
const RUNS: usize = 61;
const WRITES: u32 = 60;

#[derive(Default)]
struct Samples {
    commit: Vec<f64>,
    stock: Vec<f64>,
    update: Vec<f64>,
    by_hand: Vec<f64>,
}

/// One write of each kind, each after the watch has brought the one before and with nothing else sent in between. All go to
/// keys of the one live struct, so each wakes the same watch.
async fn once(
    setup: &Setup,
    live: &Live<Checkout>,
    (kind, value): (u32, u32),
    revision: &mut u64,
    samples: &mut Samples,
) -> Result<()> {
    let text = value.to_string();
    let written: Revision = match kind {
        0 => {
            let plan = live.edit().set(Checkout::fields().max_items, value).plan().await?;
            let begin = Instant::now();
            let applied = plan.commit().author("ops").reason("a measurement").await?;
            samples.commit.push(micros(begin.elapsed()));
            applied.revision()
        }
        1 => {
            let begin = Instant::now();
            *revision = setup.writer.update("checkout.other", text.into(), *revision).await?;
            samples.stock.push(micros(begin.elapsed()));
            (*revision).into()
        }
        2 => {
            let begin = Instant::now();
            let applied = live.update(|settings| settings.max_items += 1_000_000).author("ops").await?;
            samples.update.push(micros(begin.elapsed()));
            applied.revision()
        }
        _ => {
            let begin = Instant::now();
            let entry = setup.writer.entry("checkout.other").await?.context("the key is gone")?;
            let now: u32 = std::str::from_utf8(&entry.value)?.parse()?;
            let text = (now + 1_000_000).to_string();
            *revision = setup.writer.update("checkout.other", text.into(), entry.revision).await?;
            samples.by_hand.push(micros(begin.elapsed()));
            (*revision).into()
        }
    };
    live.wait_for(written).await?;
    Ok(())
}

/// The rows of writing.
pub async fn rows() -> Result<Vec<Row>> {
    let server = Server::start().await;
    let setup = Setup::new(&server, "writes").await?;
    let live = setup.bucket.live::<Checkout>().start().await?;
    let mut revision = setup.writer.put("checkout.other", "1".into()).await?;
    let mut runs = Samples::default();
    for run in 0..=RUNS as u32 {
        let mut samples = Samples::default();
        for write in 0..WRITES {
            for step in 0..4 {
                // Each kind follows each other one as often.
                let kind = if write % 2 == 0 { step } else { 3 - step };
                once(&setup, &live, (kind, 1_000 * (run + 1) + write), &mut revision, &mut samples).await?;
            }
        }
        if run > 0 {
            runs.commit.push(median(&samples.commit));
            runs.stock.push(median(&samples.stock));
            runs.update.push(median(&samples.update));
            runs.by_hand.push(median(&samples.by_hand));
        }
    }
    let row = |what: &str, ours: &[f64], theirs: &[f64], most| {
        Row::ratio(
            what,
            ratio(ours, theirs),
            most,
            format!(
                "median of the ratios of the p50 of {RUNS} runs of {WRITES}; medians {:.0} and {:.0} µs",
                median(ours),
                median(theirs)
            ),
        )
    };
    Ok(vec![
        row(
            "`commit()` of a ready plan of one key, to `kv::Store::update`",
            &runs.commit,
            &runs.stock,
            Some((1.05, "≤ 1.05 ×")),
        ),
        row("`live.update(…)` as a whole, to `kv::Store::update`", &runs.update, &runs.stock, None),
        row("`live.update(…)` as a whole, to `entry` and `update`", &runs.update, &runs.by_hand, None),
    ])
}
