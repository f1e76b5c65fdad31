//! Whether a bucket still knows what a key held at a revision.
//!
//! A read as of a revision gives the newest *retained* entry up to there, and is silent about keys that have none: they may
//! have been absent, or their entries may be gone. The rule that tells one from the other, for a key and a revision `r`:
//!
//! 1. An entry up to `r` is retained: the newest of them is what the key held. Buckets drop the oldest entries of a key
//!    first, so nothing newer can be missing.
//! 2. `r` is zero: the key held nothing, for nothing had been written.
//! 3. No entry of the key is left at all: it counts as never written.
//! 4. The bucket has a `max_age` and has lost its first revision: older entries may have aged out, **lost**.
//! 5. The oldest entry that is left is a marker of the server's: what was before it was removed, **lost**.
//! 6. The oldest entry that is left says which revision it replaced (every conditional write does, and all of kvconf's
//!    are). Zero: it was the first, and the key held nothing. Any other: that entry is gone, and the value **lost**.
//! 7. The oldest entry that is left is a purge: what was before it was removed, **lost**.
//! 8. As many entries are left as the bucket keeps of a key: older ones may have been pushed out, **lost**.
//! 9. Otherwise nothing removes entries, and the key held nothing.
//!
//! In doubt a value is lost. What leaves no trace cannot be in doubt, and reads as if it had never been: a value with a time
//! to live of its own that has expired, an administrator's removal of single entries or of whole keys, and what was dropped
//! while the bucket kept fewer revisions than now, unless step 6 tells of it.

use crate::store::{Status, header};
use crate::{Entry, Operation, Revision};

/// More entries of one key than any bucket with a limit keeps.
const UNLIMITED: usize = 256;

/// How a bucket comes to lose entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// How many entries of a key it keeps.
    pub(crate) history: usize,
    /// Whether entries may have aged out.
    pub(crate) ages: bool,
}

impl Retention {
    /// As a bucket's settings have it. By revisions and not by time: the server's clock is not ours.
    pub(crate) fn of(status: &Status) -> Self {
        let ages = status.config.max_age.is_some_and(|age| !age.is_zero());
        Self {
            history: status.config.history.map_or(UNLIMITED, usize::from),
            ages: ages && status.first_revision > Revision::new(1),
        }
    }
}

/// What a key held at a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held<'a> {
    /// This entry, which may be the marker of a removal.
    Entry(&'a Entry),
    /// Nothing: it had not been written.
    Nothing,
    /// The bucket does not know any more.
    Lost,
}

/// What a key held right after a revision, going by all its retained entries, oldest first.
pub(crate) fn held_at<'a>(entries: &[&'a Entry], revision: Revision, retention: Retention) -> Held<'a> {
    match entries.iter().rev().find(|entry| entry.revision() <= revision) {
        Some(entry) => Held::Entry(entry),
        None if revision == Revision::ZERO => Held::Nothing,
        None if is_beginning(entries, retention) => Held::Nothing,
        None => Held::Lost,
    }
}

/// Whether nothing can have stood before the oldest retained entry of a key.
fn is_beginning(entries: &[&Entry], retention: Retention) -> bool {
    let Some(oldest) = entries.first() else { return true };
    if retention.ages || oldest.marker_reason().is_some() {
        return false;
    }
    match replaced(oldest) {
        Some(replaced) => replaced == Revision::ZERO,
        None => oldest.operation() != Operation::Purge && entries.len() < retention.history,
    }
}

