//! `kvconf explain`: what stands under a key, and why.

use clap::Args;
use kvconf::{Attribution, Bucket, Entry, Key};
use serde_json::{Value, json};

use super::history::removed;
use crate::change::value_json;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{ago, rfc3339, shown};
use crate::past::{Named, by, find};
use crate::session::Session;
use crate::suggest::near;

const EXAMPLE: &str = "\
Example:
    kvconf explain checkout.max_items";

/// How many columns of a value are shown.
const KEPT: usize = 200;

/// The header with which a value is given a time to live.
const TTL: &str = "Nats-TTL";

/// Say what stands under a key, who set it, when and why, and what it was before
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Explain {
    /// The key
    #[arg(value_name = "KEY")]
    key: Key,
}

/// What is known of a key.
struct Known {
    now: Entry,
    before: Option<Entry>,
    /// How many revisions are kept.
    kept: usize,
    /// How many other keys changed with it.
    others: usize,
}

impl Explain {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let Some(known) = look(&bucket, &self.key).await? else {
            let failure = Failure::new(Exit::NotFound, format!("{} has no value and no history", self.key));
            return Err(match near(&bucket, &self.key).await {
                Some(near) => failure.hint(format!("did you mean {near}?")),
                None => failure.hint("kvconf ls"),
            });
        };
        if session.out.is_json() {
            let document = document(&known, session);
            return session.out.json(&document);
        }
        tell(session, &known, bucket.name())
    }
}

async fn look(bucket: &Bucket, key: &Key) -> Outcome<Option<Known>> {
    let mut entries = bucket.history(key.clone()).await?;
    let kept = entries.len();
    let Some(now) = entries.pop() else { return Ok(None) };
    // A user of one prefix cannot look at the whole change set: then nothing is said of others.
    let parent = key.as_str().rsplit_once('.').map_or("", |(parent, _)| parent);
    let parent = kvconf::Prefix::new(parent)?;
    let sets = find(bucket, &parent, &Named::Revision(now.revision())).await.unwrap_or_default();
    let others = sets.iter().map(|set| set.keys().len().saturating_sub(1)).sum();
    Ok(Some(Known { now, before: entries.pop(), kept, others }))
}

fn document(known: &Known, session: &Session) -> Value {
    let secrecy = session.out.secrecy();
    let entry = |entry: &Entry| {
        let by = Attribution::of(entry);
        json!({
            "value": value_json(secrecy, entry.key(), entry.put_value()),
            "revision": entry.revision().get(),
            "time": rfc3339(entry.created()),
            "author": by.author.as_deref(), "reason": by.reason.as_deref(), "change": by.change.as_deref(),
            "ttl": entry.headers().get(TTL),
        })
    };
    json!({
        "key": known.now.key().as_str(),
        "now": entry(&known.now),
        "before": known.before.as_ref().map(entry),
        "kept_revisions": known.kept,
        "changed_with": known.others,
        "sealed_with": kvconf::seal::key_id(known.now.value()),
    })
}

fn tell(session: &mut Session, known: &Known, bucket: &str) -> Outcome {
    let out = &mut session.out;
    let (secrecy, now) = (out.secrecy(), out.now());
    let text = |entry: &Entry| match removed(entry) {
        Some(how) => how.to_owned(),
        None => shown(secrecy, entry.key(), entry.value()).short(KEPT),
    };
    let origin = |entry: &Entry| {
        let who = Attribution::of(entry);
        let mut line = format!("revision {}, {}, {}", entry.revision(), ago(entry.created(), now), by(who.author.as_deref()));
        line.extend(who.reason.iter().map(|reason| format!(": {reason:?}")));
        line
    };
    out.line(format!("{}: {}", known.now.key(), text(&known.now)))?;
    out.line(format!("  from bucket {bucket}, {}", origin(&known.now)))?;
    if known.others > 0 {
        let s = if known.others == 1 { "" } else { "s" };
        out.line(format!("  with {} other key{s} in one change: kvconf show {}", known.others, known.now.revision()))?;
    }
    if let Some(ttl) = known.now.headers().get(TTL) {
        out.line(format!("  removed {} after it was written", ttl.escape_debug()))?;
    }
    match &known.before {
        Some(before) => {
            out.line(format!("  before: {}", text(before)))?;
            out.line(format!("  from {}", origin(before)))?;
            out.line(format!("  help: kvconf rollback {} --to {}", before.key(), before.revision()))?;
        }
        None => out.line("  before: (nothing that is kept)")?,
    }
    out.line(format!("  {} kept: kvconf history {}", crate::change::counted(known.kept, "revision"), known.now.key()))
}
