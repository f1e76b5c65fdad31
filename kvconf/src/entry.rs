//! What stands in a bucket: one entry a write.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;

use crate::{Key, Revision};

/// What a write did to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// It set a value.
    Put,
    /// It deleted the key; earlier revisions are kept.
    Delete,
    /// It deleted the key and what was known of it.
    Purge,
    /// The entry's operation header holds a word that kvconf does not know. The entry has no usable value.
    Unknown,
}

impl Operation {
    /// Whether the key has no value after this.
    #[must_use]
    pub const fn is_removal(self) -> bool {
        matches!(self, Self::Delete | Self::Purge)
    }
}

/// Why the server itself left a removal marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MarkerReason {
    /// The value's time to live, or the bucket's `max_age`, ran out.
    MaxAge,
    /// A purge of the stream removed the key.
    Purge,
    /// An administrator removed the message.
    Remove,
}

/// The headers of an entry. Names are compared as they are written, case included.
///
/// A bucket on a server gives them sorted by name, several values of one name in the order they were written: the client
/// below does not keep the order among names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, String)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first value under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Adds a header. A name or value that no server would take is refused when the write is sent.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((Cow::Owned(name.into()), value.into()));
    }

    #[cfg(feature = "nats")]
    pub(crate) fn with_capacity(headers: usize) -> Self {
        Self(Vec::with_capacity(headers))
    }

    /// Adds a header whose name is known beforehand: nothing is copied for it.
    pub(crate) fn add(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, headers: usize) {
        self.0.reserve_exact(headers);
    }

    /// Sorts by name. Several values of one name stay in their order.
    #[cfg(feature = "nats")]
    pub(crate) fn sort(&mut self) {
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
    }

    /// All headers, name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// All of them, to be taken apart.
    #[cfg(feature = "nats")]
    pub(crate) fn into_vec(self) -> Vec<(Cow<'static, str>, String)> {
        self.0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (Cow::Owned(name.into()), value.into())).collect())
    }
}

/// One write to one key, as the bucket keeps it.
///
/// `Debug` shows the value's length and not the value: an entry does not know whether its key is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    pub(crate) value: Bytes,
    pub(crate) operation: Operation,
    pub(crate) marker: Option<MarkerReason>,
    pub(crate) created: SystemTime,
    pub(crate) headers: Headers,
}

impl Entry {
    /// The key.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The revision that this write got.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The bytes that were written; empty for a removal.
    #[must_use]
    pub const fn value(&self) -> &Bytes {
        &self.value
    }

    /// What the write did.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Why the server wrote this marker; `None` when a client wrote the entry.
    #[must_use]
    pub const fn marker_reason(&self) -> Option<MarkerReason> {
        self.marker
    }

    /// When the server took it, by the server's clock.
    #[must_use]
    pub const fn created(&self) -> SystemTime {
        self.created
    }

    /// All headers, those of the server included.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The value, when the entry sets one.
    #[must_use]
    pub fn put_value(&self) -> Option<&Bytes> {
        (self.operation == Operation::Put).then_some(&self.value)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("revision", &self.revision.get())
            .field("operation", &self.operation)
            .field("marker", &self.marker)
            .field("bytes", &self.value.len())
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}
