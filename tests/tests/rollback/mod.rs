//! Taking changes back: rollback of structs, fields and plain keys, revert of one change set, and what stands in their way.

mod limits;
mod model;
mod nats;
mod plain;
mod races;
mod reverts;
mod structs;

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::{Bucket, BucketConfig, KvConfig, Live, Revision, RollbackError};

/// For what takes milliseconds; generous, for a machine that is busy with a build.
const BOUND: Duration = Duration::from_secs(60);

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "shop", validate = Self::check)]
struct Shop {
    /// In cents.
    #[kv(default = 100, range(1..=10_000))]
    price: u32,
    /// What customers pay less.
    #[kv(default = 0)]
    discount: u32,
    #[kv(rename = "payment-timeout", alias = "timeout", default = "3s")]
    payment_timeout: Duration,
    region: Option<String>,
    #[kv(entries)]
    limits: BTreeMap<String, u32>,
}

impl Shop {
    fn check(&self, problems: &mut kvconf::Validation<Self>) {
        if self.discount > self.price {
            problems
                .problem(format!("discount ({}) must not exceed price ({})", self.discount, self.price))
                .on(Self::fields().discount)
                .on(Self::fields().price);
        }
    }
}

fn rev(sequence: u64) -> Revision {
    Revision::new(sequence)
}

fn keeping(history: u32) -> BucketConfig {
    let mut config = BucketConfig::new("cfg");
    config.history = Some(history);
    config
}

async fn shop(bucket: &Bucket) -> Live<Shop> {
    bucket.live().start().await.unwrap()
}

async fn last(bucket: &Bucket) -> Revision {
    bucket.status().await.unwrap().last_revision
}

/// All keys that have a value: `key=value`.
async fn state(bucket: &Bucket) -> Vec<String> {
    let reading = bucket.read(">").await.unwrap();
    let mut texts: Vec<String> = reading
        .live()
        .map(|entry| format!("{}={}", entry.key(), String::from_utf8_lossy(entry.value())))
        .collect();
    texts.sort_unstable();
    texts
}

async fn value(bucket: &Bucket, key: &str) -> Option<String> {
    let value = bucket.get(key).await.unwrap()?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

fn lost_keys(error: &RollbackError) -> Vec<&str> {
    error.lost().iter().map(|lost| lost.key.as_str()).collect()
}
