//! What to connect to and as whom, from flags, the environment and stored contexts.
//!
//! A flag wins over everything. A context that is named by a flag wins over the environment, and the environment over a
//! context that is only selected: so `NATS_URL=… kvconf ls` does what it says in a shell where some context is selected.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::stored::{self, Stored};
use super::{ConnectArgs, ConnectError};

const LOCAL: &str = "nats://127.0.0.1:4222";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What is outside this file: the environment and the disk.
pub(crate) struct Surroundings<'a> {
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<String>,
    pub(crate) names: &'a dyn Fn(&Path) -> Vec<String>,
}

/// Who connects. `Display` says it without the secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Nobody,
    Credentials {
        path: PathBuf,
        text: String,
    },
    Nkey {
        path: PathBuf,
        seed: String,
    },
    /// A JWT that is good without the key that it was made for.
    Bearer(String),
    User {
        name: String,
        password: String,
    },
    Token(String),
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("a client without a login"),
            Self::Credentials { path, .. } => write!(f, "the credentials in {}", path.display()),
            Self::Nkey { path, .. } => write!(f, "the nkey in {}", path.display()),
            Self::Bearer(_) => f.write_str("the JWT of the context"),
            Self::User { name, .. } => write!(f, "the user {name} with this password"),
            Self::Token(_) => f.write_str("this token"),
        }
    }
}

/// Without secrets, also in a panic or a log.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What to connect to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// With commas between.
    pub(crate) servers: String,
    pub(crate) login: Login,
    /// The stored context that has a part in it.
    pub(crate) context: Option<String>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) tls_ca: Option<PathBuf>,
    pub(crate) tls_first: bool,
    pub(crate) js_domain: Option<String>,
    pub(crate) js_api_prefix: Option<String>,
    pub(crate) inbox_prefix: Option<String>,
    pub(crate) timeout: Duration,
}

impl Settings {
    /// The servers without the passwords that URLs may have in them.
    pub(crate) fn shown_servers(&self) -> String {
        let shown = self.servers.split(',').map(|url| {
            let url = url.trim();
            match (url.split_once("://"), url.rsplit_once('@')) {
                (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
                (None, Some((_, host))) => host.to_owned(),
                _ => url.to_owned(),
            }
        });
        shown.collect::<Vec<_>>().join(",")
    }
}

/// One place that settings come from, each of its texts set and not empty.
#[derive(Debug, Default)]
struct Layer {
    servers: Option<String>,
    login: Option<RawLogin>,
    tls_cert: Option<String>,
    tls_key: Option<String>,
    tls_ca: Option<String>,
    tls_first: bool,
    js_domain: Option<String>,
    js_api_prefix: Option<String>,
    inbox_prefix: Option<String>,
    timeout: Option<String>,
}

/// A login of which the files are still to be read. A layer's login replaces another's as a whole: a user of one and a
/// password of the other would be nobody.
#[derive(Debug)]
enum RawLogin {
    Credentials(String),
    Jwt { jwt: String, seed: Option<String> },
    Nkey(String),
    User(String, String),
    Token(String),
}

/// Decides what to connect to. Only reads files.
pub(crate) fn resolve(args: &ConnectArgs, around: &Surroundings<'_>) -> Result<Settings, ConnectError> {
    let mut flags = of_flags(args);
    // A password is better kept off the command line.
    if let (Some(user), None, Some(password)) =
        (&args.user, &args.password, read_variable(around.variable, "NATS_PASSWORD"))
    {
        flags.login = Some(RawLogin::User(user.clone(), password));
    }
    let environment = of_environment(around.variable);
    if read_variable(around.variable, "NATS_SOCKS_PROXY").is_some() {
        return Err(ConnectError::Unsupported { of: "NATS_SOCKS_PROXY".to_owned(), what: "a SOCKS proxy" });
    }
    let (named, context) = context(args, around)?;
    let stored = match &context {
        Some((name, stored)) => of_stored(name, stored)?,
        None => Layer::default(),
    };
    let layers = if named { [flags, stored, environment] } else { [flags, environment, stored] };
    settle(layers, context.map(|(name, _)| name), around)
}

/// The stored context, and whether a flag names it.
fn context(
    args: &ConnectArgs,
    around: &Surroundings<'_>,
) -> Result<(bool, Option<(String, Stored)>), ConnectError> {
    let Some(folder) = stored::folder(around.variable) else { return Ok((false, None)) };
    let asked = filled(args.context.as_deref()).or_else(|| read_variable(around.variable, "NATS_CONTEXT"));
    let selected = || {
        let name = (around.read)(&stored::selected(&folder)).ok()?;
        filled(Some(name.trim()))
    };
    let is_asked = asked.is_some();
    let Some(name) = asked.or_else(selected) else { return Ok((false, None)) };
    let path = stored::path(&folder, &name);
    let text = match (around.read)(&path) {
        Ok(text) => text,
        // A selection that was left behind is no reason to stop.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_asked => return Ok((false, None)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let known = (around.names)(&folder.join("context"));
            return Err(ConnectError::NoContext { name, path, known });
        }
        Err(cause) => return Err(ConnectError::File { path, cause }),
    };
    match serde_json::from_str(&text) {
        Ok(stored) => Ok((args.context.is_some(), Some((name, stored)))),
        Err(cause) => Err(ConnectError::Context { path, cause }),
    }
}

