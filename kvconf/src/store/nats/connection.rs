//! One NATS connection as kvconf uses it: bounded requests, and where JetStream's API is found on it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, HeaderMap, Message, Request, RequestError, RequestErrorKind, jetstream};
use bytes::Bytes;
use futures_util::{FutureExt, Sink};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::denial::Denials;
use super::error::{ApiError, Failure};

/// How long an answer may take.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long the answer to a request may take that is likely to be forbidden, and has a replacement.
///
/// A server does not answer a forbidden request. This is a hundred times what an answer takes, and short enough to start
/// a service with.
pub(super) const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// The prefix of the API where no other is given.
const API: &str = "$JS.API";

/// A NATS connection, and where JetStream is found on it.
///
/// A plain client converts into one: `Bucket::open(&client, "prod")`. For a JetStream domain (a leaf node's hub), a
/// prefix of the account's own, or to be told of missing permissions at once, make one by hand:
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use kvconf::Bucket;
/// use kvconf::nats::Connection;
///
/// let client = async_nats::connect("nats://leaf.example.com").await?;
/// let bucket = Bucket::open(Connection::new(&client).domain("hub"), "prod").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connection {
    client: Client,
    prefix: Arc<str>,
    denials: Option<Denials>,
    /// How often the client had connected when an answer stayed away; 0 when none did.
    unanswered_at: Arc<AtomicU64>,
}

