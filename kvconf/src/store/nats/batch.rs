//! Writing several keys, all or none: an atomic batch (ADR-50, nats-server 2.12).

use super::NatsStore;
use super::connection::ANSWER_WITHIN;
use super::error::{Failure, code};
use super::write::{Acknowledgement, Outgoing};
use crate::store::{Write, check, header};
use crate::{Key, ReadError, Revision, WriteError};

/// The most messages that a server takes in one batch.
pub(super) const MAX_BATCH: usize = 1_000;

impl NatsStore {
    pub(super) async fn write_all(&self, writes: Vec<Write>) -> Result<Revision, WriteError> {
        check::batch(&writes)?;
        if writes.len() > MAX_BATCH {
            return Err(WriteError::TooMany { keys: writes.len(), max: MAX_BATCH });
        }
        self.require_batches().await?;
        let id = self.unique();
        let mut messages = Vec::with_capacity(writes.len());
        for (write, number) in writes.into_iter().zip(1_u64..) {
            let mut message = self.outgoing(write)?;
            message.headers.set(header::BATCH_ID, id.clone())?;
            message.headers.set(header::BATCH_SEQUENCE, number.to_string())?;
            messages.push(message);
        }
        let Some(last) = messages.last_mut() else { return Err(empty()) };
        last.headers.set(header::BATCH_COMMIT, "1".to_owned())?;
        // All are looked at before the first is sent: what was begun would keep one of the stream's few open batches.
        messages.iter().try_for_each(|message| self.check_size(message))?;
        let count = messages.len();
        let largest = messages.iter().max_by_key(|message| message.bytes());
        let Some((key, bytes)) = largest.map(|message| (message.key.clone(), message.bytes())) else {
            return Err(empty());
        };
        match self.send(messages).await {
            // A server that knows no batches takes each message for a write of its own and acknowledges the last.
            Ok(Acknowledgement { sequence, batch: Some(batch), count: Some(committed), .. })
                if batch == id && committed == count as u64 =>
            {
                let revision = Revision::new(sequence);
                self.known.wrote(revision);
                Ok(revision)
            }
            Ok(_) => Err(WriteError::Unconfirmed { after: ANSWER_WITHIN }),
            Err(failure) => Err(self.batch_error(failure, count, key, bytes).await),
        }
    }

    /// Sends all but the last without waiting, and waits for the answer to the last.
    async fn send(&self, messages: Vec<Outgoing>) -> Result<Acknowledgement, Failure> {
        let mut waiting: Option<Outgoing> = None;
        for message in messages {
            if let Some(message) = waiting.replace(message) {
                let client = self.connection.client();
                let sent = client.publish_with_headers(message.subject, message.headers.map, message.payload);
                // Without the last message the server drops what it has.
                sent.await.map_err(Failure::client)?;
            }
        }
        match waiting {
            Some(last) => self.publish(last).await,
            None => Err(Failure::Unexpected("a batch without a write".to_owned())),
        }
    }

    async fn batch_error(&self, failure: Failure, count: usize, key: Key, bytes: usize) -> WriteError {
        match failure.api_code() {
            Some(code::BATCHES_DISABLED) => {
                self.known.forbid_batches();
                failure.write(&self.bucket)
            }
            Some(code::BATCH_TOO_LARGE) => WriteError::TooMany { keys: count, max: MAX_BATCH },
            // Which one it was is not said; the largest is one of them.
            _ => self.write_error(failure, key, bytes).await,
        }
    }

    /// Refuses unless the bucket is known to take batches.
    ///
    /// A server up to 2.11 ignores the headers of a batch and writes half of it. Therefore the stream's own word is
    /// needed, and not knowing is a no.
    async fn require_batches(&self) -> Result<(), WriteError> {
        if !self.known.allows_batches() {
            self.refresh().await?;
            if !self.known.allows_batches() {
                let old = self.server_without_batches();
                return Err(ReadError::without_batches(&self.bucket, old.as_deref()).into());
            }
        }
        Ok(())
    }
}

fn empty() -> WriteError {
    WriteError::Invalid { reason: "a batch without a write".to_owned() }
}
