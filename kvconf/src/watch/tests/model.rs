//! The true states of a bucket, by which those that readers saw are judged.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Key, Prefix, Revision};

/// Live keys with their values.
pub(super) type State = BTreeMap<Key, Bytes>;

/// What a bucket was before and after the write that gave a revision.
pub(super) struct Moment {
    before: State,
    after: State,
    key: Key,
    /// The first revision of the change set that it is of.
    first: usize,
}

/// The true states of all buckets that stood under the name.
#[derive(Default)]
pub(super) struct Model {
    /// By incarnation, then by revision, from the first one on.
    pub(super) moments: Vec<Vec<Moment>>,
}

impl Model {
    pub(super) fn recreate(&mut self) {
        self.moments.push(Vec::new());
    }

    pub(super) fn write(&mut self, changes: &[(Key, Option<Bytes>)]) {
        let (before, first) = (self.now(), self.moments.last().unwrap().len() + 1);
        let mut after = before.clone();
        for (key, value) in changes {
            match value {
                Some(value) => after.insert(key.clone(), value.clone()),
                None => after.remove(key),
            };
        }
        let moment =
            |key: &Key| Moment { before: before.clone(), after: after.clone(), key: key.clone(), first };
        self.moments.last_mut().unwrap().extend(changes.iter().map(|(key, _)| moment(key)));
    }

    pub(super) fn now(&self) -> State {
        self.moments.last().unwrap().last().map_or_else(State::new, |moment| moment.after.clone())
    }

    /// What a reader of a prefix may have at a revision: of the change set there all or nothing, and all once there is a part of
    /// it for him.
    pub(super) fn at(&self, incarnation: usize, revision: Revision, prefix: &Prefix) -> Option<State> {
        let moments = &self.moments[incarnation];
        let Some(at) = usize::try_from(revision.get()).unwrap().checked_sub(1) else {
            return Some(State::new());
        };
        let moment = moments.get(at)?;
        let has_begun =
            moments[moment.first - 1..=at].iter().any(|moment| moment.key.under(prefix).is_some());
        Some(under(if has_begun { &moment.after } else { &moment.before }, prefix))
    }
}

pub(super) fn under(state: &State, prefix: &Prefix) -> State {
    state.iter().filter(|(key, _)| key.under(prefix).is_some()).map(|(k, v)| (k.clone(), v.clone())).collect()
}
