//! Missing permissions, as the server tells them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{Event, ServerError};
use tokio::sync::Notify;

/// How many refusals are remembered. They are picked up by the requests that wait for an answer at that moment; this is
/// more than one process has outstanding.
const REMEMBERED: usize = 256;

/// What the server refused to do with a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Publish,
    Subscribe,
}

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
    subjects: VecDeque<(Deed, String)>,
}

impl Refused {
    fn end(&self) -> u64 {
        self.forgotten + self.subjects.len() as u64
    }

    /// The first refusal since `seen` refusals that is looked for.
    fn since(&self, seen: u64, wanted: &impl Fn(Deed, &str) -> bool) -> Option<String> {
        let skip = usize::try_from(seen.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        let mut refused = self.subjects.iter().skip(skip);
        refused.find(|(deed, subject)| wanted(*deed, subject)).map(|(_, subject)| subject.clone())
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
        let Some((deed, subject)) = refused_subject(text) else { return };
        {
            let mut refused = self.refused();
            if refused.subjects.len() == REMEMBERED {
                refused.subjects.pop_front();
                refused.forgotten += 1;
            }
            refused.subjects.push_back((deed, subject.to_owned()));
        }
        self.0.news.notify_waiters();
    }

    /// Completes when publishing to `subject` is refused, with the subject; also when the server will not let anything
    /// below `inbox` be listened to: then no answer can come.
    pub(super) fn denied(&self, subject: &str, inbox: Option<&str>) -> impl Future<Output = String> + use<> {
        let (subject, inbox) = (subject.to_owned(), inbox.map(str::to_owned));
        self.first(move |deed, refused| match deed {
            Deed::Publish => refused == subject,
            Deed::Subscribe => inbox.as_deref().is_some_and(|inbox| refused.starts_with(inbox)),
        })
    }

    /// Completes when a subscription to `subject` is refused, with the subject.
    #[cfg(feature = "fleet")]
    pub(super) fn denied_subscription(&self, subject: &str) -> impl Future<Output = String> + use<> {
        let subject = subject.to_owned();
        self.first(move |deed, refused| deed == Deed::Subscribe && refused == subject)
    }

    /// The first refusal from now on, not only from when it is polled, that is looked for.
    fn first<F: Fn(Deed, &str) -> bool>(&self, wanted: F) -> impl Future<Output = String> + use<F> {
        let (seen, denials) = (self.refused().end(), self.clone());
        async move {
            loop {
                let news = denials.0.news.notified();
                tokio::pin!(news);
                // Registered before looking: what comes in between wakes it.
                news.as_mut().enable();
                if let Some(subject) = denials.refused().since(seen, &wanted) {
                    return subject;
                }
                news.await;
            }
        }
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was refused in `Permissions Violation for Publish to "$KV.prod.a"`, and in the same for a subscription.
fn refused_subject(text: &str) -> Option<(Deed, &str)> {
    let (words, quoted) = text.split_once('"')?;
    let words = words.to_ascii_lowercase();
    let deed = if words.contains("permissions violation for publish") {
        Deed::Publish
    } else if words.contains("permissions violation for subscription") {
        Deed::Subscribe
    } else {
        return None;
    };
    quoted.split_once('"').map(|(subject, _)| (deed, subject))
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
        let mine = denials.denied("$KV.b.mine", None);
        let other = denials.denied("$KV.b.other", None);
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
        let later = denials.denied("$KV.b.k", None);
        tokio::pin!(later);
        assert!(futures_util::poll!(&mut later).is_pending());
    }

    #[tokio::test]
    async fn refusals_beyond_the_memory_are_forgotten_in_order() {
        let denials = Denials::new();
        let last = denials.denied("last", None);
        tokio::pin!(last);
        assert!(futures_util::poll!(&mut last).is_pending());
        for number in 0..REMEMBERED * 2 {
            denials.observe(&violation(&number.to_string()));
        }
        denials.observe(&violation("last"));
        last.await;
    }

    #[tokio::test]
    async fn a_refused_inbox_ends_the_wait_for_an_answer() {
        let denials = Denials::new();
        let publish = denials.denied("$KV.b.k", Some("_INBOX_app."));
        let subscription =
            denials.first(|deed, subject| (deed, subject) == (Deed::Subscribe, "kvconf.b.who"));
        tokio::pin!(publish, subscription);
        // A publish to that subject is something else.
        denials.observe(&violation("kvconf.b.who"));
        for subject in ["kvconf.b.other", "_INBOX_app.x.*"] {
            let text = format!("Permissions Violation for Subscription to \"{subject}\"");
            denials.observe(&Event::ServerError(ServerError::Other(text)));
        }
        assert_eq!(publish.await, "_INBOX_app.x.*");
        assert!(futures_util::poll!(&mut subscription).is_pending());
    }

    #[test]
    fn only_refusals_count() {
        assert_eq!(
            refused_subject("Permissions Violation for Publish to \"a.b\""),
            Some((Deed::Publish, "a.b"))
        );
        assert_eq!(
            refused_subject("Permissions Violation for Subscription to \"a.b\" using queue \"q\""),
            Some((Deed::Subscribe, "a.b"))
        );
        assert_eq!(refused_subject("Stale Connection"), None);
    }
}
