//! Why a verb did not do what was asked: the fact from below, the exit code, and what to do next.

use std::error::Error;
use std::io;

use kvconf::{
    CommitError, Conflict, Filter, KeyError, LostKey, PastError, PlainPlanError, ReadError, Revision,
    WriteError,
};

use crate::exit::Exit;

/// A verb that failed. The error has the fact and its sources the causes; the hints name the next command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: Box<dyn Error + Send + Sync>,
    pub(crate) hints: Vec<String>,
    /// Whether the exit code says it all.
    pub(crate) is_silent: bool,
}

/// What a verb gives back.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with this code, from an error or a sentence.
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit, error: error.into(), hints: Vec::new(), is_silent: false }
    }

    /// An exit code that needs no words.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { is_silent: true, ..Self::new(exit, exit.word()) }
    }

    /// Adds what to do next. A command stands as it is typed.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with another exit code.
    pub(crate) fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The error's own words and those of its causes, each once.
    pub(crate) fn chain(&self) -> Vec<String> {
        let mut words = vec![self.error.to_string()];
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors from below repeat their cause in their own words.
            if !words.last().is_some_and(|last| last.ends_with(&text)) {
                words.push(text);
            }
            cause = error.source();
        }
        words
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let (exit, hint) = of_read(&error);
        Self { exit, error: Box::new(error), hints: hint.into_iter().collect(), is_silent: false }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let (exit, hint) = of_write(&error);
        Self { exit, error: Box::new(error), hints: hint.into_iter().collect(), is_silent: false }
    }
}

impl From<PastError> for Failure {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Read(error) => error.into(),
            PastError::Prefix(error) => error.into(),
            PastError::Lost { revision, keys } => lost(revision, &keys),
            error => Self::new(Exit::NotFound, error).hint("kvconf log"),
        }
    }
}

/// Keys whose state of a moment is gone: some of them, for there may be very many, and from when on all are known.
fn lost(revision: Revision, keys: &[LostKey]) -> Failure {
    const MOST: usize = 10;
    let mut words = format!("what stood at revision {revision} is no longer kept:");
    words.extend(keys.iter().take(MOST).map(|key| format!("\n  × {key}")));
    if let more @ 1.. = keys.len().saturating_sub(MOST) {
        words += &format!("\n  and {more} more keys");
    }
    let known: Option<Vec<Revision>> = keys.iter().map(|key| key.known_since).collect();
    let failure = Failure::new(Exit::NotFound, words);
    match known.and_then(|known| known.into_iter().max()) {
        Some(since) => failure.hint(format!("from revision {since} on all of them are known")),
        None => failure.hint("kvconf bucket info shows how many revisions are kept, and for how long"),
    }
}

impl From<PlainPlanError> for Failure {
    fn from(error: PlainPlanError) -> Self {
        match error {
            PlainPlanError::Name(error) => error.into(),
            PlainPlanError::Read(error) => error.into(),
            error => Self::new(Exit::Refused, error),
        }
    }
}

impl From<Box<Conflict>> for Failure {
    fn from(conflict: Box<Conflict>) -> Self {
        let hint = format!("kvconf history {} shows it; run this again to plan anew", conflict.key);
        Self { exit: Exit::Conflict, error: conflict, hints: vec![hint], is_silent: false }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Invalid(report) => {
                let failure =
                    Self { exit: Exit::Refused, error: report, hints: Vec::new(), is_silent: false };
                failure.hint("mend it, or write it all the same with --force --reason TEXT")
            }
            CommitError::Conflict(conflict) => conflict.into(),
            CommitError::Write(error) => error.into(),
            error @ CommitError::Attribution { .. } => Self::new(Exit::Invalid, error),
            CommitError::Partial { error: ref why, ref written, .. } => {
                let exit = if why.is_conflict() { Exit::Conflict } else { Exit::Failed };
                let newest = written.iter().map(|(_, revision)| revision.get()).max().unwrap_or(0);
                let hint = format!("what was written ends at revision {newest}; run this again to go on");
                Self::new(exit, error).hint(hint)
            }
            error => Self::new(Exit::Failed, error),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::new(Exit::Invalid, error)
    }
}

