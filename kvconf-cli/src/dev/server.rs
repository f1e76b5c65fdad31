//! Running a nats-server in a folder of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_nats::ConnectOptions;
use derive_more::{Display, Error};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

use super::Found;

/// How long it may take until it answers; generous, for a machine that is busy.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How often it is looked at until then.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long it may take to end by itself.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Runs the server, and ends it when the pipe on its own input breaks: that happens also when the process at the other end
/// is killed and can do nothing any more. A server without one would stay for ever.
///
/// A shell gives what it starts in the background no input, so the pipe needs a number of its own.
const WATCHED: &str = r#"exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ cat <&3 >/dev/null; kill "$server"; } 2>/dev/null &
wait "$server""#;

/// Where the server keeps what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a new folder that is removed at the end.
    Temporary,
    /// In this one, which stays.
    Kept(PathBuf),
}

/// Why the server does not run.
#[derive(Debug, Display, Error)]
pub(crate) enum DevError {
    #[display("cannot {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[error(source)]
        cause: io::Error,
    },
    #[display("another `kvconf dev` runs in {}", path.display())]
    InUse { path: PathBuf },
    #[display("nats-server ended: {said}")]
    Ended { said: String },
    #[display("nats-server is not ready after {READY_WITHIN:?}: {said}")]
    Late { said: String },
}

/// A running server. Dropped, it is killed, and its folder removed unless it is to be kept.
#[derive(Debug)]
pub(crate) struct DevServer {
    // Before the folder: the process must be gone before its files are.
    child: Child,
    /// Broken, it ends the server. Not left with the child: whoever waits for that one would close it.
    pipe: Option<ChildStdin>,
    folder: Folder,
    pub(crate) url: String,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    is_kept: bool,
    /// Two servers on the same files would ruin them. The system frees it when the process ends, however that happens.
    _lock: fs::File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Folder {
    fn make(place: &Place) -> Result<Self, DevError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| DevError::Io { doing: "make the folder", path, cause }
        };
        let (path, is_kept) = match place {
            Place::Kept(path) => {
                fs::create_dir_all(path).map_err(failed(path))?;
                (fs::canonicalize(path).map_err(failed(path))?, true)
            }
            Place::Temporary => {
                let name = format!("kvconf-dev-{}", std::process::id());
                let path = std::env::temp_dir().join(name);
                // A process of the same number may have left one.
                let _ = fs::remove_dir_all(&path);
                let mut builder = fs::DirBuilder::new();
                #[cfg(unix)]
                std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
                builder.create(&path).map_err(failed(&path))?;
                (path, false)
            }
        };
        let lock = path.join("lock");
        let failed = |cause| DevError::Io { doing: "lock", path: lock.clone(), cause };
        let file = fs::File::create(&lock).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, is_kept, _lock: file }),
            Err(fs::TryLockError::WouldBlock) => Err(DevError::InUse { path }),
            Err(fs::TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The last thing that the server said which tells why it ended.
    fn said(&self) -> String {
        let read = |name| fs::read_to_string(self.file(name)).unwrap_or_default();
        let (errors, log) = (read("stderr.log"), read("server.log"));
        let complaint = log.lines().rev().find(|line| line.contains("[FTL]") || line.contains("[ERR]"));
        let last = complaint.or_else(|| errors.lines().rev().find(|line| !line.trim().is_empty()));
        // Without the process number and the time in front.
        let bare = |line: &str| {
            line.rsplit_once("[FTL] ").or_else(|| line.rsplit_once("[ERR] ")).map(|(_, said)| said.to_owned())
        };
        let said = last.map(|line| bare(line).unwrap_or_else(|| line.to_owned()));
        said.map_or_else(|| "it said nothing".to_owned(), |said| said.trim().to_owned())
    }
}

impl DevServer {
    /// Starts it, on this port of the loopback or any free one, and waits until it answers.
    pub(crate) async fn start(found: &Found, port: Option<u16>, place: &Place) -> Result<Self, DevError> {
        let folder = Folder::make(place)?;
        let config = folder.file("server.conf");
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |cause| DevError::Io { doing, path, cause }
        };
        fs::write(&config, text(&folder.path, port)).map_err(io("write", &config))?;
        // What an earlier server left in a folder that is kept.
        for name in ["server.log", "stderr.log"] {
            let _ = fs::remove_file(folder.file(name));
        }
        remove_port_files(&folder.path);
        let errors = folder.file("stderr.log");
        let errors = fs::File::create(&errors).map_err(io("write", &errors))?;
        let spawned = command(&found.path, &config).stderr(errors).spawn();
        let mut child = spawned.map_err(io("start", &found.path))?;
        let pipe = child.stdin.take();
        let mut server = Self { child, pipe, folder, url: String::new() };
        server.ready().await?;
        Ok(server)
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.path
    }

    async fn ready(&mut self) -> Result<(), DevError> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Err(DevError::Ended { said: self.folder.said() });
            }
            if let Some(url) = url(&self.folder.path) {
                let options = ConnectOptions::new().connection_timeout(Duration::from_secs(1));
                if options.connect(&url).await.is_ok() {
                    self.url = url;
                    return Ok(());
                }
            }
            if Instant::now() >= deadline {
                return Err(DevError::Late { said: self.folder.said() });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Completes when it has ended by itself, with what it said.
    pub(crate) async fn ended(&mut self) -> DevError {
        let _ = self.child.wait().await;
        DevError::Ended { said: self.folder.said() }
    }

    /// Ends it and removes its folder, unless that is to be kept.
    pub(crate) async fn stop(mut self) {
        // The pipe breaks, and the server is told to end.
        drop(self.pipe.take());
        if cfg!(not(unix)) || timeout(END_WITHIN, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

fn command(binary: &Path, config: &Path) -> Command {
    let mut command = if cfg!(unix) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", WATCHED, "sh"]).arg(binary);
        shell
    } else {
        Command::new(binary)
    };
    command.arg("--config").arg(config).stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
    // Ctrl-C is for this process, which then ends the server in order.
    #[cfg(unix)]
    command.process_group(0);
    command
}

/// The configuration. JSON's quotes are those of nats-server, too.
fn text(folder: &Path, port: Option<u16>) -> String {
    let quoted = |path: PathBuf| serde_json::Value::from(path.to_string_lossy()).to_string();
    let port = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    format!(
        "server_name: kvconf-dev\nlisten: \"127.0.0.1:{port}\"\nports_file_dir: {}\nlog_file: {}\njetstream {{ store_dir: {} }}\n",
        quoted(folder.to_owned()),
        quoted(folder.join("server.log")),
        quoted(folder.join("jetstream")),
    )
}

fn port_files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "ports"))
}

fn remove_port_files(folder: &Path) {
    for file in port_files(folder) {
        let _ = fs::remove_file(file);
    }
}

/// Where the server listens, as it wrote it down; half of it is no JSON yet.
fn url(folder: &Path) -> Option<String> {
    let text = port_files(folder).find_map(|file| fs::read_to_string(file).ok())?;
    let ports: serde_json::Value = serde_json::from_str(&text).ok()?;
    ports.get("nats")?.get(0)?.as_str().map(str::to_owned)
}
