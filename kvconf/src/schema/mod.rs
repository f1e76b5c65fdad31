//! What the derive macro tells about a struct: a constant table of its fields, and how to build it from raw keys.

mod check;
mod env;
mod field;
mod link;
mod loader;
mod node;
mod prepared;
mod presence;
mod shape;
mod survey;
mod validation;

pub use check::{Check, Constraint, Length, Pattern, Violation, by_function, has_length, holds};
pub use env::assert_env_apart;
pub use field::{Field, Path};
pub use link::Unlinked;
pub(crate) use link::link;
pub use loader::Loader;
pub(crate) use loader::{FieldProblem, RawKeys, StructProblem};
pub use node::{Absent, Entries, EntryMap, Leaf, Meta, Nested, Node};
pub(crate) use node::{FieldError, Raw, Stored, Told, node_at, validate_struct};
pub(crate) use prepared::{Hoard, Prepared};
pub use presence::Presence;
pub use shape::{Env, Shape, assert_depth, assert_disjoint};
pub(crate) use survey::{Group, Kind, Linker, Place, Slot, Survey, Validator, join, similar, survey_struct};
pub use validation::{Complaint, Validation};

use crate::exposure::Observers;

/// A struct whose fields are keys of a bucket. Derived by `#[derive(KvConfig)]`; not meant to be written by hand.
///
/// The members that begin with two underscores belong to the macro and are not covered by version promises.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a struct of settings",
    label = "has no `#[derive(KvConfig)]`",
    note = "a field with `nested` or `flatten` needs a struct with `#[derive(KvConfig)]`; any other type is stored under one key, without `nested`"
)]
pub trait KvConfig: Clone + Send + Sync + Sized + 'static {
    /// One [`Field`] for every field, nested ones included, seen from `Root`.
    type Fields<Root: 'static>;

    #[doc(hidden)]
    const __SCHEMA: &'static Structure<Self>;

    #[doc(hidden)]
    fn __fields<Root: 'static>(at: Path) -> Self::Fields<Root>;

    #[doc(hidden)]
    fn __build(loader: &mut Loader<'_>) -> Option<Self>;

    /// Whether fields of the struct itself depend on one another, so that [`Self::__link`] has something to do.
    #[doc(hidden)]
    const __LINKS: bool = false;

    /// Brings what depends on several keys up to what was read last. What fails is left to be tried again.
    #[doc(hidden)]
    fn __link(&mut self) -> Vec<Unlinked> {
        Vec::new()
    }

    /// Lets flags tell of their evaluations.
    #[doc(hidden)]
    fn __equip(&mut self, observers: &Observers) {
        for node in Self::__SCHEMA.nodes {
            node.equip(self, observers);
        }
    }

    /// The struct's fields as typed names: `Checkout::fields().max_items`.
    #[must_use]
    fn fields() -> Self::Fields<Self> {
        Self::__fields(Path::ROOT)
    }
}

/// A struct's table.
#[doc(hidden)]
pub struct Structure<S: 'static> {
    /// The struct's name.
    pub name: &'static str,
    /// `#[kv(prefix = "…")]`.
    pub prefix: Option<&'static str>,
    /// `#[kv(env_prefix = "…")]`.
    pub env_prefix: Option<&'static str>,
    /// The doc comment.
    pub description: &'static str,
    /// The fields in the order of the source, without skipped ones. A node's index is its place here.
    pub nodes: &'static [&'static dyn Node<S>],
    /// The same as plain data, for checks at compile time.
    pub shape: &'static [Shape],
    /// `#[kv(validate = …)]` on the struct.
    pub validate: Option<fn(&S, &mut Validation<S>)>,
}
