//! An HTTP service whose limits, timeout and log level are changed while it runs.
//!
//! ```sh
//! nats-server -js &
//! cargo run --example service -- --nats nats://localhost:4222
//!
//! curl localhost:8080/limits
//! nats kv put settings checkout.limits.max_items 2
//! curl -d '[{"sku": "tea"}, {"sku": "milk"}, {"sku": "sugar"}]' localhost:8080/checkout
//! nats kv put settings checkout.load.low 900        # readers refuse it: high is 200
//! curl localhost:8080/health
//! ```
//!
//! With `--memory` it needs no server: type `checkout.limits.max_items 2` into its terminal to change a setting, and end
//! the input to end the service.

use std::io::BufRead;

use anyhow::{Context, bail};
use kvconf::{Bucket, BucketConfig, KvConfig, Live, ReadError};
use kvconf_examples::service::{self, Settings};
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, reload};

const USAGE: &str = "\
Usage: service [--nats URL | --memory] [--bucket NAME] [--listen ADDRESS]

  --nats URL         the NATS server with the settings; also as NATS_URL
  --memory           settings in this process only, changed by lines such as `checkout.limits.max_items 2`
  --bucket NAME      the bucket, made if it is not there [settings]
  --listen ADDRESS   where to serve [127.0.0.1:8080]";

struct Arguments {
    /// `None` for a bucket in memory.
    nats: Option<String>,
    bucket: String,
    listen: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = arguments(std::env::args().skip(1))?;
    let bucket = match &arguments.nats {
        Some(url) => open(url, &arguments.bucket).await?,
        None => Bucket::memory(),
    };
    // An error names every setting that is wrong.
    let live = bucket.live::<Settings>().start().await?;
    log(&live);
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .with_context(|| format!("listen on {}", arguments.listen))?;
    let in_memory = arguments.nats.is_none();
    service::run(listener, live, async move {
        if in_memory {
            edit_by_hand(bucket).await;
        } else {
            let _ = tokio::signal::ctrl_c().await;
        }
    })
    .await?;
    Ok(())
}

fn arguments(mut given: impl Iterator<Item = String>) -> anyhow::Result<Arguments> {
    let mut nats = std::env::var("NATS_URL").ok();
    let mut memory = false;
    let (mut bucket, mut listen) = ("settings".to_owned(), "127.0.0.1:8080".to_owned());
    while let Some(argument) = given.next() {
        let mut value = || given.next().with_context(|| format!("{argument} needs a value\n\n{USAGE}"));
        match argument.as_str() {
            "--nats" => nats = Some(value()?),
            "--memory" => memory = true,
            "--bucket" => bucket = value()?,
            "--listen" => listen = value()?,
            _ => bail!("{argument} is not known\n\n{USAGE}"),
        }
    }
    if nats.is_none() && !memory {
        bail!(
            "no server is named. One runs after `nats-server -js` (https://nats.io/download), then pass\n\
             --nats nats://localhost:4222; or try it without a server by --memory\n\n{USAGE}"
        );
    }
    Ok(Arguments { nats: nats.filter(|_| !memory), bucket, listen })
}

/// Opens the bucket as it is, and makes it where there is none.
async fn open(url: &str, name: &str) -> anyhow::Result<Bucket> {
    let client = async_nats::connect(url).await.with_context(|| format!("connect to {url}"))?;
    match Bucket::open(&client, name).await {
        Err(ReadError::BucketNotFound { .. }) => Ok(Bucket::create(&client, BucketConfig::new(name)).await?),
        opened => Ok(opened?),
    }
}

/// Logs to standard error, at the level that the settings name.
fn log(live: &Live<Settings>) {
    let (filter, handle) = reload::Layer::new(LevelFilter::from(live.load().log_level));
    tracing_subscriber::registry().with(filter).with(fmt::layer().with_writer(std::io::stderr)).init();
    live.on_change(Settings::fields().log_level, move |_, level| {
        let _ = handle.reload(LevelFilter::from(*level));
    });
}

/// Writes each line of the standard input, a key and a value, to the bucket; returns at its end.
async fn edit_by_hand(bucket: Bucket) {
    let (lines, mut typed) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        let input = std::io::stdin().lock().lines().map_while(Result::ok);
        for line in input {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = typed.recv().await {
        let (key, value) = line.split_once(' ').unwrap_or((&line, ""));
        match bucket.put(key, value.to_owned()).await {
            Ok(revision) => println!("{key} is at revision {revision}"),
            Err(error) => println!("{error}"),
        }
    }
}
