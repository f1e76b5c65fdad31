//! Instances that are none: they speak the protocol from its description, and misbehave.

use std::time::Duration;

use async_nats::{Client, Message};
use futures_util::StreamExt;
use futures_util::stream::select;
use serde_json::{Value, json};
use tokio::time::sleep;

/// What a made-up instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It takes every change.
    Good,
    /// It finds something wrong with every change.
    Rejects,
    /// It says who it is, and nothing else.
    Silent,
    /// It says that it is behind, until it is asked again.
    Lags,
    /// It says everything twice, and something else the second time.
    Twice,
    /// It answers with what is no answer.
    Garbage,
}

/// An instance under the prefix `app` of a bucket, until the client ends.
///
/// # Panics
/// When the client cannot subscribe, or is asked in another form than the protocol has.
pub async fn live(client: Client, bucket: &str, id: String, manner: Manner) {
    let who = client.subscribe(format!("kvconf.{bucket}.who")).await.unwrap();
    let asked = client.subscribe(format!("kvconf.{bucket}.*.app")).await.unwrap();
    let mut asked = select(who, asked);
    tokio::spawn(async move {
        let mut settled = 0;
        while let Some(message) = asked.next().await {
            let ask: Value = serde_json::from_slice(&message.payload).unwrap();
            let only = ask["only"].as_array();
            if only.is_some_and(|only| only.iter().all(|other| *other != id.as_str())) {
                continue;
            }
            let verb = message.subject.split('.').nth(2).unwrap().to_owned();
            settled += u32::from(verb == "settled");
            let spread = ask["spread_ms"].as_u64().unwrap_or(0);
            let (client, id) = (client.clone(), id.clone());
            tokio::spawn(async move {
                sleep(Duration::from_millis(rand::random_range(0..=spread))).await;
                for answer in answers(&id, manner, &verb, &ask, settled) {
                    reply(&client, &message, answer).await;
                }
            });
        }
    });
}

/// Waits until the server has everything that the client has sent: a flush ends where the socket has it, and a subscription
/// that is still on its way is not asked.
///
/// # Panics
/// When the server does not answer.
pub async fn has_arrived(client: &Client) {
    let inbox = client.new_inbox();
    let mut own = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    let came = tokio::time::timeout(Duration::from_secs(30), own.next()).await;
    assert!(matches!(came, Ok(Some(_))), "the server does not answer");
}

async fn reply(client: &Client, message: &Message, answer: Vec<u8>) {
    // The asker, or the test, may be at its end.
    let _ = client.publish(message.reply.clone().unwrap(), answer.into()).await;
}

fn answers(id: &str, manner: Manner, verb: &str, ask: &Value, settled: u32) -> Vec<Vec<u8>> {
    let told = |what: Value| {
        let mut told =
            json!({ "v": 1, "id": id, "name": "app", "version": "2.0.0", "host": "node", "later": true });
        told.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        told.to_string().into_bytes()
    };
    let problem = json!([{ "key": "app.max", "message": "70 is outside 1..=10" }]);
    let judged = |verdict: &str, problems: &Value| json!({ "preflight": [{ "struct": "App", "verdict": verdict, "base": "same", "applied": 1, "seen": 1, "problems": problems }] });
    let outcome = |outcome: &str, problems: &Value| json!({ "settled": [{ "struct": "App", "outcome": outcome, "applied": ask["revision"], "seen": ask["revision"], "problems": problems }] });
    let none = json!([]);
    match (manner, verb) {
        (Manner::Garbage, _) => vec![b"\xff{\"v\":1}".to_vec()],
        (_, "who") => {
            let handle = json!({
                "struct": "App", "prefixes": ["app"], "applied": 1, "seen": 1, "current": true, "state": "live",
                "since": "2026-01-02T03:04:05Z", "basis": "bucket", "rejected": [], "problems": [],
            });
            let who = told(json!({ "who": {
                "id": id, "name": "app", "version": "2.0.0", "host": "node", "started": "2026-01-02T03:04:05Z",
                "kvconf": "0.1.0", "handles": [handle],
            } }));
            if manner == Manner::Twice { vec![who.clone(), who] } else { vec![who] }
        }
        (Manner::Silent, _) => Vec::new(),
        (Manner::Rejects, "preflight") => vec![told(judged("rejects", &problem))],
        (Manner::Rejects, _) => vec![told(outcome("rejected", &problem))],
        (Manner::Twice, "preflight") => {
            vec![told(judged("accepts", &none)), told(judged("rejects", &problem))]
        }
        (Manner::Twice, _) => vec![told(outcome("applied", &none)), told(outcome("rejected", &problem))],
        (_, "preflight") => vec![told(judged("accepts", &none))],
        (Manner::Lags, _) if settled == 1 => vec![told(outcome("pending", &none))],
        _ => vec![told(outcome("applied", &none))],
    }
}
