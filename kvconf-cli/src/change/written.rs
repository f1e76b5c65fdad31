//! What all changes have in common once their plan has been shown: somebody agrees, and the outcome is told. `parts`
//! has what lies between.

use kvconf::Applied;
use serde_json::Value;

use super::{WriteArgs, author, counted, with};
use crate::failure::Outcome;
use crate::fleet;
use crate::output::Table;
use crate::secrecy::Secrecy;
use crate::session::Session;

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
