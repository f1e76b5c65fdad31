//! What is written during a fault, and by whom: numbers of which every state of the bucket must agree.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::Client;
use kvconf::{Attribution, Bucket, CommitError, Entry, KvConfig, Live, Revision, WriteError};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How often each writer writes. Fast enough for hundreds of writes in a fault, slow enough for many faults on one machine.
const PACE: Duration = Duration::from_millis(30);

/// No checks: a torn state must be seen, not rejected.
#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "ledger")]
pub struct Ledger {
    /// Raised by one with every increment.
    #[kv(default = 0)]
    pub count: u64,
    /// How many of them each writer made.
    #[kv(entries)]
    pub by: BTreeMap<String, u64>,
    /// What goes its own way.
    #[kv(entries)]
    pub noise: BTreeMap<String, u64>,
}

impl Ledger {
    /// Asserts that it is a state that the bucket had: every increment is a change of two keys.
    pub fn assert_whole(&self) {
        assert_eq!(self.count, self.by.values().sum::<u64>(), "P2: torn {self:?}");
    }
}

/// What became of one writer's increments.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    /// Of which nobody could say whether they were made when they ended.
    unconfirmed: u64,
    /// Those of the unconfirmed that the next acknowledged increment was based on.
    landed: u64,
    /// Ended with the word that nothing was written.
    failed: u64,
    /// What the failures said.
    words: BTreeMap<String, u64>,
    /// When which revision was acknowledged.
    acknowledgements: Vec<(Instant, Revision)>,
}

impl Tally {
    /// Takes note of an acknowledged increment that found `based_on` of this writer's own; an error when that cannot be.
    fn acknowledge(&mut self, based_on: u64, revision: Revision) -> Result<(), String> {
        // Only this writer changes its number: what stands there was acknowledged, or is one of the unconfirmed. One that
        // lands later than this loses the comparison.
        let Some(landed) = based_on.checked_sub(self.acknowledged) else {
            return Err("P6: acknowledged increments are lost".to_owned());
        };
        if landed > self.unconfirmed {
            return Err("P6: an increment is there that was not made".to_owned());
        }
        self.landed = landed;
        self.acknowledged += 1;
        self.acknowledgements.push((Instant::now(), revision));
        Ok(())
    }

    fn fail(&mut self, error: &CommitError) {
        match error {
            CommitError::Write(WriteError::Unconfirmed { .. }) => self.unconfirmed += 1,
            _ => self.failed += 1,
        }
        *self.words.entry(words(error)).or_default() += 1;
    }
}

/// An error with its causes.
pub fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// Writers that raise the same number by compare-and-swap, each on a connection of its own.
pub struct Writers {
    tasks: JoinSet<()>,
    tallies: Vec<Arc<Mutex<Tally>>>,
    end: CancellationToken,
}

/// What the writers did, when all is over.
#[derive(Debug, Default)]
pub struct Books {
    /// What the number must be: every acknowledged increment, and the unconfirmed ones that were made after all.
    pub total: u64,
    pub acknowledged: u64,
    pub unconfirmed: u64,
    pub landed: u64,
    pub failed: u64,
    /// In the order of time.
    pub acknowledgements: Vec<(Instant, Revision)>,
}

impl Writers {
    pub async fn start(clients: Vec<Client>, bucket: &str) -> Self {
        let (mut tasks, mut tallies, end) = (JoinSet::new(), Vec::new(), CancellationToken::new());
        for (number, client) in clients.into_iter().enumerate() {
            let bucket = Bucket::open(&client, bucket).await.unwrap();
            let live = bucket.live::<Ledger>().start().await.unwrap();
            let tally = Arc::<Mutex<Tally>>::default();
            tasks.spawn(write(live, bucket, format!("w{number}"), Arc::clone(&tally), end.clone()));
            tallies.push(tally);
        }
        Self { tasks, tallies, end }
    }

