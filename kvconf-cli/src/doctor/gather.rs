//! Asking the server. Nothing is written: a write is tried with a condition that cannot hold.

use std::time::{Duration, Instant, SystemTime};

use async_nats::{Client, Event, HeaderMap, Message, Request, RequestErrorKind, ServerError};
use bytes::Bytes;
use kvconf::nats::Connection;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::time::timeout;

use super::facts::{Allowed, Answer, Facts, Judged, Probe, Purpose, Server, Stream, Unconnected};
use crate::connect::{self, Settings};
use crate::failure::Failure;

/// How long an answer may take. A forbidden question has none.
const WITHIN: Duration = Duration::from_secs(2);

/// How long a refusal may take that comes after the answer to a ping: its way leads through a task of the client.
const TOLD_WITHIN: Duration = Duration::from_millis(50);

const FOR_PUBLISH: &str = "for publish";
const FOR_SUBSCRIPTION: &str = "for subscription";

/// The last part of every name that is used here. Nothing is ever stored under it.
const NAME: &str = "kvconf-doctor";

/// What the subjects of the fleet begin with.
const FLEET: &str = "kvconf.";

/// A header under which the server checks that the message is for this stream, which it never is.
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";

/// What the server refused, in its own words.
#[derive(Clone, Default)]
struct Refusals(watch::Sender<Vec<String>>);

impl Refusals {
    fn observe(&self, event: &Event) {
        if let Event::ServerError(ServerError::Other(text)) = event {
            self.0.send_modify(|said| said.push(text.clone()));
        }
    }

    /// The subjects that were refused for an operation so far.
    fn of(&self, operation: &str) -> Vec<String> {
        let said = self.0.borrow();
        said.iter().filter_map(|text| refused(text, operation)).map(str::to_owned).collect()
    }

    /// Comes back once all of these subjects are refused, which may be never.
    async fn of_all(&self, operation: &str, subjects: &[&str]) {
        let all = |said: &Vec<String>| {
            let mut wanted = subjects.iter();
            wanted.all(|subject| said.iter().any(|text| refused(text, operation) == Some(subject)))
        };
        // Whoever is told is here, so it does not end.
        let _ = self.0.subscribe().wait_for(all).await;
    }
}

/// The subject in a text such as `Permissions Violation for Publish to "subject"`.
fn refused<'t>(text: &'t str, operation: &str) -> Option<&'t str> {
    let (words, quoted) = text.split_once('"')?;
    let (subject, _) = quoted.split_once('"')?;
    words.to_ascii_lowercase().contains(operation).then_some(subject)
}

/// Finds out all there is to know about the connection, the account, and the bucket.
pub(crate) async fn gather(settings: &Settings, bucket: Option<String>, prefix: &str) -> Facts {
    let refusals = Refusals::default();
    let seen = refusals.clone();
    let connected = connect::observed(settings, move |event| seen.observe(event)).await;
    let mut facts = Facts {
        login: settings.login.to_string(),
        servers: settings.shown_servers(),
        context: settings.context.clone(),
        connected: Ok(Server::default()),
        account: None,
        bucket,
        prefix: prefix.to_owned(),
        stream: None,
        buckets: None,
        probes: Vec::new(),
        schemas: None,
        refused_inboxes: Vec::new(),
    };
    let client = match connected {
        Ok(client) => client,
        Err(error) => {
            let failure = Failure::from(error);
            facts.connected = Err(Unconnected { words: failure.chain(), hints: failure.hints });
            return facts;
        }
    };
    let asker = Asker { client, api: api_prefix(settings), foreign: is_foreign(settings), refusals };
    facts.connected = Ok(asker.server().await);
    asker.look(&mut facts).await;
    facts.refused_inboxes = asker.refusals.of(FOR_SUBSCRIPTION);
    facts.refused_inboxes.retain(|subject| !subject.starts_with(FLEET));
    facts
}

fn is_foreign(settings: &Settings) -> bool {
    settings.js_api_prefix.is_some() || settings.js_domain.is_some()
}

fn api_prefix(settings: &Settings) -> String {
    match (&settings.js_api_prefix, &settings.js_domain) {
        (Some(prefix), _) => prefix.trim_end_matches('.').to_owned(),
        (None, Some(domain)) => format!("$JS.{domain}.API"),
        (None, None) => "$JS.API".to_owned(),
    }
}

struct Asker {
    client: Client,
    api: String,
    foreign: bool,
    refusals: Refusals,
}

impl Asker {
    async fn server(&self) -> Server {
        let info = self.client.server_info();
        let began = Instant::now();
        let answered = timeout(WITHIN, self.client.flush()).await;
        Server {
            name: info.server_name,
            version: info.version,
            jetstream: info.jetstream,
            round_trip: answered.is_ok_and(|flushed| flushed.is_ok()).then(|| began.elapsed()),
        }
    }

