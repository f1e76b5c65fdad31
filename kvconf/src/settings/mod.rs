//! A struct's settings as data: what may stand under its keys, for whoever does not have the Rust type.
//!
//! [`Schema::of`](crate::Schema::of) makes it from any struct. [`guide::schemas`](crate::guide::schemas) tells what it is good
//! for.

mod compare;
mod hash;
mod json_schema;
mod judge;
mod layers;
mod of;
mod ordered;
mod publish;
mod published;
mod reference;
mod replay;
pub(crate) mod schema;
mod template;
mod words;

pub use compare::{Comparison, Difference, Effect};
pub use json_schema::Extent;
pub use judge::{Unchecked, Verdict};
pub use publish::{Publication, PublishError, PublishSchema, Schemas};
pub use published::{PublishedSchema, SchemaError};
pub use replay::CheckSchema;
use schema::Schema;
pub use schema::{Group, Setting};

pub use crate::schema::{Constraint, Presence};
pub use crate::value::{Form, FormField, TextFormat, Variant};
