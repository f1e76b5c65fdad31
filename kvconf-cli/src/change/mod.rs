//! How every writing verb makes its change: the plan is shown, then `carry_out` does the rest.

mod args;
mod author;
mod carry_out;
mod parts;
mod show;
mod written;

use kvconf::fleet::PreflightRequest;
use kvconf::{
    Applied, Bucket, CommitError, Conflict, FileOrigin, Origin, PlainEdit, PlainPlan, ReadError, Report,
};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Table, patiently};
use crate::schemas::{self, Change, Judged, Rules};
use crate::secrecy::Secrecy;
use crate::session::Session;

pub(crate) use args::{InLayer, LayerArgs, WriteArgs};
pub(crate) use author::author;
pub(crate) use carry_out::{Done, Planned, carry_out};
pub(crate) use parts::Attended;
pub(crate) use show::{
    add_difference, changes_table, counted, differences_table, flag_parts, keys_were, no_differences,
    plan_json, problems_json, value_json,
};
pub(crate) use written::{agree, finish};

/// The most keys of one change set.
pub(crate) const MOST_AT_ONCE: usize = 1_000;

/// Plans, shows, asks and writes. `edit` is called again when the plan has become stale. Gives `None` when nothing was to
/// be written, or nothing was to be written yet.
pub(crate) async fn make(
    session: &mut Session,
    bucket: &Bucket,
    args: &WriteArgs,
    edit: impl Fn(&Bucket) -> PlainEdit,
) -> Outcome<Option<Applied>> {
    make_of_file(session, bucket, args, edit, &|_| None).await
}

/// As [`make`], of a file: what schemas object to is told with its place there.
pub(crate) async fn make_of_file(
    session: &mut Session,
    bucket: &Bucket,
    args: &WriteArgs,
    edit: impl Fn(&Bucket) -> PlainEdit,
    place: &dyn Fn(&str) -> Option<FileOrigin>,
) -> Outcome<Option<Applied>> {
    loop {
        let mut plan = patiently("planning", &session.out, edit(bucket).plan()).await?;
        if plan.is_empty() {
            unchanged(session, &plan)?;
            return Ok(None);
        }
        let changes = schemas::changes(plan.changes().map(|change| (change.key(), change.after())));
        let judged = hold_against_schemas(session, bucket, args, |_| Ok(changes)).await?;
        judged.reports.iter().for_each(|report| plan.object(with_places(report.clone(), place)));
        if args.dry_run || !session.out.is_json() {
            show(session, &plan, args)?;
        }
        judge(&plan, args)?;
        tell_unchecked(session, &judged)?;
        match carry_out(session, bucket, args, plan).await? {
            Done::Written(applied) => return Ok(Some(applied)),
            Done::Shown => return Ok(None),
            Done::Stale(_) => {}
        }
    }
}

/// Puts on a commit what the options say of it: who, why, and whether over what a check rejects. The library's commits have
/// the same words for that, and are types of their own.
macro_rules! on_terms {
    ($commit:expr, $args:expr) => {{
        let args: &$crate::change::WriteArgs = $args;
        let mut commit = $commit.author($crate::change::author(args.author.as_deref()));
        if let Some(reason) = &args.reason {
            commit = commit.reason(reason);
        }
        if args.force {
            commit = commit.force();
        }
        commit
    }};
}
pub(crate) use on_terms;

/// As [`on_terms`], of a commit that can be made in parts: each of them is told to whoever attends to it.
macro_rules! on_terms_in_parts {
    ($commit:expr, $args:expr, $attended:expr) => {{
        let commit = $crate::change::on_terms!($commit, $args);
        if $args.in_parts { commit.in_parts().on_part($attended.on_part()) } else { commit }
    }};
}
pub(crate) use on_terms_in_parts;

impl Planned for PlainPlan {
    type Error = CommitError;

    fn keys(&self) -> usize {
        self.len()
    }

    fn preflight(&self) -> PreflightRequest {
        self.preflight()
    }

    fn table(&self, secrecy: Secrecy) -> Table {
        changes_table(self, secrecy)
    }

    fn document(&self, secrecy: Secrecy) -> Value {
        plan_json(self, secrecy)
    }

    async fn write(self, session: &Session, args: &WriteArgs) -> Outcome<Result<Applied, CommitError>> {
        let attended = Attended::new(session, self.len()).await;
        let commit = on_terms_in_parts!(self.commit(), args, attended);
        let change = commit.change().to_owned();
        match attended.attend(&session.out, commit.into_future()).await {
            Ok(outcome) => Ok(outcome),
            Err(last_word) => Err(last_word.told(Some(&change), |error| match error {
                CommitError::Stopped { written, left } => Ok((written.len(), left)),
                other => Err(other),
            })),
        }
    }

    fn conflict(error: CommitError) -> Result<Box<Conflict>, CommitError> {
        other_author(error)
    }
}

/// The conflict, where a commit failed for one.
pub(crate) fn other_author(error: CommitError) -> Result<Box<Conflict>, CommitError> {
    match error {
        CommitError::Conflict(conflict) => Ok(conflict),
        error => Err(error),
    }
}

