//! Changing a struct: an edit becomes a plan, a plan is committed, the watch brings the change back.
//!
//! A write never touches the snapshot, and every write names the revision that its author saw.

#[cfg(feature = "fleet")]
mod ask;
mod commit;
mod conflict;
mod diff;
mod edit;
mod guard;
mod on_part;
mod otherwise;
mod over_rejected;
mod parts;
mod plain;
mod plan;
mod provisional;
mod rollback;
mod update;

pub use commit::{Applied, Commit, CommitError};
pub use conflict::Conflict;
pub use diff::FieldChange;
pub(crate) use diff::{RULE, changed_fields, same_field};
pub use edit::Edit;
pub(crate) use edit::Wishes;
pub use otherwise::Otherwise;
pub use over_rejected::OverRejected;
pub use plain::{PlainChange, PlainCommit, PlainEdit, PlainPlan, PlainPlanError};
#[cfg(feature = "fleet")]
pub(crate) use plan::entry_of;
pub use plan::{Masked, Plan, PlanError};
pub use provisional::{Provisional, ProvisionalCommit, ProvisionalError, Settle, SettleError};
pub use rollback::{
    ChangeRef, ChangedSince, PlainKeys, Rollback, RollbackCommit, RollbackError, RollbackPlan,
};
pub use update::Update;

/// How many keys of one change are asked for at once; one by one, a far server takes its way for each of them.
const ASKED_AT_ONCE: usize = 16;
