//! On a bucket in memory, with time paused.

use std::fs;
use std::time::Duration;

use kvconf::{Basis, Bucket, KvConfig, Live, Readiness, Revision, StartError, Tried, WatchState};

use super::{BOUND, Checkout, Folder, TRUST, away, bucket, health, trusted};

async fn start(bucket: &Bucket, folder: &Folder) -> Result<Live<Checkout>, StartError> {
    bucket.live().cache(folder.cache()).deadline(Duration::from_millis(1)).start().await
}

/// What keeps the cache from being kept.
fn fault(health: &kvconf::Health) -> Option<String> {
    health.cache.as_ref()?.fault.as_ref().map(|(fault, _)| fault.to_string())
}

/// A bucket with a value, whose state is trusted on disk; nobody is live.
async fn left_behind(folder: &Folder) -> (Bucket, kvconf::MemoryFaults, Revision) {
    let (bucket, faults) = bucket();
    let revision = bucket.put("checkout.max_items", "60").await.unwrap();
    let live: Live<Checkout> = bucket.live().cache(folder.cache()).start().await.unwrap();
    trusted(&live).await;
    drop(live);
    folder.free().await;
    (bucket, faults, revision)
}

// P9, P5
#[tokio::test(start_paused = true)]
async fn a_start_without_the_server_serves_the_last_good_state_and_says_so() {
    let folder = Folder::new("says-so");
    let (bucket, faults, saved) = left_behind(&folder).await;
    away(&faults);
    let live = start(&bucket, &folder).await.unwrap();
    let cfg = live.snapshot();
    assert_eq!((cfg.max_items, cfg.revision(), cfg.is_cached()), (60, saved, true));
    let told = live.health();
    assert!(matches!(told.basis, Basis::Cache { .. }) && told.state.is_stale() && !told.is_current());
    assert_eq!((told.applied, told.last_contact), (saved, None));
    let readiness = live.readiness();
    assert!(readiness.is_ready());
    let Readiness::Degraded { reason } = readiness else { panic!("{readiness:?}") };
    assert!(reason.starts_with("serving revision 1 from the cache; "), "{reason}");
}

// P9, P4
#[tokio::test(start_paused = true)]
async fn the_buckets_state_takes_over_in_one_step_as_soon_as_it_can_be_had() {
    let folder = Folder::new("takes-over");
    let (bucket, faults, saved) = left_behind(&folder).await;
    bucket.put("checkout.max_items", "70").await.unwrap();
    let newest = bucket.put("checkout.region", "eu").await.unwrap();
    away(&faults);
    let live = start(&bucket, &folder).await.unwrap();
    assert_eq!(live.load().revision(), saved);
    let mut changes = live.changes();
    let step = tokio::time::timeout(BOUND, changes.next()).await.unwrap().unwrap();
    assert!(step.before().is_cached() && !step.after().is_cached());
    assert_eq!((step.after().max_items, step.after().region.as_deref()), (70, Some("eu")));
    assert_eq!((step.after().revision(), step.after().epoch()), (newest, 0));
    health(&live, |health| health.is_current()).await;
    assert_eq!(live.readiness(), Readiness::Ready);
}

// P9
#[tokio::test(start_paused = true)]
async fn a_state_that_the_bucket_confirms_is_not_cached_any_more() {
    let folder = Folder::new("confirms");
    let (bucket, faults, saved) = left_behind(&folder).await;
    away(&faults);
    let live = start(&bucket, &folder).await.unwrap();
    assert!(live.load().is_cached());
    health(&live, |health| health.basis == Basis::Bucket && health.state == WatchState::Live).await;
    assert_eq!((live.load().max_items, live.load().revision()), (60, saved));
    // The next change comes as any other.
    let next = bucket.put("checkout.max_items", "61").await.unwrap();
    live.wait_for(next).await.unwrap();
    assert_eq!(live.load().max_items, 61);
}

// P3, P9
#[tokio::test(start_paused = true)]
async fn a_start_into_bad_values_serves_the_last_good_ones_and_takes_the_next_good_change() {
    let folder = Folder::new("bad-values");
    let (bucket, _, saved) = left_behind(&folder).await;
    let bad = bucket.put("checkout.max_items", "9999").await.unwrap();
    let plain = bucket.live::<Checkout>().start().await.unwrap_err();
    assert!(matches!(plain, StartError::Invalid(_)), "{plain}");

    let live = start(&bucket, &folder).await.unwrap();
    let told = live.health();
    assert_eq!((live.load().max_items, told.applied, told.seen), (60, saved, bad));
    assert_eq!(told.rejected.iter().map(|set| set.revision).collect::<Vec<_>>(), [bad]);
    assert!(told.report.unwrap().to_string().contains("9999 is outside 1..=500"));
    let mended = bucket.put("checkout.max_items", "80").await.unwrap();
    live.wait_for(mended).await.unwrap();
    assert_eq!((live.load().max_items, live.load().is_cached()), (80, false));
    assert!(live.health().is_current());
}

