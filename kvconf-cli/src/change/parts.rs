//! Waiting for a change that is being written: how far it is, and what is known of it after Ctrl-C.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kvconf::Applied;

use super::keys_were;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{Output, bar, waiting, watched};
use crate::session::Session;

/// How long an answer is waited for after Ctrl-C: an atomic batch is answered within milliseconds or not at all.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(2);

/// A write with somebody beside it who may press Ctrl-C.
pub(crate) struct Attended {
    interrupt: Interrupt,
    keys: usize,
    far: Arc<Far>,
}

/// How far a change in parts is, and whether it is to go on.
#[derive(Default)]
struct Far {
    written: AtomicUsize,
    stops: AtomicBool,
}

/// What was known at the end, after Ctrl-C.
pub(crate) struct LastWord<E> {
    keys: usize,
    written: usize,
    /// `None` where no answer came in time.
    outcome: Option<Result<Applied, E>>,
}

impl Attended {
    /// Attends to a write of so many keys.
    pub(crate) async fn new(session: &Session, keys: usize) -> Self {
        Self { interrupt: session.interrupts.attend().await, keys, far: Arc::default() }
    }

    /// To be told of each part.
    pub(crate) fn on_part(&self) -> impl FnMut(usize) -> ControlFlow<()> + Send + use<> {
        let far = Arc::clone(&self.far);
        move |written| {
            far.written.store(written, Ordering::Relaxed);
            if far.stops.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }

    /// Waits for the write. After Ctrl-C it ends with the part that is on its way, and an answer to that is waited for
    /// only for a moment more.
    pub(crate) async fn attend<E>(
        self,
        out: &Output,
        write: impl Future<Output = Result<Applied, E>>,
    ) -> Result<Result<Applied, E>, LastWord<E>> {
        let text = |since| match self.far.written.load(Ordering::Relaxed) {
            0 => waiting("writing", since),
            written => bar(written as u64, Some(self.keys as u64)),
        };
        let mut write = std::pin::pin!(watched(out, text, write));
        tokio::select! {
            biased;
            outcome = &mut write => return Ok(outcome),
            () = self.interrupt.wait() => {}
        }
        self.far.stops.store(true, Ordering::Relaxed);
        let outcome = tokio::time::timeout(LAST_WORD_WITHIN, write).await.ok();
        Err(LastWord { keys: self.keys, written: self.far.written.load(Ordering::Relaxed), outcome })
    }
}

impl<E: Into<Failure>> LastWord<E> {
    /// In words: what was written and what was not. `stopped` tells of an error that is none, but the stop that Ctrl-C asked
    /// for, how many keys were written and how many were not.
    pub(crate) fn told(
        self,
        change: Option<&str>,
        stopped: impl FnOnce(E) -> Result<(usize, usize), E>,
    ) -> Failure {
        let Self { keys, written, outcome } = self;
        let fail = |words: String| Failure::new(Exit::Interrupted, words);
        let revert = |change: &str| format!("kvconf revert {change} takes back what was written");
        match outcome {
            Some(Ok(applied)) => {
                let (keys_were, revision) = (keys_were(keys), applied.revision());
                fail(format!("interrupted; {keys_were} written before, up to revision {revision}"))
                    .hint(format!("kvconf revert {}", applied.change()))
            }
            Some(Err(error)) => match stopped(error) {
                Ok((written, left)) => {
                    let failure = fail(format!("interrupted; {written} of {keys} keys were written, {left} were not"));
                    let failure = failure.hint("run this again: it goes on where it stopped");
                    change.map(revert).into_iter().fold(failure, Failure::hint)
                }
                Err(error) => error.into().exiting(Exit::Interrupted),
            },
            None if written > 0 => fail(format!(
                "interrupted; {written} of {keys} keys were written, and some of the others may have been or not"
            ))
            .hint("run this again: it goes on where it stopped"),
            None => {
                let keys_were = keys_were(keys);
                fail(format!("interrupted while {keys_were} being written: they may have been written or not"))
                    .hint(change.map_or_else(|| "kvconf log".to_owned(), |change| format!("kvconf show {change}")))
            }
        }
    }
}
