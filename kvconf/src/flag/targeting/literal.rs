//! Texts of a rule, ready to be compared with those of a context.

use crate::flag::context::hash;

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

    #[inline]
    pub(crate) fn is(&self, text: &str) -> bool {
        if text.len() != self.text.len() {
            return false;
        }
        match Words::of(text.as_bytes()) {
            Some(words) => words == self.words,
            None => is_same(text, &self.text),
        }
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
        match bytes {
            [first, .., last] => Some(Self(
                u64::from(*first) | (u64::from(*last) << 8),
                bytes.get(1).copied().unwrap_or_default().into(),
            )),
            [only] => Some(Self((*only).into(), 0)),
            [] => Some(Self(0, 0)),
        }
    }
}

/// A set of texts.
#[derive(Debug, Clone)]
pub(crate) enum Texts {
    Few(Box<[Literal]>),
    /// Sorted by hash.
    Many(Box<[(u64, Box<str>)]>),
}

impl Texts {
    const FEW: usize = 8;

    pub(crate) fn new<'t>(texts: impl ExactSizeIterator<Item = &'t str>) -> Self {
        if texts.len() <= Self::FEW {
            return Self::Few(texts.map(Literal::new).collect());
        }
        let mut hashed: Vec<_> = texts.map(|text| (hash(text.as_bytes()), text.into())).collect();
        hashed.sort();
        hashed.dedup();
        Self::Many(hashed.into())
    }

    #[inline]
    pub(crate) fn contains(&self, text: &str) -> bool {
        match self {
            Self::Few(texts) => match Words::of(text.as_bytes()) {
                Some(words) => {
                    texts.iter().any(|known| known.text.len() == text.len() && known.words == words)
                }
                None => texts.iter().any(|known| is_same(&known.text, text)),
            },
            Self::Many(texts) => is_among(texts, text),
        }
    }
}

#[inline(never)]
fn is_among(texts: &[(u64, Box<str>)], text: &str) -> bool {
    let wanted = hash(text.as_bytes());
    let start = texts.partition_point(|(hash, _)| *hash < wanted);
    let same = texts.get(start..).unwrap_or_default().iter().take_while(|(hash, _)| *hash == wanted);
    same.into_iter().any(|(_, known)| **known == *text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_literal_is_what_equals_it(left in "[a-cé]{0,20}", right in "[a-cé]{0,20}") {
            prop_assert_eq!(Literal::new(&left).is(&right), left == right);
            prop_assert!(Literal::new(&left).is(&left));
        }

        #[test]
        fn a_set_contains_what_was_put_into_it(texts in prop::collection::vec("[ab]{0,18}", 0..20), text in "[ab]{0,18}") {
            let set = Texts::new(texts.iter().map(String::as_str));
            prop_assert_eq!(set.contains(&text), texts.contains(&text));
            prop_assert!(texts.iter().all(|text| set.contains(text)));
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
                assert!(!literal.is(&other), "{other}");
            }
        }
    }
}
