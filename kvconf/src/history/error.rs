//! What can go wrong when somebody looks back.

use std::time::SystemTime;

use derive_more::{Display, Error, From};

use super::render::Stamp;
use crate::{KeyError, LayerError, ReadError, Report, Revision};

/// Why a log or the history of a field could not be read.
#[derive(Debug, Clone, Display, Error, From)]
#[non_exhaustive]
pub enum LogError {
    /// The handle has no bucket.
    #[display("a fixed handle has no history")]
    Fixed,
    /// The prefix is not valid.
    #[display("invalid prefix")]
    Prefix(KeyError),
    /// The bucket could not be read.
    #[display("the history could not be read")]
    Read(ReadError),
}

/// A key of which the bucket no longer keeps what stood there.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[display("{key}{}", Since(*known_since))]
#[non_exhaustive]
pub struct LostKey {
    /// The key, in full; a filter (`checkout.limits.*`) where not even the names of the keys are known.
    pub key: String,
    /// From which revision on it is known again; `None` when nothing is retained.
    pub known_since: Option<Revision>,
}

/// The revisions that a bucket holds: `1 to 7`.
pub(crate) struct Held(pub(crate) Revision, pub(crate) Revision);

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(oldest, newest) = self;
        match newest {
            &Revision::ZERO => f.write_str("nothing was written yet"),
            newest if oldest > newest => write!(f, "nothing any more, after revision {newest}"),
            newest => write!(f, "{oldest} to {newest}"),
        }
    }
}

struct Since(Option<Revision>);

impl std::fmt::Display for Since {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(revision) => write!(f, " (known from revision {revision} on)"),
            None => f.write_str(" (nothing is kept)"),
        }
    }
}

/// Why a state of the past is not to be had.
#[derive(Debug, Clone, Display, Error, From)]
#[non_exhaustive]
pub enum PastError {
    /// The handle has no bucket.
    #[display("a fixed handle has no past")]
    Fixed,
    /// The prefix is not valid.
    #[display("invalid prefix")]
    Prefix(KeyError),
    /// The revision is still to come, or lies before everything that the bucket keeps.
    #[display("revision {asked} is outside what the bucket holds: {}", Held(*oldest, *newest))]
    #[from(ignore)]
    OutOfRange {
        /// The revision that was asked for.
        asked: Revision,
        /// The oldest one whose state can be known.
        oldest: Revision,
        /// The newest one.
        newest: Revision,
    },
    /// The time is still to come, or lies before the bucket was made.
    #[display("{} is outside the bucket's life: {} to {}", Stamp(*asked), Stamp(*created), Stamp(*now))]
    #[from(ignore)]
    OutOfTime {
        /// The time that was asked for.
        asked: SystemTime,
        /// When the bucket was made, by the server's clock.
        created: SystemTime,
        /// The present, by this process's clock.
        now: SystemTime,
    },
    /// The bucket no longer keeps what some keys held at that revision.
    #[display("what stood at revision {revision} is no longer kept: {}", List(keys))]
    #[from(ignore)]
    Lost {
        /// The revision.
        revision: Revision,
        /// Every such key, in the order of their names.
        keys: Vec<LostKey>,
    },
    /// The values of that moment are no valid struct by today's type. The report has every problem.
    #[display("the values of that moment are not valid")]
    Invalid(#[error(source)] Box<Report>),
    /// The bucket could not be read.
    #[display("the past could not be read")]
    Read(ReadError),
}

impl PastError {
    /// The keys that retention has lost.
    #[must_use]
    pub fn lost(&self) -> &[LostKey] {
        match self {
            Self::Lost { keys, .. } => keys,
            _ => &[],
        }
    }

    /// The report, when today's type refuses the values.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Invalid(report) => Some(report),
            _ => None,
        }
    }

    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Read(error) if error.is_retryable())
    }
}

struct List<'a>(&'a [LostKey]);

impl std::fmt::Display for List<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, key) in self.0.iter().enumerate() {
            write!(f, "{}{key}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Why a build could not be held against a bucket. That it does not fit is no error.
#[derive(Debug, Clone, Display, Error, From)]
#[non_exhaustive]
pub enum CheckError {
    /// The prefix is not valid.
    #[display("invalid prefix")]
    Prefix(KeyError),
    /// The layers cannot be told apart, or one of them is not valid.
    #[display("the layers cannot be read together")]
    Layers(LayerError),
    /// The bucket could not be read.
    #[display("the bucket could not be read")]
    Read(ReadError),
}
