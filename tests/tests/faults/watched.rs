//! A handle under observation: every state of its health, and every snapshot that a reader gets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use kvconf::{Health, Live, Reader, Revision, WatchState};
use kvconf_tests::{wait_for, wait_until};
use tokio::time::timeout;

use super::ledger::{Books, Ledger};

/// How often the observer looks: several times between two changes.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The health is asked at every so many looks.
const ASK_AT: u32 = 5;

/// For how long a handle may be blind: what it takes to notice a dead watch, and some time for a machine that is busy.
const BLIND_FOR: Duration = Duration::from_secs(5);

/// How much longer than its bound something is waited for.
const LONGER: Duration = Duration::from_secs(30);

/// For how long at most it may say something untrue on top of that.
const WRONG_FOR: Duration = Duration::from_secs(1);

/// One state that the health was in.
#[derive(Debug, Clone)]
pub struct Told {
    pub at: Instant,
    pub health: Health,
}

/// What the health said at one moment.
#[derive(Debug, Clone, Copy)]
struct Claim {
    at: Instant,
    is_current: bool,
    epoch: u64,
    seen: Revision,
}

/// A handle, an observer of what it says, and one of what its readers get.
pub struct Watched {
    pub live: Live<Ledger>,
    /// The handle has converged only when it is this far: how often the bucket was made again.
    pub epoch: u64,
    /// For how long the handle may say that it is current and have missed an acknowledged write.
    pub blind_for: Duration,
    told: Arc<Mutex<Vec<Told>>>,
    recorder: tokio::task::JoinHandle<()>,
    done: Arc<AtomicBool>,
    reading: Option<JoinHandle<Seen>>,
}

/// What a reader saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub snapshots: u64,
    claims: Vec<Claim>,
}

impl Watched {
    pub fn start(live: Live<Ledger>) -> Self {
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let recorder = tokio::spawn(record(live.clone(), Arc::clone(&told)));
        let done = Arc::<AtomicBool>::default();
        let reading = std::thread::spawn({
            let (live, done) = (live.clone(), Arc::clone(&done));
            move || read(&live, live.reader(), &done)
        });
        Self { live, epoch: 0, blind_for: BLIND_FOR, told, recorder, done, reading: Some(reading) }
    }

    /// The first state after `since` that is not [`WatchState::Live`], and how long it took.
    pub async fn notices(&self, since: Instant, within: Duration) -> (Duration, Told) {
        self.says("something other than live", since, within, |state| *state != WatchState::Live).await
    }

    /// The first state after `since` that fulfils a condition, and how long it took. The health must date it rightly.
    pub async fn says(
        &self,
        what: &str,
        since: Instant,
        within: Duration,
        fulfilled: impl Fn(&WatchState) -> bool,
    ) -> (Duration, Told) {
        let found = async || {
            let told = self.told.lock().unwrap();
            told.iter().find(|told| told.at >= since && fulfilled(&told.health.state)).cloned()
        };
        // Waited for longer than is allowed, so that a failure tells by how much.
        let told = timeout(within + LONGER, wait_for(what, within + LONGER * 2, found)).await;
        let told = told.unwrap_or_else(|_| panic!("the health never said: {what}; {}", self.story()));
        let took = told.at - since;
        assert!(took <= within, "{what} after {took:?}, not within {within:?}; {}", self.story());
        let age = told.health.since.elapsed().unwrap_or_default();
        let known = told.at.elapsed();
        assert!(
            age >= known && age <= known + took + Duration::from_millis(500),
            "P5: since-when is wrong: {age:?} ago, told {known:?} ago"
        );
        (took, told)
    }

    /// Waits until the handle is current, at this revision or a later one; gives the time since `since`.
    pub async fn converges(&self, since: Instant, revision: Revision, within: Duration) -> Duration {
        let reached = self.live.wait_for_health(|health| {
            health.is_current() && health.seen >= revision && self.live.load().epoch() == self.epoch
        });
        let reached = timeout(within + LONGER, reached).await;
        reached.unwrap_or_else(|_| panic!("revision {revision} in time: {}", self.story()));
        let took = since.elapsed();
        assert!(took <= within, "converged after {took:?}, not within {within:?}: {}", self.story());
        took
    }

