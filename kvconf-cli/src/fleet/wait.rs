//! Waiting for the fleet after a change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kvconf::fleet::{FleetError, FleetWait, FleetWaitError, Progress};
use kvconf::{Applied, Bucket, Key, Revision};
use serde_json::{Value, json};

use super::FleetArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::watched;
use crate::session::Session;

impl From<FleetWaitError> for Failure {
    fn from(error: FleetWaitError) -> Self {
        match error {
            error @ FleetWaitError::Ask(FleetError::Silent) => Self::new(Exit::Failed, error)
                .hint("the change stands; `kvconf fleet` asks again who is there"),
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
    let newest: Arc<Mutex<Option<Progress>>> = Arc::default();
    let told = Arc::clone(&newest);
    let waiting = waiting.on_progress(move |progress| {
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(*progress);
    });
    let text = |since: Duration| line(*newest.lock().unwrap_or_else(PoisonError::into_inner), since);
    let waiting = watched(&session.out, text, waiting.into_future());
    let interrupt = session.interrupts.attend().await;
    let outcome = tokio::select! {
        outcome = waiting => outcome,
        () = interrupt.wait() => {
            let words = if args.or_rollback {
                "interrupted while the fleet was waited for: the change stands, unless it was just being taken back"
            } else {
                "interrupted while the fleet was waited for: the change stands"
            };
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

/// Fits into 40 columns for any number that there is.
fn line(progress: Option<Progress>, since: Duration) -> String {
    let since = since.as_secs();
    match progress {
        None => format!("asking the fleet … {since} s"),
        Some(progress) => {
            format!("{} of {} have it … {since} s", progress.applied, progress.asked + progress.missing)
        }
    }
}
