//! What a commit of plain keys would write.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::commit::PlainCommit;
use crate::change::diff::FieldChange;
use crate::change::plan::Planned;
use crate::store::header::has_ttl;
use crate::store::{Action, Store};
use crate::value::show;
use crate::{Entry, Filter, Key, Report, Revision};

/// One key that a plan would write.
#[derive(Clone)]
pub struct PlainChange {
    pub(super) planned: Planned,
    before: Option<Entry>,
}

impl PlainChange {
    /// The key.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.planned.key
    }

    /// What stands there now, with who wrote it; the marker of a removal included.
    #[must_use]
    pub const fn entry(&self) -> Option<&Entry> {
        self.before.as_ref()
    }

    /// The value that stands there now.
    #[must_use]
    pub fn before(&self) -> Option<&Bytes> {
        self.before.as_ref().and_then(Entry::put_value)
    }

    /// The value that would stand there; `None` when the key would be deleted.
    #[must_use]
    pub const fn after(&self) -> Option<&Bytes> {
        match &self.planned.action {
            Action::Put(value) => Some(value),
            Action::Delete | Action::Purge => None,
        }
    }

    /// The revision that the key must still have when it is written; zero for one that was never written.
    #[must_use]
    pub const fn expected(&self) -> Revision {
        self.planned.expected
    }
}

/// `app.port: (4 bytes) → (4 bytes)`, or the values where [`PlainEdit::show_values`](super::PlainEdit::show_values) was
/// asked for.
impl fmt::Display for PlainChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.planned.shown.fmt(f)
    }
}

impl fmt::Debug for PlainChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainChange")
            .field("change", &self.planned.shown)
            .field("expected", &self.planned.expected)
            .finish_non_exhaustive()
    }
}

/// What a commit of plain keys would write. `Display` writes one line for each key, then the reports.
///
/// From [`PlainEdit::plan`](super::PlainEdit::plan).
#[must_use = "a plan writes nothing before `commit`"]
pub struct PlainPlan {
    pub(in crate::change) store: Arc<dyn Store>,
    pub(super) changes: Vec<PlainChange>,
    pub(super) reports: Vec<Report>,
    /// Filters under which nothing may change meanwhile, with the newest revision under each.
    pub(super) guards: Vec<(Filter, Revision)>,
    unchanged: Vec<Key>,
    newest: Revision,
}

impl PlainPlan {
    pub(super) fn new(
        store: Arc<dyn Store>,
        wanted: BTreeMap<Key, Option<Bytes>>,
        mut present: BTreeMap<Key, Entry>,
        guards: Vec<(Filter, Revision)>,
        shows_values: bool,
    ) -> Self {
        let newest = present.values().map(Entry::revision).max().unwrap_or_default();
        let mut changes = Vec::new();
        let mut unchanged = Vec::new();
        for (key, value) in wanted {
            let before = present.remove(&key);
            // A value that is about to go does not stand there as it was asked for.
            let stays = value.is_none() || !before.as_ref().is_some_and(has_ttl);
            if stays && before.as_ref().and_then(Entry::put_value) == value.as_ref() {
                unchanged.push(key);
            } else {
                changes.push(PlainChange::new(key, value, before, shows_values));
            }
        }
        Self { store, changes, reports: Vec::new(), guards, unchanged, newest }
    }

    /// What would change, in the order of the keys.
    pub fn changes(&self) -> impl Iterator<Item = &PlainChange> {
        self.changes.iter()
    }

    /// How many keys would be written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing would be written: the bucket holds these values already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The keys whose value has a time to live, and that get one without: it stays for good, also where it is the same.
    pub fn without_ttl(&self) -> impl Iterator<Item = &Key> {
        let is_kept = |change: &&PlainChange| {
            change.before.as_ref().is_some_and(has_ttl) && matches!(change.planned.action, Action::Put(_))
        };
        self.changes.iter().filter(is_kept).map(PlainChange::key)
    }

    /// The keys that stand already as they were asked for.
    #[must_use]
    pub fn unchanged(&self) -> &[Key] {
        &self.unchanged
    }

    /// The newest revision of the keys that the plan has read.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.newest
    }

    /// Adds what somebody who knows what the values mean has to say about the result: a published schema, a running
    /// instance. With a report that is fatal the commit is refused, unless it is forced with a reason.
    pub fn object(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// What was said about the result, in the order in which it was said.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// The first report that keeps the plan from being committed.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.reports.iter().find(|report| report.is_fatal())
    }

    /// Writes the plan, all of it or nothing: `plan.commit().author("ops").reason("sale").await?`.
    pub fn commit(self) -> PlainCommit {
        PlainCommit::new(self)
    }
}

impl fmt::Display for PlainPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("nothing to change");
        }
        for (at, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if at == 0 { "" } else { "\n" })?;
        }
        self.reports.iter().try_for_each(|report| write!(f, "\n{report}"))
    }
}

impl fmt::Debug for PlainPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainPlan")
            .field("changes", &self.changes)
            .field("reports", &self.reports)
            .finish_non_exhaustive()
    }
}

impl PlainChange {
    fn new(key: Key, value: Option<Bytes>, before: Option<Entry>, shows_values: bool) -> Self {
        let shown = |bytes: &Bytes| {
            if shows_values { show(bytes) } else { format!("({} bytes)", bytes.len()) }
        };
        let present = before.as_ref().and_then(Entry::put_value);
        let mut change = FieldChange::new(key.to_string(), present.map(shown), value.as_ref().map(shown));
        if before.as_ref().is_some_and(has_ttl) {
            change.before_goes();
        }
        let shown = if shows_values { change.with_details(None, present, value.as_ref()) } else { change };
        let expected = before.as_ref().map(Entry::revision).unwrap_or_default();
        let action = value.map_or(Action::Delete, Action::Put);
        let present = present.cloned();
        Self { planned: Planned { key, action, before: present, expected, shown }, before }
    }
}
