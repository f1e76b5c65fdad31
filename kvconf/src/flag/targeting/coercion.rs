//! JavaScript's conversions, as JSONLogic's reference and its test suites use them.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::failure::Failure;
use crate::flag::value::Value;

/// `Number(text)` of ECMAScript (§7.1.4.1): NaN where it is none.
pub(crate) fn text_to_number(text: &str) -> f64 {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.is_empty() {
        return 0.0;
    }
    if let Some((radix, digits)) = radix(text) {
        return digits_to_number(digits, radix);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.as_bytes() {
        b"Infinity" => text.strip_prefix('-').map_or(f64::INFINITY, |_| f64::NEG_INFINITY),
        // Rust's parser knows more words than JavaScript's: `inf`, `nan`, `infinity`.
        [b'0'..=b'9' | b'.', ..] => text.parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

fn radix(text: &str) -> Option<(u32, &str)> {
    [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((radix, text.strip_prefix(prefix)?)))
}

fn digits_to_number(digits: &str, radix: u32) -> f64 {
    if digits.is_empty() {
        return f64::NAN;
    }
    digits
        .chars()
        .try_fold(0.0, |number, digit| Some(number * f64::from(radix) + f64::from(digit.to_digit(radix)?)))
        .unwrap_or(f64::NAN)
}

/// The number that arithmetic and comparisons take a scalar for. Lists and objects are none.
pub(crate) fn to_number(value: Value<'_>) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(value) => f64::from(u8::from(value)),
        Value::Int(number) => number as f64,
        Value::Uint(number) => number as f64,
        Value::Float(number) => number,
        Value::Text(text) => text_to_number(text),
        Value::List(_) | Value::Object(_) => f64::NAN,
    }
}

/// The order of two numbers: exact where both are whole, however large.
fn compare_numbers(left: Value<'_>, right: Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(&right)),
        (Value::Uint(left), Value::Uint(right)) => Some(left.cmp(&right)),
        (Value::Uint(_), Value::Int(_)) => Some(Ordering::Greater),
        (Value::Int(_), Value::Uint(_)) => Some(Ordering::Less),
        _ => to_number(left).partial_cmp(&to_number(right)),
    }
}

/// `===`. Lists and objects have an identity in JavaScript and none here: they never equal anything.
pub(crate) fn strictly_equal(left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Text(left), Value::Text(right)) => left == right,
        _ if is_number(left) && is_number(right) => compare_numbers(left, right) == Some(Ordering::Equal),
        _ => false,
    }
}

fn is_number(value: Value<'_>) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Float(_))
}

/// `==`.
///
/// # Errors
/// [`Failure::NotANumber`] where a number is compared with what is none (a text such as `"A"`, a list, an object), and for
/// two lists or objects. JSONLogic's suites demand these. They also have `null == 0`, and every core of flagd takes that for
/// `null == false`, too, where JavaScript has neither. Everything else is JavaScript's.
pub(crate) fn loosely_equal(left: Value<'_>, right: Value<'_>) -> Result<bool, Failure> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => Ok(left == right),
        (Value::Null, Value::Null) => Ok(true),
        (Value::Null, Value::Text(_) | Value::List(_) | Value::Object(_))
        | (Value::Text(_) | Value::List(_) | Value::Object(_), Value::Null) => Ok(false),
        _ => Ok(order(left, right)? == Some(Ordering::Equal)),
    }
}

