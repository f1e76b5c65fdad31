//! Which keys were written since a moment, and what that says of them then and later.
//!
//! A key that nobody has written to since is as it was. Of the others what is retained tells: `retention` has the rules.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::error::LostKey;
use crate::retention::{Next, Retention};
use crate::store::Kept;
use crate::{Entry, Key, Revision};

/// The keys that were written between two moments, gathered from their entries.
#[derive(Debug)]
pub(crate) struct Touched {
    from: Revision,
    to: Revision,
    keys: HashMap<Key, Touches, RandomState>,
}

/// What the entries of one key come to.
#[derive(Debug)]
struct Touches {
    /// The oldest one since `from`.
    first: Next,
    count: u64,
    /// The newest one up to `to`, and whether it is a removal.
    newest: Option<(Revision, bool)>,
    /// The oldest one behind `to`.
    behind: Option<Next>,
}

/// A key that may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) key: Key,
    pub(crate) earlier: Earlier,
    /// The revision of its entry at the later moment.
    pub(crate) later: Revision,
    /// What was written first since the earlier moment.
    pub(crate) first: Next,
}

/// What stood under a key at the earlier moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    Nothing,
    /// Something that the bucket keeps.
    Kept,
}

/// What is to be compared, in the order of keys; or whose state is not known, at which of the two moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judged {
    Candidates(Vec<Candidate>),
    Lost { revision: Revision, keys: Vec<LostKey> },
}

impl Touched {
    pub(crate) fn between(from: Revision, to: Revision) -> Self {
        Self { from, to, keys: HashMap::default() }
    }

    /// Takes in an entry that is newer than the earlier moment. Those of one key come in their order.
    pub(crate) fn take(&mut self, entry: &Entry) {
        if entry.key().is_reserved() {
            return;
        }
        let (revision, is_removal) = (entry.revision(), entry.operation().is_removal());
        if !self.keys.contains_key(entry.key()) {
            let touches = Touches { first: Next::of(entry), count: 0, newest: None, behind: None };
            self.keys.insert(entry.key().clone(), touches);
        }
        let Some(touches) = self.keys.get_mut(entry.key()) else { return };
        touches.count += 1;
        if revision <= self.to {
            touches.newest = Some((revision, is_removal));
        } else if touches.behind.is_none() {
            touches.behind = Some(Next::of(entry));
        }
    }

