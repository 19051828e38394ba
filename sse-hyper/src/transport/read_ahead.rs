//! Bytes that a peer sent and hyper has not asked for (X3).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBuf, ReadBufCursor};

/// The most bytes that are read ahead of hyper. The end of a peer that sent more is noticed at the next write.
const MAX_AHEAD: usize = 64 * 1024;

/// The size of one read.
pub(super) const READ_SIZE: usize = 4 * 1024;

/// The bytes that were read ahead, and whether the end of the peer follows them.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    bytes: Vec<u8>,
    /// The number of bytes that hyper has taken.
    taken: usize,
    is_at_end: bool,
}

impl ReadAhead {
    /// Reads until the transport has no more bytes, the peer has ended, or the bound is reached. Returns whether the end was
    /// found now.
    pub(super) fn fill(&mut self, io: &mut (impl Read + Unpin), cx: &mut Context<'_>) -> io::Result<bool> {
        while !self.is_at_end && self.len() < MAX_AHEAD {
            let mut chunk = [0; READ_SIZE];
            let Poll::Ready(read) = read_into(io, cx, &mut chunk) else { break };
            match read? {
                [] => {
                    self.is_at_end = true;
                    return Ok(true);
                }
                bytes => self.bytes.extend_from_slice(bytes),
            }
        }
        Ok(false)
    }

    /// Gives hyper bytes that were read ahead, and returns their number: zero at the end of the peer, and `None` if the
    /// transport has to be read.
    pub(super) fn take(&mut self, buffer: &mut ReadBufCursor<'_>) -> Option<usize> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.remaining());
        if let Some(bytes) = rest.get(..count) {
            buffer.put_slice(bytes);
        }
        self.taken += count;
        if self.len() == 0 {
            // Also frees the memory.
            self.bytes = Vec::new();
            self.taken = 0;
        }
        (count > 0 || self.is_at_end).then_some(count)
    }

    /// Returns the number of bytes that hyper has not taken.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.taken)
    }
}

/// Reads once into a buffer of this crate, so that it can look at the bytes.
pub(super) fn read_into<'a>(
    io: &mut (impl Read + Unpin),
    cx: &mut Context<'_>,
    chunk: &'a mut [u8],
) -> Poll<io::Result<&'a [u8]>> {
    let mut buffer = ReadBuf::new(chunk);
    let read = Pin::new(io).poll_read(cx, buffer.unfilled());
    let count = buffer.filled().len();
    read.map_ok(|()| chunk.get(..count).unwrap_or_default())
}
