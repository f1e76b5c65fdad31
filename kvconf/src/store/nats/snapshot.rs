//! Reading many keys as of one moment.
//!
//! A direct get with `multi_last` is an isolated view of the stream (nats-server 2.11). It answers for up to 1 024 keys; what
//! matches more is read in portions. And it sends no more bytes than it is asked for, or than the server lets a client have
//! pending (64 MB), without a word but the number of messages that are left: those are asked for as of the same revision.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use async_nats::{Message, Subscriber};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::NatsStore;
use super::connection::{ANSWER_WITHIN, PROBE_WITHIN};
use super::error::Failure;
use super::message::{self, Stored, direct, format_time};
use super::portions::is_much;
use super::stream::set;
use crate::store::{Point, Reading, Start};
use crate::{Entry, Filter, ReadError, Revision};

const WHAT: &str = "a consistent read";

/// How long to wait for a replica that lags behind the leader, and how often. On three replicas on one machine a direct get
/// right after a write was behind in 2 to 5 of 100 cases, by a few milliseconds.
pub(super) const LAG: Duration = Duration::from_millis(20);
pub(super) const LAG_ATTEMPTS: u32 = 25;

/// How many bytes are asked for at once. One message comes in any case (2.11 to 2.15).
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How often an answer of several parts is begun again when they do not fit each other.
const ATTEMPTS: u32 = 8;

/// How many questions are on their way to the leader at once.
pub(super) const ASKED_AT_ONCE: usize = 64;

const UP_TO: &str = "Nats-UpTo-Sequence";
const LEFT: &str = "Nats-Num-Pending";

/// What the server says to a `multi_last` request.
pub(super) enum Answer {
    Found {
        entries: Vec<Entry>,
        /// The revision that they are as of.
        as_of: Revision,
        /// That of the last message in the answer, whatever its subject was.
        newest: Revision,
    },
    /// Nothing matches, or the revision is not known to the replica that was asked.
    Nothing,
    /// More match than the server answers for at once.
    TooMany,
}

/// An answer of many messages, as far as it has come.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) entries: Vec<Entry>,
    /// The revision of the last message, whatever its subject was.
    pub(super) newest: Revision,
    /// How many messages there were.
    messages: u64,
    /// How many more match, as the last one says. Where an answer was cut, its end says one less in 2.11.
    left: u64,
}

/// The end of an answer of many messages.
pub(super) enum End {
    All {
        /// How many more there would have been, where the request asks for some of them.
        left: Option<u64>,
        /// The revision that they are as of, where the request asks for a state.
        up_to: Option<Revision>,
    },
    Nothing,
    TooMany,
}

/// Asks for the last message of each subject, as of a revision or as of now.
pub(super) fn state_query(subjects: &[String], at: Option<Revision>) -> Value {
    let mut query = json!({ "multi_last": subjects, "max_bytes": MOST_BYTES });
    if let Some(revision) = at {
        set(&mut query, "up_to_seq", revision.get());
    }
    query
}

impl Gathered {
    /// Whether nothing is left to be asked for.
    pub(super) const fn is_whole(&self) -> bool {
        self.left == 0
    }

    /// Takes the next message; gives the end where it is that.
    pub(super) fn take(&mut self, prefix: &str, answer: Message) -> Result<Option<End>, Failure> {
        // The client drops what it has no room for: what is missing would pass for what is not there.
        if before(&answer).is_some_and(|before| before != self.newest) {
            return Err(Failure::Dropped);
        }
        match answer.status.map(|status| status.as_u16()) {
            None => {
                self.left = number(&answer, LEFT).unwrap_or(0);
                let unplaced = || Failure::Unexpected("a message without its place".to_owned());
                let stored = direct(prefix, answer).ok_or_else(unplaced)?;
                self.newest = stored.revision();
                self.messages += 1;
                if let Stored::Entry(entry) = stored {
                    self.entries.push(entry);
                }
                Ok(None)
            }
            Some(204) => {
                let up_to = number(&answer, UP_TO).map(Revision::new);
                Ok(Some(End::All { left: number(&answer, LEFT), up_to }))
            }
            Some(404) => Ok(Some(End::Nothing)),
            Some(413) => Ok(Some(End::TooMany)),
            Some(503) => Err(Failure::NoResponders),
            Some(status) => {
                let words = answer.description.unwrap_or_default();
                Err(Failure::Unexpected(format!("{status} {words}")))
            }
        }
    }

    /// What was asked for by `multi_last`.
    pub(super) fn answer(self, end: &End) -> Result<Answer, Failure> {
        match end {
            End::Nothing => Ok(Answer::Nothing),
            End::TooMany => Ok(Answer::TooMany),
            End::All { up_to, .. } => {
                let as_of = up_to.ok_or_else(|| Failure::Unexpected(format!("no {UP_TO}")))?;
                Ok(Answer::Found { entries: self.entries, as_of, newest: self.newest })
            }
        }
    }
}

