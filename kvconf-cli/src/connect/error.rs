//! Why there is no connection, and how to mend it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use derive_more::{Display, Error};

use crate::exit::Exit;
use crate::failure::Failure;

/// Why there is no connection.
#[derive(Debug, Display, Error)]
pub(crate) enum ConnectError {
    #[display("no bucket is named")]
    NoBucket,
    #[display("there is no context {name}")]
    NoContext {
        name: String,
        /// Where it would be.
        path: PathBuf,
        /// Those that are there.
        known: Vec<String>,
    },
    #[display("the context {} cannot be used", path.display())]
    Context {
        path: PathBuf,
        #[error(source)]
        cause: serde_json::Error,
    },
    #[display("{} cannot be read", path.display())]
    File {
        path: PathBuf,
        #[error(source)]
        cause: io::Error,
    },
    #[display("{} has no usable credentials", path.display())]
    Credentials {
        path: PathBuf,
        #[error(source)]
        cause: io::Error,
    },
    #[display("the context {name} needs {what}, which kvconf cannot do")]
    Unsupported { name: String, what: &'static str },
    #[display("{text:?} is no time to wait")]
    Wait { text: String },
    #[display("{given} is given without {missing}")]
    Incomplete { given: &'static str, missing: &'static str },
    #[display("{servers:?} is no server URL")]
    Url {
        servers: String,
        #[error(source)]
        cause: async_nats::ConnectError,
    },
    #[display("{servers} does not accept {login}")]
    Login { servers: String, login: String },
    #[display("no TLS with {servers}")]
    Tls {
        servers: String,
        #[error(source)]
        cause: async_nats::ConnectError,
    },
    #[display("no server at {servers}")]
    Unreachable {
        servers: String,
        #[error(source)]
        cause: async_nats::ConnectError,
    },
    #[display("no answer from {servers} within {after:?}")]
    Timeout { servers: String, after: Duration },
}

impl ConnectError {
    fn exit(&self) -> Exit {
        match self {
            Self::NoBucket | Self::Incomplete { .. } => Exit::Usage,
            Self::NoContext { .. } | Self::File { .. } => Exit::NotFound,
            Self::Context { .. }
            | Self::Credentials { .. }
            | Self::Unsupported { .. }
            | Self::Wait { .. }
            | Self::Url { .. } => Exit::Invalid,
            Self::Login { .. } => Exit::NotPermitted,
            Self::Tls { .. } | Self::Unreachable { .. } | Self::Timeout { .. } => Exit::Unreachable,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoBucket => "name it with --bucket, or set KVCONF_BUCKET".to_owned(),
            Self::NoContext { known, path, .. } if known.is_empty() => {
                format!("`nats context add` makes one; {} would be it", path.display())
            }
            Self::NoContext { known, .. } => format!("there are: {}", known.join(", ")),
            Self::Context { .. } | Self::File { .. } | Self::Incomplete { .. } => return None,
            Self::Credentials { .. } => {
                "a file of credentials has a JWT and the seed of an nkey, as `nsc` writes them".to_owned()
            }
            Self::Unsupported { .. } => "`nats context edit`, or --server and a login instead".to_owned(),
            Self::Wait { .. } => "such as 500ms, 5s or 1m".to_owned(),
            Self::Url { .. } => "such as nats://host:4222, with commas between several".to_owned(),
            Self::Login { .. } => {
                "log in with --creds, --nkey, --user and NATS_PASSWORD, NATS_TOKEN, or a --context".to_owned()
            }
            Self::Tls { .. } => {
                "--tlsca names who has signed the server's certificate, --tlscert and --tlskey the client's own"
                    .to_owned()
            }
            Self::Unreachable { .. } | Self::Timeout { .. } => {
                "name another with --server, NATS_URL or --context; `kvconf dev` starts one to try things with"
                    .to_owned()
            }
        })
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let (exit, hint) = (error.exit(), error.hint());
        Self { exit, error: Box::new(error), hints: hint.into_iter().collect(), is_silent: false }
    }
}
