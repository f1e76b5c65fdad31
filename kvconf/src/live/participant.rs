//! A handle as the fleet asks it.

use std::sync::{Arc, OnceLock, Weak};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Live, Progress, Shared, lock};
use crate::change::entry_of;
use crate::instance::{
    Base, Candidate, Fault, Handle, Judged, Outcome, Participant, RejectedSet, Settled, Verdict,
};
use crate::schema::KvConfig;
use crate::view::{Overlay, View, contained};
use crate::{Basis, Prefix, Problem, Revision, Schema};

/// One handle, not kept alive.
pub(super) struct Seat<T> {
    shared: Weak<Shared<T>>,
    prefixes: Vec<Prefix>,
    /// Made when somebody asks; `None` in it where the user's code panicked.
    schema: OnceLock<Option<String>>,
    progress: watch::Receiver<Progress>,
    ended: CancellationToken,
}

impl<T: KvConfig> Seat<T> {
    pub(super) fn of(shared: &Arc<Shared<T>>) -> Arc<dyn Participant> {
        Arc::new(Self {
            shared: Arc::downgrade(shared),
            prefixes: shared.table.layers.prefixes(),
            schema: OnceLock::new(),
            progress: shared.progress.subscribe(),
            ended: shared.ended.clone(),
        })
    }

    fn shared(&self) -> Option<Arc<Shared<T>>> {
        self.shared.upgrade().filter(|shared| !shared.ended.is_cancelled())
    }
}

impl<T: KvConfig> Participant for Seat<T> {
    fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    fn describe(&self) -> Option<Handle> {
        let live = Live::from_shared(self.shared()?);
        let health = live.health();
        let problems: &[Problem] = health.report.as_ref().map_or(&[], |report| &report.problems);
        let (faults, more_problems) = Fault::all(problems);
        let basis = match health.basis {
            Basis::Bucket => "bucket",
            Basis::Cache { .. } => "cache",
            Basis::Defaults => "defaults",
        };
        Some(Handle {
            structure: live.shared.table.name.to_owned(),
            prefixes: self.prefixes.iter().map(ToString::to_string).collect(),
            schema: self.schema.get_or_init(|| contained(|| Schema::of::<T>().hash())).clone(),
            applied: health.applied,
            seen: health.seen,
            current: health.is_current(),
            state: health.state.to_string(),
            since: health.since,
            basis: basis.to_owned(),
            rejected: RejectedSet::all(&health.rejected),
            problems: faults,
            more_problems,
        })
    }

    fn judge(&self, candidates: &[Candidate]) -> Option<Judged> {
        let shared = self.shared()?;
        let view = lock(&shared.view);
        Some(judge(&view, candidates))
    }

    fn settled(&self, revision: Revision) -> Option<Settled> {
        let shared = self.shared()?;
        let told = lock(&shared.told);
        let (outcome, problems) = match told.rejection_of(revision) {
            _ if told.seen < revision => (Outcome::Pending, &[][..]),
            None => (Outcome::Applied, &[][..]),
            Some(report) => (Outcome::Rejected, &*report.problems),
        };
        let (problems, more_problems) = Fault::all(problems);
        Some(Settled {
            structure: shared.table.name.to_owned(),
            outcome,
            applied: told.applied,
            seen: told.seen,
            problems,
            more_problems,
        })
    }

    fn reached(&self, revision: Revision) -> BoxFuture<'static, ()> {
        reached(self.progress.clone(), self.ended.clone(), revision).boxed()
    }
}

async fn reached(mut progress: watch::Receiver<Progress>, ended: CancellationToken, revision: Revision) {
    tokio::select! {
        // Its sender goes with the handle.
        _ = progress.wait_for(|progress| progress.seen >= revision) => {}
        () = ended.cancelled() => {}
    }
}

/// What readers would make of a candidate.
fn judge<T: KvConfig>(view: &View<T>, candidates: &[Candidate]) -> Judged {
    let (mut over, mut base, mut concerned) = (Overlay::default(), Base::Same, false);
    for candidate in candidates {
        let Some((layer, key)) = view.layers().place(&candidate.key) else { continue };
        concerned |= view.table.target(key).is_some();
        let known = view.newest(layer, key).map_or(Revision::ZERO, |entry| entry.revision());
        base = match known.cmp(&candidate.expected) {
            std::cmp::Ordering::Greater => Base::Ahead,
            std::cmp::Ordering::Less if base == Base::Same => Base::Behind,
            _ => base,
        };
        let entry = entry_of(&candidate.key, &candidate.action, view.seen.next());
        over.insert(layer, key.to_owned(), Some(Arc::new(entry)));
    }
    let report = if concerned { view.preview(over) } else { None };
    let verdict = match &report {
        _ if !concerned => Verdict::NotConcerned,
        None => Verdict::Accepts,
        Some(_) => Verdict::Rejects,
    };
    let (problems, more_problems) = Fault::all(report.as_ref().map_or(&[], |report| &report.problems));
    Judged {
        structure: view.table.name.to_owned(),
        verdict,
        base,
        applied: view.snapshot.revision(),
        seen: view.seen,
        problems,
        more_problems,
    }
}
