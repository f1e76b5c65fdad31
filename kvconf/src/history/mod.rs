//! Looking back: what was changed, what a field held, how a struct was, and whether a build could have read it.
//!
//! Everything is read off the entries that the bucket keeps. There is no second place that could disagree, and what
//! retention has lost is said, never guessed (`retention.rs`, beside this room, has the rules).
//!
//! Pure: `retention`, `moment`, `touched`, `log`, `fields`, `diff`, `replay`, `render`. Asking the bucket: `at`, `walk`, `index`, `pages`, `key_diff`, and the
//! methods in `live` and `bucket`.

mod at;
mod bucket;
mod diff;
mod error;
mod fields;
mod index;
mod key_diff;
mod live;
mod log;
mod moment;
mod pages;
mod past;
mod render;
mod replay;
mod touched;
mod walk;

pub(crate) use at::next_entries;
pub(crate) use bucket::tape;
pub use bucket::{Check, Checked, PastKeys};
pub use diff::Diff;
pub(crate) use error::Held;
pub use error::{CheckError, LogError, LostKey, PastError};
pub use fields::{FieldHistory, FieldRevision, FieldState};
pub(crate) use index::entries_at;
pub use key_diff::{KeyDiff, KeyDiffs};
pub use log::{KeyState, LoggedChange, LoggedKey};
pub use pages::{Log, LogRequest, LogStream};
pub use past::Past;
pub use render::Colored;
pub(crate) use render::Stamp;
pub(crate) use replay::Play;
pub use replay::{RejectedState, Replay};
