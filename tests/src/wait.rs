//! Waiting on a condition, with a bound.

use std::time::{Duration, Instant};

/// How often a condition is looked at: soon enough, and often many wait at once, each with a question to a server.
const EVERY: Duration = Duration::from_millis(20);

/// Waits until `condition` gives a value and returns it.
///
/// # Panics
/// When that takes longer than `bound`; `what` tells what was waited for.
pub async fn wait_for<T>(what: &str, bound: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {bound:?} in vain: {what}");
        tokio::time::sleep(EVERY).await;
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// As [`wait_for`].
pub async fn wait_until(what: &str, bound: Duration, mut condition: impl AsyncFnMut() -> bool) {
    wait_for(what, bound, async || condition().await.then_some(())).await;
}
