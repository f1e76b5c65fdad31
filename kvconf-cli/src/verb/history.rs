//! `kvconf history`: what one key held.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use kvconf::{Attribution, Bucket, Entry, Filter, Key, MarkerReason, Operation};

use crate::change::{counted, flag_parts};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Column, Record, Table, Tone, ago, shown};
use crate::secrecy::Secrecy;
use crate::session::Session;
use crate::suggest::{self, near};
use crate::targets::InLayers;

const EXAMPLE: &str = "\
Examples:
    kvconf history checkout.max_items
    kvconf history checkout.max_items --layer base,env.prod     in these layers
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
    #[command(flatten)]
    layers: InLayers,
    /// How many revisions [default: all that are kept]
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
}

impl History {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let filters = self.layers.filters(&[Filter::from(&self.key)])?;
        let mut entries = bucket.history(filters.clone()).await?;
        if entries.is_empty() {
            return Err(self.nothing(&bucket, &filters).await);
        }
        entries.sort_unstable_by_key(|entry| Reverse(entry.revision()));
        let told = self.limit.unwrap_or(usize::MAX).min(entries.len());
        let secrecy = session.out.secrecy();
        if session.out.is_json() {
            return entries.iter().take(told).try_for_each(|entry| session.out.json(&Record::new(entry, secrecy)));
        }
        session.take_time_from(&bucket).await?;
        let is_of_one = filters.iter().all(|filter| filter.as_key().is_some()) && filters.len() == 1;
        let table = table(&entries, told, is_of_one, secrecy, session.out.now());
        session.out.table(&table)?;
        tell_what_is_lost(session, &bucket, &entries, told).await
    }

    async fn nothing(&self, bucket: &Bucket, filters: &[Filter]) -> Failure {
        let names: Vec<&str> = filters.iter().map(Filter::as_str).collect();
        let words = format!("{} was never written, or nothing of it is kept", names.join(", "));
        let failure = Failure::new(Exit::NotFound, words);
        let below = filters.iter().filter_map(|filter| Filter::new(format!("{filter}.>")).ok());
        if bucket.keys(below.collect::<Vec<_>>()).await.is_ok_and(|keys| !keys.is_empty()) {
            let layers = self.layers.typed().map(|layers| format!(" {layers}")).unwrap_or_default();
            return failure.hint(format!("kvconf log {}{layers} has what was changed below it", self.key));
        }
        let hint = match (self.layers.is_named(), filters) {
            (false, _) => suggest::elsewhere(bucket, self.key.as_str()).await,
            (true, [one]) => match one.as_key() {
                Some(key) => near(bucket, &key).await.map(|near| format!("did you mean {near}?")),
                None => None,
            },
            (true, _) => None,
        };
        failure.hint(hint.unwrap_or_else(|| "kvconf ls".to_owned()))
    }
}

/// Newest first. `told` of the entries, and what a flag was before its entry, in the older ones.
fn table(entries: &[Entry], told: usize, is_of_one: bool, secrecy: Secrecy, now: SystemTime) -> Table {
    let mut table = Table::new([
        Column::fixed("", Tone::Heading),
        Column::fixed("", Tone::Dim),
        Column::fixed("", Tone::Key),
        Column::flexible("", Tone::Plain),
        Column::flexible("", Tone::Plain),
        Column::flexible("", Tone::Dim),
    ]);
    for (at, entry) in entries.iter().enumerate().take(told) {
        let by = Attribution::of(entry);
        let text = |part: Option<Arc<str>>| part.map(|text| text.escape_debug().to_string()).unwrap_or_default();
        let older = entries.iter().skip(at + 1).find(|older| older.key() == entry.key());
        let parts = flag_parts(secrecy, entry.key(), older.and_then(Entry::put_value), entry.put_value());
        let value = match removed(entry) {
            Some(how) => how.to_owned(),
            None if parts.is_empty() => shown(secrecy, entry.key(), entry.value()).short(KEPT),
            None => "(a flag)".to_owned(),
        };
        let key = if is_of_one { String::new() } else { entry.key().to_string() };
        let (revision, when) = (entry.revision().to_string(), ago(entry.created(), now));
        table.row([revision, when, key, value, text(by.author), text(by.reason)]);
        parts.iter().for_each(|part| table.line(format!("     {part}")));
    }
    table
}

/// Nobody who sees the oldest that is kept is to take it for the first.
async fn tell_what_is_lost(session: &mut Session, bucket: &Bucket, entries: &[Entry], told: usize) -> Outcome {
    if told < entries.len() {
        return session.out.note(format!("{} kept besides", counted(entries.len() - told, "older revision")));
    }
    // A user of one prefix may not ask.
    let Ok(status) = bucket.status().await else { return Ok(()) };
    let most = status.config.history.and_then(|kept| kept.try_into().ok()).unwrap_or(usize::MAX);
    let mut counts: HashMap<&Key, usize> = HashMap::new();
    entries.iter().for_each(|entry| *counts.entry(entry.key()).or_default() += 1);
    if counts.values().all(|kept| *kept < most) {
        return Ok(());
    }
    let are = if most == 1 { "is" } else { "are" };
    let kept = counted(most, "revision");
    session.out.note(format!("{kept} of a key {are} kept: older ones, if there were any, are gone"))
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

