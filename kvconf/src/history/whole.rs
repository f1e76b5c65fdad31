//! Whether a revision lies between change sets or inside one.
//!
//! The entries of a set stand next to each other, each with a revision of its own, but nobody ever saw the bucket at a
//! revision in their middle: readers take a set whole. So a state is only asked for between sets.

use crate::store::header::{BATCH_ID, BATCH_SEQUENCE};
use crate::watch::sets::{Extent, Membership, membership, place};
use crate::{Entry, Filter, Prefix, Revision};

/// How a revision lies to the change set of the newest entry up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// Between two sets.
    Between,
    /// Inside: the last revision before the set.
    Inside { before: Revision },
    /// The entry does not say how far its set reaches; all retained entries tell, through [`position_by`].
    Unsure,
}

/// The parts of the bucket that filters are about, for the question where a set ends; `None` for a single key, which is
/// never half changed.
pub(crate) fn parts_asked_for(filters: &[Filter]) -> Option<Vec<Prefix>> {
    if let [filter] = filters
        && filter.as_key().is_some()
    {
        return None;
    }
    let part = |filter: &Filter| filter.as_prefix().unwrap_or_else(|| literal_parent(filter));
    Some(filters.iter().map(part).collect())
}

/// What stands before the first wildcard, without the last part of a key.
fn literal_parent(filter: &Filter) -> Prefix {
    let tokens: Vec<&str> = filter.as_str().split('.').collect();
    let literal = tokens.iter().take_while(|token| !matches!(**token, "*" | ">")).count();
    let parents = literal.min(tokens.len().saturating_sub(1));
    Prefix::new(tokens.get(..parents).unwrap_or(&[]).join(".")).unwrap_or_else(|_| Prefix::root())
}

/// Where a revision lies, going by the newest entry up to it.
pub(crate) fn position(newest: Option<&Entry>, revision: Revision, parts: &[Prefix]) -> Position {
    let Some(newest) = newest else { return Position::Between };
    match membership(newest, parts) {
        Membership::Part { extent: Extent::Known { end, .. }, .. } if end > revision => {
            Position::Inside { before: before(newest) }
        }
        Membership::Part { extent: Extent::Unknown { closed: false }, .. } => Position::Unsure,
        Membership::Alone | Membership::Part { .. } => Position::Between,
    }
}

/// As [`position`], for an entry that does not say where its set ends, going by what is retained of the set.
pub(crate) fn position_by<'a>(
    newest: &Entry,
    revision: Revision,
    history: impl IntoIterator<Item = &'a Entry>,
) -> Position {
    let goes_on = history.into_iter().any(|entry| entry.revision() > revision && same_batch(newest, entry));
    if goes_on { Position::Inside { before: before(newest) } } else { Position::Between }
}

/// The revision before the first entry of an entry's set.
pub(crate) fn before(entry: &Entry) -> Revision {
    let stamped = place(entry).map(|(place, _)| place);
    let by_server = || entry.headers().get(BATCH_SEQUENCE)?.parse().ok();
    entry.revision() - stamped.or_else(by_server).unwrap_or(1)
}

/// Whether two entries were written by one atomic batch.
pub(crate) fn same_batch(one: &Entry, other: &Entry) -> bool {
    match (place(one), place(other)) {
        (Some(_), Some(_)) => before(one) == before(other),
        (None, None) => {
            let (one, other) = (one.headers().get(BATCH_ID), other.headers().get(BATCH_ID));
            one.is_some() && one == other
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::attribution::SET;
    use crate::store::header::BATCH_COMMIT;
    use crate::{Headers, Key, Operation};

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

    fn under(prefix: &str) -> Vec<Prefix> {
        vec![Prefix::new(prefix).unwrap()]
    }

    fn at(revision: u64, newest: &Entry, prefix: &str) -> Position {
        position(Some(newest), Revision::new(revision), &under(prefix))
    }

    fn inside(before: u64) -> Position {
        Position::Inside { before: Revision::new(before) }
    }

    #[test]
    fn a_revision_in_the_middle_of_a_set_is_inside_for_those_who_see_both_halves() {
        // 11 to 14: a.x, a.y, b.x, b.y
        let second = entry("a.y", 12, &[(SET, "2/4 a:2@2 b:2@4")]);
        assert_eq!(at(12, &second, ""), inside(10));
        assert_eq!(at(13, &second, ""), inside(10));
        assert_eq!(at(12, &second, "a"), Position::Between, "all of a.> has been written");
        let first = entry("a.x", 11, &[(SET, "1/4 a:2@2 b:2@4")]);
        assert_eq!(at(11, &first, "a"), inside(10));
        assert_eq!(at(9, &entry("a.x", 9, &[]), "a"), Position::Between);
        assert_eq!(position(None, Revision::new(9), &under("a")), Position::Between);
    }

    #[test]
    fn a_batch_of_another_client_is_found_by_what_is_retained_of_it() {
        let part =
            |key, revision, place, id| entry(key, revision, &[(BATCH_ID, id), (BATCH_SEQUENCE, place)]);
        let newest = part("a.x", 11, "2", "q");
        assert_eq!(at(11, &newest, "a"), Position::Unsure);
        let history = [newest.clone(), part("a.y", 12, "3", "q"), part("a.z", 13, "1", "other")];
        assert_eq!(position_by(&newest, Revision::new(11), &history), inside(9));
        assert_eq!(position_by(&newest, Revision::new(12), &history), Position::Between);
        let last = entry("a.x", 11, &[(BATCH_ID, "q"), (BATCH_SEQUENCE, "2"), (BATCH_COMMIT, "1")]);
        assert_eq!(at(11, &last, "a"), Position::Between);
    }

    #[test]
    fn filters_are_about_the_parts_before_their_wildcards() {
        let parts = |texts: &[&str]| {
            let filters: Vec<Filter> = texts.iter().map(|text| Filter::new(text).unwrap()).collect();
            parts_asked_for(&filters)
                .map(|parts| parts.iter().map(|part| part.as_str().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(parts(&["a.b.c"]), None);
        assert_eq!(parts(&["a.b.c", "d"]), Some(vec!["a.b".to_owned(), String::new()]));
        assert_eq!(parts(&["a.>"]), Some(vec!["a".to_owned()]));
        assert_eq!(parts(&[">"]), Some(vec![String::new()]));
        assert_eq!(parts(&["a.*.c"]), Some(vec!["a".to_owned()]));
    }
}
