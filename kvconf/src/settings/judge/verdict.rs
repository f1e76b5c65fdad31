//! What a judgement says.

use std::collections::BTreeSet;
use std::fmt;
use std::time::SystemTime;

use crate::settings::Schema;
use crate::{Problem, Report, Revision};

/// Something that cannot be told without the program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unchecked {
    /// The key in full; the prefix of a struct for what it checks as a whole.
    pub key: String,
    /// What it is, to be read behind the key.
    pub what: String,
}

/// `checkout.region: `known_region` is run by the program alone`
impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.what) } else { write!(f, "{}: {}", self.key, self.what) }
    }
}

/// What a schema says of values. From [`Schema::judge`] and [`Schema::judge_change`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What is wrong, by key; warnings too.
    pub problems: Vec<Problem>,
    /// Of a change: what is wrong with settings that it does not touch.
    pub standing: Vec<Problem>,
    /// What only the program can tell, as far as there are values for it.
    pub unchecked: Vec<Unchecked>,
    /// The newest revision among the entries.
    pub revision: Revision,
    /// The settings that the problems belong to, each in its place.
    owners: Vec<String>,
    unchecked_owners: Vec<String>,
}

impl Verdict {
    pub(super) const fn new(revision: Revision) -> Self {
        Self {
            problems: Vec::new(),
            standing: Vec::new(),
            unchecked: Vec::new(),
            revision,
            owners: Vec::new(),
            unchecked_owners: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, owner: &str, problem: Problem) {
        self.problems.push(problem);
        self.owners.push(owner.to_owned());
    }

    pub(super) fn push_unchecked(&mut self, owner: &str, key: String, what: String) {
        self.unchecked.push(Unchecked { key, what });
        self.unchecked_owners.push(owner.to_owned());
    }

    /// Adds what was found elsewhere.
    pub(super) fn absorb(&mut self, other: Self) {
        self.problems.extend(other.problems);
        self.owners.extend(other.owners);
        self.standing.extend(other.standing);
        self.unchecked.extend(other.unchecked);
        self.unchecked_owners.extend(other.unchecked_owners);
        self.revision = self.revision.max(other.revision);
    }

    pub(super) fn sort(&mut self) {
        let problems = std::mem::take(&mut self.problems).into_iter().zip(std::mem::take(&mut self.owners));
        let mut problems: Vec<_> = problems.collect();
        problems.sort_by(|(left, _), (right, _)| left.key.cmp(&right.key));
        (self.problems, self.owners) = problems.into_iter().unzip();
    }

    /// Parts what a change touches from what it does not.
    pub(super) fn split(mut self, touched: &BTreeSet<String>) -> Self {
        let problems = std::mem::take(&mut self.problems).into_iter().zip(std::mem::take(&mut self.owners));
        for (problem, owner) in problems {
            let of_change = touched.contains(&owner);
            if of_change {
                self.push(&owner, problem);
            } else {
                self.standing.push(problem);
            }
        }
        let around = |owner: &str| {
            touched
                .iter()
                .any(|key| owner.is_empty() || key == owner || key.starts_with(&format!("{owner}.")))
        };
        let unchecked = std::mem::take(&mut self.unchecked).into_iter();
        let unchecked = unchecked.zip(std::mem::take(&mut self.unchecked_owners));
        self.unchecked =
            unchecked.filter(|(_, owner)| around(owner)).map(|(unchecked, _)| unchecked).collect();
        self
    }

    /// Whether the program would not take the values.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.problems.iter().any(|problem| !problem.kind.is_warning())
    }

    /// The problems as a report on a planned change; `None` where there are none.
    #[must_use]
    pub fn report(&self, schema: &Schema, bucket: &str) -> Option<Report> {
        (!self.problems.is_empty()).then(|| Report {
            name: schema.name.clone().into(),
            bucket: bucket.to_owned(),
            revision: None,
            serving: Some(self.revision),
            at: SystemTime::now(),
            problems: self.problems.clone(),
        })
    }
}

/// Each problem on a line, then what could not be checked.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = self.problems.iter().map(|problem| format!("× {problem}"));
        let standing = self.standing.iter().map(|problem| format!("× {problem} (already so)"));
        let unchecked = self.unchecked.iter().map(|unchecked| format!("? {unchecked}"));
        let lines: Vec<String> = problems.chain(standing).chain(unchecked).collect();
        f.write_str(if lines.is_empty() { "nothing is wrong" } else { "" })?;
        f.write_str(&lines.join("\n"))
    }
}
