//! Which deliveries belong to one change set, and where it ends for a reader that sees only a part of the bucket.
//!
//! The messages of an atomic batch stand next to each other in the stream, so one message that knows its own place and
//! the place of the last one in which a reader is interested gives the revision at which the set is complete for that
//! reader. kvconf stamps this on every message of a batch, as `Kvconf-Set`:
//!
//! ```text
//! 2/5 checkout:3@5 checkout.retry:1@2 pricing:1@4
//! │ │ └ three keys stand right under `checkout.`, the last of them at place 5
//! │ └ of five
//! └ this is the second message
//! ```
//!
//! The server's own batch headers cannot do it: they do not say which later messages a filter lets through, and mirrors
//! strip them. A table that would grow above [`MAX_TABLE_BYTES`] is cut to fewer key parts, and says so (`~1`: only the
//! first part of each namespace); a reader of a deeper prefix then knows no end and asks for a consistent reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::attribution::{CHANGE, SET};
use crate::store::header::{BATCH_COMMIT, BATCH_ID, BATCH_SEQUENCE, COPIED_FROM};
use crate::{Entry, Key, Prefix, Revision};

/// How large the table of namespaces may be on each message. A change of a few settings needs well below 100 bytes.
const MAX_TABLE_BYTES: usize = 1_024;

/// The most messages that a server takes in one batch.
pub(crate) const MOST: u64 = 1_000;

/// What an entry says about the change set it belongs to, for a reader of certain prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Membership {
    /// It is a change of its own.
    Alone,
    /// It belongs to a set of several entries. `start` is where the set's first message stands, whatever its key: anybody can
    /// write the same id again, and nobody to the same place. Zero for what was copied from another bucket, with other
    /// revisions.
    Part { id: Arc<str>, start: Revision, extent: Extent },
}

/// How far a change set reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The reader's last entry of it has this revision, and it has this many entries for the reader.
    Known { end: Revision, entries: u32 },
    /// Nobody said it. `closed` on the batch's very last message.
    Unknown { closed: bool },
}

/// Where the keys of a batch stand, to be written on each of its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    count: usize,
    table: String,
}

fn namespace(key: &Key, depth: usize) -> String {
    let tokens: Vec<&str> = key.tokens().collect();
    let parents = tokens.len().saturating_sub(1).min(depth);
    tokens.get(..parents).unwrap_or(&[]).join(".")
}

impl Layout {
    /// The layout of a batch that writes these keys in this order.
    pub(crate) fn new(keys: &[Key]) -> Self {
        let deepest = keys.iter().map(|key| key.tokens().count()).max().unwrap_or(1) - 1;
        let table =
            (0..=deepest).rev().map(|depth| table(keys, depth, deepest)).find(|t| t.len() <= MAX_TABLE_BYTES);
        Self { count: keys.len(), table: table.unwrap_or_default() }
    }

    /// The header of the message at this place, counted from 1.
    pub(crate) fn header(&self, place: usize) -> String {
        format!("{place}/{}{}", self.count, self.table)
    }
}

fn table(keys: &[Key], depth: usize, deepest: usize) -> String {
    let mut rows: BTreeMap<String, (u32, usize)> = BTreeMap::new();
    for (at, key) in keys.iter().enumerate() {
        let row = rows.entry(namespace(key, depth)).or_default();
        *row = (row.0 + 1, at + 1);
    }
    let mut out = if depth < deepest { format!(" ~{depth}") } else { String::new() };
    for (name, (count, last)) in rows {
        out.push_str(&format!(" {name}:{count}@{last}"));
    }
    out
}

/// What an entry says about its change set to a reader of these prefixes. Headers that make no sense count as absent:
/// anybody can write them.
pub(crate) fn membership(entry: &Entry, prefixes: &[Prefix]) -> Membership {
    let headers = entry.headers();
    if headers.is_empty() {
        return Membership::Alone;
    }
    if let Some(set) = headers.get(SET)
        && let Some(extent) = parse(set, entry.revision(), prefixes)
    {
        let id = headers.get(CHANGE).unwrap_or("").into();
        return Membership::Part { id, start: start_in_bucket(entry, place(entry)), extent };
    }
    match place_in_batch(entry) {
        Some(place) => {
            let extent = Extent::Unknown { closed: place.end.is_some() };
            Membership::Part { id: place.id.into(), start: start_in_bucket(entry, Some(place)), extent }
        }
        None => Membership::Alone,
    }
}

/// What was copied has other revisions here.
fn start_in_bucket(entry: &Entry, place: Option<Place<'_>>) -> Revision {
    let is_copied = entry.headers().get(COPIED_FROM).is_some();
    place.filter(|_| !is_copied).map(|place| place.start).unwrap_or_default()
}

