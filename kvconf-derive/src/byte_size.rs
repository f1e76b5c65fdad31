//! Sizes in bytes as they are written: `64 MiB`, `1.5 GB`, `512`.

/// Each unit in bytes.
const UNITS: [(&str, u128); 13] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
];

/// Reads a size by the rules of the library's `ByteSize`: a number with or without one of the units, in any case.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let trimmed = trimmed.strip_prefix('+').unwrap_or(trimmed);
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(format!("{text:?} is no byte size such as \"64 MiB\""));
    }
    let unit = match unit.trim_start() {
        "" => "B",
        unit => unit,
    };
    let Some((_, scale)) = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
        return Err(format!("{unit:?} is no unit; write one of B KiB MiB GiB TiB kB MB GB TB"));
    };
    let too_large = || format!("more than {} bytes", u64::MAX);
    let whole = whole.parse::<u64>().map_err(|_| too_large())?;
    let digits = fraction.trim_end_matches('0');
    let fraction = fraction_of(scale, digits).ok_or("no whole number of bytes")?;
    u64::try_from(u128::from(whole) * scale + fraction).map_err(|_| too_large())
}

/// `0.<digits>` of a unit in whole bytes.
fn fraction_of(scale: u128, digits: &str) -> Option<u128> {
    if digits.is_empty() {
        return Some(0);
    }
    // No unit has more factors of ten or two than its 60 bits; the cap keeps the product below 2^128.
    let power = 10_u128.checked_pow(u32::try_from(digits.len()).ok().filter(|len| *len <= 18)?)?;
    let product = digits.parse::<u128>().ok()?.checked_mul(scale)?;
    (product % power == 0).then_some(product / power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_people_write() {
        for (text, bytes) in [
            ("512", 512),
            ("64 MiB", 64 << 20),
            ("1.5gib", 3 << 29),
            ("1 GB", 1_000_000_000),
            ("7B", 7),
            ("+7", 7),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for (text, message) in [
            ("", "\"\" is no byte size such as \"64 MiB\""),
            ("-1", "\"-1\" is no byte size such as \"64 MiB\""),
            ("64 M", "\"M\" is no unit; write one of B KiB MiB GiB TiB kB MB GB TB"),
            ("0.5 B", "no whole number of bytes"),
            ("17 EiB", "more than 18446744073709551615 bytes"),
        ] {
            assert_eq!(parse(text), Err(message.to_owned()), "{text}");
        }
    }
}
