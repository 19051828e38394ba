//! How it is known that a response head has left hyper, which does not say so itself.
//!
//! The body of a subscription's response has what is due first, if that is not long, and then is never ready: so head and
//! first events are one write. hyper asks it after the head was put in its write buffer, and flushes the transport only when
//! that buffer is empty. So a flush that succeeds after the body was not ready means that these are out, and nothing else.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use sse_core::adapter::Framing;
use sse_core::shared::Outbound;

/// How far one HTTP connection is on its way to become an event stream. Its parts inside hyper and the future outside
/// hold it together; all of them are polled by one task.
#[derive(Clone, Default)]
pub(crate) struct HandOver(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    subscription: Option<(Outbound, Framing)>,
    /// Bytes of the connection go out with the head.
    has_first_bytes: bool,
    head: HeadState,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum HeadState {
    /// Not yet made, or not yet in hyper's write buffer.
    #[default]
    Unwritten,
    /// In hyper's write buffer, or in the transport's, with the first bytes.
    Buffered,
    /// Taken by the transport.
    Flushed,
}

impl HandOver {
    /// A response is an event stream.
    pub(crate) fn begin(&self, outbound: Outbound, framing: Framing) {
        self.lock().subscription = Some((outbound, framing));
    }

    /// The subscription, once.
    pub(crate) fn take_subscription(&self) -> Option<(Outbound, Framing)> {
        self.lock().subscription.take()
    }

    /// The body is asked for bytes. There are some only the first time: hyper asks again after a flush that succeeded, and
    /// what it got then would be lost with it at the hand-over.
    pub(crate) fn first_bytes(&self) -> Option<Bytes> {
        let mut state = self.lock();
        if state.head == HeadState::Unwritten
            && !state.has_first_bytes
            && let Some((outbound, _)) = &mut state.subscription
            && let Some(bytes) = outbound.first_bytes()
        {
            state.has_first_bytes = true;
            return Some(bytes);
        }
        if state.head == HeadState::Unwritten {
            state.head = HeadState::Buffered;
        }
        None
    }

    pub(crate) fn has_first_bytes(&self) -> bool {
        self.lock().has_first_bytes
    }

    pub(crate) fn is_flushed(&self) -> bool {
        self.lock().head == HeadState::Flushed
    }

    fn note_flush(&self) {
        let mut state = self.lock();
        if state.head == HeadState::Buffered {
            state.head = HeadState::Flushed;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transport that notes when it was flushed.
pub(crate) struct FlushWatch<I> {
    pub(crate) io: I,
    hand_over: HandOver,
}

impl<I> FlushWatch<I> {
    pub(crate) fn new(io: I, hand_over: HandOver) -> FlushWatch<I> {
        FlushWatch { io, hand_over }
    }
}

impl<I: Read + Unpin> Read for FlushWatch<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<I: Write + Unpin> Write for FlushWatch<I> {
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.hand_over.note_flush();
        Poll::Ready(Ok(()))
    }

    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
