//! Values from outside the bucket: files, the environment, overrides in the process.
//!
//! ```text
//! bytes ──▶ document ──▶ content: key below the prefix → stored form, with its place
//!           (file/)      (flatten.rs, by the fields that there are)
//! ```
//!
//! Everything here is pure but [`watch`], which reads files and says when they changed.

mod content;
mod document;
#[cfg(feature = "files")]
mod file;
#[cfg_attr(not(feature = "files"), expect(dead_code, reason = "only variables are read then"))]
mod flatten;
mod json;
#[cfg(feature = "files")]
#[cfg(test)]
mod tests;
#[cfg(feature = "files")]
pub(crate) mod watch;

pub(crate) use content::{Content, Given, Sheet, Source};
#[cfg(feature = "files")]
pub(crate) use file::{BadFile, KnownFile, MAX_BYTES, Reading, Unreadable};
#[cfg(feature = "files")]
pub use file::{FileSource, Format};
pub(crate) use flatten::{Belongs, Fields, entries_of_variable};
