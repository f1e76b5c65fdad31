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

#[cfg(test)]
mod tests {
    use super::super::test::{handle, member, told};
    use super::super::{Base, Fault, Outcome, Verdict};
    use super::*;
    use crate::Revision;

    fn fault() -> Vec<Fault> {
        vec![Fault { key: "app.max".to_owned(), message: "9 is outside 1..=5".to_owned(), warning: false }]
    }

    /// Questions as they are sent: instances of earlier releases read them.
    #[test]
    fn questions_have_a_pinned_form() {
        let key = |text| Key::new(text).unwrap();
        assert_eq!(Ask::new(100, 0).bytes(), r#"{"v":1,"spread_ms":100,"within_ms":0}"#);
        let mut ask = Ask::new(0, 2_500);
        ask.changes = Some(vec![
            Change::of(&Candidate::put(key("app.max"), "9", Revision::new(4))),
            Change::of(&Candidate::put(key("app.raw"), vec![0xff], Revision::ZERO)),
            Change::of(&Candidate::delete(key("app.min"), Revision::new(2))),
        ]);
        assert_eq!(
            ask.bytes(),
            r#"{"v":1,"spread_ms":0,"within_ms":2500,"changes":[{"key":"app.max","expected":4,"put":"9"},{"key":"app.raw","expected":0,"put_base64":"/w=="},{"key":"app.min","expected":2}]}"#
        );
        let mut ask = Ask::new(0, 0);
        (ask.only, ask.revision) = (Some(vec!["a".to_owned()]), Some(7));
        assert_eq!(ask.bytes(), r#"{"v":1,"spread_ms":0,"within_ms":0,"only":["a"],"revision":7}"#);
    }

    /// Answers as they are sent, and that they read back.
    #[test]
    fn answers_have_a_pinned_form() {
        let head = r#"{"v":1,"id":"a","name":"app","version":"1.4.2","host":"node-3","#;
        let judged = Judged {
            structure: "App".to_owned(),
            verdict: Verdict::Rejects,
            base: Base::Behind,
            applied: Revision::new(3),
            seen: Revision::new(4),
            problems: fault(),
            more_problems: 0,
        };
        let settled = Settled {
            structure: "App".to_owned(),
            outcome: Outcome::Pending,
            applied: Revision::new(3),
            seen: Revision::new(4),
            problems: Vec::new(),
            more_problems: 0,
        };
        for (said, form) in [
            (
                Said::Who(Box::new(member("a", vec![handle("app")]))),
                r#""who":{"id":"a","name":"app","version":"1.4.2","host":"node-3","started":"2023-11-14T22:13:20Z","kvconf":"0.1.0","handles":[{"struct":"App","prefixes":["app"],"schema":null,"applied":12,"seen":12,"current":true,"state":"live","since":"2023-11-14T22:13:20Z","basis":"bucket","rejected":[],"problems":[],"more_problems":0}],"more_handles":0}}"#,
            ),
            (
                Said::Preflight(vec![judged]),
                r#""preflight":[{"struct":"App","verdict":"rejects","base":"behind","applied":3,"seen":4,"problems":[{"key":"app.max","message":"9 is outside 1..=5","warning":false}],"more_problems":0}]}"#,
            ),
            (
                Said::Settled(vec![settled]),
                r#""settled":[{"struct":"App","outcome":"pending","applied":3,"seen":4,"problems":[],"more_problems":0}]}"#,
            ),
            (
                Said::Error(Refusal::busy()),
                r#""error":{"code":503,"message":"too many questions wait for an answer"}}"#,
            ),
        ] {
            let told = told("a", said);
            assert_eq!(serde_json::to_string(&told).unwrap(), format!("{head}{form}"));
            assert_eq!(read_told(format!("{head}{form}").as_bytes()), Some(told));
        }
    }

    // P10
    #[test]
    fn what_plays_tricks_on_a_terminal_is_shown_escaped() {
        let said = Said::Error(Refusal { code: 400, message: "\u{1b}[2J".to_owned() });
        let mut sent = told("a\u{7}", said);
        sent.host = "x".repeat(5_000);
        let read = read_told(&serde_json::to_vec(&sent).unwrap()).unwrap();
        assert_eq!((read.id.as_str(), read.host.chars().count()), ("a\\u{7}", 401));
        let Said::Error(refusal) = read.said else { panic!("{:?}", read.said) };
        assert_eq!(refusal.message, "\\u{1b}[2J");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for payload in [
            "",
            "{}",
            "[1]",
            r#"{"v":2,"id":"a","name":"","who":{}}"#,
            r#"{"v":1,"id":"","name":"","settled":[]}"#,
        ] {
            assert_eq!(read_told(payload.as_bytes()), None, "{payload}");
        }
    }
}
