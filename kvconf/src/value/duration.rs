//! `Duration` as text: `3s`, `1h 30m`, `250ms`.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserializer, Serializer, de};

use super::show::quote_text;

/// Nanoseconds in a second.
/// What `kvconf::duration` says that it wants. The forms of types know it by these words.
pub(super) const EXPECTED: &str = "a duration such as 3s";

const SECOND: u128 = 1_000_000_000;

/// Units and their nanoseconds, largest first. A month or a year has no fixed length; a week is `7d`.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400 * SECOND),
    ("h", 3_600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// More digits behind the point than a whole number of nanoseconds in a day can need.
const MAX_FRACTION_DIGITS: usize = 20;

/// The canonical form: largest unit first, a space between, units that are zero left out. `0s` for nothing.
pub(crate) fn format(duration: Duration) -> String {
    let mut rest = duration.as_nanos();
    let mut text = String::new();
    for (unit, nanos) in UNITS {
        let count = rest / nanos;
        rest %= nanos;
        if count > 0 {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{space}{count}{unit}");
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads parts of a number and a unit, largest unit first, each unit at most once, spaces free. The number may have a
/// fraction as long as the result is whole nanoseconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let shown = || quote_text(text);
    let mut rest = text.trim_ascii();
    if rest.is_empty() {
        return Err(format!("{} is not a duration such as 3s", shown()));
    }
    if rest.starts_with('-') {
        return Err(format!("{} is negative, a duration cannot be", shown()));
    }
    let mut total = 0_u128;
    let mut last = None;
    while !rest.is_empty() {
        let part =
            Part::take(&mut rest).ok_or_else(|| format!("{} is not a duration such as 3s", shown()))?;
        let (index, unit_nanos) = part.unit(text)?;
        if let Some((last_index, last_unit)) = last {
            if last_index == index {
                return Err(format!("{} has `{}` twice", shown(), part.unit));
            }
            if last_index > index {
                return Err(format!("{}: `{}` must stand before `{last_unit}`", shown(), part.unit));
            }
        }
        last = Some((index, part.unit));
        total = part
            .nanos(unit_nanos)
            .map_err(|fault| format!("{} {fault}", shown()))?
            .checked_add(total)
            .ok_or_else(|| format!("{} {TOO_LONG}", shown()))?;
    }
    let secs = u64::try_from(total / SECOND).map_err(|_| format!("{} {TOO_LONG}", shown()))?;
    let nanos = u32::try_from(total % SECOND).unwrap_or_default();
    Ok(Duration::new(secs, nanos))
}

const TOO_LONG: &str = "is longer than a duration can be";

/// Writes a duration as its text. For `#[serde(with = "kvconf::duration")]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Reads a duration from its text. For `#[serde(with = "kvconf::duration")]`.
///
/// # Errors
/// What stands there is no text, or not that of a duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(EXPECTED)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            parse(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Visitor)
}

/// A number and what stands behind it.
struct Part<'a> {
    whole: &'a str,
    fraction: &'a str,
    unit: &'a str,
}

impl<'a> Part<'a> {
    fn take(rest: &mut &'a str) -> Option<Self> {
        let whole = take_while(rest, |c| c.is_ascii_digit());
        let fraction = match rest.strip_prefix('.') {
            Some(behind) => {
                *rest = behind;
                Some(take_while(rest, |c| c.is_ascii_digit())).filter(|fraction| !fraction.is_empty())?
            }
            None => "",
        };
        if whole.is_empty() {
            return None;
        }
        take_while(rest, |c| c.is_ascii_whitespace());
        let unit = take_while(rest, |c| c.is_alphabetic());
        take_while(rest, |c| c.is_ascii_whitespace());
        Some(Self { whole, fraction, unit })
    }

    fn unit(&self, text: &str) -> Result<(usize, u128), String> {
        let known = match self.unit {
            "µs" | "μs" => "us",
            unit => unit,
        };
        let found = UNITS.iter().enumerate().find(|(_, (unit, _))| *unit == known);
        if let Some((index, (_, nanos))) = found {
            return Ok((index, *nanos));
        }
        let shown = quote_text(text);
        if self.unit.is_empty() {
            let fixed = quote_text(&format!("{}s", text.trim_ascii()));
            return Err(format!("{shown} has no unit, did you mean {fixed}?"));
        }
        let unit = quote_text(self.unit);
        Err(match meant(self.unit) {
            Some(meant) => format!("{shown} has the unknown unit {unit}, did you mean `{meant}`?"),
            None => format!("{shown} has the unknown unit {unit}, expected one of d, h, m, s, ms, us, ns"),
        })
    }

    fn nanos(&self, unit: u128) -> Result<u128, &'static str> {
        let whole: u128 = self.whole.parse().map_err(|_| TOO_LONG)?;
        let nanos = whole.checked_mul(unit).ok_or(TOO_LONG)?;
        let fraction = self.fraction.trim_end_matches('0');
        if fraction.is_empty() {
            return Ok(nanos);
        }
        if fraction.len() > MAX_FRACTION_DIGITS {
            return Err("is finer than a nanosecond");
        }
        // Both fit: 10^20 times the nanoseconds of a day is far below 2^128.
        let scale = fraction.bytes().fold(1_u128, |scale, _| scale * 10);
        let scaled = fraction.parse::<u128>().map_err(|_| TOO_LONG)? * unit;
        if !scaled.is_multiple_of(scale) {
            return Err("is finer than a nanosecond");
        }
        nanos.checked_add(scaled / scale).ok_or(TOO_LONG)
    }
}

