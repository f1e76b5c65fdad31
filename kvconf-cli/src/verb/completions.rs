//! `kvconf completions`: what a shell needs to complete verbs, flags, keys and buckets.

use clap::{Args, ValueEnum};

use crate::complete::{VARIABLE, shells};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

const EXAMPLE: &str = "\
Examples:
    source <(kvconf completions bash)                                            in ~/.bashrc
    kvconf completions zsh > ~/.zfunc/_kvconf                                    a folder of fpath
    kvconf completions fish > ~/.config/fish/completions/kvconf.fish

Keys are those of the bucket that --bucket or KVCONF_BUCKET names; they are asked for while you type, for a second at most.";

/// Print what a shell needs to complete verbs, flags, keys and buckets
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Completions {
    #[expect(clippy::unused_async, reason = "as every verb")]
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let name = match self.shell {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Zsh => "zsh",
        };
        let shells = shells();
        let Some(shell) = shells.completer(name) else {
            return Err(Failure::new(Exit::Failed, format!("there are no completions for {name}")));
        };
        let mut script = Vec::new();
        shell.write_registration(VARIABLE, "kvconf", "kvconf", "kvconf", &mut script)?;
        session.out.bytes(&script)
    }
}
