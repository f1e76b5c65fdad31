//! Which entries have a time to live, and what their end means for what a load gives.
//!
//! Where the bucket keeps an older revision of the key, the server removes a value at the end of its time without a word, and
//! the older one is current again. So a reader has to look by itself, by the bucket's clock and not by its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::compare::Keys;
use super::sets::{Extent, Membership, membership};
use crate::attribution::PROVISIONAL;
use crate::store::header::TTL;
use crate::{Entry, Prefix, Revision};

/// How long after its time to live a value is surely gone. Servers were up to 0.26 s late, and took that long for all keys of
/// one change (2.11 to 2.15).
const SLACK: Duration = Duration::from_secs(1);

/// How long the server keeps an entry: whole seconds, with or without a unit.
pub(crate) fn time_to_live(entry: &Entry) -> Option<Duration> {
    let text = entry.headers().get(TTL)?;
    text.strip_suffix('s').unwrap_or(text).parse().ok().map(Duration::from_secs)
}

/// Tells how long entries live on.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    /// What the bucket's clock said, and when.
    clock: Option<(Instant, SystemTime)>,
}

impl Lifetimes {
    pub(super) fn opened(&mut self, now: Instant, clock: Option<SystemTime>) {
        self.clock = clock.map(|clock| (now, clock));
    }

    /// When an entry with a time to live is surely gone; `None` for one without.
    ///
    /// One that should be gone and is not is looked at again after as long as it is late: a bucket that copied the entry may
    /// never remove it.
    pub(super) fn gone(&self, now: Instant, entry: &Entry) -> Option<Instant> {
        let ttl = time_to_live(entry)?;
        let wait = match self.left(now, entry, ttl) {
            Ok(left) => left.checked_add(SLACK)?,
            Err(late) => late.max(SLACK),
        };
        now.checked_add(wait)
    }

    /// How long an entry lives on, or since when it should be gone.
    fn left(&self, now: Instant, entry: &Entry, ttl: Duration) -> Result<Duration, Duration> {
        let (Some((at, clock)), Some(end)) = (self.clock, entry.created().checked_add(ttl)) else {
            return Ok(ttl);
        };
        let bucket_now = clock + now.saturating_duration_since(at);
        end.duration_since(bucket_now).map_err(|early| early.duration())
    }

    /// Whether the end of an entry is so near, or so long ago, that it may be gone.
    fn may_be_gone(&self, now: Instant, entry: &Entry) -> bool {
        time_to_live(entry).is_some_and(|ttl| self.left(now, entry, ttl).map_or(true, |left| left <= SLACK))
    }

    /// Whether a change that goes back unless it is confirmed is just about to: it stands there in part at the end of its
    /// time, for the server removes its keys one after the other, or after it, for a server that was killed may bring
    /// back for a moment what it had removed.
    ///
    /// A key of such a change never vanishes at its end: an entry to go back to is always there. Where it is missing, the
    /// provisional one was removed while the answer was on its way.
    pub(super) fn going_back(
        &self,
        now: Instant,
        published: &Keys,
        fresh: &Keys,
        prefixes: &[Prefix],
    ) -> bool {
        let provisional = |entry: &Entry| entry.headers().get(PROVISIONAL).is_some();
        if published.iter().any(|entry| provisional(entry) && fresh.get(entry.key()).is_none()) {
            return true;
        }
        let mut found: HashMap<Arc<str>, (u32, Option<u32>)> = HashMap::new();
        for entry in fresh.iter() {
            if !provisional(entry) {
                continue;
            }
            let Some(ttl) = time_to_live(entry) else { continue };
            match self.left(now, entry, ttl) {
                Err(_) => return true,
                Ok(left) if left > SLACK => continue,
                Ok(_) => {}
            }
            if let Membership::Part { id, extent, .. } = membership(entry, prefixes) {
                let whole = match extent {
                    Extent::Known { entries, .. } => Some(entries),
                    Extent::Unknown { .. } => None,
                };
                found.entry(id).or_insert((0, whole)).0 += 1;
            }
        }
        found.values().any(|(there, whole)| Some(*there) != *whole)
    }

