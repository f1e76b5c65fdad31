//! From a file's bytes to what it says about a struct.

mod toml;
#[cfg(feature = "yaml")]
mod yaml;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use derive_more::Display;

use super::document::{Fault, Item, Member, Position, Value};
use super::flatten::{Fields, Place, flatten};
use super::{Content, json};
use crate::{FileOrigin, Origin, Prefix, Problem, ProblemKind};

/// How large a file of settings may be. A bucket's values are smaller, and all of it is read again with every change.
pub(crate) const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// How many faults of one file are told. One that is of another format has one in each line, and whoever mends it begins at
/// the top.
const MAX_FAULTS: usize = 50;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// JSON, by RFC 8259. A name that stands twice in one object is refused.
    Json,
    /// YAML 1.2, by its core schema. Behind the feature `yaml`.
    #[cfg(feature = "yaml")]
    Yaml,
}

/// `TOML`.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Toml => "TOML",
            Self::Json => "JSON",
            #[cfg(feature = "yaml")]
            Self::Yaml => "YAML",
        })
    }
}

impl Format {
    /// By the ending of a file's name, in lower or upper case: `toml`, `json`, and with the feature `yaml` also `yaml` and
    /// `yml`.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            #[cfg(feature = "yaml")]
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    fn parse(self, text: &str) -> Result<Item, Vec<Fault>> {
        match self {
            Self::Toml => toml::parse(text),
            // An empty file says nothing, as in the other formats.
            Self::Json if text.trim_ascii().is_empty() => {
                Ok(Item { value: Value::Table(Vec::new()), at: Position::START })
            }
            Self::Json => json::parse(text),
            #[cfg(feature = "yaml")]
            Self::Yaml => yaml::parse(text),
        }
    }
}

/// The tree of a whole text.
#[cfg(test)]
pub(super) fn parse(format: Format, text: &str) -> Result<Item, Vec<Fault>> {
    format.parse(text)
}

/// A file of settings, weaker than the bucket. For [`LiveBuilder::file`](crate::LiveBuilder::file).
///
/// A path alone is one too: it must be there at the start, its format goes by its ending, and its names are keys of the
/// bucket from the root on, so that one file serves several structs. [`guide::files`](crate::guide::files) tells the rest.
///
/// ```
/// use kvconf::{FileSource, Format};
///
/// let file = FileSource::new("/etc/checkout/settings").format(Format::Toml).at("checkout").optional();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is read only by the handle that it is given to"]
pub struct FileSource {
    path: PathBuf,
    format: Option<Format>,
    at: String,
    optional: bool,
}

impl FileSource {
    /// The file at this path. A relative one counts from where the program stands at the start.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), format: None, at: String::new(), optional: false }
    }

    /// How it is written, whatever its ending says.
    pub const fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Its names stand below this prefix: `at("checkout")` for a file that says `max_items = 50` and not
    /// `checkout.max_items = 50`.
    pub fn at(mut self, prefix: impl Into<String>) -> Self {
        self.at = prefix.into();
        self
    }

    /// It need not be there, and may come later.
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

impl<P: Into<PathBuf>> From<P> for FileSource {
    fn from(path: P) -> Self {
        Self::new(path)
    }
}

/// A file that a handle reads: what [`FileSource`] says, checked.
#[derive(Debug, Clone)]
pub(crate) struct KnownFile {
    /// As it was named, for people.
    pub(crate) name: Arc<Path>,
    /// From the root of the file system on.
    pub(crate) path: PathBuf,
    format: Format,
    at: Prefix,
    optional: bool,
}

/// Why a file cannot be one of a handle's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadFile {
    Format(PathBuf),
    Prefix(crate::KeyError),
}

impl FileSource {
    pub(crate) fn check(self) -> Result<KnownFile, BadFile> {
        let at = Prefix::new(&self.at).map_err(BadFile::Prefix)?;
        let Some(format) = self.format.or_else(|| Format::of(&self.path)) else {
            return Err(BadFile::Format(self.path));
        };
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        Ok(KnownFile { name: self.path.into(), path, format, at, optional: self.optional })
    }
}

