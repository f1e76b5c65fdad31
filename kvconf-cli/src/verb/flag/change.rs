//! Switching flags, and giving them to shares.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use kvconf::flag::{BlastRadius, DynamicContext, Move};
use kvconf::fleet::PreflightRequest;
use kvconf::{Applied, Bucket, CommitError, Conflict, FlagEdit, FlagEditError, FlagPlan, Flags, Key};
use serde_json::{Value as Json, json};

use super::Place;
use super::evaluate::now;
use super::shares::{self, Share};
use crate::change::{
    Attended, Done, MOST_AT_ONCE, Planned, WriteArgs, carry_out, differences_table,
    hold_against_schemas, on_terms, other_author, refused, tell_unchecked, value_json, with,
};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::Table;
use crate::schemas;
use crate::secrecy::Secrecy;
use crate::session::Session;

/// Enable a flag
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf flag on -p shop.flags new-cart -m launch
    kvconf flag on -p shop.flags new-cart --variant on      and serve this one where the rule names none")]
pub(super) struct On {
    /// The flag
    #[arg(value_name = "FLAG")]
    key: String,
    /// The variant that is served where the rule names none
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
    #[command(flatten)]
    change: Change,
}

impl On {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        self.change
            .make(session, |flags| {
                let edit = flags.edit().enable(&self.key);
                Ok(match &self.variant {
                    Some(variant) => edit.default_variant(&self.key, variant),
                    None => edit,
                })
            })
            .await
    }
}

/// Disable a flag: callers get the defaults in their code
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    kvconf flag off -p shop.flags new-cart -m 'errors up'")]
pub(super) struct Off {
    /// The flag
    #[arg(value_name = "FLAG")]
    key: String,
    #[command(flatten)]
    change: Change,
}

impl Off {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        self.change.make(session, |flags| Ok(flags.edit().disable(&self.key))).await
    }
}

/// Give variants to shares of those who ask
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf flag rollout -p shop.flags new-cart on=20% -m 'step 1'      the default variant gets the rest
    kvconf flag rollout -p shop.flags new-cart on=1 off=2
    kvconf flag rollout -p shop.flags new-cart on=40% --sample visitors.jsonl --dry-run     who would move")]
pub(super) struct Rollout {
    /// The flag
    #[arg(value_name = "FLAG")]
    key: String,
    /// Variants with percentages, of which the default variant gets what is left, or with weights, of their sum
    #[arg(required = true, value_name = "VARIANT=SHARE", value_parser = shares::parse)]
    shares: Vec<(String, Share)>,
    #[command(flatten)]
    change: Change,
}

impl Rollout {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        self.change
            .make(session, |flags| {
                let set = flags.load();
                let flag = super::find(&set, &self.key, &self.change.place.command("ls", ""))?;
                let weights = shares::weights(flag.definition(), &self.shares);
                let weights = weights.map_err(|error| Failure::new(Exit::Invalid, error))?;
                Ok(flags.edit().rollout(&self.key, weights))
            })
            .await
    }
}

/// What every change of flags understands.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    pub(super) place: Place,
    /// Contexts, one JSON object a line, for whom to tell what would change
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
    #[command(flatten)]
    write: WriteArgs,
}

impl Change {
    /// Plans, shows what it means, asks and writes. `edit` is called again when the plan has become stale.
    pub(super) async fn make(
        &self,
        session: &mut Session,
        edit: impl Fn(&Flags) -> Outcome<FlagEdit>,
    ) -> Outcome {
        let sample = self.sample.as_deref().map(contexts).transpose()?;
        let flags = self.place.flags(session).await?;
        let bucket = session.bucket().await?;
        loop {
            let plan = edit(&flags)?.plan().await.map_err(|error| unplanned(error, &self.place))?;
            let moves = sample.as_deref().map(|sample| plan.blast_radius(sample, now())).unwrap_or_default();
            let document = document(&plan, &moves, session.out.secrecy());
            if session.out.is_json() {
                if self.write.dry_run || plan.is_empty() {
                    session.out.json(&with(
                        document.clone(),
                        "dry_run",
                        self.write.dry_run.then_some(true.into()),
                    ))?;
                }
            } else {
                show(session, &plan, &moves, sample.is_some())?;
            }
            if plan.is_empty() {
                return Ok(());
            }
            self.say_what_enables(session, &plan)?;
            self.judge(session, &bucket, &plan).await?;
            let change = FlagChange { keys: plan.changes().count(), plan, document };
            let Done::Stale(conflict) = carry_out(session, &bucket, &self.write, change).await? else {
                return Ok(());
            };
            catch_up(&flags, &bucket, &conflict.key).await?;
        }
    }

    /// A disabled flag takes any change and serves none of it.
    fn say_what_enables(&self, session: &mut Session, plan: &FlagPlan) -> Outcome {
        let disabled: Vec<String> = plan.without_effect().map(|flag| self.place.command("on", flag)).collect();
        disabled.iter().try_for_each(|command| session.out.note(format!("{command} enables it")))
    }

