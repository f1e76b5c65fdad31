//! Texts of a rule, ready to be compared with those of a context.

use serde_json::Value as Json;

use crate::flag::context::hash;
use crate::flag::value::Value;

/// A constant text.
///
/// Texts of up to sixteen bytes, which nearly all are, are compared as two words, by a dozen instructions in place of a call
/// of the system's `memcmp`.
#[derive(Debug, Clone)]
pub(crate) struct Literal {
    words: Words,
    text: Box<str>,
}

impl Literal {
    pub(crate) fn new(text: &str) -> Self {
        Self { words: Words::of(text.as_bytes()).unwrap_or_default(), text: text.into() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is this text, where that is to be seen by its words: `None` for long ones.
    #[inline]
    pub(crate) fn is(&self, text: &str) -> Option<bool> {
        if text.len() != self.text.len() {
            return Some(false);
        }
        Words::of(text.as_bytes()).map(|words| words == self.words)
    }

    /// Whether it is this text.
    #[inline]
    pub(crate) fn equals(&self, text: &str) -> bool {
        self.is(text).unwrap_or_else(|| is_same(text, &self.text))
    }
}

/// Long ones.
#[inline(never)]
fn is_same(left: &str, right: &str) -> bool {
    left == right
}

/// The bytes of a text of at most sixteen. Of two texts of one length, equal words mean equal texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Words(u64, u64);

impl Words {
    #[inline]
    fn of(bytes: &[u8]) -> Option<Self> {
        // Both ends, which overlap where the text is shorter than both together.
        if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let words = Self(u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            return (bytes.len() <= 16).then_some(words);
        }
        if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            return Some(Self(u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()));
        }
        if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            return Some(Self(u16::from_le_bytes(*first).into(), u16::from_le_bytes(*last).into()));
        }
        Some(Self(bytes.first().copied().unwrap_or_default().into(), 0))
    }
}

/// A set of texts.
#[derive(Debug, Clone)]
pub(crate) enum Texts {
    Few(Box<[Literal]>),
    Many(Sorted),
}

/// Texts with their hashes, sorted by both.
#[derive(Debug, Clone)]
pub(crate) struct Sorted {
    texts: Box<[(u64, Box<str>)]>,
    /// How many bytes the longest has: a longer one need not be hashed.
    longest: usize,
}

impl Texts {
    const FEW: usize = 8;

    pub(crate) fn new<'t>(texts: impl ExactSizeIterator<Item = &'t str>) -> Self {
        if texts.len() <= Self::FEW {
            return Self::Few(texts.map(Literal::new).collect());
        }
        let mut hashed: Vec<(u64, Box<str>)> =
            texts.map(|text| (hash(text.as_bytes()), text.into())).collect();
        hashed.sort();
        hashed.dedup();
        let longest = hashed.iter().map(|(_, text)| text.len()).max().unwrap_or_default();
        Self::Many(Sorted { texts: hashed.into(), longest })
    }

    /// Whether it is among them, where that is to be seen by its words: `None` for long ones, and where there are many.
    #[inline]
    pub(crate) fn contains_short(&self, text: &str) -> Option<bool> {
        let Self::Few(texts) = self else { return None };
        let words = Words::of(text.as_bytes())?;
        Some(texts.iter().any(|known| known.text.len() == text.len() && known.words == words))
    }

    /// Whether it is among them.
    #[inline]
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.contains_short(text).unwrap_or_else(|| self.contains_any(text))
    }

    #[inline(never)]
    fn contains_any(&self, text: &str) -> bool {
        match self {
            Self::Few(texts) => texts.iter().any(|known| *known.text == *text),
            Self::Many(texts) => texts.contains(text),
        }
    }
}

impl Sorted {
    fn contains(&self, text: &str) -> bool {
        if text.len() > self.longest {
            return false;
        }
        let wanted = hash(text.as_bytes());
        // By the text, too: whoever writes a rule can choose texts of one hash.
        let order = |(hash, known): &(u64, Box<str>)| hash.cmp(&wanted).then_with(|| (**known).cmp(text));
        self.texts.binary_search_by(order).is_ok()
    }
}

/// A set of constants of any kind, as `===` finds them: lists and objects equal nothing.
#[derive(Debug, Clone)]
pub(crate) struct Constants {
    texts: Texts,
    /// Each kind of numbers sorted.
    whole: Box<[i64]>,
    larger: Box<[u64]>,
    real: Box<[f64]>,
    has_null: bool,
    has_true: bool,
    has_false: bool,
}

