//! Between keys and documents that people write: TOML and JSON.
//!
//! A table is a tree of keys; its members are keys below it. What stands in one key is a leaf:
//!
//! | in the document | in the bucket |
//! |---|---|
//! | a text | the text, as it is |
//! | a number, `true`, `false`, a date | its text |
//! | an array | its JSON |
//! | TOML: an inline table `{ … }`; JSON: `{"$json": …}` | its JSON |
//! | `{ "$base64" = "…" }` | these bytes, which are no text |
//! | `{ "$masked" = true }` | whatever stands there: a secret that was not to be seen |
//! | `{ "$unset" = true }`; JSON: `null` | nothing: the key is deleted |
//! | the member `$value` of a table | the value of the table's own key, where a key is also the beginning of others |
//!
//! `$` is no character of a key, so nothing of this can be mistaken. A document is written so that reading it gives the
//! same bytes: a value whose bytes no number, array or table would give is written as a text. All of it is pure.

mod json;
mod leaf;
mod read_json;
mod read_toml;
mod tree;
mod write_json;
mod write_toml;

use bytes::Bytes;
use derive_more::{Display, Error};
use kvconf::{Key, KeyError};

pub(crate) use leaf::Leaf;
pub(crate) use tree::Tree;

/// The bytes that are no text.
const BASE64: &str = "$base64";
/// A secret that was not to be seen.
const MASKED: &str = "$masked";
/// A key to be deleted.
const UNSET: &str = "$unset";
/// One key's JSON that is an object.
const JSON: &str = "$json";
/// A key that is also the beginning of others.
const VALUE: &str = "$value";

/// A form of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Toml,
    Json,
}

/// What a document wants of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    Set(Bytes),
    Unset,
    /// It stays as it is.
    Keep,
}

/// One key of a document, and where it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    pub(crate) wish: Wish,
    /// From 1; 0 where it is not known.
    pub(crate) line: usize,
}

/// Which keys hold one value each, as a published schema knows it: then a table or an object there is that value.
pub(crate) type IsLeaf<'a> = &'a dyn Fn(&str) -> bool;

/// Where nobody knows more than the document says.
pub(crate) fn nobody_knows(_: &str) -> bool {
    false
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
pub(crate) enum DocumentError {
    /// It is not of its form.
    #[display("line {line}, column {column}: {message}")]
    Syntax { line: usize, column: usize, message: String },
    /// A name makes no key.
    #[display("{}{path:?} is no key", at(*line))]
    Key {
        line: usize,
        path: String,
        #[error(source)]
        error: KeyError,
    },
    /// Two places say something of one key.
    #[display("{}{key} stands there twice{}", at(*line), also(*first))]
    Twice { line: usize, key: Key, first: usize },
    /// A special form that is none.
    #[display("{}{path} is no value: {message}", at(*line))]
    Leaf { line: usize, path: String, message: &'static str },
}

/// Where in the document, as far as it is known.
fn at(line: usize) -> String {
    if line == 0 { String::new() } else { format!("line {line}: ") }
}

fn also(line: usize) -> String {
    if line == 0 { String::new() } else { format!(", first in line {line}") }
}

/// Reads a document: every key that it names.
pub(crate) fn read(text: &str, form: Form, is_leaf: IsLeaf<'_>) -> Result<Vec<Wanted>, DocumentError> {
    let found = match form {
        Form::Toml => read_toml::read(text, is_leaf)?,
        Form::Json => read_json::read(text, is_leaf)?,
    };
    let mut wanted: Vec<Wanted> = Vec::with_capacity(found.len());
    for Found { path, wish, line } in found {
        let text = path.join(".");
        match Key::new(&text) {
            Ok(key) => wanted.push(Wanted { key, wish, line }),
            Err(error) => return Err(DocumentError::Key { line, path: text, error }),
        }
    }
    wanted.sort_by(|one, other| one.key.cmp(&other.key).then(one.line.cmp(&other.line)));
    for pair in wanted.windows(2) {
        if let [one, other] = pair
            && one.key == other.key
        {
            return Err(DocumentError::Twice { line: other.line, key: one.key.clone(), first: one.line });
        }
    }
    Ok(wanted)
}

/// Writes keys as a document.
pub(crate) fn write(tree: &Tree, form: Form) -> String {
    match form {
        Form::Toml => write_toml::write(tree),
        Form::Json => write_json::write(tree),
    }
}

/// A leaf as it was found, before its path is known to be a key.
struct Found {
    path: Vec<String>,
    wish: Wish,
    line: usize,
}

/// Line and column, from 1, of a place in a text.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
