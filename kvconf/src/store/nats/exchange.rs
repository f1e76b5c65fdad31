//! Questions among those who use one bucket, on plain subjects: `kvconf.<bucket>.<topic>`.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::timeout;

use super::connection::Connection;
use super::error::Failure;
use super::micro;
use crate::ReadError;
use crate::store::exchange::{Answer, Card, Exchange, Gathering, Heard, Question, Reply, Said};

/// How long the client may take to send a subscription before a start goes on without.
const SENT_WITHIN: Duration = Duration::from_secs(1);

/// What stands before the bucket's name.
const ROOT: &str = "kvconf";

/// One line for clients that know the service protocol only, and its number.
const ERROR: &str = "Nats-Service-Error";
const ERROR_CODE: &str = "Nats-Service-Error-Code";

/// The way to everybody else who uses a bucket on a server. It needs the connection only, not the bucket.
pub(super) struct NatsExchange {
    pub(super) connection: Connection,
    pub(super) bucket: String,
}

impl NatsExchange {
    pub(super) fn of(connection: &Connection, bucket: &str) -> Arc<dyn Exchange> {
        Arc::new(Self { connection: connection.clone(), bucket: bucket.to_owned() })
    }

    fn subject(&self, topic: &str) -> String {
        format!("{}{topic}", self.base())
    }

    fn base(&self) -> String {
        format!("{ROOT}.{}.", self.bucket)
    }
}

impl Exchange for NatsExchange {
    fn listen<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<BoxStream<'static, Heard>, ReadError>> {
        async move {
            let subject = self.subject(topic);
            let refused = self.connection.refused_subscription(&subject);
            let client = self.connection.client();
            // No queue group: everybody is to answer.
            let subscriber = client.subscribe(subject.clone()).await.map_err(|error| {
                Failure::client(error).read(&self.bucket, "to listen for questions about the bucket")
            })?;
            // So that whoever asks next finds it. A client that is not connected subscribes when it is.
            if self.connection.is_connected() {
                let _ = timeout(SENT_WITHIN, client.flush()).await;
            }
            let (connection, base) = (self.connection.clone(), self.base());
            let questions = subscriber.filter_map(move |message| {
                let question = question(&connection, &base, message).map(Heard::Question);
                async move { question }
            });
            let refusal =
                stream::once(refused).map(move |_| Heard::NotPermitted { subject: subject.clone() });
            // A refusal never comes where nothing is refused; the client subscribes again when it reconnects.
            Ok(stream::select(questions, refusal).boxed())
        }
        .boxed()
    }

    fn gather(&self) -> BoxFuture<'_, Result<Box<dyn Gathering>, ReadError>> {
        async move {
            let client = self.connection.client();
            let inbox = client.new_inbox();
            let subject = format!("{inbox}.*");
            let refusals = FuturesUnordered::new();
            let refused = self.connection.refused_subscription(&subject);
            refusals.push(refused.boxed());
            let subscriber = client
                .subscribe(subject)
                .await
                .map_err(|error| Failure::client(error).read(&self.bucket, "the fleet's answers"))?;
            let gathering = NatsGathering {
                connection: self.connection.clone(),
                bucket: self.bucket.clone(),
                base: self.base(),
                inbox,
                subscriber,
                refusals,
                asked: 0,
            };
            Ok(Box::new(gathering) as Box<dyn Gathering>)
        }
        .boxed()
    }

    fn max_payload(&self) -> usize {
        self.connection.client().max_payload()
    }

    fn present(&self, card: Arc<dyn Card>) -> BoxFuture<'static, ()> {
        let (client, base) = (self.connection.client().clone(), self.base());
        async move {
            if micro::serve(client, base, card).await.is_err() {
                pending::<()>().await;
            }
        }
        .boxed()
    }
}

/// A message as a question. Its topic is what stands behind the bucket's name.
fn question(connection: &Connection, base: &str, message: Message) -> Option<Question> {
    let topic = message.subject.strip_prefix(base)?.to_owned();
    let connection = connection.clone();
    let reply = message.reply.map(|subject| {
        let reply: Reply = Box::new(move |answer: Answer| {
            async move {
                let client = connection.client();
                let sent = match answer.error {
                    None => client.publish(subject, answer.payload).await,
                    Some((code, line)) => {
                        let mut headers = HeaderMap::new();
                        headers.insert(ERROR, one_line(&line).as_str());
                        headers.insert(ERROR_CODE, code.to_string().as_str());
                        client.publish_with_headers(subject, headers, answer.payload).await
                    }
                };
                if let Err(error) = sent {
                    tracing::debug!(%error, "an answer to the fleet's question was not sent");
                }
            }
            .boxed()
        });
        reply
    });
    Some(Question { topic, payload: message.payload, reply })
}

/// A header takes no line breaks; the client would panic.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || !c.is_ascii() { ' ' } else { c }).take(200).collect()
}

struct NatsGathering {
    connection: Connection,
    bucket: String,
    base: String,
    inbox: String,
    subscriber: Subscriber,
    /// Each ends with the subject that was refused.
    refusals: FuturesUnordered<BoxFuture<'static, String>>,
    asked: usize,
}

impl Gathering for NatsGathering {
    fn ask<'a>(&'a mut self, topic: &'a str, payload: Bytes) -> BoxFuture<'a, Result<usize, ReadError>> {
        async move {
            // A message that waits in a client without a connection would be sent when nobody waits any more.
            if !self.connection.is_connected() {
                return Err(ReadError::Disconnected);
            }
            let question = self.asked;
            let subject = format!("{}{topic}", self.base);
            self.refusals.push(self.connection.refused_publish(&subject).boxed());
            let reply = format!("{}.{question}", self.inbox);
            let sent = self.connection.client().publish_with_reply(subject, reply, payload).await;
            sent.map_err(|error| Failure::client(error).read(&self.bucket, "a question to the fleet"))?;
            self.asked += 1;
            Ok(question)
        }
        .boxed()
    }

    fn next(&mut self) -> BoxFuture<'_, Said> {
        async move {
            loop {
                tokio::select! {
                    biased;
                    message = self.subscriber.next() => match message {
                        None => return Said::Over,
                        Some(message) => if let Some(said) = said(&self.inbox, message) { return said },
                    },
                    Some(subject) = self.refusals.next(), if !self.refusals.is_empty() => {
                        return Said::NotPermitted { subject };
                    }
                }
            }
        }
        .boxed()
    }
}

/// A message on the inbox; `None` for one that is no answer to anything.
fn said(inbox: &str, message: Message) -> Option<Said> {
    let question = message.subject.strip_prefix(inbox)?.strip_prefix('.')?.parse().ok()?;
    Some(match message.status {
        Some(StatusCode::NO_RESPONDERS) => Said::Nobody { question },
        _ => Said::Answer { question, payload: message.payload },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_one_line_whatever_the_error_says() {
        assert_eq!(one_line("a\r\nb\u{e9}\u{7f}c"), "a  b  c");
        assert_eq!(one_line(&"x".repeat(300)).len(), 200);
    }
}
