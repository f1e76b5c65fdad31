//! Somebody else was faster.

use std::time::{Duration, SystemTime};

use derive_more::{Display, Error};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, timeout};

use super::ASKED_AT_ONCE;
use crate::store::{ReadError, Store};
use crate::{Attribution, Entry, Key, Revision, WriteError};

/// A key that somebody else changed after the author of a write had looked at it. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct Conflict {
    /// The key.
    pub key: Key,
    /// The revision that the write was based on; zero for a key that had never been written.
    pub expected: Revision,
    /// The revision that stands there now; `None` when the key vanished.
    pub found: Option<Revision>,
    /// Who wrote it, and why.
    pub by: Attribution,
    /// When, by the server's clock.
    pub at: Option<SystemTime>,
}

/// `checkout.max_items was changed meanwhile: based on revision 5, now at revision 7 by ops ("sale")`
impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was changed meanwhile: based on ", self.key)?;
        if self.expected == Revision::ZERO {
            f.write_str("no value")?;
        } else {
            write!(f, "revision {}", self.expected)?;
        }
        match self.found {
            None => return f.write_str(", and it is gone now"),
            Some(found) => write!(f, ", now at revision {found}")?,
        }
        if let Some(author) = self.by.shown_author() {
            write!(f, " by {author}")?;
        }
        if let Some(reason) = &self.by.reason {
            write!(f, " ({reason:?})")?;
        }
        Ok(())
    }
}

impl Conflict {
    pub(super) fn new(key: &Key, expected: Revision, found: Option<&Entry>) -> Self {
        Self {
            key: key.clone(),
            expected,
            found: found.map(Entry::revision),
            by: found.map(Attribution::of).unwrap_or_default(),
            at: found.map(Entry::created),
        }
    }
}

/// What the server meant: its error names a number, not a key.
#[derive(Debug, Display)]
pub(super) enum Verdict {
    /// This key differs.
    #[display("conflict")]
    Conflict(Box<Conflict>),
    /// The newest entry of every key is our own: the write was made, and its acknowledgement lost.
    #[display("written")]
    Written(Vec<(Key, Revision)>),
    /// Every key stands where it was expected.
    #[display("unchanged")]
    Unchanged,
    /// This key stands before where it was expected: somebody answers who does not know of the newest writes.
    #[display("behind")]
    Behind(Box<Conflict>),
}

/// For how long answers that contradict each other are asked for again: a leader that was parted from its cluster answers
/// for a moment when it is back, and what the new one has taken is applied within milliseconds.
pub(super) const SETTLED_WITHIN: Duration = Duration::from_secs(1);

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long is waited for an answer about one key. Who asks has waited for the write already, and where nobody answers it is
/// not known whatever is asked.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// An unconfirmed write after it was asked for in vain: the whole time that it took, to a tenth of a second.
pub(super) fn waited_since(asked: Instant, error: WriteError) -> WriteError {
    const TENTH: u64 = 100;
    match error {
        WriteError::Unconfirmed { after } => {
            let tenths = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX) / TENTH;
            WriteError::Unconfirmed { after: after + Duration::from_millis(tenths.saturating_mul(TENTH)) }
        }
        error => error,
    }
}

/// Looks at the keys of a write that failed, or whose acknowledgement did not come.
pub(super) async fn inspect(
    store: &dyn Store,
    keys: &[(Key, Revision)],
    change: &str,
) -> Result<Verdict, ReadError> {
    let verdict = look_until(store, keys, change, |verdict| !matches!(verdict, Verdict::Behind(_))).await?;
    Ok(match verdict {
        // It lasts: the bucket is another one.
        Verdict::Behind(conflict) => Verdict::Conflict(conflict),
        verdict => verdict,
    })
}

/// Looks again after the server spoke of a conflict that is not there.
///
/// Two servers answer for a moment when a leader that was parted from its cluster is back: the old one with "wrong last
/// sequence", while the new one takes the very same message (measured with 2.15, three replicas). A leader also refuses
/// what conflicts with a write that is not applied yet. So this either turns into one of both, or nobody knows.
pub(super) async fn inspect_again(
    store: &dyn Store,
    keys: &[(Key, Revision)],
    change: &str,
) -> Result<Verdict, ReadError> {
    look_until(store, keys, change, |verdict| matches!(verdict, Verdict::Written(_) | Verdict::Conflict(_)))
        .await
}

/// The first verdict that suffices, or what there is when the time is over.
async fn look_until(
    store: &dyn Store,
    keys: &[(Key, Revision)],
    change: &str,
    suffices: impl Fn(&Verdict) -> bool,
) -> Result<Verdict, ReadError> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        let looked = look(store, keys, change).await;
        let is_final = match &looked {
            Ok(verdict) => suffices(verdict),
            // One that can look like a missing permission is not waited for again.
            Err(ReadError::Timeout { .. }) => true,
            Err(error) => !is_electing(error),
        };
        if is_final || Instant::now() >= deadline {
            return looked;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether an error is what a server says while a bucket has no leader.
pub(super) fn is_electing(error: &ReadError) -> bool {
    error.is_retryable() || matches!(error, ReadError::BucketNotFound { .. })
}

async fn answer(store: &dyn Store, key: &Key) -> Result<Option<Entry>, ReadError> {
    let found = timeout(ANSWER_WITHIN, store.entry(key, None)).await;
    found.map_err(|_| ReadError::Timeout { what: "an entry", after: ANSWER_WITHIN })?
}

async fn look(store: &dyn Store, keys: &[(Key, Revision)], change: &str) -> Result<Verdict, ReadError> {
    let mut written = Vec::new();
    let mut behind = None;
    let mut conflict = None;
    let answers: Vec<BoxFuture<'_, _>> = keys.iter().map(|(key, _)| answer(store, key).boxed()).collect();
    let mut answers = stream::iter(keys).zip(stream::iter(answers).buffered(ASKED_AT_ONCE));
    while let Some(((key, expected), found)) = answers.next().await {
        let found = found?;
        let ours = found.as_ref().filter(|entry| Attribution::of(entry).change.as_deref() == Some(change));
        if let Some(entry) = ours {
            written.push((key.clone(), entry.revision()));
            continue;
        }
        let differs = || Box::new(Conflict::new(key, *expected, found.as_ref()));
        match found.as_ref().map(Entry::revision) {
            Some(revision) if revision < *expected => behind = behind.or_else(|| Some(differs())),
            revision if revision.unwrap_or_default() != *expected => {
                conflict = conflict.or_else(|| Some(differs()));
            }
            _ => {}
        }
    }
    // One key of a batch is enough: it was written whole. The others may have been overwritten since.
    Ok(match conflict {
        _ if !written.is_empty() => Verdict::Written(written),
        Some(conflict) => Verdict::Conflict(conflict),
        None => behind.map_or(Verdict::Unchanged, Verdict::Behind),
    })
}
