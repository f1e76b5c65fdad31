//! What an instance says of a change.

use derive_more::Display;
use serde::{Deserialize, Serialize};

use super::member::Fault;
use crate::Revision;
use crate::value::tame;

/// What one handle would make of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Judged {
    /// The struct's name.
    #[serde(rename = "struct")]
    pub structure: String,
    /// What it would do.
    pub verdict: Verdict,
    /// What it judged on, against what the author saw.
    pub base: Base,
    /// The revision that its readers get.
    pub applied: Revision,
    /// The newest revision that it has looked at: the candidate was tried on top of that.
    pub seen: Revision,
    /// What is wrong with the candidate, twenty at most.
    pub problems: Vec<Fault>,
    /// How many problems more there are.
    #[serde(default)]
    pub more_problems: usize,
}

/// What a handle would do with a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// No field of it has one of the keys.
    #[display("is not concerned")]
    NotConcerned,
    /// Its readers would see it.
    #[display("accepts")]
    Accepts,
    /// Its readers would keep what they have.
    #[display("rejects")]
    Rejects,
}

/// On what a candidate was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Base {
    /// The instance knows the candidate's keys as its author does.
    #[display("the same")]
    Same,
    /// The author saw newer entries than the instance has.
    #[display("older")]
    Behind,
    /// The instance has newer entries than the author saw: the commit will be a conflict.
    #[display("newer")]
    Ahead,
}

/// What became of a revision in one handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Settled {
    /// The struct's name.
    #[serde(rename = "struct")]
    pub structure: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The revision that its readers get.
    pub applied: Revision,
    /// The newest revision that it has looked at.
    pub seen: Revision,
    /// Why it was rejected, twenty problems at most.
    pub problems: Vec<Fault>,
    /// How many problems more there are.
    #[serde(default)]
    pub more_problems: usize,
}

/// What became of a revision in one handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Its readers see it, or something newer.
    #[display("applied")]
    Applied,
    /// It has not looked at it yet.
    #[display("pending")]
    Pending,
    /// Its readers do not see it.
    #[display("rejected")]
    Rejected,
}

impl Judged {
    pub(crate) fn tame(&mut self) {
        self.structure = tame(&self.structure);
        self.problems.iter_mut().for_each(Fault::tame);
    }

    /// Leaves out what can be long.
    pub(crate) fn shorten(&mut self) {
        self.more_problems += std::mem::take(&mut self.problems).len();
    }
}

impl Settled {
    pub(crate) fn tame(&mut self) {
        self.structure = tame(&self.structure);
        self.problems.iter_mut().for_each(Fault::tame);
    }

    /// Leaves out what can be long.
    pub(crate) fn shorten(&mut self) {
        self.more_problems += std::mem::take(&mut self.problems).len();
    }
}
