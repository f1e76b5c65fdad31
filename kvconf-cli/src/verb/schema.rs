//! `kvconf schema`: what programs have published of their settings, and what a new version makes of the bucket.

mod bucket;
mod check;
mod diff;
mod publish;
mod source;
mod write;

use clap::{Args, Subcommand};

use crate::failure::Outcome;
use crate::session::Session;

pub(crate) use source::{Source, load, no_schema};

/// Look at published schemas, write files from them, hold the bucket against them
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Schema {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Ls(bucket::Ls),
    Show(bucket::Show),
    Check(check::Check),
    Diff(diff::Diff),
    Publish(publish::Publish),
    Export(write::Export),
    Template(write::Template),
}

impl Schema {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        match self.what {
            What::Ls(ls) => ls.run(session).await,
            What::Show(show) => show.run(session).await,
            What::Check(check) => check.run(session).await,
            What::Diff(diff) => diff.run(session).await,
            What::Publish(publish) => publish.run(session).await,
            What::Export(export) => export.run(session).await,
            What::Template(template) => template.run(session).await,
        }
    }
}
