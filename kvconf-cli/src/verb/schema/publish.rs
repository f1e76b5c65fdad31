//! Publishing a schema from a file that a program has written.

use clap::Args;
use kvconf::settings::{Publication, PublishError};
use serde_json::json;

use super::source::from_file;
use crate::change::author;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Publish a schema from a file, for checks of every change
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf schema publish checkout.json -m 'release 1.4'
    kvconf schema publish checkout.json --layers 'base,env.*,host.*'

A program writes the file with Schema::of::<T>().to_stored(version), or publishes by itself.")]
pub(super) struct Publish {
    /// A file of the stored form; `-` is standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// The name [default: the schema's prefix]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The version of the program [default: the one in the file]
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// The layers in which the program reads its settings, from general to specific, with commas between; `*` for a part that
    /// differs from one instance to another [default: those of the file, else those that are published]
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    layers: Vec<String>,
    /// Take the place of a newer version
    #[arg(long)]
    replace_newer: bool,
    /// Who publishes it [env: KVCONF_AUTHOR] [default: git's user.name, else the user's name]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Why
    #[arg(short = 'm', long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Publish {
    pub(super) async fn run(self, session: &mut Session) -> Outcome {
        let mut source = from_file(&self.file)?;
        if !self.layers.is_empty() {
            let layers = source.schema.with_layers(self.layers);
            source.schema = layers.map_err(|error| Failure::new(Exit::Usage, error).hint("--layers is such as base,env.*"))?;
        }
        let name = self.name.unwrap_or(source.name);
        let version = self.release.unwrap_or(source.version);
        let bucket = session.bucket().await?;
        let schemas = bucket.schemas().await?;
        let published = schemas.get(&name);
        // A file is of the struct alone: another version of it is read where the one before was.
        if let Some(published) = published.filter(|_| source.schema.layers.is_empty()) {
            source.schema.layers.clone_from(&published.schema.layers);
        }
        if !self.yes {
            if let Some(published) = published {
                let comparison = published.schema.compare(&source.schema);
                session.out.note(format!("from {} to {version}:\n{comparison}", published.version))?;
            }
            session.confirm(&format!("Publish {name} {version}?"), "--yes").await?;
        }
        let mut publish = bucket.publish_schema(&source.schema, &version).name(&name);
        publish = publish.author(author(self.author.as_deref()));
        if let Some(reason) = self.reason {
            publish = publish.reason(reason);
        }
        if self.replace_newer {
            publish = publish.replace_newer();
        }
        let (word, revision) = match publish.await.map_err(failed)? {
            Publication::Published { revision } => ("published", revision),
            Publication::Unchanged { revision } => ("unchanged", revision),
            _ => return Ok(()),
        };
        if session.out.is_json() {
            return session.out.json(
                &json!({ "name": name, "version": version, "outcome": word, "revision": revision.get() }),
            );
        }
        session.out.line(format!("{name} {version} {word}, revision {revision}"))
    }
}

fn failed(error: PublishError) -> Failure {
    match error {
        PublishError::Read(error) => error.into(),
        PublishError::Write(error) => error.into(),
        PublishError::Name(error) => error.into(),
        error @ PublishError::Older { .. } => {
            Failure::new(Exit::Conflict, error).hint("--replace-newer puts the older one in its place")
        }
        error @ PublishError::Contended { .. } => Failure::new(Exit::Conflict, error),
        error @ PublishError::Version { .. } => {
            Failure::new(Exit::Invalid, error).hint("--release VERSION gives another one")
        }
        error => Failure::new(Exit::Invalid, error),
    }
}
