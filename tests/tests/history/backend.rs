//! Where the cases get their buckets from, and the struct that they look back at.

use std::collections::BTreeMap;

use kvconf::{Bucket, KvConfig, Live, Revision, Secret};
pub(crate) use kvconf_tests::Backend;

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "shop")]
pub(crate) struct Shop {
    #[kv(default = 50, range(1..=500))]
    pub(crate) max_items: u32,
    #[kv(alias = "zone")]
    pub(crate) region: Option<String>,
    #[kv(secret, default = "none")]
    pub(crate) api_key: Secret<String>,
    #[kv(nested)]
    pub(crate) retry: Retry,
    #[kv(entries)]
    pub(crate) limits: BTreeMap<String, u32>,
}

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(validate = Self::check)]
pub(crate) struct Retry {
    #[kv(default = 1)]
    pub(crate) min: u32,
    #[kv(default = 5)]
    pub(crate) max: u32,
}

impl Retry {
    fn check(&self, validation: &mut kvconf::Validation<Self>) {
        if self.min > self.max {
            validation.problem("min is above max").on(Self::fields().min).on(Self::fields().max);
        }
    }
}

pub(crate) async fn shop(bucket: &Bucket) -> Live<Shop> {
    bucket.live().start().await.unwrap_or_else(|error| panic!("{error:?}"))
}

pub(crate) async fn reach<T: KvConfig>(live: &Live<T>, revision: Revision) {
    let bound = std::time::Duration::from_secs(60);
    tokio::time::timeout(bound, live.wait_for(revision)).await.expect("in time").unwrap();
}

pub(crate) fn rev(sequence: u64) -> Revision {
    Revision::new(sequence)
}
