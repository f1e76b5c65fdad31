//! A part of a bucket as of one moment, entry by entry: any number of keys in little memory.
//!
//! A watch delivers the newest entry of each key in the order in which they were written. What was written before the watch
//! was opened is of that moment as it comes. A key that is written while the others arrive comes with a later
//! revision, if it comes at all: its value of the moment is read at the end. To tell whether it came before, only the
//! revisions that were passed on are kept.

use std::collections::{HashSet, VecDeque};

use kvconf::{Bucket, Entry, Filter, Key, ReadError, Revision, Watch, WatchEvent};

use crate::change::counted;

/// How many keys are read by name at once.
const PORTION: usize = 500;

/// How many names are shown of what is left out.
const MOST_NAMED: usize = 5;

/// Entries that set a value, as of one revision where the bucket's newest one may be asked for.
pub(crate) struct Stream {
    bucket: Bucket,
    watch: Watch,
    /// The moment; `None` where the user may not ask for it.
    moment: Option<Revision>,
    passed: HashSet<u64>,
    late: Vec<Key>,
    ready: VecDeque<Entry>,
    is_loaded: bool,
    /// Names under which something stands that is no key: the first ones, and how many there are.
    unreadable: (Vec<String>, usize),
    with_reserved: bool,
    with_removals: bool,
}

impl Stream {
    /// Opens it.
    pub(crate) async fn open(bucket: &Bucket, filters: Vec<Filter>) -> Result<Self, ReadError> {
        let moment = match bucket.status().await {
            Ok(status) => Some(status.last_revision),
            Err(ReadError::NotPermitted { .. } | ReadError::Timeout { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            watch: bucket.watch(filters).await?,
            bucket: bucket.clone(),
            moment,
            passed: HashSet::new(),
            late: Vec::new(),
            ready: VecDeque::new(),
            is_loaded: false,
            unreadable: (Vec::new(), 0),
            with_reserved: false,
            with_removals: false,
        })
    }

    /// Passes on the keys that belong to kvconf itself, too.
    pub(crate) fn with_reserved(mut self, with: bool) -> Self {
        self.with_reserved = with;
        self
    }

    /// Passes on removals, too: who writes has to know their revisions.
    pub(crate) fn with_removals(mut self) -> Self {
        self.with_removals = true;
        self
    }

    /// As of which revision it is.
    pub(crate) const fn moment(&self) -> Option<Revision> {
        self.moment
    }

    /// What stands in the bucket and is left out, since it has a name that no key can have; `None` where there is nothing.
    pub(crate) fn left_out(&self) -> Option<String> {
        let (named, count) = &self.unreadable;
        let names = named.iter().map(|subject| format!("{subject:?}")).collect::<Vec<_>>().join(", ");
        let rest = if *count > named.len() { ", …" } else { "" };
        (*count > 0).then(|| {
            format!("{} left out, with names that no key can have: {names}{rest}", counted(*count, "value"))
        })
    }

    /// The next entry; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            if self.is_loaded {
                if self.late.is_empty() {
                    return Ok(None);
                }
                self.catch_up().await?;
                continue;
            }
            match self.watch.event().await {
                WatchEvent::Entry(entry) => self.take(entry),
                WatchEvent::Unreadable { subject, revision }
                    if self.moment.is_none_or(|moment| revision <= moment) =>
                {
                    let (named, count) = &mut self.unreadable;
                    if named.len() < MOST_NAMED {
                        named.push(subject);
                    }
                    *count += 1;
                }
                WatchEvent::Loaded => self.is_loaded = true,
                WatchEvent::Interrupted(kvconf::Interruption::Refused(error)) => return Err(error),
                _ => {}
            }
        }
    }

    fn take(&mut self, entry: Entry) {
        if entry.key().is_reserved() && !self.with_reserved {
            return;
        }
        if self.moment.is_some_and(|moment| entry.revision() > moment) {
            self.late.push(entry.key().clone());
            return;
        }
        // Without a moment nobody looks.
        if self.moment.is_some() {
            self.passed.insert(entry.revision().get());
        }
        if self.with_removals || entry.put_value().is_some() {
            self.ready.push_back(entry);
        }
    }

    async fn catch_up(&mut self) -> Result<(), ReadError> {
        let Some(moment) = self.moment else { return Ok(()) };
        let rest = self.late.len().saturating_sub(PORTION);
        let mut keys = self.late.split_off(rest);
        keys.sort_unstable();
        keys.dedup();
        if moment == Revision::ZERO {
            return Ok(());
        }
        let reading = self.bucket.read_at(keys, moment).await?;
        for entry in reading.entries() {
            let is_wanted = self.with_removals || entry.put_value().is_some();
            if is_wanted && self.passed.insert(entry.revision().get()) {
                self.ready.push_back(entry.clone());
            }
        }
        Ok(())
    }
}
