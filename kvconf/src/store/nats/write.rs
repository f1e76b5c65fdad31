//! Writing one key.

use std::str::FromStr;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Deserialize;

use super::NatsStore;
use super::connection::{ANSWER_WITHIN, answer};
use super::error::{Failure, code};
use crate::store::{Action, Expect, Write, header};
use crate::{Key, ReadError, Revision, WriteError};

const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_ON: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
const TTL: &str = "Nats-TTL";
const ROLLUP: &str = "Nats-Rollup";

/// The server's answer to a write.
#[derive(Debug, Deserialize)]
pub(super) struct Acknowledgement {
    #[serde(rename = "seq")]
    pub(super) sequence: u64,
    /// The id of the batch that was committed.
    #[serde(default)]
    pub(super) batch: Option<String>,
    /// How many messages were committed.
    #[serde(default)]
    pub(super) count: Option<u64>,
}

/// A write, ready to be sent.
pub(super) struct Outgoing {
    pub(super) key: Key,
    pub(super) subject: String,
    pub(super) headers: Block,
    pub(super) payload: Bytes,
}

impl Outgoing {
    /// How large it is for the server, headers included.
    pub(super) fn bytes(&self) -> usize {
        self.headers.bytes + self.payload.len()
    }
}

impl NatsStore {
    pub(super) async fn write_one(&self, write: Write) -> Result<Revision, WriteError> {
        let message = self.outgoing(write)?;
        self.check_size(&message)?;
        let key = message.key.clone();
        let bytes = message.bytes();
        let acknowledgement = self.publish(message).await;
        match acknowledgement {
            Ok(acknowledgement) => Ok(Revision::new(acknowledgement.sequence)),
            Err(failure) => Err(self.write_error(failure, key, bytes).await),
        }
    }

    /// Sends a message and waits for its acknowledgement.
    pub(super) async fn publish(&self, message: Outgoing) -> Result<Acknowledgement, Failure> {
        let headers = message.headers.map;
        let headers = (!headers.is_empty()).then_some(headers);
        let connection = &self.connection;
        let message = connection.request(message.subject, headers, message.payload, ANSWER_WITHIN).await?;
        answer(&message.payload)
    }

    /// Checks a write and puts it in the form that is sent.
    pub(super) fn outgoing(&self, write: Write) -> Result<Outgoing, WriteError> {
        // A message queued in a client without a connection may be sent much later, after its author has given up.
        if !self.connection.is_connected() {
            return Err(ReadError::Disconnected.into());
        }
        let mut headers = Block::default();
        for (name, value) in write.headers.iter() {
            if is_reserved(name) {
                return Err(refused(name, "the name has a meaning for the server"));
            }
            headers.append(name, value)?;
        }
        match write.expect {
            Expect::Any => {}
            Expect::Revision(revision) => headers.append(EXPECTED, &revision.to_string())?,
            Expect::On(filter, revision) => {
                headers.append(EXPECTED, &revision.to_string())?;
                headers.append(EXPECTED_ON, &format!("{}{filter}", self.read_prefix))?;
            }
        }
        if let Some(ttl) = write.ttl {
            headers.append(TTL, &format!("{}s", seconds(ttl)?))?;
        }
        let payload = match write.action {
            Action::Put(value) => value,
            Action::Delete => {
                headers.append(header::OPERATION, "DEL")?;
                Bytes::new()
            }
            Action::Purge => {
                headers.append(header::OPERATION, "PURGE")?;
                headers.append(ROLLUP, "sub")?;
                Bytes::new()
            }
        };
        let subject = format!("{}{}", self.write_prefix, write.key);
        Ok(Outgoing { key: write.key, subject, headers, payload })
    }

    /// Refuses what the connection or the bucket would refuse.
    pub(super) fn check_size(&self, message: &Outgoing) -> Result<(), WriteError> {
        let bytes = message.bytes();
        let bucket = self.known.max_value_size();
        let max = self.connection.client().max_payload().min(bucket.unwrap_or(usize::MAX));
        if bytes > max {
            return Err(WriteError::TooLarge { key: message.key.clone(), bytes, max });
        }
        Ok(())
    }

