//! JSON documents.

use super::json::Json;
use super::leaf::{float_text, special};
use super::{DocumentError, Found, IsLeaf, VALUE, Wish};

pub(super) fn read(text: &str, is_leaf: IsLeaf<'_>) -> Result<Vec<Found>, DocumentError> {
    let json: Json = serde_json::from_str(text).map_err(|error| DocumentError::Syntax {
        line: error.line(),
        column: error.column(),
        message: words(&error),
    })?;
    let Json::Object(_) = json else {
        let message = "the document has to be an object".to_owned();
        return Err(DocumentError::Syntax { line: 1, column: 1, message });
    };
    let mut found = Vec::new();
    descend(&json, &mut Vec::new(), is_leaf, &mut found)?;
    Ok(found)
}

/// What the parser says, without the place at its end.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(words, _)| words.to_owned())
}

fn descend(
    json: &Json,
    path: &mut Vec<String>,
    is_leaf: IsLeaf<'_>,
    found: &mut Vec<Found>,
) -> Result<(), DocumentError> {
    if let Some(wish) = leaf(json, path, is_leaf)? {
        found.push(Found { path: path.clone(), wish, line: 0 });
        return Ok(());
    }
    let Json::Object(members) = json else { return Ok(()) };
    for (name, value) in members {
        let is_own = name == VALUE;
        if !is_own {
            path.push(name.clone());
        }
        descend(value, path, is_leaf, found)?;
        if !is_own {
            path.pop();
        }
    }
    Ok(())
}

/// What one key is to hold; `None` for a tree.
fn leaf(json: &Json, path: &[String], is_leaf: IsLeaf<'_>) -> Result<Option<Wish>, DocumentError> {
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
                return outcome.map(Some).map_err(|message| DocumentError::Leaf {
                    line: 0,
                    path: path.join("."),
                    message,
                });
            }
            if path.is_empty() || !is_leaf(&path.join(".")) {
                return Ok(None);
            }
            json.compact()
        }
    };
    Ok(Some(Wish::Set(text.into())))
}
