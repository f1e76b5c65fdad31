//! The verbs, a file for each.
//!
//! A verb is a struct of its arguments, whose first line of documentation is its help and whose `after_help` has an example,
//! with one method: `async fn run(self, session: &mut Session) -> Outcome`. One line in the table below makes it part
//! of the command.

use clap::Subcommand;

use crate::failure::Outcome;
use crate::session::Session;

/// Declares the module of each verb, the subcommands and what runs them.
macro_rules! verbs {
    ($($module:ident::$verb:ident,)*) => {
        $(mod $module;)*

        /// What is to be done.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Verb {
            $($verb($module::$verb),)*
        }

        impl Verb {
            /// Does it.
            pub(crate) async fn run(self, session: &mut Session) -> Outcome {
                match self {
                    $(Self::$verb(verb) => Box::pin(verb.run(session)).await,)*
                }
            }
        }
    };
}

// In the order in which help lists them.
verbs! {
    ls::Ls,
    get::Get,
    set::Set,
    unset::Unset,
    edit::Edit,
    apply::Apply,
    diff::Diff,
    log::Log,
    show::Show,
    history::History,
    explain::Explain,
    rollback::Rollback,
    revert::Revert,
    watch::Watch,
    export::Export,
    import::Import,
    schema::Schema,
    docs::Docs,
    flag::Flag,
    fleet::Fleet,
    bucket::Bucket,
    cache::Cache,
    doctor::Doctor,
    dev::Dev,
    completions::Completions,
    man::Man,
}
