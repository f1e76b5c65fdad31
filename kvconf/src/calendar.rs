//! Dates of moments.

use std::time::SystemTime;

use time::OffsetDateTime;

/// The date and the time of day, UTC; `None` for a moment that no calendar has.
///
/// Anybody may ask for any time, seconds that were meant as milliseconds among them, and the conversion panics for one that
/// it cannot hold.
pub(crate) fn date(at: SystemTime) -> Option<OffsetDateTime> {
    let epoch = OffsetDateTime::UNIX_EPOCH;
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => epoch.checked_add(after.try_into().ok()?),
        Err(before) => epoch.checked_sub(before.duration().try_into().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // P10
    #[test]
    fn a_moment_that_no_calendar_has_has_no_date() {
        let after = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap();
        assert_eq!(date(after(0)), Some(OffsetDateTime::UNIX_EPOCH));
        assert_eq!(date(after(86_400)).map(|at| at.date().to_string()).as_deref(), Some("1970-01-02"));
        for milliseconds in [1_795_374_769_939, 1 << 60] {
            assert_eq!(date(after(milliseconds)), None);
        }
        let before = SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(1 << 60)).unwrap();
        assert_eq!(date(before), None);
    }
}
