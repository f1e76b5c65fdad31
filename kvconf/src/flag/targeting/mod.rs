//! Rules: JSONLogic with flagd's operators, from JSON to what runs.
//!
//! `parse` reads the JSON into a checked tree of operations ([`node::Node`]), which `eval` can walk as it is. `decide` makes of
//! it tests on attributes that end in a variant, with the tree only where nothing simpler does, and `program` puts them in a
//! row, which is what runs. Tree and program give the same answers; a property test compares them.

pub(crate) mod any;
mod arithmetic;
pub(crate) mod binding;
pub(crate) mod coercion;
pub(crate) mod decide;
pub(crate) mod eval;
pub(crate) mod failure;
mod fractional;
#[cfg(test)]
mod hostile;
mod iterate;
pub mod limits;
mod literal;
pub(crate) mod node;
pub(crate) mod parse;
pub(crate) mod program;
pub(crate) mod schema;
pub(crate) mod semver;
mod size;
mod specialise;
mod split;
mod test;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod trail;
mod weigh;
pub(crate) mod world;
