//! Between the bucket's watch and a handle.

use std::sync::{Arc, Mutex, OnceLock, Weak};

use tokio::sync::oneshot;

use super::{Shared, StartError, lock};
use crate::schema::KvConfig;
use crate::source::{Content, Source};
use crate::store::Store;
use crate::view::{Draft, Outcome, Table, View};
use crate::watch::{Observer, Update, WatchState};
use crate::{Entry, Prefix, Report, Revision};

type Started<T> = oneshot::Sender<Result<Arc<Shared<T>>, StartError>>;

/// What a handle needs to begin.
pub(super) struct Beginning<T: KvConfig> {
    /// Made by whoever needs it first.
    pub(super) table: Arc<OnceLock<Arc<Table>>>,
    pub(super) environment: Environment,
    pub(super) prefix: Prefix,
    pub(super) store: Arc<dyn Store>,
    pub(super) started: Started<T>,
    /// What sources outside the bucket say.
    pub(super) given: Vec<(Source, Content)>,
    /// Where whoever waits for the start can look up what keeps it.
    pub(super) state: Arc<Mutex<WatchState>>,
}

/// Whether environment variables count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Environment {
    Read,
    Ignored,
}

/// The struct's table, with the environment as it is now.
pub(super) fn table_of<T: KvConfig>(environment: Environment) -> Arc<Table> {
    let variable = |name: &str| {
        let value = (environment == Environment::Read).then(|| std::env::var_os(name)).flatten()?;
        Some(value.into_encoded_bytes())
    };
    Arc::new(Table::new::<T>(&variable))
}

/// Feeds one handle. It does not keep the handle alive.
pub(super) struct LiveObserver<T: KvConfig> {
    beginning: Option<Beginning<T>>,
    /// The state that is being loaded.
    draft: Option<Draft<T>>,
    /// What arrived before the struct's table was there.
    early: Vec<Arc<Entry>>,
    /// What sources outside the bucket say, until the handle has begun.
    given: Vec<(Source, Content)>,
    shared: Weak<Shared<T>>,
    state: WatchState,
}

impl<T: KvConfig> LiveObserver<T> {
    pub(super) fn new(mut beginning: Beginning<T>) -> Self {
        let given = std::mem::take(&mut beginning.given);
        Self {
            beginning: Some(beginning),
            draft: None,
            early: Vec::new(),
            given,
            shared: Weak::new(),
            state: WatchState::Loading,
        }
    }

    /// Brings the draft up to what has arrived, with this table.
    fn catch_up(&mut self, table: &Arc<Table>, prefix: &Prefix) -> &mut Draft<T> {
        let begin = || Draft::new(Arc::clone(table), prefix.clone(), self.given.clone());
        let draft = self.draft.get_or_insert_with(begin);
        for entry in std::mem::take(&mut self.early) {
            draft.take(entry.key(), Some(&entry));
        }
        draft
    }

    fn begin(&mut self, beginning: Beginning<T>, view: Result<View<T>, Report>) {
        self.given.clear();
        let built = view.map_err(|report| StartError::Invalid(Box::new(report))).map(|view| {
            let shared = Arc::new(Shared::new(view, Some(beginning.store), self.state.clone()));
            self.shared = Arc::downgrade(&shared);
            shared
        });
        // Whoever started may have given up.
        let _ = beginning.started.send(built);
    }
}

impl<T: KvConfig> Beginning<T> {
    fn table(&self) -> Arc<Table> {
        Arc::clone(self.table.get_or_init(|| table_of::<T>(self.environment)))
    }
}

impl<T: KvConfig> Observer for LiveObserver<T> {
    fn loading(&mut self) {
        self.draft = None;
        self.early.clear();
    }

    fn arrived(&mut self, entries: &[Arc<Entry>]) {
        let Some(beginning) = &self.beginning else { return };
        // Whoever starts the handle makes the table at this very time: waiting for it would hold up the connection.
        match beginning.table.get().cloned() {
            None => self.early.extend_from_slice(entries),
            Some(table) => {
                let prefix = beginning.prefix.clone();
                let draft = self.catch_up(&table, &prefix);
                entries.iter().for_each(|entry| draft.take(entry.key(), Some(entry)));
            }
        }
    }

    fn complete(&mut self, revision: Revision, epoch: u64) -> bool {
        if let Some(beginning) = self.beginning.take() {
            self.catch_up(&beginning.table(), &beginning.prefix);
            if let Some(draft) = self.draft.take() {
                let view = draft.finish(beginning.store.name(), revision, epoch);
                self.begin(beginning, view);
            }
        }
        true
    }

    fn update(&mut self, update: &Update) {
        if let Some(beginning) = self.beginning.take() {
            self.loading();
            let (table, prefix) = (beginning.table(), beginning.prefix.clone());
            let view = View::start(table, beginning.store.name(), prefix, update, self.given.clone());
            self.begin(beginning, view);
        } else if let Some(shared) = self.shared.upgrade() {
            shared.apply(update);
        }
    }

    fn state(&mut self, state: &WatchState) {
        self.state = state.clone();
        if let Some(beginning) = &self.beginning {
            *lock(&beginning.state) = state.clone();
        }
        if let WatchState::NotPermitted { subject } = state
            && let Some(beginning) = self.beginning.take()
        {
            let _ = beginning.started.send(Err(StartError::NotPermitted { subject: subject.clone() }));
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.condition.send_modify(|condition| condition.enter(state.clone()));
        }
    }
}

impl<T: KvConfig> Shared<T> {
    fn apply(&self, update: &Update) {
        let mut view = lock(&self.view);
        let outcome = view.apply(update);
        self.show(&view, &outcome);
    }

    /// Tells everybody what came of a change.
    pub(super) fn show(&self, view: &View<T>, outcome: &Outcome<T>) {
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

    /// Shows the view's snapshot to readers. One writer at a time: the view is locked.
    pub(super) fn publish(&self, view: &View<T>) {
        self.current.store(Arc::clone(&view.snapshot));
        self.progress.send_modify(|progress| {
            progress.seen = view.seen;
            progress.epoch = view.epoch;
            progress.snapshots += 1;
        });
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
