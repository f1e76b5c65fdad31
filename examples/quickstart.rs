//! The whole story in a few screens, on a bucket in memory: no server, nothing to install.
//!
//! ```sh
//! cargo run --example quickstart
//! ```

use std::time::Duration;

use kvconf::{Bucket, CommitError, KvConfig, Secret, StartError, Validation};

/// What the service can be told while it runs.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    /// Most items in one basket.
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
    /// How long to wait for the payment provider.
    #[kv(rename = "payment-timeout", default = "3s")]
    payment_timeout: Duration,
    /// How often to try again.
    #[kv(nested)]
    retry: Retry,
    /// Countries that we deliver to.
    #[kv(default = ["NL", "BE"])]
    countries: Vec<String>,
    /// The payment provider's key.
    #[kv(secret, default = "not-a-real-key")]
    api_key: Secret<String>,
}

#[derive(KvConfig, Debug, Clone)]
#[kv(validate = Self::check)]
struct Retry {
    #[kv(default = 1)]
    min: u32,
    #[kv(default = 5)]
    max: u32,
}

impl Retry {
    fn check(&self, problems: &mut Validation<Self>) {
        if self.min > self.max {
            problems
                .problem(format!("min ({}) must not exceed max ({})", self.min, self.max))
                .on(Self::fields().min)
                .on(Self::fields().max);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bucket = Bucket::memory();

    title("1. Start from the defaults: the bucket is empty");
    let live = bucket.live::<Checkout>().start().await?;
    println!("{:#?}", live.load().value());

    title("2. A change arrives live, here from a client that knows nothing of kvconf");
    let mut changes = live.changes();
    let revision = bucket.put("checkout.max_items", "80").await?;
    live.wait_for(revision).await?;
    if let Some(changed) = changes.next().await {
        for field in changed.fields() {
            println!("{field}");
        }
    }
    println!("readers now see max_items = {} at revision {}", live.load().max_items, live.load().revision());

    title("3. Bad values are refused with all their problems, the last good ones serve on");
    bucket.put("checkout.max_items", "9999").await?;
    bucket.put("checkout.retrry", "x").await?;
    let revision = bucket.put("checkout.retry.min", "9").await?;
    match live.wait_for(revision).await {
        Ok(()) => println!("unexpectedly taken"),
        Err(error) => println!("{error}"),
    }
    if let Some(report) = &live.health().report {
        println!("{report}");
    }
    println!(
        "readers still see max_items = {}, retry.min = {}",
        live.load().max_items,
        live.load().retry.min
    );

    title("4. A later good change supersedes them");
    bucket.put("checkout.retry.max", "20").await?;
    let revision = bucket.put("checkout.max_items", "100").await?;
    live.wait_for(revision).await?;
    println!("readers see max_items = {} and retry {:?}", live.load().max_items, live.load().retry);

    title("5. A change by compare-and-swap: plan, look, commit");
    let plan = live
        .edit()
        .set(Checkout::fields().max_items, 120)
        .set(Checkout::fields().api_key, Secret::new("s3cr3t".to_owned()))
        .plan()
        .await?;
    println!("{plan}");
    let stale = live.edit().set(Checkout::fields().max_items, 60).plan().await?;
    let applied = plan.commit().author("ops").reason("sale").await?;
    live.wait_for(applied.revision()).await?;
    println!("change {} is at revision {}", applied.change(), applied.revision());

    title("6. A plan that somebody else has overtaken is a conflict, not an overwrite");
    match stale.commit().author("dev").reason("load test").await {
        Err(CommitError::Conflict(conflict)) => println!("conflict: {conflict}"),
        other => println!("unexpected: {other:?}"),
    }

    title("7. A plan that readers would refuse is not written");
    let plan = live.edit().set(Checkout::fields().retry.min, 50).plan().await?;
    match plan.commit().author("dev").await {
        Err(CommitError::Invalid(report)) => println!("{report}"),
        other => println!("unexpected: {other:?}"),
    }

    title("8. Where does a value come from?");
    println!("{}", live.explain(Checkout::fields().max_items));
    println!("{}", live.explain(Checkout::fields().api_key));

    title("9. A service that would start on bad values says everything that is wrong");
    bucket.put("other.max_items", "many").await?;
    bucket.put("other.retry.min", "7").await?;
    match bucket.live::<Checkout>().prefix("other").start().await {
        Err(StartError::Invalid(report)) => println!("{report}"),
        other => println!("unexpected: {:?}", other.err()),
    }
    Ok(())
}

fn title(text: &str) {
    println!("\n── {text}");
}
