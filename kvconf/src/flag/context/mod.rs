//! What a rule is evaluated against: who asks, and what is known about it.
//!
//! Two kinds. A **typed** context is a struct with [`derive(EvaluationContext)`](macro@crate::flag::EvaluationContext): a rule's
//! attribute names are turned into field numbers once for each flag and type, and found by number from then on. A
//! [`DynamicContext`] has its names at run time, as OpenFeature and the command line need it.

mod attribute;
mod dynamic;
mod json;
mod schema;
#[cfg(test)]
mod tests;

#[doc(hidden)]
pub use attribute::assert_targeting_key;
pub use attribute::{Attribute, TargetingKey};
pub use dynamic::DynamicContext;
pub(crate) use schema::Way;
pub use schema::{AttributeKind, AttributeSpec, ContextSchema};

use super::value::Value;

/// The attribute that names who or what a flag is evaluated for.
pub const TARGETING_KEY: &str = "targetingKey";

/// Named values that rules can ask for.
///
/// Derive it for a struct: [`derive(EvaluationContext)`](macro@crate::flag::EvaluationContext). [`DynamicContext`] has it for
/// names that are known at run time only. An object inside a context is one, too.
pub trait EvaluationContext {
    /// What attributes there are, when all values of the type have the same ones; then [`Self::attribute`] finds them by
    /// their place in it.
    fn schema(&self) -> Option<&'static ContextSchema> {
        None
    }

    /// The attribute at this place of the schema. `None` when it is absent, which is what makes `{"var": ["x", 1]}` give 1.
    fn attribute(&self, index: usize) -> Option<Value<'_>> {
        let _ = index;
        None
    }

    /// The attribute of this name.
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Value<'_>> {
        self.attribute(self.schema()?.index_of(name.text)?)
    }

    /// Shows every attribute that is not absent, in any order.
    fn visit(&self, visitor: &mut dyn FnMut(&str, Value<'_>)) {
        let attributes = self.schema().map(ContextSchema::attributes).unwrap_or_default();
        for (index, spec) in attributes.iter().enumerate() {
            if let Some(value) = self.attribute(index) {
                visitor(spec.name, value);
            }
        }
    }
}

/// A context whose attributes are known from its type alone.
pub trait TypedContext: EvaluationContext {
    /// The attributes of every value of this type.
    fn described() -> &'static ContextSchema;
}

/// The name of an attribute with its hash, so that a rule's names are hashed when it is compiled, not when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeName<'a> {
    text: &'a str,
    hash: u64,
}

impl<'a> AttributeName<'a> {
    /// This name.
    pub const fn new(text: &'a str) -> Self {
        Self { text, hash: hash(text.as_bytes()) }
    }

    /// The name itself.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Its hash: equal names have equal ones, within one run of one build.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn hashed(text: &'a str, hash: u64) -> Self {
        Self { text, hash }
    }
}

/// FNV-1a. Contexts are the caller's own, so nobody gains by colliding names; a collision costs one comparison of texts.
pub(crate) const fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut rest = bytes;
    while let [byte, behind @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        rest = behind;
    }
    hash
}
