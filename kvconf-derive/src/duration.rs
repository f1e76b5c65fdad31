//! Durations as they are written: `3s`, `1h 30m`, `1.5s`.

use std::time::Duration;

/// Each unit in nanoseconds, largest first.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a duration: one or more numbers, each with its unit, the largest unit first, fractions allowed down to the
/// nanosecond.
///
/// The same rules hold for values in the bucket; here they are applied while compiling, so that a default costs nothing at
/// run time and a mistake is found before it runs.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("a duration is a number and a unit, such as \"3s\" or \"1h 30m\"".to_owned());
    }
    let mut nanos: u128 = 0;
    let mut last = u128::MAX;
    while !rest.is_empty() {
        let (part, scale, behind) = part(rest)?;
        if scale >= last {
            return Err("each unit stands once, the largest first: \"1h 30m\"".to_owned());
        }
        last = scale;
        nanos = nanos.checked_add(part).ok_or("the duration is too long")?;
        rest = behind.trim_start();
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| "the duration is too long")?;
    Ok(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).unwrap_or(0)))
}

/// The first number with its unit in nanoseconds, that unit, and what stands behind.
fn part(text: &str) -> Result<(u128, u128, &str), String> {
    let (whole, behind) = split(text, |c| c.is_ascii_digit());
    let (fraction, behind) = match behind.strip_prefix('.') {
        Some(behind) => split(behind, |c| c.is_ascii_digit()),
        None => ("0", behind),
    };
    if whole.is_empty() || fraction.is_empty() {
        return Err(format!("{text:?} does not begin with a number"));
    }
    let (unit, behind) = split(behind.trim_start(), char::is_alphabetic);
    let unit = if matches!(unit, "µs" | "μs") { "us" } else { unit };
    let scale = match UNITS.into_iter().find(|(name, _)| *name == unit) {
        Some((_, scale)) => scale,
        None if unit.is_empty() => {
            return Err("the unit is missing; write one of d h m s ms us ns".to_owned());
        }
        None => return Err(format!("{unit:?} is no unit; write one of d h m s ms us ns")),
    };
    let whole =
        whole.parse::<u128>().ok().and_then(|n| n.checked_mul(scale)).ok_or("the duration is too long")?;
    let fraction = fraction_of(scale, fraction).ok_or("finer than a nanosecond")?;
    Ok((whole.checked_add(fraction).ok_or("the duration is too long")?, scale, behind))
}

/// `0.<digits>` of a unit in whole nanoseconds.
fn fraction_of(scale: u128, digits: &str) -> Option<u128> {
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let power = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let product = digits.parse::<u128>().ok()?.checked_mul(scale)?;
    (product % power == 0).then_some(product / power)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_people_write() {
        for (text, nanos) in [
            ("3s", 3_000_000_000),
            ("1h 30m", 5_400_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("250ms", 250_000_000),
            ("1.5s", 1_500_000_000),
            ("0s", 0),
            ("7us", 7_000),
            ("7 µs", 7_000),
            ("0.25 ms", 250_000),
            ("2d", 172_800_000_000_000),
            ("9ns", 9),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message) in [
            ("", "a duration is a number and a unit, such as \"3s\" or \"1h 30m\""),
            ("3", "the unit is missing; write one of d h m s ms us ns"),
            ("3 sec", "\"sec\" is no unit; write one of d h m s ms us ns"),
            ("s", "\"s\" does not begin with a number"),
            ("-3s", "\"-3s\" does not begin with a number"),
            ("1s,2s", "\",2s\" does not begin with a number"),
            ("0.5ns", "finer than a nanosecond"),
            ("3.s", "\"3.s\" does not begin with a number"),
            ("30m 1h", "each unit stands once, the largest first: \"1h 30m\""),
            ("1s 1s", "each unit stands once, the largest first: \"1h 30m\""),
            ("99999999999999999999d", "the duration is too long"),
        ] {
            assert_eq!(parse(text), Err(message.to_owned()), "{text}");
        }
    }
}
