//! The generations of one cache: which to start from, which to keep. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Whether a generation has proven itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// It was written, and its process has not lived long enough since.
    Candidate,
    /// A process has served it, and lived, for the time that was asked for.
    Trusted,
}

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) trust: Trust,
}

const CANDIDATE: &str = ".candidate";
const EXTENSION: &str = ".kvcache";

impl Generation {
    pub(crate) const fn new(number: u64, trust: Trust) -> Self {
        Self { number, trust }
    }

    /// The trust stands in the name: a rename promotes.
    pub(crate) fn file_name(self) -> String {
        let mark = if self.trust == Trust::Candidate { CANDIDATE } else { "" };
        format!("{:010}{mark}{EXTENSION}", self.number)
    }

    pub(crate) fn of_file_name(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(EXTENSION)?;
        let (digits, trust) = match stem.strip_suffix(CANDIDATE) {
            Some(digits) => (digits, Trust::Candidate),
            None => (stem, Trust::Trusted),
        };
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        Some(Self { number, trust })
    }
}

/// How often a start from a generation did not come to a good end, by its number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Boots(BTreeMap<u64, u32>);

impl Boots {
    pub(crate) fn failures(&self, number: u64) -> u32 {
        self.0.get(&number).copied().unwrap_or(0)
    }

    /// A start that nobody has heard the end of counts as failed: a process that dies says nothing.
    pub(crate) fn begin(&mut self, number: u64) {
        let failures = self.0.entry(number).or_default();
        *failures = failures.saturating_add(1);
    }

    /// The process has served the generation for long enough.
    pub(crate) fn succeeded(&mut self, number: u64) {
        self.0.remove(&number);
    }

    /// The handle ended, or got another state, before it could be known: as if the start had not been.
    pub(crate) fn withdraw(&mut self, number: u64) {
        let failures = self.failures(number).saturating_sub(1);
        self.0.insert(number, failures);
        self.0.retain(|_, failures| *failures > 0);
    }

    pub(crate) fn retain(&mut self, generations: &[Generation]) {
        self.0.retain(|number, _| generations.iter().any(|generation| generation.number == *number));
    }

    pub(crate) fn to_text(&self) -> String {
        self.0.iter().map(|(number, failures)| format!("{number} {failures}\n")).collect()
    }

    /// A line that is no line of this file is left out: what it said is lost, and a start is tried once more.
    pub(crate) fn of_text(text: &str) -> Self {
        let line = |line: &str| {
            let (number, failures) = line.split_once(' ')?;
            Some((number.parse().ok()?, failures.parse().ok()?))
        };
        Self(text.lines().filter_map(line).collect())
    }
}

/// In which order to try generations: the trusted ones first, those with fewer failed starts first, newer ones first.
///
/// None is ever given up for good: where every one of them has failed, the one that failed least is better than none, for
/// a process may also have died of something else.
pub(crate) fn boot_order(generations: &[Generation], boots: &Boots) -> Vec<Generation> {
    let mut order = generations.to_vec();
    order.sort_by_key(|generation| {
        (Reverse(generation.trust), boots.failures(generation.number), Reverse(generation.number))
    });
    order
}

/// What to remove: trusted ones beyond the newest `keep`, and candidates that a newer generation supersedes.
pub(crate) fn superseded(generations: &[Generation], keep: usize) -> Vec<Generation> {
    let newest = generations.iter().map(|generation| generation.number).max();
    let mut trusted: Vec<Generation> =
        generations.iter().copied().filter(|generation| generation.trust == Trust::Trusted).collect();
    trusted.sort_by_key(|generation| Reverse(generation.number));
    let candidates = generations
        .iter()
        .copied()
        .filter(|generation| generation.trust == Trust::Candidate && Some(generation.number) != newest);
    candidates.chain(trusted.into_iter().skip(keep.max(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn trusted(number: u64) -> Generation {
        Generation::new(number, Trust::Trusted)
    }

    const fn candidate(number: u64) -> Generation {
        Generation::new(number, Trust::Candidate)
    }

    #[test]
    fn names_of_files_are_read_as_they_are_written() {
        for generation in [trusted(0), trusted(42), candidate(u64::MAX)] {
            assert_eq!(Generation::of_file_name(&generation.file_name()), Some(generation));
        }
        assert_eq!(candidate(7).file_name(), "0000000007.candidate.kvcache");
        for name in ["lock", "boots", ".kvcache", "x.kvcache", "-1.kvcache", "7.other.kvcache", "+7.kvcache"]
        {
            assert_eq!(Generation::of_file_name(name), None, "{name}");
        }
    }

    // P9
    #[test]
    fn a_start_that_died_makes_the_generation_before_it_the_next_to_be_tried() {
        let all = [trusted(1), trusted(2), trusted(3), candidate(4)];
        let mut boots = Boots::default();
        assert_eq!(boot_order(&all, &boots), [trusted(3), trusted(2), trusted(1), candidate(4)]);
        boots.begin(3);
        assert_eq!(boot_order(&all, &boots)[0], trusted(2));
        boots.begin(2);
        boots.begin(1);
        // All have failed: round again, rather than nothing.
        assert_eq!(boot_order(&all, &boots)[0], trusted(3));
        boots.begin(3);
        assert_eq!(boot_order(&all, &boots)[0], trusted(2));
        boots.succeeded(3);
        assert_eq!(boot_order(&all, &boots)[0], trusted(3));
    }

    #[test]
    fn a_start_that_was_withdrawn_leaves_earlier_failures_as_they_were() {
        let mut boots = Boots::default();
        boots.begin(3);
        boots.begin(3);
        boots.withdraw(3);
        assert_eq!(boots.failures(3), 1);
        boots.withdraw(3);
        assert_eq!(boots, Boots::default());
        boots.withdraw(3);
        assert_eq!(boots, Boots::default());
    }

    #[test]
    fn a_candidate_is_better_than_nothing() {
        assert_eq!(boot_order(&[candidate(1)], &Boots::default()), [candidate(1)]);
    }

    #[test]
    fn the_newest_trusted_ones_and_the_newest_candidate_are_kept() {
        let all = [trusted(1), trusted(2), candidate(3), trusted(4), candidate(5)];
        assert_eq!(superseded(&all, 2), [candidate(3), trusted(1)]);
        assert_eq!(superseded(&all, 0), [candidate(3), trusted(2), trusted(1)]);
        assert_eq!(superseded(&[candidate(5)], 2), []);
    }

    // P10
    #[test]
    fn a_damaged_list_of_starts_is_read_as_far_as_it_can_be() {
        let mut boots = Boots::default();
        boots.begin(3);
        assert_eq!(Boots::of_text(&boots.to_text()), boots);
        assert_eq!(Boots::of_text("3 1\n\u{0}\n4\n5 x\n99999999999999999999999 1\n"), boots);
    }
}
