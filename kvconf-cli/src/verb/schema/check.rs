//! Whether the bucket holds what the programs can read.

use clap::Args;
use kvconf::settings::Verdict;
use serde_json::{Value, json};

use super::{Source, load};
use crate::change::LayerArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Hold what the bucket holds against its schemas
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf schema check                   against every published schema
    kvconf schema check new.json --past   a version that is not published yet; every state that is still known
    kvconf schema check --schema-layers host.*     layers that the schema does not name
Exits with 11 where something would be refused.")]
pub(super) struct Check {
    /// Published schemas, or files of some [default: all that are published]
    #[arg(value_name = "NAME|FILE")]
    schemas: Vec<String>,
    /// Also every earlier state that the bucket still knows
    #[arg(long)]
    past: bool,
    #[command(flatten)]
    layers: LayerArgs,
}

impl Check {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let mut sources = Vec::new();
        for name in &self.schemas {
            sources.push(load(session, name).await?);
        }
        if self.schemas.is_empty() {
            let schemas = bucket.schemas().await?;
            sources.extend(schemas.published.into_iter().map(|published| Source {
                schema: published.schema,
                version: published.version,
                name: published.name,
            }));
        }
        if sources.is_empty() && !session.out.is_json() {
            session.out.line("no program has published its schema in this bucket: there is nothing to check")?;
        }
        let named = self.layers.named()?;
        let mut is_refused = false;
        for source in &mut sources {
            source.add_layers(&named)?;
            is_refused |= bucket_against(session, &bucket, source, self.past).await?;
        }
        if is_refused { Err(Failure::silent(Exit::Differs)) } else { Ok(()) }
    }
}

/// Tells what is wrong now, and on demand with the past. Gives whether anything would be refused.
pub(super) async fn bucket_against(
    session: &mut Session,
    bucket: &kvconf::Bucket,
    source: &Source,
    past: bool,
) -> Outcome<bool> {
    let check = bucket.check_schema(&source.schema);
    let verdict = check.now().await.map_err(failed)?;
    let replay = match past {
        true => Some(check.replay().await.map_err(failed)?),
        false => None,
    };
    let is_refused = verdict.is_refused() || replay.as_ref().is_some_and(|replay| !replay.is_clean());
    if session.out.is_json() {
        let past = replay.as_ref().map(|replay| {
            let refused: Vec<Value> = replay
                .rejected
                .iter()
                .map(|rejected| {
                    let problems: Vec<Value> = rejected.report.problems.iter().map(problem_json).collect();
                    json!({ "from": rejected.from.get(), "until": rejected.until.get(), "states": rejected.states, "problems": problems })
                })
                .collect();
            json!({ "states": replay.states, "complete_from": replay.complete_from.get(), "refused": refused })
        });
        let document = json!({
            "schema": source.name, "version": source.version, "revision": verdict.revision.get(),
            "refused": verdict.is_refused(),
            "problems": verdict.problems.iter().map(problem_json).collect::<Vec<_>>(),
            "unchecked": verdict.unchecked.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "past": past,
        });
        session.out.json(&document)?;
        return Ok(is_refused);
    }
    session.out.line(told(source, &verdict))?;
    if let Some(replay) = replay {
        session.out.line(replay)?;
    }
    Ok(is_refused)
}

fn problem_json(problem: &kvconf::Problem) -> Value {
    json!({ "key": problem.key, "message": problem.message, "fatal": !problem.kind.is_warning() })
}

fn told(source: &Source, verdict: &Verdict) -> String {
    let Source { name, version, .. } = source;
    let refused = verdict.problems.iter().filter(|problem| !problem.kind.is_warning()).count();
    let head = match (refused, verdict.problems.is_empty()) {
        (0, true) => format!("{name} {version}: nothing is wrong"),
        (0, false) => format!("{name} {version}: readable, with warnings"),
        (1, _) => format!("{name} {version}: 1 problem"),
        (count, _) => format!("{name} {version}: {count} problems"),
    };
    let lines = verdict.problems.iter().map(|problem| format!("\n  × {problem}"));
    let unchecked = verdict.unchecked.iter().map(|unchecked| format!("\n  ? {unchecked}"));
    head + &lines.chain(unchecked).collect::<String>()
}

pub(super) fn failed(error: kvconf::CheckError) -> Failure {
    match error {
        kvconf::CheckError::Read(error) => error.into(),
        error => Failure::new(Exit::Failed, error),
    }
}
