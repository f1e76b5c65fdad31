//! The struct that these tests keep live.

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::{Bucket, KvConfig, Live, Secret, Validation};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
pub struct Checkout {
    #[kv(default = 50, range(1..=500))]
    pub max_items: u32,
    #[kv(rename = "payment-timeout", alias = "timeout", default = "3s")]
    pub payment_timeout: Duration,
    #[kv(nested)]
    pub retry: Retry,
    pub region: Option<String>,
    #[kv(secret, default = "hunter2")]
    pub api_key: Secret<String>,
    #[kv(entries)]
    pub limits: BTreeMap<String, u32>,
    #[kv(default = ["NL", "BE"])]
    pub countries: Vec<String>,
    #[kv(default = 8, restart)]
    pub workers: u16,
}

#[derive(KvConfig, Debug, Clone)]
#[kv(validate = Self::check)]
pub struct Retry {
    #[kv(default = 1)]
    pub min: u32,
    #[kv(default = 5)]
    pub max: u32,
}

impl Retry {
    fn check(&self, problems: &mut Validation<Self>) {
        if self.min > self.max {
            let message = format!("min ({}) must not exceed max ({})", self.min, self.max);
            problems.problem(message).on(Self::fields().min).on(Self::fields().max);
        }
    }
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "pricing")]
pub struct Pricing {
    #[kv(default = 0)]
    pub discount: u8,
}

pub async fn start(bucket: &Bucket) -> Live<Checkout> {
    bucket.live().without_environment().start().await.expect("the bucket holds a valid struct")
}
