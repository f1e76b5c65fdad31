//! What is published.

use clap::Args;
use kvconf::Schema;
use serde_json::json;

use super::load;
use crate::failure::Outcome;
use crate::output::{Column, Table, Tone};
use crate::session::Session;

/// List the schemas that programs have published in the bucket
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    kvconf schema ls")]
pub(super) struct Ls {}

impl Ls {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let schemas = bucket.schemas().await?;
        let mut table = Table::new([
            Column::fixed("schema", Tone::Key),
            Column::fixed("version", Tone::Plain),
            Column::fixed("settings", Tone::Plain),
            Column::fixed("hash", Tone::Dim),
            Column::flexible("by", Tone::Dim),
            Column::fixed("revision", Tone::Dim),
        ]);
        for published in &schemas.published {
            let author = published.attribution.author.as_deref().unwrap_or("");
            let (schema, revision) = (&published.schema, published.revision.get());
            if session.out.is_json() {
                session.out.json(&json!({
                    "name": published.name, "version": published.version, "prefix": schema.prefix,
                    "layers": schema.layers, "settings": schema.settings.len(), "hash": schema.hash(), "author": published.attribution.author.as_deref(),
                    "reason": published.attribution.reason.as_deref(), "revision": revision,
                }))?;
                continue;
            }
            table.row([
                published.name.clone(),
                published.version.clone(),
                schema.settings.len().to_string(),
                schema.hash(),
                author.to_owned(),
                revision.to_string(),
            ]);
        }
        if !session.out.is_json() {
            if schemas.published.is_empty() {
                session.out.line("no program has published its schema in this bucket")?;
            } else {
                session.out.table(&table)?;
            }
        }
        for (key, error) in &schemas.unreadable {
            session.out.note(format!("{key}: {error}"))?;
        }
        Ok(())
    }
}

/// Show the settings of a schema
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf schema show checkout
    kvconf schema show checkout --json       everything that is known, in the stored form")]
pub(super) struct Show {
    /// A published schema, or a file of one
    #[arg(value_name = "NAME|FILE")]
    schema: String,
}

impl Show {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let source = load(session, &self.schema).await?;
        if session.out.is_json() {
            let hash = source.schema.hash();
            return session.out.json(
                &json!({ "name": source.name, "version": source.version, "hash": hash, "schema": source.schema }),
            );
        }
        session.out.table(&settings(&source.schema))?;
        match source.schema.layers.as_slice() {
            [] => Ok(()),
            layers => session.out.line(format!("layers, from general to specific: {}", layers.join(", "))),
        }
    }
}

fn settings(schema: &Schema) -> Table {
    let mut table = Table::new([
        Column::fixed("setting", Tone::Key),
        Column::flexible("values", Tone::Plain),
        Column::flexible("without a value", Tone::Dim),
    ]);
    for setting in &schema.settings {
        let key = schema.full_key(&setting.key);
        let key = if setting.entries { format!("{key}.*") } else { key };
        let secret = if setting.secret { ", secret" } else { "" };
        table.row([key, format!("{}{secret}", setting.values()), setting.without_value()]);
    }
    table
}
