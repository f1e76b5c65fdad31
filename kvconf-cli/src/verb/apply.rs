//! `kvconf apply`: a file's keys into the bucket.

use std::collections::BTreeSet;
use std::io::Read as _;

use clap::Args;
use kvconf::{Bucket, Filter, Key, PlainEdit, Prefix};

use crate::change::{WriteArgs, make};
use crate::document::{self, Wanted, Wish, nobody_knows};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;
use crate::verb::export::{Format, prefix};
use crate::verb::set::FileError;

const EXAMPLE: &str = "\
Examples:
    kvconf apply checkout.toml --dry-run
    kvconf apply checkout.toml --prune -m 'as reviewed'      deletes what the file does not have
    kvconf apply defaults.toml --under staging               every key below staging
    kvconf export a --format toml | kvconf apply - -b other --yes

A table is a tree of keys. An array or an inline table is the JSON of one key; in JSON, {\"$json\": {...}} is. \
null, or { \"$unset\" = true }, deletes a key; { \"$masked\" = true } leaves it as it is.";

/// Make the bucket hold what a TOML or JSON file says, in one change set
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Apply {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// The form [default: by the name of the file, else TOML]
    #[arg(short, long, value_enum, value_name = "FORM")]
    format: Option<Format>,
    /// Below which prefix the keys of the file stand
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    under: Option<Prefix>,
    /// Delete keys that the file does not have: below --under, else below the outermost tables of the file
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    write: WriteArgs,
}

impl Apply {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        if self.file == "-" && !self.write.yes && !self.write.dry_run {
            let failure = Failure::new(Exit::Usage, "the file is standard input, which cannot answer questions too");
            return Err(failure.hint("--yes answers beforehand, --dry-run only shows the plan"));
        }
        let wanted = read_file(&self.file, self.format)?;
        let wanted = place_under(wanted, self.under.as_ref())?;
        let scopes = if self.prune { scopes(&wanted, self.under.as_ref()) } else { Vec::new() };
        let bucket = session.bucket().await?;
        let edit = |bucket: &Bucket| {
            let edit = wishes(bucket.edit(), &wanted);
            if scopes.is_empty() { edit } else { edit.unset_others(scopes.clone()) }
        };
        make(session, &bucket, &self.write, edit).await?;
        Ok(())
    }
}

/// Reads every key of a file.
pub(crate) fn read_file(path: &str, format: Option<Format>) -> Outcome<Vec<Wanted>> {
    let failed = |cause| Failure::new(Exit::NotFound, FileError { path: path.to_owned(), cause });
    let mut bytes = Vec::new();
    if path == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(path).map_err(failed)?;
    }
    let name = if path == "-" { "standard input" } else { path };
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(Failure::new(Exit::Invalid, format!("{name} is no UTF-8 text")));
    };
    let format = format.or_else(|| Format::of_path(path)).unwrap_or(Format::Toml);
    let Some(form) = format.document() else {
        let failure = Failure::new(Exit::Usage, format!("{name} has a key on each line"));
        return Err(failure.hint(format!("kvconf import {path}")));
    };
    let wanted = document::read(&text, form, &nobody_knows);
    wanted.map_err(|cause| Failure::new(Exit::Invalid, InFile { name: name.to_owned(), cause }))
}

fn place_under(wanted: Vec<Wanted>, under: Option<&Prefix>) -> Outcome<Vec<Wanted>> {
    let Some(under) = under else { return Ok(wanted) };
    let moved = wanted.into_iter().map(|wanted| Ok(Wanted { key: under.key(wanted.key.as_str())?, ..wanted }));
    moved.collect::<Result<_, kvconf::KeyError>>().map_err(Failure::from)
}

/// Where a file has the whole say: below its prefix, or below its outermost tables.
pub(crate) fn scopes(wanted: &[Wanted], under: Option<&Prefix>) -> Vec<Filter> {
    if let Some(under) = under {
        return vec![Filter::from(under)];
    }
    let outermost: BTreeSet<&str> = wanted
        .iter()
        .filter_map(|wanted| wanted.key.as_str().split_once('.'))
        .map(|(first, _)| first)
        .collect();
    outermost.into_iter().filter_map(|first| Prefix::new(first).ok()).map(Filter::from).collect()
}

/// What a file wants, as an edit.
pub(crate) fn wishes(edit: PlainEdit, wanted: &[Wanted]) -> PlainEdit {
    wanted.iter().fold(edit, |edit, Wanted { key, wish, .. }| {
        let key: Key = key.clone();
        match wish {
            Wish::Set(value) => edit.set(key, value.clone()),
            Wish::Unset => edit.unset(key),
            Wish::Keep => edit.keep(key),
        }
    })
}

/// What is wrong in a file, behind its name.
#[derive(Debug, derive_more::Display)]
#[display("{name}: {cause}")]
pub(crate) struct InFile<E> {
    pub(crate) name: String,
    pub(crate) cause: E,
}

impl<E: std::error::Error> std::error::Error for InFile<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The cause's own text stands in this one already.
        self.cause.source()
    }
}
