//! `kvconf watch`: changes as they come.

use clap::Args;
use kvconf::flag::FlagDifference;
use kvconf::{Attribution, Bucket, Entry, Prefix, WatchEvent};

use crate::change::flag_parts;
use crate::failure::{Outcome, narrower};
use crate::output::{Record, Shown, Tone, cut, rfc3339, shown};
use crate::session::Session;
use crate::targets::InLayers;
use crate::verb::export::{filters, prefix};

const EXAMPLE: &str = "\
Examples:
    kvconf watch checkout
    kvconf watch checkout --layer base,env.prod
    kvconf watch --json | jq .key      one line for each entry
    kvconf watch --all --count 10      what stands there first; ends after ten entries";

/// Show changes as they come, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Watch {
    /// Only keys under these prefixes
    #[arg(value_name = "PREFIX", value_parser = prefix)]
    prefixes: Vec<Prefix>,
    /// First what stands there already
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    layers: InLayers,
    /// End after so many entries
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
}

impl Watch {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let filters = self.layers.filters(&filters(&self.prefixes))?;
        let request = bucket.watch(filters.clone());
        let watch = if self.all { request.await } else { request.new_only().await };
        let mut watch = watch.map_err(|error| narrower(error.into(), &filters, "kvconf watch PREFIX"))?;
        if !session.out.is_json() {
            session.out.note(format!("watching bucket {}; Ctrl-C ends it", bucket.name()))?;
        }
        let mut left = self.count;
        // What stands there from the start is shown whole.
        let mut is_new = !self.all;
        while left != Some(0) {
            match watch.event().await {
                WatchEvent::Entry(entry) if !entry.key().is_reserved() => {
                    let parts = parts(session, &bucket, &entry, is_new).await;
                    show(session, &entry, &parts)?;
                    // Whoever looks wants to see it now.
                    session.out.flush()?;
                    left = left.map(|left| left - 1);
                }
                WatchEvent::Loaded => is_new = true,
                WatchEvent::Interrupted(interruption) => session.out.note(format!("{interruption}"))?,
                WatchEvent::Resumed => session.out.note("the watch goes on; nothing that the bucket keeps is lost")?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What differs in a flag from what it was right before. Where that cannot be read it is shown as it stands.
async fn parts(session: &Session, bucket: &Bucket, entry: &Entry, is_new: bool) -> Vec<String> {
    let looks = entry.put_value().is_some_and(|value| !FlagDifference::of_stored(None, Some(value)).is_empty());
    if session.out.is_json() || !is_new || !looks {
        return Vec::new();
    }
    let before = kvconf::Revision::new(entry.revision().get().saturating_sub(1));
    let Ok(reading) = bucket.read_at(entry.key(), before).await else { return Vec::new() };
    let before = reading.entries().first().and_then(Entry::put_value);
    flag_parts(session.out.secrecy(), entry.key(), before, entry.put_value())
}

fn show(session: &mut Session, entry: &Entry, parts: &[String]) -> Outcome {
    let secrecy = session.out.secrecy();
    if session.out.is_json() {
        return session.out.json(&Record::new(entry, secrecy));
    }
    let style = session.out.style();
    let time = rfc3339(entry.created());
    // To the second, for a person.
    let time = time.get(11..19).unwrap_or(&time);
    let value = match entry.put_value() {
        None => "(removed)".to_owned(),
        Some(_) if !parts.is_empty() => "(a flag)".to_owned(),
        Some(value) => match shown(secrecy, entry.key(), value) {
            shown @ (Shown::Text(_) | Shown::Binary(_) | Shown::Masked) => shown.short(usize::MAX),
        },
    };
    let by = Attribution::of(entry);
    let mut told = format!("{} {} ", style.paint(Tone::Dim, time), style.paint(Tone::Dim, &entry.revision().to_string()));
    told += &format!("{} {value}", style.paint(Tone::Key, entry.key().as_str()));
    if let Some(author) = &by.author {
        told += &style.paint(Tone::Dim, &format!("  by {}", cut(author, 40)));
    }
    if let Some(reason) = &by.reason {
        told += &style.paint(Tone::Dim, &format!(" ({})", cut(reason, 80)));
    }
    session.out.line(told)?;
    parts.iter().try_for_each(|part| session.out.line(format!("     {part}")))
}
