//! Finding and reaching the server as NATS users expect it.
//!
//! `settings` decides from flags, variables and stored contexts, and is pure; this file does what it says.

mod credentials;
mod error;
mod settings;
mod stored;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use clap::Args;
use kvconf::nats::{Connection, Denials};

pub(crate) use error::ConnectError;
use error::Trust;
pub(crate) use settings::{Login, Settings, Surroundings, resolve};

/// Where the server is and who asks.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The bucket [env: KVCONF_BUCKET]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) bucket: Option<String>,
    /// Server URLs, with commas between [env: NATS_URL] [default: nats://127.0.0.1:4222]
    #[arg(short, long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// A context that the `nats` command stores [env: NATS_CONTEXT] [default: the selected one]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// A file of credentials [env: NATS_CREDS]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) creds: Option<String>,
    /// A file with the seed of an nkey [env: NATS_NKEY]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) nkey: Option<String>,
    /// A user; without a password, a token [env: NATS_USER]
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub(crate) user: Option<String>,
    /// The user's password; better in the environment [env: NATS_PASSWORD]
    #[arg(long, global = true, value_name = "TEXT", hide_short_help = true)]
    pub(crate) password: Option<String>,
    /// A token; better in the environment [env: NATS_TOKEN]
    #[arg(long, global = true, value_name = "TEXT", hide_short_help = true)]
    pub(crate) token: Option<String>,
    /// The client's certificate, PEM [env: NATS_CERT]
    #[arg(long, global = true, value_name = "FILE", alias = "tls-cert", hide_short_help = true)]
    pub(crate) tlscert: Option<String>,
    /// The key of that certificate, PEM [env: NATS_KEY]
    #[arg(long, global = true, value_name = "FILE", alias = "tls-key", hide_short_help = true)]
    pub(crate) tlskey: Option<String>,
    /// Certificates of those who may have signed the server's, PEM [env: NATS_CA]
    #[arg(long, global = true, value_name = "FILE", alias = "tls-ca", hide_short_help = true)]
    pub(crate) tlsca: Option<String>,
    /// Begin TLS before the server says anything [env: NATS_TLS_FIRST]
    #[arg(long, global = true, alias = "tls-first", hide_short_help = true)]
    pub(crate) tlsfirst: bool,
    /// JetStream's domain [env: NATS_JS_DOMAIN]
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub(crate) js_domain: Option<String>,
    /// JetStream's prefix where it is not $JS.API [env: NATS_JS_API_PREFIX]
    #[arg(long, global = true, value_name = "SUBJECT", hide_short_help = true)]
    pub(crate) js_api_prefix: Option<String>,
    /// The prefix of the inboxes that the user may subscribe to [env: NATS_INBOX_PREFIX]
    #[arg(long, global = true, value_name = "SUBJECT", hide_short_help = true)]
    pub(crate) inbox_prefix: Option<String>,
    /// How long connecting may take, such as 500ms or 10s [env: NATS_TIMEOUT] [default: 5s]
    #[arg(long, global = true, value_name = "TIME", hide_short_help = true)]
    pub(crate) timeout: Option<String>,
}

/// Connects within the bound of the settings.
pub(crate) async fn connect(settings: &Settings) -> Result<Connection, ConnectError> {
    let denials = Denials::new();
    let client = dial(settings, options(settings, &denials)?).await?;
    Ok(jetstream(settings, &client).denials(&denials))
}

/// As [`connect`], for somebody who wants to hear of every event.
pub(crate) async fn observed(
    settings: &Settings,
    observe: impl Fn(&Event) + Send + Sync + 'static,
) -> Result<Client, ConnectError> {
    let options = options(settings, &Denials::new())?.event_callback(move |event| {
        observe(&event);
        std::future::ready(())
    });
    dial(settings, options).await
}

async fn dial(settings: &Settings, options: ConnectOptions) -> Result<Client, ConnectError> {
    let within = settings.timeout;
    let servers: Vec<&str> = settings.servers.split(',').map(str::trim).collect();
    match tokio::time::timeout(within, options.connect(servers)).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(refused(settings, error)),
        Err(_) => Err(ConnectError::Timeout { servers: settings.shown_servers(), after: within }),
    }
}

fn jetstream(settings: &Settings, client: &Client) -> Connection {
    let connection = Connection::new(client);
    match (&settings.js_api_prefix, &settings.js_domain) {
        (Some(prefix), _) => connection.api_prefix(prefix),
        (None, Some(domain)) => connection.domain(domain),
        (None, None) => connection,
    }
}

fn options(settings: &Settings, denials: &Denials) -> Result<ConnectOptions, ConnectError> {
    let mut options = ConnectOptions::new()
        .name("kvconf")
        .connection_timeout(settings.timeout.min(MOST_FOR_ONE_SERVER))
        .event_callback({
            let denials = denials.clone();
            move |event| {
                denials.observe(&event);
                std::future::ready(())
            }
        });
    options = match &settings.login {
        Login::Nobody => options,
        Login::Credentials { path, text } => options
            .credentials(text)
            .map_err(|cause| ConnectError::Credentials { path: path.clone(), cause })?,
        Login::Nkey { seed, .. } => options.nkey(seed.clone()),
        // There is nothing to sign with, and nobody who asks for it.
        Login::Bearer(jwt) => options.jwt(jwt.clone(), |_| std::future::ready(Ok(Vec::new()))),
        Login::User { name, password } => options.user_and_password(name.clone(), password.clone()),
        Login::Token(token) => options.token(token.clone()),
    };
    if let Some(ca) = &settings.tls_ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let (Some(certificate), Some(key)) = (&settings.tls_cert, &settings.tls_key) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    if settings.tls_first {
        options = options.tls_first();
    }
    if let Some(prefix) = &settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    Ok(options)
}

/// Since when a login is of no use any more, as far as it says so itself.
fn expired(login: &Login) -> Option<SystemTime> {
    let (Login::Credentials { text, .. } | Login::Bearer(text)) = login else { return None };
    credentials::expiry(text).filter(|at| *at <= SystemTime::now())
}

/// Of several servers the first may be silent; the others are still to be tried within the whole bound.
const MOST_FOR_ONE_SERVER: Duration = Duration::from_secs(2);

fn refused(settings: &Settings, error: async_nats::ConnectError) -> ConnectError {
    let servers = settings.shown_servers();
    let login = settings.login.to_string();
    let words = error.to_string().to_ascii_lowercase();
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            match expired(&settings.login) {
                Some(at) => ConnectError::Expired { servers, login, at },
                None => ConnectError::Login { servers, login },
            }
        }
        ConnectErrorKind::TimedOut => ConnectError::Timeout { servers, after: settings.timeout },
        ConnectErrorKind::ServerParse => ConnectError::Url { servers, cause: error },
        ConnectErrorKind::Tls => ConnectError::Tls { servers, trust: Trust::of(&words), cause: error },
        // The client tells of a certificate that it does not accept, and of its own that the server does not, as of any
        // other trouble with the socket.
        ConnectErrorKind::Io if words.contains("certificate") || words.contains("fatal alert") => {
            ConnectError::Tls { servers, trust: Trust::of(&words), cause: error }
        }
        _ => ConnectError::Unreachable { servers, cause: error },
    }
}
