//! What programs have published of their settings: which keys are secrets, and what a change makes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use kvconf::settings::{PublishedSchema, Schemas, Setting, Unchecked};
use kvconf::{Bucket, Entry, Filter, Key, LayerError, Problem, ReadError, Report, Schema};

use crate::change::LayerArgs;
use crate::document::Kind;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};

/// How long schemas are waited for where values are only shown: without them the names of keys tell what is secret.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// The schemas of a bucket, for showing values. `None` where they cannot be read.
pub(crate) async fn for_showing(bucket: &Bucket) -> Option<Schemas> {
    tokio::time::timeout(SHOWN_WITHIN, bucket.schemas()).await.ok()?.ok()
}

/// Whether a key is one of a setting: of a layer too, where its schema does not say that it has no such layer.
pub(crate) fn know(schemas: &Schemas, key: &str) -> bool {
    let of_layer = |schema: &Schema| schema.layer_of(key).is_some() && schema.setting_of(key).is_some();
    schemas.for_key(key).is_some_and(|known| of_layer(&known.schema))
        || schemas.in_layers(key).any(|(_, known)| known.schema.layers.is_empty())
}

/// A key, and its new value or its removal.
pub(crate) type Change = (String, Option<Vec<u8>>);

/// A change, from keys and their new values.
pub(crate) fn changes<'a>(wanted: impl Iterator<Item = (&'a Key, Option<&'a Bytes>)>) -> Vec<Change> {
    wanted.map(|(key, value)| (key.to_string(), value.map(|value| value.to_vec()))).collect()
}

/// What may be of a layer that the schema does not have.
#[derive(Debug)]
pub(crate) enum Guess {
    /// A value that would be refused there.
    Bad { layer: String, name: String, problem: Problem },
    /// Of a program that says which layers it reads.
    Stray { layer: String, name: String, key: String, layers: Vec<String> },
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad { layer, name, problem } => {
                write!(
                    f,
                    "{problem}, if {layer} is a layer of {name}: --schema-layers {layer} would refuse it"
                )
            }
            Self::Stray { layer, name, key, layers } => {
                write!(f, "{key}: {layer} is no layer of {name}, which reads {}", layers.join(", "))
            }
        }
    }
}

/// What schemas say of a change.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// What they object to, one report for each schema and layer.
    pub(crate) reports: Vec<Report>,
    /// What they would say if keys were of layers that they do not have.
    pub(crate) guesses: Vec<Guess>,
    /// What only the programs themselves can tell.
    pub(crate) unchecked: Vec<Unchecked>,
}

/// Where a key stands, seen from the schema that has a say on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Below the prefix, in one of the layers where there are some.
    Own,
    /// Below the prefix in what may be a layer or not: a program with a struct of that name inside looks the same.
    Perhaps(String),
}

/// The schemas of a bucket, each with its layers.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) schemas: Schemas,
}

impl Rules {
    /// Adds the layers that were named to those that the schemas have of their own.
    pub(crate) fn new(mut schemas: Schemas, named: &[Filter]) -> Outcome<Self> {
        for published in &mut schemas.published {
            add_layers(&mut published.schema, named).map_err(|error| {
                Failure::new(Exit::Usage, error)
                    .hint("--schema-layers, or KVCONF_LAYERS, is such as base,env.*")
            })?;
        }
        Ok(Self { schemas })
    }

    /// Those of a bucket; none where the user may not read them.
    pub(crate) async fn of(bucket: &Bucket, layers: &LayerArgs) -> Outcome<Self> {
        let schemas = match bucket.schemas().await {
            Err(ReadError::NotPermitted { .. }) => Schemas::default(),
            schemas => schemas?,
        };
        Self::new(schemas, &layers.named()?)
    }

    /// Whether any schema has a say on a key.
    pub(crate) fn concern(&self, key: &Key) -> bool {
        self.place(key.as_str()).is_some()
    }

    /// What stands at a key of a document.
    pub(crate) fn kind(&self, key: &str) -> Kind {
        let Some(PublishedSchema { schema, .. }) = self.schemas.for_key(key) else {
            return if self.is_above(key) { Kind::Tree } else { Kind::Unknown };
        };
        let Some(below) = schema.below(key) else { return Kind::Unknown };
        if schema.settings.iter().any(|setting| setting.entries && setting.key == below) {
            return Kind::Entries;
        }
        if schema.setting_of(key).is_some() {
            return Kind::Leaf;
        }
        let is_under =
            |setting: &Setting| setting.key.strip_prefix(below).is_some_and(|rest| rest.starts_with('.'));
        if schema.settings.iter().any(is_under) || self.is_above(key) { Kind::Tree } else { Kind::Unknown }
    }

