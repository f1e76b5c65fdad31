//! What is to be done with a question. Pure: chance and the instance's own name are arguments.

use std::time::Duration;

use super::candidate::Candidate;
use super::scope::{self, Scope, Verb};
use super::wire::{self, Ask, Refusal, Said, Told};
use crate::Revision;

/// Over how long answers are spread at most, whatever is asked.
const MAX_SPREAD: Duration = Duration::from_secs(10);

/// How long an answer is held back at most. Below the two minutes for which a server lets an instance answer
/// (`allow_responses`); whoever asks for longer asks again.
const MAX_HOLD: Duration = Duration::from_secs(60);

/// What an answer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    Who,
    Preflight(Vec<Candidate>),
    Settled(Revision),
}

/// A question that is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) work: Work,
    /// Only handles of this scope; all where there is none.
    pub(super) scope: Option<Scope>,
    /// How long to wait before it is said.
    pub(super) delay: Duration,
    /// How long to wait for what is asked about.
    pub(super) hold: Duration,
}

/// What becomes of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Somebody else is asked.
    Silence,
    Refuse(Refusal),
    Answer(Task),
}

/// Reads a question. `chance` is between 0 and 1.
pub(super) fn decide(topic: &str, payload: &[u8], id: &str, chance: f64) -> Decision {
    let Some((verb, scope)) = scope::parse(topic) else {
        return Decision::Refuse(Refusal::unreadable(format!("nobody answers to {topic}")));
    };
    match wire::read_ask(payload).and_then(|ask| task(verb, scope, ask, id, chance)) {
        Ok(Some(task)) => Decision::Answer(task),
        Ok(None) => Decision::Silence,
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn task(verb: Verb, scope: Option<Scope>, ask: Ask, id: &str, chance: f64) -> Result<Option<Task>, Refusal> {
    if ask.only.is_some_and(|only| only.iter().all(|asked| asked != id)) {
        return Ok(None);
    }
    let work = match verb {
        Verb::Who => Work::Who,
        Verb::Preflight => {
            let changes = ask.changes.ok_or_else(|| Refusal::unreadable("the question has no changes"))?;
            Work::Preflight(wire::read_changes(changes)?)
        }
        Verb::Settled => {
            let revision = ask.revision.ok_or_else(|| Refusal::unreadable("the question has no revision"))?;
            Work::Settled(revision.into())
        }
    };
    let spread = Duration::from_millis(ask.spread_ms).min(MAX_SPREAD);
    let hold = Duration::from_millis(ask.within_ms).min(MAX_HOLD);
    Ok(Some(Task { work, scope, delay: spread.mul_f64(chance.clamp(0.0, 1.0)), hold }))
}

/// An answer as bytes, in any case no larger than `max`.
pub(super) fn bytes(mut told: Told, max: usize) -> (Vec<u8>, Option<Refusal>) {
    let encode = |told: &Told| serde_json::to_vec(told).unwrap_or_default();
    let mut payload = encode(&told);
    if payload.len() > max {
        match &mut told.said {
            Said::Who(member) => member.shorten(),
            Said::Preflight(all) => all.iter_mut().for_each(super::Judged::shorten),
            Said::Settled(all) => all.iter_mut().for_each(super::Settled::shorten),
            Said::Error(_) => {}
        }
        payload = encode(&told);
    }
    if payload.len() > max {
        let message = format!("the answer of {} bytes is too large, the most is {max}", payload.len());
        told.said = Said::Error(Refusal { code: 413, message });
        payload = encode(&told);
    }
    let refusal = if let Said::Error(refusal) = told.said { Some(refusal) } else { None };
    (payload, refusal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::test::{handle, member};
    use super::*;
    use crate::Key;

    fn refused(decision: Decision) -> (u16, String) {
        let Decision::Refuse(refusal) = decision else { panic!("{decision:?}") };
        (refusal.code, refusal.message)
    }

    fn decide_plain(topic: &str, payload: &str) -> Decision {
        decide(topic, payload.as_bytes(), "me", 0.5)
    }

    #[test]
    fn a_question_is_read_with_its_bounds() {
        let Decision::Answer(task) =
            decide_plain("settled.app", r#"{"v":1,"spread_ms":90000,"within_ms":90000000,"revision":7}"#)
        else {
            panic!("not answered")
        };
        assert_eq!(task.work, Work::Settled(Revision::new(7)));
        assert_eq!(task.scope.unwrap().to_string(), "app");
        assert_eq!((task.delay, task.hold), (MAX_SPREAD / 2, MAX_HOLD));
    }

    #[test]
    fn candidates_are_read_back_as_they_were_asked() {
        let key = |text| Key::new(text).unwrap();
        let candidates = vec![
            Candidate::put(key("app.a"), "80", Revision::new(3)),
            Candidate::put(key("app.b"), vec![0xff, 0x00], Revision::ZERO),
            Candidate::delete(key("app.c"), Revision::new(9)),
        ];
        let mut ask = Ask::new(0, 0);
        ask.changes = Some(candidates.iter().map(wire::Change::of).collect());
        let Decision::Answer(task) = decide("preflight.app", &ask.bytes(), "me", 0.0) else { panic!("no") };
        assert_eq!(task.work, Work::Preflight(candidates));
    }

    // P10
    #[test]
    fn what_cannot_be_answered_is_refused_with_its_reason() {
        for (topic, payload, code, message) in [
            ("what.app", "{}", 400, "nobody answers to what.app"),
            ("who", "", 400, "the question cannot be read at line 1 column 0"),
            ("who", "{\"v\":1", 400, "the question cannot be read at line 1 column 6"),
            ("who", "{}", 400, "the question cannot be read at line 1 column 2"),
            ("who", r#"{"v":2}"#, 400, "version 2 of the protocol is unknown, 1 is spoken"),
            ("preflight.app", r#"{"v":1}"#, 400, "the question has no changes"),
            ("settled.app", r#"{"v":1}"#, 400, "the question has no revision"),
            (
                "preflight.app",
                r#"{"v":1,"changes":[{"key":"a..b","expected":0}]}"#,
                400,
                "\"a..b\" has an empty part (two dots in a row, or a dot at an end)",
            ),
            (
                "preflight.app",
                r#"{"v":1,"changes":[{"key":"a","expected":0,"put_base64":"?"}]}"#,
                400,
                "the value of a is no base64",
            ),
        ] {
            assert_eq!(
                refused(decide_plain(topic, payload)),
                (code, message.to_owned()),
                "{topic} {payload}"
            );
        }
        let many: Vec<_> = (0..=wire::MAX_CHANGES)
            .map(|n| serde_json::json!({"key": format!("a{n}"), "expected": 0}))
            .collect();
        let payload = serde_json::json!({ "v": 1, "changes": many }).to_string();
        assert_eq!(
            refused(decide_plain("preflight.app", &payload)),
            (413, "10001 keys are too many, the most is 10000".to_owned())
        );
    }

    // P11
    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        let (_, message) = refused(decide_plain("who", r#"{"v":"hunter2"}"#));
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn a_question_to_others_is_left_to_them() {
        assert_eq!(decide_plain("who", r#"{"v":1,"only":["you"]}"#), Decision::Silence);
        assert!(matches!(decide_plain("who", r#"{"v":1,"only":["you","me"]}"#), Decision::Answer(_)));
    }

    // P10
    #[test]
    fn an_answer_is_never_larger_than_it_may_be() {
        let mut large = member("me", vec![handle("app"); 32]);
        for handle in &mut large.handles {
            handle.problems =
                vec![
                    super::super::Fault { key: "k".repeat(1_000), message: "m".repeat(400), warning: false };
                    20
                ];
        }
        let told = |member| super::super::test::told("me", Said::Who(Box::new(member)));
        let (payload, refusal) = bytes(told(large.clone()), 64 << 10);
        assert!(payload.len() <= 64 << 10 && refusal.is_none());
        let Some(Told { said: Said::Who(read), .. }) = wire::read_told(&payload) else {
            panic!("unreadable")
        };
        assert_eq!(
            (read.handles.len(), read.handles[0].problems.len(), read.handles[0].more_problems),
            (32, 0, 20)
        );
        let (payload, refusal) = bytes(told(large), 1_000);
        assert!(payload.len() <= 1_000);
        assert_eq!(refusal.unwrap().code, 413);
    }

    proptest! {
        // P10
        #[test]
        fn any_bytes_have_a_decision(topic in ".{0,40}", payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decide(&topic, &payload, "me", 0.5);
            let _ = wire::read_told(&payload);
        }

        // P10
        #[test]
        fn damaged_questions_have_a_decision(at in 0_usize..200, byte in any::<u8>(), cut in 0_usize..200) {
            let mut ask = Ask::new(10, 10);
            ask.changes = Some(vec![wire::Change::of(&Candidate::put(Key::new("a.b").unwrap(), "x", Revision::ZERO))]);
            let mut payload = ask.bytes().to_vec();
            payload.truncate(payload.len().saturating_sub(cut));
            if let Some(place) = payload.get_mut(at) { *place = byte; }
            let _ = decide("preflight.a", &payload, "me", 0.5);
        }
    }
}