fn settle(
    layers: [Layer; 3],
    context: Option<String>,
    around: &Surroundings<'_>,
) -> Result<Settings, ConnectError> {
    let pick = |part: fn(&Layer) -> &Option<String>| layers.iter().find_map(|layer| part(layer).clone());
    let path = |part| pick(part).map(|text| stored::expand(&text, around.variable));
    let (tls_cert, tls_key) = (path(|layer| &layer.tls_cert), path(|layer| &layer.tls_key));
    let tls_ca = path(|layer| &layer.tls_ca);
    match (&tls_cert, &tls_key) {
        (Some(_), None) => return Err(ConnectError::Incomplete { given: "--tlscert", missing: "--tlskey" }),
        (None, Some(_)) => return Err(ConnectError::Incomplete { given: "--tlskey", missing: "--tlscert" }),
        _ => {}
    }
    for (path, what) in [(&tls_ca, "CERTIFICATE"), (&tls_cert, "CERTIFICATE"), (&tls_key, "PRIVATE KEY")] {
        if let Some(path) = path {
            check_pem(path, what, around)?;
        }
    }
    let timeout = match pick(|layer| &layer.timeout) {
        None => CONNECT_WITHIN,
        Some(text) => parse_wait(&text)?,
    };
    Ok(Settings {
        servers: pick(|layer| &layer.servers).unwrap_or_else(|| LOCAL.to_owned()),
        tls_cert,
        tls_key,
        tls_ca,
        tls_first: layers.iter().any(|layer| layer.tls_first),
        js_domain: pick(|layer| &layer.js_domain),
        js_api_prefix: pick(|layer| &layer.js_api_prefix),
        inbox_prefix: pick(|layer| &layer.inbox_prefix),
        timeout,
        context,
        login: login(layers.into_iter().find_map(|layer| layer.login), around)?,
    })
}

/// The client would say what is wrong with a file, and not with which.
fn check_pem(path: &Path, what: &'static str, around: &Surroundings<'_>) -> Result<(), ConnectError> {
    let text = (around.read)(path).map_err(|cause| ConnectError::File { path: path.to_owned(), cause })?;
    let is_there = text
        .lines()
        .any(|line| line.trim().starts_with("-----BEGIN ") && line.contains(&format!("{what}-----")));
    let what = if what == "CERTIFICATE" { "certificate" } else { "private key" };
    if is_there { Ok(()) } else { Err(ConnectError::Pem { path: path.to_owned(), what }) }
}

fn parse_wait(text: &str) -> Result<Duration, ConnectError> {
    let wait: Result<Duration, _> = kvconf::Codec::decode(&kvconf::Text, text.as_bytes());
    wait.ok().filter(|wait| !wait.is_zero()).ok_or_else(|| ConnectError::Wait { text: text.to_owned() })
}

fn login(raw: Option<RawLogin>, around: &Surroundings<'_>) -> Result<Login, ConnectError> {
    let read = |path: &str| {
        let path = stored::expand(path, around.variable);
        match (around.read)(&path) {
            Ok(text) => Ok((path, text)),
            Err(cause) => Err(ConnectError::File { path, cause }),
        }
    };
    Ok(match raw {
        None => Login::Nobody,
        Some(RawLogin::Credentials(path)) => {
            let (path, text) = read(&path)?;
            Login::Credentials { path, text }
        }
        Some(RawLogin::Nkey(path)) => {
            let (path, text) = read(&path)?;
            let mut lines = text.lines().map(str::trim);
            match lines.find(|line| nkeys::KeyPair::from_seed(line).is_ok()).map(str::to_owned) {
                Some(seed) => Login::Nkey { path, seed },
                None => return Err(ConnectError::Nkey { path }),
            }
        }
        Some(RawLogin::Jwt { jwt, seed: None }) => Login::Bearer(jwt),
        Some(RawLogin::Jwt { jwt, seed: Some(seed) }) => Login::Credentials {
            path: PathBuf::from("the context"),
            text: format!(
                "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
                 -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
            ),
        },
        Some(RawLogin::User(name, password)) => Login::User { name, password },
        Some(RawLogin::Token(token)) => Login::Token(token),
    })
}

