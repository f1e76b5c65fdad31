//! Keys as a tree.

use std::collections::BTreeMap;

use kvconf::Key;

use super::Leaf;

/// A key's own value and the keys below it.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(super) value: Option<Leaf>,
    pub(super) below: BTreeMap<String, Tree>,
}

impl Tree {
    /// Adds a key.
    pub(crate) fn insert(&mut self, key: &Key, leaf: Leaf) {
        let mut node = self;
        for token in key.tokens() {
            node = node.below.entry(token.to_owned()).or_default();
        }
        node.value = Some(leaf);
    }
}

impl FromIterator<(Key, Leaf)> for Tree {
    fn from_iter<I: IntoIterator<Item = (Key, Leaf)>>(leaves: I) -> Self {
        let mut tree = Self::default();
        for (key, leaf) in leaves {
            tree.insert(&key, leaf);
        }
        tree
    }
}
