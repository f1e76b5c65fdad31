//! Fields that depend on one another: what is read key by key is put together after the last one.

use super::node::{FieldError, node_at};
use super::survey::{Linker, join};
use super::{FieldProblem, KvConfig};

/// What is wrong with one key because of another.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlinked {
    /// The row.
    pub index: u16,
    /// The key below the struct.
    pub key: String,
    /// What is wrong.
    pub error: FieldError,
}

impl Unlinked {
    pub(super) fn at(self, linker: &Linker) -> FieldProblem {
        let Self { index, key, error } = self;
        FieldProblem { path: linker.path.join(index), key: join(&linker.key, &key), error }
    }
}

/// Links every struct of a value that has something to link.
pub(crate) fn link<T: KvConfig>(linkers: &[Linker], value: &mut T) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for linker in linkers {
        let unlinked = match node_at::<T>(linker.path.steps()) {
            Some((node, rest)) => node.link(value, rest),
            None => value.__link(),
        };
        for unlinked in unlinked {
            problems.push(unlinked.at(linker));
        }
    }
    problems
}
