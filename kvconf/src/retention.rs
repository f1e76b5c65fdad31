//! What retention has lost: which of a key's earlier states are known, and which are not.
//!
//! A server drops entries without a word. What is left proves more than it seems, because every conditional write is
//! kept together with the revision that its author expected, which the server has checked (`store::header::EXPECTED`).
//! Every write of a plan or an update is one, and so is every `update` and `create` of other clients.
//!
//! | what is known of a key | its state at a moment |
//! |---|---|
//! | an entry from that moment or before | that entry's, unless the next one states a later predecessor from then or before: then lost |
//! | only later entries, the oldest states "nothing stood here" | no value |
//! | …the oldest states an expected revision | lost: that entry is gone |
//! | …it states nothing, and the key has as many entries as the bucket keeps | lost: others may have been pushed out |
//! | …it states nothing and is a purge, or a marker of the server | lost: these remove what was before |
//! | …it states nothing, and none of that | no value |
//! | no entry at all | no value |
//!
//! Before its first write a bucket held nothing, whatever has gone since.
//!
//! Where entries leave for their age or for room (`max_age`; `max_bytes` with `discard: old`), and some have left, absence
//! proves nothing: the second and the last two rows become "lost".
//!
//! What cannot be known: a value with a time to live of its own, the marker of a purge that has one, and what an
//! administrator removes can vanish without any trace. The key then looks as if it had never been written, or as it was
//! before that value.

use std::collections::HashMap;

use crate::attribution::{BEFORE, CONFIRMS, TAKES_BACK};
use crate::store::{HISTORY, Kept, header};
use crate::{Entry, Key, Operation, Revision};

/// The rules by which a bucket lets go of entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// How many revisions of a key it keeps; `None` where the client may not ask.
    history: Option<u64>,
    /// Whether old entries have left whatever their key was.
    evicted: bool,
}

impl Retention {
    /// What a client knows that may not ask: nothing is ruled out.
    pub(crate) const UNKNOWN: Self = Self { history: None, evicted: true };

    pub(crate) fn of(kept: &Kept) -> Self {
        Self { history: Some(kept.history), evicted: kept.evicts && kept.first.get() > 1 }
    }

    /// Whether a key without a trace may have had one.
    pub(crate) const fn has_evicted(&self) -> bool {
        self.evicted
    }

    /// Whether a key certainly had no value before its oldest retained entry, of so many.
    pub(crate) fn is_beginning(&self, oldest: &Entry, retained: u64) -> bool {
        self.settles(Beginning::of(oldest), retained)
    }

    /// As [`Self::is_beginning`], of what an entry says.
    pub(crate) fn settles(&self, beginning: Beginning, retained: u64) -> bool {
        !self.evicted
            && match beginning {
                Beginning::Stated => true,
                Beginning::Denied => false,
                Beginning::Unsaid => self.history.is_some_and(|history| retained < history),
            }
    }
}

/// What the oldest retained entry of a key says of what was before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// That there was nothing.
    Stated,
    /// That there was something, or may have been.
    Denied,
    /// Nothing: how many entries are retained has to tell.
    Unsaid,
}

impl Beginning {
    pub(crate) fn of(oldest: &Entry) -> Self {
        match predecessor(oldest) {
            _ if oldest.marker_reason().is_some() => Self::Denied,
            Some(Revision::ZERO) => Self::Stated,
            Some(_) => Self::Denied,
            None if oldest.operation() == Operation::Purge => Self::Denied,
            None => Self::Unsaid,
        }
    }
}

/// The first retained entry of a key behind a moment: what it tells of that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) revision: Revision,
    /// What it says of what was before it, where nothing of that is retained.
    pub(crate) beginning: Beginning,
    /// The entry that it replaced, where it says so.
    replaced: Option<Revision>,
}

impl Next {
    pub(crate) fn of(entry: &Entry) -> Self {
        let (revision, beginning) = (entry.revision(), Beginning::of(entry));
        Self { revision, beginning, replaced: predecessor(entry) }
    }

    /// Whether something else stood there at the moment than the newest entry up to then that is retained: it replaced a later
    /// one, which has gone out of the middle, as a value does at the end of its time to live.
    pub(crate) fn denies(&self, held: Revision, moment: Revision) -> bool {
        self.replaced.is_some_and(|replaced| held < replaced && replaced <= moment)
    }
}

/// Whether the oldest entry of some key may be its first: whether it is worth to ask by which rules the bucket lets go.
///
/// Not when all of them are known to have replaced something, or are as many as any key-value bucket keeps.
pub(crate) fn may_begin(entries: &[Entry]) -> bool {
    let mut keys: HashMap<&Key, (&Entry, u64)> = HashMap::new();
    for entry in entries {
        keys.entry(entry.key()).or_insert((entry, 0)).1 += 1;
    }
    let most = Retention { history: Some(u64::from(HISTORY)), evicted: false };
    keys.into_values().any(|(oldest, retained)| most.is_beginning(oldest, retained))
}

/// The revision of the key's entry right before this one, where the writer stated it and the server checked it; zero when
/// there was none.
pub(crate) fn predecessor(entry: &Entry) -> Option<Revision> {
    let headers = entry.headers();
    if headers.get(header::EXPECTED_ON).is_some() || headers.get(header::COPIED_FROM).is_some() {
        return None;
    }
    headers.get(header::EXPECTED)?.parse().ok().map(Revision::new)
}

