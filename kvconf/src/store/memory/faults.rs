//! What can be made to go wrong with a memory bucket, for tests.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Shared, State, Subscriber};
use crate::store::{Fault, ReadError, WriteError};
use crate::{Key, Revision};

/// Calls that are going to fail.
#[derive(Debug, Default)]
pub(super) struct Planned {
    reads: VecDeque<ReadError>,
    writes: VecDeque<WriteError>,
    lost_acknowledgements: usize,
}

impl Planned {
    pub(super) fn next_read(&mut self) -> Result<(), ReadError> {
        self.reads.pop_front().map_or(Ok(()), Err)
    }

    pub(super) fn next_write(&mut self) -> Result<(), WriteError> {
        self.writes.pop_front().map_or(Ok(()), Err)
    }

    pub(super) fn loses_acknowledgement(&mut self) -> bool {
        let lost = self.lost_acknowledgements > 0;
        self.lost_acknowledgements = self.lost_acknowledgements.saturating_sub(1);
        lost
    }
}

/// Makes a memory bucket fail as a server, a network or an administrator does. For tests.
#[derive(Debug, Clone)]
pub struct MemoryFaults {
    shared: Arc<Shared>,
}

impl MemoryFaults {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn with<T>(&self, step: impl FnOnce(&mut State) -> T) -> T {
        self.shared.with(|state, _| step(state))
    }

    fn each_subscriber(&self, step: impl Fn(&mut Subscriber)) {
        self.with(|state| {
            for subscriber in state.subscribers.values_mut() {
                step(subscriber);
                subscriber.wake.notify_one();
            }
        });
    }

    /// Every open subscription reports this fault next, and is over when the fault ends it.
    pub fn cut(&self, fault: &Fault) {
        self.each_subscriber(|subscriber| subscriber.cursor.fault(fault.clone()));
    }

    /// Every open subscription loses its next deliveries; their numbers are used up.
    pub fn lose_deliveries(&self, count: u64) {
        self.each_subscriber(|subscriber| subscriber.cursor.lose(count));
    }

    /// Every open subscription delivers again all that is retained from this revision on.
    pub fn replay(&self, from: Revision) {
        self.with(|state| {
            let Some(log) = &state.log else { return };
            for subscriber in state.subscribers.values_mut() {
                subscriber.cursor.replay(from.get(), log);
                subscriber.wake.notify_one();
            }
        });
    }

    /// Every open subscription falls silent, without even heartbeats.
    pub fn pause(&self) {
        self.each_subscriber(|subscriber| subscriber.cursor.pause(true));
    }

    /// Ends what [`MemoryFaults::pause`] began.
    pub fn resume(&self) {
        self.each_subscriber(|subscriber| subscriber.cursor.pause(false));
    }

    /// Deletes the bucket. Its subscriptions end with [`Fault::BucketGone`], every call fails with
    /// [`ReadError::BucketNotFound`].
    pub fn delete_bucket(&self) {
        self.with(|state| state.log = None);
        self.cut(&Fault::BucketGone);
    }

    /// Deletes the bucket, if it is there, and creates it again under its name and with its settings: empty, with another
    /// time of creation and with revisions from one. Subscriptions of the old one end with [`Fault::Ended`].
    pub fn recreate_bucket(&self) {
        self.shared.with(|state, now| state.recreate(now));
        self.cut(&Fault::Ended);
    }

    /// Sets the bucket back to a revision, as when it is brought back from a backup, or when a server that fell has lost its
    /// newest writes: what is newer is gone, and the revisions of the next writes are given for the second time.
    /// Subscriptions end with [`Fault::Ended`].
    pub fn set_back(&self, revision: Revision) {
        self.with(|state| {
            if let Some(log) = &mut state.log {
                log.set_back(revision.get());
            }
        });
        self.cut(&Fault::Ended);
    }

    /// Removes a key with all its revisions and without a marker, as an administrator's purge of the stream does.
    pub fn remove_key(&self, key: &Key) {
        self.with(|state| {
            let Some(log) = &mut state.log else { return };
            while let Some(revision) = log.last_of(key) {
                log.remove(revision);
            }
        });
    }

    /// Removes the newest entry of a key without a marker: the one before it is the newest again.
    pub fn remove_newest(&self, key: &Key) {
        self.with(|state| {
            let Some(log) = &mut state.log else { return };
            if let Some(revision) = log.last_of(key) {
                log.remove(revision);
            }
        });
    }

    /// The next calls that read (subscribing and the status included) fail with this error.
    pub fn fail_reads(&self, calls: usize, error: &ReadError) {
        self.with(|state| state.planned.reads.extend(std::iter::repeat_n(error.clone(), calls)));
    }

    /// The next calls that write fail with this error, and write nothing.
    pub fn fail_writes(&self, calls: usize, error: &WriteError) {
        self.with(|state| state.planned.writes.extend(std::iter::repeat_n(error.clone(), calls)));
    }

    /// The next successful writes take place and answer [`WriteError::Unconfirmed`] all the same.
    pub fn lose_acknowledgements(&self, writes: usize) {
        self.with(|state| state.planned.lost_acknowledgements += writes);
    }

    /// From now on it is taken for a mirror, and this is how it stands with the bucket that it copies. Whoever writes to it
    /// copies.
    #[cfg(test)]
    pub(crate) fn mirror(&self, origin: Option<crate::store::Origin>) {
        self.with(|state| state.mirror = Some(origin));
    }

    /// The next revision is of an entry that a mirror does not get: it was pushed out before it was copied.
    #[cfg(test)]
    pub(crate) fn skip(&self) {
        self.with(|state| {
            if let Some(log) = &mut state.log {
                log.skip();
            }
        });
    }

    /// From now on nobody may read several keys as of one moment.
    #[cfg(test)]
    pub(crate) fn refuse_readings(&self) {
        self.with(|state| state.refuses_readings = true);
    }

    /// How many subscriptions are open.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.with(|state| state.subscribers.len())
    }
}
