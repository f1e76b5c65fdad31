//! Typed configuration for Rust services, live from a NATS JetStream key-value bucket.
//!
//! [`KvConfig`] maps a struct onto keys of a [`Bucket`], one watch keeps a [`Live`] handle's [`Snapshot`] current, and
//! every write is a compare-and-swap that says who made it and why.
//!
//! ```
//! use kvconf::{Bucket, KvConfig};
//!
//! #[derive(KvConfig, Debug, Clone)]
//! #[kv(prefix = "checkout")]
//! struct Checkout {
//!     /// Most items in one basket.
//!     #[kv(default = 50, range(1..=500))]
//!     max_items: u32,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bucket = Bucket::memory(); // on a server: Bucket::open(&client, "prod").await?
//! let live = bucket.live::<Checkout>().start().await?;
//! assert_eq!(live.load().max_items, 50);
//!
//! let applied = live.update(|checkout| checkout.max_items += 10).author("ops").reason("sale").await?;
//! live.wait_for(applied.revision()).await?;
//! assert_eq!(live.load().max_items, 60);
//! # Ok(()) }
//! ```
//!
//! # Where to begin
//!
//! | to | see |
//! |---|---|
//! | describe settings | [`KvConfig`]: every attribute |
//! | open or make a bucket | `Bucket::open`, `Bucket::create_or_update`, [`Bucket::memory`] |
//! | read | [`Live::load`], [`Live::reader`], [`Live::snapshot`] |
//! | take settings from files, or override them | `LiveBuilder::file`, [`Live::overrides`] |
//! | hear of changes | [`Live::changes`], [`Live::on_change`], [`Live::wait_for`] |
//! | change settings | [`Live::edit`], [`Live::update`] |
//! | change them on trial | [`Commit::confirm_within`], [`guide::deadline`] |
//! | look back | [`Live::log`], [`Live::history`], [`Live::at`], [`Live::diff`]; [`guide::history`] |
//! | try a build before it is deployed | [`Bucket::check`] |
//! | tell others what the settings are | [`Schema`], [`guide::schemas`] |
//! | take a change back | [`Live::rollback_to`], [`Live::revert`], [`guide::take_back`] |
//! | know how it is | [`Live::health`], [`Live::readiness`], [`Live::explain`], [`Report`] |
//! | ask the running instances | `Bucket::fleet`, `Plan::preflight`, `Applied::wait_for_fleet`; `guide::fleet` |
//! | give every user no more than it needs | `guide::permissions` |
//! | start without the server | [`Cache`], [`guide::outages`]; what stands in it: [`Cache::inspect`] |
//! | switch features on and off | [`Flag`], [`Flags`], [`mod@flag`]; [`guide::flags`], [`guide::flag_sets`] |
//! | keep secrets | [`Secret`], [`guide::secrets`] |
//! | use plain keys | [`Bucket::put`], [`Bucket::watch`], [`Bucket::read_at`], [`Bucket::batch`], [`Bucket::edit`] |
//! | test a service | [`guide::testing`] |
//!
//! # Promises
//!
//! What each means at its edges stands in [`guide::promises`].
//!
//! | id | promise |
//! |---|---|
//! | P1 | **One revision.** A snapshot is the bucket's state at one revision, less the rejected change sets, which it names. |
//! | P2 | **All or nothing.** A change set becomes visible in one swap, in every reader, whatever part of the bucket it watches. |
//! | P3 | **The last good stays.** What cannot be decoded or is not valid never reaches readers; every problem is reported. |
//! | P4 | **Never backwards.** The applied revision only grows; a bucket created again is noticed, said, and loaded afresh. |
//! | P5 | **Never silently stale.** Every state of the watch is visible, with a since-when. Nothing hangs, nothing hammers. |
//! | P6 | **No lost update.** Every write states the revision its author saw; a conflict names the key and the other author. |
//! | P7 | **Attributed.** Every change carries author, reason, id and time, readable by any NATS client. |
//! | P8 | **Reversible.** Any retained state can be read and brought back, by a new change set; what is lost is named. |
//! | P9 | **Starts without the server** once it has started before, from a checked last-good file on disk, and says so. |
//! | P10 | **No input panics.** Whatever stands in the bucket, in a file or the environment. |
//! | P11 | **Secrets stay secret.** Never in a log, an error, a diff, `Debug` or a cache file in clear text, unless asked for by name. |
//! | P12 | **Reads cost nothing.** Wait-free, allocation-free, and no slower while changes arrive. |
//!
//! # Features
//!
//! `derive`, `nats`, `tls-ring` and `fleet` (asking the running instances) are on by default; `tls-aws-lc-rs` is the other choice for TLS. Without `nats` only the
//! memory bucket is there. `seal` encrypts secrets in the bucket and cache files, `metrics` reports figures to the facade of
//! that name. `files` reads and follows TOML and JSON files, `yaml` YAML files too; they are off, because they bring twelve
//! and two crates more. Features add and never alter a result.
//!
//! Handles need a tokio runtime, except [`Live::fixed`]. The library prints nothing; it reports through `tracing`.

