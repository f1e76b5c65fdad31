//! What the server and the client say, in kvconf's words.

use std::sync::Arc;
use std::time::Duration;

use derive_more::{Display, Error};
use serde::Deserialize;

use crate::store::error::Cause;
use crate::{ReadError, Revision, WriteError};

/// The server's error codes that mean something to kvconf.
pub(super) mod code {
    pub(in super::super) const ACCOUNT_RESOURCES_EXCEEDED: u64 = 10002;
    pub(in super::super) const INSUFFICIENT_RESOURCES: u64 = 10023;
    pub(in super::super) const TOO_MANY_CONSUMERS: u64 = 10026;
    pub(in super::super) const MEMORY_EXCEEDED: u64 = 10028;
    pub(in super::super) const NO_MESSAGE: u64 = 10037;
    pub(in super::super) const STORAGE_EXCEEDED: u64 = 10047;
    pub(in super::super) const MESSAGE_TOO_LARGE: u64 = 10054;
    pub(in super::super) const STREAM_EXISTS: u64 = 10058;
    pub(in super::super) const STREAM_NOT_FOUND: u64 = 10059;
    pub(in super::super) const WRONG_LAST: u64 = 10071;
    pub(in super::super) const STORE_FAILED: u64 = 10077;
    pub(in super::super) const FILTERS_OVERLAP: u64 = 10138;
    /// As 10071, from servers that do not say which sequence they found.
    pub(in super::super) const WRONG_LAST_UNSAID: u64 = 10164;
    pub(in super::super) const TTL_INVALID: u64 = 10165;
    pub(in super::super) const TTL_DISABLED: u64 = 10166;
    pub(in super::super) const BATCHES_DISABLED: u64 = 10174;
    pub(in super::super) const BATCH_TOO_LARGE: u64 = 10199;
    /// Not one of the server's: nobody answers for the stream although it exists. Its replicas elect a leader.
    pub(in super::super) const NO_LEADER: u64 = 503;
}

/// A refusal of JetStream's API.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error, Deserialize)]
#[display("{description}")]
pub(super) struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    code: u64,
    #[serde(default)]
    description: String,
}

impl ApiError {
    /// The server's own code, or the general one of older refusals.
    pub(super) const fn code(&self) -> u64 {
        if self.err_code == 0 { self.code } else { self.err_code }
    }

    /// The sequence in `wrong last sequence: 7`.
    fn found(&self) -> Option<Revision> {
        self.description.rsplit_once(": ")?.1.parse().ok().map(Revision::new)
    }
}

/// Why a request has no good answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// Nobody listens on the subject.
    NoResponders,
    /// No answer in time.
    Timeout(Duration),
    /// The connection is down.
    Disconnected,
    /// There is none, and will never be one again.
    ClientEnded,
    /// The server forbids the subject.
    NotPermitted(String),
    /// JetStream refused.
    Api(ApiError),
    /// The client failed.
    Client(Cause),
    /// The client dropped a part of the answer.
    Dropped,
    /// An answer that makes no sense.
    Unexpected(String),
}

impl Failure {
    pub(super) fn client(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Client(Arc::new(error))
    }

    pub(super) fn unexpected(payload: &[u8]) -> Self {
        const SHOWN: usize = 200;
        let text = String::from_utf8_lossy(payload);
        Self::Unexpected(text.chars().take(SHOWN).collect())
    }

