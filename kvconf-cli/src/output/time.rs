//! When something was, in words for people and exactly for programs.

use std::time::{Duration, SystemTime};

use kvconf::{Codec as _, Text};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How long ago, in one unit: `now`, `5s ago`, `3 min ago`, `2 h ago`, `4 days ago`, and a date beyond two weeks.
pub(crate) fn ago(then: SystemTime, now: SystemTime) -> String {
    // The server's clock may be a little ahead.
    let seconds = now.duration_since(then).unwrap_or(Duration::ZERO).as_secs();
    match seconds {
        0 => "now".to_owned(),
        1..=59 => format!("{seconds}s ago"),
        60..=3_599 => format!("{} min ago", seconds / 60),
        3_600..=86_399 => format!("{} h ago", seconds / 3_600),
        86_400..=172_799 => "1 day ago".to_owned(),
        172_800..=1_209_599 => format!("{} days ago", seconds / 86_400),
        _ => OffsetDateTime::from(then).date().to_string(),
    }
}

/// As RFC 3339 has it, in UTC, as exact as it is known.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    // Years beyond 9999 have no such form.
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_else(|_| "out of range".to_owned())
}

/// How long something is, to the minute where nobody counts seconds: `12s`, `3h`, `2h 59m`.
pub(crate) fn about(duration: Duration) -> String {
    let seconds = match duration.as_secs() {
        few @ 0..600 => few,
        many => (many + 30) / 60 * 60,
    };
    let text = Text.encode(&Duration::from_secs(seconds));
    text.map_or_else(|_| format!("{seconds}s"), |text| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_is_told_to_the_minute() {
        let told = [0, 12, 599, 629, 630, 10_799, 10_801].map(|seconds| about(Duration::from_secs(seconds)));
        assert_eq!(told, ["0s", "12s", "9m 59s", "10m", "11m", "3h", "3h"]);
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let told = |seconds| ago(now - Duration::from_secs(seconds), now);
        let words = [0, 59, 60, 3_599, 3_600, 86_400, 172_800, 1_209_600].map(told);
        assert_eq!(
            words,
            ["now", "59s ago", "1 min ago", "59 min ago", "1 h ago", "1 day ago", "2 days ago", "2027-01-01"]
        );
        assert_eq!(ago(now + Duration::from_secs(5), now), "now");
        assert_eq!(rfc3339(now), "2027-01-15T08:00:00Z");
    }
}
