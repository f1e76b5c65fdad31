//! `kvconf diff`: what differs between two states.

mod merged;

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use clap::Args;
use kvconf::{Filter, Key, KeyDiffs, Point};
use serde_json::{Value as Json, json};

use crate::change::{LayerArgs, add_difference, no_differences, value_json};
use crate::document::{Wanted, Wish};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Progress, Table, patiently};
use crate::schemas::Rules;
use crate::session::Session;
use crate::stream::Stream;
use crate::suggest;
use crate::targets::{InLayers, present};
use crate::verb::apply::{Source, scopes};
use crate::verb::export::Format;
use crate::when;
use merged::Merged;

/// How many rows are aligned with each other: more are never held.
const ROWS: usize = 1_000;

const EXAMPLE: &str = "\
Examples:
    kvconf diff 4102                      what has changed since that revision
    kvconf diff 4102 4110 -p checkout     between two revisions, below a prefix
    kvconf diff 10m                       in the last ten minutes; 14:02 and RFC 3339 are times, too
    kvconf diff 10m -p checkout --layer base,env.prod
    kvconf diff 10m --merged --layer base,env.prod,host.web-1     what that host got and gets
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
    /// Only this key, or keys below this prefix; may be given repeatedly
    #[arg(short, long, value_name = "KEY|PREFIX")]
    prefix: Vec<String>,
    #[command(flatten)]
    layers: InLayers,
    /// What readers of the layers got and get: of each setting the value of the last of the layers that has one
    #[arg(long, requires = "in_layers")]
    merged: bool,
    /// The form of the file [default: by its name, else TOML]
    #[arg(short, long, value_enum, value_name = "FORM")]
    format: Option<Format>,
    /// End with exit code 11 when there are differences
    #[arg(long)]
    exit_code: bool,
}

impl Diff {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let count = if is_file(&self.from) { self.to_file(session).await? } else { self.between(session).await? };
        if count == 0 && !session.out.is_json() {
            session.out.line("no difference")?;
        }
        if self.exit_code && count > 0 {
            return Err(Failure::silent(Exit::Differs));
        }
        Ok(())
    }

    /// Tells what differs between two moments, and how many keys do.
    async fn between(&self, session: &mut Session) -> Outcome<usize> {
        let points = |now: SystemTime| {
            let to = self.to.as_deref().map_or(Ok(Point::Latest), |to| point(to, now))?;
            Ok::<_, Failure>((point(&self.from, now)?, to))
        };
        // What is no moment, and no key, is told before anybody is asked.
        let (mut from, mut to) = points(session.out.now())?;
        crate::targets::filters(&self.prefix, &self.layers)?;
        let layers = self.merged.then(|| self.layers.ordered().ok_or_else(merged::unmerged)).transpose()?;
        let bucket = session.bucket().await?;
        let is_time = [from, to].iter().any(|point| matches!(point, Point::Time(_)));
        if is_time {
            session.take_time_from(&bucket).await?;
            (from, to) = points(session.out.now())?;
        }
        let filters = present(&bucket, &self.prefix, &self.layers).await?;
        let diff = bucket.diff(filters.clone(), from, to);
        let mut found = patiently("comparing", &session.out, diff).await?;
        tell_moments(session, &found, (from, to))?;
        let count = match layers {
            Some(layers) => Merged { bucket: &bucket, layers }.tell(session, &mut found).await?,
            None => tell(session, &mut found).await?,
        };
        if count == 0
            && let Some(hint) = suggest::instead(&bucket, &self.prefix, &self.layers, &filters).await
        {
            session.out.note(format!("there are no such keys now; {hint}"))?;
        }
        Ok(count)
    }

    /// Tells what a file would change, and in how many keys.
    async fn to_file(&self, session: &mut Session) -> Outcome<usize> {
        if self.merged {
            return Err(Failure::new(Exit::Usage, "a file is of one layer: there is nothing to merge"));
        }
        if self.to.is_some() {
            return Err(Failure::new(Exit::Usage, "a file is compared with the bucket as it is now"));
        }
        let Some(layer) = self.layers.only() else {
            let failure = Failure::new(Exit::Usage, "a file is compared with one layer");
            return Err(failure.hint(format!("kvconf diff {} --layer LAYER", self.from)));
        };
        let source = Source::open(&self.from, self.format)?;
        let below = crate::targets::filters(&self.prefix, &self.layers)?;
        let bucket = session.bucket().await?;
        let under = Some(&layer).filter(|layer| !layer.is_root());
        let rules = Rules::of(&bucket, &LayerArgs::default()).await?;
        let wanted = source.wanted(under, &rules)?;
        let scopes = if below.is_empty() { scopes(&wanted, under) } else { below };
        let mut wishes: BTreeMap<Key, Wish> =
            wanted.into_iter().map(|Wanted { key, wish, .. }| (key, wish)).collect();
        let mut found: BTreeMap<Key, (Option<Bytes>, Option<Bytes>)> = BTreeMap::new();
        let mut progress = Progress::new(None, session.out.is_quiet());
        let mut stream = Stream::open(&bucket, asked(&scopes, wishes.keys())).await?;
        while let Some(entry) = stream.next().await? {
            progress.add(1);
            let (key, value) = (entry.key().clone(), entry.value().clone());
            match wishes.remove(&key) {
                None if !scopes.iter().any(|scope| scope.matches(&key)) => {}
                Some(Wish::Keep) => {}
                Some(Wish::Set(wanted)) if wanted == value => {}
                Some(Wish::Set(wanted)) => drop(found.insert(key, (Some(value), Some(wanted)))),
                Some(Wish::Unset) | None => drop(found.insert(key, (Some(value), None))),
            }
        }
        drop(progress);
        for (key, wish) in wishes {
            if let Wish::Set(value) = wish {
                found.insert(key, (None, Some(value)));
            }
        }
        let mut told = Told::new();
        for (key, (before, after)) in &found {
            told.add(session, key, before.as_ref(), after.as_ref())?;
        }
        told.end(session)
    }
}

