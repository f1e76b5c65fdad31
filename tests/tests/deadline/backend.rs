//! Where the cases get their buckets from, and the struct that they keep live.

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::{Bucket, BucketConfig, Entry, KvConfig, Live, Plan, Provisional, Revision};
pub(crate) use kvconf_tests::Backend;
use kvconf_tests::wait_for;

/// How long a case waits for something that must come.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A deadline that a case waits for.
pub(crate) const SOON: Duration = Duration::from_secs(4);

/// A deadline that no case reaches.
pub(crate) const LATER: Duration = Duration::from_secs(3_600);

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "shop")]
pub(crate) struct Shop {
    #[kv(default = 1)]
    pub(crate) min: u32,
    #[kv(default = 10, range(1..=1_000))]
    pub(crate) max: u32,
    pub(crate) region: Option<String>,
    #[kv(entries)]
    pub(crate) limits: BTreeMap<String, u32>,
}

impl Shop {
    pub(crate) fn short(&self) -> String {
        format!("{}-{} {}", self.min, self.max, self.region.as_deref().unwrap_or("-"))
    }
}

/// A bucket as kvconf makes it, but for short deadlines.
pub(crate) async fn quick_on(backend: &Backend) -> Bucket {
    backend.bucket(quick()).await
}

pub(crate) fn quick() -> BucketConfig {
    let mut config = BucketConfig::new("cfg");
    config.limit_markers = Some(SECOND);
    config
}

pub(crate) async fn start(bucket: &Bucket) -> Live<Shop> {
    bucket.live().without_environment().start().await.unwrap_or_else(|error| panic!("{error:?}"))
}

/// A plan that changes two keys.
pub(crate) async fn both(live: &Live<Shop>, min: u32, max: u32) -> Plan<Shop> {
    let fields = Shop::fields();
    live.edit().set(fields.min, min).set(fields.max, max).plan().await.unwrap()
}

/// A change of two keys that waits to be confirmed, seen by its author.
pub(crate) async fn trial(live: &Live<Shop>, within: Duration) -> Provisional {
    let commit = both(live, 5, 50).await.commit().author("ops").reason("sale");
    let change = commit.confirm_within(within).await.unwrap_or_else(|error| panic!("{error:?}"));
    reach(live, &change).await;
    change
}

pub(crate) async fn reach(live: &Live<Shop>, change: &Provisional) {
    reach_revision(live, change.revision()).await;
}

pub(crate) async fn reach_revision(live: &Live<Shop>, revision: Revision) {
    tokio::time::timeout(BOUND, live.wait_for(revision)).await.expect("in time").unwrap();
}

/// Waits until readers of a handle see this.
pub(crate) async fn until(live: &Live<Shop>, short: &str) {
    let mut changes = live.changes();
    let seen = async {
        while live.load().short() != short {
            changes.next().await.expect("the handle lives");
        }
    };
    let seen = tokio::time::timeout(BOUND, seen).await;
    seen.unwrap_or_else(|_| panic!("{short} in time; it is {}, {:?}", live.load().short(), live.health()));
}

/// Waits until no entry of the change is left, not even in the history.
pub(crate) async fn until_over(bucket: &Bucket, change: &Provisional) {
    wait_for("the end of the provisional entries", BOUND, async || {
        let left = bucket.history(">").await.unwrap();
        (!left.iter().any(|entry| header(entry, "Kvconf-Change") == change.change())).then_some(())
    })
    .await;
}

pub(crate) fn header<'a>(entry: &'a Entry, name: &str) -> &'a str {
    entry.headers().get(name).unwrap_or("(none)")
}

pub(crate) async fn value(bucket: &Bucket, key: &str) -> String {
    let value = bucket.get(key).await.unwrap();
    value.map_or_else(|| "-".to_owned(), |value| String::from_utf8_lossy(&value).into_owned())
}
