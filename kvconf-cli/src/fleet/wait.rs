//! Waiting for the fleet after a change.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use kvconf::fleet::{FleetWait, FleetWaitError, Progress};
use kvconf::{Applied, Bucket, Key, Revision};
use serde_json::{Value, json};

use super::FleetArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::session::Session;

/// What is faster is not worth a line.
const SILENT_FOR: Duration = Duration::from_secs(1);

impl From<FleetWaitError> for Failure {
    fn from(error: FleetWaitError) -> Self {
        match error {
            FleetWaitError::Ask(error) => error.into(),
            error @ FleetWaitError::Short(_) => Self::new(Exit::Differs, error)
                .hint("the change stands; `kvconf fleet` shows who lags or rejects"),
            error @ FleetWaitError::TakenBack { .. } => Self::new(Exit::Refused, error),
            error => Self::new(Exit::Failed, error).hint("kvconf log shows what stands there"),
        }
    }
}

/// What came of waiting.
#[derive(Default)]
pub(crate) struct Waited {
    /// What the instances said, for JSON; `None` where nobody was to be waited for.
    pub(crate) document: Option<Value>,
    /// Why the run has failed, though the change was made.
    pub(crate) failure: Option<Failure>,
}

/// Waits until enough instances have a change, if that is asked for, and tells people.
pub(crate) async fn wait(session: &mut Session, applied: &Applied, args: &FleetArgs, author: &str) -> Waited {
    let way_back = format!("kvconf revert {}", applied.change());
    run(session, applied.wait_for_fleet().author(author), args, &way_back).await
}

/// The same for what several change sets have written, which nothing takes back as one.
pub(crate) async fn wait_for_keys(
    session: &mut Session,
    bucket: &Bucket,
    written: Vec<(Key, Revision)>,
    args: &FleetArgs,
) -> Waited {
    run(session, bucket.fleet().wait_for(written), args, "kvconf log").await
}

async fn run(session: &mut Session, waiting: FleetWait, args: &FleetArgs, way_back: &str) -> Waited {
    let Some(share) = args.wait else { return Waited::default() };
    let mut waiting = waiting.share(share);
    if let Some(within) = args.within {
        waiting = waiting.within(within);
    }
    if let Some(instances) = args.expect {
        waiting = waiting.expect(instances);
    }
    if args.or_rollback {
        waiting = waiting.or_rollback();
    }
    let mut line = Line::new(!session.out.is_json_asked());
    let waiting = waiting.on_progress(move |progress| line.draw(progress)).into_future();
    let interrupt = Interrupt::listen().await;
    let outcome = tokio::select! {
        outcome = waiting => outcome,
        () = interrupt.wait() => {
            let words = "interrupted while the fleet was waited for: the change stands";
            let failure = Failure::new(Exit::Interrupted, words).hint(way_back);
            return Waited { document: None, failure: Some(failure) };
        }
    };
    let status = match &outcome {
        Ok(status) => Some(status),
        Err(error) => error.status(),
    };
    let document = status.map(|status| {
        json!({
            "progress": status.progress(), "instances": status.instances(),
            "took_ms": u64::try_from(status.took().as_millis()).unwrap_or(u64::MAX),
        })
    });
    let failure = match outcome {
        Ok(_) if session.out.is_json() => None,
        Ok(status) => session.out.line(format!("fleet: {status}")).err(),
        Err(error @ (FleetWaitError::TakenBack { .. } | FleetWaitError::Ask(_))) => Some(error.into()),
        Err(error) => Some(Failure::from(error).hint(way_back)),
    };
    Waited { document, failure }
}

/// The progress on one line of the terminal, where there is one.
struct Line {
    is_shown: bool,
    begun: Instant,
    has_drawn: bool,
}

impl Line {
    fn new(is_wanted: bool) -> Self {
        Self { is_shown: is_wanted && io::stderr().is_terminal(), begun: Instant::now(), has_drawn: false }
    }

    fn draw(&mut self, progress: &Progress) {
        if !self.is_shown || self.begun.elapsed() < SILENT_FOR {
            return;
        }
        self.has_drawn = true;
        // Nobody is harmed by a line that does not appear.
        let _ = write!(io::stderr(), "\r\x1b[K{}/{} have it", progress.applied, progress.asked);
        let _ = io::stderr().flush();
    }
}

/// Takes the line away.
impl Drop for Line {
    fn drop(&mut self) {
        if self.has_drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
            let _ = io::stderr().flush();
        }
    }
}
