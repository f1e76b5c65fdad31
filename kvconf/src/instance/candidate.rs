//! One key of a change that somebody would like to make.

use bytes::Bytes;

use crate::store::Action;
use crate::{Key, Revision};

/// One key of a change that is not made yet: what it would hold, and what its author saw there.
///
/// ```
/// use kvconf::fleet::Candidate;
/// use kvconf::{Key, Revision};
///
/// let key = Key::new("checkout.max_items")?;
/// let candidate = Candidate::put(key.clone(), "80", Revision::new(41));
/// assert_eq!((candidate.key(), candidate.expected()), (&key, Revision::new(41)));
/// # Ok::<(), kvconf::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    pub(crate) key: Key,
    pub(crate) action: Action,
    pub(crate) expected: Revision,
}

impl Candidate {
    /// The key would hold this value. `expected` is the newest revision of the key that the author saw;
    /// [`Revision::ZERO`] for a key that was never written.
    #[must_use]
    pub fn put(key: Key, value: impl Into<Bytes>, expected: Revision) -> Self {
        Self { key, action: Action::Put(value.into()), expected }
    }

    /// The key would hold nothing.
    #[must_use]
    pub const fn delete(key: Key, expected: Revision) -> Self {
        Self { key, action: Action::Delete, expected }
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The newest revision of the key that the author saw.
    #[must_use]
    pub const fn expected(&self) -> Revision {
        self.expected
    }
}

/// Without the value: nobody knows here whether it is a secret.
impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let deed = if matches!(self.action, Action::Put(_)) { "put" } else { "delete" };
        write!(f, "Candidate({deed} {} over {})", self.key, self.expected)
    }
}