    /// The newest revision that was acknowledged so far.
    pub fn newest(&self) -> Revision {
        let last =
            |tally: &Mutex<Tally>| tally.lock().unwrap().acknowledgements.last().map(|(_, last)| *last);
        self.tallies.iter().filter_map(|tally| last(tally)).max().unwrap_or_default()
    }

    /// What their failures said so far.
    pub fn words(&self) -> BTreeMap<String, u64> {
        let mut words = BTreeMap::new();
        for tally in &self.tallies {
            for (text, count) in &tally.lock().unwrap().words {
                *words.entry(text.clone()).or_default() += count;
            }
        }
        words
    }

    /// Waits until every writer makes increments from now on: none of them loses all of its races.
    pub async fn go_on(&self, within: Duration) {
        let each = || {
            let of = |tally: &Arc<Mutex<Tally>>| tally.lock().unwrap().acknowledged;
            self.tallies.iter().map(of).collect::<Vec<_>>()
        };
        let before = each();
        let gone_on = kvconf_tests::wait_until("writers make increments", within * 2, async || {
            each().iter().zip(&before).all(|(now, before)| *now >= before + 2)
        });
        let gone_on = timeout(within, gone_on).await;
        gone_on.unwrap_or_else(|_| {
            panic!("acknowledged {before:?}, then {:?} within {within:?}: {:?}", each(), self.words())
        });
    }

    /// Ends the writers with one more acknowledged increment each, which settles what became of the unconfirmed ones.
    pub async fn finish(mut self, within: Duration) -> Books {
        self.end.cancel();
        let ended = timeout(within, async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            }
        });
        ended
            .await
            .unwrap_or_else(|_| panic!("writers do not get through within {within:?}: {:?}", self.words()));
        let mut books = Books::default();
        for tally in self.tallies {
            let tally = std::mem::take(&mut *tally.lock().unwrap());
            books.total += tally.acknowledged + tally.landed;
            books.acknowledged += tally.acknowledged;
            books.unconfirmed += tally.unconfirmed;
            books.landed += tally.landed;
            books.failed += tally.failed;
            books.acknowledgements.extend(tally.acknowledgements);
        }
        books.acknowledgements.sort();
        books
    }
}

/// Increments until the end, then once more until it is acknowledged.
async fn write(
    live: Live<Ledger>,
    bucket: Bucket,
    name: String,
    tally: Arc<Mutex<Tally>>,
    end: CancellationToken,
) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (begun, mut attempts) = (Instant::now(), Vec::new());
    loop {
        pace.tick().await;
        // Looked at before the write: the last one begins after the end was said.
        let is_last = end.is_cancelled();
        let mut based_on = 0;
        let increment = live.update(|ledger| {
            let own = ledger.by.entry(name.clone()).or_default();
            based_on = *own;
            *own += 1;
            ledger.count += 1;
        });
        let outcome = increment.author(&name).reason(format!("attempt {}", attempts.len())).await;
        let told =
            outcome.as_ref().map_or_else(|error| words(error), |applied| applied.revision().to_string());
        attempts.push(format!(
            "attempt {} on {based_on}, until {:.3?}: {told}",
            attempts.len(),
            begun.elapsed()
        ));
        let wrong = {
            let mut tally = tally.lock().unwrap();
            match outcome {
                Ok(applied) => tally.acknowledge(based_on, applied.revision()).err(),
                Err(error) => {
                    tally.fail(&error);
                    continue;
                }
            }
        };
        if let Some(wrong) = wrong {
            let last = &attempts[attempts.len().saturating_sub(8)..];
            let history = bucket.history(format!("ledger.by.{name}")).await.map(|entries| {
                let entry =
                    |entry: &Entry| format!("{} {:?} {}", entry.revision(), entry.value(), reason(entry));
                entries.iter().rev().take(8).map(entry).collect::<Vec<_>>()
            });
            panic!("{wrong}: {last:#?}, the newest first: {history:#?}");
        }
        if is_last {
            return;
        }
    }
}

fn reason(entry: &Entry) -> String {
    let Attribution { reason, change, .. } = Attribution::of(entry);
    format!("{reason:?} {change:?}")
}
