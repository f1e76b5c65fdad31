//! The entries of one change set among all that is retained, and whether it can be taken back by itself. Pure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use derive_more::{Display, From};

use super::error::ChangedSince;
use crate::attribution::CHANGE;
use crate::change::Applied;
use crate::history::{LoggedChange, LoggedKey};
use crate::watch::sets::{Extent, Membership, Place, membership, place};
use crate::{Attribution, Entry, Filter, Key, Prefix, Revision};

/// Names one change set: by its id (`Kvconf-Change`), or by any revision that it wrote, which works for clients that give no
/// id.
///
/// An id may name several sets: a change that was made one by one or in parts. A revision names one of them.
#[derive(Debug, Clone, PartialEq, Eq, Display, From)]
#[non_exhaustive]
pub enum ChangeRef {
    /// The id.
    #[display("change `{_0}`")]
    Id(String),
    /// A revision that it wrote.
    #[display("the change at revision {_0}")]
    Revision(Revision),
}

impl From<&str> for ChangeRef {
    fn from(id: &str) -> Self {
        Self::Id(id.to_owned())
    }
}

impl From<&LoggedChange> for ChangeRef {
    fn from(change: &LoggedChange) -> Self {
        // Of a change that was made one by one, the log has each as a set of its own.
        Self::Revision(change.keys().last().map_or(change.revision(), LoggedKey::revision))
    }
}

impl From<&Applied> for ChangeRef {
    fn from(applied: &Applied) -> Self {
        Self::Id(applied.change().to_owned())
    }
}

/// The change set that is still open at a revision, as far as the newest of these entries tells, all of which stand up to
/// there. Whether it goes on, later entries tell.
pub(super) fn open_set<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    revision: Revision,
) -> Option<Place<'a>> {
    // The entries of a set stand next to each other: of all sets, only the last one can be open.
    let newest = entries.into_iter().max_by_key(|entry| entry.revision())?;
    place(newest).filter(|place| place.end.is_none_or(|end| end > revision))
}

/// Whether an entry belongs to this set.
pub(super) fn goes_on(set: &Place<'_>, entry: &Entry) -> bool {
    place(entry).is_some_and(|place| place.start == set.start && place.id == set.id)
}

fn same_batch(one: &Entry, other: &Entry) -> bool {
    place(one).is_some_and(|set| goes_on(&set, other))
}

/// The parts of the bucket that filters are about, for the question how many entries a set has there; `None` for a single
/// key, which has one.
pub(super) fn parts_asked_for(filters: &[Filter]) -> Option<Vec<Prefix>> {
    if let [filter] = filters
        && filter.as_key().is_some()
    {
        return None;
    }
    Some(filters.iter().map(|filter| filter.as_prefix().unwrap_or_else(Prefix::root)).collect())
}

/// Whether an entry is worth to be kept when all are looked through for a set: all of them are where a revision names it, for
/// they are few, and others tell where it ends.
pub(super) fn may_belong(entry: &Entry, which: &ChangeRef) -> bool {
    match which {
        ChangeRef::Id(id) => entry.headers().get(CHANGE) == Some(id.as_str()),
        ChangeRef::Revision(_) => true,
    }
}

/// The entries that belong to the change set, oldest first.
pub(super) fn members<'a>(history: &'a [Entry], which: &ChangeRef) -> Vec<&'a Entry> {
    match which {
        ChangeRef::Id(id) => {
            history.iter().filter(|entry| entry.headers().get(CHANGE) == Some(id.as_str())).collect()
        }
        ChangeRef::Revision(revision) => {
            let is_named = |entry: &&Entry| {
                let reaches = |place: Place<'_>| place.start..=place.end.unwrap_or(entry.revision());
                entry.revision() == *revision
                    || place(entry).is_some_and(|place| reaches(place).contains(revision))
            };
            let Some(named) = history.iter().find(is_named) else { return Vec::new() };
            let is_member = |entry: &&Entry| entry.revision() == named.revision() || same_batch(named, entry);
            history.iter().filter(is_member).collect()
        }
    }
}

