//! The `kvconf` command beside the least that a program can do through async-nats, from the start of a process to its exit.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use kvconf::{Bucket, BucketConfig};
use kvconf_tests::server::Server;

use crate::figures::{Row, median, millis, ratio};

const MANY: usize = 100_000;
const GETS: usize = 101;
const EXPORTS: usize = 11;

/// The most that the command's file may have, in MiB.
const MOST_MIB: f64 = 15.0;

/// All rows.
pub async fn rows() -> Result<Vec<Row>> {
    let (bare, kvconf) = (minimal()?, built()?);
    let server = Server::builder().on_disk().start().await;
    let bucket = Bucket::create(&server.client().await, BucketConfig::new("prod")).await?;
    let keys: Vec<String> = (0..MANY).map(|at| format!("k{}.n{at}", at % 100)).collect();
    for part in keys.chunks(1_000) {
        let batch = part.iter().fold(bucket.batch(), |batch, key| batch.put(key.as_str(), vec![b'x'; 100]));
        batch.commit().await?;
    }
    let url = server.url();
    let ours = |words: &[&str]| {
        let place = ["--server", url.as_str(), "--bucket", "prod", "--quiet"];
        run(&kvconf, &[words, place.as_slice()].concat())
    };
    let gets = compare(
        "`kvconf get` of one key, from start to exit, to a minimal program through async-nats",
        (1.5, "≤ 1.5 ×"),
        GETS,
        &|| ours(&["get", "k0.n0"]),
        &|| run(&bare, &["get", &url, "prod", "k0.n0"]),
    )?;
    let exports = compare(
        "`kvconf export` of 100 000 keys, from start to exit, to a bare drain that writes them out",
        (1.3, "≤ 1.3 ×"),
        EXPORTS,
        &|| ours(&["export"]),
        &|| run(&bare, &["drain", &url, "prod"]),
    )?;
    Ok(vec![gets, exports, size(&kvconf)?])
}

/// Builds the command as it is given to people, and says where it is.
fn built() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let words = ["build", "--quiet", "--profile", "dist", "-p", "kvconf-cli"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(words).current_dir(&root).status();
    let status = status.context("cargo cannot be started")?;
    ensure!(status.success(), "cargo {words:?} ended with {status}");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("dist/kvconf"))
}

/// The minimal program, which stands beside this one.
fn minimal() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("bare");
    ensure!(path.exists(), "build it first: cargo build --release -p kvconf-benches --bins");
    Ok(path)
}

/// Milliseconds from start to exit.
fn run(program: &Path, words: &[&str]) -> Result<f64> {
    let begin = Instant::now();
    let mut command = Command::new(program);
    // Nothing of this machine's settings has a say.
    command.args(words).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status()?;
    let took = millis(begin.elapsed());
    ensure!(status.success(), "{} {words:?} ended with {status}", program.display());
    Ok(took)
}

type Run<'a> = &'a dyn Fn() -> Result<f64>;

fn compare(
    what: &str,
    most: (f64, &'static str),
    rounds: usize,
    ours: Run<'_>,
    bare: Run<'_>,
) -> Result<Row> {
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Each goes first as often as the other.
        if round % 2 == 0 {
            our.push(ours()?);
            their.push(bare()?);
        } else {
            their.push(bare()?);
            our.push(ours()?);
        }
    }
    let how = format!("medians {:.1} and {:.1} ms, {rounds} rounds", median(&our), median(&their));
    Ok(Row::ratio(what, ratio(&our, &their), Some(most), how))
}

fn size(kvconf: &Path) -> Result<Row> {
    let mib = std::fs::metadata(kvconf)?.len() as f64 / (1024.0 * 1024.0);
    Ok(Row {
        what: "the file of the command, built with the profile `dist`".to_owned(),
        bound: "≤ 15 MiB",
        found: format!("{mib:.1} MiB"),
        holds: Some(mib <= MOST_MIB),
        how: "stripped".to_owned(),
    })
}
