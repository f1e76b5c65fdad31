//! What programs have published of their settings: which keys are secrets, and what a change makes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use kvconf::settings::{PublishedSchema, Schemas, Unchecked};
use kvconf::{Bucket, Filter, Key, Problem, ReadError, Report, Schema};

/// How long schemas are waited for where values are only shown: without them the names of keys tell what is secret.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// The schemas of a bucket, for showing values. `None` where they cannot be read.
pub(crate) async fn for_showing(bucket: &Bucket) -> Option<Schemas> {
    tokio::time::timeout(SHOWN_WITHIN, bucket.schemas()).await.ok()?.ok()
}

/// A key, and its new value or its removal.
pub(crate) type Change = (String, Option<Vec<u8>>);

/// A change, from keys and their new values.
pub(crate) fn changes<'a>(wanted: impl Iterator<Item = (&'a Key, Option<&'a Bytes>)>) -> Vec<Change> {
    wanted.map(|(key, value)| (key.to_string(), value.map(|value| value.to_vec()))).collect()
}

/// A value that a schema would refuse if its key were one of a layer, which nobody has said.
#[derive(Debug)]
pub(crate) struct Guess {
    layer: String,
    name: String,
    problem: Problem,
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layer, name, problem } = self;
        write!(f, "{problem}, if {layer} is a layer of {name}: --layers {layer} would refuse it")
    }
}

/// What schemas say of a change.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// What they object to, one report for each schema and layer.
    pub(crate) reports: Vec<Report>,
    /// What they would object to if keys were of layers.
    pub(crate) guesses: Vec<Guess>,
    /// What only the programs themselves can tell.
    pub(crate) unchecked: Vec<Unchecked>,
}

/// Where a key stands, seen from the schema that has a say on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Below the prefix.
    Own,
    /// Below the prefix, in a layer that was named.
    Layer(String),
    /// Below the prefix in what may be a layer or not: a program with a struct of that name inside looks the same.
    Perhaps(String),
}

/// The schemas of a bucket, and the layers that were named.
pub(crate) struct Rules<'a> {
    pub(crate) schemas: &'a Schemas,
    pub(crate) layers: &'a [Filter],
}

impl Rules<'_> {
    /// Whether any schema has a say on a key.
    pub(crate) fn concern(&self, key: &Key) -> bool {
        self.place(key.as_str()).is_some()
    }

    /// Named layers come first, then the key as it stands, then a guess.
    fn place(&self, key: &str) -> Option<(&PublishedSchema, Place)> {
        let is_named = |layer: &str| {
            Key::new(layer).is_ok_and(|layer| self.layers.iter().any(|named| named.matches(&layer)))
        };
        let named = self.schemas.in_layers(key).filter(|(layer, _)| is_named(layer));
        if let Some((layer, published)) = named.max_by_key(|(_, published)| published.schema.prefix.len()) {
            return Some((published, Place::Layer(layer.to_owned())));
        }
        let own = self.schemas.for_key(key);
        let is_own =
            |own: &PublishedSchema| !own.schema.prefix.is_empty() || own.schema.setting_of(key).is_some();
        if let Some(own) = own.filter(|own| is_own(own)) {
            return Some((own, Place::Own));
        }
        let guess = self.schemas.in_layers(key).find(|(_, published)| !published.schema.prefix.is_empty());
        let guess = guess.map(|(layer, published)| (published, Place::Perhaps(layer.to_owned())));
        guess.or_else(|| own.map(|own| (own, Place::Own)))
    }
}

/// Holds a change against every schema whose keys are in it.
pub(crate) async fn judge(
    bucket: &Bucket,
    rules: &Rules<'_>,
    changes: Vec<Change>,
) -> Result<Judged, ReadError> {
    let mut concerned: BTreeMap<(&str, Place), (&PublishedSchema, Vec<Change>)> = BTreeMap::new();
    let mut judged = Judged::default();
    for change in changes {
        if let Some((published, place)) = rules.place(&change.0) {
            concerned.entry((&published.name, place)).or_insert((published, Vec::new())).1.push(change);
        }
    }
    for ((_, place), (published, changes)) in concerned {
        let schema = match &place {
            Place::Own => published.schema.clone(),
            Place::Layer(layer) | Place::Perhaps(layer) => in_layer(&published.schema, layer),
        };
        let filter = if schema.prefix.is_empty() { ">".to_owned() } else { format!("{}.>", schema.prefix) };
        let reading = bucket.read(filter).await?;
        let change = changes.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        let mut verdict = schema.judge_change(reading.entries(), change);
        if place != Place::Own {
            let given = given(&schema, &changes);
            verdict.problems.retain(|problem| given.contains(&problem.key));
        }
        match place {
            Place::Own => judged.reports.extend(verdict.report(&schema, bucket.name())),
            Place::Layer(layer) => {
                if let Some(mut report) = verdict.report(&schema, bucket.name()) {
                    report.name = format!("{}, layer {layer}", schema.name).into();
                    // An empty layer does not mean the defaults.
                    report.serving = Some(reading.revision());
                    judged.reports.push(report);
                }
            }
            Place::Perhaps(layer) => {
                let fatal = verdict.problems.into_iter().filter(|problem| !problem.kind.is_warning());
                let (layer, name) = (&layer, &schema.name);
                judged.guesses.extend(fatal.map(|problem| Guess {
                    layer: layer.clone(),
                    name: name.clone(),
                    problem,
                }));
                continue;
            }
        }
        judged.unchecked.extend(verdict.unchecked);
    }
    Ok(judged)
}

/// The schema of what stands in a layer.
fn in_layer(schema: &Schema, layer: &str) -> Schema {
    let mut schema = schema.clone();
    schema.prefix =
        if schema.prefix.is_empty() { layer.to_owned() } else { format!("{layer}.{}", schema.prefix) };
    schema
}

/// The keys, by their newest names, that a change gives a value. A layer is a part: of what it has not, nothing is wrong.
fn given(schema: &Schema, changes: &[Change]) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    for (key, _) in changes.iter().filter(|(_, value)| value.is_some()) {
        let field = schema.setting_of(key).filter(|setting| !setting.entries);
        given.extend(field.map(|setting| schema.full_key(&setting.key)));
        given.insert(key.clone());
    }
    given
}
