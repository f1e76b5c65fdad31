//! Completing what is being typed: keys, values, layers and names are asked for while somebody waits, so it is short and
//! silent.
//!
//! `line` knows the line, `ask` asks the server, `offer` decides what is offered, `shell` answers each shell.

mod ask;
mod line;
mod offer;
mod shell;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::Shells;
use kvconf::{Filter, Key, Prefix};

use crate::output::ago;
use crate::past::by;
use line::Said;
use offer::Offer;
pub(crate) use offer::layers_of;

/// Set by what `kvconf completions` prints.
pub(crate) const VARIABLE: &str = "KVCONF_COMPLETE";

/// The most that a shell is given.
const MOST: usize = 1_000;

/// How many characters of an id are offered.
const ID: usize = 8;

/// The shells that can be served.
pub(crate) const fn shells() -> Shells<'static> {
    shell::SHELLS
}

/// Completes and says so, where a shell asks for that.
pub(crate) fn answer() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let factory = || with_completers(crate::arguments::command());
    let asked = clap_complete::CompleteEnv::with_factory(factory).var(VARIABLE).shells(shells());
    let folder = std::env::current_dir().ok();
    match asked.try_complete(std::env::args_os(), folder.as_deref()) {
        Ok(is_answered) => is_answered,
        Err(error) => {
            // A shell shows this where it shows anything.
            let _ = error.print();
            true
        }
    }
}

/// Every verb's arguments by the name of their value: a verb says it once, in its help.
fn with_completers(command: Command) -> Command {
    let command = command.mut_args(with_completer);
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    verbs.into_iter().fold(command, |command, verb| command.mut_subcommand(verb, with_completers))
}

fn with_completer(arg: Arg) -> Arg {
    let name = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
    let completer: fn(&str, &Said) -> Vec<Offer> = match (name.as_str(), arg.get_long()) {
        ("KEY", _) => |text, said| keys(text, said, ""),
        ("KEY|PREFIX", _) => keys_and_prefixes,
        ("KEY=VALUE", _) => assignments,
        ("PREFIX", _) => prefixes,
        ("NAME", Some("bucket")) => |_, said| plain(ask::buckets(said)),
        ("NAME", Some("author")) => authors,
        ("CHANGE", _) => changes,
        ("REVISION" | "REVISION|TIME" | "MOMENT", _) => revisions,
        ("LAYERS", _) => patterns,
        ("LAYER", _) => layers,
        ("FLAG", _) => flags,
        ("VARIANT", _) => |_, said| variants(said, ""),
        ("VARIANT=WEIGHT", _) => |_, said| variants(said, "="),
        ("NAME|FILE" | "MOMENT|FILE", _) => {
            let of_names = if name == "NAME|FILE" { schemas } else { revisions };
            return arg.add(ArgValueCompleter::new(move |text: &OsStr| {
                candidates(text, of_names).into_iter().chain(PathCompleter::any().complete(text)).collect()
            }));
        }
        ("FILE", _) => return arg.value_hint(ValueHint::AnyPath),
        ("FOLDER", _) => return arg.value_hint(ValueHint::DirPath),
        _ => return arg,
    };
    arg.add(ArgValueCompleter::new(move |text: &OsStr| candidates(text, completer)))
}

/// The line as the shell has given it.
fn said() -> Said {
    match std::env::var("KVCONF_COMPLETE_LINE") {
        Ok(line) => line::said(line::split(&line).words.into_iter().map(OsString::from)),
        Err(_) => line::said(std::env::args_os().skip_while(|word| word != "--").skip(1)),
    }
}

fn candidates(text: &OsStr, completer: fn(&str, &Said) -> Vec<Offer>) -> Vec<CompletionCandidate> {
    let Some(text) = text.to_str() else { return Vec::new() };
    let offers = completer(text, &said()).into_iter().filter(|offer| offer.text.starts_with(text));
    let candidate = |offer: Offer| CompletionCandidate::new(offer.text).help(offer.help.map(Into::into));
    offers.take(MOST).map(candidate).collect()
}

fn plain(names: impl IntoIterator<Item = String>) -> Vec<Offer> {
    names.into_iter().map(|name| Offer::new(name, None)).collect()
}

/// The keys under the part of the text that is whole: a bucket may have very many.
fn filter(text: &str) -> Filter {
    let parent = text.rsplit_once('.').and_then(|(parent, _)| Prefix::new(parent).ok());
    parent.map_or_else(Filter::all, Filter::from)
}

fn keys(text: &str, said: &Said, behind: &str) -> Vec<Offer> {
    in_layers(text, said, |typed, known| offer::keys(typed, &known.keys, &known.schemas, behind))
}

/// What is offered in the layers that the line names, without their names; as it stands where it names none.
fn in_layers(text: &str, said: &Said, offers: impl Fn(&str, &ask::Known) -> Vec<Offer>) -> Vec<Offer> {
    let named = said.layer.as_deref().unwrap_or_default().split(',').filter(|layer| !layer.contains('*'));
    let mut found: Vec<Offer> = Vec::new();
    for layer in named {
        if layer.is_empty() {
            found.extend(offers(text, &ask::keys_and_schemas(said, filter(text))));
            continue;
        }
        let typed = format!("{layer}.{text}");
        let mut known = ask::keys_and_schemas(said, filter(&typed));
        // A layer that nothing stands in yet is one all the same.
        for published in &mut known.schemas.published {
            let pattern = |name: &String| {
                Filter::new(name).is_ok_and(|name| Key::new(layer).is_ok_and(|layer| name.matches(&layer)))
            };
            if published.schema.layers.iter().any(pattern) {
                published.schema = published.schema.in_layer(layer);
            }
        }
        let cut = |offer: Offer| {
            let text = offer.text.strip_prefix(layer)?.strip_prefix('.')?.to_owned();
            Some(Offer { text, ..offer })
        };
        found.extend(offers(&typed, &known).into_iter().filter_map(cut));
    }
    found.sort_by(|one, other| one.text.cmp(&other.text));
    found.dedup_by(|one, other| one.text == other.text);
    found
}

