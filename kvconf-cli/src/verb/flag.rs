//! `kvconf flag`: feature flags of a set, by name.

mod change;
mod evaluate;
mod move_documents;
mod shares;

use clap::{Args, Subcommand};
use kvconf::flag::{DefaultVariant, FlagDefinition, FlagState};
use kvconf::{FlagSet, Flags, SetFlag};
use serde_json::{Value as Json, json};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Column, Table, Tone};
use crate::session::Session;
use change::{Off, On, Rollout};
use evaluate::{Check, Eval};
use move_documents::{Export, Import};

/// Look at, change, evaluate, import and export the feature flags under a prefix
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Flag {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Ls(Ls),
    Get(Get),
    On(On),
    Off(Off),
    Rollout(Rollout),
    Eval(Eval),
    Check(Check),
    Import(Import),
    Export(Export),
}

impl Flag {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        match self.what {
            What::Ls(verb) => verb.run(session).await,
            What::Get(verb) => verb.run(session).await,
            What::On(verb) => verb.run(session).await,
            What::Off(verb) => verb.run(session).await,
            What::Rollout(verb) => verb.run(session).await,
            What::Eval(verb) => verb.run(session).await,
            What::Check(verb) => verb.run(session),
            What::Import(verb) => verb.run(session).await,
            What::Export(verb) => verb.run(session).await,
        }
    }
}

/// Where the flags stand.
#[derive(Debug, Clone, Args)]
struct Place {
    /// The prefix below which the flags stand [env: KVCONF_FLAGS]
    #[arg(short, long, value_name = "PREFIX")]
    prefix: Option<String>,
}

impl Place {
    /// How a flag verb is typed for the flags there.
    fn command(&self, verb: &str, flag: &str) -> String {
        let prefix = self.prefix.as_ref().map(|prefix| {
            // The whole bucket is no word of its own.
            if prefix.is_empty() { " -p ''".to_owned() } else { format!(" -p {prefix}") }
        });
        let flag = if flag.is_empty() { String::new() } else { format!(" {flag}") };
        format!("kvconf flag {verb}{}{flag}", prefix.unwrap_or_default())
    }

    /// All flags there, followed for as long as the verb runs.
    async fn flags(&self, session: &mut Session) -> Outcome<Flags> {
        let prefix = self.prefix.clone().or_else(|| std::env::var("KVCONF_FLAGS").ok());
        let prefix = prefix.ok_or_else(|| {
            let failure = Failure::new(Exit::Usage, "no prefix of flags is named");
            failure.hint("--prefix PREFIX, or KVCONF_FLAGS; '' is the whole bucket")
        })?;
        let bucket = session.bucket().await?;
        bucket.flags(prefix).start().await.map_err(|error| {
            let failure = match error {
                kvconf::StartError::Invalid(report) => Failure::new(Exit::Refused, report),
                kvconf::StartError::Timeout { .. } => Failure::new(Exit::Unreachable, error),
                kvconf::StartError::NotPermitted { .. } => Failure::new(Exit::NotPermitted, error),
                _ => Failure::new(Exit::Invalid, error),
            };
            failure.hint("kvconf get and kvconf set look at and mend single keys")
        })
    }
}

/// List the flags with their states, defaults and variants
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    kvconf flag ls -p shop.flags")]
struct Ls {
    #[command(flatten)]
    place: Place,
}

impl Ls {
    async fn run(self, session: &mut Session) -> Outcome {
        let flags = self.place.flags(session).await?;
        let set = flags.load();
        if session.out.is_json() {
            return set.flags().try_for_each(|flag| session.out.json(&record(flag)));
        }
        let mut table = Table::new([
            Column::fixed("FLAG", Tone::Key),
            Column::fixed("STATE", Tone::Dim),
            Column::fixed("DEFAULT", Tone::Dim),
            Column::flexible("VARIANTS", Tone::Dim),
            Column::fixed("RULE", Tone::Dim),
            Column::fixed("REVISION", Tone::Dim),
        ]);
        for flag in set.flags() {
            let definition = flag.definition();
            let variants: Vec<&str> = definition.variants().keys().map(String::as_str).collect();
            table.row([
                flag.key().to_owned(),
                definition.state().name().to_lowercase(),
                default(definition).unwrap_or_default().to_owned(),
                variants.join(", "),
                if definition.targeting().is_some() { "yes" } else { "no" }.to_owned(),
                flag.revision().map(|revision| revision.to_string()).unwrap_or_default(),
            ]);
        }
        session.out.table(&table)
    }
}

/// Show one flag as it is defined
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    kvconf flag get -p shop.flags new-cart")]
struct Get {
    /// The flag
    #[arg(value_name = "FLAG")]
    key: String,
    #[command(flatten)]
    place: Place,
}

impl Get {
    async fn run(self, session: &mut Session) -> Outcome {
        let flags = self.place.flags(session).await?;
        let set = flags.load();
        let flag = find(&set, &self.key, &self.place.command("ls", ""))?;
        if session.out.is_json() {
            return session.out.json(&record(flag));
        }
        let text = serde_json::to_string_pretty(&flag.definition().to_json())
            .map_err(|error| Failure::new(Exit::Failed, error))?;
        session.out.line(text)
    }
}

/// The flag, or which one may be meant, or how they are listed.
fn find<'s>(set: &'s FlagSet, key: &str, list: &str) -> Outcome<&'s SetFlag> {
    set.flag(key).ok_or_else(|| {
        let failure = Failure::new(Exit::NotFound, format!("there is no flag `{key}`"));
        let near = set.flags().map(|flag| (strsim::jaro_winkler(flag.key(), key), flag.key()));
        let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|left, right| left.0.total_cmp(&right.0));
        failure.hint(match near {
            Some((_, near)) => format!("did you mean {near}?"),
            None => list.to_owned(),
        })
    })
}

fn default(definition: &FlagDefinition) -> Option<&str> {
    match definition.default_variant() {
        DefaultVariant::Named(name) => Some(name),
        DefaultVariant::Absent | DefaultVariant::Null => None,
    }
}

fn record(flag: &SetFlag) -> Json {
    let definition = flag.definition();
    json!({
        "flag": flag.key(),
        "revision": flag.revision().map(kvconf::Revision::get),
        "enabled": definition.state() == FlagState::Enabled,
        "definition": definition.to_object(),
    })
}
