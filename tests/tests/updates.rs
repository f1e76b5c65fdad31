//! Updates that race in earnest: on several threads, so that the watch moves on between any two steps of a write.

use kvconf::{Bucket, KvConfig, Live};

#[derive(KvConfig, Debug, Clone)]
struct Counter {
    #[kv(default = 0)]
    count: u64,
}

// P6
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_increment_is_lost() {
    const TASKS: u64 = 8;
    const EACH: u64 = 1_000;
    let bucket = Bucket::memory();
    let live: Live<Counter> = bucket.live().start().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let live = live.clone();
        tasks.spawn(async move {
            for _ in 0..EACH {
                let applied = live.update(|counter| counter.count += 1).await.unwrap();
                assert_eq!(applied.written().len(), 1);
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(bucket.get("count").await.unwrap().unwrap(), (TASKS * EACH).to_string());
}