    async fn look(&self, facts: &mut Facts) {
        let account = read(self.ask(&self.api("INFO"), None, Bytes::new()).await);
        let is_there = !matches!(account, Answer::Nobody | Answer::Refused(10_039, _));
        facts.account = Some(account);
        if !is_there {
            return;
        }
        let Some(bucket) = facts.bucket.clone() else {
            facts.buckets = Some(self.names().await);
            return;
        };
        let stream = self.stream(&bucket).await;
        let is_absent = matches!(stream, Answer::Refused(10_059, _));
        let is_mirror = stream.yes().is_some_and(|stream| stream.config.mirror.is_some());
        facts.stream = Some(stream);
        if is_absent {
            facts.buckets = Some(self.names().await);
            return;
        }
        facts.probes = self.probes(&bucket, &facts.prefix, is_mirror).await;
        facts.probes.push(self.ask_fleet(&bucket, &facts.prefix).await);
        facts.probes.push(self.answer_fleet(&bucket, &facts.prefix).await);
        let may_read = |probe: &Probe| probe.purpose == Purpose::ReadMany && probe.allowed == Allowed::Yes;
        if facts.probes.iter().any(may_read) {
            facts.schemas = self.schemas(&bucket).await;
        }
    }

    /// What programs have published, and what that says of the values.
    async fn schemas(&self, bucket: &str) -> Option<Vec<Judged>> {
        let connection = Connection::new(&self.client).api_prefix(&self.api);
        let bucket = within(kvconf::Bucket::open(connection, bucket)).await?;
        let mut judged = Vec::new();
        for published in within(bucket.schemas()).await?.published {
            let verdict = within(bucket.check_schema(&published.schema).now()).await;
            let refused = verdict.map(|verdict| {
                let fatal = verdict.problems.iter().filter(|problem| !problem.kind.is_warning());
                fatal.map(ToString::to_string).collect()
            });
            let (name, version, layers) = (published.name, published.version, published.schema.layers);
            judged.push(Judged { name, version, layers, refused });
        }
        Some(judged)
    }

    /// Whether the instances may be asked. Nobody is: a question without a way back is none.
    async fn ask_fleet(&self, bucket: &str, prefix: &str) -> Probe {
        let scope = if prefix.is_empty() { NAME } else { prefix };
        let mut subject = String::new();
        let mut allowed = Allowed::Yes;
        for verb in ["who", "preflight", "settled"] {
            subject = format!("{FLEET}{bucket}.{verb}.{scope}");
            allowed = self.publish(&subject).await;
            if allowed != Allowed::Yes {
                break;
            }
        }
        Probe { purpose: Purpose::AskFleet, subject, allowed }
    }

    /// Whether a service of this user may listen to what instances are asked.
    async fn answer_fleet(&self, bucket: &str, prefix: &str) -> Probe {
        let scope = if prefix.is_empty() { "+" } else { prefix };
        let subjects = [format!("{FLEET}{bucket}.who"), format!("{FLEET}{bucket}.*.{scope}")];
        let mut subscribed = Vec::new();
        for subject in &subjects {
            subscribed.extend(self.client.subscribe(subject.clone()).await);
        }
        let answered = within(self.client.flush()).await;
        let all = subjects.each_ref().map(String::as_str);
        let _ = timeout(TOLD_WITHIN, self.refusals.of_all(FOR_SUBSCRIPTION, &all)).await;
        drop(subscribed);
        let refused = self.refusals.of(FOR_SUBSCRIPTION);
        let missing: Vec<&str> =
            subjects.iter().filter(|it| refused.contains(it)).map(String::as_str).collect();
        let allowed = match (missing.is_empty(), answered) {
            (false, _) => Allowed::No,
            (true, Some(())) => Allowed::Yes,
            (true, None) => Allowed::Unknown,
        };
        let subject = if missing.is_empty() { subjects.join(" and ") } else { missing.join(" and ") };
        Probe { purpose: Purpose::AnswerFleet, subject, allowed }
    }

    fn api(&self, subject: &str) -> String {
        format!("{}.{subject}", self.api)
    }

    async fn stream(&self, bucket: &str) -> Answer<Stream> {
        #[derive(Deserialize)]
        struct Stamped {
            ts: Option<String>,
        }
        let (asked, began) = (SystemTime::now(), Instant::now());
        let subject = self.api(&format!("STREAM.INFO.KV_{bucket}"));
        let answer = self.ask(&subject, None, Bytes::new()).await;
        let took = began.elapsed();
        let stamp = answer.yes().and_then(|message| serde_json::from_slice::<Stamped>(&message.payload).ok());
        let mut read = read::<Stream>(answer);
        if let Answer::Yes(stream) = &mut read {
            let theirs = stamp.and_then(|stamp| OffsetDateTime::parse(&stamp.ts?, &Rfc3339).ok());
            stream.clocks = theirs.map(|theirs| (theirs.into(), asked + took / 2));
            stream.took = took;
        }
        read
    }

    async fn names(&self) -> Answer<Vec<String>> {
        let connection = Connection::new(&self.client).api_prefix(&self.api);
        match timeout(WITHIN, kvconf::Bucket::names(connection)).await {
            Ok(Ok(names)) => Answer::Yes(names),
            Ok(Err(_)) | Err(_) => Answer::Silence(WITHIN),
        }
    }

