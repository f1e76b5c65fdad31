//! Evaluating flags, now and then, and a table of cases.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use kvconf::flag::{CaseError, DynamicContext, FlagDocument, FlagError, SetProperties, check_case};
use kvconf::{FlagSet, Revision};
use serde_json::{Value as Json, json};

use super::Place;
use crate::change::counted;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Evaluate a flag for a context
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf flag eval -p shop.flags new-cart targetingKey=user-1 country=NL
    kvconf flag eval --document flags.json new-cart country=NL     a file, without a server
    kvconf flag eval --cases cases.jsonl
    kvconf flag eval -p shop.flags new-cart --attributes '{\"targetingKey\": \"user-1\"}' --at 4102     as it was right after that revision")]
pub(super) struct Eval {
    /// The flag
    #[arg(value_name = "FLAG", required_unless_present = "cases")]
    key: Option<String>,
    /// Attributes; what is JSON is read as JSON, anything else is text
    #[arg(value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, Json)>,
    /// The attributes as one JSON object
    #[arg(long = "attributes", value_name = "JSON")]
    object: Option<String>,
    /// With the flags as they were right after this revision
    #[arg(long, value_name = "REVISION")]
    at: Option<u64>,
    /// With the flags of a document in flagd's format, and without a server
    #[arg(long, value_name = "FILE", conflicts_with_all = ["at", "prefix"])]
    document: Option<PathBuf>,
    /// A table of cases, one JSON object a line, without a server: see `flag check`; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "attributes", "object", "at", "prefix"])]
    cases: Option<PathBuf>,
    /// Shared rules by name, or a document that has some
    #[arg(long, value_name = "FILE", requires = "cases")]
    evaluators: Option<PathBuf>,
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
        if let Some(path) = &self.cases {
            let document = flags_of(self.document.as_deref(), self.evaluators.as_deref())?;
            let answered = answer(session, path, &document)?;
            return answered.complain(path);
        }
        let key = self.key.unwrap_or_default();
        let mut context = match &self.object {
            Some(text) => DynamicContext::parse(text)
                .map_err(|error| Failure::new(Exit::Invalid, format!("--attributes: {error}")))?,
            None => DynamicContext::new(),
        };
        for (name, value) in self.attributes {
            context.insert(&name, value);
        }
        if let Some(path) = &self.document {
            let set = FlagSet::from_document(&read_document(path)?).map_err(|error| in_file(path, &error))?;
            super::find(&set, &key, &format!("{} has them all", path.display()))?;
            return tell(session, &key, &set, &context);
        }
        let flags = self.place.flags(session).await?;
        let snapshot = match self.at {
            Some(revision) => std::sync::Arc::clone(flags.at(Revision::new(revision)).await?.snapshot()),
            None => flags.snapshot(),
        };
        super::find(&snapshot, &key, &self.place.command("ls", ""))?;
        tell(session, &key, &snapshot, &context)
    }
}

