//! `kvconf cache`: what a process would start from without the server, read from its last-good cache.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use kvconf::seal::{Keyring, SealKey};
use kvconf::{Cache as Folder, CacheContent, CacheError, CacheFile, Entry, Key};
use serde_json::{Value, json};

use crate::change::{differences_table, value_json};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::secrecy::Secrecy;
use crate::output::{Column, Record, Table, Tone, ago, rfc3339, shown};
use crate::session::Session;
use crate::verb::set::FileError;

/// How many columns of a value are kept; the table cuts further.
const KEPT: usize = 200;

/// Look at a last-good cache, without the server
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cache {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Ls(Ls),
    Show(Show),
    Diff(Diff),
}

/// List the states in a cache, in the order in which a start would try them
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    kvconf cache ls /var/cache/checkout")]
struct Ls {
    /// The cache's folder, or that of one handle in it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    keys: Keys,
}

/// Show a state of a cache: the one that the next start would take, or that of a generation
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf cache show /var/cache/checkout
    kvconf cache show /var/cache/checkout --generation 7

    kvconf cache show /var/cache/checkout --keys seal.keys --reveal

Secrets are in a cache only where it is encrypted. Nothing in it says which values are: of an encrypted one they are all shown \
with --reveal only.")]
struct Show {
    /// The cache's folder, or that of one handle in it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The number of the state [default: what the next start would take]
    #[arg(long, value_name = "NUMBER")]
    generation: Option<u64>,
    #[command(flatten)]
    keys: Keys,
}

/// Show what going back from one state of a cache to another would change
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
    kvconf cache diff /var/cache/checkout 9 7     from generation 9 back to 7

It needs no server. When that is there again, the rollback that is named does it.")]
struct Diff {
    /// The cache's folder, or that of one handle in it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The number of the state to go from
    #[arg(value_name = "FROM")]
    from: u64,
    /// The number of the state to go to
    #[arg(value_name = "TO")]
    to: u64,
    #[command(flatten)]
    keys: Keys,
}

/// What opens an encrypted cache.
#[derive(Debug, Args)]
struct Keys {
    /// A file with the keys of an encrypted cache: an id and the key as base64 on each line [env: KVCONF_SEAL_KEYS, with the
    /// same in it]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

impl Keys {
    fn ring(&self) -> Outcome<Option<Keyring>> {
        let (name, text) = match &self.keys {
            Some(path) => {
                let name = path.display().to_string();
                let failed = |cause| Failure::new(Exit::NotFound, FileError { path: name.clone(), cause });
                (name.clone(), std::fs::read_to_string(path).map_err(failed)?)
            }
            None => match std::env::var("KVCONF_SEAL_KEYS") {
                Ok(text) => ("KVCONF_SEAL_KEYS".to_owned(), text),
                Err(_) => return Ok(None),
            },
        };
        ring(&text).map_err(|words| {
            // The text may be a key: it is not repeated.
            Failure::new(Exit::Invalid, format!("{name}: {words}")).hint("a line has an id and the base64 of 32 bytes: 2026-01 q83v…")
        })
    }
}

/// The keys of a text: on each line an id, and the key as base64. What begins with `#` is for people.
fn ring(text: &str) -> Result<Option<Keyring>, String> {
    let mut ring: Option<Keyring> = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let in_line = |words: String| format!("line {}: {words}", at + 1);
        let Some((id, key)) = line.split_once(char::is_whitespace) else {
            return Err(in_line("there is no key behind the id".to_owned()));
        };
        let key = SealKey::from_base64(id, key).map_err(|error| in_line(error.to_string()))?;
        ring = Some(match ring {
            None => Keyring::new(key),
            Some(ring) => ring.and(key).map_err(|error| in_line(error.to_string()))?,
        });
    }
    Ok(ring)
}

impl Cache {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        match self.what {
            What::Ls(ls) => ls.run(session).await,
            What::Show(show) => show.run(session).await,
            What::Diff(diff) => diff.run(session).await,
        }
    }
}

async fn files(folder: &PathBuf, keys: &Keys) -> Outcome<Vec<CacheFile>> {
    let cache = Folder::at(folder);
    let cache = if let Some(ring) = keys.ring()? { cache.keyring(ring) } else { cache };
    let files = cache.inspect().await?;
    if files.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("{} has no state in it", folder.display())));
    }
    Ok(files)
}

