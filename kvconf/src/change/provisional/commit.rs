//! Writing a change with a deadline.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use derive_more::{Display, Error, From};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{Held, Provisional};
use crate::attribution::{BEFORE, PROVISIONAL, new_change_id};
use crate::change::ASKED_AT_ONCE;
use crate::change::commit::{Commit, CommitError, Job, MAX_REASON_BYTES, Mark};
use crate::change::conflict::Conflict;
use crate::change::guard::Unwritten;
use crate::change::plan::Planned;
use crate::schema::KvConfig;
use crate::store::{Action, ReadError, Store, header};
use crate::value::duration;
use crate::{Attribution, Key, Operation, Revision};

/// The oldest server whose keys go back. Measured: with two or more older revisions, gets and expectations of 2.11.11 and
/// 2.12.4 took keys for absent (with memory storage 119 of 120); 2.12.5, 2.12.6, 2.12.8, 2.14.0, 2.14.6 and 2.15.1 none.
const OLDEST: &str = "2.12.5";

/// Why a change with a deadline was not made. No value was changed.
#[derive(Debug, Display, Error, From)]
#[non_exhaustive]
pub enum ProvisionalError {
    /// As without a deadline.
    #[display("the change was not made")]
    Commit(CommitError),
    /// The deadline is shorter than the bucket can keep. Servers raise a shorter time to live without a word.
    #[display("a deadline of {asked:?} is too short: the bucket's least is {least:?}")]
    #[from(ignore)]
    TooShort {
        /// The deadline that was asked for.
        asked: Duration,
        /// The bucket's [`limit_markers`](crate::BucketConfig::limit_markers), in whole seconds.
        least: Duration,
    },
    /// The bucket keeps no value for so long.
    #[display("a deadline of {asked:?} is too long: the bucket keeps no value longer than {most:?}")]
    #[from(ignore)]
    TooLong {
        /// The deadline that was asked for.
        asked: Duration,
        /// The bucket's [`max_age`](crate::BucketConfig::max_age).
        most: Duration,
    },
    /// The bucket keeps one revision of a key: there would be nothing to go back to.
    #[display("the bucket keeps no earlier revision to go back to")]
    OneRevision,
    /// The server is too old: when a value with a time to live ended, it often took its key for absent instead of going back
    /// to the earlier value.
    #[display("nats-server {version} does not go back reliably, {least} and later do")]
    #[from(ignore)]
    Server {
        /// The server's version.
        version: String,
        /// The oldest version that does.
        least: &'static str,
    },
    /// The bucket has no [`limit_markers`](crate::BucketConfig::limit_markers).
    #[display("the bucket has no time to live for single keys")]
    NoTimeToLive,
    /// The bucket or the server does not take so many keys as one atomic batch: they could not go back together.
    #[display("{keys} keys cannot be changed at once, the most is {max}")]
    #[from(ignore)]
    TooMany {
        /// How many.
        keys: usize,
        /// The most that the bucket takes.
        max: usize,
    },
    /// [`Commit::one_by_one`] was asked for: a change in parts cannot go back as one.
    #[display("a change with a deadline cannot be written one by one")]
    OneByOne,
    /// Another change waits to be confirmed at this key: settle it first.
    #[display("{key} waits for change {change} to be confirmed")]
    #[from(ignore)]
    Pending {
        /// The key.
        key: Key,
        /// The other change's id.
        change: Arc<str>,
    },
    /// What stands at the key cannot be kept to go back to: it has a time to live itself, or an operation that kvconf does
    /// not know.
    #[display("what stands at {key} cannot be brought back")]
    #[from(ignore)]
    Irretrievable {
        /// The key.
        key: Key,
    },
    /// The plan is empty.
    #[display("there is nothing to change")]
    Empty,
    /// The bucket's settings or present values could not be read.
    #[display("the bucket could not be looked at")]
    Read(ReadError),
}

impl ProvisionalError {
    /// Whether somebody else was faster.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Commit(error) if error.is_conflict())
    }

    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Commit(error) => error.is_retryable(),
            Self::Read(error) => error.is_retryable(),
            _ => false,
        }
    }
}

impl<T: KvConfig> Commit<T> {
    /// Gives the change a deadline: unless it is confirmed by then, it goes back, also when this process or this machine is
    /// gone. The server's own clock does it.
    ///
    /// The time counts in whole seconds, a fraction is rounded up. It must not be below the bucket's
    /// [`limit_markers`](crate::BucketConfig::limit_markers) (10 s in a bucket made by kvconf). What is relied on, and what
    /// nobody can do, stands in [`guide::deadline`](crate::guide::deadline).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use kvconf::{Bucket, KvConfig};
    ///
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     #[kv(default = 50)]
    ///     max_items: u32,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = Bucket::memory();
    /// let live = bucket.live::<Checkout>().start().await?;
    /// let plan = live.edit().set(Checkout::fields().max_items, 80).plan().await?;
    /// let change = plan.commit().author("ops").confirm_within(Duration::from_secs(600)).await?;
    /// live.wait_for(change.revision()).await?;
    /// assert_eq!(live.load().max_items, 80);
    ///
    /// // Everything looks well: it shall stay. Without this line it goes back after ten minutes.
    /// change.confirm().author("ops").await?;
    /// # Ok(()) }
    /// ```
    pub fn confirm_within(self, deadline: Duration) -> ProvisionalCommit<T> {
        ProvisionalCommit { commit: self, within: deadline }
    }
}

