//! Why the fleet could not be asked.

use derive_more::{Display, Error, From};

use super::wait::FleetStatus;
use crate::ReadError;
use crate::change::{Applied, RollbackError, SettleError};

/// Why the fleet could not be asked. Whether nobody is there is no error.
#[derive(Debug, Clone, Display, Error, From)]
#[non_exhaustive]
pub enum FleetError {
    /// The question was not put: not connected, not permitted.
    #[display("the fleet could not be asked")]
    Ask(ReadError),
    /// Nobody said in time that it is there, and somebody listens: instances that are out of reach for a moment, or others that
    /// only listen. Only a wait for a change fails with this; whether the fleet has it is not known.
    #[display("nobody answers, though somebody listens")]
    Silent,
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
        match self {
            Self::Ask(error) => error.is_retryable(),
            Self::Silent => true,
            _ => false,
        }
    }
}

/// Why the fleet does not have a change.
#[derive(Debug, Display, Error)]
#[non_exhaustive]
pub enum FleetWaitError {
    /// It could not be asked. The change stands.
    #[display("what the fleet has is not known")]
    Ask(#[error(source)] FleetError),
    /// Too few have taken it in time, or too many have rejected it. The change stands.
    #[display("{_0}")]
    Short(#[error(not(source))] Box<FleetStatus>),
    /// Too few had taken it, and it was taken back.
    #[display("the change was taken back: {status}")]
    TakenBack {
        /// What the fleet said.
        status: Box<FleetStatus>,
        /// The change that took it back.
        applied: Applied,
    },
    /// Too few have taken it, and it could not be taken back. The change stands.
    #[display("the change could not be taken back: {status}")]
    NotTakenBack {
        /// What the fleet said.
        status: Box<FleetStatus>,
        /// Why.
        #[error(source)]
        error: Box<RollbackError>,
    },
    /// Too few have taken a change with a deadline, and it could not be taken back before that. It goes back at its
    /// deadline, unless it has been settled already.
    #[display("the change could not be taken back before its deadline: {status}")]
    NotSettled {
        /// What the fleet said.
        status: Box<FleetStatus>,
        /// Why.
        #[error(source)]
        error: Box<SettleError>,
    },
}

impl From<FleetError> for FleetWaitError {
    fn from(error: FleetError) -> Self {
        Self::Ask(error)
    }
}

impl FleetWaitError {
    /// What the fleet said, where it could be asked.
    #[must_use]
    pub const fn status(&self) -> Option<&FleetStatus> {
        match self {
            Self::Ask(_) => None,
            Self::Short(status)
            | Self::TakenBack { status, .. }
            | Self::NotTakenBack { status, .. }
            | Self::NotSettled { status, .. } => Some(status),
        }
    }
}
