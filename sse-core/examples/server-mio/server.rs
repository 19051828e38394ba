//! The hub and its sockets.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll, Token};
use sse_core::{ConnectionId, Hub, HubConfig, Instant};

use crate::client::Client;

pub(crate) const LISTENER: Token = Token(usize::MAX);

pub(crate) struct Server {
    pub(crate) hub: Hub,
    pub(crate) poll: Poll,
    listener: TcpListener,
    /// Whether the last connection could not be accepted. mio does not report it again.
    pub(crate) retry_accept: bool,
    /// The clients. The token of a socket is its index here.
    pub(crate) clients: Vec<Option<Client>>,
    free: Vec<usize>,
    /// The sockets with unread input.
    pub(crate) unread: VecDeque<usize>,
    /// The index in `clients`, by the index of the connection.
    pub(crate) slot_of_index: Vec<usize>,
    /// A buffer for one write, which all sockets share.
    pub(crate) scratch: Vec<u8>,
}

impl Server {
    pub(crate) fn listen(
        address: SocketAddr,
        config: HubConfig,
    ) -> Result<Server, Box<dyn std::error::Error>> {
        let (hub, poll, mut listener) = (Hub::new(config)?, Poll::new()?, TcpListener::bind(address)?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (clients, free, unread) = (Vec::new(), Vec::new(), VecDeque::new());
        let (slot_of_index, scratch) = (Vec::new(), Vec::new());
        Ok(Server { hub, poll, listener, retry_accept: false, clients, free, unread, slot_of_index, scratch })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts all waiting connections.
    pub(crate) fn accept(&mut self) {
        loop {
            let mut socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) => {
                    // Any other error is most likely that no file descriptor is free.
                    self.retry_accept = error.kind() != ErrorKind::WouldBlock;
                    if self.retry_accept {
                        eprintln!("cannot accept a connection: {error}");
                    }
                    return;
                }
            };
            bound_unsent(&socket);
            let slot = self.free.pop().unwrap_or(self.clients.len());
            let both = Interest::READABLE | Interest::WRITABLE;
            let registered = socket.set_nodelay(true).and_then(|()| {
                // mio is edge-triggered, so a writable socket causes no events until it was full.
                self.poll.registry().register(&mut socket, Token(slot), both)
            });
            if slot == self.clients.len() {
                self.clients.push(None);
            }
            match registered {
                Ok(()) => self.clients[slot] = Some(Client::new(socket)),
                Err(_) => self.free.push(slot),
            }
        }
    }

    /// Closes sockets without a request for more than two ticks.
    pub(crate) fn close_idle(&mut self, now: Instant) {
        for slot in 0..self.clients.len() {
            if self.clients[slot].as_mut().is_some_and(Client::is_idle) {
                self.close(slot, now);
            }
        }
    }

    pub(crate) fn slot_of(&self, connection: ConnectionId) -> Option<usize> {
        let slot = *self.slot_of_index.get(connection.index())?;
        let client = self.clients.get(slot)?.as_ref()?;
        (client.connection() == Some(connection)).then_some(slot)
    }

    /// Closes a socket, which also removes it from the reactor.
    pub(crate) fn close(&mut self, slot: usize, now: Instant) {
        let Some(client) = self.clients[slot].take() else { return };
        if let Some(connection) = client.connection() {
            self.hub.disconnect(now, connection);
        }
        self.free.push(slot);
    }
}

/// Bounds the unsent bytes of a socket, where the system can: then a slow reader makes progress in small steps and is not taken
/// for a stalled one.
fn bound_unsent(socket: &TcpStream) {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(64 * 1024);
    let _ = socket;
}