    /// The newest revision that must still be there, of what was published and delivered up to `newest`.
    pub(super) fn newest_left(&self, now: Instant, published: &Keys, newest: Revision) -> Revision {
        let is_newest = |entry: &&Arc<Entry>| entry.revision() == newest;
        if !published.iter().find(is_newest).is_some_and(|entry| self.may_be_gone(now, entry)) {
            return newest;
        }
        let left = published.iter().filter(|entry| !self.may_be_gone(now, entry));
        left.map(|entry| entry.revision()).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Headers, Key, Operation};

    const TEN: Duration = Duration::from_secs(10);

    fn entry(key: &str, revision: u64, headers: &[(&str, &str)]) -> Arc<Entry> {
        Arc::new(Entry {
            key: Key::new(key).unwrap(),
            revision: Revision::new(revision),
            value: bytes::Bytes::new(),
            operation: Operation::Put,
            marker: None,
            created: SystemTime::UNIX_EPOCH + TEN,
            headers: headers.iter().copied().collect::<Headers>(),
        })
    }

    /// A clock that said at `now` that so much time had passed since the entries were created.
    fn after(now: Instant, age: Duration) -> Lifetimes {
        let mut lifetimes = Lifetimes::default();
        lifetimes.opened(now, Some(SystemTime::UNIX_EPOCH + TEN + age));
        lifetimes
    }

    fn keys(entries: &[Arc<Entry>]) -> Keys {
        entries.iter().map(Arc::clone).collect()
    }

    #[test]
    fn the_end_is_told_by_the_buckets_clock() {
        let now = Instant::now();
        let with = entry("a", 1, &[("Nats-TTL", "10s")]);
        assert_eq!(after(now, Duration::from_secs(7)).gone(now, &with), Some(now + Duration::from_secs(4)));
        let later = now + Duration::from_secs(2);
        assert_eq!(after(now, Duration::from_secs(7)).gone(later, &with), Some(now + Duration::from_secs(4)));
        assert_eq!(Lifetimes::default().gone(now, &with), Some(now + Duration::from_secs(11)));
        assert_eq!(after(now, TEN).gone(now, &entry("a", 1, &[])), None);
    }

    #[test]
    fn what_should_be_gone_is_looked_at_less_and_less_often() {
        let now = Instant::now();
        let with = entry("a", 1, &[("Nats-TTL", "10")]);
        let waits = |late: u64| after(now, TEN + Duration::from_secs(late)).gone(now, &with).unwrap() - now;
        assert_eq!([0, 1, 2, 60].map(|late| waits(late).as_secs()), [1, 1, 2, 60]);
    }

    #[test]
    fn a_change_that_stands_there_in_part_or_after_its_time_goes_back() {
        let now = Instant::now();
        let part = |key, revision, set| {
            entry(
                key,
                revision,
                &[
                    ("Nats-TTL", "10s"),
                    ("Kvconf-Change", "c"),
                    ("Kvconf-Set", set),
                    ("Kvconf-Provisional", "1"),
                ],
            )
        };
        let (a, b) = (part("p.a", 3, "1/2 p:2@2"), part("p.b", 4, "2/2 p:2@2"));
        let prefixes = [Prefix::new("p").unwrap()];
        let (none, half) = (Keys::default(), keys(std::slice::from_ref(&b)));
        let whole = keys(&[a, b]);
        let at_the_end = after(now, TEN);
        assert!(at_the_end.going_back(now, &none, &half, &prefixes));
        assert!(!at_the_end.going_back(now, &none, &whole, &prefixes));
        assert!(after(now, TEN + Duration::from_millis(1)).going_back(now, &none, &whole, &prefixes));
        // Long before its end, what is missing was written over.
        assert!(!after(now, Duration::from_secs(5)).going_back(now, &none, &half, &prefixes));
        // Neither the change nor what it goes back to: the answer missed both.
        assert!(at_the_end.going_back(now, &whole, &none, &prefixes));
    }

    #[test]
    fn what_has_reached_its_end_need_not_be_there_any_more() {
        let now = Instant::now();
        let published = keys(&[entry("a", 3, &[]), entry("b", 7, &[("Nats-TTL", "10s")])]);
        let newest = |age| after(now, age).newest_left(now, &published, Revision::new(7)).get();
        assert_eq!((newest(Duration::from_secs(5)), newest(TEN)), (7, 3));
        let unpublished = after(now, TEN).newest_left(now, &published, Revision::new(8));
        assert_eq!(unpublished.get(), 8);
    }
}
