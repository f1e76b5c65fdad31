//! Reading single entries, and how many there are.

use std::collections::BTreeMap;

use async_nats::Message;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::NatsStore;
use super::connection::{ANSWER_WITHIN, PROBE_WITHIN};
use super::consumer::Purpose;
use super::drain::{BY_CONSUMER, Drain};
use super::error::{Failure, code};
use super::message::{Place, Stored, direct, parse_headers, stored, time};
use super::snapshot::ASKED_AT_ONCE;
use super::subscribe::{Content, Deliveries};
use crate::store::Start;
use crate::{Entry, Filter, Headers, Key, ReadError, Revision};

/// The status of a direct get that found nothing.
const NOT_FOUND: u16 = 404;

/// How often consumers that share a read are asked for what came meanwhile. Each time takes milliseconds.
const ROUNDS: usize = 8;

/// How many entries without their values a consumer delivers in the time that it takes to ask for one by its key: 2 to 4 µs
/// each against 12 to 40, more where many entries of other keys stand before it (2.15, 100 keys of 64 revisions and 1 000 of 8).
const ENTRIES_FOR_A_NAME: u64 = 8;

#[derive(Deserialize)]
struct Found {
    message: Raw,
}

/// A message as the API hands it out.
#[derive(Deserialize)]
struct Raw {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: String,
}

impl Raw {
    fn stored(self, prefix: &str) -> Option<Stored> {
        let block = STANDARD.decode(self.hdrs).ok()?;
        let headers = if block.is_empty() { Headers::new() } else { parse_headers(&block)? };
        let place = Place { revision: Revision::new(self.seq), created: time(&self.time)? };
        let value = Bytes::from(STANDARD.decode(self.data).ok()?);
        Some(stored(prefix, &self.subject, place, headers, value))
    }
}

impl NatsStore {
    pub(super) async fn read_entry(
        &self,
        key: &Key,
        at: Option<Revision>,
    ) -> Result<Option<Entry>, ReadError> {
        const WHAT: &str = "an entry";
        let query = match at {
            // The server takes 0 for "none given".
            Some(Revision::ZERO) => return Ok(None),
            Some(revision) => json!({ "seq": revision.get() }),
            None => json!({ "last_by_subj": format!("{}{key}", self.read_prefix) }),
        };
        if at.is_none() && !self.known.message_get.is_worth_a_trial() {
            return self.ask_any_replica(key).await.map_err(|failure| failure.read(&self.bucket, WHAT));
        }
        match self.ask_leader(&query).await {
            Err(failure) if failure.may_be_denial() && at.is_none() => {
                let entry = self.ask_any_replica(key).await;
                let entry = entry.map_err(|failure| failure.read(&self.bucket, WHAT))?;
                self.known.message_get.failed(&failure);
                Ok(entry)
            }
            Err(failure) => Err(failure.read(&self.bucket, WHAT)),
            // A revision may be one of another key.
            Ok(Some(Stored::Entry(entry))) if entry.key == *key => Ok(Some(entry)),
            Ok(_) => Ok(None),
        }
    }

