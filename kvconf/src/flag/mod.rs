//! Feature flags: definitions in flagd's format, compiled into tests on typed contexts.
//!
//! ```
//! use kvconf::flag::{CompiledFlag, EvaluationContext, FlagDefinition, SetProperties};
//!
//! #[derive(EvaluationContext)]
//! struct Visitor<'a> {
//!     #[context(targeting_key)]
//!     id: &'a str,
//!     country: &'a str,
//! }
//!
//! let definition = FlagDefinition::parse(
//!     r#"{
//!         "state": "ENABLED",
//!         "variants": {"on": true, "off": false},
//!         "defaultVariant": "off",
//!         "targeting": {"if": [{"==": [{"var": "country"}, "NL"]}, {"fractional": [["on", 25], ["off", 75]]}]}
//!     }"#,
//! )?;
//! let flag = CompiledFlag::compile("new-cart", &definition, &SetProperties::default())?;
//! let detail = flag.evaluate(&Visitor { id: "user-2", country: "NL" }, 0, false);
//! assert_eq!(detail.rule, Some("targeting.if[1].fractional[0]"));
//! # Ok::<(), kvconf::flag::FlagError>(())
//! ```
//!
//! # What holds
//!
//! - A rule is read, checked and compiled once; what is wrong with it is told then, all of it. How deep, how large and how
//!   laborious a rule may be is bounded ([`limits`]), so none is slow.
//! - An evaluation waits for nothing. It allocates only where a rule builds something: see [`CompiledFlag`]. (The first
//!   one with a type of context notes where the rule's attributes are; [`CompiledFlag::bind`] does that beforehand.)
//! - Who falls into which share is pinned with the set ([`BUCKETING_METADATA`]), and v3 where nothing is pinned. No upgrade
//!   changes it.
//!
//! # Where implementations of JSONLogic differ
//!
//! JSONLogic's public suites decide, then flagd's cores where they agree, then the reference in JavaScript. So a number
//! compared with a text that is none is an error, and so are two lists; `null` equals 0 and `false`, but not `""`; whole
//! numbers are exact; lists and objects have no identity; `substr` counts characters. A test has the whole table.
//!
//! This part of the library is pure. It knows no clock, no runtime and no bucket: time and identity are arguments.

mod analysis;
mod blast_radius;
mod bucketing;
mod compiled;
mod context;
mod definition;
mod difference;
mod document;
mod evaluation;
mod parse;
mod problem;
mod rule;
mod runner;
mod set;
mod targeting;
mod value;

pub use analysis::{RuleFinding, RuleFindingKind};
pub use blast_radius::{BlastRadius, ContextSample, Move, Served};
pub use bucketing::{Bucketing, MAX_WEIGHT, UnknownBucketing};
pub use compiled::{CompiledFlag, UnknownAttribute, Variant};
#[doc(hidden)]
pub use context::assert_targeting_key;
pub use context::{
    Attribute, AttributeKind, AttributeName, AttributeSpec, ContextSchema, DynamicContext, EvaluationContext,
    TARGETING_KEY, TargetingKey, TypedContext,
};
pub use definition::{DefaultVariant, FlagDefinition, FlagState, VariantKind};
pub use difference::FlagDifference;
pub use document::{DocumentForm, FlagDocument, check_targeting};
pub(crate) use evaluation::Why;
pub use evaluation::{
    ErrorCode, Evaluation, EvaluationError, FlagValue, MAX_SAFE_INTEGER, Reason, Resolution,
};
pub use parse::NotJson;
pub(crate) use parse::parse_json;
pub(crate) use problem::nearest;
pub use problem::{FlagError, FlagProblem, FlagProblemKind, SchemaViolation};
pub use rule::{RuleError, evaluate_rule};
pub use runner::{CaseError, CheckedCase, FlagType, check_case, evaluate_case, evaluate_cases};
pub use set::{BUCKETING_METADATA, SetProperties};
pub use targeting::failure::Failure;
pub use targeting::limits;
pub(crate) use targeting::semver::{Version, VersionOperator};
pub use value::{Items, Value};

#[cfg(feature = "derive")]
pub use kvconf_derive::EvaluationContext;
