//! A replica that lags: it answers direct gets of many keys in place of a bucket's servers.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// What a replica says of a revision that it has not got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// That nothing is there: with file storage.
    Silent,
    /// What stood there before: with memory storage.
    Older,
}

/// What it holds, and how it is behind.
#[derive(Debug)]
struct State {
    /// Subjects with their values, by revision, from 1 on.
    messages: Vec<(String, String)>,
    /// How far it has got while it lags.
    got_to: usize,
    /// To how many requests it is still behind.
    lagging: usize,
    manner: Manner,
}

/// Answers for the bucket until it is dropped.
#[derive(Debug)]
pub struct LaggingReplica {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for LaggingReplica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LaggingReplica {
    /// Answers for a bucket of the server on this port, whose servers must not answer themselves: its stream has to have
    /// `allow_direct` off. `messages` are all that was ever written, subjects with values, oldest first. To the first `lagging`
    /// requests it answers as one that has got to `got_to` only.
    ///
    /// # Panics
    /// Where the server cannot be reached.
    pub async fn start(
        port: u16,
        bucket: &str,
        messages: Vec<(String, String)>,
        (manner, got_to, lagging): (Manner, usize, usize),
    ) -> Self {
        let state = Arc::new(Mutex::new(State { messages, got_to, lagging, manner }));
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a server on this port");
        let mut stream = BufReader::new(stream);
        let hello = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true}}\r\nSUB $JS.API.DIRECT.GET.KV_{bucket} 1\r\nPING\r\n"
        );
        stream.write_all(hello.as_bytes()).await.expect("a server that listens");
        // Its answer: the subscription stands.
        let mut line = String::new();
        while !line.starts_with("PONG") {
            line.clear();
            stream.read_line(&mut line).await.expect("an answer");
        }
        let task = tokio::spawn({
            let state = Arc::clone(&state);
            async move { drop(serve(stream, &state).await) }
        });
        Self { state, task }
    }

    /// To how many requests it would still answer as one that is behind.
    #[must_use]
    pub fn is_behind_for(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lagging
    }
}

async fn serve(mut stream: BufReader<TcpStream>, state: &Mutex<State>) -> anyhow::Result<()> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["PING"] => stream.write_all(b"PONG\r\n").await?,
            ["MSG", _, _, reply, length] => {
                let length: usize = length.parse()?;
                let mut payload = vec![0; length + 2];
                stream.read_exact(&mut payload).await?;
                let query = serde_json::from_slice(payload.get(..length).context("a payload")?)?;
                let answers = answer(&mut state.lock().unwrap_or_else(PoisonError::into_inner), &query);
                for (head, value) in answers {
                    publish(&mut stream, reply, &head, &value).await?;
                }
            }
            _ => {}
        }
    }
}

async fn publish(stream: &mut BufReader<TcpStream>, to: &str, head: &str, value: &str) -> io::Result<()> {
    let frame = format!("HPUB {to} {} {}\r\n{head}{value}\r\n", head.len(), head.len() + value.len());
    stream.write_all(frame.as_bytes()).await
}

/// The answers to a `multi_last` request: heads with values.
fn answer(state: &mut State, query: &Value) -> Vec<(String, String)> {
    let status = |status: &str| vec![(format!("NATS/1.0 {status}\r\n\r\n"), String::new())];
    let names: Vec<&str> =
        query["multi_last"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if names.iter().any(|name| name.contains(['*', '>'])) {
        return status("413 Too Many Results");
    }
    let asked = query["up_to_seq"].as_u64().and_then(|asked| usize::try_from(asked).ok());
    let asked = asked.unwrap_or(state.messages.len());
    let mut until = asked;
    if state.lagging > 0 {
        state.lagging -= 1;
        if state.manner == Manner::Silent && asked > state.got_to {
            return status("404 No Results");
        }
        until = asked.min(state.got_to);
    }
    let known = state.messages.iter().take(until).enumerate();
    let mut last = std::collections::HashMap::new();
    for (at, (subject, value)) in known {
        last.insert(subject.as_str(), (at + 1, value));
    }
    let mut found: Vec<(usize, &str, &String)> = names
        .iter()
        .filter_map(|name| last.get(name).map(|(revision, value)| (*revision, *name, *value)))
        .collect();
    if found.is_empty() {
        return status("404 No Results");
    }
    found.sort_unstable();
    let (mut before, mut pending, mut answers) = (0, found.len(), Vec::new());
    for (revision, subject, value) in found {
        pending -= 1;
        let head = format!(
            "NATS/1.0\r\nNats-Stream: KV\r\nNats-Subject: {subject}\r\nNats-Sequence: {revision}\r\n\
             Nats-Time-Stamp: 2027-01-15T08:00:00Z\r\nNats-Num-Pending: {pending}\r\nNats-Last-Sequence: {before}\r\n\r\n"
        );
        answers.push((head, value.clone()));
        before = revision;
    }
    let end = format!(
        "NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\nNats-Last-Sequence: {before}\r\nNats-UpTo-Sequence: {asked}\r\n\r\n"
    );
    answers.push((end, String::new()));
    answers
}