impl Constants {
    pub(crate) fn new(items: &[Json]) -> Self {
        let (mut texts, mut whole, mut larger, mut real) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match Value::from(item) {
                Value::Text(text) => texts.push(text),
                Value::Int(number) => whole.push(number),
                Value::Uint(number) => larger.push(number),
                Value::Float(number) => real.push(number),
                Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => {}
            }
        }
        whole.sort_unstable();
        larger.sort_unstable();
        real.sort_unstable_by(f64::total_cmp);
        Self {
            texts: Texts::new(texts.into_iter()),
            whole: whole.into(),
            larger: larger.into(),
            real: real.into(),
            has_null: items.iter().any(Json::is_null),
            has_true: items.contains(&Json::Bool(true)),
            has_false: items.contains(&Json::Bool(false)),
        }
    }

    pub(crate) fn contains(&self, value: Value<'_>) -> bool {
        match value {
            Value::Null => self.has_null,
            Value::Bool(true) => self.has_true,
            Value::Bool(false) => self.has_false,
            Value::Text(text) => self.texts.contains(text),
            Value::Int(number) => self.whole.binary_search(&number).is_ok() || self.has_real(number as f64),
            Value::Uint(number) => self.larger.binary_search(&number).is_ok() || self.has_real(number as f64),
            // Whole numbers in order stay in order as floats.
            Value::Float(number) => {
                self.has_real(number)
                    || finds(&self.whole, number, |whole| whole as f64)
                    || finds(&self.larger, number, |larger| larger as f64)
            }
            Value::List(_) | Value::Object(_) => false,
        }
    }

    fn has_real(&self, number: f64) -> bool {
        finds(&self.real, number, |real| real)
    }
}

/// Whether a number is among these, which are in order.
fn finds<T: Copy>(sorted: &[T], number: f64, real: impl Fn(T) -> f64) -> bool {
    let start = sorted.partition_point(|known| real(*known) < number);
    sorted.get(start).is_some_and(|known| real(*known) == number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::coercion::strictly_equal;
    use super::*;

    proptest! {
        #[test]
        fn a_literal_is_what_equals_it(left in "[a-cé]{0,20}", right in "[a-cé]{0,20}") {
            prop_assert_eq!(Literal::new(&left).equals(&right), left == right);
            prop_assert!(Literal::new(&left).equals(&left));
        }

        #[test]
        fn a_set_contains_what_was_put_into_it(texts in prop::collection::vec("[ab]{0,18}", 0..20), text in "[ab]{0,18}") {
            let set = Texts::new(texts.iter().map(String::as_str));
            prop_assert_eq!(set.contains(&text), texts.contains(&text));
            prop_assert!(texts.iter().all(|text| set.contains(text)));
        }
    }

    fn constant() -> impl Strategy<Value = Json> {
        let number = prop_oneof![
            Just(Json::from(0)),
            Just(Json::from(-0.0)),
            Just(Json::from(1)),
            Just(Json::from(1.0)),
            Just(Json::from(2.5)),
            Just(Json::from(-3)),
            Just(Json::from(i64::MAX)),
            Just(Json::from(i64::MAX - 1)),
            Just(Json::from(i64::MIN)),
            Just(Json::from(u64::MAX)),
            Just(Json::from(1_u64 << 63)),
            Just(Json::from(2_f64.powi(63))),
            Just(Json::from(2_f64.powi(64))),
            Just(Json::from(1e300)),
        ];
        let other = prop_oneof![
            Just(Json::Null),
            Just(Json::from(true)),
            Just(Json::from(false)),
            Just(Json::from("a")),
            Just(Json::from("0")),
            Just(serde_json::json!([1])),
            Just(serde_json::json!({"a": 1, "b": 2})),
        ];
        prop_oneof![2 => number, 1 => other]
    }

    proptest! {
        #[test]
        fn a_set_of_constants_contains_what_one_of_them_equals_strictly(
            items in prop::collection::vec(constant(), 0..12),
            value in constant(),
        ) {
            let equal = items.iter().any(|item| strictly_equal((&value).into(), item.into()));
            prop_assert_eq!(Constants::new(&items).contains((&value).into()), equal);
        }
    }

    /// Every byte of a short text counts, at every length.
    #[test]
    fn texts_that_differ_in_one_byte_are_told_apart() {
        for length in 0..=24 {
            let text = "x".repeat(length);
            let literal = Literal::new(&text);
            for place in 0..length {
                let mut other = text.clone();
                other.replace_range(place..=place, "y");
                assert!(!literal.equals(&other), "{other}");
            }
        }
    }
}
