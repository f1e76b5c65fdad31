//! Writing one key.

use std::borrow::Cow;
use std::str::FromStr;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Deserialize;

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
        check::write(&write)?;
        let message = self.outgoing(write)?;
        self.check_size(&message)?;
        let key = message.key.clone();
        let bytes = message.bytes();
        let acknowledgement = self.publish(message).await;
        match acknowledgement {
            Ok(acknowledgement) => {
                let revision = Revision::new(acknowledgement.sequence);
                self.known.wrote(revision);
                Ok(revision)
            }
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

    /// Puts a write in the form that is sent.
    pub(super) fn outgoing(&self, write: Write) -> Result<Outgoing, WriteError> {
        // A message queued in a client without a connection may be sent much later, after its author has given up.
        if !self.connection.is_connected() {
            return Err(ReadError::Disconnected.into());
        }
        let mut headers = Block::default();
        for (name, value) in write.headers.all() {
            match name {
                Cow::Borrowed(name) => headers.append_known(name, value)?,
                Cow::Owned(name) => headers.append(name, value)?,
            }
        }
        match write.expect {
            Expect::Any => {}
            Expect::Revision(revision) => headers.append_known(header::EXPECTED, &revision.to_string())?,
            Expect::On(filter, revision) => {
                headers.append_known(header::EXPECTED, &revision.to_string())?;
                headers.append_known(header::EXPECTED_ON, &format!("{}{filter}", self.read_prefix))?;
            }
        }
        if let Some(ttl) = write.ttl {
            headers.append_known(header::TTL, &format!("{}s", ttl.as_secs()))?;
        }
        let payload = match write.action {
            Action::Put(value) => value,
            Action::Delete => {
                headers.append_known(header::OPERATION, "DEL")?;
                Bytes::new()
            }
            Action::Purge => {
                headers.append_known(header::OPERATION, "PURGE")?;
                headers.append_known(ROLLUP, "sub")?;
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

    /// Adds a header. What the caller may set was checked before; this is so that the client never panics.
    pub(super) fn append(&mut self, name: &str, value: &str) -> Result<(), WriteError> {
        match HeaderName::from_str(name) {
            Ok(valid) => self.push(name, valid, value),
            Err(_) => Err(refused(name)),
        }
    }

    /// Adds a header of kvconf or of the server: its name is valid and need not be copied.
    pub(super) fn append_known(&mut self, name: &'static str, value: &str) -> Result<(), WriteError> {
        self.push(name, HeaderName::from_static(name), value)
    }

    fn push(&mut self, name: &str, valid: HeaderName, value: &str) -> Result<(), WriteError> {
        let valid_value = HeaderValue::from_str(value).map_err(|_| refused(name))?;
        if self.bytes == 0 {
            self.bytes = Self::FRAME;
        }
        self.bytes += name.len() + value.len() + Self::LINE;
        self.map.append(valid, valid_value);
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
        block.append("Name", "value").unwrap();
        block.append("Name", "other").unwrap();
        assert_eq!(block.bytes, "NATS/1.0\r\nName: value\r\nName: other\r\n\r\n".len());
    }

    #[test]
    fn a_header_that_the_client_would_panic_on_is_an_error() {
        for (name, value) in [("A b", "x"), ("A", "x\r\ny")] {
            let result = Block::default().append(name, value);
            assert!(matches!(result, Err(WriteError::Header { .. })));
        }
    }
}
