//! Why the fleet could not be asked.

use derive_more::{Display, Error, From};

use crate::ReadError;

/// Why the fleet could not be asked. Whether nobody is there is no error.
#[derive(Debug, Clone, Display, Error, From)]
#[non_exhaustive]
pub enum FleetError {
    /// The question was not put: not connected, not permitted.
    #[display("the fleet could not be asked")]
    Ask(ReadError),
    /// The candidate is larger than one message can be. It can be committed all the same, without asking.
    #[display("the candidate of {bytes} bytes is too large to ask about, the most is {max}")]
    #[from(ignore)]
    TooLarge {
        /// Its size as a question.
        bytes: usize,
        /// The most that the server takes.
        max: usize,
    },
    /// More keys than instances look at.
    #[display("a candidate of {keys} keys is too large to ask about, the most is {max}")]
    #[from(ignore)]
    TooMany {
        /// How many.
        keys: usize,
        /// The most.
        max: usize,
    },
    /// The handle has no bucket.
    #[display("a fixed handle has no fleet")]
    Fixed,
}

impl FleetError {
    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Ask(error) if error.is_retryable())
    }
}
