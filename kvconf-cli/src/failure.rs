//! Why a verb did not do what was asked: the fact from below, the exit code, and what to do next.

use std::error::Error;
use std::io;

use kvconf::{KeyError, ReadError, WriteError};

use crate::exit::Exit;

/// A verb that failed. The error has the fact and its sources the causes; the hints name the next command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: Box<dyn Error + Send + Sync>,
    pub(crate) hints: Vec<String>,
}

/// What a verb gives back.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with this code, from an error or a sentence.
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit, error: error.into(), hints: Vec::new() }
    }

    /// Adds what to do next. A command stands as it is typed.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
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
        Self { exit, error: Box::new(error), hints: hint.into_iter().collect() }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let (exit, hint) = of_write(&error);
        Self { exit, error: Box::new(error), hints: hint.into_iter().collect() }
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

/// The exit code of a read that failed, and what to do.
pub(crate) fn of_read(error: &ReadError) -> (Exit, Option<String>) {
    match error {
        ReadError::BucketNotFound { bucket } => {
            (Exit::NotFound, Some(format!("kvconf bucket create {bucket}")))
        }
        ReadError::NotPermitted { subject } => (
            Exit::NotPermitted,
            Some(format!(
                "allow the user to publish to {subject}, or connect as another one: `kvconf doctor` lists what is missing"
            )),
        ),
        ReadError::Timeout { .. } => (
            Exit::Unreachable,
            Some("kvconf doctor: a server that is slow and a missing permission look alike".to_owned()),
        ),
        ReadError::Disconnected | ReadError::Client { .. } => {
            (Exit::Unreachable, Some("kvconf doctor".to_owned()))
        }
        ReadError::Server { code: 503, .. } => (Exit::Unreachable, Some("kvconf doctor".to_owned())),
        ReadError::OutOfRange { .. } => (Exit::NotFound, Some("kvconf log".to_owned())),
        ReadError::Name(_) => (Exit::Invalid, None),
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
        WriteError::TooMany { .. } | WriteError::Invalid { .. } | WriteError::Header { .. } => {
            (Exit::Invalid, None)
        }
        WriteError::Failed(error) => of_read(error),
        _ => (Exit::Failed, None),
    }
}
