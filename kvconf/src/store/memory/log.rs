//! The state of a memory bucket, without tasks, locks or a clock: every call is told the time.
//!
//! It does what nats-server 2.15.1 was measured to do with a key-value stream, the surprising parts included.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::settings::Settings;
use crate::store::check::{self, header_bytes};
use crate::store::{
    Action, BucketConfig, Expect, Kept, Point, ReadError, Reading, Status, Write, WriteError, header,
};
use crate::{Entry, Filter, Headers, Key, MarkerReason, Operation, Revision};

/// The most messages that a server takes in one atomic batch.
pub(super) const MAX_BATCH: usize = 1_000;

const ROLLUP: &str = "Nats-Rollup";

/// Something that subscriptions must know: an entry came or went.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) revision: u64,
    pub(super) kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Added,
    Removed,
}

#[derive(Debug)]
struct Record {
    entry: Arc<Entry>,
    deadline: Option<SystemTime>,
    ttl: Option<Duration>,
    bytes: u64,
}

/// An entry that has no revision yet.
struct Draft {
    key: Key,
    value: bytes::Bytes,
    operation: Operation,
    marker: Option<MarkerReason>,
    headers: Headers,
    ttl: Option<Duration>,
}

/// All that a bucket keeps.
#[derive(Debug)]
pub(super) struct Log {
    settings: Settings,
    created: SystemTime,
    last: u64,
    last_time: SystemTime,
    records: BTreeMap<u64, Record>,
    /// The retained revisions of each key, ascending, never empty.
    keys: BTreeMap<Key, VecDeque<u64>>,
    deadlines: BTreeSet<(SystemTime, u64)>,
    bytes: u64,
    changes: Vec<Change>,
}

