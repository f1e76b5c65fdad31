//! Running the binary as a shell does.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kvconf::{Bucket, BucketConfig};
use kvconf_tests::server::Server;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long one run may take on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Runs the command, for one server and bucket, without anything of the environment that the tests run in.
#[derive(Debug, Clone)]
pub(crate) struct Kvconf {
    variables: Vec<(String, String)>,
}

/// What a run left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Without times of day and moments in time.
    pub(crate) fn without_time(mut self) -> Self {
        let is_digit = |c: char| c.is_ascii_digit();
        let shape = |word: &str| word.replace(is_digit, "0");
        let hide = |text: &str| {
            let words = text.split(' ').map(|word| match shape(word).trim_end_matches([',', '\n']) {
                "00:00:00" => word.replace(is_digit, "_"),
                "0000-00-00" => word.replace(is_digit, "_"),
                _ => word.to_owned(),
            });
            words.collect::<Vec<_>>().join(" ")
        };
        (self.out, self.err) = (hide(&self.out), hide(&self.err));
        self
    }
}

/// For snapshots: the exit code, then what was written to each stream.
impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit {}", self.code)?;
        if !self.out.is_empty() {
            write!(f, "--- out\n{}", self.out)?;
        }
        if !self.err.is_empty() {
            write!(f, "--- err\n{}", self.err)?;
        }
        Ok(())
    }
}

impl Kvconf {
    /// With no server and no bucket; the home folder is one that does not exist.
    pub(crate) fn alone() -> Self {
        let variables = [("HOME", "/nonexistent"), ("PATH", "/usr/bin:/bin"), ("KVCONF_AUTHOR", "ops")];
        Self { variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec() }
    }

    /// For the bucket `prod` of a server.
    pub(crate) fn of(server: &Server) -> Self {
        Self::alone().variable("NATS_URL", &server.url()).variable("KVCONF_BUCKET", "prod")
    }

    /// Sets an environment variable.
    #[must_use]
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The environment of its processes.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A process that is about to be started with these words, split at blanks.
    pub(crate) fn command(&self, words: &str) -> Command {
        self.command_of(words.split_whitespace())
    }

    /// A process that is about to be started with these arguments.
    pub(crate) fn command_of<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvconf"));
        command.args(arguments).env_clear().envs(self.variables.iter().cloned()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it with these words, split at blanks, as a program would: piped.
    pub(crate) async fn run(&self, words: &str) -> Ran {
        self.finish(self.command(words), b"").await
    }

    /// Runs it with these arguments.
    pub(crate) async fn run_with<const N: usize>(&self, arguments: [&str; N]) -> Ran {
        self.finish(self.command_of(arguments), b"").await
    }

    /// Runs it with these words and this on its standard input.
    pub(crate) async fn run_on(&self, words: &str, input: &[u8]) -> Ran {
        self.finish(self.command(words), input).await
    }

    /// Runs it in the form for people.
    pub(crate) async fn text(&self, words: &str) -> Ran {
        self.run(&format!("{words} --text")).await
    }

    async fn finish(&self, mut command: Command, input: &[u8]) -> Ran {
        command.stdin(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        let given = input.to_owned();
        let giving = tokio::spawn(async move {
            // It may end without reading all.
            let _ = stdin.write_all(&given).await;
        });
        let output = tokio::time::timeout(ENDS_WITHIN, child.wait_with_output()).await;
        let output = output.expect("the command ends").expect("its output can be read");
        giving.await.expect("writing does not panic");
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A file with this in it, in a folder that goes with it.
pub(crate) fn file(name: &str, text: impl AsRef<[u8]>) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("a path of text").to_owned();
    (folder, path)
}

/// A server with an empty bucket `prod`.
pub(crate) async fn server_with_bucket() -> (Server, Bucket) {
    let server = Server::start().await;
    let bucket = Bucket::create(&server.client().await, BucketConfig::new("prod")).await;
    (server, bucket.expect("a new bucket"))
}

/// Replaces what differs between runs: times, change ids, ports, and the given folder.
pub(crate) fn normalised(text: &str, folder: Option<&Path>) -> String {
    let text = match folder.and_then(Path::to_str) {
        Some(folder) => text.replace(folder, "[folder]"),
        None => text.to_owned(),
    };
    let mut shown = String::new();
    let mut word = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_alphanumeric() || matches!(character, '-' | ':' | '.') {
            word.push(character);
            continue;
        }
        shown.push_str(stand_in(&word).as_deref().unwrap_or(&word));
        word.clear();
        if character != '\0' {
            shown.push(character);
        }
    }
    shown
}

fn stand_in(word: &str) -> Option<String> {
    let bytes = word.as_bytes();
    let is_time = word.len() > 19 && bytes.get(10) == Some(&b'T') && word.ends_with('Z');
    let is_change = word.len() == 24 && word.chars().all(|c| c.is_ascii_hexdigit());
    if is_time {
        return Some("[time]".to_owned());
    }
    if is_change {
        return Some("[change]".to_owned());
    }
    let (host, port) = word.rsplit_once(':')?;
    (host == "127.0.0.1" && port.len() > 3 && port.chars().all(|c| c.is_ascii_digit()))
        .then(|| format!("{host}:[port]"))
}

#[test]
fn what_differs_between_runs_is_replaced() {
    assert_eq!(
        normalised(
            "at 2026-01-02T03:04:05.678901Z by 0123456789abcdef01234567, nats://127.0.0.1:40123",
            None
        ),
        "at [time] by [change], nats://127.0.0.1:[port]"
    );
}
