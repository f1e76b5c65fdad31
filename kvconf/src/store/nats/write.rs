//! Writing one key.

use std::borrow::Cow;
use std::str::FromStr;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::NatsStore;
use super::connection::{ANSWER_WITHIN, answer};
use super::error::{Failure, code};
use crate::store::{Action, Expect, Write, check, header};
use crate::{Key, ReadError, Revision, WriteError};

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
    #[serde(default)]
    error: Option<IgnoredAny>,
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
    /// Sends the only message of a change. Here and below no asynchronous functions in one another: each holds what it is
    /// given twice, and the client's own future is a kilobyte.
    pub(super) fn write_one(&self, write: Write) -> BoxFuture<'_, Result<Revision, WriteError>> {
        let message = match self.ready(write) {
            Ok(message) => message,
            Err(error) => return ready(Err(error)).boxed(),
        };
        let key = message.key.clone();
        let bytes = message.bytes();
        let written = self.publish(message).then(move |answer| match answer {
            Ok(acknowledgement) => {
                let revision = Revision::new(acknowledgement.sequence);
                self.known.wrote(revision);
                ready(Ok(revision)).left_future()
            }
            Err(failure) => self.write_error(failure, key, bytes).map(Err).boxed().right_future(),
        });
        written.boxed()
    }

    /// Checks a write and puts it in the form that is sent.
    fn ready(&self, write: Write) -> Result<Outgoing, WriteError> {
        check::write(&write)?;
        let message = self.outgoing(write)?;
        self.check_size(&message)?;
        Ok(message)
    }

    /// Sends a message and waits for its acknowledgement.
    pub(super) fn publish(
        &self,
        message: Outgoing,
    ) -> impl Future<Output = Result<Acknowledgement, Failure>> + Send {
        let headers = message.headers.map;
        let headers = (!headers.is_empty()).then_some(headers);
        let subject = message.subject.clone();
        let answer = self.connection.request(message.subject, headers, message.payload, ANSWER_WITHIN);
        answer.map(move |answer| match answer {
            // Only the answer was refused: the server may well have taken the message.
            Err(Failure::NotPermitted(refused)) if refused != subject => Err(Failure::Timeout(ANSWER_WITHIN)),
            answer => acknowledgement(&answer?.payload),
        })
    }

    /// Puts a write in the form that is sent.
    pub(super) fn outgoing(&self, write: Write) -> Result<Outgoing, WriteError> {
        // A message queued in a client without a connection may be sent much later, after its author has given up.
        if !self.connection.is_connected() {
            return Err(self.connection.lost().read(&self.bucket, "a write").into());
        }
        let mut headers = Block::default();
        let given = write.headers.into_vec();
        let repeats =
            given.iter().enumerate().any(|(at, (name, _))| given.iter().take(at).any(|(n, _)| n == name));
        for (name, value) in given {
            let valid = match &name {
                Cow::Borrowed(name) => HeaderName::from_static(name),
                Cow::Owned(name) => HeaderName::from_str(name).map_err(|_| refused(name))?,
            };
            headers.put(&name, valid, value, repeats)?;
        }
        match write.expect {
            Expect::Any => {}
            Expect::Revision(revision) => headers.set(header::EXPECTED, revision.to_string())?,
            Expect::On(filter, revision) => {
                headers.set(header::EXPECTED, revision.to_string())?;
                headers.set(header::EXPECTED_ON, format!("{}{filter}", self.read_prefix))?;
            }
        }
        if let Some(ttl) = write.ttl {
            headers.set(header::TTL, format!("{}s", ttl.as_secs()))?;
        }
        let payload = match write.action {
            Action::Put(value) => value,
            Action::Delete => {
                headers.set(header::OPERATION, "DEL".to_owned())?;
                Bytes::new()
            }
            Action::Purge => {
                headers.set(header::OPERATION, "PURGE".to_owned())?;
                headers.set(ROLLUP, "sub".to_owned())?;
                Bytes::new()
            }
        };
        let subject = [&self.write_prefix, write.key.as_str()].concat();
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

/// Reads the answer to a write.
fn acknowledgement(payload: &[u8]) -> Result<Acknowledgement, Failure> {
    match serde_json::from_slice::<Acknowledgement>(payload) {
        Ok(acknowledgement) if acknowledgement.error.is_none() => Ok(acknowledgement),
        _ => answer(payload),
    }
}

fn refused(name: &str) -> WriteError {
    WriteError::Header { name: name.to_owned(), reason: "the client does not take it" }
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

    /// Sets a header of the server, which no caller may set.
    pub(super) fn set(&mut self, name: &'static str, value: String) -> Result<(), WriteError> {
        self.put(name, HeaderName::from_static(name), value, false)
    }

    /// Sets a header, or adds it to those of its name: that takes the client twice as long. What the caller may set was
    /// checked before; this looks again so that the client never panics.
    fn put(&mut self, name: &str, valid: HeaderName, value: String, repeats: bool) -> Result<(), WriteError> {
        if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return Err(refused(name));
        }
        if self.bytes == 0 {
            self.bytes = Self::FRAME;
        }
        self.bytes += name.len() + value.len() + Self::LINE;
        let value = HeaderValue::from(value);
        if repeats {
            self.map.append(valid, value)
        } else {
            self.map.insert(valid, value)
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_knows_its_size_on_the_wire() {
        let mut block = Block::default();
        assert_eq!(block.bytes, 0);
        for value in ["value", "other"] {
            block.put("Name", HeaderName::from_static("Name"), value.to_owned(), true).unwrap();
        }
        assert_eq!(block.bytes, "NATS/1.0\r\nName: value\r\nName: other\r\n\r\n".len());
    }

    #[test]
    fn a_header_that_the_client_would_panic_on_is_an_error() {
        let result = Block::default().set("A", "x\r\ny".to_owned());
        assert!(matches!(result, Err(WriteError::Header { .. })));
    }
}
