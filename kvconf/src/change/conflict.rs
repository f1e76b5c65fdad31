//! Somebody else was faster.

use std::time::SystemTime;

use derive_more::{Display, Error};

use crate::store::{ReadError, Store};
use crate::{Attribution, Entry, Key, Revision};

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
        if let Some(author) = &self.by.author {
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
}

/// Looks at the keys of a write that failed, or whose acknowledgement did not come.
pub(super) async fn inspect(
    store: &dyn Store,
    keys: &[(Key, Revision)],
    change: &str,
) -> Result<Verdict, ReadError> {
    let mut written = Vec::new();
    let mut conflict = None;
    for (key, expected) in keys {
        let found = store.entry(key, None).await?;
        let ours = found.as_ref().filter(|entry| Attribution::of(entry).change.as_deref() == Some(change));
        if let Some(entry) = ours {
            written.push((key.clone(), entry.revision()));
        } else if found.as_ref().map_or(Revision::ZERO, Entry::revision) != *expected && conflict.is_none() {
            conflict = Some(Box::new(Conflict::new(key, *expected, found.as_ref())));
        }
    }
    // One key of a batch is enough: it was written whole. The others may have been overwritten since.
    Ok(match conflict {
        _ if !written.is_empty() => Verdict::Written(written),
        Some(conflict) => Verdict::Conflict(conflict),
        None => Verdict::Unchanged,
    })
}