    /// What keeps the plan from being written, whoever agrees.
    async fn judge(&self, session: &mut Session, bucket: &Bucket, plan: &FlagPlan) -> Outcome {
        if let Some(report) = plan.report().filter(|_| !self.write.force) {
            return Err(refused(report));
        }
        let changes = schemas::changes(plan.values().map(|(key, _, after)| (key, after)));
        let judged = hold_against_schemas(session, bucket, &self.write, |_| Ok(changes)).await?;
        for report in &judged.reports {
            if report.is_fatal() && !self.write.force {
                return Err(refused(report));
            }
            session.out.note(report)?;
        }
        tell_unchecked(session, &judged)?;
        let keys = plan.changes().count();
        if keys > MOST_AT_ONCE && !self.write.in_parts {
            let words = format!("{keys} keys do not fit into one change set, which has {MOST_AT_ONCE}");
            let failure = Failure::new(Exit::Invalid, words);
            return Err(failure.hint("--in-parts writes them one by one: readers see each by itself"));
        }
        Ok(())
    }
}

/// A plan, and what was made of it for programs.
struct FlagChange {
    plan: FlagPlan,
    keys: usize,
    document: Json,
}

impl Planned for FlagChange {
    type Error = CommitError;

    fn keys(&self) -> usize {
        self.keys
    }

    fn preflight(&self) -> PreflightRequest {
        self.plan.preflight()
    }

    fn table(&self, secrecy: Secrecy) -> Table {
        differences_table(self.plan.values(), secrecy)
    }

    fn document(&self, _: Secrecy) -> Json {
        self.document.clone()
    }

    async fn write(self, session: &Session, args: &WriteArgs) -> Outcome<Result<Applied, CommitError>> {
        let mut commit = on_terms!(self.plan.commit(), args);
        if args.in_parts && self.keys > MOST_AT_ONCE {
            commit = commit.one_by_one();
        }
        let attended = Attended::new(session, self.keys).await;
        match attended.attend(&session.out, commit.into_future()).await {
            Ok(outcome) => Ok(outcome),
            Err(last_word) => Err(last_word.told(None, Err)),
        }
    }

    fn conflict(error: CommitError) -> Result<Box<Conflict>, CommitError> {
        other_author(error)
    }
}

/// Waits until the flags are those that the other author has written: the next plan is made from them.
async fn catch_up(flags: &Flags, bucket: &Bucket, key: &Key) -> Outcome {
    const WITHIN: Duration = Duration::from_secs(5);
    if let Some(entry) = bucket.entry(key.clone()).await? {
        // What readers rejected counts as seen, and in the worst case the next plan is stale, too.
        let _ = tokio::time::timeout(WITHIN, flags.wait_for(entry.revision())).await;
    }
    Ok(())
}

/// The plan, and who of a sample would get something else.
fn show(
    session: &mut Session,
    plan: &FlagPlan,
    moves: &[(String, BlastRadius)],
    is_sampled: bool,
) -> Outcome {
    session.out.line(plan)?;
    for (key, radius) in moves {
        session.out.line(format!("{key}: {radius}"))?;
    }
    if is_sampled && moves.is_empty() && !plan.is_empty() {
        session.out.line("nobody of the sample is concerned: no flag that was there before changes")?;
    }
    Ok(())
}

fn document(plan: &FlagPlan, moves: &[(String, BlastRadius)], secrecy: Secrecy) -> Json {
    let changes: Vec<Json> = plan
        .values()
        .zip(plan.changes())
        .map(|((key, before, after), change)| {
            let value = |value| value_json(secrecy, key, value);
            json!({
                "key": key.as_str(), "before": value(before), "after": value(after), "differences": change.flag,
            })
        })
        .collect();
    let findings: Vec<String> = plan.findings().iter().map(ToString::to_string).collect();
    let group = |group: &Move| {
        json!({
            "from": group.from.to_string(), "to": group.to.to_string(), "contexts": group.contexts,
            "first": group.first,
        })
    };
    let moves: Vec<Json> = moves
        .iter()
        .map(|(key, radius)| {
            let groups: Vec<Json> = radius.moves().iter().map(group).collect();
            json!({ "flag": key, "moved": radius.moved(), "of": radius.contexts(), "groups": groups })
        })
        .collect();
    let without_effect: Vec<&str> = plan.without_effect().collect();
    json!({ "changes": changes, "findings": findings, "moves": moves, "without_effect": without_effect })
}

fn unplanned(error: FlagEditError, place: &Place) -> Failure {
    if matches!(error, FlagEditError::NoPlaceForShares { .. }) {
        let (export, import) = (place.command("export", ""), place.command("import", ""));
        let failure = Failure::new(Exit::Invalid, error);
        return failure.hint(format!("{export} prints the rules, {import} takes them back as you have changed them"));
    }
    let list = matches!(&error, FlagEditError::NoFlag { close: None, .. }).then(|| place.command("ls", ""));
    let exit = match error {
        FlagEditError::NoFlag { .. } => Exit::NotFound,
        FlagEditError::OverRejected(_) => Exit::Refused,
        _ => Exit::Invalid,
    };
    list.into_iter().fold(Failure::new(exit, error), Failure::hint)
}

/// A context a line.
fn contexts(path: &Path) -> Outcome<Vec<DynamicContext>> {
    let text = super::evaluate::read(path)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            DynamicContext::parse(line).map_err(|error| {
                Failure::new(Exit::Invalid, format!("{}, line {number}: {error}", path.display()))
            })
        })
        .collect()
}
