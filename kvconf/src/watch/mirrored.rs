//! Readings of a bucket that is a mirror of another one.
//!
//! A mirror gets an atomic batch message by message, and without the server's batch headers (2.11 to 2.15). A reading there is
//! of one moment of the mirror, and that may be one that the bucket which it copies never had: in the middle of a change set,
//! for as long as the connection between the two stands still. The sets of kvconf say of themselves how far they reach. Of the
//! batches of other clients nothing tells on a mirror.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::cut::{Cut, cut};
use super::sets::MOST;
use crate::retention::{Next, Retention};
use crate::store::{Point, ReadError, Reading, Store};
use crate::{Entry, Filter, Key, Prefix, Revision};

/// How often the rest of a set is looked for, and with which pause: on a connection that works it is there at once.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// Reads the newest state, which in a mirror is not to be one in the middle of a change set.
pub(crate) async fn read_latest(store: &dyn Store, filters: &[Filter]) -> Result<Reading, ReadError> {
    if store.is_mirror() {
        return read_whole(store, filters).await;
    }
    store.read(filters, Point::Latest).await
}

/// Reads the newest state that does not end in the middle of a change set of which kvconf knows the end.
///
/// Where the rest of one does not come, that is the state before the set; where even that cannot be had, what comes back is not
/// isolated.
pub(crate) async fn read_whole(store: &dyn Store, filters: &[Filter]) -> Result<Reading, ReadError> {
    // For anything but prefixes the end of the whole set counts.
    let prefixes: Option<Vec<Prefix>> = filters.iter().map(Filter::as_prefix).collect();
    let prefixes = prefixes.unwrap_or_default();
    let mut attempt = 1;
    loop {
        let reading = store.read(filters, Point::Latest).await?;
        if !reading.isolated {
            return Ok(reading);
        }
        let Some(start) = start_of_part(&reading, &prefixes) else { return Ok(reading) };
        if attempt == ATTEMPTS {
            return read_before(store, filters, &prefixes, (reading, start)).await;
        }
        attempt += 1;
        sleep(PAUSE).await;
    }
}

/// Where the set begins of which a reading has only a part.
fn start_of_part(reading: &Reading, prefixes: &[Prefix]) -> Option<Revision> {
    let near = |entry: &&Entry| entry.revision().get().saturating_add(MOST) > reading.revision.get();
    let near: Vec<Arc<Entry>> = reading.entries.iter().filter(near).cloned().map(Arc::new).collect();
    match cut(&near, prefixes, reading.revision) {
        Cut::Torn { start } => Some(start),
        // By the server's own headers: not what a mirror copies.
        Cut::Clean | Cut::Open { .. } => None,
    }
}

/// Reads the state before the part of a set that a reading has.
async fn read_before(
    store: &dyn Store,
    filters: &[Filter],
    prefixes: &[Prefix],
    (torn, start): (Reading, Revision),
) -> Result<Reading, ReadError> {
    let torn = Reading { isolated: false, ..torn };
    let (before, part) =
        torn.entries.split_at(torn.entries.partition_point(|entry| entry.revision() < start));
    // Not the start: the first messages of the set may be of keys that were not asked for, and the state be known from there on.
    let Some(moment) = part.first().map(|first| first.revision() - 1) else { return Ok(torn) };
    let earlier = match store.read(filters, Point::Revision(moment)).await {
        // What claims to be a part may claim a true set's end, too.
        Ok(earlier) if earlier.isolated && start_of_part(&earlier, prefixes).is_none() => earlier,
        Ok(_) | Err(ReadError::OutOfRange { .. }) => return Ok(torn),
        Err(error) => return Err(error),
    };
    let held: HashMap<&Key, Revision> =
        earlier.entries.iter().map(|entry| (entry.key(), entry.revision())).collect();
    let is_held = |entry: &Entry| held.get(entry.key()) == Some(&entry.revision());
    let is_denied =
        |entry: &Entry| held.get(entry.key()).is_some_and(|held| Next::of(entry).denies(*held, moment));
    if !before.iter().all(is_held) || part.iter().any(is_denied) {
        return Ok(torn);
    }
    let new: Vec<&Entry> = part.iter().filter(|entry| !held.contains_key(entry.key())).collect();
    if !had_nothing(store, filters, &new).await? {
        return Ok(torn);
    }
    Ok(Reading { revision: moment, ..earlier })
}

