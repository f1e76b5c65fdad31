//! Which message of a change set carries which expectation. Pure.
//!
//! A message carries one expectation only. One about all keys of a layer covers the message's own key, so it takes the place of
//! that; and it covers every other key that the change set writes in that layer, for all of it is written or nothing. So
//! those other messages are free to carry what is expected of layers in which nothing is written. Where none is free, a
//! message is added that is there for nothing else.

use bytes::Bytes;

use crate::store::{Action, Expect, Write};
use crate::{Filter, Headers, Key, KeyError, Revision};

/// What to do about a filter under which nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// It is not guarded.
    Ignored,
    /// It is guarded, if need be by a message of its own.
    Carried,
    /// It is guarded, or nothing is written.
    Refused,
}

/// Filters with the newest revision that may stand under each.
#[derive(Debug, Clone)]
pub(super) struct Guards {
    pub(super) all: Vec<(Filter, Revision)>,
    pub(super) unwritten: Unwritten,
}

impl Guards {
    pub(super) const NONE: Self = Self { all: Vec::new(), unwritten: Unwritten::Ignored };

    /// Puts them on the writes of a change set; gives those for which there was no room.
    pub(super) fn put_on(&self, writes: &mut [Write]) -> Vec<(Filter, Revision)> {
        let mut free = Vec::new();
        let mut waiting = Vec::new();
        for (filter, tail) in &self.all {
            let mut written = writes.iter_mut().enumerate().filter(|(_, write)| filter.matches(&write.key));
            match written.next() {
                // The newest revision under the filter covers the key's own.
                Some((_, first)) => first.expect = Expect::On(filter.clone(), *tail),
                None => waiting.push((filter.clone(), *tail)),
            }
            free.extend(written.map(|(at, _)| at));
        }
        if self.unwritten == Unwritten::Ignored {
            return Vec::new();
        }
        waiting.retain(|(filter, tail)| match free.pop().and_then(|at| writes.get_mut(at)) {
            Some(write) => {
                write.expect = Expect::On(filter.clone(), *tail);
                false
            }
            None => true,
        });
        waiting
    }

    /// What this change has written itself is no reason for them to fail.
    pub(super) fn expect_own(&mut self, written: &[(Key, Revision)]) {
        for (filter, tail) in &mut self.all {
            let own = written.iter().filter(|(key, _)| filter.matches(key)).map(|(_, revision)| *revision);
            *tail = own.max().map_or(*tail, |own| own.max(*tail));
        }
    }
}

/// A message that is there only for what it expects. It is no field of anybody.
pub(super) fn carrier(
    at: usize,
    (filter, tail): (Filter, Revision),
    headers: Headers,
) -> Result<Write, KeyError> {
    Ok(Write {
        key: Key::new(format!("_kvconf.guard.{at}"))?,
        action: Action::Put(Bytes::new()),
        expect: Expect::On(filter, tail),
        ttl: None,
        headers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &str) -> Write {
        Write {
            key: Key::new(key).unwrap(),
            action: Action::Delete,
            expect: Expect::Revision(Revision::new(1)),
            ttl: None,
            headers: Headers::new(),
        }
    }

    /// What each message expects, and which filters are left.
    fn placed(keys: &[&str], unwritten: Unwritten) -> (Vec<String>, Vec<String>) {
        let all = [("base.>", 7), ("env.>", 8), ("host.>", 9)]
            .map(|(filter, tail)| (Filter::new(filter).unwrap(), Revision::new(tail)));
        let mut writes: Vec<Write> = keys.iter().map(|key| write(key)).collect();
        let left = Guards { all: all.into(), unwritten }.put_on(&mut writes);
        let shown = |write: &Write| match &write.expect {
            Expect::On(filter, tail) => format!("{filter} at {tail}"),
            Expect::Revision(_) => "its own".to_owned(),
            Expect::Any => "nothing".to_owned(),
        };
        (writes.iter().map(shown).collect(), left.iter().map(|(filter, _)| filter.to_string()).collect())
    }

    // P6
    #[test]
    fn each_layer_is_guarded_once_and_messages_that_it_covers_guard_others() {
        assert_eq!(
            placed(&["base.a", "base.b", "env.a", "base.c"], Unwritten::Carried),
            (
                vec!["base.> at 7".to_owned(), "its own".into(), "env.> at 8".into(), "host.> at 9".into()],
                vec![]
            )
        );
    }

    // P6
    #[test]
    fn what_no_message_has_room_for_is_told() {
        assert_eq!(
            placed(&["env.a"], Unwritten::Carried),
            (vec!["env.> at 8".to_owned()], vec!["base.>".to_owned(), "host.>".into()])
        );
        assert_eq!(placed(&["env.a"], Unwritten::Ignored), (vec!["env.> at 8".to_owned()], vec![]));
    }
}