/// Where an entry stands in the batch that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// What all entries of the batch share: the change's id, or the server's id of the batch.
    pub(crate) id: &'a str,
    /// The revision of the batch's first message, whatever its key.
    pub(crate) start: Revision,
    /// The revision of its last message, where the entry says it.
    pub(crate) end: Option<Revision>,
}

/// An entry's place in its batch; `None` for a write of its own. Headers that make no sense count as absent.
pub(crate) fn place(entry: &Entry) -> Option<Place<'_>> {
    let headers = entry.headers();
    let last = entry.revision().get();
    let start = |place: u64| start_of(entry, place);
    let of_set = |set: &str| {
        let (place, count) = set.split(' ').next()?.split_once('/')?;
        let (place, count): (u64, u64) = (place.parse().ok()?, count.parse().ok()?);
        let sensible = (1..=MOST).contains(&count) && place <= count;
        Some((start(place)?, last.checked_add(count.checked_sub(place)?)?)).filter(|_| sensible)
    };
    if let Some((start, end)) = headers.get(SET).and_then(of_set) {
        return Some(Place { id: headers.get(CHANGE).unwrap_or(""), start, end: Some(Revision::new(end)) });
    }
    place_in_batch(entry)
}

/// The same by the server's own headers.
fn place_in_batch(entry: &Entry) -> Option<Place<'_>> {
    let headers = entry.headers();
    let place: u64 = headers.get(BATCH_SEQUENCE)?.parse().ok().filter(|place| *place <= MOST)?;
    let end = headers.get(BATCH_COMMIT).map(|_| entry.revision());
    Some(Place { id: headers.get(BATCH_ID)?, start: start_of(entry, place)?, end })
}

/// Where the first message of a batch stands, of which an entry is the message at this place.
fn start_of(entry: &Entry, place: u64) -> Option<Revision> {
    let start = entry.revision().get().checked_sub(place.checked_sub(1)?)?;
    Some(Revision::new(start)).filter(|start| *start > Revision::ZERO)
}

fn parse(header: &str, revision: Revision, prefixes: &[Prefix]) -> Option<Extent> {
    let mut words = header.split(' ');
    let (place, count) = words.next()?.split_once('/')?;
    let (place, count): (u64, u64) = (place.parse().ok()?, count.parse().ok()?);
    if place == 0 || place > count || count > MOST {
        return None;
    }
    let (mut cut, mut entries, mut last, mut unsure) = (None, 0_u32, 0_u64, false);
    let mut rows = 0;
    for word in words {
        if let Some(depth) = word.strip_prefix('~') {
            cut = Some(depth.parse::<usize>().ok()?);
            continue;
        }
        let (name, numbers) = word.split_once(':')?;
        let (n, at) = numbers.split_once('@')?;
        let (n, at): (u32, u64) = (n.parse().ok()?, at.parse().ok()?);
        let namespace = Prefix::new(name).ok()?;
        rows += 1;
        if prefixes.iter().any(|prefix| prefix.covers(&namespace)) {
            entries = entries.checked_add(n)?;
            last = last.max(at);
        } else if cut.is_some_and(|depth| depth_of(&namespace) == depth)
            && prefixes.iter().any(|p| namespace.covers(p))
        {
            unsure = true;
        }
    }
    if rows == 0 || unsure {
        return Some(Extent::Unknown { closed: place == count });
    }
    // The entry itself was let through, so the table must count it.
    let end = revision.get().checked_add(last.checked_sub(place)?)?;
    (entries > 0 && last <= count).then(|| Extent::Known { end: Revision::new(end), entries })
}

