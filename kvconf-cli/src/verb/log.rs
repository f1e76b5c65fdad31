//! `kvconf log`: what was changed, newest first.

use std::collections::BTreeSet;
use std::time::SystemTime;

use clap::Args;
use kvconf::{Bucket, Filter, LoggedChange, LoggedKey, Revision};

use crate::failure::{Outcome, narrower};
use crate::output::{ago, patiently};
use crate::past::{change_json, heading, keys_table};
use crate::session::Session;
use crate::suggest;
use crate::targets::{InLayers, present, quoted};
use crate::when;

const EXAMPLE: &str = "\
Examples:
    kvconf log
    kvconf log checkout --since 2h --author ops
    kvconf log checkout.max_items -n 5
    kvconf log checkout --layer base,env.prod    in these layers
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
    /// Only what touched these keys, the keys under these prefixes, or what filters such as 'app.*.port' match
    #[arg(value_name = "KEY|PREFIX")]
    targets: Vec<String>,
    #[command(flatten)]
    layers: InLayers,
    /// Only what was made since then: 2h, 14:02, 2026-03-01, an RFC 3339 time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only what was made until then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
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
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    author: Option<String>,
}

impl Log {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        // What is no moment, and no key, is told before anybody is asked.
        self.wanted(session.out.now())?;
        crate::targets::filters(&self.targets, &self.layers)?;
        let bucket = session.bucket().await?;
        session.take_time_from(&bucket).await?;
        let wanted = self.wanted(session.out.now())?;
        let filters = present(&bucket, &self.targets, &self.layers).await?;
        let log = bucket.log_of(filters.clone()).show_values();
        let mut log = match self.before {
            Some(revision) => log.before(Revision::new(revision)),
            None => log,
        }
        .stream();
        let most = self.limit.unwrap_or(if session.out.is_json() { usize::MAX } else { SHOWN });
        let mut count = 0;
        let mut oldest = None;
        let mut others = Others::default();
        while let Some(change) = patiently("looking", &session.out, log.next()).await {
            let change = change.map_err(|error| narrower(error.into(), &filters, "kvconf log PREFIX"))?;
            // Newest first: nothing that follows is younger.
            if wanted.since.is_some_and(|since| change.time() < since) {
                others.take(&change);
                break;
            }
            if !wanted.includes(&change) {
                others.take(&change);
                continue;
            }
            if count == most {
                return self.more(session, oldest);
            }
            tell(session, &change, count == 0)?;
            count += 1;
            oldest = Some(*change.revisions().start());
        }
        if count == 0 { self.none(session, &bucket, &filters, &others).await } else { Ok(()) }
    }

    fn wanted(&self, now: SystemTime) -> Outcome<Wanted> {
        let moment = |text: &Option<String>| text.as_deref().map(|text| when::time(text, now)).transpose();
        let (since, until) = (moment(&self.since)?, moment(&self.until)?);
        Ok(Wanted { since, until, author: self.author.clone() })
    }

    async fn none(
        &self,
        session: &mut Session,
        bucket: &Bucket,
        filters: &[Filter],
        others: &Others,
    ) -> Outcome {
        session.out.note("no change that is kept matches")?;
        if let Some(words) = others.words(session.out.now()) {
            return session.out.note(words);
        }
        match suggest::instead(bucket, &self.targets, &self.layers, filters).await {
            Some(hint) => session.out.note(hint),
            None => Ok(()),
        }
    }

    /// How to go on, as it is typed.
    fn more(&self, session: &mut Session, oldest: Option<Revision>) -> Outcome {
        let Some(oldest) = oldest else { return Ok(()) };
        let mut words = vec!["kvconf log".to_owned()];
        words.extend(self.targets.iter().map(|target| quoted(target)));
        words.extend(self.layers.typed());
        let options = [("--since", &self.since), ("--until", &self.until), ("--author", &self.author)];
        for (name, value) in options {
            words.extend(value.iter().map(|value| format!("{name} {}", quoted(value))));
        }
        words.push(format!("--before {oldest}"));
        session.out.note(format!("there are older ones: {}", words.join(" ")))
    }
}

/// Changes that were not asked for: what there is instead, where nothing is found.
#[derive(Default)]
struct Others {
    newest: Option<(Revision, SystemTime)>,
    authors: BTreeSet<String>,
}

impl Others {
    /// How many authors are named.
    const MOST: usize = 5;

    fn take(&mut self, change: &LoggedChange) {
        self.newest.get_or_insert((change.revision(), change.time()));
        if self.authors.len() <= Self::MOST {
            self.authors.extend(change.author().map(|author| author.escape_debug().to_string()));
        }
    }

    fn words(&self, now: SystemTime) -> Option<String> {
        let (revision, time) = self.newest?;
        let mut authors: Vec<&str> = self.authors.iter().take(Self::MOST).map(String::as_str).collect();
        if self.authors.len() > Self::MOST {
            authors.push("others");
        }
        let by = if authors.is_empty() { String::new() } else { format!(", by {}", authors.join(", ")) };
        Some(format!("there are others, the newest at revision {revision}, {}{by}", ago(time, now)))
    }
}

impl Wanted {
    fn includes(&self, change: &LoggedChange) -> bool {
        let is_other = self.author.as_deref().is_some_and(|author| change.author() != Some(author));
        !is_other && self.until.is_none_or(|until| change.time() <= until)
    }
}

fn tell(session: &mut Session, change: &LoggedChange, is_first: bool) -> Outcome {
    let out = &mut session.out;
    let secrecy = out.secrecy();
    let keys: Vec<&LoggedKey> = change.keys().iter().collect();
    if out.is_json() {
        return out.json(&change_json(change, &keys, secrecy));
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
