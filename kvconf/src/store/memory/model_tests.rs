//! The log and its cursors against a list of everything that was ever written, searched from end to end.

use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;

use super::cursor::Cursor;
use super::log::Log;
use super::settings::Settings;
use crate::store::{Action, Delivery, Expect, Point, Start, Write};
use crate::{BucketConfig, Filter, Headers, Key, Revision, WriteError};

const KEYS: [&str; 4] = ["a.x", "a.y", "b.x", "c"];
const FILTERS: [&str; 5] = [">", "a.>", "*.x", "c", "a.y"];

/// What a write expects, as a distance from the truth.
#[derive(Debug, Clone)]
enum Hope {
    Any,
    OwnKey { off_by: u64 },
    Pattern { filter: usize, off_by: u64 },
}

#[derive(Debug, Clone)]
struct Intent {
    key: usize,
    kind: u8,
    hope: Hope,
}

#[derive(Debug, Clone)]
enum Step {
    Write(Intent),
    Batch(Vec<Intent>),
    Deliver(usize),
}

fn intent() -> impl Strategy<Value = Intent> {
    let hope = prop_oneof![
        3 => Just(Hope::Any),
        3 => (0..6_u64).prop_map(|n| Hope::OwnKey { off_by: n.saturating_sub(4) }),
        1 => (0..FILTERS.len(), 0..6_u64)
            .prop_map(|(filter, n)| Hope::Pattern { filter, off_by: n.saturating_sub(4) }),
    ];
    (0..KEYS.len(), 0..10_u8, hope).prop_map(|(key, kind, hope)| Intent { key, kind, hope })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => intent().prop_map(Step::Write),
        2 => vec(intent(), 1..4).prop_map(Step::Batch),
        2 => (1..4_usize).prop_map(Step::Deliver),
    ];
    vec(step, 1..40)
}

/// One write that was taken.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    key: &'static str,
    action: Action,
}

/// All that was ever taken: revision n is at n - 1. What is retained is worked out by looking.
#[derive(Debug, Default)]
struct Everything {
    history: usize,
    list: Vec<Written>,
}

impl Everything {
    fn retained(&self, revision: usize) -> bool {
        let own = &self.list[revision - 1];
        let later: Vec<&Written> = self.list[revision..].iter().filter(|w| w.key == own.key).collect();
        later.len() < self.history && later.iter().all(|w| w.action != Action::Purge)
    }

    fn matching(&self, filter: &str) -> impl Iterator<Item = usize> {
        let filter = Filter::new(filter).unwrap();
        (1..=self.list.len()).filter(move |revision| {
            filter.matches(&Key::new(self.list[revision - 1].key).unwrap()) && self.retained(*revision)
        })
    }

    fn newest(&self, filter: &str) -> u64 {
        self.matching(filter).max().unwrap_or(0) as u64
    }

    /// The last retained revision of each key up to a revision.
    fn at(&self, filter: &str, revision: usize) -> Vec<(u64, Written)> {
        let upto: Vec<usize> = self.matching(filter).filter(|r| *r <= revision).collect();
        let is_last = |r: &&usize| !upto.iter().any(|later| later > r && self.same_key(*later, **r));
        upto.iter().filter(is_last).map(|r| (*r as u64, self.list[r - 1].clone())).collect()
    }

    fn same_key(&self, a: usize, b: usize) -> bool {
        self.list[a - 1].key == self.list[b - 1].key
    }
}

struct World {
    log: Log,
    truth: Everything,
    clock: SystemTime,
}

impl World {
    fn new(history: u8) -> Self {
        let mut config = BucketConfig::new("model");
        config.history = Some(history.into());
        let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let log = Log::new(Settings::new(config).unwrap(), clock);
        Self { log, truth: Everything { history: usize::from(history), list: Vec::new() }, clock }
    }

    /// The write, whether its expectation holds, and what was there instead.
    fn write(&self, intent: &Intent, value: usize) -> (Write, bool, u64) {
        let key = KEYS[intent.key];
        let action = match intent.kind {
            0..=6 => Action::Put(format!("v{value}").into()),
            7 | 8 => Action::Delete,
            _ => Action::Purge,
        };
        let (expect, off_by, found) = match &intent.hope {
            Hope::Any => (Expect::Any, 0, 0),
            Hope::OwnKey { off_by } => {
                let found = self.truth.newest(key);
                (Expect::Revision(Revision::new(found + off_by)), *off_by, found)
            }
            Hope::Pattern { filter, off_by } => {
                let found = self.truth.newest(FILTERS[*filter]);
                let filter = Filter::new(FILTERS[*filter]).unwrap();
                (Expect::On(filter, Revision::new(found + off_by)), *off_by, found)
            }
        };
        let key = Key::new(key).unwrap();
        (Write { key, action, expect, ttl: None, headers: Headers::new() }, off_by == 0, found)
    }

    fn accept(&mut self, writes: &[Write]) {
        for write in writes {
            let key = *KEYS.iter().find(|key| **key == write.key.as_str()).unwrap();
            self.truth.list.push(Written { key, action: write.action.clone() });
        }
    }

