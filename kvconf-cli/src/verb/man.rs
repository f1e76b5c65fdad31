//! `kvconf man`: manual pages.

use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man as Page;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

const EXAMPLE: &str = "\
Examples:
    kvconf man | man -l -
    kvconf man rollback | man -l -
    kvconf man --to ~/.local/share/man/man1      a page for each verb

Then `man kvconf-rollback` finds it.";

/// Print manual pages
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Man {
    /// The page of this verb [default: that of kvconf itself]
    #[arg(value_name = "VERB")]
    verbs: Vec<String>,
    /// Write all pages into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "verbs")]
    to: Option<PathBuf>,
}

impl Man {
    #[expect(clippy::unused_async, reason = "as every verb")]
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let mut command = crate::arguments::command();
        command.build();
        if let Some(folder) = self.to {
            std::fs::create_dir_all(&folder)?;
            clap_mangen::generate_to(command, &folder)?;
            return session.out.note(format!("the pages are in {}", folder.display()));
        }
        let mut found = &command;
        for verb in &self.verbs {
            found = found.find_subcommand(verb).ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("there is no verb {verb}")).hint("kvconf --help lists them")
            })?;
        }
        let mut page = Vec::new();
        // Built, it is called by its whole name: `kvconf-rollback`.
        Page::new(found.clone()).render(&mut page)?;
        session.out.bytes(&page)
    }
}
