//! Completing what is being typed: keys and buckets are asked for while somebody waits, so it is short and silent.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use kvconf::{Bucket, Filter, Key, Prefix};

use crate::arguments::Common;
use crate::connect::ConnectArgs;
use crate::session::Session;

/// Set by what `kvconf completions` prints.
pub(crate) const VARIABLE: &str = "KVCONF_COMPLETE";

/// How long somebody may wait for keys.
const WITHIN: Duration = Duration::from_secs(1);

/// The most keys that a shell is given.
const MOST: usize = 1_000;

/// Completes and says so, where a shell asks for that.
pub(crate) fn answer() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let factory = || with_completers(crate::arguments::command());
    let shell = clap_complete::CompleteEnv::with_factory(factory).var(VARIABLE);
    let folder = std::env::current_dir().ok();
    match shell.try_complete(std::env::args_os(), folder.as_deref()) {
        Ok(is_answered) => is_answered,
        Err(error) => {
            // A shell shows this where it shows anything.
            let _ = error.print();
            true
        }
    }
}

/// Every verb's arguments that are keys or buckets, by the name of the value: a verb says it once, in its help.
fn with_completers(command: Command) -> Command {
    let command = command.mut_args(with_completer);
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    verbs.into_iter().fold(command, |command, verb| command.mut_subcommand(verb, with_completers))
}

fn with_completer(arg: Arg) -> Arg {
    let is_bucket = arg.get_long() == Some("bucket");
    let name = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
    match name.as_str() {
        "KEY" => arg.add(ArgValueCompleter::new(|text: &OsStr| keys(text, ""))),
        "KEY|PREFIX" => arg.add(ArgValueCompleter::new(|text: &OsStr| {
            prefixes(text).into_iter().chain(keys(text, "")).collect()
        })),
        "KEY=VALUE" => arg.add(ArgValueCompleter::new(|text: &OsStr| keys(text, "="))),
        "PREFIX" => arg.add(ArgValueCompleter::new(prefixes)),
        "NAME" if is_bucket => arg.add(ArgValueCompleter::new(buckets)),
        _ => arg,
    }
}

fn keys(text: &OsStr, behind: &str) -> Vec<CompletionCandidate> {
    let Some(text) = text.to_str() else { return Vec::new() };
    let known = asked(async |session: &mut Session| {
        let bucket = session.bucket().await.ok()?;
        bucket.keys(filter(text)).await.ok()
    });
    let known = known
        .unwrap_or_default()
        .into_iter()
        .filter(|key| key.as_str().starts_with(text) && !key.is_reserved());
    known.take(MOST).map(|key| CompletionCandidate::new(format!("{key}{behind}"))).collect()
}

/// What is above keys that begin so.
fn prefixes(text: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = text.to_str() else { return Vec::new() };
    let known = asked(async |session: &mut Session| {
        let bucket = session.bucket().await.ok()?;
        bucket.keys(filter(typed)).await.ok()
    });
    let found = above(typed, known.unwrap_or_default().iter());
    found.into_iter().take(MOST).map(CompletionCandidate::new).collect()
}

fn above<'a>(typed: &str, keys: impl Iterator<Item = &'a Key>) -> std::collections::BTreeSet<String> {
    let keys = keys.filter(|key| !key.is_reserved()).map(Key::as_str);
    let parents = keys.flat_map(|key| key.match_indices('.').filter_map(move |(at, _)| key.get(..at)));
    parents.filter(|parent| parent.starts_with(typed)).map(str::to_owned).collect()
}

fn buckets(text: &OsStr) -> Vec<CompletionCandidate> {
    let Some(text) = text.to_str() else { return Vec::new() };
    let known = asked(async |session: &mut Session| {
        let connection = session.connection().await.ok()?;
        Bucket::names(connection).await.ok()
    });
    let known = known.unwrap_or_default().into_iter().filter(|name| name.starts_with(text));
    known.map(CompletionCandidate::new).collect()
}

/// The keys under the part of the text that is whole: a bucket may have very many.
fn filter(text: &str) -> Filter {
    let parent = text.rsplit_once('.').and_then(|(parent, _)| Prefix::new(parent).ok());
    parent.map_or_else(Filter::all, Filter::from)
}

/// Asks a server, as the line that is being typed names it.
fn asked<T>(question: impl AsyncFnOnce(&mut Session) -> Option<T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let connect = named(std::env::args_os());
    let mut session = Session::new(Common { connect, ..Common::default() });
    let answer = runtime.block_on(async { tokio::time::timeout(WITHIN, question(&mut session)).await });
    runtime.shutdown_background();
    answer.ok().flatten()
}

/// Where to connect to, out of a line that may make no sense yet.
fn named(words: impl Iterator<Item = OsString>) -> ConnectArgs {
    let mut found = ConnectArgs::default();
    let mut words =
        words.filter_map(|word| word.into_string().ok()).skip_while(|word| word != "--").skip(1).peekable();
    while let Some(word) = words.next() {
        let (flag, given) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
            _ => (word, None),
        };
        let place = match flag.as_str() {
            "-b" | "--bucket" => &mut found.bucket,
            "-s" | "--server" => &mut found.server,
            "--context" => &mut found.context,
            "--creds" => &mut found.creds,
            "--user" => &mut found.user,
            _ => continue,
        };
        *place = given.or_else(|| words.peek().cloned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_is_being_typed_names_the_bucket() {
        let line = ["kvconf", "--", "kvconf", "get", "--bucket=shop", "-s", "nats://h", "check"];
        let found = named(line.into_iter().map(OsString::from));
        assert_eq!((found.bucket.as_deref(), found.server.as_deref()), (Some("shop"), Some("nats://h")));
        assert_eq!(named(["kvconf", "--", "kvconf", "-b"].into_iter().map(OsString::from)).bucket, None);
    }

    #[test]
    fn prefixes_are_all_that_is_above_a_key() {
        let keys = ["checkout.retry.max", "checkout.max_items", "log", "_kvconf.schema.x"]
            .map(|key| Key::new(key).unwrap());
        let found: Vec<String> = above("ch", keys.iter()).into_iter().collect();
        assert_eq!(found, ["checkout", "checkout.retry"]);
    }

    #[test]
    fn keys_are_completed_where_a_verb_takes_them() {
        let command = with_completers(crate::arguments::command());
        let of = |verb: &str, arg: &str| {
            let verb = command.find_subcommand(verb).unwrap();
            let arg = verb.get_arguments().find(|known| known.get_id() == arg).unwrap();
            arg.get::<ArgValueCompleter>().is_some()
        };
        assert!(of("get", "keys") && of("history", "key") && of("rollback", "targets"));
        assert!(!of("rollback", "to"));
    }
}