/// The files of the one handle whose folder it is.
async fn of_one_handle(folder: &PathBuf, keys: &Keys) -> Outcome<Vec<CacheFile>> {
    let files = files(folder, keys).await?;
    let mut handles: Vec<_> = files.iter().filter_map(|file| file.path.parent()).collect();
    handles.dedup();
    if handles.len() == 1 {
        return Ok(files);
    }
    let failure = Failure::new(Exit::Usage, format!("{} has the states of {} handles", folder.display(), handles.len()));
    Err(handles.iter().fold(failure, |failure, handle| failure.hint(format!("name one: {}", handle.display()))))
}

fn of_generation(files: Vec<CacheFile>, number: u64) -> Outcome<CacheFile> {
    let known: Vec<String> = files.iter().map(|file| file.generation.to_string()).collect();
    files.into_iter().find(|file| file.generation == number).ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no generation {number}"))
            .hint(format!("there are: {}", known.join(", ")))
    })
}

fn content(file: CacheFile) -> Outcome<CacheContent> {
    let name = file.path.display().to_string();
    file.content.map_err(|damage| Failure::new(Exit::Invalid, format!("{name} would not be used: {damage}")))
}

fn entries(content: &CacheContent) -> Outcome<&[Arc<Entry>]> {
    match &content.entries {
        Ok(entries) => Ok(entries),
        Err(damage) => {
            let failure = Failure::new(Exit::Refused, format!("the values are not to be seen: {damage}"));
            Err(match &content.sealed_by {
                Some(id) => failure.hint(format!("--keys FILE, with a line for the key {id}; or KVCONF_SEAL_KEYS")),
                None => failure,
            })
        }
    }
}

impl Ls {
    async fn run(self, session: &mut Session) -> Outcome {
        let files = files(&self.folder, &self.keys).await?;
        if session.out.is_json() {
            return files.iter().try_for_each(|file| session.out.json(&file_json(file)));
        }
        let now = session.out.now();
        let mut table = Table::new([
            Column::fixed("GENERATION", Tone::Heading),
            Column::fixed("BUCKET", Tone::Plain),
            Column::fixed("PREFIX", Tone::Key),
            Column::flexible("STRUCT", Tone::Plain),
            Column::fixed("REVISION", Tone::Plain),
            Column::fixed("SAVED", Tone::Dim),
            Column::flexible("NOTE", Tone::Warn),
        ]);
        for file in &files {
            let mut cells = vec![file.generation.to_string()];
            match &file.content {
                Ok(content) => cells.extend([
                    content.bucket.clone(),
                    content.prefix.clone(),
                    content.struct_name.clone(),
                    content.revision.to_string(),
                    ago(content.saved_at, now),
                    note(file),
                ]),
                Err(damage) => {
                    cells.extend(std::iter::repeat_n(String::new(), 5));
                    cells.push(damage.to_string());
                }
            }
            table.row(cells);
        }
        session.out.table(&table)
    }
}

/// What makes a start think twice.
fn note(file: &CacheFile) -> String {
    let mut notes = Vec::new();
    if !file.trusted {
        notes.push("not trusted yet".to_owned());
    }
    if file.failed_starts > 0 {
        notes.push(format!("{} failed", crate::change::counted(file.failed_starts as usize, "start")));
    }
    if let Ok(CacheContent { sealed_by: Some(id), .. }) = &file.content {
        notes.push(format!("sealed with {id}"));
    }
    notes.join(", ")
}

fn file_json(file: &CacheFile) -> Value {
    let content = file.content.as_ref();
    json!({
        "file": file.path.display().to_string(),
        "generation": file.generation,
        "trusted": file.trusted,
        "failed_starts": file.failed_starts,
        "damage": content.err().map(ToString::to_string),
        "content": content.ok().map(content_json),
    })
}

fn content_json(content: &CacheContent) -> Value {
    json!({
        "bucket": content.bucket,
        "prefix": content.prefix,
        "struct": content.struct_name,
        "created": content.created.map(rfc3339),
        "revision": content.revision.get(),
        "saved_at": rfc3339(content.saved_at),
        "sealed_with": content.sealed_by,
        "omitted": content.omitted.iter().map(Key::as_str).collect::<Vec<_>>(),
    })
}

