//! Semantic versions as flagd's `sem_ver` reads them.

use std::cmp::Ordering;

/// A version, borrowed from its text. Numbers stay digits, so that none is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version<'a> {
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    pre_release: &'a str,
}

/// How two versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionOperator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    SameMajor,
    SameMinor,
}

impl VersionOperator {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "=" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "^" => Self::SameMajor,
            "~" => Self::SameMinor,
            _ => return None,
        })
    }

    pub(crate) fn holds(self, left: &Version<'_>, right: &Version<'_>) -> bool {
        match self {
            Self::Equal => left.precedence(right).is_eq(),
            Self::Unequal => left.precedence(right).is_ne(),
            Self::Less => left.precedence(right).is_lt(),
            Self::LessOrEqual => left.precedence(right).is_le(),
            Self::Greater => left.precedence(right).is_gt(),
            Self::GreaterOrEqual => left.precedence(right).is_ge(),
            Self::SameMajor => left.major == right.major,
            Self::SameMinor => left.major == right.major && left.minor == right.minor,
        }
    }
}

impl<'a> Version<'a> {
    /// Reads `1`, `1.2`, `1.2.3`, each with `-pre.release` and `+build` behind it and one `v` before it.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (core, pre_release) = match text.split_once('-') {
            Some((core, pre_release)) => (core, Some(pre_release)),
            None => (text, None),
        };
        let mut numbers = core.split('.');
        let major = number(numbers.next()?)?;
        let minor = numbers.next().map_or(Some("0"), number)?;
        let patch = numbers.next().map_or(Some("0"), number)?;
        if numbers.next().is_some() {
            return None;
        }
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if build.is_some_and(|build| !build.split('.').all(is_word)) {
            return None;
        }
        let is_identifier = |word: &str| is_word(word) && (!is_digits(word) || number(word).is_some());
        if pre_release.is_some_and(|pre_release| !pre_release.split('.').all(is_identifier)) {
            return None;
        }
        Some(Self { major, minor, patch, pre_release: pre_release.unwrap_or_default() })
    }

    /// Precedence by SemVer 2.0, §11. Build metadata has no part in it.
    fn precedence(&self, other: &Self) -> Ordering {
        let cores = [(self.major, other.major), (self.minor, other.minor), (self.patch, other.patch)];
        cores
            .into_iter()
            .map(|(left, right)| compare_digits(left, right))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| compare_pre_releases(self.pre_release, other.pre_release))
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits without a leading zero.
fn number(text: &str) -> Option<&str> {
    (!text.is_empty() && is_digits(text) && (text.len() == 1 || !text.starts_with('0'))).then_some(text)
}

fn compare_digits(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn compare_pre_releases(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut lefts, mut rights) = (left.split('.'), right.split('.'));
    loop {
        match (lefts.next(), rights.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => {
                let order = match (is_digits(left), is_digits(right)) {
                    (true, true) => compare_digits(left, right),
                    (true, false) => Ordering::Less,
                    (false, true) => Ordering::Greater,
                    (false, false) => left.cmp(right),
                };
                if order.is_ne() {
                    return order;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_that_of_the_specification() {
        let ascending = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1",
            "1.0.1",
            "v1.1",
            "V2.0.0+build.5",
            "2.0.99999999999999999999999",
            "10.0.0",
        ];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                let order = Version::parse(left).unwrap().precedence(&Version::parse(right).unwrap());
                assert_eq!(order, index.cmp(&other), "{left} {right}");
            }
        }
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in [
            "",
            "v",
            "vv1",
            "1.",
            "1.2.3.4",
            "01.2.3",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3+",
            "a",
            "-1",
            "1.x",
            " 1",
        ] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }
}
