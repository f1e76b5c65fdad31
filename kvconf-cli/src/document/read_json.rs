//! JSON documents.

use std::collections::{HashMap, VecDeque};

use super::json::Json;
use super::leaf::{float_text, special};
use super::places::{Places, names};
use super::{DocumentError, Found, Kind, Knows, Position, VALUE, Wish, part};

pub(super) fn read(text: &str, knows: Knows<'_>) -> Result<Vec<Found>, DocumentError> {
    let json: Json = serde_json::from_str(text).map_err(|error| DocumentError::Syntax {
        line: error.line(),
        column: error.column(),
        message: words(&error),
    })?;
    let Json::Object(_) = json else {
        let message = "the document has to be an object".to_owned();
        return Err(DocumentError::Syntax { line: 1, column: 1, message });
    };
    let mut reader =
        Reader { knows, places: Places::of(text), names: names(text), path: Vec::new(), found: Vec::new() };
    reader.descend(&json, &mut Vec::new(), Position::default())?;
    Ok(reader.found)
}

/// What the parser says, without the place at its end.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(words, _)| words.to_owned())
}

struct Reader<'a> {
    knows: Knows<'a>,
    places: Places<'a>,
    names: HashMap<Vec<String>, VecDeque<usize>>,
    /// The parts of the key.
    path: Vec<String>,
    found: Vec<Found>,
}

impl Reader<'_> {
    /// `named` are the names as they stand in the text.
    fn descend(&mut self, json: &Json, named: &mut Vec<String>, at: Position) -> Result<(), DocumentError> {
        let path = self.path.join(".");
        let kind = if path.is_empty() { Kind::Tree } else { (self.knows)(&path) };
        if let Some(wish) =
            leaf(json, kind).map_err(|message| DocumentError::Leaf { place: at, path, message })?
        {
            self.found.push(Found { path: self.path.clone(), wish, at });
            return Ok(());
        }
        let Json::Object(members) = json else { return Ok(()) };
        for (name, value) in members {
            named.push(name.clone());
            let found = self.names.get_mut(named.as_slice()).and_then(VecDeque::pop_front);
            let at = found.map_or(at, |byte| self.places.at(byte));
            let is_own = name == VALUE;
            if !is_own {
                self.path.push(part(name, kind));
            }
            self.descend(value, named, at)?;
            if !is_own {
                self.path.pop();
            }
            named.pop();
        }
        Ok(())
    }
}

/// What one key is to hold; `None` for a tree.
fn leaf(json: &Json, kind: Kind) -> Result<Option<Wish>, &'static str> {
    let text = match json {
        Json::Null => return Ok(Some(Wish::Unset)),
        Json::Text(text) => text.clone(),
        Json::Bool(value) => value.to_string(),
        Json::Int(value) => value.to_string(),
        Json::Large(value) => value.to_string(),
        Json::Float(value) => float_text(*value),
        Json::List(_) => json.compact(),
        Json::Object(_) => {
            if let Some(outcome) =
                special(json).filter(|_| json.only_member().is_none_or(|(name, _)| name != VALUE))
            {
                return outcome.map(Some);
            }
            if kind != Kind::Leaf {
                return Ok(None);
            }
            json.compact()
        }
    };
    Ok(Some(Wish::Set(text.into())))
}