/// The revision of its own key that an entry says it replaced; zero for none.
fn replaced(entry: &Entry) -> Option<Revision> {
    let headers = entry.headers();
    // A copy from another bucket speaks of that bucket's revisions.
    if headers.get(header::EXPECTED_ON).is_some() || headers.get(header::COPIED_FROM).is_some() {
        return None;
    }
    headers.get(header::EXPECTED)?.parse().map(Revision::new).ok()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{Headers, Key, MarkerReason};

    const KEEPS_THREE: Retention = Retention { history: 3, ages: false };

    fn entry(revision: u64, operation: Operation, headers: &[(&str, &str)]) -> Entry {
        Entry {
            key: Key::new("a").unwrap(),
            revision: Revision::new(revision),
            value: bytes::Bytes::new(),
            operation,
            marker: None,
            created: SystemTime::UNIX_EPOCH,
            headers: headers.iter().copied().collect::<Headers>(),
        }
    }

    fn put(revision: u64) -> Entry {
        entry(revision, Operation::Put, &[])
    }

    fn put_over(replaced: &str, revision: u64) -> Entry {
        entry(revision, Operation::Put, &[(header::EXPECTED, replaced)])
    }

    fn held(entries: &[Entry], revision: u64, retention: Retention) -> String {
        let entries: Vec<&Entry> = entries.iter().collect();
        match held_at(&entries, Revision::new(revision), retention) {
            Held::Entry(entry) => format!("@{}", entry.revision()),
            Held::Nothing => "nothing".to_owned(),
            Held::Lost => "lost".to_owned(),
        }
    }

    #[test]
    fn the_newest_entry_up_to_the_revision_is_what_a_key_held() {
        let entries = [put(4), entry(6, Operation::Delete, &[]), put(9)];
        assert_eq!(held(&entries, 4, KEEPS_THREE), "@4");
        assert_eq!(held(&entries, 5, KEEPS_THREE), "@4");
        assert_eq!(held(&entries, 8, KEEPS_THREE), "@6");
        assert_eq!(held(&entries, 99, KEEPS_THREE), "@9");
    }

    #[test]
    fn a_key_with_fewer_entries_than_the_bucket_keeps_held_nothing_before() {
        assert_eq!(held(&[put(4), put(6)], 3, KEEPS_THREE), "nothing");
        assert_eq!(held(&[], 3, KEEPS_THREE), "nothing");
        assert_eq!(held(&[entry(4, Operation::Delete, &[])], 3, KEEPS_THREE), "nothing");
    }

    #[test]
    fn a_key_with_as_many_entries_as_the_bucket_keeps_may_have_lost_some() {
        let full = [put(4), put(5), put(6)];
        assert_eq!(held(&full, 3, KEEPS_THREE), "lost");
        assert_eq!(held(&full, 4, KEEPS_THREE), "@4");
        assert_eq!(held(&full, 0, KEEPS_THREE), "nothing", "nothing is older than the first revision");
    }

    #[test]
    fn the_first_entry_of_a_full_key_can_prove_that_it_is_the_first() {
        assert_eq!(held(&[put_over("0", 4), put(5), put(6)], 3, KEEPS_THREE), "nothing");
        assert_eq!(held(&[put_over("2", 4), put(5), put(6)], 3, KEEPS_THREE), "lost");
    }

    #[test]
    fn an_entry_that_replaced_one_that_is_gone_tells_of_it() {
        // The bucket keeps more revisions now than it did then.
        assert_eq!(held(&[put_over("2", 4)], 3, KEEPS_THREE), "lost");
        assert_eq!(held(&[put_over("nonsense", 4)], 3, KEEPS_THREE), "nothing");
        let on_a_prefix = [(header::EXPECTED, "2"), (header::EXPECTED_ON, "$KV.b.a.>")];
        assert_eq!(held(&[entry(4, Operation::Put, &on_a_prefix)], 3, KEEPS_THREE), "nothing");
        let copied = [(header::EXPECTED, "2"), (header::COPIED_FROM, "KV_other 7 > >")];
        assert_eq!(held(&[entry(4, Operation::Put, &copied)], 3, KEEPS_THREE), "nothing");
    }

    #[test]
    fn what_a_purge_or_the_server_removed_is_lost() {
        assert_eq!(held(&[entry(4, Operation::Purge, &[])], 3, KEEPS_THREE), "lost");
        let of_server = Entry { marker: Some(MarkerReason::MaxAge), ..entry(4, Operation::Purge, &[]) };
        assert_eq!(held(&[of_server], 3, KEEPS_THREE), "lost");
        let removed = Entry { marker: Some(MarkerReason::Remove), ..entry(4, Operation::Delete, &[]) };
        assert_eq!(held(&[removed], 3, KEEPS_THREE), "lost");
        let of_nothing = entry(4, Operation::Purge, &[(header::EXPECTED, "0")]);
        assert_eq!(held(&[of_nothing], 3, KEEPS_THREE), "nothing");
    }

    #[test]
    fn in_a_bucket_that_ages_an_older_value_may_have_gone() {
        let ages = Retention { ages: true, ..KEEPS_THREE };
        assert_eq!(held(&[put(4)], 3, ages), "lost");
        assert_eq!(held(&[put_over("0", 4)], 3, ages), "lost", "it may have been new once more");
        assert_eq!(held(&[put(4)], 4, ages), "@4");
    }
}
