//! A program's own code that asks the handle on whose behalf it is called.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Bucket, KvConfig, Live, OverrideError, Validation};

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
    std::thread::spawn(move || {
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
