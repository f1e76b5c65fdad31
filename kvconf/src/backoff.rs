//! How long to wait before trying again.

use std::time::Duration;

use tokio::time::Instant;

/// As good as never.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The moment after so long a time. Who means "for ever" says [`Duration::MAX`], which no clock has room for.
pub(crate) fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or_else(|| from + NEVER)
}

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

    /// The bound after so many failures.
    fn bound(self, failures: u32) -> Duration {
        self.base.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(self.cap)
    }

    /// A random time to wait after so many failures.
    pub(crate) fn delay(self, failures: u32) -> Duration {
        self.bound(failures).mul_f64(rand::random::<f64>())
    }
}

/// By how many times the time of an attempt the next one is spread, by how many were lost before it.
///
/// It grows, so that many writers who began together come apart, and shrinks again, so that who has lost for long goes before
/// those who have just begun: with a pause that only grows, one of three writers could lose all of its races for half a
/// minute.
const SPREAD: [u32; 16] = [0, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 16, 8, 4, 2, 1];

/// The least and the most that an attempt is taken to last.
const ATTEMPT: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(50));

/// How long a write waits that has lost so many races, after an attempt that took so long: a random part of the spread.
pub(crate) fn contention(took: Duration, lost: u32) -> Duration {
    spread(took, lost).mul_f64(rand::random::<f64>())
}

fn spread(took: Duration, lost: u32) -> Duration {
    let at = usize::try_from(lost).unwrap_or(usize::MAX);
    took.clamp(ATTEMPT.0, ATTEMPT.1) * SPREAD.get(at).or(SPREAD.last()).copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_lost_for_long_waits_less_again() {
        let spreads =
            |took| [1, 3, 9, 12, 15, 31].map(|lost| spread(Duration::from_micros(took), lost).as_micros());
        assert_eq!(spreads(1_000), [1_000, 2_000, 16_000, 8_000, 1_000, 1_000]);
        assert_eq!(spreads(1), [500, 1_000, 8_000, 4_000, 500, 500]);
        assert_eq!(spreads(9_000_000)[2], 800_000);
        assert!((0..100).all(|_| contention(Duration::from_millis(1), 9) <= Duration::from_millis(16)));
    }

    // P10
    #[test]
    fn for_ever_is_a_time_as_well() {
        let now = Instant::now();
        assert_eq!(later(now, Duration::from_secs(7)), now + Duration::from_secs(7));
        assert_eq!(later(now, Duration::MAX), now + NEVER);
    }

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let bounds: Vec<u128> = [0, 1, 2, 6, 7, 40].map(|n| Backoff::WATCH.bound(n).as_millis()).to_vec();
        assert_eq!(bounds, [50, 100, 200, 3_200, 4_000, 4_000]);
        assert!((0..100).all(|_| Backoff::WATCH.delay(3) <= Duration::from_millis(400)));
    }
}