/// How much of a change set is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// So many entries.
    Known(u64),
    /// The entries do not say how many there were in this part of the bucket; the whole bucket tells, through
    /// [`missing_in_all`].
    Unsure,
}

/// How many entries of the set, in these parts of the bucket, are no longer there.
pub(super) fn missing(members: &[&Entry], parts: &[Prefix]) -> Missing {
    let mut missing = 0;
    for batch in batches(members) {
        let Some(first) = batch.first() else { continue };
        match membership(first, parts) {
            Membership::Alone => {}
            Membership::Part { extent: Extent::Known { entries, .. }, .. } => {
                missing += u64::from(entries).saturating_sub(batch.len() as u64);
            }
            Membership::Part { extent: Extent::Unknown { .. }, .. } => return Missing::Unsure,
        }
    }
    Missing::Known(missing)
}

/// As [`missing`], by all that is retained in the bucket: at least so many.
pub(super) fn missing_in_all(members: &[&Entry], all: &[Entry]) -> u64 {
    let of_batch = |batch: &Vec<&Entry>| {
        let Some(set) = batch.first().and_then(|first| place(first)) else { return 0 };
        let whole: Vec<&Entry> = all.iter().filter(|entry| goes_on(&set, entry)).collect();
        let newest = whole.last().copied().and_then(place);
        // Without its last message, at least one more.
        let open = whole.last().map_or(Revision::ZERO, |last| last.revision().next());
        let end = newest.and_then(|newest| newest.end).unwrap_or(open);
        end.next().get().saturating_sub(set.start.get()).saturating_sub(whole.len() as u64)
    };
    batches(members).iter().map(of_batch).sum()
}

/// The entries of each batch; one that was written alone is by itself.
fn batches<'a>(members: &[&'a Entry]) -> Vec<Vec<&'a Entry>> {
    let mut batches: Vec<Vec<&Entry>> = Vec::new();
    for member in members {
        match batches.last_mut() {
            Some(batch) if batch.last().is_some_and(|last| same_batch(last, member)) => batch.push(member),
            _ => batches.push(vec![member]),
        }
    }
    batches
}