/// Whether nothing stood there before these entries.
async fn had_nothing(store: &dyn Store, filters: &[Filter], new: &[&Entry]) -> Result<bool, ReadError> {
    if new.is_empty() {
        return Ok(true);
    }
    let kept = store.kept(filters).await?;
    let retention = Retention::of(&kept);
    let retained = |entry: &Entry| kept.entries.get(entry.key()).copied().unwrap_or(u64::MAX);
    Ok(new.iter().all(|entry| retention.is_beginning(entry, retained(entry))))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::attribution::{CHANGE, SET};
    use crate::store::memory::MemoryStore;
    use crate::store::{Action, Expect, Write};
    use crate::{BucketConfig, Headers};

    fn write(key: &str, action: Action, set: Option<&str>) -> Write {
        let headers: Headers = set.map(|set| [(CHANGE, "c"), (SET, set)]).into_iter().flatten().collect();
        let key = Key::new(key).unwrap();
        Write { key, action, expect: Expect::Any, ttl: None, headers }
    }

    fn put(key: &str, set: Option<&str>) -> Write {
        write(key, Action::Put(Bytes::from_static(b"1")), set)
    }

    /// The keys and the revision of what is read under `a`, and whether it is of one moment, after these writes.
    async fn read(history: u32, writes: impl IntoIterator<Item = Write>) -> (Vec<String>, u64, bool) {
        let mut config = BucketConfig::new("b");
        config.history = Some(history);
        let store = MemoryStore::new(config).unwrap();
        for write in writes {
            store.write(write).await.unwrap();
        }
        let filters = [Filter::new("a.>").unwrap()];
        let reading = read_whole(&store, &filters).await.unwrap();
        let keys = reading.entries.iter().map(|entry| format!("{}@{}", entry.key(), entry.revision()));
        (keys.collect(), reading.revision.get(), reading.isolated)
    }

    fn keys(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    // P2
    #[tokio::test(start_paused = true)]
    async fn a_reading_in_the_middle_of_a_set_is_of_the_moment_before_it() {
        let (first, second) = ("2/3 a:2@3 b:1@1", "3/3 a:2@3 b:1@1");
        let before = || [put("a.x", None), put("b.x", Some("1/3 a:2@3 b:1@1"))];
        assert_eq!(read(8, before()).await, (keys(&["a.x@1"]), 2, true), "nothing of it is asked for");
        let part = || before().into_iter().chain([put("a.x", Some(first))]);
        assert_eq!(read(8, part()).await, (keys(&["a.x@1"]), 2, true));
        let whole = part().chain([put("a.y", Some(second))]);
        assert_eq!(read(8, whole).await, (keys(&["a.x@3", "a.y@4"]), 4, true));
    }

    // P2: a key that the set created is absent; one whose value may have gone is not taken for that.
    #[tokio::test(start_paused = true)]
    async fn where_the_state_before_a_set_is_not_kept_a_reading_is_not_of_one_moment() {
        let part = "1/2 a:2@2";
        assert_eq!(read(8, [put("a.y", None), put("a.x", Some(part))]).await, (keys(&["a.y@1"]), 1, true));
        let pushed_out = || [put("a.x", None), put("a.x", Some(part))];
        assert_eq!(read(2, pushed_out()).await, (keys(&["a.x@1"]), 1, true));
        assert_eq!(read(1, pushed_out()).await, (keys(&["a.x@2"]), 2, false));
        let purged = [put("a.x", None), write("a.x", Action::Purge, Some(part))];
        assert_eq!(read(8, purged).await, (keys(&["a.x@2"]), 2, false));
    }

    // P2: anybody can write the header.
    #[tokio::test(start_paused = true)]
    async fn what_claims_the_end_of_a_set_does_not_cut_that_set() {
        let set = [put("a.x", Some("1/2 a:2@2")), put("a.y", Some("2/2 a:2@2"))];
        let claims = set.into_iter().chain([put("a.z", Some("2/3 a:3@3"))]);
        assert_eq!(read(8, claims).await, (keys(&["a.x@1", "a.y@2", "a.z@3"]), 3, false));
    }
}
