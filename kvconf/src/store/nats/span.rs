//! A reading of the past, and right behind it how far the bucket reaches and how much of that is left.
//!
//! Whether anything has gone from under a past state has to be asked after it was read. The stream's info would tell, and
//! costs a third of what a reading of a hundred keys does. Two small direct gets tell the same and are sent together with the
//! reading: the first message that there is, and how many follow; and as of which revision a key that is there has its last one.
//!
//! The direct gets of one connection are answered one after the other (2.11 to 2.15), so the answers come in the order of the
//! questions. Where they do not, the info is asked for. The newest revision is asked for last: what came in between is counted as
//! missing, and nothing that is missing as there.

use std::time::Duration;

use serde_json::{Value, json};

use super::NatsStore;
use super::connection::{ANSWER_WITHIN, PROBE_WITHIN};
use super::error::Failure;
use super::portions::is_much;
use super::snapshot::{Answer, End, Gathered, state_query};
use crate::store::{Point, Reading, Span};
use crate::{Filter, Key, ReadError, Revision};

/// One of several answers, which come by different subjects.
#[derive(Default)]
struct Part {
    gathered: Gathered,
    end: Option<End>,
}

impl NatsStore {
    pub(super) async fn read_all_and_span(
        &self,
        filters: &[Filter],
        at: Point,
        present: &[Key],
    ) -> Result<(Reading, Option<Span>), ReadError> {
        let subjects: Vec<String> = filters.iter().map(|filter| self.subject(filter)).collect();
        let fits = !subjects.is_empty() && !is_much(&subjects) && !present.is_empty();
        let revision = match at {
            // Several copies answer in no order.
            Point::Revision(revision) if fits && revision > Revision::ZERO && !self.known.has_replicas() => {
                revision
            }
            _ => return Ok((self.read_all(filters, at).await?, self.span().await)),
        };
        let (answer, span) = match self.multi_last_and_span(&subjects, revision, present).await {
            Ok((answer, span)) => (Ok(answer), span),
            Err(failure) => (Err(failure), None),
        };
        // Else more has to be asked, and the span is of before.
        let is_all = matches!(&answer, Ok(Answer::Found { entries, .. }) if !entries.is_empty());
        let reading = self.settled(answer, (filters, &subjects), Some(revision)).await?;
        let span = match span {
            Some(span) if is_all => Some(span),
            _ => self.span().await,
        };
        Ok((reading, span))
    }

    /// As the stream's info has it; `None` where the client may not ask, or had no answer.
    async fn span(&self) -> Option<Span> {
        if !self.known.info.is_worth_a_trial() {
            return None;
        }
        match self.kept_of(&[]).await {
            Ok(kept) => {
                self.known.info.worked();
                Some(kept.span())
            }
            Err(failure) => {
                self.known.info.failed(&failure);
                None
            }
        }
    }

    async fn multi_last_and_span(
        &self,
        subjects: &[String],
        revision: Revision,
        present: &[Key],
    ) -> Result<(Answer, Option<Span>), Failure> {
        let state = state_query(subjects, Some(revision));
        let first = json!({ "seq": 1, "next_by_subj": ">", "batch": 1 });
        let present: Vec<String> = present.iter().map(|key| format!("{}{key}", self.read_prefix)).collect();
        let last = json!({ "multi_last": present });
        let is_trusted = self.known.info.is_trusted() && self.known.multi_last.is_trusted();
        let within = if is_trusted { ANSWER_WITHIN } else { PROBE_WITHIN };
        let subject = self.connection.api(&format!("DIRECT.GET.{}", self.stream));
        let questions = [state, first, last];
        let answers = self.ask_in_order(&subject, &questions, within);
        let ([state, first, last], is_in_order) = self.connection.unless_denied(&subject, answers).await??;
        let Part { gathered, end: Some(end) } = state else { return Err(Failure::Timeout(within)) };
        let [state, ..] = &questions;
        // What is asked for after the others says nothing about the span.
        let is_whole = gathered.is_whole();
        let answer = match self.with_rest(&subject, state, (gathered, end), within).await? {
            Some(answer) => answer,
            None => self.multi_last(subjects, Some(revision)).await?,
        };
        self.known.multi_last.worked();
        Ok((answer, span_of(&first, &last).filter(|_| is_in_order && is_whole)))
    }

