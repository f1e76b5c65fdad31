//! Sizes in bytes: `64 MiB`, `1 GB`, `512`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::DecodeError;
use super::show::quote_text;

/// What the type says that it wants. The forms of types know it by these words.
pub(super) const EXPECTED: &str = "a byte size such as 64 MiB";

/// Units and their bytes: IEC (powers of 1024) by size, then SI (powers of 1000).
const UNITS: [(&str, u64); 13] = [
    ("EiB", 1 << 60),
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
];

/// How many of [`UNITS`] are written: the IEC ones and `B`.
const WRITTEN_UNITS: usize = 7;

/// More digits behind the point than a whole number of bytes in any unit can need.
const MAX_FRACTION_DIGITS: usize = 18;

/// A number of bytes, stored as text such as `64 MiB`.
///
/// Reads IEC units (`KiB` to `EiB`, powers of 1024), SI units (`kB` to `EB`, powers of 1000), `B`, and a bare number of
/// bytes; upper or lower case, with or without a space, or a plus sign in front. A fraction is fine as long as the result
/// is whole: `1.5 GiB`. `64 M` is refused, because half of its readers take it for the other one.
///
/// Writes the largest IEC unit that leaves a whole number: 1 GB is written as `1000000000 B`. In JSON, too, it is that text.
///
/// ```
/// use kvconf::{ByteSize, Codec, Text};
///
/// let size: ByteSize = Text.decode(b"1.5 GiB")?;
/// assert_eq!(size, ByteSize::mib(1536));
/// assert_eq!(size.to_string(), "1536 MiB");
/// assert!(size > ByteSize::gb(1));
/// # Ok::<(), kvconf::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// The largest one.
    pub const MAX: Self = Self(u64::MAX);

    /// This many bytes.
    #[must_use]
    pub const fn bytes(count: u64) -> Self {
        Self(count)
    }

    /// This many times 1024 bytes; [`ByteSize::MAX`] where that is too much, as with all of these.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// This many times 1024² bytes.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// This many times 1024³ bytes.
    #[must_use]
    pub const fn gib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 30))
    }

    /// This many times 1024⁴ bytes.
    #[must_use]
    pub const fn tib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 40))
    }

    /// This many times 1000 bytes.
    #[must_use]
    pub const fn kb(count: u64) -> Self {
        Self(count.saturating_mul(1_000))
    }

    /// This many times 1000² bytes.
    #[must_use]
    pub const fn mb(count: u64) -> Self {
        Self(count.saturating_mul(1_000_000))
    }

    /// This many times 1000³ bytes.
    #[must_use]
    pub const fn gb(count: u64) -> Self {
        Self(count.saturating_mul(1_000_000_000))
    }

    /// This many times 1000⁴ bytes.
    #[must_use]
    pub const fn tb(count: u64) -> Self {
        Self(count.saturating_mul(1_000_000_000_000))
    }

    /// The number of bytes.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl From<u64> for ByteSize {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl From<ByteSize> for u64 {
    fn from(size: ByteSize) -> Self {
        size.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, bytes): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = UNITS.iter().take(WRITTEN_UNITS).find(fits).unwrap_or(&("B", 1));
        write!(f, "{} {unit}", self.0 / bytes)
    }
}

impl FromStr for ByteSize {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        parse(text).map(Self).map_err(DecodeError::new)
    }
}

fn parse(text: &str) -> Result<u64, String> {
    let shown = || quote_text(text);
    let trimmed = text.trim_ascii();
    // A whole number may have it, and what was one reads on as a size.
    let trimmed = trimmed.strip_prefix('+').unwrap_or(trimmed);
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let end = trimmed.find(|c| !is_number(c)).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at_checked(end).unwrap_or((trimmed, ""));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if trimmed.starts_with('-') {
        return Err(format!("{} is negative, a byte size cannot be", shown()));
    }
    if !digits(whole) || !digits(fraction) {
        return Err(format!("{} is not a byte size such as 64 MiB", shown()));
    }
    let bytes = unit_bytes(text, number, unit.trim_ascii_start())?;
    let too_large = || format!("{} is more than {} bytes", shown(), u64::MAX);
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > MAX_FRACTION_DIGITS {
        return Err(format!("{} is no whole number of bytes", shown()));
    }
    // Both fit: 10^18 times 2^60 is below 2^120.
    let scale = fraction.bytes().fold(1_u128, |scale, _| scale * 10);
    let scaled = fraction.parse::<u128>().unwrap_or_default() * u128::from(bytes);
    if !scaled.is_multiple_of(scale) {
        return Err(format!("{} is no whole number of bytes", shown()));
    }
    u64::try_from(u128::from(whole) * u128::from(bytes) + scaled / scale).map_err(|_| too_large())
}

