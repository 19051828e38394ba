//! One socket: first it asks, and then it may follow a channel.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use sse_core::{ConnectionId, Hub, Instant};

use crate::routes::{self, Next};
use crate::writer::EventWriter;

/// What a client that follows a channel may still send: the rest of a request's body is legal, and nobody reads it.
const MAX_UNREAD_BYTES: u32 = 64 * 1024;

pub(crate) struct Client {
    socket: TcpStream,
    state: State,
}

enum State {
    Requesting { input: Vec<u8>, idle_ticks: u8 },
    Streaming(EventWriter),
}

impl Client {
    pub(crate) fn new(socket: TcpStream) -> Client {
        Client { socket, state: State::Requesting { input: Vec::new(), idle_ticks: 0 } }
    }

    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        let State::Streaming(writer) = &self.state else { return None };
        Some(writer.connection)
    }

    /// Reads what came and writes what is due. An error is the end of it.
    pub(crate) fn handle_ready(
        &mut self,
        hub: &mut Hub,
        now: Instant,
        scratch: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.handle_input(&bytes[..count], hub, now)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.write_pending(hub, now, scratch)
    }

    fn handle_input(&mut self, bytes: &[u8], hub: &mut Hub, now: Instant) -> io::Result<()> {
        let (input, ticks) = match &mut self.state {
            State::Requesting { input, idle_ticks } => (input, idle_ticks),
            State::Streaming(writer) => {
                writer.unread += bytes.len() as u32;
                return if writer.unread > MAX_UNREAD_BYTES {
                    Err(ErrorKind::InvalidData.into())
                } else {
                    Ok(())
                };
            }
        };
        input.extend_from_slice(bytes);
        // It may ask several things without waiting for the answers.
        while let Some((head, next, used)) = routes::respond(input, hub, now) {
            // A client that does not even read these few bytes is cut off.
            let is_sent = self.socket.write_all(head.as_bytes());
            input.drain(..used);
            *ticks = 0;
            match next {
                Next::KeepAlive => is_sent?,
                Next::Close => return Err(ErrorKind::ConnectionAborted.into()),
                Next::Stream(connection, is_chunked) => {
                    self.state = State::Streaming(EventWriter::new(connection, is_chunked));
                    return is_sent;
                }
            }
        }
        Ok(())
    }

    /// Writes what the hub has for it, as far as the socket takes it. The rest waits until it is writable.
    pub(crate) fn write_pending(
        &mut self,
        hub: &mut Hub,
        now: Instant,
        scratch: &mut Vec<u8>,
    ) -> io::Result<()> {
        let State::Streaming(writer) = &mut self.state else { return Ok(()) };
        writer.write_pending(&mut self.socket, hub, now, scratch)
    }

    /// The hub ended it, and nothing is due any more.
    pub(crate) fn finish(&mut self) {
        if let State::Streaming(writer) = &self.state {
            let _ = self.socket.write(writer.end_mark());
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Counts a tick; true when it was the second without a request.
    pub(crate) fn is_idle(&mut self) -> bool {
        let State::Requesting { idle_ticks: ticks, .. } = &mut self.state else { return false };
        *ticks += 1;
        *ticks > 2
    }
}
