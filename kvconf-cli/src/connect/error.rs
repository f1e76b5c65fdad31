//! Why there is no connection, and how to mend it.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use derive_more::{Display, Error};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::rfc3339;

/// Who does not trust whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The server wants a certificate of the client.
    Missing,
    /// The server does not know who has signed the client's.
    ClientUnknown,
    /// The client's is too old.
    ClientExpired,
    /// The server's is too old, or not valid yet.
    ServerExpired,
    /// Nobody whom the client knows has signed the server's.
    ServerUnknown,
    /// The server's is for another name.
    OtherName,
    /// Whatever else there is.
    Unknown,
}

impl Trust {
    /// From the client's words in small letters. What the server says of the client's certificate comes as an alert.
    pub(super) fn of(words: &str) -> Self {
        let has = |part| words.contains(part);
        match () {
            () if has("alert") && has("required") => Self::Missing,
            () if has("alert") && has("expired") => Self::ClientExpired,
            () if has("alert") && (has("unknownca") || has("badcertificate")) => Self::ClientUnknown,
            () if has("expired") || has("notvalidyet") || has("not valid yet") => Self::ServerExpired,
            () if has("not valid for name") || has("notvalidforname") => Self::OtherName,
            () if has("unknownissuer") || has("badsignature") => Self::ServerUnknown,
            () => Self::Unknown,
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Missing => "the server asks for a certificate of the client: --tlscert and --tlskey",
            Self::ClientUnknown => {
                "the server does not accept who has signed the client's certificate: --tlscert and --tlskey name another"
            }
            Self::ClientExpired => {
                "the client's certificate has expired: --tlscert and --tlskey name a new one"
            }
            Self::ServerExpired => {
                "the server's certificate is not valid now: whoever runs it has to renew it, unless this machine's clock is off"
            }
            Self::ServerUnknown => "--tlsca names who has signed the server's certificate",
            Self::OtherName => "connect by a name that stands in the server's certificate",
            Self::Unknown => {
                "--tlsca names who has signed the server's certificate, --tlscert and --tlskey the client's own"
            }
        }
    }
}

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
    #[display("{} has no usable seed of an nkey", path.display())]
    Nkey { path: PathBuf },
    #[display("{of} asks for {what}, which kvconf cannot use")]
    Unsupported { of: String, what: &'static str },
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
    #[display("{servers} does not accept {login}: expired at {}", rfc3339(*at))]
    Expired { servers: String, login: String, at: SystemTime },
    #[display("{} has no {what} in PEM form", path.display())]
    Pem { path: PathBuf, what: &'static str },
    #[display("no TLS with {servers}")]
    Tls {
        servers: String,
        #[error(source)]
        cause: async_nats::ConnectError,
        trust: Trust,
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
            | Self::Nkey { .. }
            | Self::Pem { .. }
            | Self::Unsupported { .. }
            | Self::Wait { .. }
            | Self::Url { .. } => Exit::Invalid,
            Self::Login { .. } | Self::Expired { .. } => Exit::NotPermitted,
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
            Self::Context { .. } | Self::File { .. } | Self::Incomplete { .. } | Self::Pem { .. } => return None,
            Self::Credentials { .. } => {
                "a file of credentials has a JWT and the seed of an nkey, as `nsc` writes them".to_owned()
            }
            Self::Nkey { .. } => "a file of an nkey has a line that begins with SU, as `nk -gen user` writes it".to_owned(),
            Self::Expired { .. } => "have new credentials made: `nsc add user`, or `nsc edit user --expiry`".to_owned(),
            Self::Unsupported { of, .. } if of.starts_with("NATS_") => format!("unset {of}"),
            Self::Unsupported { .. } => "`nats context edit`, or --server and a login instead".to_owned(),
            Self::Wait { .. } => "such as 500ms, 5s or 1m".to_owned(),
            Self::Url { .. } => "such as nats://host:4222, with commas between several".to_owned(),
            Self::Login { .. } => {
                "log in with --creds, --nkey, --user and NATS_PASSWORD, NATS_TOKEN, or a --context".to_owned()
            }
            Self::Tls { trust, .. } => trust.hint().to_owned(),
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
