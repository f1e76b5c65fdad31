//! Processes that die: a runtime that is gone with all its tasks, without a word to them.

use std::time::Duration;

use kvconf::{Bucket, Live};
use tokio::runtime::{Builder, Runtime};

use super::{BOUND, Checkout, Folder, TRUST, away, bucket, trusted};

/// A process's worth of tasks, with time of its own.
fn process() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Ends it as a crash does.
fn die<T: kvconf::KvConfig>(process: Runtime, live: Live<T>) {
    // Not even its destructor runs.
    std::mem::forget(live);
    process.shutdown_background();
}

async fn boot(bucket: &Bucket, folder: &Folder) -> Live<Checkout> {
    let start = bucket.live::<Checkout>().cache(folder.cache()).deadline(Duration::from_millis(1));
    let live = tokio::time::timeout(BOUND, start.start()).await.unwrap().unwrap();
    assert!(live.load().is_cached());
    live
}

/// Two states that were served for long enough, and one that was not.
fn left_behind(folder: &Folder) -> (Bucket, kvconf::MemoryFaults) {
    let (bucket, faults) = bucket();
    let first = process();
    let live = first.block_on(async {
        bucket.put("checkout.max_items", "60").await.unwrap();
        let live: Live<Checkout> = bucket.live().cache(folder.cache()).start().await.unwrap();
        trusted(&live).await;
        let revision = bucket.put("checkout.max_items", "61").await.unwrap();
        live.wait_for(revision).await.unwrap();
        trusted(&live).await;
        let revision = bucket.put("checkout.max_items", "62").await.unwrap();
        live.wait_for(revision).await.unwrap();
        super::health(&live, |health| {
            let saved = health.cache.as_ref().and_then(|cache| cache.saved);
            saved.is_some_and(|saved| saved.revision == revision)
        })
        .await;
        live
    });
    die(first, live);
    (bucket, faults)
}

// P9
#[test]
fn a_crash_right_after_applying_boots_the_generation_before() {
    let folder = Folder::new("crash-candidate");
    let (bucket, faults) = left_behind(&folder);
    away(&faults);
    let next = process();
    let live = next.block_on(boot(&bucket, &folder));
    assert_eq!(live.load().max_items, 61, "what killed the process is not what it starts with");
    die(next, live);
}

// P9
#[test]
fn a_crash_of_a_start_from_the_cache_boots_the_generation_before() {
    let folder = Folder::new("crash-boot");
    let (bucket, faults) = left_behind(&folder);
    away(&faults);
    let mut booted = Vec::new();
    for _ in 0..2 {
        let next = process();
        let live = next.block_on(boot(&bucket, &folder));
        booted.push(live.load().max_items);
        die(next, live);
        away(&faults);
    }
    assert_eq!(booted, [61, 60]);
}

// P9
#[test]
fn a_start_from_the_cache_that_ends_well_is_held_against_nothing() {
    let folder = Folder::new("crash-well");
    let (bucket, faults) = left_behind(&folder);
    away(&faults);
    for _ in 0..3 {
        let next = process();
        next.block_on(async {
            let live = boot(&bucket, &folder).await;
            assert_eq!(live.load().max_items, 61);
            drop(live);
            folder.free().await;
        });
        away(&faults);
    }
    // Nor one of a process that ends at once when it has stopped the handle, as services do that are told to end.
    for _ in 0..2 {
        let next = process();
        next.block_on(async {
            let live = boot(&bucket, &folder).await;
            assert_eq!(live.load().max_items, 61);
            live.stop();
        });
        drop(next);
        away(&faults);
    }
    // Nor is one that was served for long enough, however it ends.
    for _ in 0..2 {
        faults.fail_reads(500, &kvconf::ReadError::Disconnected);
        let next = process();
        let live = next.block_on(async {
            let live = boot(&bucket, &folder).await;
            tokio::time::sleep(TRUST + Duration::from_secs(1)).await;
            kvconf_tests::wait_until("the good end is written down", BOUND, async || {
                let boots = folder.files().into_iter().find(|file| file.ends_with("boots"));
                boots.is_none_or(|file| std::fs::read(file).unwrap().is_empty())
            })
            .await;
            live
        });
        assert_eq!((live.load().max_items, live.load().is_cached()), (61, true));
        die(next, live);
    }
}
