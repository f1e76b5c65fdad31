//! What is said between those who ask and the instances: JSON, with a version.
//!
//! A stored form in all but name: instances of several releases answer one question. Unknown fields are passed over, an
//! unknown version is refused by name.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::candidate::Candidate;
use super::identity::MAX_TEXT_BYTES;
use super::member::Member;
use super::verdict::{Judged, Settled};
use crate::Key;
use crate::store::Action;
use crate::value::tame;

/// The version that is spoken here.
pub(crate) const VERSION: u32 = 1;

/// The most keys in one candidate. A server takes 1 000 in one change set; rollbacks in parts can have more.
pub(crate) const MAX_CHANGES: usize = 10_000;

/// What every question has, whatever it asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) v: u32,
    /// Answers are spread over so many milliseconds.
    #[serde(default)]
    pub(crate) spread_ms: u64,
    /// For how many milliseconds an answer may be waited for.
    #[serde(default)]
    pub(crate) within_ms: u64,
    /// The instances that are asked, by id; all where it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) only: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<Vec<Change>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<u64>,
}

impl Ask {
    pub(crate) const fn new(spread_ms: u64, within_ms: u64) -> Self {
        Self { v: VERSION, spread_ms, within_ms, only: None, changes: None, revision: None }
    }

    pub(crate) fn bytes(&self) -> Bytes {
        // Maps with keys that are no texts, and types that refuse: there are none.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// One key of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    key: String,
    /// The newest revision of the key that the author saw.
    expected: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    put: Option<String>,
    /// A value that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    put_base64: Option<String>,
}

impl Change {
    pub(crate) fn of(candidate: &Candidate) -> Self {
        use base64::Engine as _;
        let (mut put, mut put_base64) = (None, None);
        if let Action::Put(bytes) = &candidate.action {
            match str::from_utf8(bytes) {
                Ok(text) => put = Some(text.to_owned()),
                Err(_) => put_base64 = Some(base64::engine::general_purpose::STANDARD.encode(bytes)),
            }
        }
        Self { key: candidate.key.to_string(), expected: candidate.expected.get(), put, put_base64 }
    }

    fn candidate(self) -> Result<Candidate, String> {
        use base64::Engine as _;
        let key = Key::new(&self.key).map_err(|error| error.to_string())?;
        let action = match (self.put, self.put_base64) {
            (Some(text), _) => Action::Put(text.into()),
            (None, Some(text)) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text);
                Action::Put(bytes.map_err(|_| format!("the value of {key} is no base64"))?.into())
            }
            (None, None) => Action::Delete,
        };
        Ok(Candidate { key, action, expected: self.expected.into() })
    }
}

/// Why a question is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// As in HTTP: 400 for what cannot be read, 413 for too much, 503 for too busy.
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn unreadable(message: impl Into<String>) -> Self {
        // A key that is none can be as long as the whole question.
        Self { code: 400, message: tame(&message.into()) }
    }

    pub(crate) fn busy() -> Self {
        Self { code: 503, message: "too many questions wait for an answer".to_owned() }
    }

    pub(crate) fn leaving() -> Self {
        Self { code: 410, message: "the instance leaves".to_owned() }
    }
}

/// What an instance says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    Who(Box<Member>),
    Preflight(Vec<Judged>),
    Settled(Vec<Settled>),
    Error(Refusal),
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) v: u32,
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) host: String,
    #[serde(flatten)]
    pub(crate) said: Said,
}

/// Reads a question.
pub(crate) fn read_ask(payload: &[u8]) -> Result<Ask, Refusal> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let Version { v } = serde_json::from_slice(payload).map_err(|error| Refusal::unreadable(told(&error)))?;
    if v != VERSION {
        return Err(Refusal::unreadable(format!(
            "version {v} of the protocol is unknown, {VERSION} is spoken"
        )));
    }
    let ask: Ask = serde_json::from_slice(payload).map_err(|error| Refusal::unreadable(told(&error)))?;
    let changes = ask.changes.as_ref().map_or(0, Vec::len);
    if changes > MAX_CHANGES {
        let message = format!("{changes} keys are too many, the most is {MAX_CHANGES}");
        return Err(Refusal { code: 413, message });
    }
    Ok(ask)
}

/// Where reading stopped. The parser's own words can repeat what stands there, which may be a secret.
fn told(error: &serde_json::Error) -> String {
    format!("the question cannot be read at line {} column {}", error.line(), error.column())
}

/// Reads the changes of a candidate.
pub(crate) fn read_changes(changes: Vec<Change>) -> Result<Vec<Candidate>, Refusal> {
    changes.into_iter().map(Change::candidate).collect::<Result<_, _>>().map_err(Refusal::unreadable)
}

/// Reads an answer; `None` for one that cannot be used.
pub(crate) fn read_told(payload: &[u8]) -> Option<Told> {
    let mut told: Told = serde_json::from_slice(payload).ok()?;
    if told.v != VERSION || told.id.is_empty() || told.id.len() > MAX_TEXT_BYTES {
        return None;
    }
    // It is shown on somebody's terminal, and anybody may have sent it.
    for text in [&mut told.id, &mut told.name, &mut told.version, &mut told.host] {
        *text = tame(text);
    }
    match &mut told.said {
        Said::Who(member) => member.tame(),
        Said::Preflight(all) => all.iter_mut().for_each(Judged::tame),
        Said::Settled(all) => all.iter_mut().for_each(Settled::tame),
        Said::Error(refusal) => refusal.message = tame(&refusal.message),
    }
    Some(told)
}
