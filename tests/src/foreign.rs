//! What a client does that knows NATS and nothing of kvconf.

use async_nats::{Client, HeaderMap};
use serde::Deserialize;

/// One write of a foreign batch: a key and its value, or `None` to delete it.
pub type Write<'a> = (&'a str, Option<&'a str>);

/// Writes several keys as one atomic batch, with the protocol's own headers only (ADR-50). Returns the revision of the
/// last one; the others stand right before it.
///
/// # Panics
/// When the server does not take the batch whole.
pub async fn batch(client: &Client, bucket: &str, writes: &[Write<'_>]) -> u64 {
    #[derive(Deserialize, Debug)]
    struct Acknowledgement {
        seq: u64,
        batch: String,
        count: usize,
    }
    let id = client.new_inbox();
    let messages: Vec<_> = writes
        .iter()
        .zip(1_usize..)
        .map(|((key, value), number)| {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", id.as_str());
            headers.insert("Nats-Batch-Sequence", number.to_string());
            if number == writes.len() {
                headers.insert("Nats-Batch-Commit", "1");
            }
            if value.is_none() {
                headers.insert("KV-Operation", "DEL");
            }
            (format!("$KV.{bucket}.{key}"), headers, value.unwrap_or_default().to_owned())
        })
        .collect();
    let mut answer = None;
    for ((subject, headers, value), number) in messages.into_iter().zip(1..) {
        if number < writes.len() {
            client.publish_with_headers(subject, headers, value.into()).await.expect("publish");
        } else {
            let acknowledged = client.request_with_headers(subject, headers, value.into()).await;
            answer = Some(acknowledged.expect("an answer to the batch").payload);
        }
    }
    let answer = answer.expect("a batch has a write");
    let text = String::from_utf8_lossy(&answer);
    let taken: Acknowledgement =
        serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("refused: {text}"));
    assert_eq!((taken.batch, taken.count), (id, writes.len()), "{text}");
    taken.seq
}
