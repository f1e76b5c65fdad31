//! One key a line, as `export` writes and `import` reads it: `{"key":"a.b","value":"text"}`, with `base64` for bytes that are
//! no text. `masked` is a secret that was not to be seen; it stays as it is where it is imported. What else a line has is
//! for readers: lines of `kvconf ls --json` are understood, too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use derive_more::{Display, Error};
use kvconf::{Entry, Key, KeyError};
use serde::{Deserialize, Serialize};

use crate::document::{Position, Wanted, Wish};
use crate::output::{Shown, shown};
use crate::secrecy::Secrecy;

/// A line that is written.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
}

impl<'a> Line<'a> {
    pub(crate) fn new(entry: &'a Entry, secrecy: Secrecy) -> Self {
        let (value, base64, masked) = match shown(secrecy, entry.key(), entry.value()) {
            Shown::Text(text) => (Some(text), None, false),
            Shown::Binary(bytes) => (None, Some(STANDARD.encode(bytes)), false),
            Shown::Masked => (None, None, true),
        };
        Self { key: entry.key().as_str(), value, base64, masked }
    }

    /// Whether the value is left out.
    pub(crate) const fn is_masked(&self) -> bool {
        self.masked
    }
}

/// Why a line cannot be read.
#[derive(Debug, Display, Error)]
pub(crate) enum LineError {
    #[display("line {line} is no record")]
    Json {
        line: usize,
        #[error(source)]
        cause: serde_json::Error,
    },
    #[display("line {line}: {text:?} is no key")]
    Key {
        line: usize,
        text: String,
        #[error(source)]
        cause: KeyError,
    },
    #[display("line {line}: {key} has no value: a record has one of value, base64, masked and removed")]
    Value { line: usize, key: Key },
    #[display("line {line}: {key} has no base64 after base64")]
    Base64 { line: usize, key: Key },
}

#[derive(Deserialize)]
struct Read {
    key: String,
    value: Option<String>,
    base64: Option<String>,
    #[serde(default)]
    masked: bool,
    #[serde(default)]
    removed: bool,
}

/// Reads a line; `None` for one of blanks.
pub(crate) fn read(text: &[u8], line: usize) -> Result<Option<Wanted>, LineError> {
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let read: Read = serde_json::from_slice(text).map_err(|cause| LineError::Json { line, cause })?;
    let key = Key::new(&read.key).map_err(|cause| LineError::Key { line, text: read.key, cause })?;
    let wish = match (read.value, read.base64, read.masked, read.removed) {
        (Some(value), None, false, false) => Wish::Set(value.into()),
        (None, Some(text), false, false) => match STANDARD.decode(text) {
            Ok(bytes) => Wish::Set(Bytes::from(bytes)),
            Err(_) => return Err(LineError::Base64 { line, key }),
        },
        (None, None, true, false) => Wish::Keep,
        (None, None, false, true) => Wish::Unset,
        _ => return Err(LineError::Value { line, key }),
    };
    Ok(Some(Wanted { key, wish, at: Position::line(line) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match read(text.as_bytes(), 7) {
            Ok(Some(wanted)) => format!("{} {:?}", wanted.key, wanted.wish),
            Ok(None) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn lines_are_read_and_mistakes_told_with_their_line() {
        assert_eq!(told(r#"{"key":"a.b","value":"x","revision":3}"#), r#"a.b Set(b"x")"#);
        assert_eq!(told(r#"{"key":"a.b","base64":"/w=="}"#), r#"a.b Set(b"\xff")"#);
        assert_eq!(told(r#"{"key":"a.b","masked":true}"#), "a.b Keep");
        assert_eq!(told(r#"{"key":"a.b","removed":true}"#), "a.b Unset");
        assert_eq!(told("  "), "nothing");
        assert_eq!(told("{"), "line 7 is no record");
        assert_eq!(told(r#"{"key":"a..b","value":"x"}"#), r#"line 7: "a..b" is no key"#);
        let none = "line 7: a has no value: a record has one of value, base64, masked and removed";
        assert_eq!(told(r#"{"key":"a"}"#), none);
        assert_eq!(told(r#"{"key":"a","value":"x","masked":true}"#), none);
        assert_eq!(told(r#"{"key":"a","base64":"?"}"#), "line 7: a has no base64 after base64");
    }
}
