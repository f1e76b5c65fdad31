//! What is known of a bucket and of the ways to it, remembered from the server's answers.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::error::Failure;
use super::stream::Stream;
use crate::Revision;

/// How many requests in a row must stay unanswered before a way is taken for forbidden. One can be an accident, such as a
/// leader that moves.
const ENOUGH: u8 = 2;

/// Facts about a bucket that decide how it is asked. All of them are hints but one: batches are sent only when the stream
/// itself has said that it takes them.
#[derive(Debug, Default)]
pub(super) struct Known {
    batches: AtomicBool,
    replicas: AtomicBool,
    /// Whether it is a mirror, or has sources.
    copy: AtomicBool,
    /// Whether it is a mirror of all that another bucket has, at the same revisions.
    mirror: AtomicBool,
    /// 0 stands for no limit.
    max_value_size: AtomicU64,
    /// When the bucket was created, in nanoseconds since 1970, as it last said it; 0 where it never did.
    created: AtomicU64,
    /// The newest revision that this process was told of for a write of its own.
    newest: AtomicU64,
    /// Whether the stream's own settings and state may be asked for.
    pub(super) info: Way,
    /// Whether the leader may be asked for a message.
    pub(super) message_get: Way,
    /// Whether direct gets of several keys are answered.
    pub(super) multi_last: Way,
    /// Whether one consumer may have several filters.
    pub(super) filters: Way,
}

impl Known {
    /// Takes note of the stream's settings.
    pub(super) fn learn(&self, stream: &Stream) {
        let replicas = stream.get("num_replicas").and_then(Value::as_u64).unwrap_or(1);
        self.replicas.store(replicas > 1, Ordering::Relaxed);
        let mirror = stream.get("mirror").and_then(Value::as_object);
        let is_mirror = mirror.is_some();
        self.mirror.store(mirror.is_some_and(copies_all), Ordering::Relaxed);
        let has_sources = stream.get("sources").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
        self.copy.store(is_mirror || has_sources, Ordering::Relaxed);
        if !is_mirror {
            self.learn_of_writes(stream);
        }
    }

    /// Takes note of what the stream that takes the writes says of them: a mirror takes none itself.
    pub(super) fn learn_of_writes(&self, stream: &Stream) {
        let batches = stream.get("allow_atomic").and_then(Value::as_bool).unwrap_or(false);
        self.batches.store(batches, Ordering::Relaxed);
        let max = stream.get("max_msg_size").and_then(Value::as_u64).unwrap_or(0);
        self.max_value_size.store(max, Ordering::Relaxed);
    }

    /// When the bucket was created, as it last said it: by now there may be another one.
    pub(super) fn created(&self) -> Option<SystemTime> {
        let nanos = self.created.load(Ordering::Relaxed);
        (nanos > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
    }

    /// Takes note of when the bucket says that it was created.
    pub(super) fn was_created(&self, at: Option<SystemTime>) {
        let since = at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let nanos = since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        self.created.store(nanos, Ordering::Relaxed);
    }

    /// Whether the stream has several copies.
    pub(super) fn has_replicas(&self) -> bool {
        self.replicas.load(Ordering::Relaxed)
    }

    /// Whether it copies another bucket, as a mirror or by sources.
    pub(super) fn is_a_copy(&self) -> bool {
        self.copy.load(Ordering::Relaxed)
    }

    /// Whether it is a mirror of all that another bucket has.
    pub(super) fn is_a_mirror(&self) -> bool {
        self.mirror.load(Ordering::Relaxed)
    }

    pub(super) fn newest(&self) -> Revision {
        Revision::new(self.newest.load(Ordering::Relaxed))
    }

    pub(super) fn wrote(&self, revision: Revision) {
        self.newest.fetch_max(revision.get(), Ordering::Relaxed);
    }

    pub(super) fn forget_newest(&self) {
        self.newest.store(0, Ordering::Relaxed);
    }

    pub(super) fn allows_batches(&self) -> bool {
        self.batches.load(Ordering::Relaxed)
    }

    pub(super) fn forbid_batches(&self) {
        self.batches.store(false, Ordering::Relaxed);
    }

    /// The largest value with its headers, in bytes.
    pub(super) fn max_value_size(&self) -> Option<usize> {
        let max = self.max_value_size.load(Ordering::Relaxed);
        usize::try_from(max).ok().filter(|max| *max > 0)
    }
}

/// Whether a mirror leaves nothing out. (A transform of all subjects, to another bucket's name, leaves out none either.)
fn copies_all(mirror: &serde_json::Map<String, Value>) -> bool {
    let is_wide = |filter: &str| match filter.split('.').collect::<Vec<_>>()[..] {
        [""] | [">"] => true,
        ["$KV", _, rest] => rest == ">",
        _ => false,
    };
    let is_narrow = |filter: &Value| filter.as_str().is_some_and(|filter| !is_wide(filter));
    let transforms = mirror.get("subject_transforms").and_then(Value::as_array);
    let sources = transforms.into_iter().flatten().filter_map(|transform| transform.get("src"));
    !sources.chain(mirror.get("filter_subject")).any(is_narrow)
}

/// After which time a way that is taken for forbidden is tried again at first; twice as long after each trial in vain.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How often that is doubled: to a little more than twenty minutes.
const DOUBLED: u8 = 7;

/// One kind of request that the client's user may be forbidden to make, and that has a replacement.
#[derive(Debug)]
pub(super) struct Way {
    unanswered: AtomicU8,
    origin: Instant,
    /// When it was closed, or last tried since, in milliseconds since the origin.
    closed_at: AtomicU64,
    /// How often it was tried in vain since it was closed.
    trials: AtomicU8,
}

impl Default for Way {
    fn default() -> Self {
        let (unanswered, trials) = (AtomicU8::default(), AtomicU8::default());
        Self { unanswered, origin: Instant::now(), closed_at: AtomicU64::default(), trials }
    }
}

impl Way {
    /// Whether it is worth trying.
    pub(super) fn is_open(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) < ENOUGH
    }

