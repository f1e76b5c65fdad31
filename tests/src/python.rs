//! Python with its NATS client: a client that owes nothing to Rust.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The client's version.
const NATS_PY: &str = "2.16.0";

/// The folder with the package `nats-py`, to be named in `PYTHONPATH`; installed once below the workspace's `target`
/// folder, safe when test processes race for it.
///
/// # Panics
/// When it cannot be installed, with what helps.
#[must_use]
pub fn nats_py() -> PathBuf {
    let folder = crate::target().join("nats-py");
    let ready = folder.join(NATS_PY);
    if let Err(error) = install(&folder, &ready) {
        panic!(
            "no Python client to test against: installing nats-py {NATS_PY} failed: {error}\n\
             It needs python3 (3.8 or later) with pip, and an index that pip can reach"
        );
    }
    ready
}

fn install(folder: &Path, ready: &Path) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    fs::create_dir_all(folder).map_err(io)?;
    let lock = File::create(folder.join(format!("{NATS_PY}.lock"))).map_err(io)?;
    lock.lock().map_err(io)?;
    if ready.is_dir() {
        return Ok(());
    }
    let staging = folder.join(format!(".{NATS_PY}.{}", std::process::id()));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"];
    let package = format!("nats-py=={NATS_PY}");
    let result = Command::new("python3").args(pip).arg(&staging).arg(&package).output();
    let result = match result {
        Ok(Output { status, .. }) if status.success() => fs::rename(&staging, ready).map_err(io),
        Ok(Output { stderr, .. }) => Err(String::from_utf8_lossy(&stderr).trim().to_owned()),
        Err(error) => Err(format!("python3: {error}")),
    };
    let _ = fs::remove_dir_all(&staging);
    result
}
