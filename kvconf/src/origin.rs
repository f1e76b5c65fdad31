//! Where a value comes from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::calendar::date;
use crate::{Attribution, Entry, Key, Revision};

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// No source has a value: the field's default, or `None`.
    Default,
    /// A key of the bucket.
    Key(KeyOrigin),
    /// A place in a file.
    File(FileOrigin),
    /// An environment variable of this name.
    Environment(String),
    /// [`Live::overrides`](crate::Live::overrides).
    Override,
    /// A change that is planned and not written.
    Plan,
}

/// The entry that a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyOrigin {
    /// Its key in full: the field's own, or an alias.
    pub key: Key,
    /// The layer in which it stands; `None` for a handle without layers.
    pub layer: Option<Arc<str>>,
    /// Its revision.
    pub revision: Revision,
    /// When it was written, by the server's clock.
    pub created: SystemTime,
    /// Who wrote it and why, as far as the writer said it.
    pub attribution: Attribution,
}

/// The place in a file that a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileOrigin {
    /// The file, as the program named it.
    pub path: Arc<Path>,
    /// The line of the name, counted from one; 0 for the file as a whole.
    pub line: u32,
    /// Where in the line the name begins, in characters, counted from one; 0 for the file as a whole.
    pub column: u32,
}

impl FileOrigin {
    /// A place in a file, for tools that read files of their own. Line and column count from one.
    #[must_use]
    pub fn new(path: impl AsRef<Path>, line: u32, column: u32) -> Self {
        Self { path: path.as_ref().into(), line, column }
    }
}

/// `app.toml:3`; `app.toml` for the file as a whole.
impl fmt::Display for FileOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

impl KeyOrigin {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self::in_layer(entry, None)
    }

    pub(crate) fn in_layer(entry: &Entry, layer: Option<&Arc<str>>) -> Self {
        Self {
            key: entry.key().clone(),
            layer: layer.cloned(),
            revision: entry.revision(),
            created: entry.created(),
            attribution: Attribution::of(entry),
        }
    }
}

/// `the default`, `app.toml:3`, `revision 4181 by ops`, `layer env.prod, revision 4181 by ops`, `environment variable
/// CHECKOUT_MAX_ITEMS`, `an override`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Plan => f.write_str("this change"),
            Self::File(origin) => origin.fmt(f),
            Self::Override => f.write_str("an override"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Key(origin) => {
                match origin.layer.as_deref() {
                    Some("") => f.write_str("no layer, ")?,
                    Some(layer) => write!(f, "layer {layer}, ")?,
                    None => {}
                }
                write!(f, "revision {}", origin.revision)?;
                match origin.attribution.shown_author() {
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
        let Some(at) = date(self.at) else { return f.write_str("a time that no calendar has") };
        if date(self.reference).is_none_or(|reference| at.date() != reference.date()) {
            write!(f, "{} ", at.date())?;
        }
        write!(f, "{:02}:{:02}", at.hour(), at.minute())
    }
}
