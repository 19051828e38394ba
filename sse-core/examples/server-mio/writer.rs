//! Events on a socket: the pending frames of a connection are claimed, framed as one chunk, and written in one call.

use std::io;

use bytes::Bytes;
use mio::net::TcpStream;
use sse_core::{Claim, ConnectionId, Hub, Instant, Transmit};

use crate::chunk;

/// The most bytes of frames in one write, unless a single frame is larger.
const WRITE_BYTES: usize = 16 * 1024;

pub(crate) struct EventWriter {
    pub(crate) connection: ConnectionId,
    /// The bytes that the client sent behind its request.
    pub(crate) unread: u32,
    /// A chunk that the socket took in part. Its size was sent, so the rest has to follow.
    unfinished: Option<Unfinished>,
    is_chunked: bool,
}

struct Unfinished {
    /// The claim of the frames in the chunk.
    claim: Claim,
    /// The rest of the chunk, with its framing.
    rest: Bytes,
}

impl EventWriter {
    pub(crate) fn new(connection: ConnectionId, is_chunked: bool) -> EventWriter {
        EventWriter { connection, unread: 0, unfinished: None, is_chunked }
    }

    /// Writes what is pending, up to one window. When more is pending, the hub reports the connection again, behind the
    /// others.
    pub(crate) fn write_pending(
        &mut self,
        socket: &mut TcpStream,
        hub: &mut Hub,
        now: Instant,
        scratch: &mut Vec<u8>,
    ) -> io::Result<()> {
        if let Some(Unfinished { claim, rest }) = self.unfinished.take() {
            self.write(socket, hub, now, claim, &rest)?;
        }
        let mut budget = Transmit::MAX_BYTES;
        while self.unfinished.is_none() && budget > 0 {
            scratch.clear();
            let window = hub.transmit(now, self.connection);
            if self.is_chunked {
                chunk::begin(window.bytes_within(WRITE_BYTES), scratch);
            }
            let Some(claim) = window.claim_into(WRITE_BYTES, scratch) else { return Ok(()) };
            scratch.extend_from_slice(self.trailer());
            budget = budget.saturating_sub(claim.len());
            self.write(socket, hub, now, claim, scratch)?;
        }
        Ok(())
    }

    /// Writes the rest of a chunk. The claim is confirmed when the socket took all of it.
    fn write(
        &mut self,
        socket: &mut TcpStream,
        hub: &mut Hub,
        now: Instant,
        claim: Claim,
        rest: &[u8],
    ) -> io::Result<()> {
        let sent = chunk::write(socket, rest)?;
        if sent == rest.len() {
            hub.confirm(now, claim);
            return Ok(());
        }
        // The socket is full, and the reactor reports when it has room again. The hub has to know that the peer took
        // something: so the frames are put back, and claimed again.
        let rest = Bytes::copy_from_slice(&rest[sent..]);
        let frames = rest.len().saturating_sub(self.trailer().len()).min(claim.len());
        let claim = if sent > 0 && frames > 0 {
            hub.put_back(
                now,
                claim,
                rest.slice(rest.len() - self.trailer().len() - frames..).slice(..frames),
            );
            hub.transmit(now, self.connection).claim_frame().map(|(_, claim)| claim)
        } else {
            Some(claim)
        };
        self.unfinished = claim.map(|claim| Unfinished { claim, rest });
        Ok(())
    }

    fn trailer(&self) -> &'static [u8] {
        if self.is_chunked { b"\r\n" } else { b"" }
    }

    /// Returns the bytes that mark the end of the stream, unless a chunk was cut or the end of the connection is the mark.
    pub(crate) fn end_mark(&self) -> &'static [u8] {
        if self.is_chunked && self.unfinished.is_none() { b"0\r\n\r\n" } else { b"" }
    }
}
