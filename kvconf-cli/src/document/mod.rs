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
//! A published schema knows more: what is one value is taken for one in whatever form it is written, and an inline table for
//! keys where there are keys.
//!
//! `$` is no character of a key, so nothing of this can be mistaken. A document is written so that reading it gives the
//! same bytes: a value whose bytes no number, array or table would give is written as a text. All of it is pure.

mod json;
mod leaf;
mod places;
mod read_json;
mod read_toml;
mod tree;
mod write_json;
mod write_toml;

use bytes::Bytes;
use derive_more::{Display, Error};
use kvconf::{Key, KeyError, Prefix};

pub(crate) use leaf::Leaf;
pub(crate) use places::Position;
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
    pub(crate) at: Position,
}

/// What stands at a place, as a published schema knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nobody knows: the document says it by its form.
    Unknown,
    /// One value: a table there is its JSON.
    Leaf,
    /// Keys below: an inline table there is a tree, too.
    Tree,
    /// Entries of a map, one key for each: a tree whose names can be anything.
    Entries,
}

/// What is known of a place, by the names that lead there with dots between.
pub(crate) type Knows<'a> = &'a dyn Fn(&str) -> Kind;

/// Where nobody knows more than the document says.
pub(crate) const fn nobody_knows(_: &str) -> Kind {
    Kind::Unknown
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
pub(crate) enum DocumentError {
    /// It is not of its form.
    #[display("line {line}, column {column}: {message}")]
    Syntax { line: usize, column: usize, message: String },
    /// A name makes no key.
    #[display("{}{path:?} is no key", at(*place))]
    Key {
        place: Position,
        path: String,
        #[error(source)]
        error: KeyError,
    },
    /// Two places say something of one key.
    #[display("{}{key} stands there twice{}", at(*place), also(*first))]
    Twice { place: Position, key: Key, first: Position },
    /// A special form that is none.
    #[display("{}{path} is no value: {message}", at(*place))]
    Leaf { place: Position, path: String, message: &'static str },
}

/// Where in the document, as far as it is known.
fn at(place: Position) -> String {
    if place.line == 0 { String::new() } else { format!("line {}: ", place.line) }
}

fn also(place: Position) -> String {
    if place.line == 0 { String::new() } else { format!(", first in line {}", place.line) }
}

/// Reads a document: every key that it names.
pub(crate) fn read(text: &str, form: Form, knows: Knows<'_>) -> Result<Vec<Wanted>, DocumentError> {
    let found = match form {
        Form::Toml => read_toml::read(text, knows)?,
        Form::Json => read_json::read(text, knows)?,
    };
    let mut wanted: Vec<Wanted> = Vec::with_capacity(found.len());
    for Found { path, wish, at } in found {
        let text = path.join(".");
        match Key::new(&text) {
            Ok(key) => wanted.push(Wanted { key, wish, at }),
            Err(error) => return Err(DocumentError::Key { place: at, path: text, error }),
        }
    }
    wanted.sort_by(|one, other| one.key.cmp(&other.key).then(one.at.cmp(&other.at)));
    for pair in wanted.windows(2) {
        if let [one, other] = pair
            && one.key == other.key
        {
            return Err(DocumentError::Twice { place: other.at, key: one.key.clone(), first: one.at });
        }
    }
    Ok(wanted)
}

/// The name of a member as a part of a key: of an entry it can be any text.
fn part(name: &str, parent: Kind) -> String {
    let is_part = !name.contains('.') && Key::new(name).is_ok();
    let entry = (parent == Kind::Entries && !is_part).then(|| Prefix::root().entry(name).ok()).flatten();
    entry.map_or_else(|| name.to_owned(), |entry| entry.to_string())
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
    at: Position,
}

#[cfg(test)]
mod tests;
