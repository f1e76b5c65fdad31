//! `kvconf diff`: what differs between two states.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use clap::Args;
use kvconf::{Bucket, Filter, Key, Point, Prefix};
use serde_json::json;

use crate::change::{LayerArgs, differences_table, flag_lines, value_json};
use crate::document::{Wanted, Wish};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::schemas::Rules;
use crate::session::Session;
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
        let now = session.out.now();
        let from = if is_file(&self.from) { None } else { Some(point(&self.from, now)?) };
        let (before, after) = match from {
            Some(from) => {
                let to = self.to.as_deref().map_or(Ok(Point::Latest), |to| point(to, now))?;
                let bucket = session.bucket().await?;
                let before = state_at(session, &bucket, &prefix, from).await?;
                (before, state_at(session, &bucket, &prefix, to).await?)
            }
            None if self.to.is_some() => {
                return Err(Failure::new(Exit::Usage, "a file is compared with the bucket as it is now"));
            }
            None => {
                let source = Source::open(&self.from, self.format)?;
                let bucket = session.bucket().await?;
                let wanted = source.wanted(None, &Rules::of(&bucket, &LayerArgs::default()).await?)?;
                let present = state_at(session, &bucket, &prefix, Point::Latest).await?;
                with_file(present, wanted, &prefix)
            }
        };
        let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
        let differing = |key: &&&Key| before.get(**key) != after.get(**key);
        let differing: Vec<&Key> = keys.iter().filter(differing).copied().collect();
        let changes = differing.iter().map(|key| (*key, before.get(*key), after.get(*key)));
        let secrecy = session.out.secrecy();
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
    let entries: Vec<_> = match point {
        Point::Latest => bucket.read(prefix.clone()).await?.live().cloned().collect(),
        point => {
            let past = bucket.at(prefix.clone(), point).await?;
            if let Point::Revision(asked) = point
                && past.revision() < asked
            {
                let shown = past.revision();
                let words = format!("revision {asked} lies within a change set: it is taken for {shown}, the state before");
                session.out.note(words)?;
            }
            past.entries().cloned().collect()
        }
    };
    let own = entries.into_iter().filter(|entry| !entry.key().is_reserved());
    Ok(own.filter_map(|entry| Some((entry.key().clone(), entry.put_value()?.clone()))).collect())
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