/// A commit with a deadline, to be awaited. From [`Commit::confirm_within`].
#[derive(Debug)]
#[must_use = "nothing is written before it is awaited"]
pub struct ProvisionalCommit<T: KvConfig> {
    commit: Commit<T>,
    within: Duration,
}

impl<T: KvConfig> ProvisionalCommit<T> {
    /// As [`Commit::author`].
    pub fn author(self, author: impl Into<String>) -> Self {
        Self { commit: self.commit.author(author), ..self }
    }

    /// As [`Commit::reason`].
    pub fn reason(self, reason: impl Into<String>) -> Self {
        Self { commit: self.commit.reason(reason), ..self }
    }

    /// As [`Commit::guard_all`].
    pub fn guard_all(self) -> Self {
        Self { commit: self.commit.guard_all(), ..self }
    }

    async fn run(self) -> Result<Provisional, ProvisionalError> {
        let Self { commit: Commit { plan, mut terms, .. }, within } = self;
        let shared = Arc::clone(&plan.shared);
        let store = shared.store.clone().ok_or(CommitError::Fixed)?;
        let change = Arc::clone(&plan.change);
        let attribution = terms.attribution(Arc::clone(&change))?;
        if plan.writes.is_empty() {
            return Err(ProvisionalError::Empty);
        }
        if let Some(report) = plan.report
            && !terms.forces()
        {
            return Err(CommitError::Invalid(Box::new(report)).into());
        }
        if terms.is_one_by_one() && plan.writes.len() > 1 {
            return Err(ProvisionalError::OneByOne);
        }
        let lives = whole_seconds(within);
        check_bucket(&*store, within, lives, plan.writes.len()).await?;
        let ways_back = ways_back(&*store, &plan.writes).await?;

        let before = before(&attribution, &change, lives);
        let before_change = before.change.clone().unwrap_or_default();
        // A message that is there for nothing else would have to go back, too.
        let mut guards = terms.guards(&plan.tails, Unwritten::Refused);
        let mark = Mark::Header(BEFORE, Arc::clone(&change));
        let job =
            Job { store: &*store, attribution: before, change: &before_change, guards: guards.clone(), mark };
        let kept = job.atomic(&ways_back).await?;
        shared.note_written(newest(&kept));

        guards.expect_own(&kept);
        let writes = on_top(plan.writes, &kept);
        let mark = Mark::Provisional(lives);
        let job = Job { store: &*store, attribution: attribution.clone(), change: &change, guards, mark };
        let written = job.atomic(&writes).await?;
        shared.note_written(newest(&written));
        let held = held(&writes, &written);
        let since = made(&*store, &held).await;
        let deadline = since.checked_add(lives).unwrap_or(since);
        let (total, newest) = (writes.len(), Some(Arc::clone(&shared.written)));
        Ok(Provisional { store, written: newest, change, by: attribution, since, deadline, held, total })
    }
}