impl Log {
    pub(super) fn new(settings: Settings, now: SystemTime) -> Self {
        Self {
            settings,
            created: now,
            last: 0,
            last_time: now,
            records: BTreeMap::new(),
            keys: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            bytes: 0,
            changes: Vec::new(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn created(&self) -> SystemTime {
        self.created
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// When the next entry expires.
    pub(super) fn next_deadline(&self) -> Option<SystemTime> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// What came and went since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub(super) fn get(&self, revision: u64) -> Option<&Arc<Entry>> {
        self.records.get(&revision).map(|record| &record.entry)
    }

    /// The retained entries from `revision` on.
    pub(super) fn from(&self, revision: u64) -> impl Iterator<Item = &Arc<Entry>> {
        self.records.range(revision..).map(|(_, record)| &record.entry)
    }

    pub(super) fn status(&self, consumers: usize, now: SystemTime) -> Status {
        let first = self.records.first_key_value().map_or(self.last + 1, |(revision, _)| *revision);
        Status {
            config: self.settings.config().clone(),
            created: self.created,
            entries: self.records.len() as u64,
            bytes: self.bytes,
            first_revision: Revision::new(first),
            last_revision: Revision::new(self.last),
            consumers: consumers as u64,
            max_batch: if self.settings.takes_batches() { MAX_BATCH } else { 1 },
            server_version: None,
            time: Some(now),
        }
    }

    /// Takes one write.
    pub(super) fn write(&mut self, write: Write, now: SystemTime) -> Result<Revision, WriteError> {
        self.expire(now);
        check::write(&write)?;
        let write = self.prepare(write)?;
        self.check_expectation(&write)?;
        self.check_room(std::slice::from_ref(&write))?;
        self.append(write, now);
        Ok(Revision::new(self.last))
    }

    /// Takes all writes or none. Every expectation is held against the state before the batch, as the server does.
    pub(super) fn write_batch(
        &mut self,
        writes: Vec<Write>,
        id: &str,
        now: SystemTime,
    ) -> Result<Revision, WriteError> {
        self.expire(now);
        check::batch(&writes)?;
        if !self.settings.takes_batches() {
            return Err(ReadError::without_batches(self.settings.name(), None).into());
        }
        let count = writes.len();
        if count > MAX_BATCH {
            return Err(WriteError::TooMany { keys: count, max: MAX_BATCH });
        }
        let mut prepared = Vec::with_capacity(count);
        for (at, mut write) in writes.into_iter().enumerate() {
            write.headers.add(header::BATCH_ID, id);
            write.headers.add(header::BATCH_SEQUENCE, (at + 1).to_string());
            if at + 1 == count {
                write.headers.add(header::BATCH_COMMIT, "1");
            }
            prepared.push(self.prepare(write)?);
        }
        let mut written: BTreeSet<&str> = BTreeSet::new();
        for write in &prepared {
            // The server compares the subject of the expectation, not what a wildcard in it matches, with the subjects
            // that the batch has written so far.
            if let Expect::On(filter, _) = &write.expect
                && written.contains(filter.as_str())
            {
                return Err(WriteError::Conflict { found: None });
            }
            self.check_expectation(write)?;
            written.insert(write.key.as_str());
        }
        self.check_room(&prepared)?;
        for write in prepared {
            self.append(write, now);
        }
        Ok(Revision::new(self.last))
    }

    /// Adds the protocol's headers, settles the time to live and checks the size.
    fn prepare(&self, mut write: Write) -> Result<Write, WriteError> {
        match write.action {
            Action::Put(_) => {}
            Action::Delete => write.headers.add(header::OPERATION, "DEL"),
            Action::Purge => {
                write.headers.add(header::OPERATION, "PURGE");
                write.headers.add(ROLLUP, "sub");
            }
        }
        match &write.expect {
            Expect::Any => {}
            Expect::Revision(revision) => write.headers.add(header::EXPECTED, revision.to_string()),
            Expect::On(filter, revision) => {
                write.headers.add(header::EXPECTED, revision.to_string());
                let subject = format!("$KV.{}.{filter}", self.settings.name());
                write.headers.add(header::EXPECTED_ON, subject);
            }
        }
        if let Some(asked) = write.ttl {
            if !self.settings.ttl_allowed() {
                return Err(WriteError::Failed(ReadError::Unsupported {
                    what: "a time to live per key",
                    reason: format!("bucket {} has no limit_markers", self.settings.name()),
                }));
            }
            let ttl = self.settings.effective_ttl(asked);
            write.headers.add(header::TTL, ttl.as_secs().to_string());
            write.ttl = Some(ttl);
        }
        let bytes = write.action.value().len() + header_bytes(&write.headers);
        match self.settings.config().max_value_size {
            Some(max) if bytes > max as usize => {
                Err(WriteError::TooLarge { key: write.key, bytes, max: max as usize })
            }
            _ => Ok(write),
        }
    }

    fn check_expectation(&self, write: &Write) -> Result<(), WriteError> {
        let (found, expected) = match &write.expect {
            Expect::Any => return Ok(()),
            Expect::Revision(revision) => (self.last_of(&write.key), revision.get()),
            Expect::On(filter, revision) => {
                let newest =
                    self.matching(std::slice::from_ref(filter)).into_iter().filter_map(last_in).max();
                (newest, revision.get())
            }
        };
        let found = found.unwrap_or(0);
        if found == expected {
            Ok(())
        } else {
            Err(WriteError::Conflict { found: Some(Revision::new(found)) })
        }
    }

    /// A full bucket refuses what is new (`discard: new`), unless the write pushes out an entry of the same key that is
    /// at least as large (measured).
    fn check_room(&self, writes: &[Write]) -> Result<(), WriteError> {
        let Some(max) = self.settings.config().max_bytes else { return Ok(()) };
        let mut total = self.bytes;
        for write in writes {
            let bytes = self.record_bytes(&write.key, &write.headers, write.action.value().len());
            let pushed_out = self
                .keys
                .get(&write.key)
                .filter(|revisions| revisions.len() >= self.settings.history())
                .and_then(|revisions| self.records.get(revisions.front()?))
                .map_or(0, |record| record.bytes);
            if total + bytes > max && pushed_out < bytes {
                return Err(WriteError::Full { bucket: self.settings.name().to_owned() });
            }
            total = (total + bytes).saturating_sub(pushed_out);
        }
        Ok(())
    }

    /// What a record takes in a file store.
    fn record_bytes(&self, key: &Key, headers: &Headers, value: usize) -> u64 {
        const FIXED: usize = 30;
        const HEADER_LENGTH: usize = 4;
        let subject = "$KV..".len() + self.settings.name().len() + key.as_str().len();
        let headers = match header_bytes(headers) {
            0 => 0,
            bytes => bytes + HEADER_LENGTH,
        };
        (FIXED + subject + headers + value) as u64
    }

    fn append(&mut self, write: Write, now: SystemTime) {
        let operation = match write.action {
            Action::Put(_) => Operation::Put,
            Action::Delete => Operation::Delete,
            Action::Purge => Operation::Purge,
        };
        let value = write.action.value();
        let Write { key, headers, ttl, .. } = write;
        self.store(Draft { key, value, operation, marker: None, headers, ttl }, now);
    }

    /// Gives an entry its revision and its time.
    fn store(&mut self, draft: Draft, now: SystemTime) {
        let Draft { key, value, operation, marker, headers, ttl } = draft;
        // Two entries never share a time, so that "as it was at this time" has one answer.
        let created = now.max(self.last_time + Duration::from_nanos(1));
        self.last_time = created;
        self.last += 1;
        let bytes = self.record_bytes(&key, &headers, value.len());
        let deadline = self.deadline(created, ttl);
        let keep = if headers.get(ROLLUP).is_some() { 1 } else { self.settings.history() };
        let revision = Revision::new(self.last);
        let entry = Entry { key: key.clone(), revision, value, operation, marker, created, headers };
        self.records.insert(self.last, Record { entry: Arc::new(entry), deadline, ttl, bytes });
        self.deadlines.extend(deadline.map(|at| (at, self.last)));
        self.bytes += bytes;
        self.keys.entry(key.clone()).or_default().push_back(self.last);
        self.trim(&key, keep);
        self.changes.push(Change { key, revision: self.last, kind: ChangeKind::Added });
    }

    fn deadline(&self, created: SystemTime, ttl: Option<Duration>) -> Option<SystemTime> {
        let age = self.settings.config().max_age.into_iter().chain(ttl).min()?;
        created.checked_add(age)
    }

    /// Removes the oldest entries of a key until `keep` are left.
    fn trim(&mut self, key: &Key, keep: usize) {
        while let Some(revisions) = self.keys.get(key)
            && revisions.len() > keep
            && let Some(&oldest) = revisions.front()
        {
            self.remove(oldest);
        }
    }

    /// Removes an entry without a trace, as an administrator can.
    pub(super) fn remove(&mut self, revision: u64) {
        let Some(record) = self.records.remove(&revision) else { return };
        let key = record.entry.key.clone();
        self.bytes -= record.bytes;
        if let Some(at) = record.deadline {
            self.deadlines.remove(&(at, revision));
        }
        if let Some(revisions) = self.keys.get_mut(&key) {
            revisions.retain(|kept| *kept != revision);
            if revisions.is_empty() {
                self.keys.remove(&key);
            }
        }
        self.changes.push(Change { key, revision, kind: ChangeKind::Removed });
    }

    /// Gives a revision to nothing.
    #[cfg(test)]
    pub(super) fn skip(&mut self) {
        self.last += 1;
    }

    /// Loses what is newer than a revision, and goes on from there.
    pub(super) fn set_back(&mut self, revision: u64) {
        let lost: Vec<u64> = self.records.keys().copied().filter(|kept| *kept > revision).collect();
        lost.into_iter().for_each(|lost| self.remove(lost));
        self.last = self.last.min(revision);
    }

    /// Removes what has outlived its time.
    ///
    /// The server announces it, where the bucket has markers, only when the entry is the last one of its key that is
    /// left and no server marker or purge itself. In a bucket with a history the key otherwise **falls back to its
    /// earlier value without a word**, a deleted one too (measured with 2.15.1).
    pub(super) fn expire(&mut self, now: SystemTime) {
        while let Some(&(at, revision)) = self.deadlines.first()
            && at <= now
        {
            let announced = self.records.get(&revision).is_some_and(|record| {
                let entry = &record.entry;
                let marks = entry.marker.is_some() || entry.operation == Operation::Purge;
                !marks && self.keys.get(&entry.key).is_some_and(|revisions| revisions.len() == 1)
            });
            match self.settings.marker_ttl() {
                Some(ttl) if announced => self.mark_expired(revision, ttl, at),
                _ => self.remove(revision),
            }
        }
    }

    fn mark_expired(&mut self, revision: u64, ttl: Duration, at: SystemTime) {
        let Some(key) = self.get(revision).map(|entry| entry.key.clone()) else { return };
        let headers = [
            (header::MARKER_REASON, "MaxAge".to_owned()),
            (header::TTL, format!("{}s", ttl.as_secs())),
            (ROLLUP, "sub".to_owned()),
        ];
        let draft = Draft {
            key,
            value: bytes::Bytes::new(),
            operation: Operation::Purge,
            marker: Some(MarkerReason::MaxAge),
            headers: headers.into_iter().collect(),
            ttl: Some(ttl),
        };
        self.store(draft, at);
    }

    /// Puts other settings in force.
    pub(super) fn update(&mut self, update: &BucketConfig, now: SystemTime) -> Result<(), ReadError> {
        self.expire(now);
        self.settings = self.settings.updated(update)?;
        let keys: Vec<Key> = self.keys.keys().cloned().collect();
        for key in keys {
            self.trim(&key, self.settings.history());
        }
        self.deadlines.clear();
        let max_age = self.settings.config().max_age;
        for (revision, record) in &mut self.records {
            let age = max_age.into_iter().chain(record.ttl).min();
            record.deadline = age.and_then(|age| record.entry.created.checked_add(age));
            self.deadlines.extend(record.deadline.map(|at| (at, *revision)));
        }
        self.expire(now);
        Ok(())
    }

    pub(super) fn last_of(&self, key: &Key) -> Option<u64> {
        self.keys.get(key).and_then(last_in)
    }

    /// The retained revisions of each key that a filter asks for.
    fn matching(&self, filters: &[Filter]) -> Vec<&VecDeque<u64>> {
        if let [filter] = filters {
            if let Some(key) = filter.as_key() {
                return self.keys.get(&key).into_iter().collect();
            }
            if let Some(prefix) = filter.as_prefix().filter(|prefix| !prefix.is_root()) {
                let start = format!("{prefix}.");
                return self
                    .keys
                    .range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded))
                    .take_while(|(key, _)| key.as_str().starts_with(&start))
                    .map(|(_, revisions)| revisions)
                    .collect();
            }
        }
        // Keys that are named are looked up; every key is held against the patterns only.
        let named = filters.iter().filter_map(Filter::as_key);
        let mut found: BTreeMap<&Key, &VecDeque<u64>> =
            named.filter_map(|key| self.keys.get_key_value(&key)).collect();
        let patterns: Vec<&Filter> = filters.iter().filter(|filter| filter.as_key().is_none()).collect();
        if !patterns.is_empty() {
            let asked = |key: &Key| patterns.iter().any(|filter| filter.matches(key));
            found.extend(self.keys.iter().filter(|(key, _)| asked(key)));
        }
        found.into_values().collect()
    }

    /// The newest retained revision of each key that a filter asks for, ascending.
    pub(super) fn last_revisions(&self, filters: &[Filter]) -> BTreeSet<u64> {
        self.matching(filters).into_iter().filter_map(last_in).collect()
    }

    pub(super) fn count(&self, filters: &[Filter]) -> u64 {
        self.matching(filters).len() as u64
    }

    /// The last retained entry of each key at one moment. What is evicted is absent without a word, as on the server.
    pub(super) fn read(&self, filters: &[Filter], at: Point) -> Result<Reading, ReadError> {
        let moment = match at {
            Point::Latest => self.last,
            Point::Revision(revision) if revision.get() > self.last => {
                return Err(ReadError::OutOfRange { revision });
            }
            Point::Revision(revision) => revision.get(),
            Point::Time(time) if time >= self.last_time => self.last,
            // As on the server: right before the first retained entry behind it, and nothing tells what has gone since.
            Point::Time(time) => self.revision_at(time).map_or(self.last, Revision::get),
        };
        let newest = |revisions: &VecDeque<u64>| {
            let upto = revisions.partition_point(|revision| *revision <= moment);
            upto.checked_sub(1).and_then(|index| revisions.get(index).copied())
        };
        let revisions: BTreeSet<u64> = self.matching(filters).into_iter().filter_map(newest).collect();
        let entries = revisions.into_iter().filter_map(|revision| self.copy(revision)).collect();
        Ok(Reading { entries, revision: Revision::new(moment), isolated: true })
    }

    /// The last revision at a time; `None` where nothing was written since.
    pub(super) fn revision_at(&self, time: SystemTime) -> Option<Revision> {
        let since = self.records.values().find(|record| record.entry.created > time)?;
        Some(since.entry.revision - 1)
    }

    pub(super) fn history(&self, filters: &[Filter]) -> Vec<Entry> {
        self.history_between(filters, Revision::ZERO, Revision::new(self.last))
    }

    pub(super) fn history_between(&self, filters: &[Filter], from: Revision, until: Revision) -> Vec<Entry> {
        let asked = from.get()..=until.get();
        let all = self.matching(filters).into_iter().flatten().copied();
        let revisions: BTreeSet<u64> = all.filter(|revision| asked.contains(revision)).collect();
        revisions.into_iter().filter_map(|revision| self.copy(revision)).collect()
    }

    pub(super) fn kept(&self, filters: &[Filter]) -> Kept {
        let count = |revisions: &VecDeque<u64>| {
            let key = self.get(*revisions.front()?)?.key.clone();
            Some((key, revisions.len() as u64))
        };
        Kept {
            entries: self.matching(filters).into_iter().filter_map(count).collect(),
            first: Revision::new(self.records.first_key_value().map_or(self.last + 1, |(first, _)| *first)),
            last: Revision::new(self.last),
            total: self.records.len() as u64,
            history: self.settings.history() as u64,
            evicts: self.settings.config().max_age.is_some_and(|age| !age.is_zero()),
            created: self.created,
            written: self.last_time,
        }
    }

    pub(super) fn entry(&self, key: &Key, at: Option<Revision>) -> Option<Entry> {
        let revision = at.map(Revision::get).or_else(|| self.last_of(key))?;
        self.copy(revision).filter(|entry| entry.key == *key)
    }

    fn copy(&self, revision: u64) -> Option<Entry> {
        self.get(revision).map(|entry| Entry::clone(entry))
    }
}

fn last_in(revisions: &VecDeque<u64>) -> Option<u64> {
    revisions.back().copied()
}
