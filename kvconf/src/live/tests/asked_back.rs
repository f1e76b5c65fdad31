//! A program's own code that asks the handle on whose behalf it is called.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Bucket, KvConfig, Live, OverrideError, Plan, Revision, Validation};

/// What the code of a program asks at the moment when it is called.
type Ask = Box<dyn FnMut() + Send>;

static ASK: Mutex<Option<Ask>> = Mutex::new(None);

/// The tests share what is called: one at a time.
static ONE: Mutex<()> = Mutex::new(());

fn ask() {
    // Taken out meanwhile: it may lead here again.
    let taken = ASK.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut ask) = taken {
        ask();
    }
}

fn ask_next(next: impl FnMut() + Send + 'static) {
    *ASK.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(next));
}

/// A value whose every part is code of the program.
#[derive(Debug)]
struct Own(u32);

impl Clone for Own {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Serialize for Own {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Own {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if DECODES.load(Ordering::Relaxed) {
            ask();
        }
        u32::deserialize(deserializer).map(Self)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if DROPS.load(Ordering::Relaxed) {
            ask();
        }
    }
}

static DECODES: AtomicBool = AtomicBool::new(false);
static DROPS: AtomicBool = AtomicBool::new(false);

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "p", validate = Self::check)]
struct Asking {
    #[kv(default = 1)]
    a: u32,
    #[kv(json, default = Own(1))]
    own: Own,
}

impl Asking {
    fn check(&self, _: &mut Validation<Self>) {
        if !DECODES.load(Ordering::Relaxed) && !DROPS.load(Ordering::Relaxed) {
            ask();
        }
    }
}

/// All that can be asked of a handle without waiting.
fn answers(live: &Live<Asking>) -> Vec<String> {
    let health = live.health();
    let overridden = match live.overrides().set(Asking::fields().a, 9).apply() {
        Err(OverrideError::Judging) => "judging".to_owned(),
        other => format!("{other:?}"),
    };
    vec![
        format!("{} {} {}", live.load().a, health.applied, health.seen),
        format!("{:?}", live.readiness()),
        live.explain(Asking::fields().a).to_string(),
        format!("{:?}", live.origin(Asking::fields().a).map(|origin| origin.to_string())),
        format!("{} {:?}", live.prefix(), live.layers()),
        overridden,
    ]
}

/// Runs a test on a thread of its own: what waits for itself is a failure, and not a test that never ends.
fn bounded<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (done, ended) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(test());
        let _ = done.send(());
    });
    let ended = ended.recv_timeout(Duration::from_secs(60));
    ask_next(|| ());
    for flag in [&DECODES, &DROPS] {
        flag.store(false, Ordering::Relaxed);
    }
    ended.expect("an answer, and no thread that waits for itself");
}

/// What the code was answered while a change was judged.
fn note(live: &Live<Asking>) -> Arc<Mutex<Vec<String>>> {
    let noted: Arc<Mutex<Vec<String>>> = Arc::default();
    let (live, to) = (live.clone(), Arc::clone(&noted));
    ask_next(move || {
        let answers = answers(&live);
        to.lock().unwrap().extend(answers);
    });
    noted
}

async fn started() -> (Bucket, Live<Asking>) {
    let bucket = Bucket::memory();
    bucket.put("p.a", "2").await.unwrap();
    let live = bucket.live::<Asking>().start().await.unwrap();
    (bucket, live)
}

/// As before the change that is being judged.
const BEFORE: [&str; 6] = ["2 1 1", "Ready", "p.a", "None", "p []", "judging"];

#[test]
fn a_validate_function_gets_answers_from_before_the_change_that_it_judges() {
    bounded(|| async {
        let (bucket, live) = started().await;
        let noted = note(&live);
        let revision = bucket.put("p.a", "3").await.unwrap();
        live.wait_for(revision).await.unwrap();
        assert_eq!(*noted.lock().unwrap(), BEFORE);
        assert_eq!((live.load().a, live.health().applied), (3, revision));
    });
}

#[test]
fn a_codec_gets_answers_from_before_the_change_that_it_reads() {
    bounded(|| async {
        let (bucket, live) = started().await;
        DECODES.store(true, Ordering::Relaxed);
        let noted = note(&live);
        let revision = bucket.put("p.own", "3").await.unwrap();
        live.wait_for(revision).await.unwrap();
        assert_eq!(*noted.lock().unwrap(), BEFORE);
    });
}

