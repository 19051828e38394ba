//! A connection on a socket, or on another transport of its own.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec::Vec;

use crate::CloseReason;

use crate::shared::Outbound;
use crate::shared::wakers::WakeTargetRef;

use super::Framing;
use super::writer::{ConnectionWriter, Load};

/// How many writes one look at a connection may make: then the others take their turns.
pub(crate) const WRITES_PER_LOOK: usize = 4;

/// How many reads one look may make.
const READS_PER_LOOK: usize = 4;

/// What a client may still send, in bytes, before it is taken for one that means harm: the rest of a request's body is
/// legal, and nobody reads it.
const MOST_UNREAD: u32 = 1024 * 1024;

/// A transport that never blocks: what an adapter has to say of a socket, and no more.
///
/// The adapters' `attach.rs` and `write.rs` are examples: each call is one of the transport.
pub trait Socket {
    /// Whether it wakes whom it was polled by when it is ready again. One of [`SocketSet`](super::Lines) need not, if its
    /// adapter has a reactor of its own and calls [`SocketSet::wake`](super::SocketSet::wake): that saves a waker of 48 bytes.
    fn registers_waker(&self) -> bool {
        true
    }

    /// Reads what the peer sent; zero bytes are its end. Where the transport cannot be read, it is pending for ever.
    ///
    /// # Errors
    ///
    /// Those of the transport; never [`WouldBlock`](io::ErrorKind::WouldBlock), which is pending.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some of the bytes.
    ///
    /// # Errors
    ///
    /// Those of the transport; never [`WouldBlock`](io::ErrorKind::WouldBlock), which is pending.
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Sends what the transport buffers, if it does.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Says to the peer that nothing more comes. It is polled once: nobody waits for a peer that does not read.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A connection and its transport.
pub(crate) struct Wired<S> {
    pub(crate) line: ConnectionWriter,
    pub(crate) socket: S,
    /// Something was written that the transport may hold.
    is_flushing: bool,
    unread: u32,
}

/// How far a look at a connection came.
pub(crate) enum Served {
    /// It waits for being woken.
    All,
    /// There may be more to do.
    Part,
    /// The hub ended it, and the peer was told.
    Ended,
    /// The peer is gone.
    Gone,
    Failed(io::Error),
}

impl<S: Socket> Wired<S> {
    pub(crate) fn new(outbound: Outbound, framing: Framing, socket: S) -> Wired<S> {
        Wired { line: ConnectionWriter::new(outbound, framing), socket, is_flushing: false, unread: 0 }
    }

    /// Reads and writes what there is, up to a bound.
    fn serve(&mut self, cx: &mut Context<'_>, scratch: &mut Vec<u8>) -> Served {
        let target = WakeTargetRef::Task(cx.waker());
        let has_more_to_read = match self.begin(cx, target) {
            Ok(has_more_to_read) => has_more_to_read,
            Err(served) => return served,
        };
        for _ in 0..WRITES_PER_LOOK {
            let socket = &mut self.socket;
            let written = self.line.poll_write(cx, scratch, |cx, slices| socket.poll_write(cx, slices));
            let written = self.flush(cx, target, written);
            if let Some(served) = self.wrote(cx, written, has_more_to_read) {
                return served;
            }
        }
        Served::Part
    }

    /// Begins a look: drops what the peer sent, and flushes what was written. It says whether there is more to read, or
    /// what else there is to do when the look is over with that.
    pub(crate) fn begin(&mut self, cx: &mut Context<'_>, target: WakeTargetRef<'_>) -> Result<bool, Served> {
        let has_more_to_read = match self.drop_unread(cx) {
            Ok(Some(has_more)) => has_more,
            Ok(None) => return Err(Served::Gone),
            Err(error) => return Err(Served::Failed(error)),
        };
        let flushed = if self.is_flushing { self.poll_flush(cx, target) } else { Poll::Ready(Ok(true)) };
        self.wrote(cx, flushed, has_more_to_read).map_or(Ok(has_more_to_read), Err)
    }

    /// Writes what [`ConnectionWriter::load`] found, as [`ConnectionWriter::poll_write`] does.
    pub(crate) fn send(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
        load: Load,
        scratch: &[u8],
    ) -> Poll<io::Result<bool>> {
        let socket = &mut self.socket;
        let written = self.line.send(cx, target, load, scratch, |cx, slices| socket.poll_write(cx, slices));
        self.flush(cx, target, written)
    }

    /// What follows from a write; `None` when there may be more to write.
    pub(crate) fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<bool>>,
        has_more_to_read: bool,
    ) -> Option<Served> {
        Some(match written {
            Poll::Ready(Ok(true)) => return None,
            Poll::Ready(Ok(false)) => {
                self.end(cx);
                Served::Ended
            }
            Poll::Ready(Err(error)) => Served::Failed(error),
            Poll::Pending if has_more_to_read => Served::Part,
            Poll::Pending => Served::All,
        })
    }

    /// What was written counts as taken when it was flushed, too: before, the hub waits with the end.
    fn flush(
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
        self.line.poll_ended_for(target).map(|_| Ok(false))
    }

    /// Drops what the peer sent, and says whether there may be more of it; `None` at its end.
    fn drop_unread(&mut self, cx: &mut Context<'_>) -> io::Result<Option<bool>> {
        let mut buffer = [0; 512];
        for _ in 0..READS_PER_LOOK {
            match self.socket.poll_read(cx, &mut buffer)? {
                Poll::Pending => return Ok(Some(false)),
                Poll::Ready(0) => return Ok(None),
                Poll::Ready(count) => {
                    self.unread = self.unread.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                }
            }
            if self.unread > MOST_UNREAD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the client sends and sends"));
            }
        }
        Ok(Some(true))
    }

    /// Says that the stream is complete, if the transport has room for it.
    fn end(&mut self, cx: &mut Context<'_>) {
        let mark = self.line.end_mark();
        if !mark.is_empty() {
            let _ = self.socket.poll_write(cx, &[IoSlice::new(mark)]);
            let _ = self.socket.poll_flush(cx);
        }
        let _ = self.socket.poll_shut_down(cx);
    }
}

/// Drives one connection on one transport, as a future: until it ended, or the peer went, and says why.
///
/// It fails as the transport does. Dropping it disconnects (X4).
pub struct ServeConnection<S> {
    wired: Wired<S>,
    scratch: Vec<u8>,
    has_ended: bool,
}

impl<S: Socket> ServeConnection<S> {
    /// Lays a connection on a transport.
    pub fn new(outbound: Outbound, framing: Framing, socket: S) -> ServeConnection<S> {
        ServeConnection {
            wired: Wired::new(outbound, framing, socket),
            scratch: Vec::new(),
            has_ended: false,
        }
    }
}

impl<S: Socket + Unpin> Future for ServeConnection<S> {
    type Output = io::Result<CloseReason>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<CloseReason>> {
        let ServeConnection { wired, scratch, has_ended } = &mut *self;
        if !*has_ended {
            match wired.serve(cx, scratch) {
                Served::All => return Poll::Pending,
                Served::Part => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Served::Gone => return Poll::Ready(Ok(CloseReason::Disconnected)),
                Served::Failed(error) => return Poll::Ready(Err(error)),
                Served::Ended => *has_ended = true,
            }
        }
        let reason = ready!(wired.line.poll_ended(cx));
        Poll::Ready(Ok(reason))
    }
}

impl<S> core::fmt::Debug for ServeConnection<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Serve").field(&self.wired.line).finish()
    }
}
