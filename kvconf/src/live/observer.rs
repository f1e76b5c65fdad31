//! Between the bucket's watch and a handle.

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Instant, SystemTime};

use tokio::sync::oneshot;

use super::meter::Took;
use super::{Shared, StartError, lock};
use crate::exposure::Observers;
use crate::layer::Layers;
use crate::schema::KvConfig;
use crate::seal::Seals;
use crate::source::{Content, Source};
use crate::store::Store;
use crate::view::{Draft, Outcome, Table, View, newly_rejected, revisions};
use crate::watch::{Observer, Update, WatchState};
use crate::{Entry, Report, Revision};

type Started<T> = oneshot::Sender<Result<Arc<Shared<T>>, StartError>>;

/// What a handle needs to begin.
#[derive(Clone)]
pub(super) struct Beginning {
    /// Made by whoever needs it first.
    pub(super) table: Arc<OnceLock<Arc<Table>>>,
    pub(super) environment: Environment,
    pub(super) seals: Seals,
    pub(super) observers: Option<Observers>,
    pub(super) layers: Layers,
    pub(super) store: Arc<dyn Store>,
    /// Whether something can stand in for the bucket's state, should that not be valid.
    pub(super) has_fallback: bool,
    /// What sources outside the bucket say.
    pub(super) given: Arc<[(Source, Content)]>,
}

/// Whether environment variables count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    Read,
    Ignored,
}

/// The struct's table, with the environment as it is now.
pub(crate) fn table_of<T: KvConfig>(
    environment: Environment,
    seals: Seals,
    observers: Option<Observers>,
    layers: Layers,
) -> Arc<Table> {
    let variable = |name: &str| {
        let value = (environment == Environment::Read).then(|| std::env::var_os(name)).flatten()?;
        Some(value.into_encoded_bytes())
    };
    let table = Table::new::<T>(&variable).with_seals(seals).observed_by(observers);
    Arc::new(table.with_layers(layers))
}

impl Beginning {
    pub(super) fn table<T: KvConfig>(&self) -> Arc<Table> {
        let table = || {
            let (seals, observers) = (self.seals.clone(), self.observers.clone());
            table_of::<T>(self.environment, seals, observers, self.layers.clone())
        };
        Arc::clone(self.table.get_or_init(table))
    }
}

/// How far a handle is.
enum Stage<T: KvConfig> {
    /// The bucket's state is still to come, and nothing is served yet.
    Waiting(Started<T>),
    /// The bucket's state came and is not valid, and something else is being looked for. What came since is kept.
    Refused(Vec<Update>),
    /// Something else is served, and the bucket's state is still to come.
    Standing(Weak<Shared<T>>),
    /// The bucket's states are served.
    Following(Weak<Shared<T>>),
    /// The start was given up.
    Over,
}

struct Inner<T: KvConfig> {
    stage: Stage<T>,
    state: WatchState,
    created: Option<SystemTime>,
}

/// Where the watch and whoever starts a handle meet: one of them puts the first state in.
pub(super) struct Seat<T: KvConfig> {
    beginning: Beginning,
    inner: Mutex<Inner<T>>,
}

impl<T: KvConfig> Seat<T> {
    pub(super) fn new(beginning: Beginning, started: Started<T>) -> Arc<Self> {
        let inner = Inner { stage: Stage::Waiting(started), state: WatchState::Loading, created: None };
        Arc::new(Self { beginning, inner: Mutex::new(inner) })
    }

    /// How the watch is.
    pub(super) fn state(&self) -> WatchState {
        lock(&self.inner).state.clone()
    }

    /// Serves `view` until the bucket's state can be. When that came in between it is taken on top; a handle that has
    /// begun by itself meanwhile stays as it is, and is the outcome of the start.
    pub(super) fn stand_in(&self, view: View<T>) -> Option<Arc<Shared<T>>> {
        let mut inner = lock(&self.inner);
        let held = match &mut inner.stage {
            Stage::Waiting(_) => Vec::new(),
            Stage::Refused(held) => std::mem::take(held),
            Stage::Standing(_) | Stage::Following(_) | Stage::Over => return None,
        };
        let store = Arc::clone(&self.beginning.store);
        let shared = Arc::new(Shared::new(view, Some(store), inner.state.clone()));
        let created = inner.created;
        let begun = !held.is_empty();
        for (at, update) in held.iter().enumerate() {
            shared.take(created, &|view| if at == 0 { view.adopt(update) } else { view.apply(update) });
        }
        let weak = Arc::downgrade(&shared);
        inner.stage = if begun { Stage::Following(weak) } else { Stage::Standing(weak) };
        Some(shared)
    }