#[test]
fn a_value_that_is_dropped_gets_answers() {
    bounded(|| async {
        let (bucket, live) = started().await;
        DROPS.store(true, Ordering::Relaxed);
        let noted = note(&live);
        for value in 3..6 {
            let revision = bucket.put("p.own", value.to_string()).await.unwrap();
            live.wait_for(revision).await.unwrap();
        }
        assert!(noted.lock().unwrap().len() >= BEFORE.len());
    });
}

#[test]
fn a_hook_and_an_update_get_the_same_answers_as_anybody() {
    bounded(|| async {
        let (bucket, live) = started().await;
        let noted: Arc<Mutex<Vec<String>>> = Arc::default();
        let (handle, to) = (live.clone(), Arc::clone(&noted));
        live.on_change(Asking::fields().a, move |_, _| {
            let health = handle.health();
            let explained = handle.explain(Asking::fields().a).sources.len();
            to.lock().unwrap().push(format!("{} {} {}", handle.load().a, health.applied, explained));
        });
        let revision = bucket.put("p.a", "3").await.unwrap();
        live.wait_for(revision).await.unwrap();
        while noted.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*noted.lock().unwrap(), ["3 2 2"]);

        let handle = live.clone();
        let update = live.update(|own| own.a = handle.explain(Asking::fields().a).sources.len() as u32);
        let applied = update.author("ops").await.unwrap();
        live.wait_for(applied.revision()).await.unwrap();
        assert_eq!(live.load().a, 2);
    });
}

#[test]
fn a_plan_asks_the_program_and_the_program_may_ask_the_handle() {
    bounded(|| async {
        let (_bucket, live) = started().await;
        let noted = note(&live);
        let plan = live.edit().set(Asking::fields().a, 4).plan().await.unwrap();
        assert_eq!(*noted.lock().unwrap(), BEFORE);
        assert_eq!(plan.to_string(), "p.a: 2 → 4");
    });
}

#[test]
fn overrides_that_a_validate_function_drops_are_taken_back_when_it_is_over() {
    bounded(|| async {
        let (bucket, live) = started().await;
        let mut scoped = Some(live.overrides().set(Asking::fields().a, 7).scoped().unwrap());
        assert_eq!(live.load().a, 7);
        ask_next(move || drop(scoped.take()));
        bucket.put("p.own", "5").await.unwrap();
        while live.load().a == 7 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(live.load().a, 2);
    });
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until the future is ready, as code may that cannot be asynchronous.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

fn told<V: std::fmt::Display, E: std::error::Error>(outcome: Result<V, E>) -> String {
    match outcome {
        Ok(value) => value.to_string(),
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        }
    }
}

/// All that is asked of a handle, or by means of one, and has to be awaited.
async fn awaited(bucket: &Bucket, live: &Live<Asking>, ready: Plan<Asking>) -> Vec<String> {
    let a = Asking::fields().a;
    let newest = Revision::new(1);
    let mut changes = live.changes();
    vec![
        told(live.edit().set(a, 4).plan().await),
        told(live.update(|own| own.a = 4).author("ops").await.map(|applied| applied.revision())),
        told(live.rollback_to(Revision::ZERO).plan().await),
        told(live.rollback_to(Revision::ZERO).await.map(|applied| applied.revision())),
        told(live.revert(newest).plan().await),
        told(live.wait_for(Revision::new(9)).await.map(|()| "seen")),
        told(bucket.live::<Asking>().start().await.map(|other| other.load().a)),
        told(live.wait_for(newest).await.map(|()| "seen")),
        format!("{:?}", changes.next().await.map(|changed| changed.after().a)),
        format!("{}", live.wait_for_health(|_| false).await.applied),
        told(live.at(newest).await.map(|past| past.a)),
        told(live.diff(Revision::ZERO, newest).await),
        told(live.history(a).await.map(|history| history.iter().next().is_some())),
        told(live.log().await.map(|log| log.iter().next().is_some())),
        told(live.pending().await.map(|pending| pending.len())),
        told(ready.commit().author("ops").await.map(|applied| applied.written().len())),
    ]
}

/// What would have to wait for the handle is refused, and what only reads or writes the bucket is done.
const AWAITED: [&str; 16] = [
    "asked by code that is called to judge values: it would wait for itself",
    "there is no plan: asked by code that is called to judge values: it would wait for itself",
    "asked by code that is called to judge values: it would wait for itself",
    "asked by code that is called to judge values: it would wait for itself",
    "asked by code that is called to judge values: it would wait for itself",
    "asked by code that is called to judge values: it would wait for itself",
    "asked by code that is called to judge values: it would wait for itself",
    "seen",
    "None",
    "1",
    "2",
    "p.a  1 → 2",
    "true",
    "true",
    "0",
    "1",
];

