//! A bucket's settings and state.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::Revision;

/// Where a bucket keeps its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// On disk.
    #[default]
    File,
    /// In the server's memory: gone when the server ends.
    Memory,
}

/// Whether the server compresses what it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As it comes.
    #[default]
    None,
    /// S2, a fast relative of Snappy.
    S2,
}

/// Where in a cluster the bucket may live.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// The cluster's name.
    pub cluster: Option<String>,
    /// Tags that a server must all have.
    pub tags: Vec<String>,
}

/// Republishing of every accepted write on a plain subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Republish {
    /// Subjects of the bucket to republish, such as `$KV.prod.>`.
    pub source: String,
    /// Where to, such as `config.prod.>`.
    pub destination: String,
    /// Whether the value is left out.
    pub headers_only: bool,
}

/// How to reach a stream of another account or domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// The API prefix there, such as `$JS.hub.API`.
    pub api_prefix: String,
    /// The prefix of subjects on which it delivers, where one is needed.
    pub deliver_prefix: Option<String>,
}

/// Another bucket to copy from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The other bucket's name.
    pub bucket: String,
    /// Only the keys that match this filter.
    pub filter: Option<String>,
    /// From this revision of the other bucket on.
    pub start: Option<Revision>,
    /// How to reach it, when it is not in the same account and domain.
    pub external: Option<External>,
}

/// A bucket's settings. What is `None` is the default at creation, and is kept as it is by an update.
///
/// [`BucketConfig::new`] gives what kvconf needs: 64 revisions a key, atomic batches, direct reads and markers for
/// expired keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketConfig {
    /// The bucket's name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How many revisions of a key are kept, 1 to 64. A stream that was made by hand can keep more; `None` in a [`Status`] is
    /// all of them.
    pub history: Option<u32>,
    /// How long a value lives.
    pub max_age: Option<Duration>,
    /// How large the whole bucket may become, in bytes.
    pub max_bytes: Option<u64>,
    /// How large one value may be, in bytes, its headers included.
    pub max_value_size: Option<u32>,
    /// Where entries are kept. Cannot be changed by an update.
    pub storage: Option<Storage>,
    /// How many servers keep a copy, 1 to 5.
    pub num_replicas: Option<u8>,
    /// Whether the server compresses what it stores.
    pub compression: Option<Compression>,
    /// Where in a cluster the bucket may live.
    pub placement: Option<Placement>,
    /// Republishing on a plain subject.
    pub republish: Option<Republish>,
    /// The bucket that this one mirrors. Cannot be changed by an update.
    pub mirror: Option<Source>,
    /// Buckets that this one copies from.
    pub sources: Option<Vec<Source>>,
    /// Whether mirrors answer direct reads too.
    pub mirror_direct: Option<bool>,
    /// How long the marker of an expired key stays; turns on per-key time to live.
    pub limit_markers: Option<Duration>,
    /// Whether atomic batches are taken.
    pub allow_atomic_batches: Option<bool>,
    /// How many consumers may read the bucket at once.
    pub max_consumers: Option<u32>,
    /// Free text pairs kept with the bucket; an update replaces the pairs that it names and keeps the others.
    pub metadata: BTreeMap<String, String>,
}

/// How many revisions of a key a bucket made by kvconf keeps, and the most a bucket can keep.
pub(crate) const HISTORY: u32 = 64;

/// How long the marker of an expired key stays in a bucket made by kvconf.
///
/// Short, because a server raises every shorter time to live to it where more than one revision is kept (measured with
/// 2.15), and because nothing hangs on it: a reader that was away compares everything when it returns.
pub(crate) const LIMIT_MARKERS: Duration = Duration::from_secs(10);

impl BucketConfig {
    /// What kvconf makes a bucket with.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            history: Some(HISTORY),
            limit_markers: Some(LIMIT_MARKERS),
            allow_atomic_batches: Some(true),
            mirror_direct: None,
            ..Self::unchanged(name)
        }
    }

    /// No setting at all: for an update that names single settings.
    #[must_use]
    pub fn unchanged(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: None,
            history: None,
            max_age: None,
            max_bytes: None,
            max_value_size: None,
            storage: None,
            num_replicas: None,
            compression: None,
            placement: None,
            republish: None,
            mirror: None,
            sources: None,
            mirror_direct: None,
            limit_markers: None,
            allow_atomic_batches: None,
            max_consumers: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// A bucket's settings and state at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The settings, each with its value in force.
    pub config: BucketConfig,
    /// When the bucket was created: another time means another bucket under the same name, with other revisions.
    pub created: SystemTime,
    /// How many entries it keeps, earlier revisions and markers included.
    pub entries: u64,
    /// How large they are, in bytes.
    pub bytes: u64,
    /// The oldest revision that it keeps.
    pub first_revision: Revision,
    /// The newest revision that it gave.
    pub last_revision: Revision,
    /// How many consumers read it.
    pub consumers: u64,
    /// The largest batch that it takes, in keys; 1 where it takes no atomic batches.
    pub max_batch: usize,
    /// The server's version, where there is a server.
    pub server_version: Option<String>,
    /// What the bucket's own clock said when it was asked: the one that stamps its entries. Another machine's may be off by
    /// hours.
    pub time: Option<SystemTime>,
}
