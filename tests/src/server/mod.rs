//! Real nats-servers on loopback, each its own process with its own folder, gone at the end of the test.

mod binary;
mod cluster;
mod folder;
mod ports;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait_for;
use folder::Folder;
use ports::Port;

pub use binary::{PINNED, default_binary, installed};
pub use cluster::{Cluster, HubAndLeaf};

/// How long a server may take to be ready; generous, for a machine that is busy with a build.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What a server is started with.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    binary: Option<PathBuf>,
    name: Option<String>,
    domain: Option<String>,
    without_jetstream: bool,
    extra: String,
    leafnodes: bool,
    on_disk: bool,
}

impl Builder {
    /// Stores on a disk, as servers do that serve, and not in a folder that may be kept in memory: for figures, and for what a disk changes.
    #[must_use]
    pub const fn on_disk(mut self) -> Self {
        self.on_disk = true;
        self
    }

    /// Another binary than the default one, such as [`installed`]`("2.11.11")`.
    #[must_use]
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = Some(binary.into());
        self
    }

    /// The server's name; needed in a cluster.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The JetStream domain.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// A server without JetStream.
    #[must_use]
    pub const fn without_jetstream(mut self) -> Self {
        self.without_jetstream = true;
        self
    }

    /// Lets leaf nodes connect, at [`Server::leafnode_port`].
    #[must_use]
    pub const fn accept_leafnodes(mut self) -> Self {
        self.leafnodes = true;
        self
    }

    /// More text for the configuration file: users, permissions, limits. May be called repeatedly.
    #[must_use]
    pub fn config(mut self, text: impl AsRef<str>) -> Self {
        self.extra.push_str(text.as_ref());
        self.extra.push('\n');
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready in time, with its log.
    pub async fn start(self) -> Server {
        let mut server = self.spawn();
        server.ready().await;
        server
    }

    fn spawn(self) -> Server {
        let folder = if self.on_disk { Folder::on_disk() } else { Folder::new() };
        let ports = Ports::any(self.leafnodes);
        let mut server = Server { settings: self, folder, ports, process: Process(None) };
        server.launch();
        server
    }
}

/// Which ports a server listens on; kept over restarts.
#[derive(Debug)]
struct Ports {
    client: Port,
    monitoring: Port,
    leafnodes: Option<Port>,
}

impl Ports {
    fn any(leafnodes: bool) -> Self {
        Self { client: Port::any(), monitoring: Port::any(), leafnodes: leafnodes.then(Port::any) }
    }
}

/// A running server, killed when dropped.
#[derive(Debug)]
pub struct Server {
    // Before the folder: fields are dropped in order, and the process must be gone before its files are.
    process: Process,
    folder: Folder,
    settings: Builder,
    ports: Ports,
}

/// What a server had stored at one moment. From [`Server::back_up`].
#[derive(Debug)]
pub struct Backup(Folder);

#[derive(Debug)]
struct Process(Option<Child>);

impl Process {
    fn kill(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// Starts one with JetStream and no access control.
    ///
    /// # Panics
    /// As [`Builder::start`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Settings to start one with.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// The port where clients connect; the same after a restart.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.ports.client.number()
    }

    /// The port where leaf nodes connect.
    #[must_use]
    pub fn leafnode_port(&self) -> u16 {
        self.ports.leafnodes.as_ref().expect("the server was started with `accept_leafnodes`").number()
    }