    /// Whether all keys of a schema stand below a key, as far as its layers have names.
    fn is_above(&self, key: &str) -> bool {
        let roots = self.schemas.published.iter().flat_map(|published| {
            let schema = &published.schema;
            let bare = schema.layers.is_empty().then(String::new);
            let named = schema.layers.iter().filter(|layer| !layer.contains('*')).cloned();
            named.chain(bare).map(|layer| match (layer.as_str(), schema.prefix.as_str()) {
                ("", prefix) => prefix.to_owned(),
                (layer, "") => layer.to_owned(),
                (layer, prefix) => format!("{layer}.{prefix}"),
            })
        });
        let is_above =
            |root: &str| root.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        roots.into_iter().any(|root| is_above(&root))
    }

    /// The key as it stands, then a guess.
    fn place(&self, key: &str) -> Option<(&PublishedSchema, Place)> {
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

/// Lets a schema have these layers too: beside its own, or beside the keys without a layer.
pub(crate) fn add_layers(schema: &mut Schema, named: &[Filter]) -> Result<(), LayerError> {
    let own: Vec<String> = match (schema.layers.is_empty(), schema.prefix.is_empty()) {
        (false, _) => schema.layers.clone(),
        // Then every key stands below the prefix.
        (true, true) => Vec::new(),
        (true, false) => vec![String::new()],
    };
    let is_new = |layer: &&Filter| !own.iter().any(|own| Filter::new(own).is_ok_and(|own| own.covers(layer)));
    let new: Vec<String> = named.iter().filter(is_new).map(|layer| layer.as_str().to_owned()).collect();
    if !new.is_empty() {
        *schema = schema.clone().with_layers(own.into_iter().chain(new))?;
    }
    Ok(())
}

/// Holds a change against every schema whose keys are in it.
pub(crate) async fn judge(bucket: &Bucket, rules: &Rules, changes: Vec<Change>) -> Result<Judged, ReadError> {
    let mut concerned: BTreeMap<(&str, Place), (&PublishedSchema, Vec<Change>)> = BTreeMap::new();
    let mut judged = Judged::default();
    for change in changes {
        if let Some((published, place)) = rules.place(&change.0) {
            concerned.entry((&published.name, place)).or_insert((published, Vec::new())).1.push(change);
        }
    }
    for ((_, place), (published, changes)) in concerned {
        match place {
            Place::Own => judge_own(bucket, &published.schema, &changes, &mut judged).await?,
            Place::Perhaps(layer) => guess(bucket, &published.schema, layer, &changes, &mut judged).await?,
        }
    }
    Ok(judged)
}

async fn judge_own(
    bucket: &Bucket,
    schema: &Schema,
    changes: &[Change],
    judged: &mut Judged,
) -> Result<(), ReadError> {
    let filters = asked(schema, changes);
    let reading = if filters.is_empty() { None } else { Some(bucket.read(filters).await?) };
    let entries = reading.as_ref().map(kvconf::Reading::entries).unwrap_or_default();
    let verdict = verdict(schema, entries, changes);
    if let Some(mut report) = verdict.report(schema, bucket.name()) {
        if let (false, Some(reading)) = (schema.layers.is_empty(), &reading) {
            // An empty layer does not mean the defaults.
            report.serving = Some(reading.revision());
        }
        judged.reports.push(report);
    }
    judged.unchecked.extend(verdict.unchecked);
    Ok(())
}

fn verdict(schema: &Schema, entries: &[Entry], changes: &[Change]) -> kvconf::settings::Verdict {
    schema.judge_change(entries, changes.iter().map(|(key, value)| (key.as_str(), value.as_deref())))
}

/// What has to be read to judge a change: of many layers only those that it is made in, unless it removes what may stand in
/// another one.
fn asked(schema: &Schema, changes: &[Change]) -> Vec<Filter> {
    if schema.layers.is_empty() || changes.iter().any(|(_, value)| value.is_none()) {
        return schema.filters();
    }
    let layers: BTreeSet<&str> = changes.iter().filter_map(|(key, _)| schema.layer_of(key)).collect();
    layers.into_iter().flat_map(|layer| schema.in_layer(layer).filters()).collect()
}

/// What would be said of keys if they were of a layer.
async fn guess(
    bucket: &Bucket,
    schema: &Schema,
    layer: String,
    changes: &[Change],
    judged: &mut Judged,
) -> Result<(), ReadError> {
    let (name, inside) = (schema.name.clone(), schema.in_layer(&layer));
    if !schema.layers.is_empty() {
        let given = changes.iter().filter(|(_, value)| value.is_some());
        judged.guesses.extend(given.map(|(key, _)| Guess::Stray {
            layer: layer.clone(),
            name: name.clone(),
            key: key.clone(),
            layers: schema.layers.clone(),
        }));
    }
    let reading = bucket.read(inside.filters()).await?;
    let given: BTreeSet<String> = given(&inside, changes);
    let problems = verdict(&inside, reading.entries(), changes).problems.into_iter();
    let bad = problems.filter(|problem| !problem.kind.is_warning() && given.contains(&problem.key));
    judged.guesses.extend(bad.map(|problem| Guess::Bad {
        layer: layer.clone(),
        name: name.clone(),
        problem,
    }));
    Ok(())
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
