//! `kvconf docs`: a reference of settings.

use clap::Args;

use super::schema::{load, no_schema};
use crate::failure::Outcome;
use crate::session::Session;

/// Write a reference of all settings in Markdown
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf docs > SETTINGS.md                every published schema
    kvconf docs checkout > checkout.md")]
pub(crate) struct Docs {
    /// Published schemas, or files of some [default: all that are published]
    #[arg(value_name = "NAME|FILE")]
    schemas: Vec<String>,
}

impl Docs {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let mut names = self.schemas;
        if names.is_empty() {
            let schemas = session.bucket().await?.schemas().await?;
            names.extend(schemas.published.iter().map(|published| published.name.clone()));
            if names.is_empty() {
                return Err(no_schema(&schemas, "of any program"));
            }
        }
        for (at, name) in names.iter().enumerate() {
            let source = load(session, name).await?;
            let between = if at == 0 { "" } else { "\n" };
            session.out.bytes(format!("{between}{}", source.schema.markdown()).as_bytes())?;
        }
        Ok(())
    }
}