    /// Judges what was gathered by what the bucket kept when the gathering began.
    pub(crate) fn judge(self, kept: &Kept) -> Judged {
        let retention = Retention::of(kept);
        let (mut candidates, mut lost, mut lost_later) = (Vec::new(), Vec::new(), Vec::new());
        for (key, touches) in self.keys {
            let retained = kept.entries.get(&key).copied().unwrap_or(touches.count);
            let earlier = if retained > touches.count {
                Earlier::Kept
            } else if self.from == Revision::ZERO && touches.newest.is_some()
                || retention.settles(touches.first.beginning, retained)
            {
                Earlier::Nothing
            } else {
                lost.push(LostKey { key: key.to_string(), known_since: Some(touches.first.revision) });
                continue;
            };
            // Where nothing that was written between the two is left, the first one behind them may tell of it.
            let (held, behind) = match touches.newest {
                Some((newest, _)) => (newest, touches.behind),
                None => (self.from, Some(touches.first)),
            };
            if let Some(behind) = behind.filter(|behind| behind.denies(held, self.to)) {
                lost_later.push(LostKey { key: key.to_string(), known_since: Some(behind.revision) });
                continue;
            }
            match touches.newest {
                // Written to later only: at both moments it was what it was before that.
                None => {}
                Some((_, true)) if earlier == Earlier::Nothing => {}
                Some((later, _)) => candidates.push(Candidate { key, earlier, later, first: touches.first }),
            }
        }
        let is_later = lost.is_empty();
        if is_later {
            lost = lost_later;
        }
        if lost.is_empty() {
            candidates.sort_unstable_by(|one, other| one.key.cmp(&other.key));
            return Judged::Candidates(candidates);
        }
        lost.sort_by(|one, other| one.key.cmp(&other.key));
        // Before the first revision nothing is lost.
        let revision = if is_later || self.from == Revision::ZERO { self.to } else { self.from };
        Judged::Lost { revision, keys: lost }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::store::header::EXPECTED;
    use crate::{Headers, Operation};

    fn entry(key: &str, revision: u64, operation: Operation, expected: Option<&str>) -> Entry {
        let headers: Headers = expected.into_iter().map(|expected| (EXPECTED, expected)).collect();
        Entry {
            key: Key::new(key).unwrap(),
            revision: Revision::new(revision),
            value: bytes::Bytes::new(),
            operation,
            marker: None,
            created: SystemTime::UNIX_EPOCH,
            headers,
        }
    }

    fn put(key: &str, revision: u64) -> Entry {
        entry(key, revision, Operation::Put, None)
    }

    /// Of a bucket that keeps three revisions of a key, and so many of these.
    fn judged(from: u64, to: u64, entries: &[Entry], retained: &[(&str, u64)]) -> Judged {
        let mut touched = Touched::between(Revision::new(from), Revision::new(to));
        entries.iter().for_each(|entry| touched.take(entry));
        touched.judge(&Kept {
            entries: retained.iter().map(|(key, count)| (Key::new(key).unwrap(), *count)).collect(),
            first: Revision::new(1),
            last: Revision::new(99),
            total: 99,
            history: 3,
            evicts: false,
            created: SystemTime::UNIX_EPOCH,
            written: SystemTime::UNIX_EPOCH,
        })
    }

    fn candidate(first: &Entry, earlier: Earlier, later: u64) -> Candidate {
        let key = first.key().clone();
        Candidate { key, earlier, later: Revision::new(later), first: Next::of(first) }
    }

    fn lost(revision: u64, key: &str, since: u64) -> Judged {
        let keys = vec![LostKey { key: key.to_owned(), known_since: Some(Revision::new(since)) }];
        Judged::Lost { revision: Revision::new(revision), keys }
    }

    #[test]
    fn a_key_with_more_entries_than_were_seen_had_a_value_and_others_had_none() {
        let seen = [put("b", 12), put("b", 13), put("a", 14)];
        assert_eq!(
            judged(10, 20, &seen, &[("a", 1), ("b", 3)]),
            Judged::Candidates(vec![
                candidate(&seen[2], Earlier::Nothing, 14),
                candidate(&seen[0], Earlier::Kept, 13)
            ])
        );
    }

    #[test]
    fn a_key_that_was_written_to_behind_the_later_moment_only_does_not_differ() {
        assert_eq!(judged(10, 20, &[put("a", 21)], &[("a", 2)]), Judged::Candidates(vec![]));
        assert_eq!(judged(10, 20, &[put("a", 21)], &[("a", 1)]), Judged::Candidates(vec![]));
        let made_and_removed = [put("a", 12), entry("a", 13, Operation::Delete, None)];
        assert_eq!(judged(10, 20, &made_and_removed, &[("a", 2)]), Judged::Candidates(vec![]));
    }

    // P8
    #[test]
    fn what_may_have_been_pushed_out_or_purged_is_lost_and_not_absent() {
        let full = [put("a", 12), put("a", 13), put("a", 21)];
        assert_eq!(judged(10, 20, &full, &[("a", 3)]), lost(10, "a", 12));
        let later_only = [put("a", 21), put("a", 22), put("a", 23)];
        assert_eq!(judged(10, 20, &later_only, &[("a", 3)]), lost(10, "a", 21));
        assert_eq!(judged(0, 20, &later_only, &[("a", 3)]), lost(20, "a", 21));
        let purged = [entry("a", 12, Operation::Purge, None)];
        assert_eq!(judged(10, 20, &purged, &[("a", 1)]), lost(10, "a", 12));
        let follows = [entry("a", 12, Operation::Put, Some("5"))];
        assert_eq!(judged(10, 20, &follows, &[("a", 1)]), lost(10, "a", 12));
    }

    // P8
    #[test]
    fn a_value_that_went_out_of_the_middle_is_lost_at_the_later_moment() {
        let replaced = [put("a", 12), entry("a", 21, Operation::Put, Some("15"))];
        assert_eq!(judged(10, 20, &replaced, &[("a", 3)]), lost(20, "a", 21));
        let alone = [entry("a", 21, Operation::Put, Some("15"))];
        assert_eq!(judged(10, 20, &alone, &[("a", 2)]), lost(20, "a", 21));
        // What was written to after the moment says nothing of it.
        let later = [put("a", 12), entry("a", 30, Operation::Put, Some("25"))];
        let found = Judged::Candidates(vec![candidate(&later[0], Earlier::Kept, 12)]);
        assert_eq!(judged(10, 20, &later, &[("a", 3)]), found);
    }

    #[test]
    fn a_first_write_that_says_so_and_the_time_before_all_prove_that_there_was_nothing() {
        let made = [entry("a", 12, Operation::Put, Some("0")), put("a", 13), put("a", 14)];
        let found = |first: &Entry| Judged::Candidates(vec![candidate(first, Earlier::Nothing, 14)]);
        assert_eq!(judged(10, 20, &made, &[("a", 3)]), found(&made[0]));
        let full = [put("a", 12), put("a", 13), put("a", 14)];
        assert_eq!(judged(0, 20, &full, &[("a", 3)]), found(&full[0]));
    }
}