/// Of writing to the terminal or a pipe.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Pipe } else { Exit::Failed };
        Self::new(exit, error)
    }
}

/// Says how to ask for less, where everything was asked for and is not permitted.
pub(crate) fn narrower(failure: Failure, filters: &[Filter], command: &str) -> Failure {
    let is_all = filters.iter().any(|filter| *filter == Filter::all());
    if failure.exit == Exit::NotPermitted && is_all {
        return failure.hint(format!("{command}, for what this user may read"));
    }
    failure
}

/// A subject as it is allowed: a consumer has another name each time.
fn any_name(subject: &str) -> String {
    let parts = subject.split('.').map(|part| if part.starts_with("kvconf-") { "*" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

/// The exit code of a read that failed, and what to do.
pub(crate) fn of_read(error: &ReadError) -> (Exit, Option<String>) {
    match error {
        ReadError::BucketNotFound { bucket } => {
            (Exit::NotFound, Some(format!("kvconf bucket create {bucket}")))
        }
        ReadError::NotPermitted { subject } => (
            Exit::NotPermitted,
            Some(format!(
                "allow the user to publish to {}, or connect as another one: `kvconf doctor` lists what is missing",
                any_name(subject)
            )),
        ),
        ReadError::Timeout { .. } => (
            Exit::Unreachable,
            Some("kvconf doctor: a server that is slow and a missing permission look alike".to_owned()),
        ),
        ReadError::Disconnected | ReadError::ClientEnded | ReadError::Client { .. } => {
            (Exit::Unreachable, Some("kvconf doctor".to_owned()))
        }
        ReadError::Server { code: 503, .. } => (Exit::Unreachable, Some("kvconf doctor".to_owned())),
        ReadError::OutOfRange { .. } => (Exit::NotFound, Some("kvconf log".to_owned())),
        ReadError::Name(_) => (Exit::Invalid, None),
        ReadError::Unsupported { what: "an atomic batch", .. } => (
            Exit::Failed,
            Some("kvconf bucket update --atomic-batches true, on nats-server 2.12 or later; or one key at a time".to_owned()),
        ),
        ReadError::Unsupported { what: "reading an earlier state", .. } => {
            (Exit::Failed, Some("kvconf doctor".to_owned()))
        }
        _ => (Exit::Failed, None),
    }
}

/// The exit code of a write that failed, and what to do.
pub(crate) fn of_write(error: &WriteError) -> (Exit, Option<String>) {
    match error {
        WriteError::Conflict { .. } => {
            (Exit::Conflict, Some("look again with `kvconf log`, then repeat it".to_owned()))
        }
        WriteError::Exists { key, .. } => (Exit::Conflict, Some(format!("kvconf get {key}"))),
        WriteError::Unconfirmed { .. } => {
            (Exit::Unconfirmed, Some("kvconf log tells whether it stands there".to_owned()))
        }
        WriteError::TooLarge { .. } => (
            Exit::Invalid,
            Some(
                "kvconf bucket info shows the limit, kvconf bucket update --max-value-size raises it"
                    .to_owned(),
            ),
        ),
        WriteError::Full { .. } => {
            (Exit::Refused, Some("kvconf bucket update --max-bytes raises the limit".to_owned()))
        }
        WriteError::NoRoom { .. } => (
            Exit::Refused,
            Some("give the account or the server more room; limits of the bucket do not help".to_owned()),
        ),
        WriteError::TooMany { .. } | WriteError::Invalid { .. } | WriteError::Header { .. } => {
            (Exit::Invalid, None)
        }
        WriteError::Failed(error) => of_read(error),
        _ => (Exit::Failed, None),
    }
}