fn members_of(root: Item) -> Result<Vec<Member>, Fault> {
    let found = root.found();
    match root.value {
        Value::Table(members) => Ok(members),
        // Nothing but comments, in YAML.
        Value::Null => Ok(Vec::new()),
        _ => Err(Fault::new(root.at, format!("expected a table of settings, found {found}"))),
    }
}

/// Why there are no bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
pub(crate) enum Unreadable {
    #[display("there is no such file")]
    Missing,
    #[display("the file is gone; what it said last counts until it is back")]
    Gone,
    #[display("no permission to read it")]
    NotPermitted,
    #[display("it is a folder, not a file")]
    Folder,
    #[display("it is no ordinary file")]
    Special,
    #[display("it is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[display("the file system does not answer")]
    NoAnswer,
    #[display("{_0}")]
    Other(io::ErrorKind),
}

impl From<&io::Error> for Unreadable {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            // A folder on the way that is none says the same: the file is not there.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::NotPermitted,
            io::ErrorKind::IsADirectory => Self::Folder,
            kind => Self::Other(kind),
        }
    }
}

/// What a look at a file gave.
pub(crate) type Reading = Result<Vec<u8>, Unreadable>;

impl KnownFile {
    /// What a file says about the struct below `prefix`.
    pub(crate) fn content(&self, reading: &Reading, prefix: &Prefix, fields: &dyn Fields) -> Content {
        let bytes = match reading {
            Ok(bytes) => bytes,
            Err(Unreadable::Missing) if self.optional => return Content::default(),
            Err(fault) => return Content::broken(vec![self.problem(None, &fault.to_string())]),
        };
        match self.parse(bytes) {
            Ok(root) => flatten(&root, &self.at, &Place { prefix, fields, origin: &|at| self.origin(at) }),
            Err(faults) => {
                let problem = |fault: &Fault| self.problem(Some(fault.at), &fault.message);
                let mut problems: Vec<Problem> = faults.iter().take(MAX_FAULTS).map(problem).collect();
                let more = faults.len() - problems.len();
                if more > 0 {
                    problems.push(self.problem(None, &format!("{more} more faults")));
                }
                Content::broken(problems)
            }
        }
    }

    /// What a file says that the program cannot cope with.
    pub(crate) fn panicked(&self) -> Content {
        let problem = self.problem(None, "the program's own code panicked on it");
        Content::broken(vec![Problem { kind: ProblemKind::Panic, ..problem }])
    }

    /// Whether what a look gave may be a file that is being written: no text of its format, or nothing at all.
    pub(crate) fn looks_unfinished(&self, reading: &Reading) -> bool {
        match reading {
            Ok(bytes) => bytes.trim_ascii().is_empty() || self.parse(bytes).is_err(),
            // Between the removal of the old file and the coming of the new one.
            Err(fault) => matches!(fault, Unreadable::Missing | Unreadable::Gone),
        }
    }

    /// The members of the table that the whole file is.
    fn parse(&self, bytes: &[u8]) -> Result<Vec<Member>, Vec<Fault>> {
        // A byte order mark says nothing in UTF-8, and editors on Windows write it.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        match str::from_utf8(bytes) {
            Ok(text) => members_of(self.format.parse(text)?).map_err(|fault| vec![fault]),
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let text = str::from_utf8(valid).unwrap_or_default();
                let at = super::document::Lines::new(text).position(text.len());
                Err(vec![Fault::new(at, "not UTF-8 from here on")])
            }
        }
    }

    fn origin(&self, at: Position) -> Origin {
        Origin::File(FileOrigin { path: Arc::clone(&self.name), line: at.line, column: at.column })
    }

    fn problem(&self, at: Option<Position>, message: &str) -> Problem {
        let place = at.map_or_else(String::new, |at| format!(":{}:{}", at.line, at.column));
        let at = at.unwrap_or(Position { line: 0, column: 0 });
        Problem {
            key: String::new(),
            kind: ProblemKind::File,
            message: format!("{}{place}: {message}", self.name.display()),
            origin: Some(self.origin(at)),
            before: None,
            before_revision: None,
            fields: Vec::new(),
        }
    }
}
