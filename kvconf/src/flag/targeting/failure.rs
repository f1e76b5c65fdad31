//! Why a rule gave no answer.

use derive_more::{Display, Error};

/// Why a rule gave no answer. OpenFeature's error code for all of them is `PARSE_ERROR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum Failure {
    /// Arithmetic or a comparison met what is no number.
    #[display("a value that is no number where one is needed")]
    NotANumber,
    /// An operator has too few operands, or ones of the wrong kind.
    #[display("operands that the operator does not take")]
    InvalidArguments,
    /// The rule ran for too many steps, with the lists of this context.
    #[display("more than {} steps", super::limits::MAX_STEPS)]
    TooManySteps,
    /// A text or a list that the rule builds became too large.
    #[display("a text or list of more than {} bytes or items", super::limits::MAX_BUILT)]
    TooLarge,
}
