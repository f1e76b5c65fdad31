//! What a watch of plain keys makes of the deliveries it gets. Pure: the driver subscribes and waits.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Interruption, WatchEvent};
use crate::store::{Delivery, Fault, Start};
use crate::{Entry, Revision};

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// The last entry of each key, then new ones.
    Current,
    /// New ones behind this revision; `None` where the client may not ask for the newest one.
    New(Option<Revision>),
    /// Every retained entry from this revision on.
    From(Revision),
}

/// How often in a row a bucket must have given less than was seen of it before. A leader that has just been elected may for
/// a moment not have applied the newest writes.
const SET_BACK_AFTER: u32 = 4;

/// What the driver does after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It goes on with the subscription it has.
    Continue,
    /// It subscribes anew, after a pause when there were failures.
    Reopen,
}

/// How far a watch has come.
#[derive(Debug)]
pub(super) struct Follower {
    begin: Begin,
    incarnation: Option<SystemTime>,
    /// The newest entry that was passed on, and when it was created.
    seen: Option<(Revision, SystemTime)>,
    loaded: bool,
    interrupted: bool,
    /// How often in a row the bucket had given less than was seen.
    behind: u32,
    /// The number that the subscription's last delivery had.
    sequence: u64,
    /// How many entries the subscription announced.
    announced: u64,
    /// How often it failed since something arrived.
    failures: u32,
}

impl Follower {
    pub(super) fn new(begin: Begin) -> Self {
        Self {
            begin,
            incarnation: None,
            seen: None,
            loaded: false,
            interrupted: false,
            behind: 0,
            sequence: 0,
            announced: 0,
            failures: 0,
        }
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Where to subscribe next, so that nothing retained is missed.
    pub(super) fn start(&self) -> Start {
        match (self.begin, self.seen) {
            (Begin::Current, None) if self.loaded => Start::All,
            (Begin::Current, _) if !self.loaded => Start::Last,
            // Without the time of creation, a bucket that was created again shows only in entries that are newer than
            // their revisions; a subscription behind the last revision would not deliver them.
            (Begin::Current, Some(_)) if self.incarnation.is_none() => Start::Last,
            (_, Some(_)) if self.incarnation.is_none() => Start::All,
            (_, Some((revision, _))) => Start::Revision(revision.next()),
            (Begin::New(None), None) => Start::New,
            (Begin::New(Some(revision)), None) => Start::Revision(revision.next()),
            (Begin::From(revision), None) => Start::Revision(revision.max(Revision::new(1))),
            (Begin::Current, None) => Start::Last,
        }
    }

    /// The subscription stands.
    pub(super) fn opened(
        &mut self,
        pending: u64,
        incarnation: Option<SystemTime>,
        last: Option<Revision>,
        events: &mut impl Extend<WatchEvent>,
    ) -> Next {
        if let (Some(before), Some(now)) = (self.incarnation, incarnation)
            && before != now
        {
            self.incarnation = incarnation;
            return self.recreated(events);
        }
        self.incarnation = self.incarnation.or(incarnation);
        if let (Some((seen, _)), Some(last)) = (self.seen, last)
            && last < seen
        {
            self.behind += 1;
            if self.behind >= SET_BACK_AFTER {
                return self.recreated(events);
            }
            self.failures = self.failures.saturating_add(1);
            return Next::Reopen;
        }
        self.behind = 0;
        self.sequence = 0;
        self.announced = pending;
        if std::mem::take(&mut self.interrupted) {
            events.extend([WatchEvent::Resumed]);
        }
        // With new entries only there is nothing to load.
        if pending == 0 || matches!(self.begin, Begin::New(_)) {
            self.finish_load(events);
        }
        Next::Continue
    }

    /// Subscribing failed, or the subscription is no longer to be trusted.
    pub(super) fn failed(&mut self, cause: Interruption, events: &mut impl Extend<WatchEvent>) -> Next {
        self.failures = self.failures.saturating_add(1);
        self.interrupted = true;
        events.extend([WatchEvent::Interrupted(cause)]);
        Next::Reopen
    }

    /// The subscription said something.
    pub(super) fn delivered(&mut self, delivery: Delivery, events: &mut impl Extend<WatchEvent>) -> Next {
        match delivery {
            Delivery::Entry { entry, sequence, pending } => match self.advance(sequence, events) {
                Next::Continue => self.entry(Arc::unwrap_or_clone(entry), pending, events),
                other => other,
            },
            Delivery::Unreadable { subject, revision, sequence, pending } => {
                let next = self.advance(sequence, events);
                if matches!(next, Next::Continue) {
                    events.extend([WatchEvent::Unreadable { subject, revision }]);
                    self.progressed(pending, events);
                }
                next
            }
            Delivery::Idle { sequence } if sequence == self.sequence => {
                self.progressed(0, events);
                Next::Continue
            }
            Delivery::Idle { sequence } => self.lost(sequence + 1, events),
            // The client is connecting again; what that leads to comes as a fault of its own.
            Delivery::Fault(Fault::Disconnected) => {
                self.interrupted = true;
                events.extend([WatchEvent::Interrupted(Interruption::Fault(Fault::Disconnected))]);
                Next::Continue
            }
            Delivery::Fault(fault) => self.failed(Interruption::Fault(fault), events),
        }
    }

    fn advance(&mut self, sequence: u64, events: &mut impl Extend<WatchEvent>) -> Next {
        if sequence != self.sequence + 1 {
            return self.lost(sequence, events);
        }
        self.sequence = sequence;
        Next::Continue
    }

    fn lost(&mut self, found: u64, events: &mut impl Extend<WatchEvent>) -> Next {
        let expected = self.sequence + 1;
        self.failed(Interruption::Lost { expected, found }, events)
    }

    fn entry(&mut self, entry: Entry, pending: u64, events: &mut impl Extend<WatchEvent>) -> Next {
        let revision = entry.revision();
        match self.seen {
            // Revisions and times of one bucket grow together.
            Some((newest, created)) if revision <= newest && entry.created() > created => {
                return self.recreated(events);
            }
            Some((newest, _)) if revision <= newest => {}
            _ if revision <= self.floor() => {}
            _ => {
                self.seen = Some((revision, entry.created()));
                events.extend([WatchEvent::Entry(entry)]);
            }
        }
        self.progressed(pending, events);
        Next::Continue
    }

    /// The newest revision that the watch did not ask for.
    fn floor(&self) -> Revision {
        match self.begin {
            Begin::Current => Revision::ZERO,
            Begin::New(revision) => revision.unwrap_or(Revision::ZERO),
            Begin::From(revision) => revision - 1,
        }
    }

    fn progressed(&mut self, pending: u64, events: &mut impl Extend<WatchEvent>) {
        self.failures = 0;
        // A bucket under constant writing is never caught up; what was there in the beginning has been delivered then.
        if pending == 0 || self.sequence >= self.announced {
            self.finish_load(events);
        }
    }

    fn finish_load(&mut self, events: &mut impl Extend<WatchEvent>) {
        if !std::mem::replace(&mut self.loaded, true) {
            events.extend([WatchEvent::Loaded]);
        }
    }

    fn recreated(&mut self, events: &mut impl Extend<WatchEvent>) -> Next {
        self.seen = None;
        self.behind = 0;
        self.loaded = false;
        // Everything in the new bucket is new.
        if self.begin != Begin::Current {
            self.begin = Begin::From(Revision::ZERO);
        }
        events.extend([WatchEvent::Recreated]);
        Next::Reopen
    }
}