/// What the leader says about the stream, with the names of its subjects.
#[derive(Deserialize)]
pub(super) struct Listing {
    pub(super) state: ListedState,
    #[serde(default)]
    pub(super) total: usize,
}

#[derive(Deserialize)]
pub(super) struct ListedState {
    first_seq: u64,
    pub(super) last_seq: u64,
    #[serde(default)]
    pub(super) subjects: HashMap<String, u64>,
}

impl NatsStore {
    pub(super) async fn read_all(&self, filters: &[Filter], at: Point) -> Result<Reading, ReadError> {
        if filters.is_empty() {
            return Ok(Reading { entries: Vec::new(), revision: Revision::ZERO, isolated: true });
        }
        let at = match at {
            Point::Latest => None,
            Point::Revision(revision) => Some(revision),
            Point::Time(time) => self.revision_at(time).await.map_err(|failure| self.read_error(failure))?,
        };
        // The server takes 0 for "none given".
        if at == Some(Revision::ZERO) {
            return Ok(Reading { entries: Vec::new(), revision: Revision::ZERO, isolated: true });
        }
        if at.is_none() && !self.known.multi_last.is_worth_a_trial() {
            return self.read_by_consumer(filters).await;
        }
        let subjects: Vec<String> = filters.iter().map(|filter| self.subject(filter)).collect();
        if let Some(revision) = at
            && is_much(&subjects)
            && filters.iter().all(|filter| filter.as_key().is_some())
        {
            // Their names are known: the server need not be asked for them.
            let entries = self.portions_at(subjects, revision).await;
            let entries = entries.map_err(|failure| self.read_error(failure))?;
            return Ok(Reading { entries, revision, isolated: true });
        }
        let answer = match at {
            Some(revision) if self.known.has_replicas() => {
                let is_asked_for = |subject: &str| {
                    let key = self.key_of(subject);
                    key.is_some_and(|key| filters.iter().any(|filter| filter.matches(&key)))
                };
                match self.anchor(revision).await {
                    // Without one the leader is asked in the end.
                    Ok(None) => self.multi_last(&subjects, at).await,
                    Ok(anchor) => self.as_of(&subjects, &is_asked_for, revision, anchor).await,
                    Err(failure) => Err(failure),
                }
            }
            Some(_) => self.multi_last(&subjects, at).await,
            None => self.latest(&subjects).await,
        };
        self.settled(answer, (filters, &subjects), at).await
    }

    /// What an answer comes to, whatever else has to be asked for it.
    pub(super) async fn settled(
        &self,
        answer: Result<Answer, Failure>,
        (filters, subjects): (&[Filter], &[String]),
        at: Option<Revision>,
    ) -> Result<Reading, ReadError> {
        match answer {
            // Whether there is nothing of then, or nothing left, is another question.
            Ok(Answer::Found { entries, .. }) if entries.is_empty() && at.is_some() => {
                self.nothing(subjects, at).await
            }
            Ok(Answer::Found { entries, as_of: revision, .. }) => {
                Ok(Reading { entries, revision, isolated: true })
            }
            Ok(Answer::Nothing) => self.nothing(subjects, at).await,
            Ok(Answer::TooMany) => self.read_in_portions(subjects, at).await,
            Err(failure) => self.without_multi_last(failure, filters, at).await,
        }
    }

    pub(super) fn read_error(&self, failure: Failure) -> ReadError {
        failure.read(&self.bucket, WHAT)
    }

    /// Reads by a consumer, where direct gets are off or not permitted.
    async fn without_multi_last(
        &self,
        failure: Failure,
        filters: &[Filter],
        at: Option<Revision>,
    ) -> Result<Reading, ReadError> {
        if !(failure.may_be_denial() || matches!(failure, Failure::NoResponders)) {
            return Err(self.read_error(failure));
        }
        if at.is_some() {
            return Err(match failure {
                Failure::NoResponders => ReadError::Unsupported {
                    what: "reading an earlier state",
                    reason: format!("bucket {} does not allow direct gets, or does not exist", self.bucket),
                },
                failure => self.read_error(failure),
            });
        }
        let reading = self.read_by_consumer(filters).await?;
        // It works without: so the server was there, and the other way is closed.
        self.known.multi_last.failed(&failure);
        Ok(reading)
    }

    /// Not isolated: a key may be newer than another one that changed together with it.
    async fn read_by_consumer(&self, filters: &[Filter]) -> Result<Reading, ReadError> {
        let entries = self.drain_any(filters, Start::Last).await?;
        let revision = entries.last().map_or(Revision::ZERO, Entry::revision);
        let mut last: HashMap<_, Entry> = HashMap::with_capacity(entries.len());
        last.extend(entries.into_iter().map(|entry| (entry.key.clone(), entry)));
        let mut entries: Vec<Entry> = last.into_values().collect();
        entries.sort_unstable_by_key(Entry::revision);
        Ok(Reading { entries, revision, isolated: false })
    }

