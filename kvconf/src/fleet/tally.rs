//! Who was asked and who has answered. Pure: answers in, counts out.
//!
//! An instance counts once, however often and in however many ways it answers. What is final is not changed by what comes
//! later; whoever answers without having been known joins those who were asked.

use std::collections::BTreeMap;

use crate::instance::wire::{Refusal, Told};
use crate::instance::{Judged, Member, Outcome, Settled};

/// The most instances that are counted: what anybody could make up is bounded.
const MAX_INSTANCES: usize = 65_536;

/// Who somebody says to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) host: String,
}

impl From<&Member> for Who {
    fn from(member: &Member) -> Self {
        let Member { name, version, host, .. } = member;
        Self { name: name.clone(), version: version.clone(), host: host.clone() }
    }
}

impl From<&Told> for Who {
    fn from(told: &Told) -> Self {
        let Told { name, version, host, .. } = told;
        Self { name: name.clone(), version: version.clone(), host: host.clone() }
    }
}

/// What can be answered to one question.
pub(super) trait Reply {
    /// Whether a later answer could be another one.
    fn is_final(&self) -> bool;
}

impl Reply for Vec<Judged> {
    fn is_final(&self) -> bool {
        true
    }
}

impl Reply for Vec<Settled> {
    fn is_final(&self) -> bool {
        self.iter().all(|settled| settled.outcome != Outcome::Pending)
    }
}

/// What one instance has said to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell<V> {
    Waiting,
    Said(V),
    Refused(Refusal),
    /// It said that it leaves.
    Left,
}

impl<V: Reply> Cell<V> {
    fn is_final(&self) -> bool {
        match self {
            Self::Waiting => false,
            Self::Said(value) => value.is_final(),
            // Too busy now.
            Self::Refused(refusal) => refusal.code != 503,
            Self::Left => true,
        }
    }
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row<V> {
    pub(super) who: Who,
    /// By the number of the question.
    pub(super) cells: BTreeMap<usize, Cell<V>>,
}

impl<V: Reply> Row<V> {
    /// Whether it leaves, or has left: nobody waits for it.
    pub(super) fn has_left(&self) -> bool {
        !self.cells.is_empty() && self.cells.values().all(|cell| matches!(cell, Cell::Left))
    }

    fn is_open(&self) -> bool {
        self.cells.values().any(|cell| !cell.is_final())
    }
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// It says something new.
    Counted,
    /// That was said already.
    Duplicate,
    /// More instances than can be counted.
    Dropped,
}

/// Who was asked, and what was answered.
#[derive(Debug, Clone)]
pub(super) struct Tally<V> {
    rows: BTreeMap<String, Row<V>>,
    duplicates: usize,
    unreadable: usize,
}

impl<V> Default for Tally<V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), duplicates: 0, unreadable: 0 }
    }
}

impl<V: Reply> Tally<V> {
    /// An instance that is known, and is asked nothing so far.
    pub(super) fn know(&mut self, id: &str, who: Who) {
        self.rows.entry(id.to_owned()).or_insert_with(|| Row { who, cells: BTreeMap::new() });
    }

    /// An instance that is asked a question.
    pub(super) fn expect(&mut self, id: &str, who: Who, question: usize) {
        self.know(id, who);
        if let Some(row) = self.rows.get_mut(id) {
            row.cells.entry(question).or_insert(Cell::Waiting);
        }
    }

    /// An answer to a question.
    pub(super) fn take(&mut self, id: &str, who: Who, question: usize, cell: Cell<V>) -> Noted {
        if self.rows.len() >= MAX_INSTANCES && !self.rows.contains_key(id) {
            return Noted::Dropped;
        }
        self.expect(id, who, question);
        let Some(place) = self.rows.get_mut(id).and_then(|row| row.cells.get_mut(&question)) else {
            return Noted::Dropped;
        };
        if place.is_final() {
            self.duplicates += 1;
            return Noted::Duplicate;
        }
        *place = cell;
        Noted::Counted
    }

    /// Something that is no answer.
    pub(super) const fn take_unreadable(&mut self) {
        self.unreadable += 1;
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, &Row<V>)> {
        self.rows.iter().map(|(id, row)| (id.as_str(), row))
    }

