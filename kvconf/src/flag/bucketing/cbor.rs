//! Deterministic CBOR (RFC 8949 §4.2.1) of the values that rules see.
//!
//! Whole floats within the 64-bit range are written as integers, minus zero as 0, any other float in the shortest width that
//! is exact; keys of an object are sorted by their encoded bytes.

use super::Murmur3;
use crate::flag::value::Value;

/// How deep a value may be nested. What is deeper has no bucket: a program can build a context of any depth, and this recurses.
const MAX_DEPTH: u8 = 128;

const UNSIGNED: u8 = 0 << 5;
const NEGATIVE: u8 = 1 << 5;
const TEXT: u8 = 3 << 5;
const LIST: u8 = 4 << 5;
const OBJECT: u8 = 5 << 5;
const SIMPLE: u8 = 7 << 5;

/// Where the bytes go.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Murmur3 {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A value is nested deeper than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// Writes a value.
pub(crate) fn write_value(value: Value<'_>, sink: &mut impl Sink) -> Result<(), TooDeep> {
    write_at(value, 0, sink)
}

fn write_at(value: Value<'_>, depth: u8, sink: &mut impl Sink) -> Result<(), TooDeep> {
    match value {
        Value::Null => sink.put(&[SIMPLE | 22]),
        Value::Bool(value) => sink.put(&[SIMPLE | if value { 21 } else { 20 }]),
        Value::Int(number) => write_int(number, sink),
        Value::Uint(number) => write_head(UNSIGNED, number, sink),
        Value::Float(number) => write_float(number, sink),
        Value::Text(text) => write_text(text, sink),
        Value::List(_) | Value::Object(_) if depth >= MAX_DEPTH => return Err(TooDeep),
        Value::List(items) => {
            write_list(items.len(), sink);
            for index in 0..items.len() {
                write_at(items.item(index).unwrap_or(Value::Null), depth + 1, sink)?;
            }
        }
        Value::Object(object) => {
            let mut entries = Vec::new();
            let mut outcome = Ok(());
            object.visit(&mut |name, value| {
                let mut entry = Vec::new();
                write_text(name, &mut entry);
                let key = entry.len();
                if outcome.is_ok() {
                    outcome = write_at(value, depth + 1, &mut entry);
                }
                entries.push((key, entry));
            });
            outcome?;
            // Whole entries sort as their keys do: no key is the beginning of another's bytes, and none stands twice.
            entries.sort_by(|left, right| left.1.cmp(&right.1));
            write_head(OBJECT, entries.len() as u64, sink);
            for (_, entry) in entries {
                sink.put(&entry);
            }
        }
    }
    Ok(())
}

/// Writes a text.
#[inline]
pub(crate) fn write_text(text: &str, sink: &mut impl Sink) {
    write_text_head(text.len(), sink);
    sink.put(text.as_bytes());
}

/// Writes what stands before a text of so many bytes.
#[inline]
pub(crate) fn write_text_head(bytes: usize, sink: &mut impl Sink) {
    write_head(TEXT, bytes as u64, sink);
}

/// Writes what stands before a list of so many items.
pub(crate) fn write_list(items: usize, sink: &mut impl Sink) {
    write_head(LIST, items as u64, sink);
}

fn write_int(number: i64, sink: &mut impl Sink) {
    match u64::try_from(number) {
        Ok(number) => write_head(UNSIGNED, number, sink),
        // -1 - n, which is the complement.
        Err(_) => write_head(NEGATIVE, !number as u64, sink),
    }
}

#[inline]
fn write_head(major: u8, argument: u64, sink: &mut impl Sink) {
    let bytes = argument.to_be_bytes();
    let [_, _, _, _, b4, b5, b6, b7] = bytes;
    match argument {
        0..24 => sink.put(&[major | b7]),
        24..0x100 => sink.put(&[major | 24, b7]),
        0x100..0x1_0000 => sink.put(&[major | 25, b6, b7]),
        0x1_0000..0x1_0000_0000 => sink.put(&[major | 26, b4, b5, b6, b7]),
        _ => {
            sink.put(&[major | 27]);
            sink.put(&bytes);
        }
    }
}