    async fn ask(&self, subject: &str, headers: Option<HeaderMap>, payload: Bytes) -> Answer<Message> {
        let mut request = Request::new().payload(payload).timeout(Some(WITHIN));
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let answer = self.client.send_request(subject.to_owned(), request);
        let subjects = [subject];
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = self.refusals.of_all(FOR_PUBLISH, &subjects) => return Answer::Denied,
        };
        match answer {
            Ok(message) => Answer::Yes(message),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Answer::Nobody,
            Err(_) => Answer::Silence(WITHIN),
        }
    }

    /// Tries every permission out. Each question is one that the server refuses for another reason when it lets the
    /// subject through: an answer of whatever kind says that it did.
    async fn probes(&self, bucket: &str, prefix: &str, is_mirror: bool) -> Vec<Probe> {
        let stream = format!("KV_{bucket}");
        let under = |last: &str| match prefix {
            "" => format!("$KV.{bucket}.{last}"),
            prefix => format!("$KV.{bucket}.{prefix}.{last}"),
        };
        let no_json = Bytes::from_static(b"{");
        let mut elsewhere = HeaderMap::new();
        elsewhere.insert(EXPECTED_STREAM, NAME);
        let key = under(NAME);
        let write = if self.foreign { self.api(&key) } else { key.clone() };
        let tries = [
            (
                Purpose::Watch,
                self.api(&format!("CONSUMER.CREATE.{stream}.{NAME}.{}", under(">"))),
                None,
                no_json.clone(),
            ),
            (Purpose::EndWatch, self.api(&format!("CONSUMER.DELETE.{stream}.{NAME}")), None, Bytes::new()),
            (Purpose::ReadKey, self.api(&format!("DIRECT.GET.{stream}.{key}")), None, Bytes::new()),
            (Purpose::ReadMany, self.api(&format!("DIRECT.GET.{stream}")), None, Bytes::from_static(b"{}")),
            (Purpose::ReadAtLeader, self.api(&format!("STREAM.MSG.GET.{stream}")), None, no_json),
            (Purpose::Write, write, Some(elsewhere), Bytes::new()),
        ];
        // A write to a mirror goes to its origin, where it might be taken for something else.
        let tries = tries.into_iter().filter(|(purpose, ..)| !(is_mirror && *purpose == Purpose::Write));
        let asked = tries.map(async |(purpose, subject, headers, payload)| {
            let answer = self.ask(&subject, headers, payload).await;
            let allowed = match answer {
                Answer::Yes(_) => Allowed::Yes,
                Answer::Denied => Allowed::No,
                Answer::Nobody | Answer::Silence(_) | Answer::Refused(..) => Allowed::Unknown,
            };
            Probe { purpose, subject, allowed }
        });
        let mut probes = futures_util::future::join_all(asked).await;
        probes.insert(2.min(probes.len()), self.flow_control(&stream).await);
        probes
    }

    async fn flow_control(&self, stream: &str) -> Probe {
        let subject = format!("$JS.FC.{stream}.{NAME}");
        let allowed = self.publish(&subject).await;
        Probe { purpose: Purpose::FlowControl, subject, allowed }
    }

    /// Nobody answers there: what was not refused by the time that a ping is answered was let through.
    async fn publish(&self, subject: &str) -> Allowed {
        let sent = self.client.publish(subject.to_owned(), Bytes::new()).await;
        let answered = within(self.client.flush()).await;
        let refused = timeout(TOLD_WITHIN, self.refusals.of_all(FOR_PUBLISH, &[subject])).await;
        match (refused, sent, answered) {
            (Ok(()), ..) => Allowed::No,
            (Err(_), Ok(()), Some(())) => Allowed::Yes,
            _ => Allowed::Unknown,
        }
    }
}

async fn within<T, E>(question: impl Future<Output = Result<T, E>>) -> Option<T> {
    timeout(WITHIN, question).await.ok()?.ok()
}

fn read<T: DeserializeOwned>(answer: Answer<Message>) -> Answer<T> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Option<ApiError>,
    }
    #[derive(Deserialize)]
    struct ApiError {
        #[serde(default)]
        code: u64,
        #[serde(default)]
        err_code: u64,
        #[serde(default)]
        description: String,
    }
    let message = match answer {
        Answer::Yes(message) => message,
        Answer::Refused(code, words) => return Answer::Refused(code, words),
        Answer::Denied => return Answer::Denied,
        Answer::Nobody => return Answer::Nobody,
        Answer::Silence(after) => return Answer::Silence(after),
    };
    if let Ok(Refusal { error: Some(error) }) = serde_json::from_slice(&message.payload) {
        let code = if error.err_code == 0 { error.code } else { error.err_code };
        return Answer::Refused(code, error.description);
    }
    match serde_json::from_slice(&message.payload) {
        Ok(found) => Answer::Yes(found),
        Err(error) => Answer::Refused(0, format!("an answer that is not understood: {error}")),
    }
}