// P4, P9
#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_created_again_while_nobody_watched_is_noticed() {
    let folder = Folder::new("recreated");
    let (bucket, faults, _) = left_behind(&folder).await;
    bucket.put("other.key", "x").await.unwrap();
    // The bucket's clock is tokio's: another moment.
    tokio::time::advance(Duration::from_secs(1)).await;
    faults.recreate_bucket();
    let first = bucket.put("checkout.region", "eu").await.unwrap();
    away(&faults);
    let live = start(&bucket, &folder).await.unwrap();
    assert_eq!((live.load().max_items, live.load().epoch()), (60, 0));
    health(&live, |health| health.basis == Basis::Bucket).await;
    let cfg = live.load();
    assert_eq!((cfg.max_items, cfg.region.as_deref()), (50, Some("eu")));
    assert_eq!((cfg.revision(), cfg.epoch()), (first, 1));
}

// P5, P9
#[tokio::test(start_paused = true)]
async fn defaults_stand_in_where_the_caller_says_so() {
    let (bucket, faults) = bucket();
    bucket.put("checkout.max_items", "60").await.unwrap();
    away(&faults);
    let start = bucket.live::<Checkout>().without_environment().deadline(Duration::from_millis(1));
    let live = start.or_defaults().start().await.unwrap();
    assert_eq!((live.load().max_items, live.load().revision()), (50, Revision::ZERO));
    assert_eq!(live.health().basis, Basis::Defaults);
    health(&live, |health| health.is_current()).await;
    assert_eq!(live.load().max_items, 60);
}

// P9
#[tokio::test(start_paused = true)]
async fn a_start_that_finds_nothing_names_what_was_tried_and_why_it_failed() {
    let folder = Folder::new("nothing");
    let (bucket, faults) = bucket();
    away(&faults);
    let start = bucket.live::<super::WithSecret>().deadline(Duration::from_millis(1));
    let error = start.cache(folder.cache()).or_defaults().start().await.unwrap_err();
    let StartError::Exhausted { tried } = &error else { panic!("{error}") };
    assert!(matches!(&tried[..], [Tried::Bucket(_), Tried::Cache { .. }, Tried::Defaults(_)]), "{tried:?}");
    let cache = tried[1].to_string();
    let told = error.to_string().replace(&cache, "<the cache>");
    assert!(cache.starts_with("the cache in ") && cache.ends_with(" holds no usable state"), "{cache}");
    assert_eq!(
        told,
        "there is no state to start from: bucket prod was not loaded within 1ms: disconnected; <the cache>; \
         the defaults are not valid: checkout.api_key: required, and no source has a value"
    );
}

// P9, P10
#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_passed_over_and_told_in_the_health() {
    let folder = Folder::new("damaged-newest");
    let (bucket, faults, saved) = left_behind(&folder).await;
    let live = start(&bucket, &folder).await.unwrap();
    let second = bucket.put("checkout.max_items", "70").await.unwrap();
    live.wait_for(second).await.unwrap();
    trusted(&live).await;
    drop(live);
    folder.free().await;
    let newest = folder.files().into_iter().filter(|file| file.extension().is_some()).max().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();

    away(&faults);
    let live = start(&bucket, &folder).await.unwrap();
    assert_eq!((live.load().max_items, live.load().revision()), (60, saved));
    let cache = live.health().cache.unwrap();
    assert_eq!(cache.skipped.len(), 1);
    assert_eq!(cache.skipped[0].to_string(), "0000000002.kvcache: the checksum does not fit");
}

