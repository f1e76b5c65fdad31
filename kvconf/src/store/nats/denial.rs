//! Missing permissions, as the server tells them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{Event, ServerError};
use tokio::sync::Notify;

/// How many refusals are remembered. They are picked up by the requests that wait for an answer at that moment; this is
/// more than one process has outstanding.
const REMEMBERED: usize = 256;

/// Collects what the server refuses, so that a missing permission is reported as such and at once.
///
/// A server answers a forbidden request with an error on the connection and not with an answer to the request. Only the
/// event callback that the client was connected with sees it:
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use kvconf::Bucket;
/// use kvconf::nats::{Connection, Denials};
///
/// let denials = Denials::new();
/// let client = async_nats::ConnectOptions::new()
///     .event_callback({
///         let denials = denials.clone();
///         move |event| {
///             denials.observe(&event);
///             std::future::ready(())
///         }
///     })
///     .connect("nats://localhost:4222")
///     .await?;
/// let bucket = Bucket::open(Connection::new(&client).denials(&denials), "prod").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Denials(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    refused: Mutex<Refused>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Refused {
    /// How many there were before the first that is remembered.
    forgotten: u64,
    subjects: VecDeque<String>,
}

impl Refused {
    fn end(&self) -> u64 {
        self.forgotten + self.subjects.len() as u64
    }

    /// Whether `subject` was refused since `seen` refusals.
    fn since(&self, seen: u64, subject: &str) -> bool {
        let skip = usize::try_from(seen.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        self.subjects.iter().skip(skip).any(|refused| refused == subject)
    }
}

impl Denials {
    /// Nothing was refused yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an event, when it is a refusal. Cheap; meant to be called with every event.
    pub fn observe(&self, event: &Event) {
        let Event::ServerError(ServerError::Other(text)) = event else { return };
        let Some(subject) = refused_subject(text) else { return };
        {
            let mut refused = self.refused();
            if refused.subjects.len() == REMEMBERED {
                refused.subjects.pop_front();
                refused.forgotten += 1;
            }
            refused.subjects.push_back(subject.to_owned());
        }
        self.0.news.notify_waiters();
    }

    /// Completes when `subject` is refused from now on.
    pub(super) async fn denied(&self, subject: &str) {
        let seen = self.refused().end();
        loop {
            let news = self.0.news.notified();
            tokio::pin!(news);
            // Registered before looking: what comes in between wakes it.
            news.as_mut().enable();
            if self.refused().since(seen, subject) {
                return;
            }
            news.await;
        }
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subject in `Permissions Violation for Publish to "$KV.prod.a"`.
fn refused_subject(text: &str) -> Option<&str> {
    let (words, quoted) = text.split_once('"')?;
    if !words.to_ascii_lowercase().contains("permissions violation for publish") {
        return None;
    }
    quoted.split_once('"').map(|(subject, _)| subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(subject: &str) -> Event {
        Event::ServerError(ServerError::Other(format!("Permissions Violation for Publish to \"{subject}\"")))
    }

    #[tokio::test]
    async fn a_refusal_reaches_those_who_wait_for_its_subject_only() {
        let denials = Denials::new();
        let mine = denials.denied("$KV.b.mine");
        let other = denials.denied("$KV.b.other");
        tokio::pin!(mine, other);
        assert!(futures_util::poll!(&mut mine).is_pending());
        assert!(futures_util::poll!(&mut other).is_pending());
        denials.observe(&violation("$KV.b.mine"));
        mine.await;
        assert!(futures_util::poll!(&mut other).is_pending());
    }

    #[tokio::test]
    async fn an_earlier_refusal_says_nothing_about_a_later_request() {
        let denials = Denials::new();
        denials.observe(&violation("$KV.b.k"));
        let later = denials.denied("$KV.b.k");
        tokio::pin!(later);
        assert!(futures_util::poll!(&mut later).is_pending());
    }

    #[tokio::test]
    async fn refusals_beyond_the_memory_are_forgotten_in_order() {
        let denials = Denials::new();
        let last = denials.denied("last");
        tokio::pin!(last);
        assert!(futures_util::poll!(&mut last).is_pending());
        for number in 0..REMEMBERED * 2 {
            denials.observe(&violation(&number.to_string()));
        }
        denials.observe(&violation("last"));
        last.await;
    }

    #[test]
    fn only_a_refused_publish_counts() {
        assert_eq!(refused_subject("Permissions Violation for Publish to \"a.b\""), Some("a.b"));
        assert_eq!(refused_subject("Permissions Violation for Subscription to \"a.b\""), None);
        assert_eq!(refused_subject("Stale Connection"), None);
    }
}
