//! A map from keys that is a list while it is short.
//!
//! Most change sets are of one key or a few. A table that hashes has to be made for each of them, and the code for it fetched
//! into the processor's cache.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Up to how many keys a list is searched.
const MOST: usize = 8;

/// A map from keys.
#[derive(Debug, Clone)]
pub(super) struct ByKey<V> {
    /// All of it, or nothing.
    few: Vec<(String, V)>,
    many: Option<HashMap<String, V, RandomState>>,
}

impl<V> Default for ByKey<V> {
    fn default() -> Self {
        Self { few: Vec::new(), many: None }
    }
}

impl<V> ByKey<V> {
    pub(super) fn len(&self) -> usize {
        self.few.len() + self.many.as_ref().map_or(0, HashMap::len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        match &self.many {
            None => self.few.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            Some(many) => many.get(key),
        }
    }

    pub(super) fn insert(&mut self, key: String, value: V) {
        if let Some(many) = &mut self.many {
            many.insert(key, value);
        } else if let Some((_, known)) = self.few.iter_mut().find(|(known, _)| *known == key) {
            *known = value;
        } else if self.few.len() < MOST {
            self.few.push((key, value));
        } else {
            let all = self.few.drain(..).chain([(key, value)]);
            self.many = Some(all.collect());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        let few = self.few.iter().map(|(key, value)| (key.as_str(), value));
        let many = self.many.iter().flat_map(HashMap::iter);
        few.chain(many.map(|(key, value)| (key.as_str(), value)))
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.few.retain(|(key, _)| keep(key));
        if let Some(many) = &mut self.many {
            many.retain(|key, _| keep(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Whether it is a list or a table, nobody can tell.
        #[test]
        fn it_is_a_map(ops in proptest::collection::vec((0..20_u8, any::<u8>(), 0..9_u8), 0..60)) {
            let (mut map, mut model) = (ByKey::default(), BTreeMap::new());
            for (key, value, what) in ops {
                let key = key.to_string();
                if what == 0 {
                    let keep = |key: &str| key.len() % 2 == usize::from(value % 2);
                    map.retain(keep);
                    model.retain(|key: &String, _| keep(key));
                } else {
                    map.insert(key.clone(), value);
                    model.insert(key.clone(), value);
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
                let all: BTreeMap<String, u8> = map.iter().map(|(key, value)| (key.to_owned(), *value)).collect();
                prop_assert_eq!(&all, &model);
            }
        }
    }
}
