//! Questions to all who use a bucket, and their answers: what a backend gives the fleet.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::ReadError;

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) payload: Bytes,
    /// For clients that know the service protocol only: a code and one line.
    pub(crate) error: Option<(u16, String)>,
}

/// Sends one answer. Never fails towards whoever answers: the other side notices that none came.
pub(crate) type Reply = Box<dyn FnOnce(Answer) -> BoxFuture<'static, ()> + Send>;

/// A question that somebody asked.
pub(crate) struct Question {
    /// To what it was put, below the bucket's own subject: `who`, `preflight.checkout`.
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    /// `None` where nobody waits for an answer.
    pub(crate) reply: Option<Reply>,
}

/// What somebody who listens hears.
pub(crate) enum Heard {
    Question(Question),
    /// The server does not let this process listen.
    #[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "memory refuses nobody"))]
    NotPermitted {
        subject: String,
    },
}

/// What somebody who asked hears.
#[derive(Debug)]
pub(crate) enum Said {
    /// An answer to the question of this number.
    Answer { question: usize, payload: Bytes },
    /// Nobody listens to that question.
    Nobody { question: usize },
    /// The server refused to pass it on, or to let this process hear the answers.
    #[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "memory refuses nobody"))]
    NotPermitted { subject: String },
    /// No more answers can come.
    Over,
}

/// One place where answers to several questions arrive. Dropping it ends that place.
pub(crate) trait Gathering: Send {
    /// Puts a question to all who listen to the topic. Returns its number, counted from 0.
    fn ask<'a>(&'a mut self, topic: &'a str, payload: Bytes) -> BoxFuture<'a, Result<usize, ReadError>>;

    /// The next thing that is said. Waits for ever where nothing is.
    fn next(&mut self) -> BoxFuture<'_, Said>;
}

/// What whoever asks the service protocol is told.
#[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "only a server's clients ask by this protocol"))]
pub(crate) trait Card: Send + Sync + 'static {
    fn id(&self) -> String;
    fn version(&self) -> String;
    fn description(&self) -> String;
    fn metadata(&self) -> Vec<(&'static str, String)>;
    /// RFC 3339.
    fn started(&self) -> String;
    /// A name for each topic that is listened to, and the topic.
    fn endpoints(&self) -> Vec<(String, String)>;
    fn counts(&self) -> Counts;
}

/// What an instance has answered so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// The time that judging took, without waiting.
    pub(crate) busy: std::time::Duration,
    pub(crate) last_error: Option<String>,
}

/// The way to everybody else who uses the same bucket.
pub(crate) trait Exchange: Send + Sync + 'static {
    /// Listens to a topic; `*` stands for one token. Ends with the stream. Outlives breaks of the connection.
    fn listen<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<BoxStream<'static, Heard>, ReadError>>;

    /// A new place for answers.
    fn gather(&self) -> BoxFuture<'_, Result<Box<dyn Gathering>, ReadError>>;

    /// The largest question or answer, in bytes.
    fn max_payload(&self) -> usize;

    /// Answers the backend's own protocol for finding services, while the future is polled. Never ends by itself.
    fn present(&self, card: Arc<dyn Card>) -> BoxFuture<'static, ()>;
}
