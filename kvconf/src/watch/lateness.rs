//! How late deliveries are.
//!
//! On a connection that takes less than is sent, entries wait in buffers between the server and here. The server has sent
//! them: it counts none as pending, and up to two megabytes of a consumer are on their way before flow control stops it
//! (read in nats-server 2.15), which on a bad line is minutes. Only the time that the server gave an entry tells. Its clock
//! is another one, so times are compared with those of the entry that came fastest.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// From when on a delivery counts as late: beyond every pause of a healthy server.
const LATE: Duration = Duration::from_secs(2);

/// What was seen of the ways of entries.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// The entry that came fastest: when it came, and when it was written by the server's clock.
    fastest: Option<(Instant, SystemTime)>,
    by: Option<Duration>,
}

impl Lateness {
    /// An entry of this time came. What had been written before anybody asked for it is not late.
    pub(super) fn observe(&mut self, now: Instant, created: SystemTime, asked: bool) {
        let (came, written) = *self.fastest.get_or_insert((now, created));
        let waited = now.saturating_duration_since(came);
        let behind = match created.duration_since(written) {
            Ok(later) => waited.checked_sub(later),
            Err(earlier) => Some(waited + earlier.duration()),
        };
        match behind {
            Some(behind) => self.by = (asked && behind >= LATE).then_some(behind),
            None => (self.fastest, self.by) = (Some((now, created)), None),
        }
    }

    /// Everything has come: nothing is on its way. The server's clock may be another one from now on.
    pub(super) fn caught_up(&mut self) {
        *self = Self::default();
    }

    /// By how much the newest entry was late, in whole seconds: one state for many entries.
    pub(super) fn by(&self) -> Option<Duration> {
        self.by.map(|by| Duration::from_secs(by.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server whose clock is an hour behind.
    fn created(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - 3_600 + seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_is_as_late_as_it_came_later_than_the_fastest() {
        let start = Instant::now();
        let mut lateness = Lateness::default();
        let mut observe = |came: u64, written: u64| {
            lateness.observe(start + Duration::from_secs(came), created(written), true);
            lateness.by().map(|by| by.as_secs())
        };
        assert_eq!(observe(5, 0), None, "the first one is all there is to go by");
        assert_eq!(observe(6, 5), None, "faster");
        assert_eq!(observe(11, 10), None);
        assert_eq!(observe(16, 13), Some(2));
        assert_eq!(observe(30, 14), Some(15));
        assert_eq!(observe(31, 29), None, "by one second");
    }

    #[tokio::test(start_paused = true)]
    async fn what_stood_in_the_bucket_before_is_not_late() {
        let start = Instant::now();
        let mut lateness = Lateness::default();
        lateness.observe(start, created(1_000), false);
        lateness.observe(start, created(10), false);
        assert_eq!(lateness.by(), None);
        lateness.observe(start + Duration::from_secs(4), created(1_001), true);
        assert_eq!(lateness.by(), Some(Duration::from_secs(3)));
        lateness.caught_up();
        assert_eq!(lateness.by(), None);
    }
}