    /// Asks for the last message of each subject, as of a revision or as of now.
    pub(super) async fn multi_last(
        &self,
        subjects: &[String],
        at: Option<Revision>,
    ) -> Result<Answer, Failure> {
        let query = state_query(subjects, at);
        let is_trusted = self.known.info.is_trusted() && self.known.multi_last.is_trusted();
        let within = if is_trusted { ANSWER_WITHIN } else { PROBE_WITHIN };
        let subject = self.connection.api(&format!("DIRECT.GET.{}", self.stream));
        let answer = self.connection.unless_denied(&subject, self.collect(&subject, &query, within)).await?;
        if answer.is_ok() {
            self.known.multi_last.worked();
        }
        answer
    }

    /// Sends a request that has many answers and collects them, however many parts it takes.
    async fn collect(&self, subject: &str, query: &Value, within: Duration) -> Result<Answer, Failure> {
        for _ in 0..ATTEMPTS {
            let (gathered, end) = self.part(subject, query, within).await?;
            if let Some(answer) = self.with_rest(subject, query, (gathered, end), within).await? {
                return Ok(answer);
            }
            tokio::time::sleep(LAG).await;
        }
        Err(Failure::Unexpected("the parts of a large answer do not fit each other".to_owned()))
    }

    /// One part of an answer, up to the message that says that it is the last.
    async fn part(&self, subject: &str, query: &Value, within: Duration) -> Result<(Gathered, End), Failure> {
        let client = self.connection.client();
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(Failure::client)?;
        let payload = serde_json::to_vec(query).map_err(Failure::client)?;
        client
            .publish_with_reply(subject.to_owned(), inbox, payload.into())
            .await
            .map_err(Failure::client)?;
        let mut gathered = Gathered::default();
        loop {
            let answer = self.next_of(&mut answers, within).await?;
            if let Some(end) = gathered.take(&self.read_prefix, answer)? {
                return Ok((gathered, end));
            }
        }
    }

    /// Asks for what is left of an answer. `None` where it is not as much as was said: something has gone meanwhile, or another
    /// replica has not got as far.
    pub(super) async fn with_rest(
        &self,
        subject: &str,
        query: &Value,
        (mut gathered, mut end): (Gathered, End),
        within: Duration,
    ) -> Result<Option<Answer>, Failure> {
        let mut query = query.clone();
        while gathered.left > 0
            && let End::All { up_to: Some(up_to), .. } = end
        {
            set(&mut query, "up_to_seq", up_to.get());
            set(&mut query, "seq", gathered.newest.next().get());
            let (part, end_of_part) = self.part(subject, &query, within).await?;
            if part.messages == 0 || part.messages + part.left != gathered.left {
                return Ok(None);
            }
            (gathered.newest, gathered.left, end) = (part.newest, part.left, end_of_part);
            gathered.entries.extend(part.entries);
        }
        gathered.answer(&end).map(Some)
    }

    /// The next message of an answer that has many.
    pub(super) async fn next_of(
        &self,
        answers: &mut Subscriber,
        within: Duration,
    ) -> Result<Message, Failure> {
        let Ok(answer) = tokio::time::timeout(within, answers.next()).await else {
            let connected = self.connection.is_connected();
            return Err(if connected { Failure::Timeout(within) } else { Failure::Disconnected });
        };
        answer.ok_or(Failure::Disconnected)
    }

    /// Asks again while the replica that answers is behind what this process has written itself.
    async fn latest(&self, subjects: &[String]) -> Result<Answer, Failure> {
        for _ in 0..LAG_ATTEMPTS {
            match self.multi_last(subjects, None).await? {
                Answer::Found { as_of, .. } if as_of < self.known.newest() => tokio::time::sleep(LAG).await,
                answer => return Ok(answer),
            }
        }
        // That far behind is no replica: the bucket was made again, and its revisions begin anew.
        self.known.forget_newest();
        self.multi_last(subjects, None).await
    }