// The derive's code names the crate; so do the tests in here.
#[cfg(test)]
extern crate self as kvconf;

mod attribution;
mod backoff;
mod bucket;
mod cache;
mod calendar;
mod change;
mod entry;
mod exposure;
pub mod flag;
mod flag_field;
mod flag_set;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod guide;
mod history;
#[cfg(feature = "fleet")]
mod instance;
mod judging;
mod key;
mod layer;
mod live;
#[cfg(feature = "nats")]
pub mod nats;
mod origin;
mod problem;
mod retention;
mod revision;
mod schema;
pub mod seal;
pub mod settings;
mod snapshot;
mod source;
mod store;
mod value;
mod view;
mod watch;

pub use attribution::Attribution;
pub use bucket::{
    Batch, Bucket, CreateRequest, Interruption, IntoFilters, Watch, WatchEvent, WatchRequest, WriteRequest,
};
pub use cache::{Cache, CacheContent, CacheError, CacheFile, CacheHealth, Damage, SavedState, Skipped};
pub use change::{
    Applied, ChangeRef, ChangedSince, Commit, CommitError, Conflict, Edit, FieldChange, Masked, Otherwise,
    OverRejected, PlainChange, PlainCommit, PlainEdit, PlainKeys, PlainPlan, PlainPlanError, Plan, PlanError,
    Provisional, ProvisionalCommit, ProvisionalError, Rollback, RollbackCommit, RollbackError, RollbackPlan,
    Settle, SettleError, Update,
};
pub use entry::{Entry, Headers, MarkerReason, Operation};
pub use exposure::Exposure;
pub use flag_field::{Flag, FlagVariant};
pub use flag_set::{
    FlagEdit, FlagEditError, FlagFinding, FlagPlan, FlagSet, Flags, FlagsBuilder, ImportMode, SetFlag,
};
pub use history::{
    Check, CheckError, Checked, Colored, Diff, FieldHistory, FieldRevision, FieldState, KeyDiff, KeyDiffs,
    KeyState, Log, LogError, LogRequest, LogStream, LoggedChange, LoggedKey, LostKey, Past, PastError,
    PastKeys, RejectedState, Replay,
};
pub use key::{Filter, Key, KeyError, MAX_KEY_BYTES, Prefix, check_bucket_name};
pub use layer::LayerError;
pub use live::{
    Changed, Changes, Guard, Health, Hook, Live, LiveBuilder, OverrideError, OverrideGuard, Overrides,
    Reader, Readiness, StartError, Tried, WaitError,
};
pub use origin::{FileOrigin, KeyOrigin, Origin};
pub use problem::{Problem, ProblemKind, Report};
pub use revision::Revision;
pub use schema::{Complaint, EntryMap, Field, KvConfig, Length, Path, Validation, Violation};
pub use settings::schema::Schema;
pub use snapshot::{Basis, Snapshot};
#[cfg(feature = "files")]
pub use source::{FileSource, Format};
#[doc(hidden)]
pub use store::MemoryFaults;
pub use store::{
    BucketConfig, Caveat, Compression, External, Fault, Placement, Point, ReadError, Reading, Republish,
    Source, Status, Storage, WriteError,
};
pub use value::{ByteSize, Codec, DecodeError, EncodeError, Json, Secret, Text, ValuePlace};
pub use view::{ExplainedSource, Explanation, Rejected};
pub use watch::WatchState;

#[cfg(feature = "derive")]
pub use kvconf_derive::{FlagVariant, KvConfig};

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
    pub use std::borrow::Cow;

    pub use crate::flag::TypedContext;
    pub use crate::flag_field::{Flag, FlagCodec, FlagField, FlagVariant};
    pub use crate::schema::{
        Absent, Check, Constraint, Entries, EntryMap, Env, Field, KvConfig, Leaf, Length, Loader, Meta,
        Nested, Node, Path, Pattern, Shape, Structure, Unlinked, Validation, Violation, assert_depth,
        assert_disjoint, assert_env_apart, by_function, has_length, holds,
    };
    pub use crate::value::{ByteSize, Codec, Json, Secret, SecretText, SecretValue, Text};
}

/// The examples of the README, compiled and run with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// How many random cases a test tries: so many, times `KVCONF_CASES`, for a machine that has more time.
#[cfg(test)]
fn cases(usual: u32) -> proptest::test_runner::Config {
    let times = std::env::var("KVCONF_CASES").ok();
    let times = times.map_or(1, |times| times.parse().expect("KVCONF_CASES is a number"));
    proptest::test_runner::Config::with_cases(usual * times)
}