// P9
#[tokio::test(start_paused = true)]
async fn a_state_is_trusted_only_after_it_was_served_for_a_while() {
    let folder = Folder::new("trust");
    let (bucket, _) = bucket();
    let live = start(&bucket, &folder).await.unwrap();
    health(&live, |health| health.cache.as_ref().is_some_and(|cache| cache.saved.is_some())).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(folder.trusted(), 0);
    trusted(&live).await;
    assert!(begun.elapsed() >= TRUST - Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(folder.trusted(), 1);
    for n in 2..=6 {
        let revision = bucket.put("checkout.max_items", n.to_string()).await.unwrap();
        live.wait_for(revision).await.unwrap();
        trusted(&live).await;
    }
    assert_eq!(folder.trusted(), 3, "the generations that are kept");
}

// P9
#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_written_hurts_nobody_and_is_told() {
    let folder = Folder::new("unwritable");
    fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("file");
    fs::write(&file, b"").unwrap();
    let (bucket, _) = bucket();
    let cache = kvconf::Cache::at(&file);
    let live: Live<Checkout> = bucket.live().cache(cache).start().await.unwrap();
    let told = health(&live, |health| health.cache.as_ref().is_some_and(|cache| cache.fault.is_some())).await;
    let (fault, _) = told.cache.clone().unwrap().fault.unwrap();
    assert!(fault.to_string().contains("cannot claim "), "{fault}");
    assert!(told.is_current());
    let revision = bucket.put("checkout.max_items", "60").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!(live.load().max_items, 60);
}

// P5, P9
#[tokio::test(start_paused = true)]
async fn what_a_disk_refuses_is_tried_again_until_it_stands_there() {
    let folder = Folder::new("heals");
    let (bucket, faults, _) = left_behind(&folder).await;
    away(&faults);
    let live = start(&bucket, &folder).await.unwrap();
    assert!(live.load().is_cached());
    let boots = || {
        let mut files = folder.files().into_iter();
        fs::read_to_string(files.find(|file| file.ends_with("boots")).unwrap()).unwrap()
    };
    assert_eq!(boots(), "1 1\n", "the start is written down");
    // A file stands where the folder was. The bucket is back, and the start has come to a good end.
    let aside = folder.0.with_extension("aside");
    fs::rename(&folder.0, &aside).unwrap();
    fs::write(&folder.0, b"").unwrap();
    let told = health(&live, |health| health.is_current() && fault(health).is_some()).await;
    assert!(fault(&told).unwrap().contains("cannot claim "), "{told:?}");
    let since = told.cache.unwrap().fault.unwrap().1;
    // Still, when it has been tried in vain for a while.
    tokio::time::advance(TRUST).await;
    let told = live.health();
    assert_eq!(told.cache.and_then(|cache| cache.fault).map(|(_, since)| since), Some(since));
    let ready = async || live.readiness() == Readiness::Ready;
    kvconf_tests::wait_until("the handle hurts nobody", BOUND, ready).await;

    fs::remove_file(&folder.0).unwrap();
    fs::rename(&aside, &folder.0).unwrap();
    let begun = tokio::time::Instant::now();
    health(&live, |health| fault(health).is_none()).await;
    assert!(begun.elapsed() <= Duration::from_secs(31), "{:?}", begun.elapsed());
    assert_eq!(boots(), "", "the start is held against nothing");
}

// P9: a file may be read long after the deadline, and could not say what counts then.
#[tokio::test(start_paused = true)]
async fn a_state_that_waits_to_be_confirmed_is_not_kept() {
    let folder = Folder::new("on-trial");
    let (bucket, faults, saved) = left_behind(&folder).await;
    let live: Live<Checkout> = bucket.live().cache(folder.cache()).start().await.unwrap();
    // What was left behind is what the bucket holds.
    health(&live, |health| health.cache.as_ref().is_some_and(|cache| cache.saved.is_some())).await;
    let plan = live.edit().set(Checkout::fields().max_items, 90).plan().await.unwrap();
    let change = plan.commit().author("ops").confirm_within(100 * TRUST).await.unwrap();
    live.wait_for(change.revision()).await.unwrap();
    assert_eq!(live.load().max_items, 90);
    tokio::time::sleep(3 * TRUST).await;
    let kept = live.health().cache.unwrap().saved.unwrap();
    assert_eq!((kept.revision, kept.trusted), (saved, true));
    drop(live);
    folder.free().await;

    away(&faults);
    let live = start(&bucket, &folder).await.unwrap();
    assert_eq!((live.load().max_items, live.load().is_cached()), (60, true));
    health(&live, |health| health.is_current()).await;
    assert_eq!(live.load().max_items, 90, "the bucket has the say as soon as it can be had");

    let confirmed = change.confirm().author("ops").await.unwrap();
    live.wait_for(confirmed.revision()).await.unwrap();
    trusted(&live).await;
    drop(live);
    folder.free().await;
    away(&faults);
    let live = start(&bucket, &folder).await.unwrap();
    assert_eq!((live.load().max_items, live.load().is_cached()), (90, true));
}