    /// Those whose answer to a question is still to come.
    pub(super) fn open(&self, question: usize) -> Vec<String> {
        let open = |row: &Row<V>| row.cells.get(&question).is_some_and(|cell| !cell.is_final());
        self.rows.iter().filter(|(_, row)| open(row)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn is_complete(&self) -> bool {
        !self.rows.values().any(Row::is_open)
    }

    pub(super) const fn unreadable(&self) -> usize {
        self.unreadable
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Revision;

    fn who() -> Who {
        Who { name: "app".to_owned(), version: String::new(), host: String::new() }
    }

    fn settled(outcome: Outcome) -> Cell<Vec<Settled>> {
        let revision = Revision::new(1);
        Cell::Said(vec![Settled {
            structure: "App".to_owned(),
            outcome,
            applied: revision,
            seen: revision,
            problems: Vec::new(),
            more_problems: 0,
        }])
    }

    fn busy() -> Cell<Vec<Settled>> {
        Cell::Refused(Refusal::busy())
    }

    #[test]
    fn an_instance_counts_once_and_what_is_final_stays() {
        let mut tally = Tally::default();
        tally.expect("a", who(), 0);
        assert_eq!(tally.open(0), ["a"]);
        for (cell, noted) in [
            (busy(), Noted::Counted),
            (settled(Outcome::Pending), Noted::Counted),
            (settled(Outcome::Applied), Noted::Counted),
            (settled(Outcome::Rejected), Noted::Duplicate),
            (busy(), Noted::Duplicate),
            (Cell::Left, Noted::Duplicate),
        ] {
            assert_eq!(tally.take("a", who(), 0, cell), noted);
        }
        assert!(tally.is_complete());
        assert_eq!(
            tally.rows().map(|(_, row)| row.cells[&0].clone()).collect::<Vec<_>>(),
            [settled(Outcome::Applied)]
        );
    }

    #[test]
    fn one_with_two_questions_is_open_until_both_are_answered() {
        let mut tally = Tally::default();
        tally.expect("a", who(), 0);
        tally.expect("a", who(), 1);
        tally.take("a", who(), 0, settled(Outcome::Applied));
        assert!(!tally.is_complete());
        assert_eq!((tally.open(0), tally.open(1)), (Vec::<String>::new(), vec!["a".to_owned()]));
        tally.take("a", who(), 1, Cell::Left);
        assert!(tally.is_complete());
        assert!(!tally.rows().next().unwrap().1.has_left());
    }

    #[test]
    fn whoever_joins_is_counted_with_the_others() {
        let mut tally = Tally::default();
        tally.expect("a", who(), 0);
        tally.take("b", who(), 0, settled(Outcome::Applied));
        assert_eq!(tally.rows().count(), 2);
        assert_eq!(tally.open(0), ["a"]);
    }

    /// What a sender can do: answer at any time, in any way, any number of times.
    fn answers() -> impl Strategy<Value = Vec<(u8, usize, u8)>> {
        proptest::collection::vec((0_u8..12, 0_usize..3, 0_u8..5), 0..200)
    }

    proptest! {
        /// Against the plain rule: of each instance and question the first final answer, else the newest.
        #[test]
        fn counts_are_those_of_the_rule(answers in answers(), known in 0_u8..12) {
            let cell = |kind: u8| match kind {
                0 => settled(Outcome::Applied),
                1 => settled(Outcome::Rejected),
                2 => settled(Outcome::Pending),
                3 => busy(),
                _ => Cell::Left,
            };
            let mut tally = Tally::default();
            let mut model: BTreeMap<(String, usize), Cell<Vec<Settled>>> = BTreeMap::new();
            for n in 0..known {
                tally.expect(&n.to_string(), who(), 0);
                model.insert((n.to_string(), 0), Cell::Waiting);
            }
            for (n, question, kind) in answers {
                tally.take(&n.to_string(), who(), question, cell(kind));
                let place = model.entry((n.to_string(), question)).or_insert(Cell::Waiting);
                let is_final = matches!(place, Cell::Left) || *place == settled(Outcome::Applied) || *place == settled(Outcome::Rejected);
                if !is_final { *place = cell(kind); }
            }
            let counted: BTreeMap<(String, usize), Cell<Vec<Settled>>> = tally
                .rows()
                .flat_map(|(id, row)| row.cells.iter().map(|(q, cell)| ((id.to_owned(), *q), cell.clone())))
                .collect();
            prop_assert_eq!(&counted, &model);
            let open = model.values().any(|cell| !cell.is_final());
            prop_assert_eq!(tally.is_complete(), !open);
        }
    }
}
