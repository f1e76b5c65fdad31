//! The system's word on changes in folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::Entries;

/// What the system calls.
pub(crate) type Handler = Box<dyn FnMut(notify::Result<Event>) + Send>;

/// Asks the system for a watcher.
pub(crate) type Make = fn(Handler) -> notify::Result<Box<dyn Watcher + Send>>;

/// The watcher that this system has.
pub(crate) fn by_system(handler: Handler) -> notify::Result<Box<dyn Watcher + Send>> {
    let watcher: RecommendedWatcher = notify::recommended_watcher(handler)?;
    Ok(Box::new(watcher))
}

/// How often the entries are worked out anew when they change while watches are set up.
const ROUNDS: usize = 4;

/// What the watcher's thread has to know.
#[derive(Default)]
struct Wanted {
    entries: Entries,
    folders: BTreeSet<PathBuf>,
    /// A watched folder went away, or events were lost: the watches are to be set up anew.
    stale: bool,
}

/// Watches the folders of entries.
pub(super) struct System {
    make: Make,
    watcher: Option<Box<dyn Watcher + Send>>,
    wanted: Arc<Mutex<Wanted>>,
    wake: Arc<Notify>,
}

fn lock(wanted: &Mutex<Wanted>) -> MutexGuard<'_, Wanted> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

impl System {
    pub(super) fn new(make: Make, wake: Arc<Notify>) -> Self {
        Self { make, watcher: None, wanted: Arc::default(), wake }
    }

    /// Sees to it that every change of these entries wakes whoever waits; else says why it does not. Blocks.
    pub(super) fn cover(&mut self, entries: &dyn Fn() -> Entries) -> Option<String> {
        for _ in 0..ROUNDS {
            let now = entries();
            let (stale, same) = {
                let wanted = lock(&self.wanted);
                (wanted.stale, wanted.entries == now)
            };
            if stale {
                self.watcher = None;
            } else if same && self.watcher.is_some() {
                return None;
            }
            // A watcher that knows only half of the folders is given up.
            if let Err(trouble) = self.set_up(now) {
                return Some(trouble);
            }
            // What is watched may have changed while it was set up: then once more.
        }
        None
    }

    fn set_up(&mut self, entries: Entries) -> Result<(), String> {
        let folders: BTreeSet<PathBuf> =
            entries.iter().filter_map(|entry| entry.parent()).map(Path::to_path_buf).collect();
        let before = {
            let mut wanted = lock(&self.wanted);
            wanted.entries = entries;
            wanted.stale = false;
            std::mem::replace(&mut wanted.folders, folders.clone())
        };
        let (mut watcher, before) = match self.watcher.take() {
            Some(watcher) => (watcher, before),
            None => (self.create()?, BTreeSet::new()),
        };
        for folder in before.difference(&folders) {
            // One that is gone is no longer watched anyway.
            let _ = watcher.unwatch(folder);
        }
        for folder in folders.difference(&before) {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                // It went away just now: the entries are worked out anew.
                Err(error) if is_missing(&error) => lock(&self.wanted).stale = true,
                Err(error) => return Err(reason(&error)),
            }
        }
        self.watcher = Some(watcher);
        Ok(())
    }

    fn create(&self) -> Result<Box<dyn Watcher + Send>, String> {
        let (wanted, wake) = (Arc::clone(&self.wanted), Arc::clone(&self.wake));
        let handler = Box::new(move |event| {
            if concerns(&mut lock(&wanted), event) {
                wake.notify_one();
            }
        });
        (self.make)(handler).map_err(|error| reason(&error))
    }
}

/// Whether an event is a reason to look.
fn concerns(wanted: &mut Wanted, event: notify::Result<Event>) -> bool {
    let Ok(event) = event else {
        wanted.stale = true;
        return true;
    };
    // That somebody reads, as we do ourselves, changes nothing.
    if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) {
        return false;
    }
    let goes =
        matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(notify::event::ModifyKind::Name(_)));
    if event.need_rescan() || (goes && event.paths.iter().any(|path| wanted.folders.contains(path))) {
        wanted.stale = true;
        return true;
    }
    event.paths.iter().any(|path| wanted.entries.contains(path) || wanted.folders.contains(path))
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn reason(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => "the system's limit of watched files is reached".to_owned(),
        ErrorKind::Io(error) => error.to_string(),
        ErrorKind::Generic(text) => text.clone(),
        other => format!("{other:?}"),
    }
}
