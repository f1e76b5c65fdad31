//! Handles whose program, or whose bucket, does what nobody should.

mod asked_back;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Bucket, BucketConfig, KvConfig, Live, MemoryFaults, Revision};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "p")]
struct Plain {
    #[kv(default = 1)]
    a: u32,
    #[kv(default = 1)]
    b: u32,
}

fn bucket() -> (Bucket, MemoryFaults) {
    Bucket::memory_with_faults(BucketConfig::new("test")).unwrap()
}

async fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within a minute: {what}");
}

// P4
#[tokio::test(start_paused = true)]
async fn a_write_to_a_recreated_bucket_does_not_wait_for_what_was_written_to_the_old_one() {
    let (bucket, faults) = bucket();
    let live = bucket.live::<Plain>().start().await.unwrap();
    for _ in 0..5 {
        live.update(|plain| plain.a += 1).author("ops").await.unwrap();
    }
    faults.recreate_bucket();
    bucket.put("p.b", "7").await.unwrap();
    soon("the new bucket", || live.load().b == 7).await;
    let begun = tokio::time::Instant::now();
    live.update(|plain| plain.a += 1).author("ops").await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

// P4: until its consumer's silence tells, the watch has the old bucket's revisions, which are higher.
#[tokio::test(start_paused = true)]
async fn a_write_to_a_recreated_bucket_is_waited_for_before_the_watch_has_noticed() {
    let (bucket, faults) = bucket();
    let live = bucket.live::<Plain>().start().await.unwrap();
    for value in 1..=8 {
        let revision = bucket.put("p.a", value.to_string()).await.unwrap();
        live.wait_for(revision).await.unwrap();
    }
    for round in 1..=2 {
        faults.pause();
        faults.recreate_bucket();
        let revision = bucket.batch().put("p.a", "42").put("p.b", "7").commit().await.unwrap();
        assert_eq!(revision, Revision::new(2));
        let began = tokio::time::Instant::now();
        live.wait_for(revision).await.unwrap();
        assert_eq!((live.load().a, live.load().b, live.load().epoch()), (42, 7, round));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        // And waiting is as ever.
        let revision = live.update(|plain| plain.a += 1).author("ops").await.unwrap().revision();
        live.wait_for(revision).await.unwrap();
        assert_eq!(live.load().a, 43);
        let older = Revision::new(1);
        live.wait_for(older).await.unwrap();
    }
}

// P1, P4: reading one's own write, in a bucket that was brought back from a backup.
#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_set_back_is_followed_at_its_own_revisions() {
    let (bucket, faults) = bucket();
    for value in 1..=8 {
        bucket.put("p.a", value.to_string()).await.unwrap();
    }
    let live = bucket.live::<Plain>().start().await.unwrap();
    assert_eq!((live.load().a, live.load().revision(), live.load().epoch()), (8, Revision::new(8), 0));
    faults.set_back(Revision::new(3));
    soon("the state of the backup", || live.load().a == 3).await;
    assert_eq!((live.load().revision(), live.load().epoch()), (Revision::new(3), 1));
    let revision = bucket.put("p.b", "9").await.unwrap();
    assert_eq!(revision, Revision::new(4));
    live.wait_for(revision).await.unwrap();
    assert_eq!((live.load().b, live.load().revision()), (9, revision));
}

/// Its copies are the program's own code, as `Clone` always is.
#[derive(KvConfig, Debug)]
#[kv(prefix = "p")]
struct Brittle {
    #[kv(default = 1)]
    a: u32,
    #[kv(default = 1)]
    b: u32,
    #[kv(skip)]
    copies: Copies,
}

#[derive(Debug, Default)]
struct Copies(Arc<AtomicU32>);

impl Clone for Brittle {
    fn clone(&self) -> Self {
        let left = self.copies.0.load(Ordering::SeqCst);
        assert!(left != 1, "no more copies");
        Self { a: self.a, b: self.b, copies: Copies(Arc::clone(&self.copies.0)) }
    }
}

// P3
#[tokio::test(start_paused = true)]
async fn a_copy_that_panics_is_reported_and_loses_no_change() {
    let (bucket, _) = bucket();
    let live: Live<Brittle> = bucket.live().start().await.unwrap();
    let bad = Arc::clone(&live.load().copies.0);
    bad.store(1, Ordering::SeqCst);
    let revision = bucket.put("p.a", "5").await.unwrap();
    let error = live.wait_for(revision).await.unwrap_err();
    assert_eq!(error.to_string(), "revision 1 was rejected");
    let report = live.health().report.unwrap();
    assert_eq!(report.problems[0].message, "the program's own code panicked on this state");
    bad.store(0, Ordering::SeqCst);
    let revision = bucket.put("p.b", "6").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!((live.load().a, live.load().b), (5, 6));
}

static CLINGS: AtomicBool = AtomicBool::new(true);

/// A value that does not like to go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Clingy(u32);