    /// Through the stream's leader, which knows of every acknowledged write.
    pub(super) async fn ask_leader(&self, query: &Value) -> Result<Option<Stored>, Failure> {
        let subject = format!("STREAM.MSG.GET.{}", self.stream);
        let is_trusted = self.known.info.is_trusted() && self.known.message_get.is_trusted();
        let within = if is_trusted { ANSWER_WITHIN } else { PROBE_WITHIN };
        let found = self.connection.call::<_, Found>(&subject, query, within).await;
        if !found.as_ref().is_err_and(Failure::may_be_denial) {
            self.known.message_get.worked();
        }
        match found {
            Ok(found) => found
                .message
                .stored(&self.read_prefix)
                .map(Some)
                .ok_or_else(|| Failure::Unexpected("a message that cannot be read".to_owned())),
            Err(failure) if failure.api_code() == Some(code::NO_MESSAGE) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The newest revision that the filters match, as the leader knows it; zero when there is none.
    pub(super) async fn newest_at_leader(&self, filters: &[Filter]) -> Result<Revision, Failure> {
        let mut newest = Revision::ZERO;
        for filter in filters {
            let query = json!({ "last_by_subj": self.subject(filter) });
            let asked = timeout(PROBE_WITHIN, self.ask_leader(&query)).await;
            let found = asked.unwrap_or(Err(Failure::Timeout(PROBE_WITHIN)))?;
            newest = newest.max(found.map_or(Revision::ZERO, |found| found.revision()));
        }
        Ok(newest)
    }

    /// By a direct get, through whichever replica answers; `None` when it finds nothing.
    pub(super) async fn direct_get(&self, query: &Value) -> Result<Option<Message>, Failure> {
        let payload = serde_json::to_vec(query).map_err(Failure::client)?;
        let subject = self.connection.api(&format!("DIRECT.GET.{}", self.stream));
        let answer = self.connection.request(subject, None, payload.into(), ANSWER_WITHIN).await?;
        match answer.status.map(|status| status.as_u16()) {
            None => Ok(Some(answer)),
            Some(NOT_FOUND) => Ok(None),
            Some(status) => Err(Failure::Unexpected(status.to_string())),
        }
    }

    /// Through whichever replica answers: all that a reader of one prefix is permitted.
    async fn ask_any_replica(&self, key: &Key) -> Result<Option<Entry>, Failure> {
        let subject = self.connection.api(&format!("DIRECT.GET.{}.{}{key}", self.stream, self.read_prefix));
        let message = self.connection.request(subject, None, Bytes::new(), ANSWER_WITHIN).await?;
        if message.status.is_some_and(|status| status.as_u16() == NOT_FOUND) {
            return Ok(None);
        }
        match direct(&self.read_prefix, message) {
            Some(Stored::Entry(entry)) => Ok(Some(entry)),
            Some(Stored::Other { .. }) => Ok(None),
            None => Err(Failure::Unexpected("a message without its place".to_owned())),
        }
    }

    pub(super) async fn count_keys(&self, filters: &[Filter]) -> Result<u64, ReadError> {
        let filters = self.effective(filters);
        match self.consumer(&filters, Start::Last, Purpose::Count).await {
            Ok(consumer) => Ok(consumer.pending),
            Err(failure) if failure.api_code() == Some(code::FILTERS_OVERLAP) => {
                let mut keys = std::collections::HashSet::new();
                for filter in filters {
                    let entries = self.drain(std::slice::from_ref(&filter), Start::Last, None).await?;
                    keys.extend(entries.into_iter().map(|entry| entry.key));
                }
                Ok(keys.len() as u64)
            }
            Err(failure) => Err(failure.read(&self.bucket, "a count")),
        }
    }

    pub(super) async fn read_history(&self, filters: &[Filter]) -> Result<Vec<Entry>, ReadError> {
        self.drain_any(filters, Start::All).await
    }

    pub(super) async fn read_between(
        &self,
        filters: &[Filter],
        from: Revision,
        until: Revision,
    ) -> Result<Vec<Entry>, ReadError> {
        self.drain_until(filters, Start::Revision(from), Some(until)).await
    }

    /// As [`Self::drain`], for filters that may overlap.
    pub(super) async fn drain_any(&self, filters: &[Filter], start: Start) -> Result<Vec<Entry>, ReadError> {
        self.drain_until(filters, start, None).await
    }

    async fn drain_until(
        &self,
        filters: &[Filter],
        start: Start,
        until: Option<Revision>,
    ) -> Result<Vec<Entry>, ReadError> {
        let filters = self.effective(filters);
        if filters.len() > 1 && !self.known.filters.is_worth_a_trial() {
            return self.drain_each(&filters, start, until).await;
        }
        match self.drain(&filters, start, until).await {
            Err(ReadError::Server { code: code::FILTERS_OVERLAP, .. }) => {
                self.drain_each(&filters, start, until).await
            }
            Err(error) if filters.len() > 1 => {
                let Some(denial) = denial(&error) else { return Err(error) };
                // Where this fails too, its error names what is missing for one filter: less than what was asked for first.
                let entries = self.drain_each(&filters, start, until).await?;
                self.known.filters.failed(&denial);
                Ok(entries)
            }
            result => result,
        }
    }

    /// The same by one consumer for each filter.
    ///
    /// What one consumer has missed because it was asked before the others is asked for again, until nothing more comes: so
    /// no change set across the filters is there in part. Writers who never pause would keep that up, so there is an end.
    async fn drain_each(
        &self,
        filters: &[Filter],
        start: Start,
        until: Option<Revision>,
    ) -> Result<Vec<Entry>, ReadError> {
        let rounds = if matches!(start, Start::Last) { 1 } else { ROUNDS };
        let mut entries = BTreeMap::new();
        let mut starts = vec![start; filters.len()];
        for _ in 0..rounds {
            let known = entries.len();
            for (filter, start) in filters.iter().zip(&mut starts) {
                let part = self.drain(std::slice::from_ref(filter), *start, until).await?;
                if let Some(last) = part.last() {
                    *start = Start::Revision(last.revision.next());
                }
                entries.extend(part.into_iter().map(|entry| (entry.revision, entry)));
            }
            if entries.len() == known {
                break;
            }
        }
        Ok(entries.into_values().collect())
    }

    /// All entries that a consumer delivers until it is caught up or past a revision, in the order of revisions.
    async fn drain(
        &self,
        filters: &[Filter],
        start: Start,
        until: Option<Revision>,
    ) -> Result<Vec<Entry>, ReadError> {
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        let deliveries = self.deliveries(filters, start).await;
        let deliveries = deliveries.map_err(|failure| failure.read(&self.bucket, BY_CONSUMER))?;
        let expected = usize::try_from(deliveries.consumer.pending).unwrap_or(0);
        let mut entries = Vec::with_capacity(expected.min(1 << 16));
        let asked = (filters, start, Content::Whole);
        self.hand_all_on(deliveries, asked, until, &mut |entry| entries.push(entry)).await?;
        Ok(entries)
    }

    /// The first entry of each key behind a revision: asked for by the key's name, or found among all that came since.
    pub(super) async fn read_first(
        &self,
        filters: &[Filter],
        keys: &[&Key],
        (behind, until): (Revision, Revision),
        each: &mut (dyn FnMut(Entry) + Send),
    ) -> Result<(), ReadError> {
        let entries = until.get().saturating_sub(behind.get());
        if keys.is_empty() || entries == 0 {
            return Ok(());
        }
        let by_name = (keys.len() as u64).saturating_mul(ENTRIES_FOR_A_NAME) < entries;
        if by_name && (!self.known.has_replicas() || self.known.message_get.is_open()) {
            match self.first_of_each(keys, behind.next(), each).await {
                Ok(()) => return Ok(()),
                Err(failure) if self.known.has_replicas() && failure.may_be_denial() => {
                    self.known.message_get.failed(&failure);
                }
                Err(failure) => return Err(failure.read(&self.bucket, "an entry")),
            }
        }
        self.read_heads(filters, (behind.next(), until), each).await
    }

    async fn first_of_each(
        &self,
        keys: &[&Key],
        from: Revision,
        each: &mut (dyn FnMut(Entry) + Send),
    ) -> Result<(), Failure> {
        let subjects: Vec<String> = keys.iter().map(|key| format!("{}{key}", self.read_prefix)).collect();
        let asked = futures_util::stream::iter(subjects).map(|subject| self.first_of(subject, from));
        let mut asked = asked.buffer_unordered(ASKED_AT_ONCE);
        while let Some(found) = asked.next().await {
            if let Some(Stored::Entry(entry)) = found? {
                each(entry);
            }
        }
        Ok(())
    }

    async fn first_of(&self, subject: String, from: Revision) -> Result<Option<Stored>, Failure> {
        let query = json!({ "seq": from.get(), "next_by_subj": subject });
        // A replica that lags behind says that there is nothing.
        if self.known.has_replicas() {
            return self.ask_leader(&query).await;
        }
        let unplaced = || Failure::Unexpected("a message without its place".to_owned());
        let found = self.direct_get(&query).await?;
        found.map(|message| direct(&self.read_prefix, message).ok_or_else(unplaced)).transpose()
    }

    /// Every entry between two revisions, both included, without its value: those of a key in their order.
    pub(super) async fn read_heads(
        &self,
        filters: &[Filter],
        (from, until): (Revision, Revision),
        each: &mut (dyn FnMut(Entry) + Send),
    ) -> Result<(), ReadError> {
        let filters = self.effective(filters);
        let start = Start::Revision(from);
        let of = |filters| self.deliveries_of(filters, start, Content::Heads);
        let named = |failure: Failure| failure.read(&self.bucket, BY_CONSUMER);
        let mut denied = None;
        if filters.is_empty() {
            return Ok(());
        }
        if filters.len() == 1 || self.known.filters.is_worth_a_trial() {
            match of(&filters).await {
                Ok(deliveries) => {
                    let asked = (&filters[..], start, Content::Heads);
                    return self.hand_all_on(deliveries, asked, Some(until), each).await;
                }
                Err(failure) if filters.len() > 1 && failure.api_code() == Some(code::FILTERS_OVERLAP) => {}
                Err(failure) if filters.len() > 1 && failure.may_be_denial() => denied = Some(failure),
                Err(failure) => return Err(named(failure)),
            }
        }
        // All of them are read up to one revision: no change set across the filters is there in part.
        for filter in &filters {
            let filter = std::slice::from_ref(filter);
            let deliveries = of(filter).await.map_err(named)?;
            self.hand_all_on(deliveries, (filter, start, Content::Heads), Some(until), each).await?;
        }
        if let Some(failure) = denied {
            self.known.filters.failed(&failure);
        }
        Ok(())
    }

    /// As [`Self::hand_on`], and asks again for what the client has dropped: it has room for 65 536 messages unless told
    /// otherwise, and a server sends up to 32 MiB ahead. Only where the newest entry of each key is asked for nobody can go on
    /// in the middle.
    async fn hand_all_on(
        &self,
        mut deliveries: Deliveries,
        (filters, start, content): (&[Filter], Start, Content),
        until: Option<Revision>,
        each: &mut (dyn FnMut(Entry) + Send),
    ) -> Result<(), ReadError> {
        let mut last = Revision::ZERO;
        loop {
            let before = last;
            let mut note = |entry: Entry| {
                last = entry.revision;
                each(entry);
            };
            let handed = self.hand_on(deliveries, until, &mut note).await;
            let has_more = matches!(handed, Err(ReadError::Dropped { .. }));
            if !has_more || last == before || matches!(start, Start::Last) {
                return handed;
            }
            let again = self.deliveries_of(filters, Start::Revision(last.next()), content).await;
            deliveries = again.map_err(|failure| failure.read(&self.bucket, BY_CONSUMER))?;
        }
    }

    /// Hands on what a consumer delivers until it is caught up or past a revision.
    async fn hand_on(
        &self,
        mut deliveries: Deliveries,
        until: Option<Revision>,
        each: &mut (dyn FnMut(Entry) + Send),
    ) -> Result<(), ReadError> {
        let expected = deliveries.consumer.pending;
        if expected == 0 {
            return Ok(());
        }
        let mut drain = Drain::new(expected, until);
        while let Some(delivery) = deliveries.next().await {
            if drain.take(delivery, each)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The filters without those that another one covers: a consumer takes none that overlap.
    fn effective(&self, filters: &[Filter]) -> Vec<Filter> {
        let mut kept: Vec<Filter> = Vec::with_capacity(filters.len());
        for filter in filters {
            if kept.iter().any(|other| covers(other.as_str(), filter.as_str())) {
                continue;
            }
            kept.retain(|other| !covers(filter.as_str(), other.as_str()));
            kept.push(filter.clone());
        }
        kept
    }
}

/// What an error of a read was, where it may be for want of a permission.
fn denial(error: &ReadError) -> Option<Failure> {
    match error {
        ReadError::NotPermitted { subject } => Some(Failure::NotPermitted(subject.clone())),
        ReadError::Timeout { after, .. } => Some(Failure::Timeout(*after)),
        _ => None,
    }
}

/// Whether every key that `inner` matches is matched by `outer` too.
fn covers(outer: &str, inner: &str) -> bool {
    let mut inner = inner.split('.');
    for token in outer.split('.') {
        match (token, inner.next()) {
            (">", Some(_)) => return true,
            (_, None) => return false,
            ("*", Some(">")) => return false,
            ("*", Some(_)) => {}
            (token, Some(other)) if token == other => {}
            _ => return false,
        }
    }
    inner.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_covers_what_matches_less() {
        for (outer, inner) in
            [(">", "a"), (">", ">"), ("a.>", "a.b.c"), ("a.*", "a.b"), ("a.*", "a.*"), ("a", "a")]
        {
            assert!(covers(outer, inner), "{outer} {inner}");
        }
        for (outer, inner) in
            [("a", "b"), ("a.*", "a.>"), ("a.>", "a"), ("a.*", "a"), ("a.*", "a.b.c"), ("a.b", "a.*")]
        {
            assert!(!covers(outer, inner), "{outer} {inner}");
        }
    }

    #[test]
    fn a_message_of_the_api_is_decoded() {
        let raw = r#"{"subject":"$KV.b.k","seq":6,"hdrs":"TkFUUy8xLjANCkE6IGINCg0K","data":"eA==",
            "time":"2026-11-22T19:08:07.012387Z"}"#;
        let raw: Raw = serde_json::from_str(raw).unwrap();
        let Some(Stored::Entry(entry)) = raw.stored("$KV.b.") else { panic!("no entry") };
        assert_eq!((entry.key.as_str(), entry.revision.get(), &entry.value[..]), ("k", 6, &b"x"[..]));
        assert_eq!(entry.headers.get("A"), Some("b"));
    }
}
