//! A folder for one test, the struct that the tests keep live, and waiting for what files bring.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kvconf::{Bucket, Health, KvConfig, Live, Report, Secret, StartError, Validation};

/// How long anything may take. What is expected takes about a tenth of a second.
pub const BOUND: Duration = Duration::from_secs(20);

/// A folder that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kvconf-files-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// As careful programs and most editors do it.
    pub fn replace(&self, name: &str, text: &str) {
        let new = self.write(&format!("{name}.new"), text);
        fs::rename(new, self.path(name)).unwrap();
    }

    /// A text without the folder's own name.
    pub fn hide(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout", validate = Self::check)]
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
    pub any: Option<serde_json::Value>,
    #[kv(json, default = "info")]
    pub level: String,
    #[kv(default = 1, deprecated(use = "max_items"))]
    pub old_limit: u32,
}

#[derive(KvConfig, Debug, Clone)]
pub struct Retry {
    #[kv(default = 1)]
    pub min: u32,
    #[kv(default = 5)]
    pub max: u32,
}

impl Checkout {
    fn check(&self, problems: &mut Validation<Self>) {
        if self.retry.min > self.retry.max {
            let fields = Self::fields().retry;
            problems.problem("retry.min exceeds retry.max").on(fields.min).on(fields.max);
        }
    }
}

pub async fn start(bucket: &Bucket, file: impl AsRef<Path>) -> Live<Checkout> {
    let start = bucket.live().without_environment().file(file.as_ref()).start().await;
    start.unwrap_or_else(|error| {
        panic!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string))
    })
}

/// What keeps a handle from starting.
pub async fn refused(bucket: &Bucket, file: impl Into<kvconf::FileSource>) -> Report {
    match bucket.live::<Checkout>().without_environment().file(file).start().await {
        Err(StartError::Invalid(report)) => *report,
        other => panic!("{other:?}"),
    }
}

/// Waits until readers see a state that fulfils a condition.
pub async fn until(live: &Live<Checkout>, fulfilled: impl Fn(&Checkout) -> bool) {
    let mut changes = live.changes();
    let wait = async {
        while !fulfilled(&live.snapshot()) {
            changes.next().await.expect("the handle is alive");
        }
    };
    tokio::time::timeout(BOUND, wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {:?}, {:?}", live.load(), live.health()));
}

pub async fn until_health(live: &Live<Checkout>, fulfilled: impl Fn(&Health) -> bool) -> Health {
    tokio::time::timeout(BOUND, live.wait_for_health(fulfilled))
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {:?}", live.health()))
}

/// Waits for a report that has such a message, and gives it without the folder's name.
pub async fn until_told(live: &Live<Checkout>, folder: &Folder, message: &str) -> String {
    let told = |health: &Health| health.report.as_ref().map(|report| report.to_string()).unwrap_or_default();
    let health = until_health(live, |health| told(health).contains(message)).await;
    folder.hide(&told(&health))
}
