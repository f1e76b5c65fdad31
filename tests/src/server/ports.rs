//! Ports that stay a server's own, while it is down too.

use tokio::net::TcpSocket;

/// A port on loopback that the system hands to nobody else while this lives; who names it can listen there.
///
/// The port is bound and not listened on. On Linux a second socket may then bind it, and listen, if both allow the
/// reuse of addresses, which servers do; and whoever asks for any port, to listen or to connect from, is given another one.
/// Without this, a server that is down for a moment finds its port taken when it comes back.
///
/// Other systems refuse the second socket; there a port is only free at the moment in which it was asked for.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _kept: Option<TcpSocket>,
}

impl Port {
    /// Any port that is free.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn any() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an address can be reused");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let number = socket.local_addr().expect("it is bound").port();
        Self { number, _kept: cfg!(target_os = "linux").then_some(socket) }
    }

    pub(super) const fn number(&self) -> u16 {
        self.number
    }
}
