//! Switching flags, and giving them to shares.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use kvconf::flag::{BlastRadius, DynamicContext, Move};
use kvconf::{Applied, Bucket, CommitError, FlagEdit, FlagEditError, FlagPlan, Flags, Key};
use serde_json::{Value as Json, json};

use super::Place;
use super::evaluate::now;
use super::shares::{self, Share};
use crate::change::{
    Attended, MOST_AT_ONCE, WriteArgs, author, counted, finish, hold_against_schemas, refused,
    tell_unchecked, tell_written, value_json, with,
};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::fleet;
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
                let weights = shares::weights(super::find(&set, &self.key)?.definition(), &self.shares);
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
        self,
        session: &mut Session,
        edit: impl Fn(&Flags) -> Outcome<FlagEdit>,
    ) -> Outcome {
        let sample = self.sample.as_deref().map(contexts).transpose()?;
        let flags = self.place.flags(session).await?;
        let bucket = session.bucket().await?;
        loop {
            let plan = edit(&flags)?.plan().await.map_err(unplanned)?;
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
            self.judge(session, &bucket, &plan).await?;
            let fleet = &self.write.fleet;
            let fleet = fleet::preflight(session, plan.preflight(), fleet, self.write.force).await?;
            if self.write.dry_run {
                return match fleet.filter(|_| session.out.is_json()) {
                    Some(fleet) => session.out.json(&json!({ "fleet": fleet })),
                    None => Ok(()),
                };
            }
            let keys = plan.changes().count();
            if !self.write.yes {
                session.confirm(&format!("Write {}?", counted(keys, "key")), "--yes").await?;
            }
            let shown = session.out.is_json().then(|| with(document, "fleet", fleet));
            match self.write(session, plan, keys).await? {
                Ok(applied) => {
                    let tell = |session: &mut Session, shown| tell_written(session, &bucket, shown, &applied);
                    return finish(session, shown, &applied, &self.write, tell).await;
                }
                // Whoever answered beforehand has not seen what stands there now.
                Err(CommitError::Conflict(conflict)) if !self.write.yes => {
                    catch_up(&flags, &bucket, &conflict.key).await?;
                    session.out.note(format!("{conflict}\nthis is the plan for what stands there now:"))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
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

    /// The outcome of the write; a failure of its own after Ctrl-C, with what is known then.
    async fn write(
        &self,
        session: &Session,
        plan: FlagPlan,
        keys: usize,
    ) -> Outcome<Result<Applied, CommitError>> {
        let mut commit = plan.commit().author(author(self.write.author.as_deref()));
        if let Some(reason) = &self.write.reason {
            commit = commit.reason(reason);
        }
        if self.write.force {
            commit = commit.force();
        }
        if self.write.in_parts && keys > MOST_AT_ONCE {
            commit = commit.one_by_one();
        }
        let attended = Attended::new(session, keys).await;
        match attended.attend(&session.out, commit.into_future()).await {
            Ok(outcome) => Ok(outcome),
            Err(last_word) => Err(last_word.told(None, Err)),
        }
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
    json!({ "changes": changes, "findings": findings, "moves": moves })
}

fn unplanned(error: FlagEditError) -> Failure {
    if matches!(error, FlagEditError::NoPlaceForShares { .. }) {
        let failure = Failure::new(Exit::Invalid, error);
        return failure.hint("kvconf flag export prints the rules, kvconf flag import takes them back as you have changed them");
    }
    let exit = match error {
        FlagEditError::NoFlag { .. } => Exit::NotFound,
        FlagEditError::OverRejected(_) => Exit::Refused,
        _ => Exit::Invalid,
    };
    Failure::new(exit, error)
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