    /// Every state so far, in short.
    pub fn story(&self) -> String {
        let told = self.told.lock().unwrap();
        let begun = told.first().map_or_else(Instant::now, |told| told.at);
        let states = told.iter().map(|told| format!("{:.1?} {}", told.at - begun, told.health.state));
        format!("[{}] now {:?}", states.collect::<Vec<_>>().join(" | "), self.live.health())
    }

    /// How long after `since` something other than live was said, if ever.
    pub fn noticed(&self, since: Instant) -> Option<Duration> {
        let told = self.told.lock().unwrap();
        let noticed = told.iter().find(|told| told.at >= since && told.health.state != WatchState::Live);
        noticed.map(|told| told.at - since)
    }

    /// Every state after `since`.
    pub fn states(&self, since: Instant) -> Vec<WatchState> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|told| told.at >= since).map(|told| told.health.state.clone()).collect()
    }

    /// Ends the observation, and holds what the health said against what was acknowledged meanwhile.
    pub async fn finish(mut self, books: &Books) -> Seen {
        let newest = self.live.load().revision();
        wait_until("the reader sees the last snapshot", Duration::from_secs(10), async || {
            self.live.load().revision() >= newest
        })
        .await;
        let reading = self.end().expect("it runs until now");
        let seen = tokio::task::spawn_blocking(|| reading.join()).await.unwrap();
        let seen = seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_truth(&seen.claims, books, self.blind_for, &self.story());
        seen
    }

    fn end(&mut self) -> Option<JoinHandle<Seen>> {
        self.recorder.abort();
        self.done.store(true, Ordering::SeqCst);
        self.reading.take()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.end();
    }
}

async fn record(live: Live<Ledger>, told: Arc<Mutex<Vec<Told>>>) {
    loop {
        let last = told.lock().unwrap().last().map(|told| told.health.state.clone());
        let health = live.wait_for_health(|health| Some(&health.state) != last.as_ref()).await;
        told.lock().unwrap().push(Told { at: Instant::now(), health });
    }
}

/// Reads until `done`. P1, P2, P4: every snapshot is whole, and none is older than one before.
fn read(live: &Live<Ledger>, mut reader: Reader<Ledger>, done: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let (mut last, mut looks) = (None, 0_u32);
    loop {
        let is_last = done.load(Ordering::SeqCst);
        let snapshot = reader.load();
        let now = (snapshot.epoch(), snapshot.revision(), snapshot.count);
        if last != Some(now) {
            snapshot.assert_whole();
            assert!(last.is_none_or(|last| is_later(now, last)), "P4: {now:?} after {last:?}");
            assert_eq!(snapshot.rejected().len(), 0, "nothing bad was written");
            last = Some(now);
            seen.snapshots += 1;
        }
        if looks.is_multiple_of(ASK_AT) {
            let (at, epoch) = (Instant::now(), live.load().epoch());
            let health = live.health();
            assert!(health.since <= SystemTime::now(), "P5: since-when lies in the future");
            assert!(health.is_ready());
            seen.claims.push(Claim { at, is_current: health.is_current(), epoch, seen: health.seen });
        }
        looks += 1;
        if is_last {
            return seen;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Whether a reader may get this state after that one: epoch, revision and count. The count is only ever raised, or all is
/// purged.
fn is_later(now: (u64, Revision, u64), before: (u64, Revision, u64)) -> bool {
    now.0 > before.0 || (now.0 == before.0 && now.1 >= before.1 && (now.2 >= before.2 || now.2 == 0))
}

/// P5: whoever says for a while that it is current has what was acknowledged before.
///
/// For a while: in the moment when a leader that was parted from its cluster is back, it still answers as one.
fn assert_truth(claims: &[Claim], books: &Books, blind_for: Duration, story: &str) {
    let last_epoch = claims.last().map_or(0, |claim| claim.epoch);
    let mut acknowledged = books.acknowledgements.iter().peekable();
    let (mut due, mut untrue_since) = (Revision::ZERO, None);
    for claim in claims.iter().filter(|claim| claim.epoch == last_epoch) {
        while let Some((_, revision)) = acknowledged.next_if(|(at, _)| *at + blind_for <= claim.at) {
            due = due.max(*revision);
        }
        if !claim.is_current || claim.seen >= due {
            untrue_since = None;
            continue;
        }
        let since = *untrue_since.get_or_insert(claim.at);
        assert!(
            claim.at - since < WRONG_FOR,
            "P5: it says that it is current at {}, and {due} was acknowledged {blind_for:?} before; {story}",
            claim.seen
        );
    }
}
