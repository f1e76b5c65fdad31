//! flagd's documents, in and out.

use std::path::PathBuf;

use clap::Args;
use kvconf::ImportMode;

use super::Place;
use super::change::Change;
use super::evaluate::read_document;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Take over a document in flagd's format, as one change set
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf flag import -p shop.flags flags.json --dry-run
    kvconf flag import -p shop.flags flags.json --replace -m 'as in the repository'")]
pub(super) struct Import {
    /// The document
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Remove what the document does not name
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    change: Change,
}

impl Import {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let document = read_document(&self.file)?;
        let mode = if self.replace { ImportMode::Replace } else { ImportMode::Merge };
        self.change.make(session, |flags| Ok(flags.edit().import(document.clone(), mode))).await
    }
}

/// Print all flags as a document in flagd's format
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    kvconf flag export -p shop.flags > flags.json")]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
}

impl Export {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let flags = self.place.flags(session).await?;
        let document = flags.load().to_document().to_json();
        let text =
            serde_json::to_string_pretty(&document).map_err(|error| Failure::new(Exit::Failed, error))?;
        session.out.bytes(text.as_bytes())?;
        session.out.bytes(b"\n")
    }
}
