//! Switching flags, and giving them to shares.

use std::path::{Path, PathBuf};

use clap::Args;
use kvconf::flag::DynamicContext;
use kvconf::{FlagEdit, FlagEditError, FlagPlan, Flags};
use serde_json::{Value as Json, json};

use super::Place;
use super::evaluate::now;
use crate::change::{WriteArgs, author, counted};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
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
                match &self.variant {
                    Some(variant) => edit.default_variant(&self.key, variant),
                    None => edit,
                }
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
        self.change.make(session, |flags| flags.edit().disable(&self.key)).await
    }
}

/// Give variants to shares of those who ask
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf flag rollout -p shop.flags new-cart on=20 off=80 -m 'step 1'
    kvconf flag rollout -p shop.flags new-cart on=20 off=80 --sample visitors.jsonl --dry-run     who would move")]
pub(super) struct Rollout {
    /// The flag
    #[arg(value_name = "FLAG")]
    key: String,
    /// Variants with weights, of their sum
    #[arg(required = true, value_name = "VARIANT=WEIGHT", value_parser = share)]
    shares: Vec<(String, u32)>,
    #[command(flatten)]
    change: Change,
}

impl Rollout {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        self.change.make(session, |flags| flags.edit().rollout(&self.key, self.shares.clone())).await
    }
}

fn share(text: &str) -> Result<(String, u32), String> {
    let (variant, weight) = text.rsplit_once('=').ok_or("expected VARIANT=WEIGHT")?;
    let weight = weight.parse().map_err(|_| format!("the weight {weight:?} is no whole number"))?;
    Ok((variant.to_owned(), weight))
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
    /// Plans, shows what it means, asks and writes.
    pub(super) async fn make(self, session: &mut Session, edit: impl FnOnce(&Flags) -> FlagEdit) -> Outcome {
        let sample = self.sample.as_deref().map(contexts).transpose()?.unwrap_or_default();
        let flags = self.place.flags(session).await?;
        let plan = edit(&flags).plan().await.map_err(unplanned)?;
        let moves: Vec<Json> = plan
            .blast_radius(&sample, now())
            .into_iter()
            .map(|(key, radius)| json!({ "flag": key, "moved": radius.moved(), "of": sample.len() }))
            .collect();
        if session.out.is_json() {
            if self.write.dry_run || plan.is_empty() {
                return session.out.json(&document(&plan, &moves));
            }
        } else {
            session.out.line(&plan)?;
            for moved in &moves {
                let line = format!("{}: {} of {} would get something else", moved["flag"], moved["moved"], moved["of"]);
                session.out.line(line)?;
            }
        }
        if let Some(report) = plan.report().filter(|_| !self.write.force) {
            let failure = Failure::new(Exit::Refused, report.clone());
            return Err(failure.hint("mend it, or write it all the same with --force --reason TEXT"));
        }
        if plan.is_empty() || self.write.dry_run {
            return Ok(());
        }
        let keys = plan.changes().count();
        if !self.write.yes {
            session.confirm(&format!("Write {}?", counted(keys, "key")), "--yes").await?;
        }
        let mut document = document(&plan, &moves);
        let mut commit = plan.commit().author(author(self.write.author.as_deref()));
        if let Some(reason) = &self.write.reason {
            commit = commit.reason(reason);
        }
        if self.write.force {
            commit = commit.force();
        }
        if self.write.in_parts {
            commit = commit.one_by_one();
        }
        let applied = commit.await?;
        if session.out.is_json() {
            if let Some(members) = document.as_object_mut() {
                members.insert("revision".to_owned(), applied.revision().get().into());
                members.insert("change".to_owned(), applied.change().into());
            }
            return session.out.json(&document);
        }
        session.out.line(format!("{} written, revision {}", counted(keys, "key"), applied.revision()))?;
        session.out.note(format!("kvconf revert {} takes it back", applied.change()))
    }
}

fn document(plan: &FlagPlan, moves: &[Json]) -> Json {
    let changes: Vec<&kvconf::FieldChange> = plan.changes().collect();
    let findings: Vec<String> = plan.findings().iter().map(ToString::to_string).collect();
    json!({ "changes": changes, "findings": findings, "moves": moves })
}

fn unplanned(error: FlagEditError) -> Failure {
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