impl Show {
    async fn run(self, session: &mut Session) -> Outcome {
        let files = of_one_handle(&self.folder, &self.keys).await?;
        let file = match self.generation {
            Some(number) => of_generation(files, number)?,
            // In the order of starts: the first that can be read.
            None => files.into_iter().find(|file| file.content.is_ok()).ok_or_else(|| {
                Failure::new(Exit::Invalid, "no state in it can be read").hint(format!("kvconf cache ls {}", self.folder.display()))
            })?,
        };
        let number = file.generation;
        let content = content(file)?;
        let found = entries(&content)?;
        let secrecy = secrecy(session, &content)?;
        if session.out.is_json() {
            let mut document = content_json(&content);
            let records: Vec<_> = found.iter().map(|entry| json!(Record::new(entry, secrecy))).collect();
            if let Some(members) = document.as_object_mut() {
                members.insert("generation".to_owned(), number.into());
                members.insert("entries".to_owned(), records.into());
            }
            return session.out.json(&document);
        }
        let out = &mut session.out;
        out.line(format!(
            "{} of bucket {}, revision {}, saved {} (generation {number})",
            content.struct_name, content.bucket, content.revision, ago(content.saved_at, out.now())
        ))?;
        let mut table = Table::new([Column::fixed("", Tone::Key), Column::flexible("", Tone::Plain)]);
        for entry in found.iter().filter(|entry| entry.put_value().is_some()) {
            table.row([entry.key().to_string(), shown(secrecy, entry.key(), entry.value()).short(KEPT)]);
        }
        for key in &content.omitted {
            table.row([key.to_string(), "(has a value, which is not in the cache)".to_owned()]);
        }
        out.table(&table)
    }
}

impl Diff {
    async fn run(self, session: &mut Session) -> Outcome {
        let files = of_one_handle(&self.folder, &self.keys).await?;
        let from = content(of_generation(files.clone(), self.from)?)?;
        let to = content(of_generation(files, self.to)?)?;
        let (before, after) = (values(&from)?, values(&to)?);
        let mut keys: Vec<&Key> = before.keys().chain(after.keys()).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        let steps: Vec<_> = keys
            .into_iter()
            .map(|key| (key, before.get(key).copied(), after.get(key).copied()))
            .filter(|(_, before, after)| before != after)
            .collect();
        let secrecy = secrecy(session, if to.sealed_by.is_some() { &to } else { &from })?;
        let target = if to.prefix.is_empty() { "'>'" } else { &to.prefix };
        let command = format!("kvconf rollback {target} --bucket {} --to {}", to.bucket, to.revision);
        if session.out.is_json() {
            let changes: Vec<Value> = steps
                .iter()
                .map(|(key, before, after)| {
                    let value = |value| value_json(secrecy, key, value);
                    json!({ "key": key.as_str(), "before": value(*before), "after": value(*after) })
                })
                .collect();
            return session.out.json(&json!({
                "from": from.revision.get(), "to": to.revision.get(), "changes": changes, "rollback": command,
            }));
        }
        session.out.line(format!("from revision {} to revision {}", from.revision, to.revision))?;
        if steps.is_empty() {
            return session.out.line("nothing differs");
        }
        session.out.table(&differences_table(steps.into_iter(), secrecy))?;
        session.out.note(format!("when the server is there: {command}"))
    }
}

/// In an encrypted state there are secrets, and nothing says which values are some.
fn secrecy(session: &mut Session, content: &CacheContent) -> Outcome<Secrecy> {
    let secrecy = session.out.secrecy();
    if content.sealed_by.is_none() || secrecy.reveal {
        return Ok(secrecy);
    }
    session.out.note("it is encrypted, and may hold secrets: --reveal shows values")?;
    Ok(Secrecy { masks_all: true, ..secrecy })
}

fn values(content: &CacheContent) -> Outcome<BTreeMap<&Key, &bytes::Bytes>> {
    let entries = entries(content)?.iter();
    Ok(entries.filter_map(|entry| Some((entry.key(), entry.put_value()?))).collect())
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        let is_absent = matches!(&error, CacheError::Io { kind: std::io::ErrorKind::NotFound, .. });
        Self::new(if is_absent { Exit::NotFound } else { Exit::Failed }, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_line_by_line_and_never_repeated() {
        // P11
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let found = ring(&format!("# of 2026\n2026-01 {key}\n\n2025-06\t{key}\n")).unwrap().unwrap();
        assert_eq!(found.ids().collect::<Vec<_>>(), ["2026-01", "2025-06"]);
        assert!(ring("").unwrap().is_none());
        let refused = |text: &str| ring(text).unwrap_err();
        assert_eq!(refused(key), "line 1: there is no key behind the id");
        assert!(!refused("2026-01 hunter2").contains("hunter2"));
        assert!(refused(&format!("a {key}\na {key}\n")).starts_with("line 2: "));
    }
}