/// Tells key by key, as they come.
async fn tell(session: &mut Session, found: &mut KeyDiffs) -> Outcome<usize> {
    let mut told = Told::new();
    let mut progress = Progress::new(None, session.out.is_quiet() || session.out.is_terminal());
    while let Some(one) = found.next().await? {
        progress.add(1);
        told.add(session, one.key(), one.before(), one.after())?;
    }
    drop(progress);
    told.end(session)
}

/// What a file has a say on: where it has the whole say, and the keys that it names besides.
fn asked<'a>(scopes: &[Filter], named: impl Iterator<Item = &'a Key>) -> Vec<Filter> {
    /// Up to how many keys are asked for by name; of more, everything is looked at.
    const MOST: usize = 100;
    let others = named.filter(|key| !scopes.iter().any(|scope| scope.matches(key))).map(Filter::from);
    let others: Vec<Filter> = others.collect();
    if others.len() > MOST || scopes.is_empty() && others.is_empty() {
        return vec![Filter::all()];
    }
    scopes.iter().cloned().chain(others).collect()
}

/// Differences on their way out: as they come, or row by row of a table.
struct Told {
    table: Table,
    rows: usize,
    count: usize,
}

impl Told {
    fn new() -> Self {
        Self { table: no_differences(), rows: 0, count: 0 }
    }

    fn add(
        &mut self,
        session: &mut Session,
        key: &Key,
        before: Option<&Bytes>,
        after: Option<&Bytes>,
    ) -> Outcome {
        let secrecy = session.out.secrecy();
        if session.out.is_json() {
            let value = |value| value_json(secrecy, key, value);
            let line = json!({ "key": key.as_str(), "before": value(before), "after": value(after) });
            return self.json(session, &line);
        }
        self.row(session, |table| add_difference(table, secrecy, key, (before, after)))
    }

    fn json(&mut self, session: &mut Session, line: &Json) -> Outcome {
        self.count += 1;
        session.out.json(line)
    }

    fn row(&mut self, session: &mut Session, add: impl FnOnce(&mut Table)) -> Outcome {
        add(&mut self.table);
        self.count += 1;
        self.rows += 1;
        if self.rows < ROWS {
            return Ok(());
        }
        self.rows = 0;
        let table = std::mem::replace(&mut self.table, no_differences());
        session.out.table(&table)
    }

    /// How many there were.
    fn end(self, session: &mut Session) -> Outcome<usize> {
        session.out.table(&self.table)?;
        Ok(self.count)
    }
}

/// A revision within a change set stands for the state before that set, and that is said; so is which revision a time means.
fn tell_moments(session: &mut Session, found: &KeyDiffs, (from, to): (Point, Point)) -> Outcome {
    for (asked, shown) in [(from, found.from()), (to, found.to())] {
        if let Point::Revision(asked) = asked
            && asked != shown
        {
            let words = format!("revision {asked} lies within a change set: it is taken for {shown}, the state before");
            session.out.note(words)?;
        }
    }
    if [from, to].iter().any(|point| matches!(point, Point::Time(_))) {
        session.out.note(format!("from revision {} to {}", found.from(), found.to()))?;
    }
    Ok(())
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
