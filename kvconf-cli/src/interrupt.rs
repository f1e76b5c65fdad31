//! Ctrl-C while something is being written.

use std::sync::Arc;

use tokio::sync::Notify;

/// Listens for Ctrl-C from when it is made on, which then no longer ends the process by itself. A Ctrl-C that comes while
/// nobody waits is kept for who waits next.
pub(crate) struct Interrupt(Arc<Notify>);

impl Interrupt {
    /// Begins to listen.
    pub(crate) async fn listen() -> Self {
        let notify = Arc::new(Notify::new());
        let told = Arc::clone(&notify);
        tokio::spawn(async move {
            // Where it cannot be listened for, Ctrl-C ends the process as it always did.
            while tokio::signal::ctrl_c().await.is_ok() {
                told.notify_one();
            }
        });
        // The task listens once it has run.
        tokio::task::yield_now().await;
        Self(notify)
    }

    /// Comes back after a Ctrl-C.
    pub(crate) async fn wait(&self) {
        self.0.notified().await;
    }
}