impl<T: KvConfig> IntoFuture for ProvisionalCommit<T> {
    type Output = Result<Provisional, ProvisionalError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// # Errors
    /// [`ProvisionalError`]. No value was changed then, unless
    /// [`WriteError::Unconfirmed`](crate::WriteError::Unconfirmed) says that it is unknown.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the change made or not made, never half made. Made, it goes back like any other.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Servers count in whole seconds. It never goes back before it was said to.
fn whole_seconds(within: Duration) -> Duration {
    Duration::from_secs(within.as_secs().saturating_add(u64::from(within.subsec_nanos() > 0)))
}

/// Refuses what the bucket could not do, before anything is written.
async fn check_bucket(
    store: &dyn Store,
    asked: Duration,
    lives: Duration,
    keys: usize,
) -> Result<(), ProvisionalError> {
    let status = store.status().await?;
    if let Some(version) = status.server_version.filter(|version| is_too_old(version)) {
        return Err(ProvisionalError::Server { version, least: OLDEST });
    }
    if status.config.history == Some(1) {
        return Err(ProvisionalError::OneRevision);
    }
    let Some(markers) = status.config.limit_markers else { return Err(ProvisionalError::NoTimeToLive) };
    let least = whole_seconds(markers).max(Duration::from_secs(1));
    if lives < least {
        return Err(ProvisionalError::TooShort { asked, least });
    }
    if let Some(most) = status.config.max_age
        && lives > most
    {
        return Err(ProvisionalError::TooLong { asked, most });
    }
    if keys > status.max_batch {
        return Err(ProvisionalError::TooMany { keys, max: status.max_batch });
    }
    Ok(())
}

/// Whether a server is older than [`OLDEST`]. One that does not say its version in numbers is taken to be new.
fn is_too_old(version: &str) -> bool {
    let numbers = |text: &str| {
        // "2.14.0-RC.1" is as good as "2.14.0".
        let release = text.trim_start_matches('v').split('-').next()?;
        release.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()
    };
    matches!((numbers(version), numbers(OLDEST)), (Some(found), Some(oldest)) if found < oldest)
}

/// For every key a copy of what stands there.
async fn ways_back(store: &dyn Store, writes: &[Planned]) -> Result<Vec<Planned>, ProvisionalError> {
    let way = |write: &Planned| way_back(store, write.key.clone(), write.expected).boxed();
    let ways: Vec<BoxFuture<'_, _>> = writes.iter().map(way).collect();
    stream::iter(ways).buffered(ASKED_AT_ONCE).try_collect().await
}

async fn way_back(store: &dyn Store, key: Key, expected: Revision) -> Result<Planned, ProvisionalError> {
    let found = store.entry(&key, None).await?;
    if found.as_ref().map_or(Revision::ZERO, |entry| entry.revision()) != expected {
        let conflict = Conflict::new(&key, expected, found.as_ref());
        return Err(CommitError::Conflict(Box::new(conflict)).into());
    }
    let action = match &found {
        None => Action::Delete,
        Some(entry) => {
            let headers = entry.headers();
            if headers.get(PROVISIONAL).is_some() {
                let change = Attribution::of(entry).change.unwrap_or_default();
                return Err(ProvisionalError::Pending { key, change });
            }
            match entry.operation() {
                operation if operation.is_removal() => Action::Delete,
                Operation::Put if headers.get(header::TTL).is_none() => Action::Put(entry.value().clone()),
                _ => return Err(ProvisionalError::Irretrievable { key }),
            }
        }
    };
    Ok(Planned::bare(key, action, expected))
}

/// What the copies say: when they are current again, it was because nobody confirmed the change.
fn before(of: &Attribution, change: &str, lives: Duration) -> Attribution {
    let within = duration::format(lives);
    let mut reason = format!("goes back to this unless change {change} is confirmed within {within}");
    if let Some(why) = &of.reason {
        reason.push_str(": ");
        reason.push_str(why);
    }
    Attribution {
        author: of.author.clone(),
        reason: Some(cut(&reason).into()),
        change: Some(new_change_id()),
    }
}

/// As much of a reason as a header takes.
pub(super) fn cut(reason: &str) -> &str {
    let end = (0..=MAX_REASON_BYTES.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at));
    reason.get(..end.unwrap_or(0)).unwrap_or(reason).trim_end()
}

/// The same writes, on top of what was kept.
fn on_top(writes: Vec<Planned>, kept: &[(Key, Revision)]) -> Vec<Planned> {
    let kept: HashMap<&Key, Revision> = kept.iter().map(|(key, revision)| (key, *revision)).collect();
    let on_top = |write: Planned| {
        // One that is missing was overwritten by somebody before its acknowledgement came: a conflict.
        let expected = kept.get(&write.key).copied().unwrap_or(write.expected);
        Planned { expected, ..write }
    };
    writes.into_iter().map(on_top).collect()
}

fn newest(written: &[(Key, Revision)]) -> Revision {
    written.iter().map(|(_, revision)| *revision).max().unwrap_or_default()
}

/// The keys of a change that was written on top of what it goes back to.
fn held(writes: &[Planned], written: &[(Key, Revision)]) -> Vec<Held> {
    let back: HashMap<&Key, Revision> = writes.iter().map(|write| (&write.key, write.expected)).collect();
    let held = |(key, revision): &(Key, Revision)| {
        let back = back.get(key).copied().unwrap_or_default();
        Held { key: key.clone(), revision: *revision, back }
    };
    written.iter().map(held).collect()
}

/// When a change was made by the server's clock, or by this one where the server does not answer: it is made in any case.
async fn made(store: &dyn Store, held: &[Held]) -> SystemTime {
    let entry = match held.first() {
        Some(first) => store.entry(&first.key, Some(first.revision)).await.ok().flatten(),
        None => None,
    };
    entry.map_or_else(SystemTime::now, |entry| entry.created())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_rounded_up_to_whole_seconds() {
        let seconds = |millis| whole_seconds(Duration::from_millis(millis)).as_secs();
        assert_eq!([0, 1, 1_000, 1_001].map(seconds), [0, 1, 1, 2]);
        assert_eq!(whole_seconds(Duration::MAX), Duration::from_secs(u64::MAX));
    }

    #[test]
    fn servers_are_compared_by_number() {
        let old = ["2.11.11", "2.12.4", "v2.12.4-RC.1", "2.9.25"];
        assert_eq!(old.map(is_too_old), [true; 4]);
        let new = ["2.12.5", "2.12.10", "2.14.0-RC.1", "v2.15.1", "3.0.0", "main"];
        assert_eq!(new.map(is_too_old), [false; 6]);
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(cut("sale"), "sale");
        let long = format!("{}é", "x".repeat(MAX_REASON_BYTES - 1));
        assert_eq!(cut(&long).len(), MAX_REASON_BYTES - 1);
    }
}
