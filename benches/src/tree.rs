//! What the default build adds to the tree of async-nats.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::figures::Row;

const MOST: usize = 15;

fn tree(package: &str, features: &[&str]) -> Result<BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "tree",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--package",
            package,
        ])
        .args(features)
        .output()
        .context("run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(text.lines().map(name).filter(|line| !line.is_empty()).collect())
}

/// The row of crates.
pub fn row() -> Result<Row> {
    let ours = tree("kvconf", &[])?;
    let theirs = tree("async-nats", &[])?;
    let added: Vec<&str> =
        ours.difference(&theirs).map(String::as_str).filter(|name| !name.starts_with("kvconf ")).collect();
    Ok(Row {
        what: "crates that the default build adds to async-nats's own tree".to_owned(),
        bound: "≤ 15",
        found: added.len().to_string(),
        holds: Some(added.len() <= MOST),
        how: format!("{} against {}: {}", ours.len(), theirs.len(), added.join(", ")),
    })
}
