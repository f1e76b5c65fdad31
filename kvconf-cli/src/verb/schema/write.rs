//! Files made from a schema.

use clap::Args;
use kvconf::settings::Extent;

use super::load;
use crate::failure::Outcome;
use crate::session::Session;

/// Write a JSON Schema of the files that hold these settings, for editors and checks
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf schema export checkout > checkout.schema.json
    kvconf schema export checkout --part     of a file that has only some of the settings")]
pub(super) struct Export {
    /// A published schema, or a file of one
    #[arg(value_name = "NAME|FILE")]
    schema: String,
    /// Nothing is required: the other settings stand elsewhere
    #[arg(long)]
    part: bool,
}

impl Export {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let source = load(session, &self.schema).await?;
        let extent = if self.part { Extent::Part } else { Extent::Whole };
        session.out.bytes(source.schema.json_schema(extent).as_bytes())
    }
}

/// Write a TOML file with every setting, its description and its default
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    kvconf schema template checkout > checkout.toml")]
pub(super) struct Template {
    /// A published schema, or a file of one
    #[arg(value_name = "NAME|FILE")]
    schema: String,
}

impl Template {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let source = load(session, &self.schema).await?;
        session.out.bytes(source.schema.toml_template().as_bytes())
    }
}
