//! Ctrl-C where it must not simply end the process: at a question, behind an editor, while something is being written.
//!
//! Before anything attends to it, Ctrl-C ends the process as the system does it. From the first time on that way is gone for
//! the rest of the process: then a press that nothing attends to ends the run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// Who attends to Ctrl-C.
#[derive(Clone, Default)]
pub(crate) struct Interrupts(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Told of a press that nothing attends to.
    unattended: Notify,
}

#[derive(Default)]
struct State {
    is_listening: bool,
    /// The last one is told.
    attending: Vec<Arc<Notify>>,
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn press(&self) {
        match self.state().attending.last() {
            Some(attending) => attending.notify_one(),
            None => self.unattended.notify_one(),
        }
    }
}

impl Interrupts {
    /// Attends to Ctrl-C until what it gives is dropped.
    pub(crate) async fn attend(&self) -> Interrupt {
        let told = Arc::new(Notify::new());
        let is_first = {
            let mut state = self.0.state();
            state.attending.push(Arc::clone(&told));
            !std::mem::replace(&mut state.is_listening, true)
        };
        if is_first {
            let shared = Arc::clone(&self.0);
            tokio::spawn(async move {
                // Where it cannot be listened for, Ctrl-C ends the process as it always did.
                while tokio::signal::ctrl_c().await.is_ok() {
                    shared.press();
                }
            });
            // The task listens once it has run.
            tokio::task::yield_now().await;
        }
        Interrupt { told, shared: Arc::clone(&self.0) }
    }

    /// Comes back after a Ctrl-C that nothing attends to.
    pub(crate) async fn unattended(&self) {
        self.0.unattended.notified().await;
    }
}

/// Attends to Ctrl-C as long as it lives. A press while nobody waits is kept for who waits next.
pub(crate) struct Interrupt {
    told: Arc<Notify>,
    shared: Arc<Shared>,
}

impl Interrupt {
    /// Comes back after a Ctrl-C.
    pub(crate) async fn wait(&self) {
        self.told.notified().await;
    }
}

impl Interrupt {
    /// Attends no longer, and is not taken in by a press that came just before: on a busy machine it is still on its way
    /// through the runtime when what it was meant for has already ended.
    pub(crate) async fn end(self) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.shared.state().attending.retain(|other| !Arc::ptr_eq(other, &self.told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_press_is_for_who_attended_last_and_ends_the_run_where_nothing_does() {
        let interrupts = Interrupts::default();
        let comes = async |told: &Notify| {
            tokio::time::timeout(Duration::from_millis(1), told.notified()).await.is_ok()
        };
        let outer = interrupts.attend().await;
        let inner = interrupts.attend().await;
        interrupts.0.press();
        assert_eq!((comes(&inner.told).await, comes(&outer.told).await), (true, false));
        drop(inner);
        interrupts.0.press();
        // Kept until somebody waits.
        assert!(comes(&outer.told).await && !comes(&outer.told).await);
        interrupts.0.press();
        drop(outer);
        assert!(!comes(&interrupts.0.unattended).await, "that press was for who attended then");
        interrupts.0.press();
        assert!(comes(&interrupts.0.unattended).await);
    }
}
