//! An update that would write over something it never saw.

use std::fmt;
use std::time::SystemTime;

use derive_more::Error;

use super::plan::{Planned, shown_stored};
use crate::schema::KvConfig;
use crate::view::{Target, View};
use crate::{Attribution, Entry, Key, Operation, Revision};

/// A key that an update would write over although its newest entry is one that readers rejected. Nothing was written.
///
/// The function of an update gets the last good state. What somebody wrote after it, and readers rejected, it never saw:
/// overwriting that would lose it without a word. [`Edit::set`](super::Edit::set) replaces it, with a
/// [`Plan`](super::Plan) that shows it; [`Update::over_rejected`](super::Update::over_rejected) overwrites it unseen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct OverRejected {
    /// The key: an old name of the field ([`alias`](macro@crate::KvConfig)) where the value counts under that one. There may
    /// be more of them.
    pub key: Key,
    /// The revision that was rejected.
    pub revision: Revision,
    /// What was done to the key.
    pub operation: Operation,
    /// The value as it may be shown: shortened, masked for a secret. `None` when it is not a put.
    pub value: Option<String>,
    /// Who wrote it, and why.
    pub by: Attribution,
    /// When, by the server's clock.
    pub at: SystemTime,
}

/// `checkout.max_items: an update would overwrite 501 of revision 7 by ops ("sale"), which readers rejected; replace it
/// by edit().set(..), whose plan shows it`
impl fmt::Display for OverRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: an update would overwrite ", self.key)?;
        f.write_str(match &self.value {
            Some(value) => value,
            None if self.operation.is_removal() => "the removal",
            None => "an unknown operation",
        })?;
        write!(f, " of revision {}", self.revision)?;
        if let Some(author) = self.by.shown_author() {
            write!(f, " by {author}")?;
        }
        if let Some(reason) = &self.by.reason {
            write!(f, " ({reason:?})")?;
        }
        f.write_str(", which readers rejected; replace it by edit().set(..), whose plan shows it")
    }
}

impl OverRejected {
    /// The first of these writes that would overwrite what readers rejected.
    pub(super) fn find<'w, T: KvConfig>(
        view: &View<T>,
        writes: impl IntoIterator<Item = &'w Planned>,
    ) -> Option<Box<Self>> {
        writes.into_iter().find_map(|write| {
            let (layer, key) = view.layers().place(&write.key)?;
            let entry = unseen(view, layer, key)?;
            Some(Box::new(Self {
                key: entry.key().clone(),
                revision: entry.revision(),
                operation: entry.operation(),
                value: entry.put_value().map(|bytes| shown_stored(view, key, bytes)),
                by: Attribution::of(entry),
                at: entry.created(),
            }))
        })
    }
}

/// What readers rejected of a key that is about to be written: its own newest entry, or where it has no value that under the
/// old name which counts then.
fn unseen<'v, T: KvConfig>(view: &'v View<T>, layer: usize, key: &str) -> Option<&'v Entry> {
    if let Some(entry) = view.newest_rejected(layer, key) {
        return Some(entry);
    }
    let Some(Target::Field(at)) = view.table.target(key) else { return None };
    let stands = |name: &str| view.newest(layer, name).is_some_and(|entry| !entry.operation().is_removal());
    let mut older = view.table.slot(at)?.names().into_iter().skip_while(|name| *name != key);
    let mut is_hidden = older.next().is_some_and(stands);
    older.find_map(|name| {
        let rejected = view.newest_rejected(layer, name).filter(|_| !is_hidden);
        is_hidden |= stands(name);
        rejected.map(|entry| &**entry)
    })
}
