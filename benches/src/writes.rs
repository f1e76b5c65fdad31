//! Writing one key.

use std::time::Instant;

use anyhow::{Context, Result};
use async_nats::HeaderMap;
use async_nats::jetstream::{self, kv};
use kvconf::{KvConfig, Live, Revision};
use kvconf_tests::server::Server;

use crate::figures::{Row, median, micros, ratio};
use crate::live_server::Setup;
use crate::settings::Checkout;

/// Many short runs: what else happens on the machine then falls on both sides of most of them, or of few.
const RUNS: usize = 61;
const WRITES: u32 = 60;
/// What all of them write.
const KEY: &str = "checkout.max_items";
/// How many kinds of writes there are.
const KINDS: u32 = 6;

#[derive(Default)]
struct Samples {
    commit: Vec<f64>,
    stock: Vec<f64>,
    /// Over kvconf's own connection.
    same: Vec<f64>,
    /// The request that a commit makes, by hand.
    headers: Vec<f64>,
    update: Vec<f64>,
    by_hand: Vec<f64>,
}

/// One write of each kind, each after the watch has brought the one before and with nothing else sent in between. All go to
/// one key of the one live struct, so each wakes the same watch and pushes out a revision that is as far back. Before each a
/// plan is made, of which all but one make no use: the later something is sent after the last answer, the longer the server
/// takes to wake up, and with a plan before its own write alone kvconf was a twentieth slower for that.
async fn once(
    setup: &Setup,
    (live, own, context): (&Live<Checkout>, &kv::Store, &jetstream::Context),
    (kind, value): (u32, u32),
    revision: &mut u64,
    samples: &mut Samples,
) -> Result<()> {
    let text = value.to_string();
    let plan = live.edit().set(Checkout::fields().max_items, value).plan().await?;
    let written: Revision = match kind {
        0 => {
            let begin = Instant::now();
            let applied = plan.commit().author("ops").reason("a measurement").await?;
            samples.commit.push(micros(begin.elapsed()));
            applied.revision()
        }
        1 | 2 => {
            let (store, samples) =
                if kind == 1 { (&setup.writer, &mut samples.stock) } else { (own, &mut samples.same) };
            let begin = Instant::now();
            let revision = store.update(KEY, text.into(), *revision).await?;
            samples.push(micros(begin.elapsed()));
            revision.into()
        }
        3 => {
            let begin = Instant::now();
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Expected-Last-Subject-Sequence", revision.to_string());
            headers.insert("Kvconf-Change", "0123456789abcdef01234567");
            headers.insert("Kvconf-Author", "ops");
            headers.insert("Kvconf-Reason", "a measurement");
            let subject = format!("$KV.writes.{KEY}");
            let revision = context.publish_with_headers(subject, headers, text.into()).await?.await?.sequence;
            samples.headers.push(micros(begin.elapsed()));
            revision.into()
        }
        4 => {
            let begin = Instant::now();
            let applied = live.update(|settings| settings.max_items += 1_000_000).author("ops").await?;
            samples.update.push(micros(begin.elapsed()));
            applied.revision()
        }
        _ => {
            let begin = Instant::now();
            let entry = setup.writer.entry(KEY).await?.context("the key is gone")?;
            let now: u32 = std::str::from_utf8(&entry.value)?.parse()?;
            let text = (now + 1_000_000).to_string();
            let revision = setup.writer.update(KEY, text.into(), entry.revision).await?;
            samples.by_hand.push(micros(begin.elapsed()));
            revision.into()
        }
    };
    *revision = written.get();
    live.wait_for(written).await?;
    Ok(())
}

/// The rows of writing.
pub async fn rows() -> Result<Vec<Row>> {
    let server = Server::builder().on_disk().start().await;
    let setup = Setup::new(&server, "writes").await?;
    let live = setup.bucket.live::<Checkout>().start().await?;
    let own = setup.bucket.kv_store().await?;
    let context = jetstream::new(async_nats::connect(server.url()).await?);
    let mut revision = setup.writer.put(KEY, "1".into()).await?;
    live.wait_for(revision.into()).await?;
    let mut runs = Samples::default();
    for run in 0..=RUNS as u32 {
        let mut samples = Samples::default();
        for write in 0..WRITES {
            for step in 0..KINDS {
                // Begun at another one each time, and every second time in the other order: none always follows the same.
                let at = (write / 2 + step) % KINDS;
                let kind = if write % 2 == 0 { at } else { KINDS - 1 - at };
                let value = 10_000 * (run + 1) + KINDS * write + step;
                once(&setup, (&live, &own, &context), (kind, value), &mut revision, &mut samples).await?;
            }
        }
        if run > 0 {
            runs.commit.push(median(&samples.commit));
            runs.stock.push(median(&samples.stock));
            runs.same.push(median(&samples.same));
            runs.headers.push(median(&samples.headers));
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
        row(
            "the same, to the same request by hand: a publish with these headers",
            &runs.commit,
            &runs.headers,
            None,
        ),
        row("that publish by hand, to `kv::Store::update`", &runs.headers, &runs.stock, None),
        row(
            "`commit()`, to `kv::Store::update` over kvconf's own connection",
            &runs.commit,
            &runs.same,
            None,
        ),
        row("`live.update(…)` as a whole, to `kv::Store::update`", &runs.update, &runs.stock, None),
        row("`live.update(…)` as a whole, to `entry` and `update`", &runs.update, &runs.by_hand, None),
    ])
}