impl Connection {
    /// A connection with JetStream at its usual place.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), prefix: API.into(), denials: None, unanswered_at: Arc::default() }
    }

    /// JetStream of another domain.
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        self.api_prefix(&format!("$JS.{domain}.API"))
    }

    /// JetStream behind another prefix than `$JS.API`.
    #[must_use]
    pub fn api_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_end_matches('.').into();
        self
    }

    /// Learns of missing permissions from `denials`, whose callback the client was connected with. Without, a missing
    /// permission shows as a timeout.
    #[must_use]
    pub fn denials(mut self, denials: &Denials) -> Self {
        self.denials = Some(denials.clone());
        self
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The client's JetStream context, for what kvconf does not do. Must be called within a tokio runtime.
    #[must_use]
    pub fn context(&self) -> jetstream::Context {
        jetstream::with_prefix(self.client.clone(), &self.prefix)
    }

    /// Whether plain subjects, such as those of writes, must go through the prefix too.
    pub(super) fn is_foreign(&self) -> bool {
        &*self.prefix != API
    }

    /// The full subject of an API request.
    pub(super) fn api(&self, subject: &str) -> String {
        format!("{}.{subject}", self.prefix)
    }

    /// Whether there is a connection right now.
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Why nothing can be sent while there is no connection.
    pub(super) fn lost(&self) -> Failure {
        // The client says "disconnected" of itself for ever. What it takes to send would be closed then.
        let mut client = self.client.clone();
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut client).poll_ready(&mut context) {
            Poll::Ready(Err(_)) => Failure::ClientEnded,
            _ => Failure::Disconnected,
        }
    }

    /// Asks JetStream's API and reads the answer.
    pub(super) async fn call<T, V>(&self, subject: &str, request: &T, within: Duration) -> Result<V, Failure>
    where
        T: Serialize + ?Sized,
        V: DeserializeOwned,
    {
        let payload = serde_json::to_vec(request).map_err(Failure::client)?;
        let message = self.request(self.api(subject), None, payload.into(), within).await?;
        answer(&message.payload)
    }

    /// Sends one message and waits for the answer to it.
    pub(super) fn request(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        within: Duration,
    ) -> impl Future<Output = Result<Message, Failure>> + Send {
        let mut request = Request::new().payload(payload).timeout(Some(within));
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        // The client has one subscription for the answers to all requests. A server that takes the permission for it away
        // drops it, and the client subscribes again only when it reconnects: no request would ever be answered, also when
        // the permission is back. So from the first missing answer on each request has a subscription of its own.
        let connects = self.client.statistics().connects.load(Ordering::Relaxed);
        if self.unanswered_at.load(Ordering::Relaxed) == connects {
            request = request.inbox(self.client.new_inbox());
        }
        let answer = if self.denials.is_none() {
            self.client.send_request(subject, request).map(Ok).left_future()
        } else {
            async move {
                let answer = self.client.send_request(subject.clone(), request);
                self.unless_denied(&subject, answer).await
            }
            .boxed()
            .right_future()
        };
        answer.map(move |outcome| self.heard(outcome, connects, within))
    }

    /// Takes note of whether there was an answer.
    fn heard(
        &self,
        outcome: Result<Result<Message, RequestError>, Failure>,
        connects: u64,
        within: Duration,
    ) -> Result<Message, Failure> {
        let is_answered = match &outcome {
            Ok(answer) => {
                answer.as_ref().err().is_none_or(|error| error.kind() != RequestErrorKind::TimedOut)
            }
            Err(_) => false,
        };
        if !is_answered {
            self.unanswered_at.store(connects, Ordering::Relaxed);
        }
        outcome?.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut if self.is_connected() => Failure::Timeout(within),
            RequestErrorKind::NoResponders => Failure::NoResponders,
            // The client ended before, or while the answer was outstanding.
            RequestErrorKind::TimedOut | RequestErrorKind::Other => self.lost(),
            _ => Failure::client(error),
        })
    }

    /// Completes with the subject when the server refuses it to be published to, from now on. Never where nobody tells.
    #[cfg(feature = "fleet")]
    pub(super) fn refused_publish(&self, subject: &str) -> impl Future<Output = String> + use<> {
        let denied = self.denials.as_ref().map(|denials| denials.denied(subject, None));
        async move {
            match denied {
                Some(denied) => denied.await,
                None => std::future::pending().await,
            }
        }
    }

    /// The same for a subscription.
    #[cfg(feature = "fleet")]
    pub(super) fn refused_subscription(&self, subject: &str) -> impl Future<Output = String> + use<> {
        let denied = self.denials.as_ref().map(|denials| denials.denied_subscription(subject));
        async move {
            match denied {
                Some(denied) => denied.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Waits for `answer`, and not longer than the server takes to refuse `subject`, or the place for answers.
    pub(super) async fn unless_denied<F: Future>(
        &self,
        subject: &str,
        answer: F,
    ) -> Result<F::Output, Failure> {
        let Some(denials) = &self.denials else {
            return Ok(answer.await);
        };
        // The client's own place for answers has another name below the same prefix.
        let inbox = self.client.new_inbox();
        let inboxes = inbox.rsplit_once('.').map(|(prefix, _)| format!("{prefix}."));
        let denied = denials.denied(subject, inboxes.as_deref());
        tokio::select! {
            biased;
            answer = answer => Ok(answer),
            subject = denied => Err(Failure::NotPermitted(subject)),
        }
    }
}

/// Reads an answer of the API.
pub(super) fn answer<V: DeserializeOwned>(payload: &[u8]) -> Result<V, Failure> {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: Option<ApiError>,
    }
    // Without this word it is no refusal: few answers are read twice.
    const ERROR: &[u8] = b"\"error\"";
    if payload.windows(ERROR.len()).any(|word| word == ERROR) {
        let refusal: Refusal = serde_json::from_slice(payload).map_err(|_| Failure::unexpected(payload))?;
        if let Some(error) = refusal.error {
            return Err(Failure::Api(error));
        }
    }
    serde_json::from_slice(payload).map_err(|_| Failure::unexpected(payload))
}

impl From<&Client> for Connection {
    fn from(client: &Client) -> Self {
        Self::new(client)
    }
}

impl From<Client> for Connection {
    fn from(client: Client) -> Self {
        Self::new(&client)
    }
}

impl From<&Self> for Connection {
    fn from(connection: &Self) -> Self {
        connection.clone()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("api_prefix", &self.prefix).finish_non_exhaustive()
    }
}
