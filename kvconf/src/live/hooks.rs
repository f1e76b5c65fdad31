//! Functions that are called when one field changes.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::task::spawn;
use super::{Live, Shared, lock};
use crate::Snapshot;
use crate::change::same_field;
use crate::schema::{Field, KvConfig, Path, node_at};

type Call = Box<dyn FnMut(&dyn Any, &dyn Any) + Send>;

struct Registered<T> {
    path: Path,
    removed: Arc<AtomicBool>,
    last: Arc<Snapshot<T>>,
    call: Call,
}

impl<T: KvConfig> Registered<T> {
    /// Calls the function, if the value is another one.
    fn run(&mut self, now: &Arc<Snapshot<T>>) {
        if same_field::<T>(&self.last, now, self.path) {
            return;
        }
        if let (Some(old), Some(new)) = (value(&self.last, self.path), value(now, self.path)) {
            (self.call)(old, new);
        }
        self.last = Arc::clone(now);
    }
}

/// The registered functions of one handle. They run one after the other in a task of their own.
pub(super) struct Hooks<T> {
    registered: Mutex<Vec<Registered<T>>>,
    running: AtomicBool,
}

impl<T> Default for Hooks<T> {
    fn default() -> Self {
        Self { registered: Mutex::new(Vec::new()), running: AtomicBool::new(false) }
    }
}

/// A registered function. It stays registered when this is dropped.
#[derive(Clone)]
pub struct Hook {
    removed: Arc<AtomicBool>,
}

impl Hook {
    /// Takes the function out. A call that is running goes on.
    pub fn remove(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("removed", &self.removed.load(Ordering::Relaxed)).finish()
    }
}

fn value<T: KvConfig>(snapshot: &Snapshot<T>, path: Path) -> Option<&dyn Any> {
    let (node, rest) = node_at::<T>(path.steps())?;
    node.value(snapshot, rest)
}

impl<T: KvConfig> Live<T> {
    /// Calls `function` with the old and the new value whenever the field's value differs from the one it was last called
    /// with (at first, the present one).
    ///
    /// Calls come one after the other from a task of this handle, not from the watch: a slow function delays other hooks,
    /// never the readers, and sees fewer, larger steps. A function that panics is reported through `tracing` and stays
    /// registered. Two states with a short-lived value between them may make no call. Must be called inside a tokio
    /// runtime.
    pub fn on_change<V: 'static>(
        &self,
        field: Field<T, V>,
        mut function: impl FnMut(&V, &V) + Send + 'static,
    ) -> Hook {
        let removed = Arc::new(AtomicBool::new(false));
        let call: Call = Box::new(move |old, new| {
            if let (Some(old), Some(new)) = (old.downcast_ref(), new.downcast_ref()) {
                function(old, new);
            }
        });
        let registered =
            Registered { path: field.path(), removed: Arc::clone(&removed), last: self.snapshot(), call };
        lock(&self.shared.hooks.registered).push(registered);
        if !self.shared.hooks.running.swap(true, Ordering::AcqRel) {
            self.run_hooks();
        }
        Hook { removed }
    }

    fn run_hooks(&self) {
        let shared = Arc::downgrade(&self.shared);
        let mut progress = self.shared.progress.subscribe();
        let ended = self.shared.ended.clone();
        let running = Running(Weak::clone(&shared));
        spawn(Box::pin(async move {
            let _running = running;
            loop {
                match shared.upgrade() {
                    Some(shared) => call_hooks(&shared),
                    None => return,
                }
                tokio::select! {
                    changed = progress.changed() => if changed.is_err() { return },
                    () = ended.cancelled() => return,
                }
            }
        }));
    }
}

/// Gives the place of the task that calls free when the task is gone: the runtime that it was in may be shut down while the
/// handle lives on.
struct Running<T: KvConfig>(Weak<Shared<T>>);

impl<T: KvConfig> Drop for Running<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.hooks.running.store(false, Ordering::Release);
        }
    }
}

/// Calls what has something new. The list is taken out meanwhile, so that a hook may register another one.
fn call_hooks<T: KvConfig>(shared: &Arc<Shared<T>>) {
    let weak: Weak<Shared<T>> = Arc::downgrade(shared);
    let now = shared.current.load_full();
    let mut taken = std::mem::take(&mut *lock(&shared.hooks.registered));
    for hook in &mut taken {
        if hook.removed.load(Ordering::Relaxed) {
            continue;
        }
        // To compare values, too, is the program's own code.
        if catch_unwind(AssertUnwindSafe(|| hook.run(&now))).is_err() {
            tracing::error!(revision = now.revision().get(), "a change hook panicked");
            hook.last = Arc::clone(&now);
        }
    }
    taken.retain(|hook| !hook.removed.load(Ordering::Relaxed));
    if let Some(shared) = weak.upgrade() {
        let mut registered = lock(&shared.hooks.registered);
        taken.append(&mut registered);
        *registered = taken;
    }
}
