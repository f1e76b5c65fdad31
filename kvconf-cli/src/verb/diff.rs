//! `kvconf diff`: what differs between two states.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use clap::Args;
use kvconf::{Bucket, Entry, Filter, Key, Point, Prefix};
use serde_json::json;

use crate::change::{LayerArgs, differences_table, flag_lines, value_json};
use crate::document::{Wanted, Wish};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Progress, patiently};
use crate::schemas::Rules;
use crate::session::Session;
use crate::stream::Stream;
use crate::verb::apply::{Source, scopes};
use crate::verb::export::{Format, prefix};
use crate::when;

const EXAMPLE: &str = "\
Examples:
    kvconf diff 4102                      what has changed since that revision
    kvconf diff 4102 4110 -p checkout     between two revisions, below a prefix
    kvconf diff 10m                       in the last ten minutes; 14:02 and RFC 3339 are times, too
    kvconf diff checkout.toml             what applying the file would change, --prune included
    kvconf diff checkout.toml --exit-code || echo drifted";

/// Show what differs between two moments, or between the bucket and a file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Diff {
    /// A revision, a time, or a file of keys
    #[arg(value_name = "MOMENT|FILE")]
    from: String,
    /// The other moment [default: now]
    #[arg(value_name = "MOMENT")]
    to: Option<String>,
    /// Only keys below this prefix
    #[arg(short, long, value_name = "PREFIX", value_parser = prefix)]
    prefix: Option<Prefix>,
    /// The form of the file [default: by its name, else TOML]
    #[arg(short, long, value_enum, value_name = "FORM")]
    format: Option<Format>,
    /// End with exit code 11 when there are differences
    #[arg(long)]
    exit_code: bool,
}

/// Values by key.
type State = BTreeMap<Key, Bytes>;

impl Diff {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let prefix = self.prefix.clone().unwrap_or_else(Prefix::root);
        let differing = if is_file(&self.from) {
            self.to_file(session, &prefix).await?
        } else {
            self.between(session, &prefix).await?
        };
        let secrecy = session.out.secrecy();
        let changes = differing.iter().map(|(key, (before, after))| (key, before.as_ref(), after.as_ref()));
        if session.out.is_json() {
            for (key, before, after) in changes {
                let value = |value| value_json(secrecy, key, value);
                let line = json!({ "key": key.as_str(), "before": value(before), "after": value(after) });
                session.out.json(&line)?;
            }
        } else if differing.is_empty() {
            session.out.line("no difference")?;
        } else {
            let table = differences_table(changes.clone(), secrecy);
            session.out.table(&table)?;
            for line in flag_lines(changes, secrecy) {
                session.out.line(line)?;
            }
        }
        if self.exit_code && !differing.is_empty() {
            return Err(Failure::silent(Exit::Differs));
        }
        Ok(())
    }

    /// What differs between two moments. Of the later state only what differs is ever held.
    async fn between(&self, session: &mut Session, prefix: &Prefix) -> Outcome<Differences> {
        let points = |now: SystemTime| {
            let to = self.to.as_deref().map_or(Ok(Point::Latest), |to| point(to, now))?;
            Ok::<_, Failure>((point(&self.from, now)?, to))
        };
        // What is no moment is told before anybody is asked.
        let (mut from, mut to) = points(session.out.now())?;
        let bucket = session.bucket().await?;
        if [from, to].iter().any(|point| matches!(point, Point::Time(_))) {
            session.take_time_from(&bucket).await?;
            (from, to) = points(session.out.now())?;
        }
        let mut differences = Differing::from(state_at(session, &bucket, prefix, from).await?);
        if to == Point::Latest {
            let mut progress = Progress::new(None, session.out.is_quiet());
            let mut stream = Stream::open(&bucket, vec![Filter::from(prefix)]).await?;
            while let Some(entry) = stream.next().await? {
                progress.add(1);
                differences.take(entry.key().clone(), entry.value().clone());
            }
        } else {
            let after = state_at(session, &bucket, prefix, to).await?;
            after.into_iter().for_each(|(key, value)| differences.take(key, value));
        }
        Ok(differences.rest())
    }

    /// What a file would change.
    async fn to_file(&self, session: &mut Session, prefix: &Prefix) -> Outcome<Differences> {
        if self.to.is_some() {
            return Err(Failure::new(Exit::Usage, "a file is compared with the bucket as it is now"));
        }
        let source = Source::open(&self.from, self.format)?;
        let bucket = session.bucket().await?;
        let wanted = source.wanted(None, &Rules::of(&bucket, &LayerArgs::default()).await?)?;
        let present = state_at(session, &bucket, prefix, Point::Latest).await?;
        let (before, after) = with_file(present, wanted, prefix);
        let mut differences = Differing::from(before);
        after.into_iter().for_each(|(key, value)| differences.take(key, value));
        Ok(differences.rest())
    }
}

