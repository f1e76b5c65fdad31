//! Typed configuration and feature flags for Rust services, live from a NATS JetStream key-value bucket.

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
pub use value::{Codec, DecodeError, EncodeError, Json, Secret, Text};
pub use view::{ExplainedSource, Explanation, Rejected};
pub use watch::WatchState;

#[cfg(feature = "derive")]
pub use kvconf_derive::KvConfig;

/// What the code that the derive macro writes refers to. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::schema::{
        Absent, Check, Constraint, Entries, EntryMap, Field, KvConfig, Leaf, Length, Loader, Meta, Nested,
        Node, Path, Pattern, Schema, Shape, Validation, Violation, assert_depth, assert_disjoint,
        by_function, has_length, holds,
    };
    pub use crate::value::{Codec, Json, Secret, SecretText, Text};
}
