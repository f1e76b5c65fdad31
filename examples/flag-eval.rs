//! Evaluates flags on contexts, a case a line: `flag-eval [--evaluators FILE] CASES.jsonl`, or `-` for standard input.
//!
//! A case is `{"key", "type", "flag", "context", "default", "bucketing"}`, an answer `{"key", "value", "variant", "reason",
//! "errorCode"}`. See `kvconf::flag::evaluate_case`. Without arguments it shows a case of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, stderr, stdin, stdout};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use kvconf::flag::{SetProperties, evaluate_cases};

const USAGE: &str = "usage: flag-eval [--evaluators FILE] CASES.jsonl, or - for standard input";

/// What is evaluated when nothing is named.
const SHOWN: &str = concat!(
    r#"{"key": "new-cart", "type": "Boolean", "context": {"country": "NL"}, "default": false, "#,
    r#""flag": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "#,
    r#""targeting": {"if": [{"==": [{"var": "country"}, "NL"]}, "on"]}}}"#
);

fn main() -> anyhow::Result<ExitCode> {
    let mut evaluators = None;
    let mut cases = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--evaluators" => evaluators = Some(arguments.next().context("--evaluators needs a file")?),
            "-h" | "--help" => {
                println!("{USAGE}");
                return Ok(ExitCode::SUCCESS);
            }
            unknown if unknown.starts_with("--") => bail!("{unknown} is not known; {USAGE}"),
            _ if cases.is_some() => bail!("one file of cases at a time; {USAGE}"),
            _ => cases = Some(argument),
        }
    }
    let set = match evaluators {
        Some(path) => {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            SetProperties::parse_evaluators(&text).with_context(|| format!("no shared rules in {path}"))?
        }
        None => SetProperties::default(),
    };
    let input: Box<dyn BufRead> = match cases.as_deref() {
        None => Box::new(SHOWN.as_bytes()),
        Some("-") => Box::new(stdin().lock()),
        Some(path) => {
            Box::new(BufReader::new(File::open(path).with_context(|| format!("cannot read {path}"))?))
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let broken = evaluate_cases(input, &set, i64::try_from(now)?, stdout().lock(), stderr())?;
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
