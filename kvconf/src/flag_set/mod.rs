//! Flags by name: all that stand under a prefix, without a struct.
//!
//! A set is a struct as others are, only that its table is written by hand: one key for each flag, and beside them what the
//! flags share. So it has the watch, the view, plans, history and rollback of every struct. What is its own is `link.rs`: a
//! flag is compiled when all keys of a change have been read, since a shared rule may have changed with it.

mod document;
mod edit;
mod handle;
mod link;
mod rows;
mod set;
#[cfg(test)]
mod tests;
mod work;

pub use document::ImportMode;
pub use edit::{FlagEdit, FlagEditError, FlagFinding, FlagPlan};
pub use handle::{Flags, FlagsBuilder};
pub use set::{FlagSet, SetFlag};
