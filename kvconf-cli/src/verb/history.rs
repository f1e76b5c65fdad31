//! `kvconf history`: what one key held.

use clap::Args;
use kvconf::{Attribution, Entry, Key, MarkerReason, Operation};

use crate::change::counted;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Column, Record, Table, Tone, ago, shown};
use crate::session::Session;
use crate::suggest::near;

const EXAMPLE: &str = "\
Examples:
    kvconf history checkout.max_items
    kvconf history checkout.max_items --json | jq -r .value";

/// How many columns of a value are kept; the table cuts further.
const KEPT: usize = 200;

/// Show what a key held, newest first
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct History {
    /// The key
    #[arg(value_name = "KEY")]
    key: Key,
    /// How many revisions [default: all that are kept]
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
}

impl History {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let mut entries = bucket.history(self.key.clone()).await?;
        if entries.is_empty() {
            let failure = Failure::new(Exit::NotFound, format!("{} was never written, or nothing of it is kept", self.key));
            return Err(match near(&bucket, &self.key).await {
                Some(near) => failure.hint(format!("did you mean {near}?")),
                None => failure,
            });
        }
        entries.reverse();
        let kept = entries.len();
        entries.truncate(self.limit.unwrap_or(usize::MAX));
        let secrecy = session.out.secrecy();
        if session.out.is_json() {
            for entry in &entries {
                session.out.json(&Record::new(entry, secrecy))?;
            }
            return Ok(());
        }
        session.take_time_from(&bucket).await?;
        let now = session.out.now();
        let mut table = Table::new([
            Column::fixed("", Tone::Heading),
            Column::fixed("", Tone::Dim),
            Column::flexible("", Tone::Plain),
            Column::flexible("", Tone::Plain),
            Column::flexible("", Tone::Dim),
        ]);
        for entry in &entries {
            let by = Attribution::of(entry);
            let text = |part: Option<std::sync::Arc<str>>| part.map(|text| text.escape_debug().to_string()).unwrap_or_default();
            let value = match removed(entry) {
                Some(how) => how.to_owned(),
                None => shown(secrecy, entry.key(), entry.value()).short(KEPT),
            };
            table.row([entry.revision().to_string(), ago(entry.created(), now), value, text(by.author), text(by.reason)]);
        }
        session.out.table(&table)?;
        tell_what_is_lost(session, &bucket, kept, entries.len()).await
    }
}

/// Nobody who sees the oldest that is kept is to take it for the first.
async fn tell_what_is_lost(session: &mut Session, bucket: &kvconf::Bucket, kept: usize, told: usize) -> Outcome {
    if told < kept {
        return session.out.note(format!("{} kept besides", counted(kept - told, "older revision")));
    }
    // A user of one prefix may not ask.
    let Ok(status) = bucket.status().await else { return Ok(()) };
    let most = status.config.history.map_or(usize::MAX, usize::from);
    if kept < most {
        return Ok(());
    }
    session.out.note(format!("{most} revisions of a key are kept: older ones, if there were any, are gone"))
}

/// How the entry ended the value, if it did.
pub(super) fn removed(entry: &Entry) -> Option<&'static str> {
    match (entry.operation(), entry.marker_reason()) {
        (Operation::Put, _) => None,
        (_, Some(MarkerReason::MaxAge)) => Some("(expired)"),
        (Operation::Delete, _) => Some("(deleted)"),
        (Operation::Purge, _) => Some("(purged)"),
        _ => Some("(written by an unknown operation)"),
    }
}