    fn update(&self, update: &Update) {
        let mut inner = lock(&self.inner);
        let created = inner.created;
        match std::mem::replace(&mut inner.stage, Stage::Over) {
            Stage::Waiting(started) => {
                let table = self.beginning.table::<T>();
                let given = self.beginning.given.to_vec();
                let view = View::start_with(table, self.beginning.store.name(), update, given);
                inner.stage = self.begin(&inner, started, view, Some(update));
            }
            Stage::Refused(mut held) => {
                held.push(update.clone());
                inner.stage = Stage::Refused(held);
            }
            Stage::Standing(weak) => {
                inner.stage = Stage::Following(Weak::clone(&weak));
                drop(inner);
                if let Some(shared) = weak.upgrade() {
                    shared.take(created, &|view| view.adopt(update));
                }
            }
            Stage::Following(weak) => {
                inner.stage = Stage::Following(Weak::clone(&weak));
                drop(inner);
                if let Some(shared) = weak.upgrade() {
                    shared.take(created, &|view| view.apply(update));
                }
            }
            Stage::Over => {}
        }
    }

    /// The first state of a handle that waits for it. `false` where something else is needed: the state as an update.
    fn complete(&self, view: Result<View<T>, Report>) -> bool {
        let mut inner = lock(&self.inner);
        match std::mem::replace(&mut inner.stage, Stage::Over) {
            Stage::Waiting(started) if view.is_ok() || !self.beginning.has_fallback => {
                inner.stage = self.begin(&inner, started, view, None);
                true
            }
            stage => {
                inner.stage = stage;
                false
            }
        }
    }

    /// Begins with the bucket's state. Where that is not valid, `held` is kept for what stands in for it.
    fn begin(
        &self,
        inner: &Inner<T>,
        started: Started<T>,
        view: Result<View<T>, Report>,
        held: Option<&Update>,
    ) -> Stage<T> {
        let (stage, outcome) = match view {
            Ok(mut view) => {
                view.created = inner.created;
                let store = Arc::clone(&self.beginning.store);
                let shared = Arc::new(Shared::new(view, Some(store), inner.state.clone()));
                (Stage::Following(Arc::downgrade(&shared)), Ok(shared))
            }
            Err(report) => {
                let stage = if self.beginning.has_fallback {
                    Stage::Refused(held.cloned().into_iter().collect())
                } else {
                    Stage::Over
                };
                (stage, Err(StartError::Invalid(Box::new(report))))
            }
        };
        // Whoever started may have given up.
        let _ = started.send(outcome);
        stage
    }

    fn is_waiting(&self) -> bool {
        matches!(lock(&self.inner).stage, Stage::Waiting(_))
    }

    fn enter(&self, state: &WatchState) {
        let mut inner = lock(&self.inner);
        inner.state = state.clone();
        let shared = match &inner.stage {
            Stage::Standing(weak) | Stage::Following(weak) => weak.upgrade(),
            _ => None,
        };
        if let WatchState::NotPermitted { subject } = state {
            inner.stage = match std::mem::replace(&mut inner.stage, Stage::Over) {
                Stage::Waiting(started) => {
                    let _ = started.send(Err(StartError::NotPermitted { subject: subject.clone() }));
                    // What comes all the same is held until it is known what to do.
                    if self.beginning.has_fallback { Stage::Refused(Vec::new()) } else { Stage::Over }
                }
                stage => stage,
            };
        }
        drop(inner);
        if let Some(shared) = shared {
            shared.enter(state);
        }
    }
}

/// Feeds one handle. It does not keep the handle alive.
pub(super) struct LiveObserver<T: KvConfig> {
    seat: Arc<Seat<T>>,
    /// The state that is being loaded.
    draft: Option<Draft<T>>,
    /// What arrived before the struct's table was there.
    early: Vec<Arc<Entry>>,
    /// How much will arrive.
    expected: usize,
}

impl<T: KvConfig> LiveObserver<T> {
    pub(super) fn new(seat: &Arc<Seat<T>>) -> Self {
        Self { seat: Arc::clone(seat), draft: None, early: Vec::new(), expected: 0 }
    }

    /// Brings the draft up to what has arrived, with this table.
    fn catch_up(&mut self, table: Arc<Table>) -> &mut Draft<T> {
        let (given, expected) = (&self.seat.beginning.given, self.expected);
        let draft = self.draft.get_or_insert_with(|| {
            let mut draft = Draft::new(table, given.to_vec());
            draft.expect(expected);
            draft
        });
        for entry in std::mem::take(&mut self.early) {
            draft.take(entry.key(), Some(&entry));
        }
        draft
    }
}