fn depth_of(prefix: &Prefix) -> usize {
    if prefix.is_root() { 0 } else { prefix.as_str().split('.').count() }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{Headers, Operation};

    fn keys(texts: &[&str]) -> Vec<Key> {
        texts.iter().map(|text| Key::new(text).unwrap()).collect()
    }

    fn prefixes(texts: &[&str]) -> Vec<Prefix> {
        texts.iter().map(|text| Prefix::new(text).unwrap()).collect()
    }

    fn entry(key: &Key, revision: u64, headers: Headers) -> Entry {
        Entry {
            key: key.clone(),
            revision: Revision::new(revision),
            value: bytes::Bytes::new(),
            operation: Operation::Put,
            marker: None,
            created: SystemTime::UNIX_EPOCH,
            headers,
        }
    }

    fn extent(header: &str, revision: u64, scope: &[&str]) -> Option<Extent> {
        parse(header, Revision::new(revision), &prefixes(scope))
    }

    #[test]
    fn a_set_says_where_it_ends_for_each_part_of_the_bucket() {
        let keys = keys(&["checkout.a", "pricing.x", "checkout.retry.min", "pricing.y", "checkout.b"]);
        let layout = Layout::new(&keys);
        assert_eq!(layout.header(2), "2/5 checkout:2@5 checkout.retry:1@3 pricing:2@4");
        let known = |end, entries| Some(Extent::Known { end: Revision::new(end), entries });
        assert_eq!(extent(&layout.header(1), 101, &["checkout"]), known(105, 3));
        assert_eq!(extent(&layout.header(2), 102, &["pricing"]), known(104, 2));
        assert_eq!(extent(&layout.header(3), 103, &["checkout.retry"]), known(103, 1));
        assert_eq!(extent(&layout.header(3), 103, &["checkout.retry", "pricing"]), known(104, 3));
        assert_eq!(extent(&layout.header(4), 104, &[""]), known(105, 5));
    }

    #[test]
    fn a_key_without_a_namespace_is_seen_by_readers_of_everything() {
        let layout = Layout::new(&keys(&["a", "b.c"]));
        assert_eq!(layout.header(1), "1/2 :1@1 b:1@2");
        assert_eq!(
            extent(&layout.header(2), 8, &["b"]),
            Some(Extent::Known { end: Revision::new(8), entries: 1 })
        );
        assert_eq!(
            extent(&layout.header(1), 7, &[""]),
            Some(Extent::Known { end: Revision::new(8), entries: 2 })
        );
    }

    #[test]
    fn a_table_that_grows_too_large_is_cut_and_says_so() {
        let many: Vec<Key> =
            (0..500).map(|n| Key::new(format!("tenants.t{n}.limits.max")).unwrap()).collect();
        let layout = Layout::new(&many);
        assert_eq!(layout.header(3), "3/500 ~1 tenants:500@500");
        assert_eq!(
            extent(&layout.header(3), 3, &["tenants"]),
            Some(Extent::Known { end: Revision::new(500), entries: 500 })
        );
        assert_eq!(extent(&layout.header(3), 3, &["tenants.t2"]), Some(Extent::Unknown { closed: false }));
        let flat: Vec<Key> = (0..500).map(|n| Key::new(format!("tenant{n}.max")).unwrap()).collect();
        let layout = Layout::new(&flat);
        assert_eq!(layout.header(500), "500/500 ~0 :500@500");
        assert_eq!(extent(&layout.header(500), 500, &["tenant499"]), Some(Extent::Unknown { closed: true }));
    }

    #[test]
    fn headers_that_make_no_sense_count_as_absent() {
        let key = Key::new("a.b").unwrap();
        for header in [
            "",
            "x",
            "0/2 a:1@1",
            "3/2 a:1@1",
            "1/2 a:x@1",
            "1/2 a:1",
            "1/2 b:1@1",
            "2/2 a:1@1",
            "1/9999 a:1@1",
        ] {
            let entry = entry(&key, 9, [(SET, header)].into_iter().collect());
            assert_eq!(membership(&entry, &prefixes(&["a"])), Membership::Alone, "{header:?}");
        }
    }

    // P10: a bucket's first revision can be set to any number, and anybody can write headers.
    #[test]
    fn a_set_that_would_end_behind_the_last_number_has_no_place() {
        let key = Key::new("a.b").unwrap();
        let headers = || [(SET, "1/3 a:3@3"), (CHANGE, "c")].into_iter().collect::<Headers>();
        for (revision, is_part) in [(u64::MAX - 2, true), (u64::MAX - 1, false), (u64::MAX, false)] {
            let entry = entry(&key, revision, headers());
            let membership = membership(&entry, &prefixes(&["a"]));
            assert_eq!((membership != Membership::Alone, place(&entry).is_some()), (is_part, is_part));
        }
    }

    #[test]
    fn a_batch_of_another_client_has_no_known_end_but_its_last_message() {
        let key = Key::new("a.b").unwrap();
        let part = |start, closed| Membership::Part {
            id: "q".into(),
            start: Revision::new(start),
            extent: Extent::Unknown { closed },
        };
        let open = [(BATCH_ID, "q"), (BATCH_SEQUENCE, "1")].into_iter().collect();
        assert_eq!(membership(&entry(&key, 9, open), &prefixes(&["a"])), part(9, false));
        let last = [(BATCH_ID, "q"), (BATCH_SEQUENCE, "2"), (BATCH_COMMIT, "1")].into_iter().collect();
        assert_eq!(membership(&entry(&key, 9, last), &prefixes(&["a"])), part(8, true));
    }
}
