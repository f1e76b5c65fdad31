//! Feature flags: definitions in flagd's format, compiled into tests on typed contexts.
//!
//! This part of the library is pure. It knows no clock, no runtime and no bucket: time and identity are arguments.

mod bucketing;
mod compiled;
mod context;
mod definition;
mod document;
mod evaluation;
mod parse;
mod problem;
mod rule;
mod runner;
mod set;
mod targeting;
mod value;

pub use bucketing::{Bucketing, MAX_WEIGHT, UnknownBucketing};
pub use compiled::{CompiledFlag, UnknownAttribute, Variant};
#[doc(hidden)]
pub use context::assert_targeting_key;
pub use context::{
    Attribute, AttributeKind, AttributeName, AttributeSpec, ContextSchema, DynamicContext, EvaluationContext,
    TARGETING_KEY, TargetingKey, TypedContext,
};
pub use definition::{DefaultVariant, FlagDefinition, FlagState, VariantKind};
pub use document::{DocumentForm, FlagDocument, check_targeting};
pub use evaluation::{
    ErrorCode, Evaluation, EvaluationError, FlagValue, MAX_SAFE_INTEGER, Reason, Resolution,
};
pub use parse::NotJson;
pub use problem::{FlagError, FlagProblem, FlagProblemKind, SchemaViolation};
pub use rule::{RuleError, evaluate_rule};
pub use runner::{CaseError, FlagType, evaluate_case, evaluate_cases};
pub use set::{BUCKETING_METADATA, SetProperties};
pub use targeting::failure::Failure;
pub use targeting::limits;
pub use value::{Items, Value};

#[cfg(feature = "derive")]
pub use kvconf_derive::EvaluationContext;
