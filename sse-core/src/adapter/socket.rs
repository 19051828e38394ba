//! One connection on a socket, or on another transport of its own.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::vec::Vec;

use crate::CloseReason;
use crate::shared::Outbound;
use crate::shared::wakers::WakeTargetRef;

use super::Framing;
use super::writer::{ConnectionWriter, NextWrite};

/// The most writes of one connection in one pass. Then other connections have their turns.
pub(crate) const WRITES_PER_PASS: usize = 4;

/// The most reads of one connection in one pass.
const READS_PER_PASS: usize = 4;

/// The most bytes that a client may send after its request. The rest of a request's body is legal, and is dropped.
const MAX_UNREAD: u32 = 1024 * 1024;

/// A transport that never blocks: the part of a socket that an adapter supplies.
///
/// The files `attach.rs` and `write.rs` of the adapter crates are examples: each method is one call of the transport.
pub trait Socket {
    /// Returns whether the transport wakes the task that polled it when it is ready again.
    ///
    /// A socket of a [`SocketSet`](super::SocketSet) does not have to, if its adapter has a reactor of its own and calls
    /// [`SocketSet::wake`](super::SocketSet::wake). This saves a waker of 48 bytes for each socket.
    fn registers_waker(&self) -> bool {
        true
    }

    /// Reads bytes that the peer sent. Zero bytes mean that the peer disconnected. A transport that cannot be read is pending
    /// for ever.
    ///
    /// # Errors
    ///
    /// Those of the transport; never [`WouldBlock`](io::ErrorKind::WouldBlock), which is [`Poll::Pending`].
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes a part of the bytes, and returns how many it wrote.
    ///
    /// # Errors
    ///
    /// Those of the transport; never [`WouldBlock`](io::ErrorKind::WouldBlock), which is [`Poll::Pending`].
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Sends bytes that the transport has buffered. The default is for transports without a buffer.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that no more bytes follow. It is polled once, because a peer that does not read must not keep the
    /// connection.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Prepares the transport for an abrupt end: it is dropped next, and what it has not sent by then is of no use
    /// ([X7](crate::rules#x7)). A socket is set to be reset, so that the operating system keeps nothing of it. The default
    /// shuts the transport down.
    fn abort(&mut self, cx: &mut Context<'_>) {
        let _ = self.poll_shut_down(cx);
    }
}

/// A connection and its socket.
pub(crate) struct SocketConnection<S> {
    pub(crate) writer: ConnectionWriter,
    pub(crate) socket: S,
    /// Bytes were written that the transport may still buffer.
    is_flushing: bool,
    unread_bytes: u32,
}

/// The outcome of a pass over a connection.
pub(crate) enum Step {
    /// A wake-up is registered.
    Idle,
    /// There may be more to read or write now.
    Continue,
    /// The hub ended the connection. The transport was shut down or aborted.
    Closed(CloseReason),
    PeerClosed,
    Failed(io::Error),
}

impl Step {
    /// Returns the outcome of a pass that waits for its wake-up, unless there is more to read.
    fn waiting(has_more_to_read: bool) -> Step {
        if has_more_to_read { Step::Continue } else { Step::Idle }
    }
}

impl<S: Socket> SocketConnection<S> {
    pub(crate) fn new(outbound: Outbound, framing: Framing, socket: S) -> SocketConnection<S> {
        let writer = ConnectionWriter::new(outbound, framing);
        SocketConnection { writer, socket, is_flushing: false, unread_bytes: 0 }
    }

    /// Reads and writes until there is nothing more to do, up to a bound.
    pub(crate) fn run_pass(&mut self, cx: &mut Context<'_>, scratch: &mut Vec<u8>) -> Step {
        let target = WakeTargetRef::Task(cx.waker());
        let has_more_to_read = match self.begin_pass(cx, target) {
            Ok(has_more_to_read) => has_more_to_read,
            Err(step) => return step,
        };
        for _ in 0..WRITES_PER_PASS {
            let socket = &mut self.socket;
            let written = self.writer.poll_write(cx, scratch, |cx, slices| socket.poll_write(cx, slices));
            let written = self.flush_after(cx, target, written);
            if let Some(step) = self.step_after(cx, target, written, has_more_to_read) {
                return step;
            }
        }
        Step::Continue
    }

