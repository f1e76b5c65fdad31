//! Waiting on a condition, with a bound.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(5);

/// Waits until `condition` gives a value and returns it.
///
/// # Panics
/// When that takes longer than `bound`; `what` tells what was waited for.
pub async fn wait_for<T, F>(what: &str, bound: Duration, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
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
pub async fn wait_until<F>(what: &str, bound: Duration, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    wait_for(what, bound, || {
        let holds = condition();
        async move { holds.await.then_some(()) }
    })
    .await;
}
