//! Moments as people write them: `4102`, `10m`, `14:02`, `2026-03-01 14:02`, RFC 3339. Pure: the present is an argument.
//!
//! A time without an offset is UTC, for that is what kvconf prints: what is read off a report can be typed as it stands.

use std::time::{Duration, SystemTime};

use derive_more::{Display, Error};
use kvconf::{Codec, Point, Revision, Text};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::exit::Exit;
use crate::failure::Failure;

/// A text that is no moment.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
pub(crate) enum WhenError {
    #[display(
        "{text:?} is no moment: 10m or 2d ago, 14:02, 2026-03-01, \"2026-03-01 14:02\", 2026-03-01T14:02:09Z"
    )]
    Unknown { text: String },
    #[display("{text:?} lies before all buckets")]
    TooEarly { text: String },
}

impl From<WhenError> for Failure {
    fn from(error: WhenError) -> Self {
        Self::new(Exit::Invalid, error)
    }
}

/// A revision or a time.
pub(crate) fn point(text: &str, now: SystemTime) -> Result<Point, WhenError> {
    let text = text.trim();
    match text.strip_prefix('@').unwrap_or(text).parse() {
        Ok(revision) => Ok(Point::Revision(Revision::new(revision))),
        Err(_) => time(text, now).map(Point::Time),
    }
}

/// A time: so long ago, or a time of day or a date in UTC.
pub(crate) fn time(text: &str, now: SystemTime) -> Result<SystemTime, WhenError> {
    let text = text.trim();
    let unknown = || WhenError::Unknown { text: text.to_owned() };
    if text == "now" {
        return Ok(now);
    }
    let bare = text.strip_suffix("ago").map_or(text, str::trim_end);
    if let Some(ago) = duration(bare) {
        let then = now.checked_sub(ago).filter(|then| *then >= SystemTime::UNIX_EPOCH);
        return then.ok_or_else(|| WhenError::TooEarly { text: text.to_owned() });
    }
    if let Ok(exact) = OffsetDateTime::parse(&text.replacen(' ', "T", 1), &Rfc3339) {
        return Ok(exact.into());
    }
    let text = text.strip_suffix("UTC").or_else(|| text.strip_suffix('Z')).map_or(text, str::trim_end);
    let present = OffsetDateTime::from(now).to_offset(UtcOffset::UTC);
    let midnight = Time::MIDNIGHT;
    let found = match text {
        "today" => PrimitiveDateTime::new(present.date(), midnight),
        "yesterday" => PrimitiveDateTime::new(present.date().previous_day().ok_or_else(unknown)?, midnight),
        _ => match text.split_once([' ', 'T']) {
            Some((day, clock)) => PrimitiveDateTime::new(
                date(day).ok_or_else(unknown)?,
                of_day(clock.trim()).ok_or_else(unknown)?,
            ),
            None => match (of_day(text), date(text)) {
                (Some(clock), _) => last(clock, present),
                (None, Some(day)) => PrimitiveDateTime::new(day, midnight),
                (None, None) => return Err(unknown()),
            },
        },
    };
    Ok(found.assume_utc().into())
}

/// The last time that the clock said this: of yesterday, where today's is still to come.
fn last(clock: Time, present: OffsetDateTime) -> PrimitiveDateTime {
    let today = PrimitiveDateTime::new(present.date(), clock);
    if today.assume_utc() <= present {
        return today;
    }
    present.date().previous_day().map_or(today, |day| PrimitiveDateTime::new(day, clock))
}

/// `10m`, `1h 30m`, also `10 min`, `2 days` and `1w`, which a stored duration does not have.
fn duration(text: &str) -> Option<Duration> {
    let bare = text.strip_prefix('-').unwrap_or(text);
    if bare.parse::<f64>().is_ok() {
        return None;
    }
    let stored: Result<Duration, _> = Text.decode(bare.as_bytes());
    if let Ok(found) = stored {
        return Some(found);
    }
    let at = bare.find(|character: char| !character.is_ascii_digit())?;
    let (count, unit) = bare.split_at_checked(at)?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// `14:02` or `14:02:09`.
fn of_day(text: &str) -> Option<Time> {
    let mut parts = text.split(':').map(|part| {
        let is_number = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse::<u8>().ok())?
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        None => 0,
        Some(second) => second?,
    };
    if parts.next().is_some() {
        return None;
    }
    Time::from_hms(hour, minute, second).ok()
}

/// `2026-03-01`.
fn date(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let year = (year.len() == 4).then(|| year.parse().ok())??;
    Date::from_calendar_date(year, month, day.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Friday, 15 January 2027, 08:00:00 UTC.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn told(text: &str) -> String {
        let found = time(text, now());
        found.map_or_else(|error| error.to_string(), crate::output::rfc3339)
    }

    #[test]
    fn so_long_ago() {
        for (text, expected) in [
            ("now", "2027-01-15T08:00:00Z"),
            ("10m", "2027-01-15T07:50:00Z"),
            ("10m ago", "2027-01-15T07:50:00Z"),
            ("10 min", "2027-01-15T07:50:00Z"),
            ("-10m", "2027-01-15T07:50:00Z"),
            ("1h 30m", "2027-01-15T06:30:00Z"),
            ("2 days ago", "2027-01-13T08:00:00Z"),
            ("2d", "2027-01-13T08:00:00Z"),
            ("1w", "2027-01-08T08:00:00Z"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn a_time_of_day_is_the_last_one_in_utc() {
        assert_eq!(told("07:59"), "2027-01-15T07:59:00Z");
        assert_eq!(told("8:00"), "2027-01-15T08:00:00Z");
        assert_eq!(told("14:02"), "2027-01-14T14:02:00Z", "today's is still to come");
        assert_eq!(told("14:02:09 UTC"), "2027-01-14T14:02:09Z");
    }

    #[test]
    fn dates_with_and_without_a_time() {
        for (text, expected) in [
            ("2026-03-01", "2026-03-01T00:00:00Z"),
            ("2026-03-01 14:02", "2026-03-01T14:02:00Z"),
            ("2026-03-01T14:02:09", "2026-03-01T14:02:09Z"),
            ("2026-03-01 14:02:09Z", "2026-03-01T14:02:09Z"),
            ("2026-03-01T14:02:09.25+01:00", "2026-03-01T13:02:09.25Z"),
            ("yesterday", "2027-01-14T00:00:00Z"),
            ("today", "2027-01-15T00:00:00Z"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_a_revision() {
        assert_eq!(point("4102", now()), Ok(Point::Revision(Revision::new(4102))));
        assert_eq!(point("@4102", now()), Ok(Point::Revision(Revision::new(4102))));
        assert_eq!(point("10m", now()), Ok(Point::Time(now() - Duration::from_secs(600))));
    }

    // P10
    #[test]
    fn what_is_no_moment_is_told_with_what_is_one() {
        for text in [
            "",
            "25:00",
            "14",
            "14:2:3:4",
            "2026-13-01",
            "2026-02-30",
            "26-03-01",
            "soon",
            "10x",
            "-",
            "1.5",
            "é",
        ] {
            assert_eq!(time(text, now()), Err(WhenError::Unknown { text: text.to_owned() }), "{text}");
        }
        assert_eq!(
            told("999999999999999d"),
            "\"999999999999999d\" is no moment: 10m or 2d ago, 14:02, 2026-03-01, \"2026-03-01 14:02\", 2026-03-01T14:02:09Z"
        );
        assert_eq!(told("999999999999d"), "\"999999999999d\" lies before all buckets");
    }
}