    /// Begins a pass: drops what the peer sent, and flushes what was written before. Returns whether there is more to read,
    /// or the outcome of a pass that ends with this.
    pub(crate) fn begin_pass(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
    ) -> Result<bool, Step> {
        let has_more_to_read = match self.drop_unread(cx) {
            Ok(Some(has_more)) => has_more,
            Ok(None) => {
                self.socket.abort(cx);
                return Err(Step::PeerClosed);
            }
            Err(error) => {
                self.socket.abort(cx);
                return Err(Step::Failed(error));
            }
        };
        let flushed = if self.is_flushing { self.poll_flush(cx, target) } else { Poll::Ready(Ok(true)) };
        self.step_after(cx, target, flushed, has_more_to_read).map_or(Ok(has_more_to_read), Err)
    }

    /// Writes what [`ConnectionWriter::next_write`] returned, and flushes it.
    pub(crate) fn write(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
        next: NextWrite,
        scratch: &[u8],
    ) -> Poll<io::Result<bool>> {
        let socket = &mut self.socket;
        let written =
            self.writer.write_next(cx, target, next, scratch, |cx, slices| socket.poll_write(cx, slices));
        self.flush_after(cx, target, written)
    }

    /// Returns the outcome of the pass after a write; `None` when there may be more to write.
    pub(crate) fn step_after(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
        written: Poll<io::Result<bool>>,
        has_more_to_read: bool,
    ) -> Option<Step> {
        Some(match written {
            Poll::Ready(Ok(true)) => return None,
            Poll::Ready(Ok(false)) => match self.writer.poll_ended_for(target) {
                Poll::Ready(reason) => {
                    self.end(cx, reason);
                    Step::Closed(reason)
                }
                // The driver has not reported the reason yet. The next pass finds the same end.
                Poll::Pending => Step::waiting(has_more_to_read),
            },
            Poll::Ready(Err(error)) => {
                self.socket.abort(cx);
                Step::Failed(error)
            }
            Poll::Pending => Step::waiting(has_more_to_read),
        })
    }

    /// Flushes after a successful write: bytes count as taken only when they are flushed.
    fn flush_after(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
        written: Poll<io::Result<bool>>,
    ) -> Poll<io::Result<bool>> {
        if matches!(written, Poll::Ready(Ok(true))) { self.poll_flush(cx, target) } else { written }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, target: WakeTargetRef<'_>) -> Poll<io::Result<bool>> {
        self.is_flushing = self.socket.poll_flush(cx)?.is_pending();
        if !self.is_flushing {
            return Poll::Ready(Ok(true));
        }
        self.writer.poll_ended_for(target).map(|_| Ok(false))
    }

    /// Drops what the peer sent, and returns whether there may be more of it; `None` when the peer disconnected.
    fn drop_unread(&mut self, cx: &mut Context<'_>) -> io::Result<Option<bool>> {
        let mut buffer = [0; 512];
        for _ in 0..READS_PER_PASS {
            match self.socket.poll_read(cx, &mut buffer)? {
                Poll::Pending => return Ok(Some(false)),
                Poll::Ready(0) => return Ok(None),
                Poll::Ready(count) => {
                    let count = u32::try_from(count).unwrap_or(u32::MAX);
                    self.unread_bytes = self.unread_bytes.saturating_add(count);
                }
            }
            if self.unread_bytes > MAX_UNREAD {
                let text = "client sent more than 1 MiB after its request";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(Some(true))
    }

    /// Ends the transport: abruptly, or with the bytes that it buffers.
    fn end(&mut self, cx: &mut Context<'_>, reason: CloseReason) {
        if reason.is_abrupt() || self.writer.is_cut() {
            return self.socket.abort(cx);
        }
        let _ = self.socket.poll_flush(cx);
        let _ = self.socket.poll_shut_down(cx);
    }
}
