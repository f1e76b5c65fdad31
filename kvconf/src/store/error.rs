//! What can go wrong between kvconf and a backend.

use std::sync::Arc;
use std::time::Duration;

use derive_more::{Display, Error};

use crate::{Key, KeyError, Revision};

/// A cause below kvconf: the client's or the server's own error.
pub(crate) type Cause = Arc<dyn std::error::Error + Send + Sync + 'static>;

/// Why a read, a status, a watch or the opening of a bucket failed.
#[derive(Debug, Clone, Display, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The server answered that there is no such bucket.
    #[display("bucket {bucket} does not exist")]
    BucketNotFound {
        /// Its name.
        bucket: String,
    },
    /// The server refused the subject.
    #[display("not permitted: {subject}")]
    NotPermitted {
        /// The subject that the client's user may not use.
        subject: String,
    },
    /// No answer in time. A missing permission can look like this where the server does not say it.
    #[display("no answer within {after:?} to {what}")]
    Timeout {
        /// What was asked.
        what: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// There is no connection, or it broke while the answer was outstanding.
    #[display("not connected to the server")]
    Disconnected,
    /// The client has ended: it was drained, or has tried to connect as often as its `max_reconnects` says.
    #[display("the client has ended and connects no more")]
    ClientEnded,
    /// The server or the bucket cannot do it.
    #[display("{what} is not supported: {reason}")]
    Unsupported {
        /// What was asked.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// What was asked for lies before what the bucket retains or after its newest revision.
    #[display("revision {revision} is outside what the bucket holds")]
    OutOfRange {
        /// The revision that was asked for.
        revision: Revision,
    },
    /// A key, prefix or bucket name is not valid; nothing was sent.
    #[display("invalid name")]
    Name(#[error(source)] KeyError),
    /// The answer came in many messages, and the client had no room for some of them: it drops what a subscription cannot take
    /// (`ConnectOptions::subscription_capacity`) and goes on with the next.
    #[display("the client dropped messages of {what}: it could not keep up")]
    Dropped {
        /// What was asked.
        what: &'static str,
    },
    /// An answer that kvconf does not understand.
    #[display("unexpected answer to {what}: {found}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// What came.
        found: String,
    },
    /// The server refused with an error of its own.
    #[display("the server refused {what} (error {code})")]
    Server {
        /// What was asked.
        what: &'static str,
        /// The server's error code.
        code: u64,
        /// The server's words.
        #[error(source)]
        cause: Cause,
    },
    /// The client failed below.
    #[display("{what} failed")]
    Client {
        /// What was asked.
        what: &'static str,
        /// The client's error.
        #[error(source)]
        cause: Cause,
    },
}

impl ReadError {
    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Disconnected | Self::Dropped { .. } | Self::Client { .. } => true,
            // No leader at the moment; JetStream temporarily unavailable; a batch that lost its beginning to a change of
            // leaders; too many batches at once.
            Self::Server { code, .. } => matches!(*code, 503 | 10_008 | 10_176 | 10_210),
            _ => false,
        }
    }

    /// Whether the bucket has as many consumers as it may have.
    pub(crate) const fn is_for_want_of_consumers(&self) -> bool {
        matches!(self, Self::Server { code: 10_026, .. })
    }

    /// Why several keys cannot be written at once, and what can be done: the server is too old, or the bucket is set so.
    pub(crate) fn without_batches(bucket: &str, too_old: Option<&str>) -> Self {
        let why = match too_old {
            Some(version) => format!("nats-server {version} has none, 2.12 is the first that does"),
            None => format!("bucket {bucket} does not allow atomic batches"),
        };
        Self::Unsupported {
            what: "an atomic batch",
            reason: format!("{why}; one_by_one writes the keys of a struct one after the other"),
        }
    }
}

impl From<KeyError> for ReadError {
    fn from(error: KeyError) -> Self {
        Self::Name(error)
    }
}

