//! JSON as a tree.
//!
//! Not `serde_json::Value`, because that one (with the features that a crate elsewhere in the build may turn on or off)
//! keeps the last of two equal keys in silence, reads numbers beyond 64 bits as floats, reads some floats one bit off
//! (without `float_roundtrip`), and changes the order of keys with `preserve_order`. Here numbers stay the text that they
//! are until a type asks for them, equal keys are refused, and keys are sorted, so a value has one stored form.

mod parse;

use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(crate) use parse::{Fault, parse};

use super::show::quote_text;

/// How deep lists and objects may be nested, as in serde_json.
pub(super) const MAX_DEPTH: u8 = 128;

/// One JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    /// By JSON's grammar.
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
    /// Only ever written: plain bytes at the top, a list of numbers below.
    Bytes(Vec<u8>),
}

impl Tree {
    /// What stands there, for "expected …, found …".
    pub(super) fn found(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => format!("`{value}`"),
            Self::Number(number) => quote_text(number),
            Self::Text(text) => format!("the text {}", quote_text(text)),
            Self::List(_) | Self::Bytes(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }

    /// The JSON text, without any space between.
    pub(super) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => write_all('[', items, ']', out, |item, out| item.write(out)),
            Self::Bytes(bytes) => write_all('[', bytes, ']', out, |byte, out| {
                // Writing to a String cannot fail.
                let _ = write!(out, "{byte}");
            }),
            Self::Object(entries) => write_all('{', entries, '}', out, |(key, value), out| {
                write_text(key, out);
                out.push(':');
                value.write(out);
            }),
        }
    }
}

fn write_all<I: IntoIterator>(
    open: char,
    items: I,
    close: char,
    out: &mut String,
    mut write: impl FnMut(I::Item, &mut String),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

/// RFC 8259 §7, escaping only what must be, as serde_json does.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests;
