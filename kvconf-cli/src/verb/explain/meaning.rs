//! What a published schema says of a key, and what else stands for the same setting: in other layers, under old names.

use kvconf::settings::{PublishedSchema, Schemas, Setting};
use kvconf::{Bucket, Entry, Filter, Key, Problem, ReadError, Schema};
use serde_json::{Value, json};

use crate::change::value_json;
use crate::failure::Outcome;
use crate::output::{Column, Output, Table, Tone, ago, shown};
use crate::past::by;
use crate::secrecy::Secrecy;

/// How many columns of a value are kept; the table cuts further.
const KEPT: usize = 200;

/// What is known of a key by its schema.
pub(super) struct Meaning {
    schema: Schema,
    version: String,
    /// `None` for a key that no setting has.
    setting: Option<Setting>,
    /// Every value of the setting, the one that goes before the others first.
    standing: Vec<Standing>,
    problems: Vec<Problem>,
}

/// One value of a setting.
struct Standing {
    layer: String,
    entry: Entry,
    /// Whether it stands under an old name that another one goes before.
    is_ignored: bool,
}

/// Looks for the schema of a key; `None` where there is none.
pub(super) async fn look(bucket: &Bucket, key: &Key, schemas: &Schemas) -> Result<Option<Meaning>, ReadError> {
    let Some(PublishedSchema { schema, version, .. }) = schemas.for_key(key.as_str()) else { return Ok(None) };
    let Some(below) = schema.below(key.as_str()) else { return Ok(None) };
    let setting = schema.setting_of(key.as_str()).cloned();
    let names = names(below, setting.as_ref());
    let reading = bucket.read(filters(schema, &names, key)).await?;
    let live: Vec<Entry> = reading.entries().iter().filter(|entry| entry.put_value().is_some()).cloned().collect();
    let is_own = |problem: &Problem| {
        let of_setting = setting.as_ref().is_some_and(|setting| problem.key == schema.full_key(&setting.key));
        of_setting || live.iter().any(|entry| entry.key().as_str() == problem.key)
    };
    let mut problems = schema.judge(&live).problems;
    problems.retain(is_own);
    let (schema, version) = (schema.clone(), version.clone());
    Ok(Some(Meaning { standing: standing(&schema, &names, live), schema, version, setting, problems }))
}

/// The names of a setting, the present one first.
fn names(below: &str, setting: Option<&Setting>) -> Vec<String> {
    match setting {
        Some(setting) if !setting.entries => {
            std::iter::once(&setting.key).chain(&setting.aliases).cloned().collect()
        }
        _ => vec![below.to_owned()],
    }
}

/// What asks for a setting in every layer, and for the key as it stands.
fn filters(schema: &Schema, names: &[String], key: &Key) -> Vec<Filter> {
    let bare = [String::new()];
    let layers = if schema.layers.is_empty() { &bare[..] } else { &schema.layers };
    let full = layers.iter().flat_map(|layer| {
        let inside = schema.in_layer(layer);
        names.iter().map(move |name| inside.full_key(name)).collect::<Vec<_>>()
    });
    let mut filters: Vec<Filter> = full.filter_map(|key| Filter::new(key).ok()).collect();
    if !filters.iter().any(|filter| filter.matches(key)) {
        filters.push(Filter::from(key));
    }
    filters
}

fn standing(schema: &Schema, names: &[String], live: Vec<Entry>) -> Vec<Standing> {
    let rank = |entry: &Entry| {
        let key = entry.key().as_str();
        let layer = schema.layer_of(key)?;
        let is_of = |pattern: &String| {
            *pattern == layer || Filter::new(pattern).is_ok_and(|it| Key::new(layer).is_ok_and(|layer| it.matches(&layer)))
        };
        let place = schema.layers.iter().position(is_of).unwrap_or(0);
        let name = schema.below(key).and_then(|below| names.iter().position(|name| name == below))?;
        // The most specific layer goes first, and in it the present name.
        Some((std::cmp::Reverse(place), layer.to_owned(), name))
    };
    let mut ranked: Vec<_> = live.into_iter().filter_map(|entry| Some((rank(&entry)?, entry))).collect();
    ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut standing: Vec<Standing> = Vec::new();
    for ((_, layer, _), entry) in ranked {
        let is_ignored = standing.last().is_some_and(|before| before.layer == layer);
        standing.push(Standing { layer, entry, is_ignored });
    }
    standing
}

impl Meaning {
    /// Whether a setting has the key.
    pub(super) const fn is_setting(&self) -> bool {
        self.setting.is_some()
    }

    pub(super) fn tell(&self, out: &mut Output, key: &Key) -> Outcome {
        let Self { schema, version, setting, standing, problems } = self;
        let layers = schema.layers.join(", ");
        match setting {
            Some(setting) => {
                out.line(format!("  setting of {} {version}: {}", schema.name, setting.values()))?;
                if !setting.description.is_empty() {
                    out.line(format!("  {}", setting.description.replace('\n', "\n  ")))?;
                }
                out.line(format!("  without a value: {}", setting.without_value()))?;
                for remark in setting.remarks() {
                    out.line(format!("  {remark}"))?;
                }
                if let Some(env) = &setting.env {
                    out.line(format!("  where it is set, the environment variable {env} wins"))?;
                }
            }
            None => out.line(format!("  no setting of {} {version}", schema.name))?,
        }
        if standing.len() > 1 || standing.iter().any(|it| it.entry.key() != key) {
            let what = if schema.layers.is_empty() { "it stands under".to_owned() } else { format!("of the layers ({layers})") };
            out.line(format!("  {what}, the first of these that a program reads wins:"))?;
            let table = self.table(key, out.secrecy(), out);
            out.table(&table)?;
        }
        problems.iter().try_for_each(|problem| out.line(format!("  × {problem}")))
    }

    fn table(&self, asked: &Key, secrecy: Secrecy, out: &Output) -> Table {
        let mut table = Table::new([
            Column::fixed("", Tone::Plain),
            Column::fixed("", Tone::Key),
            Column::flexible("", Tone::Plain),
            Column::flexible("", Tone::Dim),
        ]);
        for Standing { entry, is_ignored, .. } in &self.standing {
            let who = kvconf::Attribution::of(entry);
            let ignored = if *is_ignored { "ignored, an old name; " } else { "" };
            let when = ago(entry.created(), out.now());
            table.row([
                if entry.key() == asked { "   →" } else { "    " }.to_owned(),
                entry.key().to_string(),
                shown(secrecy, entry.key(), entry.value()).short(KEPT),
                format!("{ignored}revision {}, {when}, {}", entry.revision(), by(who.author.as_deref())),
            ]);
        }
        table
    }

    pub(super) fn json(&self, secrecy: Secrecy) -> Value {
        let Self { schema, version, setting, standing, problems } = self;
        let values: Vec<Value> = standing
            .iter()
            .map(|Standing { layer, entry, is_ignored }| {
                json!({
                    "layer": layer, "key": entry.key().as_str(), "revision": entry.revision().get(),
                    "value": value_json(secrecy, entry.key(), entry.put_value()), "ignored": is_ignored,
                })
            })
            .collect();
        let problems: Vec<Value> = problems
            .iter()
            .map(|problem| json!({ "key": problem.key, "message": problem.message, "fatal": !problem.kind.is_warning() }))
            .collect();
        json!({
            "schema": schema.name, "version": version, "layers": schema.layers,
            "setting": setting.as_ref().map(|setting| json!(setting)),
            "values": setting.as_ref().map(Setting::values),
            "without_value": setting.as_ref().map(Setting::without_value),
            "standing": values, "problems": problems,
        })
    }
}
