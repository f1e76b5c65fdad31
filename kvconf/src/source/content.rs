//! What one source has to say about a struct.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Origin, Problem};

/// A source outside the bucket whose content changes while the program runs, the weakest first. The environment is none:
/// it is read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Weaker than the bucket; a file that was named later is stronger.
    #[cfg_attr(not(any(feature = "files", test)), expect(dead_code, reason = "there are none then"))]
    File(u16),
    /// Stronger than everything.
    Override,
}

impl Source {
    pub(crate) const fn is_above_the_bucket(self) -> bool {
        matches!(self, Self::Override)
    }
}

/// What a source says for one key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// In stored form; `None` says that there is no value, whatever weaker sources have.
    pub(crate) value: Option<Bytes>,
    pub(crate) origin: Origin,
}

/// Nothing of the value: whether it is a secret is not known here.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.value.as_ref().map(Bytes::len);
        f.debug_struct("Given").field("length", &length).field("origin", &self.origin).finish()
    }
}

/// Keys below the struct's prefix, by their present names, each with what a source says.
pub(crate) type Sheet = BTreeMap<String, Arc<Given>>;

/// All that a source says at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) sheet: Sheet,
    /// Why nothing of it can be taken. The sheet may be incomplete then, or empty.
    pub(crate) problems: Vec<Problem>,
    /// What is odd about it.
    pub(crate) warnings: Vec<Problem>,
}

impl Content {
    /// Of a source that cannot be read at all.
    #[cfg(feature = "files")]
    pub(crate) fn broken(problems: Vec<Problem>) -> Self {
        Self { problems, ..Self::default() }
    }
}
