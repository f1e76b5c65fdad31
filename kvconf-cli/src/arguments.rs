//! The command line: what every verb understands, and from words to an invocation.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory, FromArgMatches, Parser};

use crate::connect::ConnectArgs;
use crate::exit::Exit;
use crate::verb::Verb;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER: &str = "\
Piped, the output is JSON, one document or one line for each record; on a terminal it is for people. \
--json and --text choose. `kvconf --help` has the exit codes, `kvconf VERB --help` an example of each verb.";

/// Comes after [`AFTER`] in the long help.
const EXIT_CODES: &str = "\
Exit codes:
    0  done                         7  no server, no JetStream, no answer
    1  failed otherwise             8  not permitted
    2  usage                        9  the write may have taken place or not
    3  not found                   10  declined, or nobody there to ask
    4  conflict                    11  there are differences, or findings
    5  refused                    130  interrupted
    6  invalid input              141  nobody reads the output any more";

/// Typed configuration in a NATS key-value bucket: look at it, change it, understand it, take it back.
#[derive(Debug, Parser)]
#[command(name = "kvconf", version, styles = STYLES, after_help = AFTER, max_term_width = 100)]
#[command(after_long_help = format!("{AFTER}\n\n{EXIT_CODES}"))]
#[command(propagate_version = false, disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Invocation {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb understands, before or after it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How the output looks.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// JSON, exact and stable, as when piped
    #[arg(long, global = true, conflicts_with = "text")]
    pub(crate) json: bool,
    /// The form for people, also when piped
    #[arg(long, global = true)]
    pub(crate) text: bool,
    /// No notes and no progress, only what was asked for and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Show values of secrets
    #[arg(long, global = true)]
    pub(crate) reveal: bool,
    /// When to use colour [default: auto; NO_COLOR means never]
    #[arg(long, global = true, value_enum, value_name = "WHEN", hide_short_help = true)]
    pub(crate) color: Option<Color>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    Always,
    Never,
}

/// The whole table of arguments, for help, completions and manual pages.
pub(crate) fn command() -> clap::Command {
    Invocation::command()
}

/// Reads the words of the command line. What is not an invocation (help, a version, a mistake) has been told already.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Invocation, ExitCode> {
    let told = |error: clap::Error| {
        // Nobody is left to be told of a broken pipe.
        let _ = error.print();
        ExitCode::from(if error.use_stderr() { Exit::Usage } else { Exit::Ok })
    };
    let matches = command().try_get_matches_from(words).map_err(told)?;
    Invocation::from_arg_matches(&matches).map_err(|error| told(error.format(&mut command())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_arguments_is_sound() {
        command().debug_assert();
    }

    // One that has the id of a global argument would be taken for it: `--context JSON` for a login.
    #[test]
    fn no_verb_has_an_argument_of_all_verbs_again() {
        fn check(command: &clap::Command, global: &[String], again: &mut Vec<String>) {
            for verb in command.get_subcommands() {
                let own = verb.get_arguments().map(|own| own.get_id().to_string());
                let own = own.filter(|id| global.contains(id));
                again.extend(own.map(|id| format!("{} {id}", verb.get_name())));
                check(verb, global, again);
            }
        }
        let all = command();
        let global = all.get_arguments().filter(|argument| argument.is_global_set());
        let global: Vec<String> = global.map(|argument| argument.get_id().to_string()).collect();
        assert!(global.iter().any(|id| id == "context"), "{global:?}");
        let mut again = Vec::new();
        check(&all, &global, &mut again);
        assert_eq!(again, Vec::<String>::new());
    }

    #[test]
    fn every_verb_has_help_with_an_example() {
        fn check(command: &clap::Command, path: &str, missing: &mut Vec<String>) {
            for verb in command.get_subcommands() {
                let path = format!("{path} {}", verb.get_name());
                let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                if verb.get_subcommands().next().is_none() && !after.contains(&path) {
                    missing.push(path.clone());
                }
                check(verb, &path, missing);
            }
        }
        let mut missing = Vec::new();
        check(&command(), "kvconf", &mut missing);
        assert_eq!(missing, Vec::<String>::new(), "verbs whose after_help has no example");
    }
}
