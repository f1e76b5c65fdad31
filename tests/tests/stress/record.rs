//! What was written, in the server's order, and whether what was seen agrees with it.

use std::collections::{BTreeMap, BTreeSet};

/// The keys that have a value.
pub type State = BTreeMap<String, u64>;

/// A batch as the server acknowledged it: each key with its revision and the number that it got; `None` deletes.
pub type Batch = Vec<(u64, &'static str, Option<u64>)>;

/// Keys that are always written together, with one number.
pub const GROUPS: [&[&str]; 4] = [
    &["a.x0", "a.x1"],
    &["a.x2", "b.x0", "b.x1"],
    &["b.x2", "c.x0", "c.x1", "a.x3", "b.x3"],
    &["c.x2", "c.x3"],
];

/// A state that a reader got.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub revision: u64,
    pub state: State,
}

/// All batches, oldest first.
pub struct Log(Vec<Batch>);

fn under(prefix: &str, key: &str) -> bool {
    prefix.is_empty() || key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
}

fn apply(state: &mut State, batch: &[(u64, &str, Option<u64>)]) {
    for (_, key, number) in batch {
        match number {
            Some(number) => state.insert((*key).to_owned(), *number),
            None => state.remove(*key),
        };
    }
}

impl Log {
    /// Puts what the writers were told in order.
    pub fn new(writers: impl IntoIterator<Item = Vec<Batch>>) -> Self {
        let mut batches: Vec<Batch> = writers.into_iter().flatten().collect();
        batches.sort_by_key(|batch| batch[0].0);
        let log = Self(batches);
        let revisions = log.0.iter().flatten().map(|(revision, ..)| *revision);
        assert!(revisions.eq(1..=log.entries()), "the acknowledgements leave no gap and overlap nowhere");
        log
    }

    pub fn batches(&self) -> usize {
        self.0.len()
    }

    pub fn entries(&self) -> u64 {
        self.0.iter().map(Vec::len).sum::<usize>() as u64
    }

    /// The newest revision of a key under the prefix.
    pub fn newest(&self, prefix: &str) -> u64 {
        let revisions = self.0.iter().flatten().filter(|(_, key, _)| under(prefix, key));
        revisions.map(|(revision, ..)| *revision).max().unwrap()
    }

    pub fn last_state(&self) -> State {
        let mut state = State::new();
        self.0.iter().for_each(|batch| apply(&mut state, batch));
        state
    }

    /// Asserts that all states seen are the true ones at their revisions, that no batch is seen in part, and that
    /// revisions grow, or stay for states of several readers.
    pub fn verify(&self, prefix: &str, seen: &[Seen]) {
        assert!(seen.is_sorted_by_key(|seen| seen.revision), "P4");
        let mut batches = self.0.iter().peekable();
        let mut truth = State::new();
        for Seen { revision, state } in seen {
            together(state);
            while let Some(batch) = batches.next_if(|batch| reached(prefix, batch, *revision)) {
                let visible: Vec<_> =
                    batch.iter().filter(|(_, key, _)| under(prefix, key)).copied().collect();
                apply(&mut truth, &visible);
            }
            assert_eq!(state, &truth, "P1: the state of {prefix:?} at revision {revision}");
        }
    }

    /// Asserts that the states of one reader are true, that none comes twice, and that they reach the end of the log.
    pub fn verify_all(&self, prefix: &str, seen: &[Seen]) {
        self.verify(prefix, seen);
        assert!(seen.is_sorted_by(|before, after| before.revision < after.revision), "P4");
        let last = seen.last().expect("a reader has a state");
        assert!(last.revision >= self.newest(prefix), "the last state of {prefix:?} is the end of the log");
    }
}

/// Whether a batch is contained in a state of the prefix at a revision.
fn reached(prefix: &str, batch: &Batch, revision: u64) -> bool {
    let mut visible = batch.iter().filter(|(_, key, _)| under(prefix, key)).map(|(revision, ..)| *revision);
    let Some(first) = visible.next() else { return batch[0].0 <= revision };
    let last = visible.next_back().unwrap_or(first);
    assert!(revision < first || revision >= last, "P2: revision {revision} of {prefix:?} splits {batch:?}");
    revision >= last
}

/// Asserts that the keys of each group, as far as the reader sees them, carry one number: it needs no log to be true.
fn together(state: &State) {
    for group in GROUPS {
        let areas: BTreeSet<&str> = state.keys().map(|key| &key[..1]).collect();
        let visible = group.iter().filter(|key| areas.contains(&key[..1]));
        let numbers: BTreeSet<Option<&u64>> = visible.map(|key| state.get(*key)).collect();
        assert!(numbers.len() <= 1, "P2: torn {group:?} in {state:?}");
    }
}
