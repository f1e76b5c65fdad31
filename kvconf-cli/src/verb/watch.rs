//! `kvconf watch`: changes as they come.

use clap::Args;
use kvconf::{Attribution, Entry, Prefix, WatchEvent};

use crate::failure::Outcome;
use crate::output::{Record, Shown, Tone, cut, rfc3339, shown};
use crate::session::Session;
use crate::verb::export::{filters, prefix};

const EXAMPLE: &str = "\
Examples:
    kvconf watch checkout
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
    /// End after so many entries
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
}

impl Watch {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let request = bucket.watch(filters(&self.prefixes));
        let mut watch = if self.all { request.await? } else { request.new_only().await? };
        if !session.out.is_json() {
            session.out.note(format!("watching bucket {}; Ctrl-C ends it", bucket.name()))?;
        }
        let mut left = self.count;
        while left != Some(0) {
            match watch.event().await {
                WatchEvent::Entry(entry) if !entry.key().is_reserved() => {
                    show(session, &entry)?;
                    // Whoever looks wants to see it now.
                    session.out.flush()?;
                    left = left.map(|left| left - 1);
                }
                WatchEvent::Interrupted(interruption) => session.out.note(format!("{interruption}"))?,
                WatchEvent::Resumed => session.out.note("the watch goes on; nothing that the bucket keeps is lost")?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn show(session: &mut Session, entry: &Entry) -> Outcome {
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
    session.out.line(told)
}