/// The values before and after of keys that differ.
type Differences = BTreeMap<Key, (Option<Bytes>, Option<Bytes>)>;

/// Two states on the way to what differs: what is equal is dropped as soon as it is seen.
struct Differing {
    before: State,
    found: Differences,
}

impl From<State> for Differing {
    fn from(before: State) -> Self {
        Self { before, found: Differences::new() }
    }
}

impl Differing {
    /// A value of the later state.
    fn take(&mut self, key: Key, after: Bytes) {
        let before = self.before.remove(&key);
        if before.as_ref() != Some(&after) {
            self.found.insert(key, (before, Some(after)));
        }
    }

    /// What differs, once the whole later state was seen.
    fn rest(self) -> Differences {
        let Self { before, mut found } = self;
        found.extend(before.into_iter().map(|(key, value)| (key, (Some(value), None))));
        found
    }
}

/// Whether it can only be a file: by its name, or because there is one.
fn is_file(text: &str) -> bool {
    text == "-" || Format::of_path(text).is_some() || std::path::Path::new(text).is_file()
}

fn point(text: &str, now: SystemTime) -> Outcome<Point> {
    if text == "now" {
        return Ok(Point::Latest);
    }
    when::point(text, now).map_err(|error| Failure::new(Exit::Invalid, error))
}

/// A revision within a change set stands for the state before that set, and that is said.
async fn state_at(session: &mut Session, bucket: &Bucket, prefix: &Prefix, point: Point) -> Outcome<State> {
    let own = |entry: &Entry| {
        let value = entry.put_value().filter(|_| !entry.key().is_reserved())?;
        Some((entry.key().clone(), value.clone()))
    };
    if point == Point::Latest {
        let reading = patiently("reading", &session.out, bucket.read(prefix.clone())).await?;
        return Ok(reading.live().filter_map(own).collect());
    }
    let past = patiently("reading", &session.out, bucket.at(prefix.clone(), point)).await?;
    if let Point::Revision(asked) = point
        && past.revision() < asked
    {
        let shown = past.revision();
        let words = format!("revision {asked} lies within a change set: it is taken for {shown}, the state before");
        session.out.note(words)?;
    }
    Ok(past.entries().filter_map(own).collect())
}

/// The bucket's state where the file has a say, and what the file makes of it.
fn with_file(present: State, wanted: Vec<Wanted>, prefix: &Prefix) -> (State, State) {
    let scopes = scopes(&wanted, Some(prefix).filter(|prefix| !prefix.is_root()));
    let named: BTreeSet<Key> = wanted.iter().map(|wanted| wanted.key.clone()).collect();
    let has_say = |key: &Key| named.contains(key) || scopes.iter().any(|scope: &Filter| scope.matches(key));
    let before: State = present.into_iter().filter(|(key, _)| has_say(key)).collect();
    let mut after = State::new();
    for Wanted { key, wish, .. } in wanted {
        match wish {
            Wish::Set(value) => {
                after.insert(key, value);
            }
            Wish::Keep => after.extend(before.get_key_value(&key).map(|(key, value)| (key.clone(), value.clone()))),
            Wish::Unset => {}
        }
    }
    (before, after)
}
