//! `kvconf rollback`: keys as they were.

use clap::Args;
use kvconf::{Filter, Point, Revision};

use crate::change::WriteArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::rfc3339;
use crate::session::Session;
use crate::suggest;
use crate::take_back::{Found, Nothing, take_back};
use crate::targets::{InLayers, filters};
use crate::when;

const EXAMPLE: &str = "\
Examples:
    kvconf rollback checkout.max_items --to 4102
    kvconf rollback checkout --to 10m -m 'errors up'      as it was ten minutes ago
    kvconf rollback checkout log.level --to 14:02         one change set
    kvconf rollback checkout --layer env.prod --to 10m    in one layer
    kvconf rollback '>' --to '2026-03-01 14:02'           the whole bucket

Times are UTC, as kvconf prints them. History stays: a rollback is a change like any other.";

/// Take keys back to what they held at a revision or a time
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Rollback {
    /// Keys, prefixes, or filters such as 'app.*.port'
    #[arg(required = true, value_name = "KEY|PREFIX")]
    targets: Vec<String>,
    /// The revision whose state it was, or a time
    #[arg(long, value_name = "REVISION|TIME", allow_hyphen_values = true)]
    to: String,
    /// Also to a moment at which none of the keys had a value: all of them are removed
    #[arg(long)]
    to_nothing: bool,
    #[command(flatten)]
    layers: InLayers,
    #[command(flatten)]
    write: WriteArgs,
}

impl Rollback {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let filters = filters(&self.targets, &self.layers)?;
        // What is no moment is told before anybody is asked.
        let mut point = when::point(&self.to, session.out.now())?;
        if point == Point::Revision(Revision::ZERO) {
            return Err(before_everything(&filters));
        }
        let bucket = session.bucket().await?;
        if matches!(point, Point::Time(_)) {
            session.take_time_from(&bucket).await?;
            point = when::point(&self.to, session.out.now())?;
        }
        if let Point::Time(time) = point {
            session.out.note(format!("{} is {}", self.to, rfc3339(time)))?;
        }
        let nothing = if self.to_nothing { Nothing::Taken } else { Nothing::Refused };
        let rollback = || bucket.rollback_to(filters.clone(), point);
        match take_back(session, &self.write, nothing, rollback).await? {
            Found::Keys => Ok(()),
            Found::None => {
                let when = match point {
                    Point::Revision(revision) => format!("at revision {revision}"),
                    Point::Time(time) => format!("at {}", rfc3339(time)),
                    _ => "then".to_owned(),
                };
                let words = format!("none of these keys has a value, and none had one {when}");
                let failure = Failure::new(Exit::NotFound, words);
                let hint = suggest::instead(&bucket, &self.targets, &self.layers, &filters).await;
                Err(failure.hint(hint.unwrap_or_else(|| "kvconf ls".to_owned())))
            }
        }
    }
}

/// Revision 0 is what a script has that found no revision.
fn before_everything(filters: &[Filter]) -> Failure {
    let keys: Vec<String> = filters.iter().map(|filter| format!("'{filter}'")).collect();
    Failure::new(Exit::Refused, "revision 0 is before the first: there was nothing, and every key would be removed")
        .hint("kvconf log has the revisions")
        .hint(format!("kvconf unset {} removes them on purpose", keys.join(" ")))
}