    /// Whether a missing permission can look like this.
    pub(super) const fn may_be_denial(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::NotPermitted(_))
    }

    pub(super) fn api_code(&self) -> Option<u64> {
        if let Self::Api(error) = self { Some(error.code()) } else { None }
    }

    /// As an error of a read.
    pub(super) fn read(self, bucket: &str, what: &'static str) -> ReadError {
        match self {
            Self::NoResponders => ReadError::Server {
                what,
                code: code::NO_LEADER,
                cause: Arc::new(NoLeader { bucket: bucket.to_owned() }),
            },
            Self::Timeout(after) => ReadError::Timeout { what, after },
            Self::Disconnected => ReadError::Disconnected,
            Self::ClientEnded => ReadError::ClientEnded,
            Self::NotPermitted(subject) => ReadError::NotPermitted { subject },
            Self::Api(error) if error.code() == code::STREAM_NOT_FOUND => {
                ReadError::BucketNotFound { bucket: bucket.to_owned() }
            }
            Self::Api(error) => ReadError::Server { what, code: error.code(), cause: Arc::new(error) },
            Self::Client(cause) => ReadError::Client { what, cause },
            Self::Dropped => ReadError::Dropped { what },
            Self::Unexpected(found) => ReadError::Answer { what, found },
        }
    }

    fn no_room(bucket: &str, error: ApiError) -> WriteError {
        WriteError::NoRoom { bucket: bucket.to_owned(), reason: error.description }
    }

    /// As an error of a write that the server may have taken before it failed.
    pub(super) fn write(self, bucket: &str) -> WriteError {
        const WHAT: &str = "a write";
        match self {
            Self::Timeout(after) => WriteError::Unconfirmed { after },
            // Only told when the answer stayed away: the write may have been sent before the connection broke.
            Self::Disconnected | Self::ClientEnded => {
                WriteError::Unconfirmed { after: super::connection::ANSWER_WITHIN }
            }
            Self::Api(error) => match error.code() {
                code::WRONG_LAST | code::WRONG_LAST_UNSAID => WriteError::Conflict { found: error.found() },
                code::ACCOUNT_RESOURCES_EXCEEDED
                | code::INSUFFICIENT_RESOURCES
                | code::MEMORY_EXCEEDED
                | code::STORAGE_EXCEEDED => Self::no_room(bucket, error),
                // A key that has as many revisions as it may have is no full bucket.
                code::STORE_FAILED
                    if error.description.contains("maximum")
                        && !error.description.contains("per subject") =>
                {
                    WriteError::Full { bucket: bucket.to_owned() }
                }
                code::STORE_FAILED if error.description.contains("no space") => Self::no_room(bucket, error),
                code::TTL_INVALID => WriteError::Invalid { reason: error.description },
                code::TTL_DISABLED => WriteError::Failed(ReadError::Unsupported {
                    what: "a time to live per key",
                    reason: format!("bucket {bucket} has no limit_markers"),
                }),
                code::BATCHES_DISABLED => ReadError::without_batches(bucket, None).into(),
                _ => WriteError::Failed(Self::Api(error).read(bucket, WHAT)),
            },
            other => WriteError::Failed(other.read(bucket, WHAT)),
        }
    }
}

/// Nobody answers for a bucket that exists.
#[derive(Debug, Clone, Display, Error)]
#[display("nobody answers for bucket {bucket}: its replicas elect a leader, or JetStream is off")]
struct NoLeader {
    bucket: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(err_code: u64, description: &str) -> Failure {
        Failure::Api(ApiError { err_code, code: 400, description: description.to_owned() })
    }

    #[test]
    fn a_conflict_tells_the_revision_that_the_server_found() {
        let error = refusal(10071, "wrong last sequence: 17").write("b");
        assert!(matches!(error, WriteError::Conflict { found: Some(found) } if found.get() == 17));
        let error = refusal(10164, "wrong last sequence").write("b");
        assert!(matches!(error, WriteError::Conflict { found: None }));
    }

    #[test]
    fn what_is_full_is_the_bucket_or_what_it_lies_in() {
        let full = refusal(10077, "maximum bytes exceeded").write("b");
        assert_eq!(full.to_string(), "bucket b is full");
        let no_room = "there is no room for bucket b: ";
        for (number, reason) in [
            (10002, "resource limits exceeded for account"),
            (10023, "insufficient resources"),
            (10028, "insufficient memory resources"),
            (10047, "insufficient storage resources available"),
            (10077, "write 1.blk: no space left on device"),
        ] {
            assert_eq!(refusal(number, reason).write("b").to_string(), format!("{no_room}{reason}"));
        }
        for other in ["disk on fire", "maximum messages per subject exceeded"] {
            let other = refusal(10077, other).write("b");
            assert!(matches!(other, WriteError::Failed(ReadError::Server { code: 10077, .. })));
        }
    }

    #[test]
    fn a_refusal_without_its_own_code_keeps_the_general_one() {
        let error: ApiError = serde_json::from_str(r#"{"code":404,"description":"nope"}"#).unwrap();
        assert_eq!(error.code(), 404);
        assert_eq!(error.to_string(), "nope");
    }

    #[test]
    fn an_unanswered_write_may_have_taken_place() {
        let after = Duration::from_secs(5);
        assert!(matches!(Failure::Timeout(after).write("b"), WriteError::Unconfirmed { .. }));
        assert!(matches!(Failure::Disconnected.write("b"), WriteError::Unconfirmed { .. }));
        let denied = Failure::NotPermitted("$KV.b.k".to_owned()).write("b");
        assert!(matches!(denied, WriteError::Failed(ReadError::NotPermitted { .. })));
    }
}
