//! One socket, which first sends requests and can then follow a channel.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;
use sse_core::{ConnectionId, Hub, Instant};

use crate::routes::{self, Next};
use crate::writer::EventWriter;

/// The number of bytes that a streaming client can send. The rest of a request body is legal and is discarded.
const MAX_UNREAD_BYTES: u32 = 64 * 1024;

/// The number of reads from one socket in a turn. A client that sends without a pause delays the others only a little.
const MAX_READS: usize = 4;

pub(crate) struct Client {
    socket: TcpStream,
    state: State,
    /// Whether the socket is in the queue of sockets with unread input.
    pub(crate) is_queued: bool,
}

enum State {
    Requesting { input: Vec<u8>, idle_ticks: u8 },
    Streaming(EventWriter),
}

impl Client {
    pub(crate) fn new(socket: TcpStream) -> Client {
        let state = State::Requesting { input: Vec::new(), idle_ticks: 0 };
        Client { socket, state, is_queued: false }
    }

    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        let State::Streaming(writer) = &self.state else { return None };
        Some(writer.connection)
    }

    /// Reads input and writes pending bytes, and returns whether more input can be unread. The socket is closed after an error.
    pub(crate) fn handle_ready(
        &mut self,
        hub: &mut Hub,
        now: Instant,
        scratch: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let mut has_more = true;
        for _ in 0..MAX_READS {
            match self.socket.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.handle_input(&bytes[..count], hub, now)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    has_more = false;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.write_pending(hub, now, scratch)?;
        Ok(has_more)
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
        // Clients can pipeline requests.
        while let Some((head, next, used)) = routes::respond(input, hub, now) {
            // A client that does not read these few bytes is disconnected.
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

    /// Writes pending bytes as far as the socket takes them. The rest waits until the socket is writable.
    pub(crate) fn write_pending(
        &mut self,
        hub: &mut Hub,
        now: Instant,
        scratch: &mut Vec<u8>,
    ) -> io::Result<()> {
        let State::Streaming(writer) = &mut self.state else { return Ok(()) };
        writer.write_pending(&mut self.socket, hub, now, scratch)
    }

    /// Completes the stream after the hub has closed the connection.
    pub(crate) fn finish(&mut self) {
        if let State::Streaming(writer) = &self.state {
            let _ = self.socket.write(writer.end_mark());
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Lets the system discard unsent bytes and reset the socket, when it is closed next.
    pub(crate) fn reset_on_close(&self) {
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Counts a tick, and returns whether the socket had no request for more than two ticks.
    pub(crate) fn is_idle(&mut self) -> bool {
        let State::Requesting { idle_ticks: ticks, .. } = &mut self.state else { return false };
        *ticks += 1;
        *ticks > 2
    }
}
