//! What a handle tells of itself to whoever asks.
//!
//! It is a copy of what a view knows, renewed with every step of it, behind a lock under which no code of the program runs: a
//! `validate` function, a codec or a subscriber of `tracing` that asks for the health gets an answer, from before the step that
//! it is a part of.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::schema::KvConfig;
use crate::view::{Group, View};
use crate::{Basis, Rejected, Report, Revision};

/// What is known of a view after its last step.
#[derive(Debug)]
pub(crate) struct Told {
    pub(super) basis: Basis,
    pub(super) applied: Revision,
    pub(super) seen: Revision,
    pub(super) rejected: Vec<Rejected>,
    pub(super) report: Option<Arc<Report>>,
    /// Fields, by key, whose newest value waits for a restart.
    pub(super) awaiting_restart: Vec<String>,
    /// Every revision of the bucket that was rejected.
    refused: BTreeSet<Revision>,
}

impl Told {
    pub(super) fn of<T: KvConfig>(view: &View<T>) -> Self {
        let mut told = Self {
            basis: view.snapshot.basis(),
            applied: Revision::ZERO,
            seen: Revision::ZERO,
            rejected: Vec::new(),
            report: None,
            awaiting_restart: Vec::new(),
            refused: BTreeSet::new(),
        };
        told.renew(view);
        told
    }

    pub(super) fn renew<T: KvConfig>(&mut self, view: &View<T>) {
        (self.basis, self.applied) = (view.snapshot.basis(), view.snapshot.revision());
        self.seen = view.seen;
        self.report.clone_from(&view.report);
        // Both are empty nearly always.
        if !view.rejected.is_empty() || !self.rejected.is_empty() {
            self.rejected = view.rejections();
            self.refused = refused(&view.rejected);
        }
        if !view.awaiting_restart.is_empty() || !self.awaiting_restart.is_empty() {
            let slots = view.awaiting_restart.iter();
            let keys = slots.filter_map(|at| Some(view.table.layers.field_key(&view.table.slot(*at)?.key)));
            self.awaiting_restart = keys.collect();
        }
    }

    /// What is wrong, where readers do not see the change of this revision.
    pub(super) fn rejection_of(&self, revision: Revision) -> Option<&Arc<Report>> {
        if self.refused.contains(&revision) { self.report.as_ref() } else { None }
    }
}

/// The revisions of the changes in these.
fn refused(groups: &[Group]) -> BTreeSet<Revision> {
    let mut refused = BTreeSet::new();
    for group in groups {
        refused.extend(group.source.is_none().then_some(group.revision));
        refused.extend(group.changes.entries().map(|entry| entry.revision()));
    }
    refused
}