    /// As [`Self::is_open`], or it is time to try it again: permissions can be granted later. One caller is told so, who pays
    /// with the time that the answer takes; and rarely, for the server may log each refusal.
    pub(super) fn is_worth_a_trial(&self) -> bool {
        self.is_worth_a_trial_after(self.origin.elapsed())
    }

    fn is_worth_a_trial_after(&self, elapsed: Duration) -> bool {
        if self.is_open() {
            return true;
        }
        let doubled = self.trials.load(Ordering::Relaxed).min(DOUBLED);
        let wait = TRIED_AGAIN_AFTER * (1 << doubled);
        let (now, closed_at) = (millis(elapsed), self.closed_at.load(Ordering::Relaxed));
        now.saturating_sub(closed_at) >= millis(wait)
            && self.closed_at.compare_exchange(closed_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            && {
                self.trials.store(doubled + 1, Ordering::Relaxed);
                true
            }
    }

    /// Whether there is no reason to doubt it.
    pub(super) fn is_trusted(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) == 0
    }

    pub(super) fn worked(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
        self.trials.store(0, Ordering::Relaxed);
    }

    /// Takes note that it failed, while its replacement worked.
    pub(super) fn failed(&self, failure: &Failure) {
        let add = match failure {
            Failure::NotPermitted(_) | Failure::NoResponders => ENOUGH,
            Failure::Timeout(_) => 1,
            _ => return,
        };
        self.closed_at.store(millis(self.origin.elapsed()), Ordering::Relaxed);
        let more = |unanswered: u8| Some(unanswered.saturating_add(add));
        let _ = self.unanswered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unanswered_request_does_not_close_a_way() {
        let way = Way::default();
        let timeout = Failure::Timeout(Duration::from_secs(1));
        way.failed(&timeout);
        assert!(way.is_open() && !way.is_trusted());
        way.worked();
        assert!(way.is_trusted());
        way.failed(&timeout);
        way.failed(&timeout);
        assert!(!way.is_open());
    }

    #[test]
    fn a_refusal_closes_a_way_at_once() {
        let way = Way::default();
        way.failed(&Failure::NotPermitted("s".into()));
        assert!(!way.is_open());
    }

    #[test]
    fn a_closed_way_is_tried_again_by_one_and_more_and_more_rarely() {
        let way = Way::default();
        way.failed(&Failure::NotPermitted("s".into()));
        let opens_at = |tens: u64| way.is_worth_a_trial_after(Duration::from_secs(tens * 10 + 5));
        let opened: Vec<u64> = (0..520).filter(|tens| opens_at(*tens)).collect();
        assert_eq!(opened, [1, 3, 7, 15, 31, 63, 127, 255, 383, 511]);
        way.worked();
        assert!(opens_at(0) && opens_at(0));
    }

    #[test]
    fn batches_are_off_until_the_stream_says_otherwise() {
        let known = Known::default();
        assert!(!known.allows_batches());
        known.learn(serde_json::json!({ "allow_atomic": true, "max_msg_size": 7 }).as_object().unwrap());
        assert_eq!((known.allows_batches(), known.max_value_size()), (true, Some(7)));
        known.learn(serde_json::json!({ "max_msg_size": -1 }).as_object().unwrap());
        assert_eq!((known.allows_batches(), known.max_value_size()), (false, None));
    }

    #[test]
    fn what_a_mirror_says_of_writes_is_not_what_counts() {
        let known = Known::default();
        known.learn_of_writes(
            serde_json::json!({ "allow_atomic": true, "max_msg_size": 7 }).as_object().unwrap(),
        );
        known.learn(serde_json::json!({ "mirror": { "name": "KV_b" } }).as_object().unwrap());
        assert_eq!((known.allows_batches(), known.max_value_size()), (true, Some(7)));
        assert!(known.is_a_copy() && known.is_a_mirror());
        known.learn(serde_json::json!({ "mirror": null, "sources": [] }).as_object().unwrap());
        assert!(!known.is_a_copy());
        known.learn(serde_json::json!({ "sources": [{ "name": "KV_b" }] }).as_object().unwrap());
        assert!(known.is_a_copy() && !known.is_a_mirror());
    }

    // P2: where entries are left out, the rest of a set may never come.
    #[test]
    fn a_mirror_of_some_keys_is_none_of_all() {
        let copies_all = |mirror: Value| copies_all(mirror.as_object().unwrap());
        assert!(copies_all(serde_json::json!({ "name": "KV_b" })));
        assert!(copies_all(serde_json::json!({ "name": "KV_b", "filter_subject": "$KV.b.>" })));
        let renamed = serde_json::json!([{ "src": "$KV.b.>", "dest": "$KV.c.>" }]);
        assert!(copies_all(serde_json::json!({ "name": "KV_b", "subject_transforms": renamed })));
        assert!(!copies_all(serde_json::json!({ "name": "KV_b", "filter_subject": "$KV.b.app.>" })));
        let narrow = serde_json::json!([{ "src": "$KV.b.app.>", "dest": "$KV.c.app.>" }]);
        assert!(!copies_all(serde_json::json!({ "name": "KV_b", "subject_transforms": narrow })));
    }
}
