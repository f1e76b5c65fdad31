//! From a plan that nothing speaks against to what was written. Every changing verb goes this way: instances are asked,
//! somebody agrees, it is one change set, and a plan that has become stale meanwhile is to be made anew and shown again.

use kvconf::fleet::PreflightRequest;
use kvconf::{Applied, Bucket, Conflict};
use serde_json::{Value, json};

use super::{WriteArgs, agree, finish, tell_written, with};
use crate::failure::{Failure, Outcome};
use crate::fleet;
use crate::output::Table;
use crate::secrecy::Secrecy;
use crate::session::Session;

/// A plan, however it came about.
pub(crate) trait Planned {
    /// Why it could not be written.
    type Error: Into<Failure>;

    /// How many keys it writes.
    fn keys(&self) -> usize;

    /// Asks the instances about it.
    fn preflight(&self) -> PreflightRequest;

    /// What somebody who is asked has to see where it was not shown.
    fn table(&self, secrecy: Secrecy) -> Table;

    /// As JSON.
    fn document(&self, secrecy: Secrecy) -> Value;

    /// Writes it: the outcome of the write; a failure of its own after Ctrl-C, with what is known then.
    async fn write(self, session: &Session, args: &WriteArgs) -> Outcome<Result<Applied, Self::Error>>;

    /// The other author, where that is why.
    fn conflict(error: Self::Error) -> Result<Box<Conflict>, Self::Error>;
}

/// How it ended.
pub(crate) enum Done {
    Written(Applied),
    /// It was only to be shown.
    Shown,
    /// Something else stands there now. It has been told.
    Stale(Box<Conflict>),
}

/// Asks the fleet, asks the person, writes, and tells what was written.
pub(crate) async fn carry_out<P: Planned>(
    session: &mut Session,
    bucket: &Bucket,
    args: &WriteArgs,
    plan: P,
) -> Outcome<Done> {
    let fleet = fleet::preflight(session, plan.preflight(), &args.fleet, args.force).await?;
    if args.dry_run {
        if let Some(fleet) = fleet.filter(|_| session.out.is_json()) {
            session.out.json(&json!({ "fleet": fleet }))?;
        }
        return Ok(Done::Shown);
    }
    agree(session, args, plan.keys(), |secrecy| plan.table(secrecy)).await?;
    let document = session.out.is_json().then(|| plan.document(session.out.secrecy()));
    let document = document.map(|document| with(document, "fleet", fleet));
    match plan.write(session, args).await?.map_err(P::conflict) {
        Ok(applied) => {
            let tell = |session: &mut Session, shown| tell_written(session, bucket, shown, &applied);
            finish(session, document, &applied, args, tell).await?;
            Ok(Done::Written(applied))
        }
        // Whoever answered beforehand has not seen what stands there now.
        Err(Ok(conflict)) if !args.yes => {
            session.out.note(format!("{conflict}\nthis is the plan for what stands there now:"))?;
            Ok(Done::Stale(conflict))
        }
        Err(Ok(conflict)) => Err(conflict.into()),
        Err(Err(error)) => Err(error.into()),
    }
}