impl Drop for Clingy {
    fn drop(&mut self) {
        let clings = self.0 == 13 && CLINGS.load(Ordering::SeqCst);
        assert!(!clings || std::thread::panicking(), "it does not go");
    }
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "p")]
struct Holding {
    #[kv(json, default = Clingy(1))]
    a: Clingy,
}

// P5
#[tokio::test(start_paused = true)]
async fn a_drop_that_panics_keeps_nobody_from_the_newest_state() {
    let (bucket, _) = bucket();
    let holding: Live<Holding> = bucket.live().start().await.unwrap();
    let plain: Live<Plain> = bucket.live().start().await.unwrap();
    for value in ["13", "14", "13", "15"] {
        let revision = bucket.put("p.a", value).await.unwrap();
        let both = async { (holding.wait_for(revision).await, plain.wait_for(revision).await) };
        let both = tokio::time::timeout(Duration::from_secs(5), both).await;
        both.expect("nobody waits for ever").1.unwrap();
        assert_eq!(plain.load().a.to_string(), value);
    }
    CLINGS.store(false, Ordering::SeqCst);
    let revision = bucket.put("p.a", "16").await.unwrap();
    holding.wait_for(revision).await.unwrap();
    assert_eq!(holding.load().a.0, 16);
}

// A handle that several tests of a program share: each of them has a runtime of its own.
#[test]
fn hooks_are_called_again_in_another_runtime() {
    let live = Live::fixed(Plain { a: 1, b: 1 });
    for round in 2..4 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let called = Arc::new(AtomicU32::new(0));
            let seen = Arc::clone(&called);
            let hook = live.on_change(Plain::fields().a, move |_, new| seen.store(*new, Ordering::SeqCst));
            live.set_fixed(Plain { a: round, b: 1 });
            soon("the hook", || called.load(Ordering::SeqCst) == round).await;
            hook.remove();
        });
    }
}

/// It cannot be written, in one case.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Unwritable(u32);

impl Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 != 13, "it cannot be written");
        serializer.serialize_u32(self.0)
    }
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "p")]
struct Writing {
    #[kv(json, default = Unwritable(1))]
    a: Unwritable,
    #[kv(default = 1)]
    b: u32,
}

#[tokio::test(start_paused = true)]
async fn a_hook_goes_on_after_a_value_that_cannot_be_compared() {
    let live = Live::fixed(Writing { a: Unwritable(1), b: 1 });
    let called = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&called);
    let _a = live.on_change(Writing::fields().a, |_, _| {});
    let _b = live.on_change(Writing::fields().b, move |_, new| seen.store(*new, Ordering::SeqCst));
    tokio::task::yield_now().await;
    live.set_fixed(Writing { a: Unwritable(13), b: 2 });
    soon("the other hook", || called.load(Ordering::SeqCst) == 2).await;
    live.set_fixed(Writing { a: Unwritable(14), b: 3 });
    soon("the other hook again", || called.load(Ordering::SeqCst) == 3).await;
}

// P10: "for ever" is said by the longest time there is.
#[cfg(feature = "fleet")]
#[tokio::test(start_paused = true)]
async fn the_fleet_is_waited_for_as_long_as_anybody_likes() {
    use crate::fleet::Instance;

    let (bucket, _) = bucket();
    let live = bucket.live::<Plain>().instance(Instance::named("shop")).start().await.unwrap();
    let roster = bucket.fleet().list().within(Duration::MAX).expect(1).await.unwrap();
    assert_eq!(roster.members().len(), 1);
    let plan = live.edit().set(Plain::fields().a, 2).plan().await.unwrap();
    let preflight = plan.preflight().within(Duration::MAX).expect(1).await.unwrap();
    assert!(preflight.is_unanimous(), "{preflight:?}");
    let applied = plan.commit().author("ops").await.unwrap();
    let status = applied.wait_for_fleet().within(Duration::MAX).await.unwrap();
    assert!(status.is_reached(), "{status:?}");
}

// P8
#[tokio::test(start_paused = true)]
async fn a_field_whose_value_is_about_to_go_is_written_though_it_is_the_same() {
    let (bucket, _faults) = bucket();
    let live = bucket.live::<Plain>().start().await.unwrap();
    let ttl = Duration::from_secs(100);
    let written = bucket.put("p.a", "7").ttl(ttl).await.unwrap();
    live.wait_for(written).await.unwrap();
    let plan = live.edit().set(Plain::fields().a, 7).plan().await.unwrap();
    assert_eq!(plan.to_string(), "p.a: 7 (for a time) → 7");
    plan.commit().author("ops").await.unwrap();
    tokio::time::advance(2 * ttl).await;
    assert_eq!(bucket.get("p.a").await.unwrap().as_deref(), Some(&b"7"[..]));
    let again = live.edit().set(Plain::fields().a, 7).plan().await.unwrap();
    assert_eq!(again.to_string(), "nothing to change");
}