/// Whether `later` is the key's next entry after `earlier`, as far as it says so.
///
/// What ends a change with a deadline counts as the next one after what that change would have gone back to: of the entry
/// in between, which leaves at its deadline, each of the two says that nothing else stood beside it.
pub(crate) fn follows(earlier: &Entry, later: &Entry) -> bool {
    predecessor(later).is_none_or(|stated| stated == earlier.revision()) || ends(earlier, later)
}

/// Whether `later` has confirmed or taken back the very change for which `earlier` was kept.
fn ends(earlier: &Entry, later: &Entry) -> bool {
    let ended = [CONFIRMS, TAKES_BACK].into_iter().find_map(|name| later.headers().get(name));
    ended.is_some() && ended == earlier.headers().get(BEFORE)
}

/// What stood under a key right before an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Before<E> {
    /// No entry.
    Nothing,
    /// This one.
    Entry(E),
    /// Nobody knows any more.
    Lost,
}

/// Follows the entries of many keys in the order of revisions, and tells what each one replaced.
#[derive(Debug)]
pub(crate) struct Follower<E> {
    newest: HashMap<Key, E>,
    /// How many entries of a key are retained in all.
    retained: HashMap<Key, u64>,
    retention: Retention,
}

impl<E: AsRef<Entry> + Clone> Follower<E> {
    /// `newest` are the entries that stood before the first one to be followed.
    pub(crate) fn new(
        newest: impl IntoIterator<Item = E>,
        retained: HashMap<Key, u64>,
        retention: Retention,
    ) -> Self {
        let newest = newest.into_iter().map(|entry| (entry.as_ref().key().clone(), entry)).collect();
        Self { newest, retained, retention }
    }

    /// What the next entry replaces.
    pub(crate) fn next(&mut self, entry: &E) -> Before<E> {
        let found = entry.as_ref();
        let key = found.key();
        match self.newest.insert(key.clone(), entry.clone()) {
            Some(earlier) if follows(earlier.as_ref(), found) => Before::Entry(earlier),
            Some(_) => Before::Lost,
            None => {
                let retained = self.retained.get(key).copied().unwrap_or(1);
                if self.retention.is_beginning(found, retained) { Before::Nothing } else { Before::Lost }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{Headers, MarkerReason};

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

    fn retention(history: u64) -> Retention {
        Retention { history: Some(history), evicted: false }
    }

    #[test]
    fn a_write_that_found_nothing_is_the_beginning_however_many_follow() {
        let first = entry(7, Operation::Put, &[(header::EXPECTED, "0")]);
        assert!(retention(5).is_beginning(&first, 5));
        assert!(!Retention::UNKNOWN.is_beginning(&first, 1));
        let later = entry(7, Operation::Put, &[(header::EXPECTED, "3")]);
        assert!(!retention(5).is_beginning(&later, 1));
    }

    #[test]
    fn a_write_that_states_nothing_is_the_beginning_of_few() {
        let put = entry(7, Operation::Put, &[]);
        assert!(retention(5).is_beginning(&put, 4));
        assert!(!retention(5).is_beginning(&put, 5));
        assert!(!retention(5).is_beginning(&entry(7, Operation::Purge, &[]), 1));
        assert!(retention(5).is_beginning(&entry(7, Operation::Purge, &[(header::EXPECTED, "0")]), 1));
        // A guard of a whole prefix says nothing of the key itself.
        let guarded = entry(7, Operation::Put, &[(header::EXPECTED, "0"), (header::EXPECTED_ON, "$KV.b.>")]);
        assert!(!retention(5).is_beginning(&guarded, 5));
        let mut expired = entry(7, Operation::Purge, &[]);
        expired.marker = Some(MarkerReason::MaxAge);
        assert!(!retention(5).is_beginning(&expired, 1));
    }

    #[test]
    fn a_stated_predecessor_that_is_not_the_retained_one_proves_a_loss() {
        let (old, new) =
            (entry(3, Operation::Put, &[]), entry(9, Operation::Put, &[(header::EXPECTED, "5")]));
        assert!(!follows(&old, &new));
        assert!(follows(&old, &entry(9, Operation::Put, &[(header::EXPECTED, "3")])));
        assert!(follows(&old, &entry(9, Operation::Put, &[])));
        let mut follower = Follower::new([], HashMap::new(), retention(5));
        let (old, new) = (std::sync::Arc::new(old), std::sync::Arc::new(new));
        assert_eq!(follower.next(&old), Before::Nothing);
        assert_eq!(follower.next(&new), Before::Lost);
    }

    #[test]
    fn a_change_with_a_deadline_that_has_left_is_no_loss() {
        let kept = entry(3, Operation::Put, &[(BEFORE, "x")]);
        let end = |name, id| entry(9, Operation::Put, &[(header::EXPECTED, "5"), (name, id)]);
        assert!(follows(&kept, &end(CONFIRMS, "x")));
        assert!(follows(&kept, &end(TAKES_BACK, "x")));
        assert!(!follows(&kept, &end(CONFIRMS, "y")));
        assert!(!follows(&kept, &entry(9, Operation::Put, &[(header::EXPECTED, "5")])));
    }
}
