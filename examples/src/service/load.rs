//! How many requests are under way, and whether new ones are turned away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::settings;

/// Counts requests. Cloning is cheap; all clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauge(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    under_way: AtomicUsize,
    shedding: AtomicBool,
}

/// A request under way; dropping it ends it.
#[derive(Debug)]
pub(super) struct Admitted(Arc<Counters>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gauge {
    /// Lets a request in, unless there are too many. The limits are the caller's: they come from the snapshot that
    /// everything else about this request is decided with.
    pub(super) fn admit(&self, limits: &settings::Load) -> Option<Admitted> {
        let under_way = self.0.under_way.fetch_add(1, Ordering::Relaxed);
        let admitted = Admitted(Arc::clone(&self.0));
        if under_way >= limits.high {
            self.0.shedding.store(true, Ordering::Relaxed);
        } else if under_way <= limits.low {
            self.0.shedding.store(false, Ordering::Relaxed);
        }
        (!self.0.shedding.load(Ordering::Relaxed)).then_some(admitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_turned_away_from_high_until_low() {
        let (gauge, limits) = (Gauge::default(), settings::Load { high: 3, low: 1 });
        let mut admitted: Vec<Admitted> = (0..3).map(|_| gauge.admit(&limits).unwrap()).collect();
        assert!(gauge.admit(&limits).is_none());
        admitted.pop();
        assert!(gauge.admit(&limits).is_none(), "two are still more than low");
        admitted.pop();
        assert!(gauge.admit(&limits).is_some());
    }
}
