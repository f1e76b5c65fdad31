//! `kvconf fleet`: which instances run, and who lags or rejects.

use std::time::Duration;

use clap::Args;
use kvconf::fleet::{Member, Roster};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::fleet::{faults_of, table};
use crate::session::Session;

const EXAMPLE: &str = "\
Examples:
    kvconf fleet
    kvconf fleet --lagging                  who does not have the newest values
    kvconf fleet --expect 40 --check        for scripts: 11 unless 40 instances answer and all are current
    kvconf fleet --json | jq -r .id

An instance answers if its program lets it (`.instance(Instance::named(..))`).";

/// List the running instances, and who lags or rejects something
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Fleet {
    /// Only instances that read exactly this prefix, as far as they do
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Only those that lag, are disconnected, serve old values or reject something
    #[arg(long)]
    lagging: bool,
    /// How many instances should answer: waits for so many
    #[arg(long, value_name = "COUNT")]
    expect: Option<usize>,
    /// How long to wait for answers [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = crate::fleet::time)]
    within: Option<Duration>,
    /// End with 11 if one is not current, or fewer answer than expected
    #[arg(long)]
    check: bool,
}

/// An instance, for programs.
#[derive(Serialize)]
struct Record<'a> {
    current: bool,
    #[serde(flatten)]
    member: &'a Member,
}

impl Fleet {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let fleet = match &self.prefix {
            Some(prefix) => bucket.fleet().reading(prefix)?,
            None => bucket.fleet(),
        };
        let mut list = fleet.list();
        if let Some(instances) = self.expect {
            list = list.expect(instances);
        }
        if let Some(within) = self.within {
            list = list.within(within);
        }
        let roster = list.await?;
        let members: Vec<&Member> =
            roster.members().iter().filter(|member| !self.lagging || !member.is_current()).collect();
        let behind = roster.not_current().count();
        if session.out.is_json() {
            for member in &members {
                session.out.json(&Record { current: member.is_current(), member })?;
            }
        } else {
            if !members.is_empty() {
                let rows = table(members, session.out.now());
                session.out.table(&rows)?;
            }
            for fault in faults_of(roster.members()) {
                session.out.line(fault)?;
            }
        }
        for id in roster.doubled() {
            session.out.note(format!("more than one process has the id {id}"))?;
        }
        if roster.unreadable() > 0 {
            session.out.note(format!("answers that could not be read: {}", roster.unreadable()))?;
        }
        let count = roster.members().len();
        let summary = summary(&roster, behind);
        session.out.note(&summary)?;
        let missing = self.expect.is_some_and(|expected| count < expected);
        if self.check && (behind > 0 || missing || roster.is_silent()) {
            let words = match self.expect.filter(|_| missing) {
                Some(expected) => format!("{count} of {expected} instances answer"),
                None => summary,
            };
            return Err(Failure::new(Exit::Differs, words));
        }
        Ok(())
    }
}

fn summary(roster: &Roster, behind: usize) -> String {
    let instances = match roster.members().len() {
        0 if roster.is_silent() => return "no instance answers, though somebody listens".to_owned(),
        0 => return "no instance answers".to_owned(),
        1 => "1 instance".to_owned(),
        many => format!("{many} instances"),
    };
    match behind {
        0 => format!("{instances}, all current"),
        some => format!("{instances}, {some} not current"),
    }
}
