//! `kvconf show`: one change set.

use clap::Args;
use kvconf::{Filter, LoggedChange, LoggedKey, Prefix};

use crate::failure::{Outcome, narrower};
use crate::output::{ago, rfc3339};
use crate::past::{Named, by, change_json, find, keys_table, named};
use crate::session::Session;
use crate::targets::{InLayers, quoted};

const EXAMPLE: &str = "\
Examples:
    kvconf show 4182           the change that wrote this revision
    kvconf show 5bd0f7a4       by its id, or how that begins";

/// Show one change set: who made it, when and why, and what each key held before and after
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Show {
    /// A revision that it wrote, or its id
    #[arg(value_name = "CHANGE", value_parser = named)]
    change: Named,
    /// Look under this prefix only, for a user who may not read more
    #[arg(long, value_name = "PREFIX", value_parser = |text: &str| Prefix::new(text))]
    prefix: Option<Prefix>,
    #[command(flatten)]
    layers: InLayers,
}

impl Show {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let prefix = self.prefix.filter(|prefix| !prefix.is_root());
        let filters = self.layers.filters(&[prefix.as_ref().map_or_else(Filter::all, Filter::from)])?;
        let found = find(&bucket, &filters, &self.change).await;
        let found = found.map_err(|failure| narrower(failure, &filters, "kvconf show CHANGE --prefix PREFIX"))?;
        if !session.out.is_json() {
            session.take_time_from(&bucket).await?;
        }
        let secrecy = session.out.secrecy();
        for (at, change) in found.iter().enumerate() {
            let keys: Vec<&LoggedKey> = change.keys().iter().collect();
            if session.out.is_json() {
                session.out.json(&change_json(change, &keys, secrecy))?;
                continue;
            }
            if at > 0 {
                session.out.line("")?;
            }
            tell(session, change)?;
            session.out.table(&keys_table(&keys, secrecy))?;
            if change.is_partial() {
                session.out.line(format!("   and {} no longer kept", change.missing()))?;
            }
        }
        match found.first() {
            Some(change) if !session.out.is_json() => {
                let named = change.change().map_or_else(|| change.revision().to_string(), str::to_owned);
                let prefix = prefix.map(|prefix| format!("--prefix {}", quoted(prefix.as_str())));
                let words: Vec<String> = [named].into_iter().chain(prefix).chain(self.layers.typed()).collect();
                session.out.note(format!("kvconf revert {} takes it back", words.join(" ")))
            }
            _ => Ok(()),
        }
    }
}

fn tell(session: &mut Session, change: &LoggedChange) -> Outcome {
    let out = &mut session.out;
    let (first, last) = change.revisions().into_inner();
    let revisions = if first == last { format!("revision {last}") } else { format!("revision {first} to {last}") };
    out.line(format!("{revisions}, {}", by(change.author())))?;
    out.line(format!("{} ({})", rfc3339(change.time()), ago(change.time(), out.now())))?;
    if let Some(reason) = change.reason() {
        out.line(format!("reason: {}", crate::output::tame_lines(reason)))?;
    }
    if let Some(id) = change.change() {
        out.line(format!("change: {}", id.escape_debug()))?;
    }
    Ok(())
}