/// What a context gets, and how that came about.
fn tell(session: &mut Session, key: &str, set: &FlagSet, context: &DynamicContext) -> Outcome {
    let told = set.evaluate(key, context, None::<Json>);
    let error =
        told.error.map(|error| json!({ "code": error.code().to_string(), "message": error.to_string() }));
    if session.out.is_json() {
        return session.out.json(&json!({
                "flag": key, "value": told.value, "variant": told.variant, "reason": told.reason.to_string(),
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

/// Evaluate a table of cases, one JSON object a line, and hold them against what they expect; needs no server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf flag check cases.jsonl --document flags.json
    kvconf flag check cases.jsonl --evaluators rules.json

A case is {\"key\", \"type\", \"flag\", \"context\", \"default\", \"bucketing\", \"timestamp\", \"expected\"}, an answer {\"key\", \
\"value\", \"variant\", \"reason\", \"errorCode\"}. Only the key is required. Without \"flag\" it is about the flag of that key in the \
document. \"expected\" has parts of the answer, null for one that must be absent; where an answer is another one the exit code is 11.")]
pub(super) struct Check {
    /// The cases; `-` is standard input
    #[arg(value_name = "FILE")]
    cases: PathBuf,
    /// The flags, as a document in flagd's format
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// Shared rules by name, or a document that has some
    #[arg(long, value_name = "FILE")]
    evaluators: Option<PathBuf>,
}

impl Check {
    pub(super) fn run(self, session: &mut Session) -> Outcome {
        let document = flags_of(self.document.as_deref(), self.evaluators.as_deref())?;
        let answered = answer(session, &self.cases, &document)?;
        answered.complain(&self.cases)?;
        let Answered { other, held, .. } = answered;
        if !other.is_empty() {
            let all = counted(held + other.len(), "case");
            let words = format!("{} of {all} not as expected:{}", other.len(), listed(&other));
            return Err(Failure::new(Exit::Differs, words));
        }
        match held {
            0 => Ok(()),
            held => session.out.note(format!("{} as expected", counted(held, "case"))),
        }
    }
}

/// What came of a table of cases.
#[derive(Default)]
struct Answered {
    /// Lines that are no cases.
    broken: Vec<String>,
    /// Cases that are not as expected.
    other: Vec<String>,
    /// How many are.
    held: usize,
}

impl Answered {
    fn complain(&self, path: &Path) -> Outcome {
        if self.broken.is_empty() {
            return Ok(());
        }
        let (lines, file) = (counted(self.broken.len(), "line"), path.display());
        Err(Failure::new(Exit::Invalid, format!("{lines} of {file} cannot be used:{}", listed(&self.broken))))
    }
}

/// Evaluates a case a line, and prints an answer a line.
fn answer(session: &mut Session, path: &Path, document: &FlagDocument) -> Outcome<Answered> {
    let bytes = match path.to_str() {
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            bytes
        }
        _ => std::fs::read(path).map_err(|error| unreadable(path, &error))?,
    };
    let mut answered = Answered::default();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let case = match str::from_utf8(line).map(str::trim) {
            Ok("") => continue,
            Ok(line) => check_case(number, line, document, now()),
            Err(_) => Err(CaseError::NotText),
        };
        match case {
            Ok(case) => {
                session.out.bytes(format!("{}\n", case.answer).as_bytes())?;
                match case.expected {
                    Some(_) if case.holds() => answered.held += 1,
                    Some(_) => answered.other.push(case.to_string()),
                    None => {}
                }
            }
            Err(error) => answered.broken.push(format!("line {number}: {error}")),
        }
    }
    Ok(answered)
}

/// The flags that cases are about, with the rules that they share.
fn flags_of(document: Option<&Path>, evaluators: Option<&Path>) -> Outcome<FlagDocument> {
    let document = document.map(read_document).transpose()?.unwrap_or_default();
    let Some(path) = evaluators else { return Ok(document) };
    let set = SetProperties::parse_evaluators(&read(path)?).map_err(|error| in_file(path, &error))?;
    Ok(document.with_properties(set))
}

/// One a line, the first of them.
fn listed(lines: &[String]) -> String {
    const MOST: usize = 20;
    let mut listed: String = lines.iter().take(MOST).map(|line| format!("\n  {line}")).collect();
    if let more @ 1.. = lines.len().saturating_sub(MOST) {
        listed.push_str(&format!("\n  {more} more"));
    }
    listed
}

/// A document in flagd's format.
pub(super) fn read_document(path: &Path) -> Outcome<FlagDocument> {
    FlagDocument::parse(&read(path)?).map_err(|error| in_file(path, &error))
}

/// Everything that is wrong with a file of flags, one a line.
fn in_file(path: &Path, error: &FlagError) -> Failure {
    let problems: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    match problems.as_slice() {
        [problem] => Failure::new(Exit::Invalid, format!("{}: {problem}", path.display())),
        problems => {
            let count = counted(problems.len(), "problem");
            Failure::new(Exit::Invalid, format!("{}: {count}{}", path.display(), listed(problems)))
        }
    }
}

/// A file as text.
pub(super) fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let exit = if error.kind() == std::io::ErrorKind::InvalidData { Exit::Invalid } else { Exit::NotFound };
    Failure::new(exit, format!("{} cannot be read: {error}", path.display()))
}

/// In whole seconds since the Unix epoch.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