fn filled(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn read_variable(variable: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    filled(variable(name).as_deref())
}

/// The login of one layer: the most specific that is given. A user without a password is a token, as for `nats`.
fn raw_login(part: [Option<String>; 5]) -> Option<RawLogin> {
    let [creds, nkey, user, password, token] = part;
    match (creds, nkey, token, user, password) {
        (Some(path), ..) => Some(RawLogin::Credentials(path)),
        (_, Some(path), ..) => Some(RawLogin::Nkey(path)),
        (_, _, Some(token), ..) => Some(RawLogin::Token(token)),
        (_, _, _, Some(user), Some(password)) => Some(RawLogin::User(user, password)),
        (_, _, _, Some(token), None) => Some(RawLogin::Token(token)),
        _ => None,
    }
}

fn of_flags(args: &ConnectArgs) -> Layer {
    let text = |part: &Option<String>| filled(part.as_deref());
    Layer {
        servers: text(&args.server),
        login: raw_login([
            text(&args.creds),
            text(&args.nkey),
            text(&args.user),
            text(&args.password),
            text(&args.token),
        ]),
        tls_cert: text(&args.tlscert),
        tls_key: text(&args.tlskey),
        tls_ca: text(&args.tlsca),
        tls_first: args.tlsfirst,
        js_domain: text(&args.js_domain),
        js_api_prefix: text(&args.js_api_prefix),
        inbox_prefix: text(&args.inbox_prefix),
        timeout: text(&args.timeout),
    }
}

fn of_environment(variable: &dyn Fn(&str) -> Option<String>) -> Layer {
    let text = |name| read_variable(variable, name);
    Layer {
        servers: text("NATS_URL"),
        login: raw_login([
            text("NATS_CREDS"),
            text("NATS_NKEY"),
            text("NATS_USER"),
            text("NATS_PASSWORD"),
            text("NATS_TOKEN"),
        ]),
        tls_cert: text("NATS_CERT"),
        tls_key: text("NATS_KEY"),
        tls_ca: text("NATS_CA"),
        tls_first: text("NATS_TLS_FIRST").is_some_and(|text| text != "0" && text != "false"),
        js_domain: text("NATS_JS_DOMAIN"),
        js_api_prefix: text("NATS_JS_API_PREFIX"),
        inbox_prefix: text("NATS_INBOX_PREFIX"),
        timeout: text("NATS_TIMEOUT"),
    }
}

fn of_stored(name: &str, stored: &Stored) -> Result<Layer, ConnectError> {
    let unsupported = |what| Err(ConnectError::Unsupported { of: format!("the context {name}"), what });
    let text = |text: &str| filled(Some(text));
    if !stored.nsc.is_empty() {
        return unsupported("the `nsc` command for its login");
    }
    if !stored.socks_proxy.is_empty() {
        return unsupported("a SOCKS proxy");
    }
    if !stored.windows_cert_store.is_empty() {
        return unsupported("the certificate store of Windows");
    }
    let login = match (text(&stored.user_jwt), text(&stored.user_seed)) {
        (Some(jwt), seed) => Some(RawLogin::Jwt { jwt, seed }),
        _ => raw_login([
            text(&stored.creds),
            text(&stored.nkey),
            text(&stored.user),
            text(&stored.password),
            text(&stored.token),
        ]),
    };
    Ok(Layer {
        servers: text(&stored.url),
        login,
        tls_cert: text(&stored.cert),
        tls_key: text(&stored.key),
        tls_ca: text(&stored.ca),
        tls_first: stored.tls_first,
        js_domain: text(&stored.jetstream_domain),
        js_api_prefix: text(&stored.jetstream_api_prefix),
        inbox_prefix: text(&stored.inbox_prefix),
        timeout: None,
    })
}
