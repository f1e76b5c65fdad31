//! How `rollback` and `revert` make their change: what a plan of theirs is, how it is shown and what keeps it from being
//! written.

use std::future::IntoFuture;

use kvconf::fleet::PreflightRequest;
use kvconf::{Applied, CommitError, Conflict, PastError, PlainKeys, Rollback, RollbackError, RollbackPlan};
use serde_json::{Value, json};

use crate::change::{
    Attended, Done, Planned, WriteArgs, carry_out, counted, differences_table, hold_against_schemas,
    on_terms_in_parts, tell_unchecked, value_json,
};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Table, patiently, rfc3339};
use crate::schemas;
use crate::secrecy::Secrecy;
use crate::session::Session;

/// What was good once need not be so any more: published schemas judge it as any other change.
async fn judge(session: &mut Session, plan: &RollbackPlan, args: &WriteArgs) -> Outcome {
    let changes = schemas::changes(plan.values().map(|(key, _, then)| (key, then)));
    let bucket = session.bucket().await?;
    let judged = hold_against_schemas(session, &bucket, args, |_| Ok(changes)).await?;
    for report in &judged.reports {
        if report.is_fatal() && !args.force {
            let failure = Failure::new(Exit::Refused, report.clone());
            return Err(failure.hint("write it all the same with --force --reason TEXT"));
        }
        session.out.note(report)?;
    }
    tell_unchecked(session, &judged)
}

/// What becomes of a plan after which nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// It is a plan like any other.
    Taken,
    /// It is taken for a slip in a number or a date.
    Refused,
}

/// Whether there was anything to be taken back, or it was so already.
pub(crate) enum Found {
    Keys,
    /// No key that was asked for has a value, or had one then.
    None,
}

/// Why a plan would leave nothing, unless that is what is wanted: of one key alone it is.
fn leaves_nothing(plan: &RollbackPlan, nothing: Nothing) -> Option<Failure> {
    let removed = plan.values().filter(|(_, _, then)| then.is_none()).count();
    let is_all = removed == plan.values().count() && plan.unchanged().is_empty() && plan.lost().is_empty();
    if nothing == Nothing::Taken || removed < 2 || !is_all {
        return None;
    }
    let when = plan.revision().map(|revision| format!(" at revision {revision}")).unwrap_or_default();
    let words = format!("none of these keys had a value{when}: all {removed} would be removed");
    let failure = Failure::new(Exit::Refused, words);
    Some(failure.hint("kvconf log has the revisions").hint("--to-nothing removes them all the same"))
}

/// Plans, shows, asks and writes; `rollback` is called again when the plan has become stale.
pub(crate) async fn take_back(
    session: &mut Session,
    args: &WriteArgs,
    nothing: Nothing,
    rollback: impl Fn() -> Rollback<PlainKeys>,
) -> Outcome<Found> {
    let bucket = session.bucket().await?;
    loop {
        let plan = patiently("planning", &session.out, rollback().plan()).await?;
        if plan.is_empty() && plan.unchanged().is_empty() && plan.lost().is_empty() {
            return Ok(Found::None);
        }
        let is_last = args.dry_run || plan.is_empty() || obstacle(&plan, args).is_some();
        if !session.out.is_json() {
            tell(session, &plan)?;
        } else if is_last {
            let document = plan_json(&plan, session.out.secrecy());
            session.out.json(&document)?;
        }
        if let Some(failure) = obstacle(&plan, args).or_else(|| leaves_nothing(&plan, nothing)) {
            return Err(failure);
        }
        if plan.is_empty() {
            return Ok(Found::Keys);
        }
        judge(session, &plan, args).await?;
        if !matches!(carry_out(session, &bucket, args, plan).await?, Done::Stale(_)) {
            return Ok(Found::Keys);
        }
    }
}

impl Planned for RollbackPlan {
    type Error = RollbackError;

    fn keys(&self) -> usize {
        self.values().count()
    }

    fn preflight(&self) -> PreflightRequest {
        self.preflight()
    }

    fn table(&self, secrecy: Secrecy) -> Table {
        differences_table(self.values(), secrecy)
    }

    fn document(&self, secrecy: Secrecy) -> Value {
        plan_json(self, secrecy)
    }