/// The keys of the set that others have written after it, or between its own writes.
///
/// `history` has every retained entry of the members' keys; `now` was read after it.
pub(super) fn changed_since(
    members: &[&Entry],
    history: &BTreeMap<Key, Vec<Entry>>,
    now: &BTreeMap<Key, Arc<Entry>>,
) -> Vec<ChangedSince> {
    let mut first: BTreeMap<&Key, Revision> = BTreeMap::new();
    let mut own: HashSet<Revision> = HashSet::new();
    for member in members {
        first.entry(member.key()).or_insert(member.revision());
        own.insert(member.revision());
    }
    let stranger = |(key, first): (&&Key, &Revision)| {
        let later = history.get(*key).into_iter().flatten().chain(now.get(*key).map(|now| &**now));
        let later = later.filter(|entry| entry.revision() > *first && !own.contains(&entry.revision()));
        later.max_by_key(|entry| entry.revision())
    };
    let name = |entry: &Entry| ChangedSince {
        key: entry.key().clone(),
        revision: entry.revision(),
        by: Attribution::of(entry),
        at: entry.created(),
    };
    first.iter().filter_map(stranger).map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::attribution::{AUTHOR, SET};
    use crate::store::header::{BATCH_COMMIT, BATCH_ID, BATCH_SEQUENCE};
    use crate::{Headers, Operation};

    fn entry(key: &str, revision: u64, headers: &[(&str, &str)]) -> Entry {
        Entry {
            key: Key::new(key).unwrap(),
            revision: Revision::new(revision),
            value: bytes::Bytes::new(),
            operation: Operation::Put,
            marker: None,
            created: SystemTime::UNIX_EPOCH,
            headers: headers.iter().copied().collect::<Headers>(),
        }
    }

    fn revisions(entries: &[&Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.revision().get()).collect()
    }

    /// 1 alone; 2 and 3 one set of kvconf; 4 and 5 one of another client; 6 and 7 one change made one by one.
    fn history() -> Vec<Entry> {
        let part = |place| [(BATCH_ID, "q"), (BATCH_SEQUENCE, place)];
        vec![
            entry("a.x", 1, &[]),
            entry("a.x", 2, &[(CHANGE, "c1"), (SET, "1/2 a:2@2")]),
            entry("a.y", 3, &[(CHANGE, "c1"), (SET, "2/2 a:2@2")]),
            entry("a.x", 4, &part("1")),
            entry("a.z", 5, &[part("2").as_slice(), &[(BATCH_COMMIT, "1")]].concat()),
            entry("a.x", 6, &[(CHANGE, "c2")]),
            entry("a.y", 7, &[(CHANGE, "c2")]),
        ]
    }

    #[test]
    fn a_change_is_found_by_its_id_and_by_each_of_its_revisions() {
        let history = history();
        let found = |which: ChangeRef| revisions(&members(&history, &which));
        assert_eq!(found("c1".into()), [2, 3]);
        assert_eq!(found(Revision::new(3).into()), [2, 3]);
        assert_eq!(found(Revision::new(1).into()), [1]);
        assert_eq!(found(Revision::new(4).into()), [4, 5]);
        assert_eq!(found("c2".into()), [6, 7]);
        assert_eq!(found(Revision::new(6).into()), [6], "made one by one: each is a set of its own");
        assert_eq!(found("c3".into()), Vec::<u64>::new());
        assert_eq!(found(Revision::new(9).into()), Vec::<u64>::new());
    }

    #[test]
    fn a_set_tells_how_many_of_its_entries_are_gone() {
        let history = history();
        let parts = [Prefix::new("a").unwrap()];
        let whole = members(&history, &"c1".into());
        assert_eq!(missing(&whole, &parts), Missing::Known(0));
        assert_eq!(missing(&whole[1..], &parts), Missing::Known(1));
        assert_eq!(missing(&members(&history, &"c2".into()), &parts), Missing::Known(0));
    }

    #[test]
    fn a_batch_of_another_client_is_complete_when_all_its_places_are_there() {
        let history = history();
        let parts = [Prefix::new("a").unwrap()];
        let batch = members(&history, &Revision::new(4).into());
        assert_eq!(missing(&batch, &parts), Missing::Unsure);
        assert_eq!(missing_in_all(&batch, &history), 0);
        assert_eq!(missing_in_all(&batch, &history[..4]), 1, "its last message is gone");
        assert_eq!(missing_in_all(&batch, &history[4..]), 1, "its first message is gone");
    }

    #[test]
    fn a_set_is_open_until_its_last_entry_and_goes_on_with_its_own() {
        let history = history();
        let open = |upto: usize| {
            let set = open_set(&history[..upto], history[upto - 1].revision())?;
            Some((set.start.get(), history[upto..].iter().any(|entry| goes_on(&set, entry))))
        };
        assert_eq!(open(1), None);
        assert_eq!(open(2), Some((2, true)));
        assert_eq!(open(3), None);
        assert_eq!(open(4), Some((4, true)));
        assert_eq!(open(5), None);
        assert_eq!(open(6), None);
    }

    #[test]
    fn who_wrote_a_key_again_after_the_set_is_named() {
        let mut history = history();
        history.push(entry("a.y", 8, &[(AUTHOR, "eva")]));
        let mut retained: BTreeMap<Key, Vec<Entry>> = BTreeMap::new();
        for entry in &history {
            retained.entry(entry.key().clone()).or_default().push(entry.clone());
        }
        let since = |which: ChangeRef| {
            let changed = changed_since(&members(&history, &which), &retained, &BTreeMap::new());
            changed.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            since("c1".into()),
            ["a.x: changed again at revision 6", "a.y: changed again at revision 8 by eva"]
        );
        assert_eq!(since("c2".into()), ["a.y: changed again at revision 8 by eva"]);
        assert_eq!(since(Revision::new(8).into()), Vec::<String>::new());
    }
}