fn take_while<'a>(rest: &mut &'a str, test: impl Fn(char) -> bool) -> &'a str {
    let end = rest.find(|c| !test(c)).unwrap_or(rest.len());
    let (taken, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
    *rest = behind;
    taken
}

/// The unit that other notations call so.
fn meant(unit: &str) -> Option<&'static str> {
    Some(match unit.to_lowercase().as_str() {
        "d" | "day" | "days" => "d",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "ms" | "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => "ms",
        "us" | "usec" | "usecs" | "micro" | "micros" | "microsecond" | "microseconds" => "us",
        "ns" | "nsec" | "nsecs" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => "ns",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn the_canonical_form_is_largest_unit_first() {
        let formatted = |secs, nanos| format(Duration::new(secs, nanos));
        assert_eq!(formatted(0, 0), "0s");
        assert_eq!(formatted(3, 0), "3s");
        assert_eq!(formatted(5400, 0), "1h 30m");
        assert_eq!(formatted(86_400, 0), "1d");
        assert_eq!(formatted(1, 500_000_000), "1s 500ms");
        assert_eq!(formatted(0, 1), "1ns");
        assert_eq!(format(Duration::MAX), "213503982334601d 7h 15s 999ms 999us 999ns");
    }

    #[test]
    fn spaces_are_free_and_fractions_exact() {
        for text in ["1h 30m", "1h30m", " 1 h\t30 m\n", "1.5h", "1h 29m 60s", "90m", "5400.000s"] {
            assert_eq!(parse(text), Ok(Duration::from_secs(5400)), "{text}");
        }
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("0.000000001s"), Ok(Duration::from_nanos(1)));
        assert_eq!(parse("2.5µs"), Ok(Duration::from_nanos(2500)));
        assert_eq!(parse("2μs"), Ok(Duration::from_nanos(2000)));
        assert_eq!(parse("00s"), Ok(Duration::ZERO));
        assert_eq!(parse("18446744073709551615.999999999s"), Ok(Duration::MAX));
    }

    #[test]
    fn a_number_without_unit_names_the_fix() {
        assert_eq!(fault("60"), "`60` has no unit, did you mean `60s`?");
        assert_eq!(fault("0"), "`0` has no unit, did you mean `0s`?");
        assert_eq!(fault("1h 30"), "`1h 30` has no unit, did you mean `1h 30s`?");
        assert_eq!(fault("1.5"), "`1.5` has no unit, did you mean `1.5s`?");
    }

    #[test]
    fn faults_say_what_is_wrong() {
        assert_eq!(fault(""), "`` is not a duration such as 3s");
        assert_eq!(fault("soon"), "`soon` is not a duration such as 3s");
        assert_eq!(fault("s"), "`s` is not a duration such as 3s");
        assert_eq!(fault("1.s"), "`1.s` is not a duration such as 3s");
        assert_eq!(fault(".5s"), "`.5s` is not a duration such as 3s");
        assert_eq!(fault("3s!"), "`3s!` is not a duration such as 3s");
        assert_eq!(fault("-3s"), "`-3s` is negative, a duration cannot be");
        assert_eq!(fault("3 min"), "`3 min` has the unknown unit `min`, did you mean `m`?");
        assert_eq!(fault("3S"), "`3S` has the unknown unit `S`, did you mean `s`?");
        assert_eq!(fault("2w"), "`2w` has the unknown unit `w`, expected one of d, h, m, s, ms, us, ns");
        assert_eq!(fault("3s 1m"), "`3s 1m`: `m` must stand before `s`");
        assert_eq!(fault("3s 1s"), "`3s 1s` has `s` twice");
        assert_eq!(fault("3us 1µs"), "`3us 1µs` has `µs` twice");
        assert_eq!(fault("0.5ns"), "`0.5ns` is finer than a nanosecond");
        assert_eq!(fault("0.1234567891s"), "`0.1234567891s` is finer than a nanosecond");
    }

    #[test]
    fn beyond_the_longest_is_an_error() {
        assert_eq!(
            fault("18446744073709551616s"),
            "`18446744073709551616s` is longer than a duration can be"
        );
        assert_eq!(fault("213503982334602d"), "`213503982334602d` is longer than a duration can be");
        let digits = "9".repeat(50);
        assert_eq!(fault(&format!("{digits}d")), format!("`{digits}d` is longer than a duration can be"));
        assert_eq!(fault(&format!("0.{digits}d")), format!("`0.{digits}d` is finer than a nanosecond"));
    }

    proptest! {
        #[test]
        fn every_duration_reads_back(secs: u64, nanos in 0_u32..1_000_000_000) {
            let duration = Duration::new(secs, nanos);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[0-9. dhmsµun-]{0,24}") {
            if let Ok(duration) = parse(&text) {
                prop_assert_eq!(parse(&format(duration)), Ok(duration));
            }
        }
    }
}
