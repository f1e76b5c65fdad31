//! An entry for programs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvconf::{Attribution, Entry};
use serde::Serialize;

use super::{Shown, rfc3339, shown};
use crate::secrecy::Secrecy;

/// An entry of a bucket, as JSON has it. Of `value` (UTF-8), `base64` (any other bytes) and `masked` there is one; none of
/// them where the entry is a removal.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    key: &'a str,
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<String>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(entry: &'a Entry, secrecy: Secrecy) -> Self {
        let by = Attribution::of(entry);
        let text = |part: Option<std::sync::Arc<str>>| part.map(|text| text.as_ref().to_owned());
        let stored = entry.put_value();
        let (value, base64, masked) = match stored.map(|value| shown(secrecy, entry.key(), value)) {
            None => (None, None, false),
            Some(Shown::Text(text)) => (Some(text), None, false),
            Some(Shown::Binary(bytes)) => (None, Some(STANDARD.encode(bytes)), false),
            Some(Shown::Masked) => (None, None, true),
        };
        Self {
            key: entry.key().as_str(),
            revision: entry.revision().get(),
            value,
            base64,
            masked,
            removed: stored.is_none(),
            created: rfc3339(entry.created()),
            author: text(by.author),
            reason: text(by.reason),
            change: text(by.change),
        }
    }
}
