//! Starting without the server, from what an earlier process left on disk.

mod crash;
mod memory;
mod secrets;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kvconf::{Bucket, BucketConfig, Cache, Health, KvConfig, Live, MemoryFaults, ReadError, Secret};
use kvconf_tests::wait_until;
use tokio::time::timeout;

/// For what takes milliseconds; generous, for a machine that is busy with a build.
const BOUND: Duration = Duration::from_secs(90);

/// How long a state must be served to be trusted.
const TRUST: Duration = Duration::from_secs(60);

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
    region: Option<String>,
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct WithSecret {
    #[kv(default = 50)]
    max_items: u32,
    #[kv(secret)]
    api_key: Secret<String>,
}

/// Gone at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kvconf-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn cache(&self) -> Cache {
        Cache::at(&self.0).trust_after(TRUST)
    }

    /// Every file in it.
    fn files(&self) -> Vec<PathBuf> {
        files_below(&self.0)
    }

    /// The generations that a start would prefer.
    fn trusted(&self) -> usize {
        let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
        let names: Vec<String> = self.files().iter().map(name).collect();
        names.iter().filter(|name| name.ends_with(".kvcache") && !name.contains("candidate")).count()
    }

    /// Waits until no handle has it any more, as when the process of the last one has ended.
    async fn free(&self) {
        let locks: Vec<PathBuf> = self.files().into_iter().filter(|file| file.ends_with("lock")).collect();
        wait_until("the folder is free", BOUND, async || {
            locks.iter().all(|lock| fs::File::open(lock).unwrap().try_lock().is_ok())
        })
        .await;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn bucket() -> (Bucket, MemoryFaults) {
    Bucket::memory_with_faults(BucketConfig::new("prod")).unwrap()
}

/// The bucket cannot be reached for so many attempts: with the pauses in between, for longer than a second by far.
fn away(faults: &MemoryFaults) {
    faults.fail_reads(24, &ReadError::Disconnected);
}

async fn health<T: KvConfig>(live: &Live<T>, fulfilled: impl FnMut(&Health) -> bool) -> Health {
    let health = timeout(BOUND, live.wait_for_health(fulfilled)).await;
    health.unwrap_or_else(|_| panic!("the health in time; it is {:?}", live.health()))
}

/// Waits until what is served is trusted on disk.
async fn trusted<T: KvConfig>(live: &Live<T>) {
    let applied = live.load().revision();
    health(live, |health| {
        let saved = health.cache.as_ref().and_then(|cache| cache.saved);
        saved.is_some_and(|saved| saved.trusted && saved.revision == applied)
    })
    .await;
}
