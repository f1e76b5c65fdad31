//! A server dies, readers go on, and everything is there again when it is back.
//!
//! ```sh
//! cargo run --example outage        # needs a nats-server on the PATH, or named by KVCONF_NATS_SERVER
//! ```

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use kvconf::{Bucket, BucketConfig, KvConfig, Live, WatchState};
use tokio::time::timeout;

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
    #[kv(default = "3s")]
    payment_timeout: Duration,
}

/// For what takes milliseconds, or as long as the client takes to connect again.
const BOUND: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let story = Story::begin();
    let mut server = Server::start()?;
    let client = server.client().await?;
    let bucket = Bucket::create(&client, BucketConfig::new("settings")).await?;
    let live = bucket.live::<Checkout>().start().await?;
    let applied = live.update(|settings| settings.max_items = 80).author("ops").reason("sale").await?;
    live.wait_for(applied.revision()).await?;
    story.tell(&format!("a server runs; settings are {}", shown(&live)));

    let requests = Requests::begin(&live);
    story.tell("a thread answers requests by these settings, one after the other");

    server.kill();
    story.tell("the server is killed, as by `kill -9`");
    let health = timeout(BOUND, live.wait_for_health(|health| health.state != WatchState::Live)).await?;
    story.tell(&format!(
        "the handle knows: {}; ready: {}, current: {}",
        health.state,
        health.is_ready(),
        health.is_current()
    ));
    let served = requests.count();
    match live.update(|settings| settings.max_items = 90).author("ops").await {
        Ok(_) => return Err(anyhow!("a write without a server cannot succeed")),
        Err(error) => story.tell(&format!("a write ends with an error: {:#}", anyhow!(error))),
    }
    while requests.count() < served + 1_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    story.tell(&format!(
        "readers go on with {}: {} more requests served",
        shown(&live),
        requests.count() - served
    ));

    server.launch()?;
    // Somebody else, who waits for the server as well.
    let other = Bucket::open(&server.client().await?, "settings").await?;
    let batch = other.batch().put("checkout.max_items", "120").put("checkout.payment_timeout", "5s");
    let revision = batch.commit().await?;
    story.tell("the server is back, and another client has changed two settings together");
    timeout(BOUND, live.wait_for(revision)).await??;
    let health = timeout(BOUND, live.wait_for_health(kvconf::Health::is_current)).await?;
    story.tell(&format!("the handle followed: {}, {}", health.state, shown(&live)));
    ensure!((live.load().max_items, live.load().payment_timeout) == (120, Duration::from_secs(5)));

    let (served, mixed) = requests.end()?;
    ensure!(mixed == 0, "{mixed} requests saw one setting of before and one of after");
    story.tell(&format!("{served} requests were served in all, each by settings of one moment"));
    Ok(())
}

fn shown(live: &Live<Checkout>) -> String {
    let settings = live.load();
    format!(
        "max_items {}, payment_timeout {:?} (revision {})",
        settings.max_items,
        settings.payment_timeout,
        settings.revision()
    )
}

/// What is printed, with the time since the beginning.
struct Story(Instant);

impl Story {
    fn begin() -> Self {
        Self(Instant::now())
    }

    fn tell(&self, text: &str) {
        println!("{:6.2} s  {text}", self.0.elapsed().as_secs_f64());
    }
}

/// A thread that reads the settings for every request.
struct Requests {
    count: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<u64>,
}

impl Requests {
    fn begin(live: &Live<Checkout>) -> Self {
        let (count, end) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut settings = live.reader();
        let thread = std::thread::spawn({
            let (count, end) = (Arc::clone(&count), Arc::clone(&end));
            move || {
                let mut mixed = 0;
                while !end.load(Ordering::Relaxed) {
                    let settings = settings.load();
                    // What is changed together is seen together.
                    let is_new = settings.max_items == 120;
                    mixed += u64::from(is_new != (settings.payment_timeout == Duration::from_secs(5)));
                    count.fetch_add(1, Ordering::Relaxed);
                    std::thread::park_timeout(Duration::from_micros(100));
                }
                mixed
            }
        });
        Self { count, end, thread }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// How many were served, and how many of them saw a mix.
    fn end(self) -> anyhow::Result<(u64, u64)> {
        self.end.store(true, Ordering::Relaxed);
        let mixed = self.thread.join().map_err(|_| anyhow!("the thread of requests panicked"))?;
        Ok((self.count.load(Ordering::Relaxed), mixed))
    }
}

/// A nats-server of its own, in a folder of its own; both are gone at the end.
struct Server {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let binary = find_server()?;
        let folder = std::env::temp_dir().join(format!("kvconf-outage-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        // Below those that systems give to whoever connects somewhere: it has to be free after the restart, too.
        let port = (14_222..15_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let port = port.context("no port is free from 14222 on")?;
        let mut server = Self { binary, folder, port, process: None };
        server.launch()?;
        Ok(server)
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(["--jetstream", "--addr", "127.0.0.1", "--port", &self.port.to_string(), "--store_dir"]);
        command.arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().with_context(|| format!("start {}", self.binary.display()))?;
        self.process = Some(process);
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// A connection, once the server answers, JetStream included.
    async fn client(&self) -> anyhow::Result<async_nats::Client> {
        let connect = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let client = connect.connect(format!("nats://127.0.0.1:{}", self.port)).await?;
        let ready = async {
            while async_nats::jetstream::new(client.clone()).query_account().await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(BOUND, ready).await.context("the server is not ready in time")?;
        Ok(client)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// `KVCONF_NATS_SERVER`, or a nats-server on the `PATH`.
fn find_server() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("KVCONF_NATS_SERVER").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        ensure!(named.is_file(), "KVCONF_NATS_SERVER names {}, where no file is", named.display());
        return Ok(named);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join("nats-server")).find(|file| file.is_file());
    found.ok_or_else(|| {
        anyhow!(
            "there is no nats-server on the PATH. Get one of version 2.12 or later (https://nats.io/download), or name\n\
             its binary: KVCONF_NATS_SERVER=/path/to/nats-server cargo run --example outage"
        )
    })
}
