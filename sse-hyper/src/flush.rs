//! Detection of the moment at which a response head has left hyper. hyper does not report it.
//!
//! The body of a subscription returns the first pending bytes, if they are few, and is pending from then on. Head and first
//! bytes therefore go out in one write. hyper polls the body after it has put the head into its write buffer, and flushes
//! the transport only when that buffer is empty. A flush that succeeds after the body was pending thus proves that the head
//! and the first bytes were sent, and nothing else.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use sse_core::Claim;
use sse_core::adapter::Framing;
use sse_core::shared::Outbound;

/// The progress of one HTTP connection towards its hand-over. The body and the transport inside hyper share it with the
/// future outside. One task polls all of them.
#[derive(Clone, Default)]
pub(crate) struct HandOver(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    subscription: Option<(Outbound, Framing)>,
    /// The claim of the first bytes, which go out with the head.
    first_claim: Option<Claim>,
    head: HeadState,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum HeadState {
    /// Not yet in hyper's write buffer.
    #[default]
    Unwritten,
    /// In the write buffer of hyper or of the transport, together with the first bytes.
    Buffered,
    /// Flushed by the transport, together with the first bytes.
    Flushed,
}

impl HandOver {
    /// Begins the hand-over: a response is an event stream.
    pub(crate) fn begin(&self, outbound: Outbound, framing: Framing) {
        self.lock().subscription = Some((outbound, framing));
    }

    /// Takes the detected subscription.
    pub(crate) fn take_subscription(&self) -> Option<(Outbound, Framing)> {
        self.lock().subscription.take()
    }

    /// Returns the first bytes for the body, at most once. hyper polls the body again after a flush that succeeded, and
    /// the hand-over would lose any bytes that hyper received then.
    pub(crate) fn first_bytes(&self) -> Option<Bytes> {
        let mut state = self.lock();
        if state.head == HeadState::Unwritten
            && state.first_claim.is_none()
            && let Some((outbound, _)) = &mut state.subscription
            && let Some((bytes, claim)) = outbound.claim_first()
        {
            state.first_claim = Some(claim);
            return Some(bytes);
        }
        if state.head == HeadState::Unwritten {
            state.head = HeadState::Buffered;
        }
        None
    }

    /// Takes the claim of the first bytes, to confirm it when they are flushed.
    pub(crate) fn take_first_claim(&self) -> Option<Claim> {
        self.lock().first_claim.take()
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

/// A transport that reports its flushes to a [`HandOver`].
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
