//! A bad price goes out and is taken back, while the shop goes on answering.
//!
//! ```sh
//! cargo run --example rollback                                # on a bucket in memory
//! nats-server -js &
//! cargo run --example rollback -- --nats nats://localhost:4222
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use kvconf::{Bucket, BucketConfig, KvConfig, Live, Point, RollbackError, Storage};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop")]
struct Shop {
    /// What a bag of coffee costs, in cents.
    #[kv(default = 4900, range(1..=100_000))]
    price: u32,
    /// What stands on the sticker.
    sticker: Option<String>,
    /// From how many bags on the shipping is free.
    #[kv(default = 3)]
    free_shipping_from: u32,
    /// The line at the top of the page.
    #[kv(default = "Coffee, roasted today")]
    headline: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match nats_url(std::env::args().skip(1))? {
        None => story(Bucket::memory()).await,
        Some(url) => on_a_server(&url).await,
    }
}

async fn story(bucket: Bucket) -> anyhow::Result<()> {
    let live = bucket.live::<Shop>().start().await?;
    let service = Service::start(live.clone());
    service.serve().await;

    title("1. The shop is open, and prices change while it is");
    let fields = Shop::fields();
    let sale = live.edit().set(fields.price, 3900).set(fields.sticker, Some("Sale".to_owned()));
    let sale = sale.plan().await?.commit().author("marketing").reason("autumn sale").await?;
    live.wait_for(sale.revision()).await?;
    service.serve().await;
    println!("a bag costs {}", euros(live.load().price));

    title("2. A bad price goes out: 39 cents is a valid price, so nothing refuses it");
    let weekend = live.edit().set(fields.price, 39).set(fields.free_shipping_from, 1);
    let plan = weekend.set(fields.sticker, Some("Weekend!".to_owned())).plan().await?;
    println!("{plan}");
    let mistake = plan.commit().author("marketing").reason("weekend sale").await?;
    live.wait_for(mistake.revision()).await?;
    service.serve().await;

    title("3. Somebody else changes something else");
    let headline = live.update(|shop| shop.headline = "Coffee, roasted this morning".to_owned());
    let headline = headline.author("editors").reason("we roast at night").await?;
    live.wait_for(headline.revision()).await?;
    service.serve().await;

    title("4. Orders at 39 cents come in. Who did that?");
    println!("{}", live.log().await?);

    title("5. What has changed since the autumn sale?");
    println!("{}", live.diff(sale.revision(), Point::Latest).await?);

    title(
        "6. Taking everything back would take the headline back, too: the plan says so, and writes nothing",
    );
    let plan = live.rollback_to(sale.revision()).plan().await?;
    println!("{plan}");

    title("7. So only the one change is taken back, by one call");
    let applied = live.revert(&mistake).author("ops").reason("39 cents is no sale").await?;
    live.wait_for(applied.revision()).await?;
    service.serve().await;
    println!("{}", live.log().limit(1).await?);
    println!("a bag costs {}, under the headline {:?}", euros(live.load().price), live.load().headline);

    title("8. The plan of before is of no use any more: what it would overwrite has changed");
    match plan.commit().author("ops").await {
        Err(RollbackError::Conflict(conflict)) => println!("conflict: {conflict}"),
        other => println!("unexpected: {other:?}"),
    }

    title("9. Meanwhile the shop");
    let record = service.stop().await?;
    println!("answered {} requests without a pause, at these prices, one after the other:", record.requests);
    println!("{}", record.prices.iter().map(|price| euros(*price)).collect::<Vec<_>>().join(", "));
    Ok(())
}

/// What answers requests all the while; here a task that asks for the price again and again.
struct Service {
    record: Arc<Mutex<Record>>,
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

#[derive(Debug, Default, Clone)]
struct Record {
    requests: u64,
    /// Each price that was told, once as long as it stayed.
    prices: Vec<u32>,
}

impl Service {
    fn start(live: Live<Shop>) -> Self {
        let record = Arc::new(Mutex::new(Record::default()));
        let (stop, mut stopped) = oneshot::channel();
        let shared = Arc::clone(&record);
        let task = tokio::spawn(async move {
            let mut requests = tokio::time::interval(Duration::from_micros(200));
            while stopped.try_recv().is_err() {
                requests.tick().await;
                // What a handler does: it borrows the newest snapshot, and never waits for it.
                let price = live.load().price;
                let mut record = lock(&shared);
                record.requests += 1;
                if record.prices.last() != Some(&price) {
                    record.prices.push(price);
                }
            }
        });
        Self { record, task, stop }
    }

    fn record(&self) -> Record {
        lock(&self.record).clone()
    }

    /// Lets some customers come by.
    async fn serve(&self) {
        let enough = self.record().requests + 20;
        while self.record().requests < enough {
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) -> anyhow::Result<Record> {
        let _ = self.stop.send(());
        self.task.await?;
        let record = lock(&self.record).clone();
        Ok(record)
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the story in a bucket of its own, and removes it.
async fn on_a_server(url: &str) -> anyhow::Result<()> {
    let client = async_nats::connect(url).await.with_context(|| format!("connect to {url}"))?;
    let name = format!("kvconf-rollback-{}", std::process::id());
    let mut config = BucketConfig::new(&name);
    config.storage = Some(Storage::Memory);
    let bucket = Bucket::create(&client, config).await.with_context(|| format!("make bucket {name}"))?;
    println!("bucket {name} on {url}");
    let told = story(bucket).await;
    async_nats::jetstream::new(client).delete_key_value(&name).await.context("remove the bucket")?;
    told
}

fn nats_url(mut given: impl Iterator<Item = String>) -> anyhow::Result<Option<String>> {
    const USAGE: &str = "Usage: rollback [--nats URL]";
    match (given.next().as_deref(), given.next(), given.next()) {
        (None, ..) => Ok(None),
        (Some("--nats"), Some(url), None) => Ok(Some(url)),
        _ => bail!("{USAGE}"),
    }
}

fn euros(cents: u32) -> String {
    format!("€ {}.{:02}", cents / 100, cents % 100)
}

fn title(text: &str) {
    println!("\n── {text}");
}
