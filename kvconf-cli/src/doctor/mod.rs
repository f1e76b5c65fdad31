//! What is wrong between here and a bucket, and how to mend it.
//!
//! `gather` asks the server, `facts` is what it said, `judge` decides what that means and is pure, `permission` has the
//! subjects that matter.

pub(crate) mod facts;
pub(crate) mod gather;
pub(crate) mod judge;
mod permission;
#[cfg(test)]
mod tests;

use serde::Serialize;

/// How a check ended. In the order of how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Pass,
    /// It could not be looked at.
    Unknown,
    /// It works, with less than kvconf can do.
    Warn,
    /// kvconf cannot work, or not safely.
    Fail,
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One check: what was found, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) verdict: Verdict,
    /// The fact, with what follows from it.
    pub(crate) found: String,
    /// Commands and lines of configuration, as they are typed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) mend: Vec<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { check, verdict, found: found.into(), mend: Vec::new() }
    }

    fn mend(mut self, line: impl Into<String>) -> Self {
        self.mend.push(line.into());
        self
    }
}
