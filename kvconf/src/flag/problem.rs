//! What is wrong with a flag.

use derive_more::{Display, Error};

use super::parse::NotJson;
use super::targeting::limits::{MAX_CONSTANTS, MAX_DEPTH, MAX_ITERATIONS, MAX_OPERATIONS};

/// A flag cannot be used, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct FlagError {
    problems: Vec<FlagProblem>,
}

impl FlagError {
    pub(crate) fn new(problems: Vec<FlagProblem>) -> Self {
        Self { problems }
    }

    /// What is wrong; at least one thing.
    pub fn problems(&self) -> &[FlagProblem] {
        &self.problems
    }

    /// What is wrong, to keep.
    pub fn into_problems(self) -> Vec<FlagProblem> {
        self.problems
    }
}

impl From<FlagProblem> for FlagError {
    fn from(problem: FlagProblem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// The problems, with semicolons between.
impl std::fmt::Display for FlagError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "; " })?;
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// One thing that is wrong with a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagProblem {
    path: String,
    kind: FlagProblemKind,
}

impl FlagProblem {
    pub(crate) fn new(path: impl Into<String>, kind: FlagProblemKind) -> Self {
        Self { path: path.into(), kind }
    }

    /// The same, further down.
    pub(crate) fn below(mut self, path: &str) -> Self {
        self.path = if self.path.is_empty() { path.to_owned() } else { format!("{path}.{}", self.path) };
        self
    }

    /// Where: `targeting.if[0].==[1]`, or nothing for the flag as a whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What.
    pub fn kind(&self) -> &FlagProblemKind {
        &self.kind
    }
}

impl std::fmt::Display for FlagProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.path {
            "" => self.kind.fmt(f),
            path => write!(f, "{path}: {}", self.kind),
        }
    }
}

/// What can be wrong with a flag.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[non_exhaustive]
pub enum FlagProblemKind {
    /// The text is not JSON.
    #[display("{_0}")]
    NotJson(NotJson),
    /// Neither a flag object nor a plain value.
    #[display("a flag is an object, `true`, `false`, a text or a number")]
    NotAFlag,
    /// A part is missing.
    #[display("is required")]
    Missing,
    /// A part has the wrong kind.
    #[display("expected {expected}")]
    Unexpected {
        /// What belongs there.
        expected: &'static str,
    },
    /// A flag has no variant.
    #[display("a flag has at least one variant")]
    NoVariants,
    /// A name is empty.
    #[display("an empty name")]
    EmptyName,
    /// The variants have different types.
    #[display("{found}, where other variants are {expected}")]
    MixedVariants {
        /// What the first variant is.
        expected: &'static str,
        /// What this one is.
        found: &'static str,
    },
    /// The default variant is none of the variants.
    #[display("no variant `{name}`{}", did_you_mean(close.as_deref()))]
    UnknownDefault {
        /// What stands there.
        name: String,
        /// A variant that may be meant.
        close: Option<String>,
    },
    /// A bucketing version that is not known.
    #[display("bucketing is `v2` or `v3`")]
    UnknownBucketing,
    /// Two flags of a list have one key.
    #[display("a second flag with this key")]
    DuplicateFlag,
    /// A rule uses an operator that is not known.
    #[display("unknown operator `{name}`{}", did_you_mean(close.as_deref()))]
    UnknownOperator {
        /// What stands there.
        name: String,
        /// An operator that may be meant.
        close: Option<String>,
    },
    /// A rule refers to a shared rule that is not there.
    #[display("no shared rule `{name}`")]
    UnresolvedReference {
        /// What it refers to.
        name: String,
    },
    /// A shared rule refers to another.
    #[display("a shared rule cannot refer to another (`{name}`)")]
    NestedReference {
        /// What it refers to.
        name: String,
    },
    /// A rule is nested too deep.
    #[display("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A rule has too many operations.
    #[display("more than {MAX_OPERATIONS} operations")]
    TooManyOperations,
    /// A rule has too many constants.
    #[display("more than {MAX_CONSTANTS} values in constants")]
    TooManyConstants,
    /// Too many iterations in one another.
    #[display("more than {MAX_ITERATIONS} iterations in one another")]
    TooManyIterations,
    /// The iterations of a rule take too many steps.
    #[display("iterations that take too many steps")]
    TooMuchWork,
    /// An operand that flagd's schema does not allow. Such a rule runs, and its operator gives null.
    #[display("{_0}")]
    Schema(SchemaViolation),
}

impl FlagProblemKind {
    /// Whether reading on makes no sense.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::TooDeep
                | Self::TooManyOperations
                | Self::TooManyConstants
                | Self::TooManyIterations
                | Self::TooMuchWork
        )
    }
}

/// What flagd's schema does not allow, though an evaluation would give an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[non_exhaustive]
pub enum SchemaViolation {
    /// A weight is no whole number, or below zero.
    #[display("a weight is a whole number from 0, or an operation")]
    Weight,
    /// What decides about the bucket is a constant, so everybody gets the same.
    #[display("what decides about the bucket is an operation, or a list as each share is")]
    BucketBy,
    /// A share is no list of a variant and a weight.
    #[display("a share is a list of a variant and a weight")]
    Share,
    /// An operand that must be a text or an operation.
    #[display("expected a text or an operation")]
    Text,
    /// A version that is none.
    #[display("expected a version such as `1.2.3`, or `var`")]
    Version,
    /// A comparison of versions that is none.
    #[display("expected one of `=`, `!=`, `<`, `<=`, `>`, `>=`, `~`, `^`")]
    VersionOperator,
    /// flagd has `$flagd.flagKey` and `$flagd.timestamp`.
    #[display("flagd has `$flagd.flagKey` and `$flagd.timestamp`")]
    Property,
    /// Too many or too few operands.
    #[display("a number of operands that the operator does not take")]
    Operands,
    /// A rule that is no operation.
    #[display("expected an operation, or nothing")]
    Rule,
}

fn did_you_mean(close: Option<&str>) -> String {
    close.map(|close| format!(", did you mean `{close}`?")).unwrap_or_default()
}

/// The candidate that is most probably meant, when one is close enough.
pub(crate) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<String> {
    // The time of a comparison is the product of both lengths, and nobody mistypes a name of a thousand characters.
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    candidates
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate.to_owned())
}
