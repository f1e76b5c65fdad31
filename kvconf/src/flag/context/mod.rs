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

/// So that a context behind a pointer, also one of a type that is not known, serves wherever one does.
impl<C: EvaluationContext + ?Sized> EvaluationContext for &C {
    #[inline]
    fn schema(&self) -> Option<&'static ContextSchema> {
        C::schema(self)
    }

    #[inline]
    fn attribute(&self, index: usize) -> Option<Value<'_>> {
        C::attribute(self, index)
    }

    #[inline]
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Value<'_>> {
        C::lookup(self, name)
    }

    fn visit(&self, visitor: &mut dyn FnMut(&str, Value<'_>)) {
        C::visit(self, visitor);
    }
}

/// A context whose attributes are known from its type alone.
pub trait TypedContext: EvaluationContext {
    /// The attributes of every value of this type.
    fn described() -> &'static ContextSchema;
}

/// The name of an attribute with its fingerprint, so that a rule's names are digested when it is compiled, not when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeName<'a> {
    text: &'a str,
    fingerprint: u128,
}

impl<'a> AttributeName<'a> {
    /// This name.
    pub const fn new(text: &'a str) -> Self {
        Self { text, fingerprint: fingerprint(text) }
    }

    /// The name itself.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Equal names have equal ones, within one run of one build. Names of up to fifteen bytes have one that no other name
    /// has; see [`Self::is_unique`].
    pub const fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// Whether no other name has this fingerprint.
    pub const fn is_unique(&self) -> bool {
        self.fingerprint >> 120 != LONG
    }

    pub(crate) const fn digested(text: &'a str, fingerprint: u128) -> Self {
        Self { text, fingerprint }
    }
}

/// Marks the fingerprint of a name that does not fit into it.
const LONG: u128 = 0xff;

/// The name itself with its length in the upper byte, where it fits, else its hash.
///
/// Nearly all names fit. Then a dynamic context compares two words, where comparing texts took half of the time of a rule
/// with one condition.
pub(crate) const fn fingerprint(name: &str) -> u128 {
    let bytes = name.as_bytes();
    if bytes.len() > 15 {
        return (LONG << 120) | hash(bytes) as u128;
    }
    let mut packed = 0;
    let mut rest = bytes;
    while let [byte, behind @ ..] = rest {
        packed = (packed << 8) | *byte as u128;
        rest = behind;
    }
    ((bytes.len() as u128) << 120) | packed
}

/// FNV-1a. What is looked up in a set of a rule's own texts, so nobody gains by colliding.
pub(crate) const fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut rest = bytes;
    while let [byte, behind @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        rest = behind;
    }
    hash
}