fn keys_and_prefixes(text: &str, said: &Said) -> Vec<Offer> {
    in_layers(text, said, |typed, known| {
        let prefixes = offer::prefixes(typed, &known.keys, &known.schemas);
        prefixes.into_iter().chain(offer::keys(typed, &known.keys, &known.schemas, "")).collect()
    })
}

fn prefixes(text: &str, said: &Said) -> Vec<Offer> {
    let known = ask::keys_and_schemas(said, filter(text));
    offer::prefixes(text, &known.keys, &known.schemas)
}

/// A key, and behind its `=` the values that it can have, or a file.
fn assignments(text: &str, said: &Said) -> Vec<Offer> {
    let Some((key, typed)) = text.split_once('=') else { return keys(text, said, "=") };
    if let Some(path) = typed.strip_prefix('@') {
        let paths = PathCompleter::any().complete(OsStr::new(path));
        return paths
            .iter()
            .map(|path| Offer::new(format!("{key}=@{}", path.get_value().to_string_lossy()), None))
            .collect();
    }
    let layer = said.layer.as_deref().filter(|layer| !layer.is_empty());
    let full = layer.map_or_else(|| key.to_owned(), |layer| format!("{layer}.{key}"));
    let Ok(full) = Key::new(full) else { return Vec::new() };
    let (now, schemas) = ask::value_and_schemas(said, &full);
    let now = now.and_then(|value| String::from_utf8(value).ok());
    let offers = offer::values(typed, full.as_str(), now.as_deref(), &schemas);
    offers.into_iter().map(|offer| Offer { text: format!("{key}={}", offer.text), ..offer }).collect()
}

fn schemas(_: &str, said: &Said) -> Vec<Offer> {
    let known = ask::settings(said);
    let offer = |published: &kvconf::settings::PublishedSchema| {
        Offer::new(published.name.clone(), Some(format!("{} {}", published.schema.name, published.version)))
    };
    known.schemas.published.iter().map(offer).collect()
}

/// Layers as schemas name them.
fn patterns(_: &str, said: &Said) -> Vec<Offer> {
    let known = ask::settings(said);
    let all: BTreeSet<String> =
        known.schemas.published.iter().flat_map(|it| it.schema.layers.clone()).collect();
    plain(all.into_iter().filter(|layer| !layer.is_empty()))
}

/// Layers as they stand in the bucket.
fn layers(_: &str, said: &Said) -> Vec<Offer> {
    let known = ask::settings(said);
    let schemas = known.schemas.published.iter().map(|published| &published.schema);
    let all: BTreeSet<String> = schemas.flat_map(|schema| layers_of(schema, &known.keys)).collect();
    plain(all.into_iter().filter(|layer| !layer.is_empty()))
}

fn changes(_: &str, said: &Said) -> Vec<Offer> {
    let known = ask::changes(said).into_iter();
    known.filter_map(|change| Some(Offer::new(change.change()?.get(..ID)?, Some(told(&change))))).collect()
}

fn revisions(_: &str, said: &Said) -> Vec<Offer> {
    let known = ask::changes(said).into_iter();
    known.map(|change| Offer::new(change.revision().to_string(), Some(told(&change)))).collect()
}

/// `3 min ago, by ops: "sale"`
fn told(change: &kvconf::LoggedChange) -> String {
    let mut text = format!("{}, {}", ago(change.time(), SystemTime::now()), by(change.author()));
    text.extend(change.reason().map(|reason| format!(": {}", reason.escape_debug())));
    text
}

fn authors(_: &str, said: &Said) -> Vec<Offer> {
    let known = ask::changes(said);
    let names: BTreeSet<String> =
        known.iter().filter_map(|change| change.author()).map(str::to_owned).collect();
    plain(names)
}

/// The prefix of flags that the line or the environment names.
fn flag_prefix(said: &Said) -> Option<String> {
    said.prefix.clone().or_else(|| std::env::var("KVCONF_FLAGS").ok())
}

fn flags(_: &str, said: &Said) -> Vec<Offer> {
    let Some(prefix) = flag_prefix(said) else { return Vec::new() };
    let Ok(filter) = Prefix::new(&prefix).map(Filter::from) else { return Vec::new() };
    offer::flags(&prefix, &ask::keys_and_schemas(said, filter).keys)
}

/// The variants of the flag that the line names: `kvconf flag on NAME --variant …`.
fn variants(said: &Said, behind: &str) -> Vec<Offer> {
    let name = said.others.iter().skip_while(|word| *word != "flag").nth(2);
    let key = flag_prefix(said)
        .zip(name)
        .map(|(prefix, name)| if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") });
    let Some(Ok(key)) = key.map(Key::new) else { return Vec::new() };
    let (now, _) = ask::value_and_schemas(said, &key);
    let offers = now.map(|stored| offer::variants(&stored)).unwrap_or_default();
    offers.into_iter().map(|offer| Offer { text: offer.text + behind, ..offer }).collect()
}
