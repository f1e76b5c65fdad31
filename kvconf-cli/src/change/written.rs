//! What all changes have in common once their plan has been shown: somebody agrees, it is written, Ctrl-C is heard, and the
//! outcome is told.

use std::future::IntoFuture;
use std::time::Duration;

use kvconf::Applied;
use serde_json::Value;

use super::{WriteArgs, author, counted, with};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::fleet;
use crate::interrupt::Interrupt;
use crate::output::Table;
use crate::secrecy::Secrecy;
use crate::session::Session;

/// How long an answer is waited for after Ctrl-C: an atomic batch is answered within milliseconds or not at all.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(2);

/// Asks whether so many keys are to be written, with what is to be seen before it where that was not shown yet.
pub(crate) async fn agree(
    session: &mut Session,
    args: &WriteArgs,
    keys: usize,
    table: impl FnOnce(Secrecy) -> Table,
) -> Outcome {
    if args.yes {
        return Ok(());
    }
    if session.out.is_json() && session.is_attended() {
        let table = table(session.out.secrecy());
        session.out.aside(&table)?;
    }
    session.confirm(&format!("Write {}?", counted(keys, "key")), "--yes").await
}

/// Why a commit did not end as it was to.
pub(crate) enum Stopped<E> {
    Failed(E),
    Interrupted(Failure),
}

/// Waits for a commit, and after Ctrl-C for a moment more: then it says what is known. `look` tells what is not.
pub(crate) async fn attend<C, E>(commit: C, keys: usize, look: &str) -> Result<Applied, Stopped<E>>
where
    C: IntoFuture<Output = Result<Applied, E>>,
    Failure: From<E>,
{
    let interrupt = Interrupt::listen().await;
    let mut commit = Box::pin(commit.into_future());
    tokio::select! {
        biased;
        outcome = &mut commit => return outcome.map_err(Stopped::Failed),
        () = interrupt.wait() => {}
    }
    let failure = match tokio::time::timeout(LAST_WORD_WITHIN, commit).await {
        Ok(Ok(applied)) => {
            let (keys, revision) = (counted(applied.written().len(), "key"), applied.revision());
            let words = format!("interrupted; {keys} were written before, up to revision {revision}");
            Failure::new(Exit::Interrupted, words).hint(format!("kvconf revert {}", applied.change()))
        }
        Ok(Err(error)) => Failure::from(error).exiting(Exit::Interrupted),
        Err(_) => {
            let keys = counted(keys, "key");
            let words =
                format!("interrupted while {keys} were being written: they may have been written or not");
            Failure::new(Exit::Interrupted, words).hint(look)
        }
    };
    Err(Stopped::Interrupted(failure))
}

/// Tells what was written, and waits for the fleet if that was asked for: in JSON it is one document. `tell` gets that
/// document; for people there is none.
pub(crate) async fn finish(
    session: &mut Session,
    shown: Option<Value>,
    applied: &Applied,
    args: &WriteArgs,
    tell: impl FnOnce(&mut Session, Option<Value>) -> Outcome,
) -> Outcome {
    let by = author(args.author.as_deref());
    let Some(shown) = shown else {
        tell(session, None)?;
        let waited = fleet::wait::wait(session, applied, &args.fleet, &by).await;
        return waited.failure.map_or(Ok(()), Err);
    };
    let waited = fleet::wait::wait(session, applied, &args.fleet, &by).await;
    tell(session, Some(with(shown, "settled", waited.document)))?;
    waited.failure.map_or(Ok(()), Err)
}
