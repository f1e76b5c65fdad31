//! Where questions are put: by verb and by what a handle reads.

use derive_more::Display;

use crate::Prefix;

/// Stands for the whole bucket. No key has this character.
const WHOLE: &str = "+";

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
pub(crate) enum Verb {
    /// Who is there, and how it is.
    #[display("who")]
    Who,
    /// Whether a change would be taken.
    #[display("preflight")]
    Preflight,
    /// Whether a revision was taken, once it was looked at.
    #[display("settled")]
    Settled,
}

impl Verb {
    fn parse(text: &str) -> Option<Self> {
        [Self::Who, Self::Preflight, Self::Settled].into_iter().find(|verb| verb.to_string() == text)
    }
}

/// What a handle reads: questions are put to one scope, so an instance hears of no key that it may not read, and
/// permissions can name one.
///
/// `checkout.eu` for a prefix, `+` for the whole bucket; layers are joined by a `+`, which no key has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
pub(crate) struct Scope(String);

impl Scope {
    pub(crate) fn of<'a>(prefixes: impl IntoIterator<Item = &'a Prefix>) -> Self {
        let mut joined = String::new();
        for (at, prefix) in prefixes.into_iter().enumerate() {
            if at > 0 {
                joined.push('+');
            }
            joined.push_str(prefix.as_str());
        }
        if joined.is_empty() { Self(WHOLE.to_owned()) } else { Self(joined) }
    }

    /// What instances listen to for it.
    pub(crate) fn pattern(&self) -> String {
        format!("*.{self}")
    }

    pub(crate) fn topic(&self, verb: Verb) -> String {
        format!("{verb}.{self}")
    }
}

/// What everybody listens to.
pub(crate) fn everybody() -> String {
    Verb::Who.to_string()
}

/// What a topic asks, and of which scope; `None` for the scope where all are asked.
pub(crate) fn parse(topic: &str) -> Option<(Verb, Option<Scope>)> {
    match topic.split_once('.') {
        None => Some((Verb::parse(topic)?, None)),
        Some((verb, scope)) => Some((Verb::parse(verb)?, Some(Scope(scope.to_owned())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(prefixes: &[&str]) -> Scope {
        let prefixes: Vec<Prefix> = prefixes.iter().map(|text| Prefix::new(text).unwrap()).collect();
        Scope::of(&prefixes)
    }

    #[test]
    fn a_scope_is_part_of_a_subject_and_reads_back() {
        for (prefixes, shown) in [
            (&["checkout"][..], "checkout"),
            (&[""], "+"),
            (&["checkout.eu"], "checkout.eu"),
            (&["base.checkout", "eu.checkout"], "base.checkout+eu.checkout"),
        ] {
            let scope = scope(prefixes);
            assert_eq!(scope.to_string(), shown);
            assert_eq!(parse(&scope.topic(Verb::Preflight)), Some((Verb::Preflight, Some(scope))));
        }
        assert_eq!(parse("who"), Some((Verb::Who, None)));
        assert_eq!((parse("what"), parse(""), parse(".a")), (None, None, None));
    }
}
