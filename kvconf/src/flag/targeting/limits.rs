//! How much a rule may ask for.
//!
//! Nesting and size are bounded when a rule is compiled, and so is its work, as far as the rule alone decides about it. What
//! depends on a context (how long its lists are) is bounded while it runs.

/// How deep operations may be nested.
pub const MAX_DEPTH: usize = 64;

/// How many operations a rule may have.
pub const MAX_OPERATIONS: usize = 10_000;

/// How many values may stand in a rule's constants.
pub const MAX_CONSTANTS: usize = 200_000;

/// How deep `map`, `filter`, `reduce`, `all`, `none` and `some` may stand in one another.
pub const MAX_ITERATIONS: usize = 3;

/// How many steps one evaluation may take: operations, items of lists, and every sixteen bytes of a text that is built.
pub const MAX_STEPS: u32 = 200_000;

/// How many bytes a text and how many items a list that a rule builds may have.
pub const MAX_BUILT: usize = 64 * 1024;
