//! A struct's settings as data: what may stand under its keys, for whoever does not have the Rust type.
//!
//! [`Schema::of`](crate::Schema::of) makes it from any struct. [`guide::schemas`](crate::guide::schemas) tells what it is good
//! for.

mod hash;
mod of;
pub(crate) mod schema;

pub use crate::schema::{Constraint, Presence};
pub use crate::value::{Form, FormField, TextFormat, Variant};
use schema::Schema;
pub use schema::{Group, Setting};
