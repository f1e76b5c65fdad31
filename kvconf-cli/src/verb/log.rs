//! `kvconf log`: what was changed, newest first.

use std::time::SystemTime;

use clap::Args;
use kvconf::{Bucket, Key, LogStream, LoggedChange, LoggedKey, Prefix, Revision};

use crate::failure::Outcome;
use crate::past::{change_json, heading, keys_table};
use crate::output::patiently;
use crate::session::Session;
use crate::when;

const EXAMPLE: &str = "\
Examples:
    kvconf log
    kvconf log checkout --since 2h --author ops
    kvconf log checkout.max_items -n 5
    kvconf log --before 4102                     older ones
    kvconf log --json | jq -r .author            one line for each change set, all that are kept

Times are UTC, as kvconf prints them; `10m` and `2d` mean so long ago.";

/// How many change sets people are shown, unless they say.
const SHOWN: usize = 20;

/// How many keys of one change set people are shown here; `kvconf show` has all.
const KEYS: usize = 10;

/// Show what was changed, by whom and why, newest first
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Log {
    /// Only what touched this key or the keys under this prefix
    #[arg(value_name = "KEY|PREFIX", value_parser = |text: &str| Prefix::new(text))]
    prefix: Option<Prefix>,
    /// Only what was made since then: 2h, 14:02, 2026-03-01, an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was made until then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only what this author made
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Only what was complete before this revision
    #[arg(long, value_name = "REVISION")]
    before: Option<u64>,
    /// How many change sets [default: 20 for people, else all]
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
}

/// Which change sets are asked for.
struct Wanted {
    prefix: Prefix,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    author: Option<String>,
}

impl Log {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let moments = |now: SystemTime| {
            let moment = |text: &Option<String>| text.as_deref().map(|text| when::time(text, now)).transpose();
            Ok::<_, when::WhenError>((moment(&self.since)?, moment(&self.until)?))
        };
        // What is no moment is told before anybody is asked.
        moments(session.out.now())?;
        let bucket = session.bucket().await?;
        session.take_time_from(&bucket).await?;
        let (since, until) = moments(session.out.now())?;
        let prefix = self.prefix.unwrap_or_else(Prefix::root);
        let wanted = Wanted { since, until, author: self.author, prefix };
        let mut log = open(&bucket, &wanted.prefix, self.before).await?;
        let most = self.limit.unwrap_or(if session.out.is_json() { usize::MAX } else { SHOWN });
        let mut count = 0;
        let mut oldest = None;
        while let Some(change) = patiently("looking", &session.out, log.next()).await {
            let change = change?;
            // Newest first: nothing that follows is younger.
            if wanted.since.is_some_and(|since| change.time() < since) {
                break;
            }
            let keys = wanted.keys(&change);
            if keys.is_empty() {
                continue;
            }
            if count == most {
                return more(session, oldest);
            }
            tell(session, &change, &keys, count == 0)?;
            count += 1;
            oldest = Some(*change.revisions().start());
        }
        if count == 0 {
            session.out.note("no change that is kept is such")?;
        }
        Ok(())
    }
}

/// A key is under no prefix but that of its parent.
async fn open(bucket: &Bucket, prefix: &Prefix, before: Option<u64>) -> Outcome<LogStream> {
    let is_key = match Key::new(prefix.as_str()) {
        Ok(key) => bucket.entry(key).await?.is_some(),
        Err(_) => false,
    };
    let parent = || match prefix.as_str().rsplit_once('.') {
        Some((parent, _)) => Prefix::new(parent),
        None => Ok(Prefix::root()),
    };
    let log = bucket.log(if is_key { parent()? } else { prefix.clone() }).show_values();
    Ok(match before {
        Some(revision) => log.before(Revision::new(revision)),
        None => log,
    }
    .stream())
}

impl Wanted {
    /// The keys of a change set that are asked for; none where the change set is not.
    fn keys<'a>(&self, change: &'a LoggedChange) -> Vec<&'a LoggedKey> {
        let is_other = self.author.as_deref().is_some_and(|author| change.author() != Some(author));
        if is_other || self.until.is_some_and(|until| change.time() > until) {
            return Vec::new();
        }
        let is_meant = |key: &&LoggedKey| {
            key.key().under(&self.prefix).is_some() || key.key().as_str() == self.prefix.as_str()
        };
        change.keys().iter().filter(is_meant).collect()
    }
}

fn tell(session: &mut Session, change: &LoggedChange, keys: &[&LoggedKey], is_first: bool) -> Outcome {
    let out = &mut session.out;
    let secrecy = out.secrecy();
    if out.is_json() {
        return out.json(&change_json(change, keys, secrecy));
    }
    if !is_first {
        out.line("")?;
    }
    out.line(heading(change, out.now(), out.style()))?;
    let (told, rest) = keys.split_at(keys.len().min(KEYS));
    out.table(&keys_table(told, secrecy))?;
    if !rest.is_empty() {
        out.line(format!("   and {} more: kvconf show {}", rest.len(), change.revision()))?;
    }
    if change.is_partial() {
        out.line(format!("   and {} no longer kept", change.missing()))?;
    }
    Ok(())
}

fn more(session: &mut Session, oldest: Option<Revision>) -> Outcome {
    let Some(oldest) = oldest else { return Ok(()) };
    session.out.note(format!("there are older ones: kvconf log … --before {oldest}"))
}
