//! Events on a socket: each frame is a chunk of its own, and what is due together is one write.

use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use mio::net::TcpStream;
use sse_core::{ConnectionId, Hub, Instant, Transmit};

use crate::chunk;

/// How many frames go into one write at most.
const FRAMES: usize = 32;

pub(crate) struct Stream {
    pub(crate) connection: ConnectionId,
    /// How many bytes the client sent although it follows.
    pub(crate) unread: u32,
    /// How much of a begun chunk is not out yet, framing and all. Its size was a promise.
    left: u32,
    is_chunked: bool,
}

impl Stream {
    pub(crate) fn new(connection: ConnectionId, is_chunked: bool) -> Stream {
        Stream { connection, unread: 0, left: 0, is_chunked }
    }

    /// Writes one window: the hub names the connection again when more is due, and others have their turn before.
    pub(crate) fn write_due(
        &mut self,
        socket: &mut TcpStream,
        hub: &mut Hub,
        now: Instant,
        scratch: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut window = hub.transmit(now, self.connection);
        while window.has_remaining() {
            let len = self.load(&window, scratch);
            let begun = if self.left > 0 { self.framed(&window) - self.left as usize } else { 0 };
            let sent = begun + chunk::write(socket, &scratch[begun..])?;
            if sent < scratch.len() {
                // It is full. The reactor tells when there is room again.
                let refused = if sent > begun { self.cut(&mut window, sent) } else { None };
                drop(window);
                refused.map(|bytes| hub.put_back(now, self.connection, bytes));
                return Ok(());
            }
            window.advance(len);
            self.left = 0;
        }
        Ok(())
    }

    /// Copies frames, framed: one write of a copy is cheaper than a vectored write. Says how long the frames are.
    fn load(&self, window: &Transmit<'_>, scratch: &mut Vec<u8>) -> usize {
        let mut frames = [IoSlice::new(window.chunk()); FRAMES];
        // Mostly it is one, and no further look is needed.
        let is_one = window.chunk().len() == window.remaining();
        let count = if is_one { 1 } else { window.chunks_vectored(&mut frames) };
        scratch.clear();
        for frame in &frames[..count] {
            if self.is_chunked {
                chunk::put(frame, scratch);
            } else {
                scratch.extend_from_slice(frame);
            }
        }
        frames[..count].iter().map(|frame| frame.len()).sum()
    }

    /// How long the first frame is with its framing.
    fn framed(&self, window: &Transmit<'_>) -> usize {
        window.chunk().len() + if self.is_chunked { chunk::FRAMING } else { 0 }
    }

    /// The socket took the first `sent` bytes of what was loaded. What it refused of a frame whose size is promised
    /// has to come next, whatever becomes of the channel: it is put back, with its last byte where only the framing is
    /// missing.
    fn cut(&mut self, window: &mut Transmit<'_>, mut sent: usize) -> Option<Bytes> {
        self.left = 0;
        if !self.is_chunked {
            window.advance(sent);
            return None;
        }
        while sent >= self.framed(window) {
            sent -= self.framed(window);
            window.advance(window.chunk().len());
        }
        let frame = window.first_frame().filter(|_| sent > 0)?;
        self.left = u32::try_from(self.framed(window) - sent).ok()?;
        window.advance(frame.len() - 1);
        Some(frame.slice(sent.saturating_sub(chunk::HEAD).min(frame.len() - 1)..))
    }

    /// What says that the stream is complete, unless it was cut in the middle or its end says so.
    pub(crate) fn end_mark(&self) -> &'static [u8] {
        if self.is_chunked && self.left == 0 { b"0\r\n\r\n" } else { b"" }
    }
}
