//! Evaluating flags, now and then, and a table of cases.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use kvconf::Revision;
use kvconf::flag::{DynamicContext, SetProperties, evaluate_cases};
use serde_json::{Value as Json, json};

use super::Place;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Evaluate a flag for a context
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf flag eval -p shop.flags new-cart targetingKey=user-1 country=NL
    kvconf flag eval -p shop.flags new-cart --context '{\"targetingKey\": \"user-1\"}' --at 4102     as it was right after that revision")]
pub(super) struct Eval {
    /// The flag
    #[arg(value_name = "FLAG")]
    key: String,
    /// Attributes; what is JSON is read as JSON, anything else is text
    #[arg(value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, Json)>,
    /// The attributes as one JSON object
    #[arg(long, value_name = "JSON")]
    context: Option<String>,
    /// With the flags as they were right after this revision
    #[arg(long, value_name = "REVISION")]
    at: Option<u64>,
    #[command(flatten)]
    place: Place,
}

fn attribute(text: &str) -> Result<(String, Json), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    // A targeting key is a text, also where it looks like a number.
    let json = if name == "targetingKey" { None } else { serde_json::from_str(value).ok() };
    Ok((name.to_owned(), json.unwrap_or_else(|| value.into())))
}

impl Eval {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let mut context = match &self.context {
            Some(text) => DynamicContext::parse(text).map_err(|error| Failure::new(Exit::Invalid, error))?,
            None => DynamicContext::new(),
        };
        for (name, value) in self.attributes {
            context.insert(&name, value);
        }
        let flags = self.place.flags(session).await?;
        let snapshot = match self.at {
            Some(revision) => std::sync::Arc::clone(flags.at(Revision::new(revision)).await?.snapshot()),
            None => flags.snapshot(),
        };
        super::find(&snapshot, &self.key)?;
        let told = snapshot.evaluate(&self.key, &context, None::<Json>);
        let error = told.error.map(|error| json!({ "code": error.code().to_string(), "message": error.to_string() }));
        if session.out.is_json() {
            return session.out.json(&json!({
                "flag": self.key, "value": told.value, "variant": told.variant, "reason": told.reason.to_string(),
                "rule": told.rule, "error": error, "metadata": told.metadata, "revision": told.revision.map(Revision::get),
            }));
        }
        let value = match &told.value {
            Some(value) => value.to_string(),
            None => "(the caller's default)".to_owned(),
        };
        session.out.line(value)?;
        let by = told.rule.map(|rule| format!(", by {rule}")).unwrap_or_default();
        let variant = told.variant.map(|variant| format!("variant {variant}, ")).unwrap_or_default();
        let error = told.error.map(|error| format!(": {error}")).unwrap_or_default();
        session.out.line(format!("{variant}{}{by}{error}", told.reason))
    }
}

/// Evaluate a table of cases, one JSON object a line; needs no server
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
    kvconf flag check cases.jsonl --evaluators rules.json

A case is {\"key\", \"type\", \"flag\", \"context\", \"default\", \"bucketing\"}, an answer {\"key\", \"value\", \"variant\", \"reason\", \"errorCode\"}.")]
pub(super) struct Check {
    /// The cases
    #[arg(value_name = "FILE")]
    cases: PathBuf,
    /// Shared rules by name, or a document that has some
    #[arg(long, value_name = "FILE")]
    evaluators: Option<PathBuf>,
}

impl Check {
    pub(super) fn run(self, session: &mut Session) -> Outcome {
        let set = match &self.evaluators {
            Some(path) => SetProperties::parse_evaluators(&read(path)?).map_err(|error| Failure::new(Exit::Invalid, error))?,
            None => SetProperties::default(),
        };
        let cases = read(&self.cases)?;
        let (mut answers, mut complaints) = (Vec::new(), Vec::new());
        let broken = evaluate_cases(cases.as_bytes(), &set, now(), &mut answers, &mut complaints)?;
        session.out.bytes(&answers)?;
        if broken > 0 {
            let complaints = String::from_utf8_lossy(&complaints);
            return Err(Failure::new(Exit::Invalid, format!("these are no cases: {}", complaints.trim_end())));
        }
        Ok(())
    }
}

/// A file as text.
pub(super) fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::InvalidData { Exit::Invalid } else { Exit::NotFound };
        Failure::new(exit, format!("{} cannot be read: {error}", path.display()))
    })
}

/// In whole seconds since the Unix epoch.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
