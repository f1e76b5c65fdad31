//! Where a value comes from.

use std::fmt;
use std::time::SystemTime;

use time::OffsetDateTime;

use crate::{Attribution, Entry, Key, Revision};

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// No source has a value: the field's default, or `None`.
    Default,
    /// A key of the bucket.
    Key(KeyOrigin),
    /// An environment variable of this name.
    Environment(String),
    /// A change that is planned and not written.
    Plan,
}

/// The entry that a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyOrigin {
    /// Its key: the field's own, or an alias.
    pub key: Key,
    /// Its revision.
    pub revision: Revision,
    /// When it was written, by the server's clock.
    pub created: SystemTime,
    /// Who wrote it and why, as far as the writer said it.
    pub attribution: Attribution,
}

impl KeyOrigin {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            key: entry.key().clone(),
            revision: entry.revision(),
            created: entry.created(),
            attribution: Attribution::of(entry),
        }
    }
}

/// `the default`, `revision 4181 by ops`, `environment variable CHECKOUT_MAX_ITEMS`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Plan => f.write_str("this change"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Key(origin) => {
                write!(f, "revision {}", origin.revision)?;
                match &origin.attribution.author {
                    Some(author) => write!(f, " by {author}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A time of day where `reference` is on the same day, else a date and a time; UTC.
pub(crate) struct When {
    pub(crate) at: SystemTime,
    pub(crate) reference: SystemTime,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from(self.at);
        if at.date() != OffsetDateTime::from(self.reference).date() {
            write!(f, "{} ", at.date())?;
        }
        write!(f, "{:02}:{:02}", at.hour(), at.minute())
    }
}
