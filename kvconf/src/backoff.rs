//! How long to wait before trying again.

use std::time::Duration;

/// Full jitter: a random time between zero and a bound that doubles with every failure, up to a cap. Many clients that
/// failed at the same moment spread out instead of returning together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// Between two attempts to open a watch.
    pub(crate) const WATCH: Self = Self { base: Duration::from_millis(50), cap: Duration::from_secs(4) };

    /// Between two attempts of a write that lost a race.
    pub(crate) const WRITE: Self = Self { base: Duration::from_millis(2), cap: Duration::from_millis(250) };

    /// The bound after so many failures.
    fn bound(self, failures: u32) -> Duration {
        self.base.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(self.cap)
    }

    /// A random time to wait after so many failures.
    pub(crate) fn delay(self, failures: u32) -> Duration {
        self.bound(failures).mul_f64(rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let bounds: Vec<u128> = [0, 1, 2, 6, 7, 40].map(|n| Backoff::WATCH.bound(n).as_millis()).to_vec();
        assert_eq!(bounds, [50, 100, 200, 3_200, 4_000, 4_000]);
        assert!((0..100).all(|_| Backoff::WATCH.delay(3) <= Duration::from_millis(400)));
    }
}