fn with_places(mut report: Report, place: &dyn Fn(&str) -> Option<FileOrigin>) -> Report {
    for problem in report.problems.iter_mut().filter(|problem| problem.origin == Some(Origin::Plan)) {
        if let Some(place) = place(&problem.key) {
            problem.origin = Some(Origin::File(place));
        }
    }
    report
}

fn unchanged(session: &mut Session, plan: &PlainPlan) -> Outcome {
    if session.out.is_json() {
        return session.out.json(&plan_json(plan, session.out.secrecy()));
    }
    session.out.line("nothing to change: it stands so already")
}

fn show(session: &mut Session, plan: &PlainPlan, args: &WriteArgs) -> Outcome {
    if session.out.is_json() {
        let mut document = plan_json(plan, session.out.secrecy());
        if let Some(members) = document.as_object_mut() {
            members.insert("dry_run".to_owned(), args.dry_run.into());
        }
        return session.out.json(&document);
    }
    let table = changes_table(plan, session.out.secrecy());
    session.out.table(&table)?;
    for key in plan.without_ttl() {
        session.out.line(format!("  {key} had a time to live and stays for good"))?;
    }
    // The one that keeps it from being written is told as the reason.
    let refusal = plan.report().filter(|_| !args.force);
    for report in plan.reports().iter().filter(|report| Some(*report) != refusal) {
        session.out.line(report)?;
    }
    Ok(())
}

/// Has published schemas judge a change, which may leave out what they do not concern. Where they cannot be read the change
/// is not checked, and that is said.
pub(crate) async fn hold_against_schemas(
    session: &mut Session,
    bucket: &Bucket,
    args: &WriteArgs,
    changes: impl FnOnce(&Rules) -> Outcome<Vec<Change>>,
) -> Outcome<Judged> {
    let layers = args.layers.named()?;
    let judged = match bucket.schemas().await {
        Ok(schemas) => {
            let rules = Rules::new(schemas, &layers)?;
            let changes = changes(&rules)?;
            schemas::judge(bucket, &rules, changes).await
        }
        Err(error) => Err(error),
    };
    match judged {
        Ok(judged) => Ok(judged),
        Err(error @ ReadError::NotPermitted { .. }) => {
            session.out.note(format!("not checked against published schemas: {error}"))?;
            Ok(Judged::default())
        }
        Err(error) => Err(error.into()),
    }
}

/// What no schema can tell, or not for certain.
pub(crate) fn tell_unchecked(session: &mut Session, judged: &Judged) -> Outcome {
    const MOST: usize = 5;
    for guess in judged.guesses.iter().take(MOST) {
        session.out.note(guess)?;
    }
    if let more @ 1.. = judged.guesses.len().saturating_sub(MOST) {
        session.out.note(format!("{more} more, if they are of layers"))?;
    }
    for unchecked in judged.unchecked.iter().take(MOST) {
        session.out.note(format!("not checked: {unchecked}"))?;
    }
    match judged.unchecked.len().saturating_sub(MOST) {
        0 => Ok(()),
        more => session.out.note(format!("not checked: {more} more")),
    }
}

/// What a check objects to, as the reason why nothing is written.
pub(crate) fn refused(report: &Report) -> Failure {
    let failure = Failure::new(Exit::Refused, report.clone());
    failure.hint("mend it, or write it all the same with --force --reason TEXT")
}

/// What keeps the plan from being written, whoever agrees.
fn judge(plan: &PlainPlan, args: &WriteArgs) -> Outcome {
    if let Some(report) = plan.report()
        && !args.force
    {
        return Err(refused(report));
    }
    if plan.len() > MOST_AT_ONCE && !args.in_parts {
        let words = format!("{} keys do not fit into one change set, which has {MOST_AT_ONCE}", plan.len());
        let failure = Failure::new(Exit::Invalid, words);
        return Err(failure.hint("--in-parts writes several, one after the other"));
    }
    Ok(())
}

/// Adds what there is to a document.
pub(crate) fn with(mut document: Value, name: &str, value: Option<Value>) -> Value {
    if let (Some(members), Some(value)) = (document.as_object_mut(), value) {
        members.insert(name.to_owned(), value);
    }
    document
}

/// Says what was written, as the document of the plan with it, or in words.
pub(crate) fn tell_written(
    session: &mut Session,
    bucket: &Bucket,
    shown: Option<Value>,
    applied: &Applied,
) -> Outcome {
    if let Some(mut document) = shown {
        if let Some(members) = document.as_object_mut() {
            let written: Vec<_> = applied
                .written()
                .iter()
                .map(|(key, revision)| json!({ "key": key.as_str(), "revision": revision.get() }))
                .collect();
            members.insert("revision".to_owned(), applied.revision().get().into());
            members.insert("change".to_owned(), applied.change().into());
            members.insert("written".to_owned(), written.into());
        }
        return session.out.json(&document);
    }
    let keys = counted(applied.written().len(), "key");
    let (revision, bucket) = (applied.revision(), bucket.name());
    session.out.line(format!("{keys} written to {bucket}, revision {revision}"))?;
    session.out.note(format!("kvconf revert {} takes it back", applied.change()))
}