    fn take(&mut self, step: &Step) {
        self.clock += Duration::from_secs(1);
        let value = self.truth.list.len();
        match step {
            Step::Write(intent) => {
                let (write, holds, found) = self.write(intent, value);
                let result = self.log.write(write.clone(), self.clock);
                if holds {
                    self.accept(&[write]);
                    assert_eq!(result.unwrap().get(), self.truth.list.len() as u64);
                } else {
                    assert_conflict(result, Some(found));
                }
            }
            Step::Batch(intents) => {
                let mut intents = intents.clone();
                intents.sort_by_key(|intent| intent.key);
                intents.dedup_by_key(|intent| intent.key);
                let planned: Vec<_> = intents.iter().map(|i| self.write(i, value)).collect();
                let writes: Vec<Write> = planned.iter().map(|(write, ..)| write.clone()).collect();
                let result = self.log.write_batch(writes.clone(), "id", self.clock);
                // An expectation on exactly a key that the batch wrote before cannot hold on a server.
                let spoiled = |at: usize, write: &Write| match &write.expect {
                    Expect::On(filter, _) => writes[..at].iter().any(|w| w.key.as_str() == filter.as_str()),
                    _ => false,
                };
                let problem = planned.iter().enumerate().find_map(|(at, (write, holds, found))| {
                    if spoiled(at, write) { Some(None) } else { (!holds).then_some(Some(*found)) }
                });
                match problem {
                    Some(found) => assert_conflict(result, found),
                    None => {
                        self.accept(&writes);
                        assert_eq!(result.unwrap().get(), self.truth.list.len() as u64);
                    }
                }
            }
            Step::Deliver(_) => {}
        }
    }
}

fn assert_conflict(result: Result<Revision, WriteError>, expected: Option<u64>) {
    match result {
        Err(WriteError::Conflict { found }) => assert_eq!(found.map(Revision::get), expected),
        other => panic!("a conflict with {expected:?}, not {other:?}"),
    }
}

fn action_of(entry: &crate::Entry) -> Action {
    match entry.operation() {
        crate::Operation::Put => Action::Put(entry.value().clone()),
        crate::Operation::Delete => Action::Delete,
        _ => Action::Purge,
    }
}

proptest! {
    #[test]
    fn every_retained_revision_reads_as_it_was(history in 1..5_u8, steps in steps()) {
        let mut world = World::new(history);
        for step in &steps {
            world.take(step);
        }
        for filter in FILTERS {
            let filters = [Filter::new(filter).unwrap()];
            for revision in 0..=world.truth.list.len() {
                let point = Point::Revision(Revision::new(revision as u64));
                let reading = world.log.read(&filters, point).unwrap();
                let read: Vec<(u64, Written)> = reading
                    .entries
                    .iter()
                    .map(|e| {
                        let key = *KEYS.iter().find(|key| **key == e.key().as_str()).unwrap();
                        (e.revision().get(), Written { key, action: action_of(e) })
                    })
                    .collect();
                prop_assert_eq!(read, world.truth.at(filter, revision), "{} at {}", filter, revision);
            }
            let history: Vec<usize> =
                world.log.history(&filters).iter().map(|e| e.revision().get() as usize).collect();
            prop_assert_eq!(history, world.truth.matching(filter).collect::<Vec<_>>());
        }
        let beyond = Point::Revision(Revision::new(world.truth.list.len() as u64 + 1));
        prop_assert!(world.log.read(&[Filter::all()], beyond).is_err());
    }

    #[test]
    fn a_cursor_delivers_what_is_left_when_its_turn_comes(
        history in 1..4_u8,
        before in steps(),
        after in steps(),
        filter in 0..FILTERS.len(),
        last_only in any::<bool>(),
    ) {
        let mut world = World::new(history);
        for step in &before {
            world.take(step);
        }
        world.log.take_changes();
        let start = if last_only { Start::Last } else { Start::All };
        let filters = vec![Filter::new(FILTERS[filter]).unwrap()];
        let mut cursor = Cursor::new(filters, start, &world.log);
        let begun = world.truth.list.len();
        let at_start: Vec<usize> = if last_only {
            world.truth.at(FILTERS[filter], begun).iter().map(|(r, _)| *r as usize).collect()
        } else {
            world.truth.matching(FILTERS[filter]).collect()
        };
        prop_assert_eq!(cursor.pending(), at_start.len() as u64);
        let mut delivered = 0_u64;
        let mut newest = 0;
        for step in after.iter().chain([&Step::Deliver(usize::MAX)]) {
            world.take(step);
            for change in world.log.take_changes() {
                cursor.note(&change);
            }
            let Step::Deliver(count) = step else { continue };
            for _ in 0..*count {
                let due: Vec<usize> = world
                    .truth
                    .matching(FILTERS[filter])
                    .filter(|r| *r > newest && (*r > begun || at_start.contains(r)))
                    .collect();
                match cursor.advance(&world.log) {
                    None => {
                        prop_assert_eq!(due, Vec::<usize>::new());
                        break;
                    }
                    Some(Delivery::Entry { entry, sequence, pending }) => {
                        delivered += 1;
                        newest = entry.revision().get() as usize;
                        prop_assert_eq!(Some(&newest), due.first());
                        prop_assert_eq!((sequence, pending), (delivered, due.len() as u64 - 1));
                    }
                    Some(other) => panic!("{other:?}"),
                }
            }
        }
    }
}