    /// Nothing matches: makes sure that this is so, and finds out as of which revision.
    async fn nothing(&self, subjects: &[String], at: Option<Revision>) -> Result<Reading, ReadError> {
        let state = match self.listing("", 0).await {
            Ok(listing) => listing.state,
            // Not permitted to ask for the newest revision: nothing matches since the beginning.
            Err(failure) if failure.may_be_denial() => {
                return Ok(Reading { entries: Vec::new(), revision: at.unwrap_or_default(), isolated: true });
            }
            Err(failure) => return Err(self.read_error(failure)),
        };
        if let Some(revision) = at {
            let is_gone = revision.get() < state.first_seq && revision.get() < state.last_seq;
            if is_gone || revision.get() > state.last_seq {
                return Err(ReadError::OutOfRange { revision });
            }
        }
        let until = at.unwrap_or(Revision::new(state.last_seq));
        // A replica, or a mirror, that has not got that far says the same as one that has nothing.
        for _ in 0..LAG_ATTEMPTS {
            if !self.leader_has_any(subjects, until).await {
                return Ok(Reading { entries: Vec::new(), revision: until, isolated: true });
            }
            tokio::time::sleep(LAG).await;
            match self.multi_last(subjects, at).await.map_err(|failure| self.read_error(failure))? {
                Answer::Found { entries, as_of: revision, .. } => {
                    return Ok(Reading { entries, revision, isolated: true });
                }
                Answer::TooMany => return self.read_in_portions(subjects, at).await,
                Answer::Nothing => {}
            }
        }
        Err(ReadError::Timeout { what: WHAT, after: LAG * LAG_ATTEMPTS })
    }

    /// Whether the stream's leader has a message of one of the subjects, up to a revision.
    pub(super) async fn leader_has_any(&self, subjects: &[String], until: Revision) -> bool {
        // It takes one question for each: a thousand new keys would be a thousand round trips, one after the other.
        for portion in subjects.chunks(ASKED_AT_ONCE) {
            let asked: Vec<_> =
                portion.iter().map(|subject| self.leader_has(subject, until).boxed()).collect();
            if join_all(asked).await.contains(&true) {
                return true;
            }
        }
        false
    }

    /// Whether something was written at a time or later, as the leader of a stream with several copies knows.
    async fn leader_has_from(&self, time: SystemTime) -> bool {
        if !self.known.has_replicas() || !self.known.message_get.is_open() {
            return false;
        }
        let newest = self.ask_leader(&json!({ "last_by_subj": format!("{}>", self.read_prefix) })).await;
        matches!(newest, Ok(Some(Stored::Entry(entry))) if entry.created >= time)
    }

    async fn leader_has(&self, subject: &str, until: Revision) -> bool {
        let query = json!({ "seq": 1, "next_by_subj": subject });
        let first = match self.ask_leader(&query).await {
            Ok(Some(Stored::Entry(entry))) => entry.revision,
            Ok(Some(Stored::Other { revision, .. })) => revision,
            // Without permission to ask, the replica's word has to do.
            Ok(None) | Err(_) => return false,
        };
        first <= until
    }

    pub(super) async fn listing(&self, subject: &str, offset: usize) -> Result<Listing, Failure> {
        let query = if subject.is_empty() {
            json!({})
        } else {
            json!({ "subjects_filter": subject, "offset": offset })
        };
        let within = if self.known.info.is_trusted() { ANSWER_WITHIN } else { PROBE_WITHIN };
        self.connection.call(&format!("STREAM.INFO.{}", self.stream), &query, within).await
    }

    pub(super) async fn read_revision_at(&self, time: SystemTime) -> Result<Option<Revision>, ReadError> {
        self.revision_at(time).await.map_err(|failure| self.read_error(failure))
    }

    /// The last revision at a time; `None` for the latest.
    async fn revision_at(&self, time: SystemTime) -> Result<Option<Revision>, Failure> {
        let unsaid = || Failure::Unexpected("a time outside of the calendar".to_owned());
        // What was created at exactly that time belongs to it, so the first message behind it is asked for: the first one
        // at or after the next nanosecond. The moment is right before it.
        let behind = time.checked_add(Duration::from_nanos(1)).ok_or_else(unsaid)?;
        let start = format_time(behind).ok_or_else(unsaid)?;
        let query = json!({ "start_time": start, "next_by_subj": format!("{}>", self.read_prefix) });
        let mut attempts = 0;
        let answer = loop {
            match self.direct_get(&query).await? {
                Some(answer) => break answer,
                // A replica that lags has nothing from behind that time yet: to take its word would give the latest state.
                None if attempts < LAG_ATTEMPTS && self.leader_has_from(behind).await => attempts += 1,
                None => return Ok(None),
            }
            tokio::time::sleep(LAG).await;
        };
        let first = number(&answer, message::SEQUENCE);
        let first = first.ok_or_else(|| Failure::Unexpected("a message without its place".to_owned()))?;
        Ok(Some(Revision::new(first) - 1))
    }
}

/// The revision of the message before one of an answer, or before its end; zero where it is the first. Every server that knows
/// such answers says it.
fn before(answer: &Message) -> Option<Revision> {
    number(answer, message::LAST_SEQUENCE).map(Revision::new)
}

fn number(answer: &Message, name: &str) -> Option<u64> {
    answer.headers.as_ref()?.get_last(name)?.as_str().parse().ok()
}