    /// The process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.0.as_ref().map(Child::id)
    }

    /// A new connection.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn client(&self) -> async_nats::Client {
        self.connect(async_nats::ConnectOptions::new()).await
    }

    /// A new connection as a user of the configuration.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn client_as(&self, user: &str, password: &str) -> async_nats::Client {
        self.connect(async_nats::ConnectOptions::with_user_and_password(user.into(), password.into())).await
    }

    /// A new connection with options.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connect(&self, options: async_nats::ConnectOptions) -> async_nats::Client {
        options.connect(self.url()).await.unwrap_or_else(|error| panic!("connect to {}: {error}", self.url()))
    }

    /// Ends the process at once, as a crash does; what it stored stays for [`Server::restart`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Kills it, copies what it has stored, and starts it again.
    ///
    /// # Panics
    /// As [`Builder::start`], and when it cannot be copied.
    pub async fn back_up(&mut self) -> Backup {
        self.kill();
        let backup = Backup(Folder::new());
        folder::copy(&self.storage(), backup.0.path()).expect("copy the storage");
        self.restart().await;
        backup
    }

    /// Kills it, and starts it again with what was copied before.
    ///
    /// # Panics
    /// As [`Server::back_up`].
    pub async fn bring_back(&mut self, backup: &Backup) {
        self.kill();
        fs::remove_dir_all(self.storage()).expect("remove the storage");
        folder::copy(backup.0.path(), &self.storage()).expect("copy the storage");
        self.restart().await;
    }

    fn storage(&self) -> PathBuf {
        self.folder.path().join("jetstream")
    }

    /// Starts it again, on the same ports and with what it stored; kills it first where it still runs.
    ///
    /// # Panics
    /// As [`Builder::start`].
    pub async fn restart(&mut self) {
        self.kill();
        self.launch();
        self.ready().await;
    }

    /// Starts it again with other settings, on the same ports and with what it stored; kills it first where it still runs.
    ///
    /// # Panics
    /// As [`Builder::start`].
    pub async fn restart_with(&mut self, settings: Builder) {
        self.settings = settings;
        self.restart().await;
    }

    /// Lets the running server read its configuration again, with this text instead of what [`Builder::config`] gave, and
    /// waits until it has.
    ///
    /// # Panics
    /// When it does not take it in time, with its log.
    pub async fn reload(&mut self, config: &str) {
        let before = self.loaded_at().await;
        config.clone_into(&mut self.settings.extra);
        let folder = self.folder.path();
        fs::write(folder.join("server.conf"), self.config_text()).expect("write the configuration");
        self.command("reload");
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while self.loaded_at().await == before {
            assert!(tokio::time::Instant::now() < deadline, "it did not reload:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Tells it to send its clients away and to end, as an operator does who is about to stop it.
    pub fn lame_duck(&self) {
        self.command("ldm");
    }

    /// Has the running server do what its binary sends it a signal for.
    fn command(&self, command: &str) {
        let pid = self.pid().expect("it runs");
        run(Command::new(self.binary()).arg("--signal").arg(format!("{command}={pid}")));
    }

    /// Stops the process without ending it: its connections stay, and nobody answers, until [`Server::thaw`]. On Linux it waits
    /// until that is so: a thread that runs on another processor goes on for a moment after the signal was sent.
    ///
    /// # Panics
    /// When it goes on for long.
    pub fn freeze(&self) {
        self.signal("STOP");
        if cfg!(target_os = "linux") {
            let threads = format!("/proc/{}/task", self.pid().expect("it runs"));
            let deadline = std::time::Instant::now() + READY_WITHIN;
            while !all_are_stopped(Path::new(&threads)) {
                assert!(std::time::Instant::now() < deadline, "it does not stop:\n{}", self.log());
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Ends [`Server::freeze`].
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.pid().expect("it runs");
        run(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()));
    }

    /// Kills it, and starts it again with nothing stored.
    ///
    /// # Panics
    /// As [`Builder::start`].
    pub async fn restart_wiped(&mut self) {
        self.kill();
        fs::remove_dir_all(self.storage()).expect("remove the storage");
        self.restart().await;
    }

    /// When it read its configuration.
    async fn loaded_at(&self) -> Option<String> {
        let page: serde_json::Value = serde_json::from_str(&self.monitoring("/varz").await?).ok()?;
        page.get("config_load_time")?.as_str().map(str::to_owned)
    }

    fn binary(&self) -> PathBuf {
        self.settings.binary.clone().unwrap_or_else(default_binary)
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("stderr.log") + &read("server.log")
    }

    /// One of the server's monitoring pages, such as `/jsz`; `None` while it does not answer with success.
    pub async fn monitoring(&self, page: &str) -> Option<String> {
        let port = self.ports.monitoring.number();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let request = format!("GET {page} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.split(' ').nth(1).filter(|status| *status == "200")?;
        Some(body.to_owned())
    }

    fn launch(&mut self) {
        let folder = self.folder.path();
        let config = folder.join("server.conf");
        fs::write(&config, self.config_text()).expect("write the configuration");
        let binary = self.binary();
        // A faulty configuration is told there: the log is not open yet.
        let errors = fs::File::create(folder.join("stderr.log")).expect("create a log");
        let child = Command::new(&binary)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", binary.display()));
        self.process = Process(Some(child));
    }

    fn config_text(&self) -> String {
        let folder = self.folder.path().display();
        let mut text = format!(
            "listen: \"127.0.0.1:{}\"\nhttp: \"127.0.0.1:{}\"\nlog_file: \"{folder}/server.log\"\n",
            self.port(),
            self.ports.monitoring.number(),
        );
        if let Some(name) = &self.settings.name {
            text.push_str(&format!("server_name: {name}\n"));
        }
        if !self.settings.without_jetstream {
            let domain = self.settings.domain.as_ref().map(|domain| format!("domain: {domain}"));
            text.push_str(&format!(
                "jetstream {{ store_dir: \"{folder}/jetstream\", {} }}\n",
                domain.unwrap_or_default()
            ));
        }
        if let Some(port) = &self.ports.leafnodes {
            let port = port.number();
            text.push_str(&format!("leafnodes {{ listen: \"127.0.0.1:{port}\", no_advertise: true }}\n"));
        }
        text.push_str(&self.settings.extra);
        text
    }

    /// Waits until the server says that it and its JetStream are healthy.
    async fn ready(&mut self) {
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while self.monitoring("/healthz").await.is_none() {
            let ended = self.process.0.as_mut().and_then(|child| child.try_wait().ok().flatten());
            let late = tokio::time::Instant::now() >= deadline;
            assert!(
                ended.is_none() && !late,
                "nats-server is not ready (ended: {ended:?}); its log:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Runs a command that signals a server.
fn run(command: &mut Command) {
    let sent = command.output().unwrap_or_else(|error| panic!("signal a server: {error}"));
    assert!(sent.status.success(), "signal a server: {}", String::from_utf8_lossy(&sent.stderr));
}

/// Asks the first of `servers` that answers for a monitoring page until `accept` takes it.
/// Whether every thread of a process is stopped, by the files that Linux has for them: `pid (name) state …`.
fn all_are_stopped(threads: &Path) -> bool {
    let is_stopped = |thread: fs::DirEntry| {
        let line = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        line.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    fs::read_dir(threads).is_ok_and(|mut threads| threads.all(|thread| thread.is_ok_and(is_stopped)))
}

async fn wait_for_page<T>(
    what: &str,
    server: &Server,
    page: &str,
    accept: impl Fn(&serde_json::Value) -> Option<T>,
) -> T {
    wait_for(what, READY_WITHIN, || async {
        let body = server.monitoring(page).await?;
        accept(&serde_json::from_str(&body).ok()?)
    })
    .await
}