fn unit_bytes(text: &str, number: &str, unit: &str) -> Result<u64, String> {
    let named = |name: &str| UNITS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    if unit.is_empty() {
        return Ok(1);
    }
    if let Some((_, bytes)) = named(unit) {
        return Ok(*bytes);
    }
    let shown = quote_text(text);
    // `64 M` and `64 Mi`.
    let prefix = unit.trim_end_matches(['i', 'I']);
    let iec = named(&format!("{prefix}iB")).filter(|_| !prefix.is_empty());
    let si = named(&format!("{prefix}B")).filter(|_| prefix == unit);
    Err(match (iec, si) {
        (Some((iec, _)), Some((si, _))) => {
            format!("{shown} can be read in two ways, did you mean `{number} {iec}` or `{number} {si}`?")
        }
        (Some((iec, _)), None) => {
            format!("{shown} has the unknown unit {}, did you mean `{number} {iec}`?", quote_text(unit))
        }
        _ => format!(
            "{shown} has the unknown unit {}, expected one of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB",
            quote_text(unit)
        ),
    })
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn the_largest_iec_unit_that_fits_is_written() {
        let shown = |bytes: u64| ByteSize(bytes).to_string();
        assert_eq!(shown(0), "0 B");
        assert_eq!(shown(512), "512 B");
        assert_eq!(shown(1024), "1 KiB");
        assert_eq!(shown(1536), "1536 B");
        assert_eq!(shown(64 << 20), "64 MiB");
        assert_eq!(shown(1_000_000_000), "1000000000 B");
        assert_eq!(shown(3 << 60), "3 EiB");
        assert_eq!(shown(u64::MAX), "18446744073709551615 B");
    }

    #[test]
    fn units_are_read_in_any_case_with_or_without_space() {
        for text in [
            "64 MiB",
            "64MiB",
            "64mib",
            " 64  MIB\n",
            "67108864",
            "67108864 B",
            "0.0625 GiB",
            "+67108864",
            "+64 MiB",
        ] {
            assert_eq!(parse(text), Ok(64 << 20), "{text}");
        }
        assert_eq!(parse("1 GB"), Ok(1_000_000_000));
        assert_eq!(parse("1.5kb"), Ok(1500));
        assert_eq!(
            parse("15.999999999999999999 EiB"),
            Err("`15.999999999999999999 EiB` is no whole number of bytes".to_owned())
        );
        assert_eq!(parse("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn faults_say_what_is_wrong() {
        assert_eq!(fault("big"), "`big` is not a byte size such as 64 MiB");
        assert_eq!(fault("MiB"), "`MiB` is not a byte size such as 64 MiB");
        assert_eq!(fault("1.MiB"), "`1.MiB` is not a byte size such as 64 MiB");
        assert_eq!(fault("1.2.3"), "`1.2.3` is not a byte size such as 64 MiB");
        assert_eq!(fault("-1"), "`-1` is negative, a byte size cannot be");
        assert_eq!(fault("64M"), "`64M` can be read in two ways, did you mean `64 MiB` or `64 MB`?");
        assert_eq!(fault("64 Mi"), "`64 Mi` has the unknown unit `Mi`, did you mean `64 MiB`?");
        assert_eq!(
            fault("64 bits"),
            "`64 bits` has the unknown unit `bits`, expected one of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"
        );
        assert_eq!(fault("0.3 KiB"), "`0.3 KiB` is no whole number of bytes");
        assert_eq!(fault("16 EiB"), "`16 EiB` is more than 18446744073709551615 bytes");
        assert_eq!(
            fault("99999999999999999999"),
            "`99999999999999999999` is more than 18446744073709551615 bytes"
        );
    }

    #[test]
    fn constructors_stop_at_the_largest() {
        assert_eq!(ByteSize::mib(64).as_u64(), 64 << 20);
        assert_eq!(ByteSize::tb(1).as_u64(), 1_000_000_000_000);
        assert_eq!(ByteSize::tib(u64::MAX), ByteSize::MAX);
    }

    proptest! {
        #[test]
        fn every_size_reads_back(bytes: u64, shift in 0_u32..64) {
            let size = ByteSize(bytes << shift);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_panics(text in "[0-9. kKMGEiIbB-]{0,28}") {
            let _ = parse(&text);
        }
    }
}