/// Why a write failed.
#[derive(Debug, Clone, Display, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An expected revision did not hold. Nothing was written.
    #[display("the expected revision does not hold")]
    Conflict {
        /// The newest revision that the server found instead, where it says it.
        found: Option<Revision>,
    },
    /// `create_key` found a value.
    #[display("{key} exists already, at revision {revision}")]
    Exists {
        /// The key.
        key: Key,
        /// The revision of its value.
        revision: Revision,
    },
    /// No acknowledgement in time: the write may have taken place or not.
    #[display("no acknowledgement within {after:?}: the write may have taken place or not")]
    Unconfirmed {
        /// How long was waited, for the acknowledgement and for an answer whether the write took place.
        after: Duration,
    },
    /// A value, with its headers, is larger than the bucket or the connection takes. Nothing was written.
    #[display("{key} with {bytes} bytes is too large, the most is {max}")]
    TooLarge {
        /// The key.
        key: Key,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// More keys at once than the server takes. Nothing was written.
    #[display("{keys} keys at once are too many, the most is {max}")]
    TooMany {
        /// How many.
        keys: usize,
        /// The limit.
        max: usize,
    },
    /// The bucket has reached a limit of its own, in bytes or entries. Nothing was written.
    #[display("bucket {bucket} is full")]
    Full {
        /// Its name.
        bucket: String,
    },
    /// The account or the server has no room left, or its disk is full. Nothing was written.
    #[display("there is no room for bucket {bucket}: {reason}")]
    NoRoom {
        /// The bucket's name.
        bucket: String,
        /// What is exhausted, in the server's words.
        reason: String,
    },
    /// The same key twice in one batch, no key at all, a time to live below one second, and the like. Nothing was sent.
    #[display("invalid write: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// A header that cannot be sent (a line break, or an empty name). Nothing was sent.
    #[display("header {name} cannot be sent: {reason}")]
    Header {
        /// The header's name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// As in [`ReadError`]; nothing was written.
    #[display("the write was not made")]
    Failed(#[error(source)] ReadError),
}

impl WriteError {
    /// Whether somebody else changed what this write was based on.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Exists { .. })
    }

    /// Whether the same write can succeed later without anybody changing anything. A conflict is not: read again first.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Failed(error) => error.is_retryable(),
            _ => false,
        }
    }
}

impl From<ReadError> for WriteError {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}

impl From<KeyError> for WriteError {
    fn from(error: KeyError) -> Self {
        Self::Failed(ReadError::Name(error))
    }
}

/// What makes a subscription doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[non_exhaustive]
pub enum Fault {
    /// The connection broke.
    #[display("the connection broke")]
    Disconnected,
    /// The connection is back; what happened meanwhile is unknown.
    #[display("the connection is back")]
    Reconnected,
    /// No sign of life for longer than the heartbeats allow.
    #[display("no heartbeat for {after:?}")]
    Silent {
        /// How long.
        after: Duration,
    },
    /// The server has more to deliver and waits for an answer to its flow control, which it does not get.
    #[display("the server waits in vain for answers on {subject}: may the user publish there?")]
    Stalled {
        /// What the subjects of these answers have in common.
        subject: String,
    },
    /// The server ended the subscription (its consumer was deleted, or its leader changed).
    #[display("the server ended the subscription")]
    Ended,
    /// The bucket is gone.
    #[display("the bucket is gone")]
    BucketGone,
    /// The server refuses it.
    #[display("not permitted: {subject}")]
    NotPermitted {
        /// The subject that the client's user may not use.
        subject: String,
    },
    /// The client could not keep up and dropped messages.
    #[display("messages were dropped because the client could not keep up")]
    Lagged,
}

impl Fault {
    /// Whether nothing more comes from the subscription after this.
    #[must_use]
    pub const fn ends(&self) -> bool {
        !matches!(self, Self::Disconnected | Self::Reconnected | Self::Lagged)
    }
}