impl<T: KvConfig> Observer for LiveObserver<T> {
    fn loading(&mut self) {
        self.draft = None;
        self.early.clear();
        self.expected = 0;
    }

    fn expecting(&mut self, entries: usize) {
        self.expected = entries;
    }

    fn arrived(&mut self, entries: &[Arc<Entry>]) {
        if !self.seat.is_waiting() {
            return;
        }
        // Whoever starts the handle makes the table at this very time: waiting for it would hold up the connection.
        match self.seat.beginning.table.get().cloned() {
            None => self.early.extend_from_slice(entries),
            Some(table) => {
                let draft = self.catch_up(table);
                entries.iter().for_each(|entry| draft.take(entry.key(), Some(entry)));
            }
        }
    }

    fn complete(&mut self, revision: Revision, epoch: u64) -> bool {
        if !self.seat.is_waiting() {
            return false;
        }
        self.catch_up(self.seat.beginning.table::<T>());
        let Some(draft) = self.draft.take() else { return false };
        let view = draft.finish(self.seat.beginning.store.name(), revision, epoch);
        self.seat.complete(view)
    }

    fn update(&mut self, update: &Update) {
        self.loading();
        self.seat.update(update);
    }

    fn created(&mut self, at: Option<SystemTime>) {
        lock(&self.seat.inner).created = at;
    }

    fn state(&mut self, state: &WatchState) {
        self.seat.enter(state);
    }
}

impl<T: KvConfig> Shared<T> {
    /// Lets the view take something, and shows what comes out.
    fn take(&self, created: Option<SystemTime>, step: &dyn Fn(&mut View<T>) -> Outcome<T>) {
        let begun = Instant::now();
        let mut view = lock(&self.view);
        let before = revisions(&view.rejected);
        let epoch = view.epoch;
        let outcome = step(&mut view);
        view.created = created;
        if view.epoch != epoch {
            // What was written to another bucket never comes back in this one.
            self.forget_written();
        }
        let newly_rejected = newly_rejected(&view.rejected, &before);
        let took = Took { published: outcome.snapshot.is_some(), newly_rejected };
        self.meter.took(begun.elapsed(), &view, took);
        self.condition.send_if_modified(|condition| {
            condition.contact = Some(SystemTime::now());
            false
        });
        self.show(&view, &outcome);
    }

    /// Tells everybody what came of a change.
    pub(super) fn show(&self, view: &View<T>, outcome: &Outcome<T>) {
        lock(&self.told).renew(view);
        if outcome.report_changed {
            tell(view);
            let report = view.report.clone();
            self.condition.send_modify(|condition| condition.report = report);
        }
        if outcome.snapshot.is_some() {
            self.publish(view);
        } else {
            let (seen, epoch) = (view.seen, view.epoch);
            self.progress.send_modify(|progress| (progress.seen, progress.epoch) = (seen, epoch));
        }
    }

    /// Takes note of the watch's state.
    fn enter(&self, state: &WatchState) {
        let mut entered = false;
        self.condition.send_modify(|condition| entered = condition.enter(state.clone()));
        if entered {
            self.meter.entered(state);
            let bucket = self.store.as_ref().map_or("", |store| store.name());
            let prefix = self.table.layers.to_string();
            let applied = lock(&self.told).applied.get();
            match state {
                WatchState::Live | WatchState::Stopped => {
                    tracing::info!(bucket, prefix, %state, applied, "watch state changed");
                }
                // The regular comparison is one of these: nobody should be called for it.
                WatchState::Loading | WatchState::Lagging { .. } | WatchState::Resyncing { .. } => {
                    tracing::debug!(bucket, prefix, %state, applied, "watch state changed");
                }
                _ => tracing::warn!(bucket, prefix, %state, applied, "watch state changed"),
            }
        }
    }

    /// Shows the view's snapshot to readers. One writer at a time: the view is locked.
    pub(super) fn publish(&self, view: &View<T>) {
        let before = self.current.swap(Arc::clone(&view.snapshot));
        self.progress.send_modify(|progress| {
            progress.seen = view.seen;
            progress.epoch = view.epoch;
            progress.snapshots += 1;
        });
        // At the end: to drop it runs the program's own code.
        drop(before);
    }
}

fn tell<T: KvConfig>(view: &View<T>) {
    match &view.report {
        Some(report) if report.is_fatal() => {
            tracing::error!(bucket = view.bucket, %report, "a change was rejected")
        }
        Some(report) => tracing::warn!(bucket = view.bucket, %report, "odd keys"),
        None => tracing::info!(bucket = view.bucket, name = view.table.name, "all problems are gone"),
    }
}