    async fn write(self, session: &Session, args: &WriteArgs) -> Outcome<Result<Applied, RollbackError>> {
        let attended = Attended::new(session, self.keys()).await;
        let commit = on_terms_in_parts!(self.commit(), args, attended);
        let change = commit.change().to_owned();
        match attended.attend(&session.out, commit.into_future()).await {
            Ok(outcome) => Ok(outcome),
            Err(last_word) => Err(last_word.told(Some(&change), |error| match error {
                RollbackError::Commit(CommitError::Stopped { written, left }) => Ok((written.len(), left)),
                other => Err(other),
            })),
        }
    }

    fn conflict(error: RollbackError) -> Result<Box<Conflict>, RollbackError> {
        match error {
            RollbackError::Conflict(conflict) => Ok(conflict),
            error => Err(error),
        }
    }
}

/// What keeps the plan from being written, whoever agrees.
fn obstacle(plan: &RollbackPlan, args: &WriteArgs) -> Option<Failure> {
    match plan.obstacle()? {
        RollbackError::TooMany { .. } if args.in_parts => None,
        RollbackError::Invalid(_) if args.force => None,
        error => Some(error.into()),
    }
}

fn tell(session: &mut Session, plan: &RollbackPlan) -> Outcome {
    let out = &mut session.out;
    let table = differences_table(plan.values(), out.secrecy());
    if let Some(revision) = plan.revision() {
        out.line(format!("back to revision {revision}"))?;
    }
    out.table(&table)?;
    if plan.is_empty() && plan.lost().is_empty() {
        out.line("nothing to change: it stands so already")?;
    } else if !plan.unchanged().is_empty() {
        let are = if plan.unchanged().len() == 1 { "is" } else { "are" };
        out.line(format!("  {} {are} so already", counted(plan.unchanged().len(), "key")))?;
    }
    for key in plan.without_ttl() {
        out.line(format!("  {key} had a time to live and returns for good"))?;
    }
    Ok(())
}

fn plan_json(plan: &RollbackPlan, secrecy: Secrecy) -> Value {
    let changes: Vec<Value> = plan
        .values()
        .map(|(key, before, after)| {
            let value = |value| value_json(secrecy, key, value);
            json!({ "key": key.as_str(), "before": value(before), "after": value(after) })
        })
        .collect();
    let lost: Vec<Value> = plan
        .lost()
        .iter()
        .map(|lost| json!({ "key": lost.key, "known_since": lost.known_since.map(kvconf::Revision::get) }))
        .collect();
    let since: Vec<Value> = plan
        .changed_since()
        .iter()
        .map(|since| {
            json!({
                "key": since.key.as_str(), "revision": since.revision.get(), "author": since.by.author.as_deref(),
                "reason": since.by.reason.as_deref(), "time": rfc3339(since.at),
            })
        })
        .collect();
    let without_ttl: Vec<&str> = plan.without_ttl().iter().map(kvconf::Key::as_str).collect();
    json!({
        "to": plan.revision().map(kvconf::Revision::get),
        "changes": changes,
        "unchanged": plan.unchanged().len(),
        "lost": lost,
        "changed_since": since,
        "without_ttl": without_ttl,
        "parts": plan.parts(),
    })
}

impl From<RollbackError> for Failure {
    fn from(error: RollbackError) -> Self {
        match error {
            RollbackError::Read(error) => error.into(),
            RollbackError::Commit(error) => error.into(),
            RollbackError::Lost { ref keys, .. } => {
                let hint = keys.first().map(|lost| format!("kvconf history {}", lost.key));
                let failure = Self::new(Exit::Refused, error);
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            RollbackError::Conflict(conflict) => conflict.into(),
            RollbackError::ChangedSince(_) => {
                Self::new(Exit::Refused, error).hint("kvconf rollback KEY --to REVISION takes those back too")
            }
            RollbackError::UnknownChange { .. } => Self::new(Exit::NotFound, error).hint("kvconf log"),
            RollbackError::OutOfRange { asked, oldest, newest } => {
                PastError::OutOfRange { asked, oldest, newest }.into()
            }
            RollbackError::OutOfTime { asked, created, now } => {
                PastError::OutOfTime { asked, created, now }.into()
            }
            RollbackError::TooMany { .. } => Self::new(Exit::Refused, error)
                .hint("--in-parts writes several change sets, one after the other"),
            other => Self::new(Exit::Refused, other),
        }
    }
}