fn write_float(number: f64, sink: &mut impl Sink) {
    const BELOW: f64 = -9_223_372_036_854_775_808.0;
    const ABOVE: f64 = 18_446_744_073_709_551_616.0;
    if number.fract() == 0.0 && (BELOW..ABOVE).contains(&number) {
        // Minus zero becomes 0 with this. Both conversions are exact.
        return if number < 0.0 {
            write_int(number as i64, sink)
        } else {
            write_head(UNSIGNED, number as u64, sink)
        };
    }
    let single = number as f32;
    if f64::from(single) != number {
        sink.put(&[SIMPLE | 27]);
        sink.put(&number.to_be_bytes());
    } else if let Some(half) = half(single) {
        sink.put(&[SIMPLE | 25]);
        sink.put(&half.to_be_bytes());
    } else {
        sink.put(&[SIMPLE | 26]);
        sink.put(&single.to_be_bytes());
    }
}

/// The number in IEEE 754's half precision, if that is exact. Numbers, not infinities: nothing here has those.
fn half(number: f32) -> Option<u16> {
    let bits = number.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let exponent = (bits >> 23 & 0xff) as i32 - 127;
    let mantissa = bits & 0x7f_ffff;
    match exponent {
        // Ten bits of mantissa remain.
        -14..=15 if mantissa & 0x1fff == 0 => {
            Some(sign | (((exponent + 15) as u16) << 10) | (mantissa >> 13) as u16)
        }
        // Below the smallest normal number the leading one is written out.
        -24..=-15 => {
            let whole = mantissa | 0x80_0000;
            let shift = (-exponent - 1) as u32;
            (whole.trailing_zeros() >= shift).then_some(sign | (whole >> shift) as u16)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hex(value: Value<'_>) -> String {
        let mut bytes = Vec::new();
        write_value(value, &mut bytes).unwrap();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 8949, appendix A; floats that are whole numbers are written as such.
    #[test]
    fn values_are_written_as_in_the_rfc() {
        let expected = [
            (json!(0), "00"),
            (json!(23), "17"),
            (json!(24), "1818"),
            (json!(1000), "1903e8"),
            (json!(1_000_000), "1a000f4240"),
            (json!(18_446_744_073_709_551_615_u64), "1bffffffffffffffff"),
            (json!(-1), "20"),
            (json!(-1000), "3903e7"),
            (json!(i64::MIN), "3b7fffffffffffffff"),
            (json!(1.1), "fb3ff199999999999a"),
            (json!(1.5), "f93e00"),
            (json!(-4.1), "fbc010666666666666"),
            (json!(5.960_464_477_539_063e-8), "f90001"),
            (json!(0.000_061_035_156_25), "f90400"),
            (json!(3.402_823_466_385_288_6e38), "fa7f7fffff"),
            (json!(1.0e300), "fb7e37e43c8800759c"),
            (json!(65504.0), "19ffe0"),
            (json!(-0.0), "00"),
            (json!(1e19), "1b8ac7230489e80000"),
            (json!(1.844_674_407_370_955_2e19), "fa5f800000"),
            (json!("ü"), "62c3bc"),
            (json!([1, [2, 3]]), "8201820203"),
            (json!({"b": [2, 3], "a": 1, "aa": null}), "a3616101616282020362616\u{31}f6"),
            (json!([true, false, null]), "83f5f4f6"),
        ];
        for (json, bytes) in expected {
            assert_eq!(hex((&json).into()), bytes, "{json}");
        }
    }

    #[test]
    fn the_shortest_exact_width_is_taken() {
        assert_eq!(half(1.0), Some(0x3c00));
        assert_eq!(half(0.1), None);
        assert_eq!(half(f32::from_bits(0x3380_0000)), Some(1));
        assert_eq!(half(f32::from_bits(0x3300_0000)), None);
        assert_eq!(hex(Value::Float(f64::from(0.1_f32))), "fa3dcccccd");
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        let mut json = json!(1);
        for _ in 0..200 {
            json = json!([json]);
        }
        assert_eq!(write_value((&json).into(), &mut Vec::new()), Err(TooDeep));
    }
}