/// Has all of it asked by the program's code when it is called next.
async fn note_awaited(bucket: &Bucket, live: &Live<Asking>) -> Arc<Mutex<Vec<String>>> {
    let noted: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut ready = Some(live.edit().set(Asking::fields().own, Own(7)).plan().await.unwrap());
    let (bucket, live, to) = (bucket.clone(), live.clone(), Arc::clone(&noted));
    ask_next(move || {
        let Some(ready) = ready.take() else { return };
        let answers = block_on(awaited(&bucket, &live, ready));
        to.lock().unwrap().extend(answers);
    });
    noted
}

#[test]
fn a_validate_function_that_waits_for_its_handle_is_told_that_it_would_wait_for_itself() {
    bounded(|| async {
        let (bucket, live) = started().await;
        let noted = note_awaited(&bucket, &live).await;
        let revision = bucket.put("p.a", "3").await.unwrap();
        live.wait_for(revision).await.unwrap();
        assert_eq!(*noted.lock().unwrap(), AWAITED);
        // What it committed is there, and everything goes on.
        live.wait_for(revision.next()).await.unwrap();
        assert_eq!((live.load().a, live.load().own.0), (3, 7));
        let mut changes = live.changes();
        bucket.put("p.a", "4").await.unwrap();
        assert_eq!(changes.next().await.map(|changed| changed.after().a), Some(4));
    });
}

#[test]
fn a_codec_that_waits_for_a_handle_while_another_one_starts_is_told_so() {
    bounded(|| async {
        let (bucket, live) = started().await;
        bucket.put("p.own", "5").await.unwrap();
        live.wait_for(Revision::new(2)).await.unwrap();
        let noted: Arc<Mutex<Vec<String>>> = Arc::default();
        let (handle, place, to) = (live.clone(), bucket.clone(), Arc::clone(&noted));
        DECODES.store(true, Ordering::Relaxed);
        ask_next(move || {
            let waited = told(block_on(handle.wait_for(Revision::new(9))).map(|()| "seen"));
            let started = told(block_on(place.live::<Asking>().start()).map(|other| other.load().a));
            to.lock().unwrap().extend([waited, started]);
        });
        let other = bucket.live::<Asking>().start().await.unwrap();
        assert_eq!(other.load().own.0, 5);
        let refused = "asked by code that is called to judge values: it would wait for itself";
        assert_eq!(*noted.lock().unwrap(), [refused, refused]);
    });
}

#[test]
fn a_plan_that_is_asked_for_by_the_check_of_another_plan_is_refused() {
    bounded(|| async {
        let (bucket, live) = started().await;
        let noted = note_awaited(&bucket, &live).await;
        let plan = live.edit().set(Asking::fields().a, 4).plan().await.unwrap();
        assert_eq!(plan.to_string(), "p.a: 2 → 4");
        assert_eq!(*noted.lock().unwrap(), AWAITED);
    });
}

#[test]
fn a_hook_may_stop_and_drop_its_handle_and_plan_before() {
    bounded(|| async {
        let (bucket, live) = started().await;
        let (handle, (done, ended)) = (Mutex::new(Some(live.clone())), tokio::sync::oneshot::channel());
        let mut done = Some(done);
        live.on_change(Asking::fields().a, move |_, _| {
            let Some(handle) = handle.lock().unwrap().take() else { return };
            let plan = block_on(handle.edit().set(Asking::fields().a, 5).plan()).unwrap();
            handle.stop();
            drop(handle);
            done.take().map(|done| done.send(plan.to_string()));
        });
        drop(live);
        bucket.put("p.a", "4").await.unwrap();
        assert_eq!(ended.await.unwrap(), "p.a: 4 → 5");
    });
}

#[cfg(feature = "fleet")]
#[test]
fn a_commit_that_asks_the_fleet_is_refused_to_code_that_the_fleet_waits_for() {
    bounded(|| async {
        let (bucket, live) = started().await;
        let noted: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut plan = Some(live.edit().set(Asking::fields().a, 8).plan().await.unwrap());
        let to = Arc::clone(&noted);
        ask_next(move || {
            let commit = plan.take().map(|plan| plan.commit().author("ops").ask_fleet());
            let applied =
                commit.map(|commit| told(block_on(commit.into_future()).map(|applied| applied.revision())));
            to.lock().unwrap().extend(applied);
        });
        let revision = bucket.put("p.a", "3").await.unwrap();
        live.wait_for(revision).await.unwrap();
        let refused =
            "there is no plan: asked by code that is called to judge values: it would wait for itself";
        assert_eq!(*noted.lock().unwrap(), [refused]);
    });
}