    /// Tells what a failed write means; asks the server where its answer leaves it open.
    pub(super) async fn write_error(&self, failure: Failure, key: Key, bytes: usize) -> WriteError {
        if failure.api_code() == Some(code::MESSAGE_TOO_LARGE) {
            // The bucket's limit is another one than it was: ask for it.
            let _ = self.refresh().await;
            return WriteError::TooLarge { key, bytes, max: self.known.max_value_size().unwrap_or(0) };
        }
        if matches!(failure, Failure::NoResponders) {
            // Nobody listens: the bucket is gone, or its replicas are about to elect a leader.
            if let Err(ReadError::BucketNotFound { bucket }) = self.refresh().await {
                return ReadError::BucketNotFound { bucket }.into();
            }
        }
        failure.write(&self.bucket)
    }
}

/// Headers to send, with their size on the wire.
#[derive(Default)]
pub(super) struct Block {
    pub(super) map: HeaderMap,
    pub(super) bytes: usize,
}

impl Block {
    /// The first line and the empty one at the end.
    const FRAME: usize = "NATS/1.0\r\n\r\n".len();
    /// What stands around a name and a value.
    const LINE: usize = ": \r\n".len();

    /// Adds a header, when it survives the way.
    pub(super) fn append(&mut self, name: &str, value: &str) -> Result<(), WriteError> {
        if name.is_empty() {
            return Err(refused(name, "the name is empty"));
        }
        let Ok(valid_name) = HeaderName::from_str(name) else {
            return Err(refused(name, "the name has a character other than visible ASCII, or a colon"));
        };
        let Ok(valid_value) = HeaderValue::from_str(value) else {
            return Err(refused(name, "the value has a line break"));
        };
        if value.trim().len() != value.len() {
            return Err(refused(name, "the value begins or ends with white space, which readers cut off"));
        }
        if self.bytes == 0 {
            self.bytes = Self::FRAME;
        }
        self.bytes += name.len() + value.len() + Self::LINE;
        self.map.append(valid_name, valid_value);
        Ok(())
    }
}

/// Names that make the server do something: only the store itself may set them.
fn is_reserved(name: &str) -> bool {
    let has_prefix =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    has_prefix("Nats-") || name.eq_ignore_ascii_case(header::OPERATION)
}

fn refused(name: &str, reason: &'static str) -> WriteError {
    WriteError::Header { name: name.to_owned(), reason }
}

/// A time to live in whole seconds: the server would cut off the rest without a word.
fn seconds(ttl: Duration) -> Result<u64, WriteError> {
    if ttl.as_secs() == 0 || ttl.subsec_nanos() != 0 {
        return Err(WriteError::Invalid {
            reason: format!("a time to live is whole seconds and at least one, not {ttl:?}"),
        });
    }
    Ok(ttl.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_would_not_arrive_as_they_are_stay_here() {
        let refusal = |name, value| Block::default().append(name, value).unwrap_err().to_string();
        assert_eq!(refusal("", "x"), "header  cannot be sent: the name is empty");
        assert_eq!(refusal("A", "x\r\ny"), "header A cannot be sent: the value has a line break");
        assert!(refusal("A b", "x").contains("visible ASCII"));
        assert!(refusal("A:", "x").contains("visible ASCII"));
        assert!(refusal("A", " x").contains("white space"));
    }

    #[test]
    fn a_block_knows_its_size_on_the_wire() {
        let mut block = Block::default();
        assert_eq!(block.bytes, 0);
        block.append("Name", "value").unwrap();
        block.append("Name", "other").unwrap();
        assert_eq!(block.bytes, "NATS/1.0\r\nName: value\r\nName: other\r\n\r\n".len());
    }

    #[test]
    fn headers_of_the_server_are_reserved() {
        for name in ["Nats-Rollup", "nats-ttl", "KV-Operation", "Nats-Marker-Reason"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["Kvconf-Author", "Nats", "X-Nats-Rollup", "\u{e4}"] {
            assert!(!is_reserved(name), "{name}");
        }
    }

    #[test]
    fn a_time_to_live_is_whole_seconds() {
        assert_eq!(seconds(Duration::from_secs(90)).unwrap(), 90);
        for ttl in [Duration::ZERO, Duration::from_millis(999), Duration::from_millis(1500)] {
            assert!(matches!(seconds(ttl), Err(WriteError::Invalid { .. })), "{ttl:?}");
        }
    }
}
