//! What the command's exit codes say. They are public: scripts decide by them.

use std::process::ExitCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Ok,
    /// Something failed that has no code of its own.
    Failed,
    /// The arguments make no sense.
    Usage,
    /// The bucket, a key, a change or a revision does not exist.
    NotFound,
    /// Somebody else was faster; nothing was written.
    Conflict,
    /// The change is not allowed: a check or an instance rejects it, a secret would be shown. Nothing was written.
    Refused,
    /// A file, a value or a name cannot be used.
    Invalid,
    /// No server, no JetStream, no answer.
    Unreachable,
    /// The server knows the user and forbids it, or does not know the user.
    NotPermitted,
    /// The write may have taken place or not.
    Unconfirmed,
    /// The question was answered with no, or there was nobody to ask.
    Declined,
    /// The answer to what was asked is no: there are differences, or findings.
    Differs,
    /// Ctrl-C.
    Interrupted,
    /// Nobody reads the output any more.
    Pipe,
}

impl Exit {
    /// The process's exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Refused => 5,
            Self::Invalid => 6,
            Self::Unreachable => 7,
            Self::NotPermitted => 8,
            Self::Unconfirmed => 9,
            Self::Declined => 10,
            Self::Differs => 11,
            // As a shell tells of a process that SIGINT or SIGPIPE has ended.
            Self::Interrupted => 130,
            Self::Pipe => 141,
        }
    }

    /// The word for it in JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::Unreachable => "unreachable",
            Self::NotPermitted => "not_permitted",
            Self::Unconfirmed => "unconfirmed",
            Self::Declined => "declined",
            Self::Differs => "differs",
            Self::Interrupted => "interrupted",
            Self::Pipe => "broken_pipe",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
