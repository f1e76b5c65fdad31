//! `kvconf apply`: a file's keys into the bucket.

use std::collections::BTreeSet;
use std::io::Read as _;

use clap::Args;
use kvconf::{Bucket, FileOrigin, Filter, Key, PlainEdit, Prefix};

use crate::change::{WriteArgs, make_of_file};
use crate::document::{self, DocumentError, Position, Wanted, Wish, nobody_knows};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::schemas::Rules;
use crate::session::Session;
use crate::verb::export::{Format, prefix};
use crate::verb::set::FileError;

const EXAMPLE: &str = "\
Examples:
    kvconf apply checkout.toml --dry-run
    kvconf apply checkout.toml --prune -m 'as reviewed'      deletes what the file does not have
    kvconf apply defaults.toml --under staging               every key below staging
    kvconf export a --format toml | kvconf apply - -b other --yes

A table is a tree of keys. An array or an inline table is the JSON of one key; in JSON, {\"$json\": {...}} is. Where a \
published schema knows what stands there, it decides. \
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
        let source = Source::open(&self.file, self.format)?;
        let bucket = session.bucket().await?;
        let rules = Rules::of(&bucket, &self.write.layers).await?;
        let wanted = source.wanted(self.under.as_ref(), &rules)?;
        let scopes = if self.prune { scopes(&wanted, self.under.as_ref()) } else { Vec::new() };
        let edit = |bucket: &Bucket| {
            let edit = wishes(bucket.edit(), &wanted);
            if scopes.is_empty() { edit } else { edit.unset_others(scopes.clone()) }
        };
        make_of_file(session, &bucket, &self.write, edit, &|key| source.place(&wanted, key)).await?;
        Ok(())
    }
}

/// A file as it was read. What its tables are, schemas have to say.
pub(crate) struct Source {
    name: String,
    text: String,
    form: document::Form,
}

impl Source {
    /// Reads a file to its end. What is no document at all is told before anybody is asked.
    pub(crate) fn open(path: &str, format: Option<Format>) -> Outcome<Self> {
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
        let source = Self { name: name.to_owned(), text, form };
        match document::read(&source.text, form, &nobody_knows) {
            Err(cause @ DocumentError::Syntax { .. }) => Err(source.mistake(cause)),
            _ => Ok(source),
        }
    }

    fn mistake(&self, cause: DocumentError) -> Failure {
        Failure::new(Exit::Invalid, InFile { name: self.name.clone(), cause })
    }

    /// Every key that it names, below a prefix.
    pub(crate) fn wanted(&self, under: Option<&Prefix>, rules: &Rules) -> Outcome<Vec<Wanted>> {
        let full = |path: &str| match under {
            Some(under) if !under.is_root() => format!("{under}.{path}"),
            _ => path.to_owned(),
        };
        let wanted = document::read(&self.text, self.form, &|path| rules.kind(&full(path)));
        let mut wanted = wanted.map_err(|cause| self.mistake(cause))?;
        for wanted in wanted.iter_mut().filter(|_| under.is_some()) {
            wanted.key = Key::new(full(wanted.key.as_str()))?;
        }
        Ok(wanted)
    }

    /// Where it names a key.
    pub(crate) fn place(&self, wanted: &[Wanted], key: &str) -> Option<FileOrigin> {
        let found = wanted.binary_search_by(|wanted| wanted.key.as_str().cmp(key)).ok();
        let Position { line, column } = wanted.get(found?)?.at;
        let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Some(FileOrigin::new(&self.name, count(line), count(column)))
    }
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