/// The order that `<` and its like, and `==` between unlike kinds, go by. `None` is JavaScript's NaN: nothing holds.
///
/// # Errors
/// As [`loosely_equal`].
pub(crate) fn order(left: Value<'_>, right: Value<'_>) -> Result<Option<Ordering>, Failure> {
    let is_container = |value| matches!(value, Value::List(_) | Value::Object(_));
    match (left, right) {
        // By UTF-16 units, as JavaScript does; that differs from the order of bytes only beyond the basic plane.
        (Value::Text(left), Value::Text(right)) => Ok(Some(order_texts(left, right))),
        _ if is_container(left) && is_container(right) => Err(Failure::NotANumber),
        (Value::Text(text), other) if is_container(other) => Ok(Some(order_texts(text, &to_text(other)))),
        (other, Value::Text(text)) if is_container(other) => Ok(Some(order_texts(&to_text(other), text))),
        _ if is_container(left) || is_container(right) => {
            if is_number(left) || is_number(right) {
                return Err(Failure::NotANumber);
            }
            let number =
                |value| if is_container(value) { text_to_number(&to_text(value)) } else { to_number(value) };
            Ok(number(left).partial_cmp(&number(right)))
        }
        _ => {
            let order = compare_numbers(left, right);
            if order.is_none() && (is_number(left) || is_number(right)) {
                Err(Failure::NotANumber)
            } else {
                Ok(order)
            }
        }
    }
}

fn order_texts(left: &str, right: &str) -> Ordering {
    if left.is_ascii() || right.is_ascii() {
        left.cmp(right)
    } else {
        left.encode_utf16().cmp(right.encode_utf16())
    }
}

/// `String(value)`.
pub(crate) fn to_text(value: Value<'_>) -> String {
    let mut text = String::new();
    match value {
        Value::Null => text.push_str("null"),
        value => write_joined(value, 0, &mut text),
    }
    text
}

/// How many lists in one another are written: a program can build contexts of any depth.
const MAX_DEPTH: u8 = 64;

/// What `[value].join("")` gives: nothing for `null`, the items of a list with commas between. Objects are what JavaScript
/// makes of them.
pub(crate) fn write_joined(value: Value<'_>, depth: u8, text: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        // Writing to a String cannot fail.
        Value::Int(number) => write!(text, "{number}").unwrap_or_default(),
        Value::Uint(number) => write!(text, "{number}").unwrap_or_default(),
        Value::Float(number) => write_float(number, text),
        Value::Text(piece) => text.push_str(piece),
        Value::List(items) => {
            for index in 0..if depth < MAX_DEPTH { items.len() } else { 0 } {
                if index > 0 {
                    text.push(',');
                }
                write_joined(items.item(index).unwrap_or(Value::Null), depth + 1, text);
            }
        }
        Value::Object(_) => text.push_str("[object Object]"),
    }
}

/// `Number::toString` of ECMAScript (§6.1.6.1.20): the shortest digits that read back, with an exponent from 1e21 on and
/// below 1e-6.
pub(crate) fn write_float(number: f64, text: &mut String) {
    if number == 0.0 {
        text.push('0');
    } else if !number.is_finite() {
        text.push_str(if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        });
    } else if (1e-6..1e21).contains(&number.abs()) {
        write!(text, "{number}").unwrap_or_default();
    } else {
        let shown = format!("{number:e}");
        // Rust writes 1e21, JavaScript 1e+21.
        match shown.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                write!(text, "{digits}e+{exponent}").unwrap_or_default()
            }
            _ => text.push_str(&shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_the_numbers_of_javascript() {
        for (text, number) in [
            ("", 0.0),
            (" \t\n", 0.0),
            ("12", 12.0),
            (" -1.5e2 ", -150.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("+.5", 0.5),
            ("0x1F", 31.0),
            ("0b11", 3.0),
            ("0o17", 15.0),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e1000", f64::INFINITY),
        ] {
            assert_eq!(text_to_number(text), number, "{text:?}");
        }
        for text in ["A", "1a", "inf", "nan", "infinity", "-0x1F", "0x", "1_000", ".", "e5", "1,5", "--1"] {
            assert!(text_to_number(text).is_nan(), "{text:?}");
        }
    }

    #[test]
    fn numbers_become_the_texts_of_javascript() {
        for (number, expected) in [
            (2.0, "2"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (-123.456, "-123.456"),
        ] {
            let mut text = String::new();
            write_float(number, &mut text);
            assert_eq!(text, expected);
        }
    }
}