    /// The answers to three questions, and whether each came behind the one before. Only the first one has to come.
    async fn ask_in_order(
        &self,
        subject: &str,
        questions: &[Value; 3],
        within: Duration,
    ) -> Result<([Part; 3], bool), Failure> {
        let client = self.connection.client();
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(format!("{inbox}.*")).await.map_err(Failure::client)?;
        for (number, question) in questions.iter().enumerate() {
            let payload = serde_json::to_vec(question).map_err(Failure::client)?;
            let place = format!("{inbox}.{number}");
            let sent = client.publish_with_reply(subject.to_owned(), place, payload.into());
            sent.await.map_err(Failure::client)?;
        }
        let mut parts: [Part; 3] = Default::default();
        let mut is_in_order = true;
        while parts.iter().any(|part| part.end.is_none()) {
            let message = match self.next_of(&mut answers, within).await {
                Ok(message) => message,
                Err(_) if parts.iter().take(1).all(|part| part.end.is_some()) => return Ok((parts, false)),
                Err(failure) => return Err(failure),
            };
            let number = message.subject.rsplit('.').next().and_then(|number| number.parse::<usize>().ok());
            let Some(number) = number.filter(|number| *number < parts.len()) else { continue };
            is_in_order &= parts.iter().take(number).all(|part| part.end.is_some());
            let Some(part) = parts.get_mut(number) else { continue };
            match part.gathered.take(&self.read_prefix, message) {
                Ok(end) => part.end = end,
                Err(failure) if number == 0 => return Err(failure),
                Err(_) => part.end = Some(End::Nothing),
            }
        }
        Ok((parts, is_in_order))
    }
}

/// What the answers say that are about the bucket, if they do.
fn span_of(first: &Part, last: &Part) -> Option<Span> {
    match (&first.end, &last.end) {
        (Some(End::All { left: Some(left), .. }), Some(End::All { up_to: Some(last), .. })) => {
            Some(Span { first: first.gathered.newest, last: *last, total: left.saturating_add(1) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(newest: u64, left: Option<u64>, up_to: Option<u64>) -> Part {
        let mut gathered = Gathered::default();
        gathered.newest = Revision::new(newest);
        Part { gathered, end: Some(End::All { left, up_to: up_to.map(Revision::new) }) }
    }

    /// Whether nothing is missing from a revision on: told by the first message, how many follow it, and the newest revision.
    fn is_whole((first, left): (u64, u64), last: u64, from: u64) -> bool {
        let span = span_of(&part(first, Some(left), None), &part(1, Some(0), Some(last))).unwrap();
        span.is_whole_from(Revision::new(from))
    }

    // P8
    #[test]
    fn a_bucket_is_whole_when_as_many_follow_the_first_message_as_were_given() {
        assert!(is_whole((1, 6), 7, 1) && is_whole((1, 6), 7, 5));
        assert!(is_whole((5, 2), 7, 5), "the oldest are gone");
        assert!(!is_whole((5, 2), 7, 4), "with one that was read");
        assert!(!is_whole((1, 5), 7, 5));
        assert!(!is_whole((1, 6), 8, 1), "one was written in between");
        assert!(is_whole((u64::MAX, 0), u64::MAX, u64::MAX));
    }

    #[test]
    fn an_answer_without_what_was_asked_for_tells_nothing() {
        let (first, last) = (part(1, Some(6), None), part(1, Some(0), Some(7)));
        let none = || Part { gathered: Gathered::default(), end: Some(End::Nothing) };
        assert_eq!(span_of(&first, &none()), None);
        assert_eq!(span_of(&none(), &last), None);
        assert_eq!(span_of(&part(1, None, None), &last), None);
        assert_eq!(span_of(&first, &Part::default()), None, "it has not come");
    }
}
