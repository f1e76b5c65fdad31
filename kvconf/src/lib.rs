//! Typed configuration and feature flags for Rust services, live from a NATS JetStream key-value bucket.

// The derive's code names the crate; so do the tests in here.
#[cfg(test)]
extern crate self as kvconf;

mod attribution;
mod backoff;
mod bucket;
mod change;
mod entry;
mod key;
mod live;
#[cfg(feature = "nats")]
pub mod nats;
mod origin;
mod problem;
mod revision;
mod schema;
mod snapshot;
mod store;
mod value;
mod view;
mod watch;

pub use attribution::Attribution;
pub use bucket::{
    Batch, Bucket, CreateRequest, Interruption, IntoFilters, Watch, WatchEvent, WatchRequest, WriteRequest,
};
pub use change::{Applied, Commit, CommitError, Conflict, Edit, FieldChange, Plan, PlanError, Update};
pub use entry::{Entry, Headers, MarkerReason, Operation};
pub use key::{Filter, Key, KeyError, MAX_KEY_BYTES, Prefix, check_bucket_name};
pub use live::{Changed, Changes, Guard, Health, Hook, Live, LiveBuilder, Reader, StartError, WaitError};
pub use origin::{KeyOrigin, Origin};
pub use problem::{Problem, ProblemKind, Report};
pub use revision::Revision;
pub use schema::{Complaint, Constraint, EntryMap, Field, KvConfig, Length, Path, Validation, Violation};
pub use snapshot::Snapshot;
#[doc(hidden)]
pub use store::MemoryFaults;
pub use store::{
    BucketConfig, Compression, External, Fault, Placement, ReadError, Reading, Republish, Source, Status,
    Storage, WriteError,
};
pub use value::{ByteSize, Codec, DecodeError, EncodeError, Json, Secret, Text};
pub use view::{ExplainedSource, Explanation, Rejected};
pub use watch::WatchState;

#[cfg(feature = "derive")]
pub use kvconf_derive::KvConfig;

/// `Duration` as text (`1h 30m`) where serde's own form gets in the way: `#[serde(with = "kvconf::duration")]`.
///
/// A `Duration` in the type of a field needs it only below `#[serde(flatten)]` and in untagged or internally tagged enums;
/// see [`Text`].
///
/// ```
/// use std::time::Duration;
///
/// use kvconf::{Codec, Text};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// #[serde(untagged)]
/// enum Wait {
///     For(#[serde(with = "kvconf::duration")] Duration),
///     Forever(bool),
/// }
///
/// assert_eq!(Text.decode(b"1h 30m"), Ok(Wait::For(Duration::from_secs(5400))));
/// ```
pub mod duration {
    pub use crate::value::duration::{deserialize, serialize};
}

/// What the code that the derive macro writes refers to. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::schema::{
        Absent, Check, Constraint, Entries, EntryMap, Field, KvConfig, Leaf, Length, Loader, Meta, Nested,
        Node, Path, Pattern, Schema, Shape, Validation, Violation, assert_depth, assert_disjoint,
        by_function, has_length, holds,
    };
    pub use crate::value::{ByteSize, Codec, Json, Secret, SecretText, SecretValue, Text};
}
