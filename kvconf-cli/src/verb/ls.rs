//! `kvconf ls`: which keys there are.

use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use kvconf::{Attribution, Bucket, Entry, Key, Prefix};

use crate::failure::Outcome;
use crate::output::{Column, Frame, Progress, Record, Tone, ago, shown};
use crate::session::Session;
use crate::stream::Stream;
use crate::verb::export::{filters, prefix};

const EXAMPLE: &str = "\
Examples:
    kvconf ls
    kvconf ls checkout -l             with revision, time and author
    kvconf ls --json | jq -r .key     one line for each key, in the order in which they were written";

/// How many columns of a value are kept; more never fit.
const KEPT: usize = 200;

/// List keys as a tree, with their values
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Ls {
    /// Only keys under these prefixes
    #[arg(value_name = "PREFIX", value_parser = prefix)]
    prefixes: Vec<Prefix>,
    /// Show revision, time and author too
    #[arg(short, long)]
    long: bool,
    /// Whole keys, one a line, instead of a tree
    #[arg(long)]
    flat: bool,
    /// Show keys that belong to kvconf itself too
    #[arg(long)]
    all: bool,
}

/// What the tree needs to know of a key. Values are cut at once: there may be very many.
struct Leaf {
    key: Key,
    value: String,
    revision: u64,
    created: SystemTime,
    author: Arc<str>,
}

impl Ls {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let mut leaves = Vec::new();
        let secrecy = session.out.secrecy();
        let mut stream = Stream::open(&bucket, filters(&self.prefixes)).await?.with_reserved(self.all);
        let is_seen = session.out.is_json() && session.out.is_terminal();
        let mut progress = Progress::new(None, session.out.is_quiet() || is_seen);
        while let Some(entry) = stream.next().await? {
            progress.add(1);
            if session.out.is_json() {
                session.out.json(&Record::new(&entry, secrecy))?;
            } else {
                let value = shown(secrecy, entry.key(), entry.value()).short(KEPT);
                leaves.push(Leaf::new(&entry, value));
            }
        }
        drop(progress);
        if let Some(left_out) = stream.left_out() {
            session.out.note(left_out)?;
        }
        if session.out.is_json() {
            return Ok(());
        }
        if leaves.is_empty() {
            return self.none(session, &bucket);
        }
        if self.long {
            session.take_time_from(&bucket).await?;
        }
        leaves.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        self.tell(session, &leaves)
    }

    fn none(&self, session: &mut Session, bucket: &Bucket) -> Outcome {
        let name = bucket.name();
        session.out.note(if self.prefixes.is_empty() {
            format!("bucket {name} is empty")
        } else {
            format!("bucket {name} has no such keys")
        })
    }

    /// Row by row, for there may be very many: the first time their widths are taken, the second time they are written.
    fn tell(&self, session: &mut Session, leaves: &[Leaf]) -> Outcome {
        let now = session.out.now();
        let mut frame = Frame::new([
            Column::fixed("", Tone::Key),
            Column::flexible("", Tone::Plain),
            Column::fixed("", Tone::Dim),
            Column::fixed("", Tone::Dim),
            Column::flexible("", Tone::Dim),
        ]);
        self.rows(leaves, now, &mut |row| {
            frame.measure(row);
            Ok(())
        })?;
        let widths = session.out.fitted(&frame);
        self.rows(leaves, now, &mut |row| session.out.row(&frame, &widths, row))
    }

    fn rows(&self, leaves: &[Leaf], now: SystemTime, each: &mut impl FnMut(&[String]) -> Outcome) -> Outcome {
        let mut above: Vec<&str> = Vec::new();
        for leaf in leaves {
            let tokens: Vec<&str> = leaf.key.tokens().collect();
            let name = if self.flat {
                leaf.key.to_string()
            } else {
                let shared = tokens.iter().zip(&above).take_while(|(one, other)| one == other).count();
                let last = tokens.len().saturating_sub(1);
                for depth in shared.min(last)..last {
                    each(&[format!("{}{}", "  ".repeat(depth), tokens.get(depth).unwrap_or(&""))])?;
                }
                format!("{}{}", "  ".repeat(last), tokens.last().unwrap_or(&""))
            };
            let mut row = vec![name, leaf.value.clone()];
            if self.long {
                row.extend([leaf.revision.to_string(), ago(leaf.created, now), leaf.author.to_string()]);
            }
            each(&row)?;
            above = tokens;
        }
        Ok(())
    }
}

impl Leaf {
    fn new(entry: &Entry, value: String) -> Self {
        Self {
            key: entry.key().clone(),
            value,
            revision: entry.revision().get(),
            created: entry.created(),
            author: Attribution::of(entry).author.unwrap_or_default(),
        }
    }
}
