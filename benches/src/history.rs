//! Looking back at a struct of 100 keys with 64 revisions each.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_nats::Client;
use futures_util::{StreamExt, TryStreamExt};
use kvconf::{KvConfig, Live, Revision};
use kvconf_tests::server::Server;

use crate::figures::{Row, median, micros, ratio};
use crate::live_server::{Setup, fill, fill_with_a_hole};
use crate::settings::Hundred;

const ROUNDS: usize = 101;
const REVISIONS: u64 = 64;
const BUCKET: &str = "history";
/// The same, and something has gone out of its middle.
const WITH_A_HOLE: &str = "holes";

/// What the server itself needs: the last message of each key up to a revision, in one request.
async fn bare_read(client: &Client, bucket: &str, revision: u64) -> Result<usize> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    let query = format!(r#"{{"multi_last":["$KV.{bucket}.hundred.>"],"up_to_seq":{revision}}}"#);
    client.publish_with_reply(format!("$JS.API.DIRECT.GET.KV_{bucket}"), inbox, query.into()).await?;
    let mut found = 0;
    loop {
        let answer = tokio::time::timeout(Duration::from_secs(60), answers.next()).await?;
        let answer = answer.context("the connection is gone")?;
        match answer.status.map(|status| status.as_u16()) {
            None => found += 1,
            Some(204) => return Ok(found),
            Some(status) => anyhow::bail!("the server answered {status}"),
        }
    }
}

async fn timed<T>(samples: &mut Vec<f64>, run: impl Future<Output = Result<T>>) -> Result<T> {
    let begin = Instant::now();
    let found = run.await?;
    samples.push(micros(begin.elapsed()));
    Ok(found)
}

fn row(what: &str, ours: &[f64], theirs: &[f64], most: Option<(f64, &'static str)>) -> Row {
    let how = format!("medians {:.0} and {:.0} µs, {ROUNDS} rounds", median(ours), median(theirs));
    Row::ratio(what, ratio(ours, theirs), most, how)
}

/// The rows of looking back.
pub async fn rows() -> Result<Vec<Row>> {
    let server = Server::builder().on_disk().start().await;
    let setup = Setup::new(&server, BUCKET).await?;
    fill(&setup.url, BUCKET, all()).await?;
    let live = setup.bucket.live::<Hundred>().start().await?;
    let client = async_nats::connect(&setup.url).await?;
    let last = setup.bucket.status().await?.last_revision;
    let mut samples = [const { Vec::new() }; 6];
    for round in 0..=ROUNDS as u64 {
        let [at, bare, history, stock, ..] = &mut samples;
        // Somewhere in the middle, and never twice the same.
        let revision = Revision::new(last.get() / 2 + round * 7);
        // Each comes after its like as often as the other: that one leaves a server that has just read the same.
        if round % 2 == 0 {
            read_bare(&client, BUCKET, revision, bare).await?;
            read_ours(&live, revision, at).await?;
            history_of_stock(&setup, stock).await?;
            history_of_ours(&live, history).await?;
        } else {
            read_ours(&live, revision, at).await?;
            read_bare(&client, BUCKET, revision, bare).await?;
            history_of_ours(&live, history).await?;
            history_of_stock(&setup, stock).await?;
        }
    }
    // Apart from the others: what comes right after so large a read pays for it.
    for _ in 0..=ROUNDS {
        let [.., log, all] = &mut samples;
        let page = timed(log, async { Ok(live.log().await?) }).await?;
        ensure!(page.changes().len() == 50, "a page of a log is not full");
        let read = timed(all, async { Ok(setup.bucket.history("hundred.>").await?) }).await?;
        ensure!(read.len() as u64 == 100 * REVISIONS, "{} entries are there", read.len());
    }
    let [at, bare, history, stock, log, all] = samples.map(|samples| samples[1..].to_vec());
    Ok(vec![
        row(
            "`live.at(revision)`, 100 keys of 64 revisions, to the bare read of the server",
            &at,
            &bare,
            Some((1.3, "≤ 1.30 ×")),
        ),
        with_a_hole(&server).await?,
        row(
            "`live.history(field)`, 64 revisions, to `kv::Store::history`",
            &history,
            &stock,
            Some((1.2, "≤ 1.20 ×")),
        ),
        row("a page of `live.log()`, to reading every entry that it could be of", &log, &all, None),
    ])
}

/// 64 revisions of each of the hundred keys.
fn all() -> impl Iterator<Item = (String, String)> {
    let names = || ('a'..='j').flat_map(|one| ('a'..='j').map(move |two| format!("hundred.{one}.{two}")));
    (0..REVISIONS).flat_map(move |round| names().map(move |name| (name, round.to_string())))
}

/// What `live.at` costs where values may have run out under later ones, to the bare read.
async fn with_a_hole(server: &Server) -> Result<Row> {
    let setup = Setup::new(server, WITH_A_HOLE).await?;
    fill_with_a_hole(&setup.url, WITH_A_HOLE, all()).await?;
    let status = setup.bucket.status().await?;
    let between = status.last_revision.get() + 1 - status.first_revision.get();
    ensure!(status.entries < between, "nothing has gone out of the middle");
    let live = setup.bucket.live::<Hundred>().start().await?;
    let client = async_nats::connect(&setup.url).await?;
    let (mut at, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS as u64 {
        let revision = Revision::new(status.last_revision.get() / 2 + round * 7);
        if round % 2 == 0 {
            read_bare(&client, WITH_A_HOLE, revision, &mut bare).await?;
            read_ours(&live, revision, &mut at).await?;
        } else {
            read_ours(&live, revision, &mut at).await?;
            read_bare(&client, WITH_A_HOLE, revision, &mut bare).await?;
        }
    }
    let what = "the same, where something has gone out of the middle of the bucket";
    Ok(row(what, &at[1..], &bare[1..], None))
}

async fn read_bare(client: &Client, bucket: &str, revision: Revision, samples: &mut Vec<f64>) -> Result<()> {
    let found = timed(samples, bare_read(client, bucket, revision.get())).await?;
    ensure!(found == 100, "{found} keys are there");
    Ok(())
}

async fn read_ours(live: &Live<Hundred>, revision: Revision, samples: &mut Vec<f64>) -> Result<()> {
    let then = timed(samples, async { Ok(live.at(revision).await?) }).await?;
    ensure!(then.revision() == revision, "another revision came");
    Ok(())
}

async fn history_of_ours(live: &Live<Hundred>, samples: &mut Vec<f64>) -> Result<()> {
    let field = Hundred::fields().e.f;
    let found = timed(samples, async { Ok(live.history(field).await?) }).await?;
    ensure!(found.revisions().len() as u64 == REVISIONS, "{} revisions are there", found.revisions().len());
    Ok(())
}

async fn history_of_stock(setup: &Setup, samples: &mut Vec<f64>) -> Result<()> {
    let plain = timed(samples, async {
        let entries = setup.store.history("hundred.e.f").await?;
        Ok(entries.try_collect::<Vec<_>>().await?)
    });
    ensure!(plain.await?.len() as u64 == REVISIONS, "the plain client has another history");
    Ok(())
}
