//! What is wrong with the values in a bucket, told so that somebody can mend it at night.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use crate::origin::When;
use crate::{Origin, Revision};

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A required field has no value.
    Missing,
    /// The bytes are no value of the field's type.
    Decode,
    /// A check of the field does not hold.
    Check,
    /// The struct's own `validate` refused the values together.
    Validation,
    /// The entry was written by an operation that is not known here.
    Operation,
    /// The value is sealed and does not open: the key is not at hand, it was tampered with, or its field is no secret.
    Sealed,
    /// The field's default does not fit its own type: a fault of the program, not of the bucket.
    Default,
    /// The user's code panicked on the value.
    Panic,
    /// A file cannot be read, or is not of its format.
    File,
    /// No field has this key. The key is ignored.
    UnknownKey,
    /// The value stands under an old name of the key.
    Alias,
    /// The field is deprecated and has a value.
    Deprecated,
    /// The value is not valid, and not read, because a more specific layer has one.
    Masked,
    /// The system does not tell when a file changes, so it is looked at in intervals.
    Polled,
}

impl ProblemKind {
    /// Whether the values are used all the same.
    #[must_use]
    pub const fn is_warning(self) -> bool {
        matches!(self, Self::UnknownKey | Self::Alias | Self::Deprecated | Self::Masked | Self::Polled)
    }
}

/// What is said of a key that nothing knows; `similar` is one that does exist, in full.
pub(crate) fn unknown_key(similar: Option<&str>) -> String {
    match similar {
        Some(key) => format!("unknown key, did you mean {key}?"),
        None => "unknown key".to_owned(),
    }
}

/// What is said of a value under an old name of a key.
pub(crate) fn old_name(name: &str, is_read: bool) -> String {
    let what = if is_read { "read" } else { "ignored" };
    format!("an old name of {name}, {what}; write {name} instead")
}

/// What is said of a value for a deprecated field.
pub(crate) fn deprecated(instead: &str) -> String {
    if instead.is_empty() { "deprecated".to_owned() } else { format!("deprecated, use {instead}") }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The key, in full; the prefix of the struct when the values do not fit together; empty for a file as a whole, which the
    /// message names.
    pub key: String,
    /// What kind it is.
    pub kind: ProblemKind,
    /// What is wrong, to be read behind the key. Never shows a secret value.
    pub message: String,
    /// Where the bad value comes from.
    pub origin: Option<Origin>,
    /// The value that is served instead, in stored form, masked for a secret.
    pub before: Option<String>,
    /// The revision of the value that is served instead, where it comes from the bucket.
    pub before_revision: Option<Revision>,
    /// The fields that take part, and where their values come from.
    pub fields: Vec<(String, Origin)>,
}

/// How many unknown keys a report shows.
const SHOWN_UNKNOWN_KEYS: usize = 20;

/// Puts problems into the order in which they are told.
pub(crate) fn in_order(problems: &mut [Problem]) {
    // Here, so that a sort is compiled once, and not for each struct.
    problems.sort_by(|left, right| left.key.cmp(&right.key));
}

impl Problem {
    fn write_details(&self, f: &mut fmt::Formatter<'_>, now: SystemTime) -> fmt::Result {
        if let Some(Origin::Key(origin)) = &self.origin
            && !self.kind.is_warning()
        {
            write!(f, "\n      revision {}", origin.revision)?;
            if let Some(author) = origin.attribution.shown_author() {
                write!(f, " by {author}")?;
            }
            write!(f, ", {}", When { at: origin.created, reference: now })?;
            if let Some(reason) = &origin.attribution.reason {
                write!(f, ", {reason:?}")?;
            }
            if let Some(before) = &self.before {
                write!(f, "; before: {before}")?;
            }
            if let Some(revision) = self.before_revision {
                write!(f, "\n      help: kvconf rollback {} --to {revision}", self.key)?;
            }
        } else if let Some(Origin::Environment(name)) = &self.origin {
            write!(f, "\n      from environment variable {name}")?;
        } else if let Some(Origin::File(file)) = &self.origin
            && !self.key.is_empty()
        {
            write!(f, "\n      {}:{}:{}", file.path.display(), file.line, file.column)?;
            if let Some(before) = &self.before {
                write!(f, "; before: {before}")?;
            }
        } else if let Some(Origin::Override) = &self.origin {
            f.write_str("\n      from an override")?;
        }
        for (at, (field, origin)) in self.fields.iter().enumerate() {
            f.write_str(if at == 0 { "\n      " } else { " · " })?;
            write!(f, "{field} from {origin}")?;
        }
        Ok(())
    }
}

/// `checkout.max_items: 9999 is outside 1..=500`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.key, self.message)
        }
    }
}

/// All that is wrong with a struct at one moment, and what is served meanwhile.
///
/// `Display` writes the whole report, over several lines; of unknown keys the first twenty, and how many there are besides:
/// where others keep theirs beside the struct's, they would hide what is to be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The struct's name.
    pub name: Cow<'static, str>,
    /// The bucket.
    pub bucket: String,
    /// The revision whose values have the problems; `None` for a change that is only planned.
    pub revision: Option<Revision>,
    /// The revision that readers get meanwhile; `None` when there is none to serve.
    pub serving: Option<Revision>,
    /// When the problems were found, by this process's clock.
    pub at: SystemTime,
    /// Every problem, by key.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether something in it keeps the values from being served.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.problems.iter().any(|problem| !problem.kind.is_warning())
    }

    /// Whether something in it comes from a file or an override: then an empty bucket does not mean the defaults.
    fn concerns_other_sources(&self) -> bool {
        let is_other = |origin: &Origin| matches!(origin, Origin::File(_) | Origin::Override);
        let origins = self.problems.iter().flat_map(|problem| &problem.origin);
        let of_fields = self.problems.iter().flat_map(|problem| &problem.fields).map(|(_, origin)| origin);
        origins.chain(of_fields).any(is_other)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.is_fatal() { "error" } else { "warning" };
        let (count, s) = (self.problems.len(), if self.problems.len() == 1 { "" } else { "s" });
        write!(f, "{severity}: {count} problem{s} in {} (bucket {}, ", self.name, self.bucket)?;
        match self.revision {
            Some(revision) => write!(f, "revision {revision})")?,
            None => f.write_str("planned change)")?,
        }
        match self.serving {
            Some(Revision::ZERO) if self.is_fatal() && self.concerns_other_sources() => {
                f.write_str("; still serving the last good values")?;
            }
            Some(Revision::ZERO) if self.is_fatal() => f.write_str("; still serving the defaults")?,
            Some(serving) if self.is_fatal() && self.revision == Some(serving) => {
                f.write_str("; serving it less what was rejected")?;
            }
            Some(serving) if self.is_fatal() => write!(f, "; still serving revision {serving}")?,
            Some(_) => {}
            None => f.write_str("; nothing is served yet")?,
        }
        let mut unknown = 0_usize;
        for problem in &self.problems {
            let is_unknown = problem.kind == ProblemKind::UnknownKey;
            unknown += usize::from(is_unknown);
            if is_unknown && unknown > SHOWN_UNKNOWN_KEYS {
                continue;
            }
            write!(f, "\n  × {problem}")?;
            if is_unknown {
                f.write_str("   (ignored)")?;
            }
            problem.write_details(f, self.at)?;
        }
        match unknown.saturating_sub(SHOWN_UNKNOWN_KEYS) {
            0 => Ok(()),
            more => write!(f, "\n  × {more} more unknown keys   (ignored)"),
        }
    }
}

impl std::error::Error for Report {}
