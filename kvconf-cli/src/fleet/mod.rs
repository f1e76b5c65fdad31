//! The running instances: how they are shown, and how a verb asks them before and after a change.

mod args;
mod show;
pub(crate) mod wait;

use kvconf::CommitError;
use kvconf::fleet::{FleetError, Opinion, Preflight, PreflightRequest};
use serde_json::Value;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome, of_read};
use crate::output::patiently;
use crate::session::Session;

pub(crate) use args::{FleetArgs, time};
pub(crate) use show::{faults_of, table};

impl From<FleetError> for Failure {
    fn from(error: FleetError) -> Self {
        let (exit, hint) = match &error {
            FleetError::Ask(read) => of_read(read),
            FleetError::TooLarge { .. } | FleetError::TooMany { .. } => {
                (Exit::Invalid, Some("--no-preflight writes it without asking".to_owned()))
            }
            _ => (Exit::Failed, None),
        };
        let failure = Self::new(exit, error);
        if let Some(hint) = hint { failure.hint(hint) } else { failure }
    }
}

/// Asks the instances about a plan, tells what they say, and stops where one rejects it. Gives what is to stand in the
/// plan's JSON.
pub(crate) async fn preflight(
    session: &mut Session,
    request: PreflightRequest,
    args: &FleetArgs,
    force: bool,
) -> Outcome<Option<Value>> {
    if args.no_preflight {
        return Ok(None);
    }
    let request = if let Some(instances) = args.expect { request.expect(instances) } else { request };
    let asked = patiently("asking the fleet", &session.out, request.into_future()).await;
    let verdict = match asked {
        Ok(verdict) => verdict,
        // Most users who may write one prefix may not ask, and most fleets do not answer: no reason not to write.
        Err(FleetError::Ask(error)) if args.expect.is_none() => {
            session.out.note(format!("the fleet was not asked: {error}"))?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(instances) = args.expect.filter(|instances| verdict.votes().len() < *instances) {
        let words = format!("{} of {instances} instances answer", verdict.votes().len());
        return Err(Failure::new(Exit::Refused, words).hint("kvconf fleet lists them"));
    }
    if verdict.votes().is_empty() {
        if verdict.roster().is_silent() {
            session.out.note(format!("the fleet was asked in vain: {verdict}"))?;
        }
        return Ok(None);
    }
    let document = serde_json::to_value(&verdict).map_err(|error| Failure::new(Exit::Failed, error))?;
    if verdict.is_rejected() && !force {
        return Err(rejected(verdict));
    }
    if !session.out.is_json() && concerns_somebody(&verdict) {
        session.out.line(format!("fleet: {verdict}"))?;
    }
    Ok(Some(document))
}

fn concerns_somebody(verdict: &Preflight) -> bool {
    verdict.votes().iter().any(|vote| vote.opinion != Opinion::NotConcerned)
}

fn rejected(verdict: Preflight) -> Failure {
    let error = CommitError::Rejected(Box::new(verdict));
    Failure::new(Exit::Refused, error).hint("mend it, or write it all the same with --force --reason TEXT")
}
