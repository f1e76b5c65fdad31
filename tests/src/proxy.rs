//! A TCP proxy between a client and a server, which breaks the connection in the ways that networks do.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How many bytes are passed on at once.
const CHUNK: usize = 256 * 1024;

/// What happens to what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    /// So many bytes in each direction, then a pause.
    Slow {
        bytes: usize,
        every: Duration,
    },
    /// Connections stay, new ones too, and nothing passes. What was sent passes later.
    Held,
    /// As `Held`, for one direction.
    Deaf(Direction),
    /// Connections are reset, new ones at once.
    Cut,
}

/// Where something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// A port that leads to another one. Ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Connections end with the sender of their mode.
        self.accepting.abort();
    }
}

impl Proxy {
    /// Leads to a port on loopback. Nobody needs to listen there yet.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mode = watch::Sender::new(Mode::Open);
        let accepting = tokio::spawn(accept(listener, target, mode.subscribe()));
        Self { address, mode, accepting }
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where NATS clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Resets all connections, and new ones as they come, until [`Proxy::resume`].
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Keeps all connections and passes nothing on, until [`Proxy::resume`]: what a router that loses everything looks
    /// like. Nobody is told.
    pub fn hold(&self) {
        self.mode.send_replace(Mode::Held);
    }

    /// Keeps all connections and passes nothing on in one direction, until [`Proxy::resume`].
    pub fn hold_back(&self, direction: Direction) {
        self.mode.send_replace(Mode::Deaf(direction));
    }

    /// Passes on `bytes` at most in each direction of each connection, then pauses for `every`.
    pub fn slow(&self, bytes: usize, every: Duration) {
        self.mode.send_replace(Mode::Slow { bytes, every });
    }

    /// Passes everything on again, also what was held back.
    pub fn resume(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

async fn accept(listener: TcpListener, target: u16, mode: watch::Receiver<Mode>) {
    loop {
        let Ok((inbound, _)) = listener.accept().await else { continue };
        tokio::spawn(serve(inbound, target, mode.clone()));
    }
}

/// One connection, until either side or the proxy ends it.
async fn serve(inbound: TcpStream, target: u16, mut mode: watch::Receiver<Mode>) {
    let watched = mode.clone();
    let passing = async {
        // What is refused reaches nobody, not even for a moment.
        if !matches!(admitted(&mut mode, None).await, Ok(mode) if mode != Mode::Cut) {
            let _ = inbound.set_zero_linger();
            return;
        }
        let Ok(outbound) = TcpStream::connect(("127.0.0.1", target)).await else { return };
        for stream in [&inbound, &outbound] {
            let _ = stream.set_nodelay(true);
            // Whatever ends this connection resets it.
            let _ = stream.set_zero_linger();
        }
        let ((from, to), (back, forth)) = (inbound.into_split(), outbound.into_split());
        tokio::select! {
            () = pump(from, forth, mode.clone(), Direction::ToServer) => {}
            () = pump(back, to, mode, Direction::ToClient) => {}
        }
    };
    tokio::select! {
        () = passing => {}
        () = broken(watched) => {}
    }
}

/// Completes when connections are to be reset.
async fn broken(mut mode: watch::Receiver<Mode>) {
    let _ = mode.wait_for(|mode| *mode == Mode::Cut).await;
}

/// Waits while everything is held back, or what goes there; an error when the proxy is gone.
async fn admitted(
    mode: &mut watch::Receiver<Mode>,
    direction: Option<Direction>,
) -> Result<Mode, watch::error::RecvError> {
    let is_held = |mode: &Mode| match *mode {
        Mode::Held => true,
        Mode::Deaf(held) => Some(held) == direction,
        _ => false,
    };
    mode.wait_for(|mode| !is_held(mode)).await.map(|mode| *mode)
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    direction: Direction,
) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let most = match *mode.borrow() {
            Mode::Slow { bytes, .. } => bytes.clamp(1, CHUNK),
            _ => CHUNK,
        };
        let Ok(count @ 1..) = from.read(&mut buffer[..most]).await else { return };
        let Ok(now) = admitted(&mut mode, Some(direction)).await else { return };
        if let Mode::Slow { every, .. } = now {
            tokio::time::sleep(every).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
