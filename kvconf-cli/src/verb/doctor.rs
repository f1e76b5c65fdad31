//! `kvconf doctor`: what is wrong, and what mends it.

use clap::Args;
use kvconf::Prefix;
use serde::Serialize;

use crate::doctor::gather::gather;
use crate::doctor::judge::judge;
use crate::doctor::{Finding, Verdict};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Style, Tone};
use crate::session::Session;

const EXAMPLE: &str = "\
Examples:
    kvconf doctor --bucket prod
    kvconf doctor --bucket prod --prefix checkout    for a user that may read and write that prefix only

Nothing is written. It ends with 0 when nothing keeps kvconf from working, and with 11 when something does.";

/// Find out what is wrong with the connection, the server, the bucket and the permissions
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Doctor {
    /// Look at the permissions for keys under this prefix
    #[arg(long, value_name = "PREFIX", value_parser = |text: &str| Prefix::new(text))]
    prefix: Option<Prefix>,
}

/// All findings, for programs.
#[derive(Serialize)]
struct Report<'a> {
    verdict: Verdict,
    checks: &'a [Finding],
}

impl Doctor {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let settings = session.settings()?;
        let bucket = match session.bucket_name() {
            Ok(name) => Some(name),
            // That none is named is a finding.
            Err(failure) if failure.exit == Exit::Usage => None,
            Err(failure) => return Err(failure),
        };
        let prefix = self.prefix.as_ref().map_or("", Prefix::as_str);
        let findings = judge(&gather(&settings, bucket, prefix).await);
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Pass);
        if session.out.is_json() {
            session.out.json(&Report { verdict, checks: &findings })?;
        } else {
            let style = session.out.style();
            for finding in &findings {
                session.out.line(for_people(finding, style))?;
            }
        }
        match findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count() {
            0 => Ok(()),
            1 => Err(Failure::new(Exit::Differs, "one check failed")),
            failed => Err(Failure::new(Exit::Differs, format!("{failed} checks failed"))),
        }
    }
}

/// The widest verdict.
const WIDTH: usize = "unknown".len();

fn for_people(finding: &Finding, style: Style) -> String {
    let tone = match finding.verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Unknown => Tone::Dim,
        Verdict::Warn => Tone::Warn,
        Verdict::Fail => Tone::Bad,
    };
    let word = style.paint(tone, &format!("{:WIDTH$}", finding.verdict.word()));
    let mut text = format!("{word}  {}: {}", style.paint(Tone::Heading, finding.check), finding.found);
    for line in &finding.mend {
        text += &format!("\n{:WIDTH$}  {} {line}", "", style.paint(Tone::Good, "help:"));
    }
    text
}
