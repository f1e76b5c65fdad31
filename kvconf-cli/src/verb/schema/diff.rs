//! What a new version changes, and whether it still reads the bucket.

use clap::Args;
use kvconf::settings::Effect;
use serde_json::json;

use super::check::bucket_against;
use super::{load, no_schema};
use crate::change::LayerArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Column, Table, Tone};
use crate::session::Session;

/// Tell what a new version of a schema changes, and whether it still reads what the bucket holds and held
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf schema diff new.json                          against the one that is published under its name
    kvconf schema diff new.json --from old.json --structure   two files, and no bucket
Exits with 11 where the new version would refuse something.")]
pub(super) struct Diff {
    /// The new version: a file, or a published schema
    #[arg(value_name = "NAME|FILE")]
    new: String,
    /// The old version [default: the one that is published under the new one's name]
    #[arg(long, value_name = "NAME|FILE")]
    from: Option<String>,
    /// Do not look at what stands in the bucket
    #[arg(long)]
    structure: bool,
    #[command(flatten)]
    layers: LayerArgs,
}

impl Diff {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let named = self.layers.named()?;
        let mut new = load(session, &self.new).await?;
        let old = match &self.from {
            Some(from) => load(session, from).await?,
            None => {
                let schemas = session.bucket().await?.schemas().await?;
                if schemas.get(&new.name).is_none() {
                    return Err(no_schema(&schemas, &new.name));
                }
                load_published(session, &new.name).await?
            }
        };
        // A file is of the struct alone; in which layers the program reads it stands in the bucket.
        if new.schema.layers.is_empty() {
            new.schema.layers.clone_from(&old.schema.layers);
        }
        let comparison = old.schema.compare(&new.schema);
        if session.out.is_json() {
            let differences = comparison.differences.iter().map(|difference| {
                json!({ "key": difference.key, "effect": difference.effect.to_string(), "what": difference.what })
            });
            let differences: Vec<_> = differences.collect();
            session.out.json(&json!({
                "schema": new.name, "from": old.version, "to": new.version,
                "effect": comparison.effect().to_string(), "differences": differences,
            }))?;
        } else if comparison.differences.is_empty() {
            session.out.line(format!("{} {} reads as {}: no differences", new.name, new.version, old.version))?;
        } else {
            let mut table = Table::new([
                Column::fixed("effect", Tone::Plain),
                Column::fixed("key", Tone::Key),
                Column::flexible("what", Tone::Plain),
            ]);
            for difference in &comparison.differences {
                table.row([difference.effect.to_string(), difference.key.clone(), difference.what.clone()]);
            }
            session.out.table(&table)?;
        }
        new.add_layers(&named)?;
        let is_refused = if self.structure {
            comparison.effect() > Effect::Safe
        } else {
            let bucket = session.bucket().await?;
            bucket_against(session, &bucket, &new, true).await?
        };
        if is_refused { Err(Failure::silent(Exit::Differs)) } else { Ok(()) }
    }
}

async fn load_published(session: &mut Session, name: &str) -> Outcome<super::Source> {
    let schemas = session.bucket().await?.schemas().await?;
    match schemas.get(name) {
        Some(published) => Ok(super::Source {
            schema: published.schema.clone(),
            version: published.version.clone(),
            name: published.name.clone(),
        }),
        None => Err(no_schema(&schemas, name)),
    }
}
