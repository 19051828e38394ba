//! An in-memory transport with every permitted behaviour of transports, and the peer at its other end.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use hyper::rt::{Read, ReadBufCursor, Write};

/// The behaviour of a transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// The largest number of bytes that one call moves.
    pub(crate) max_bytes: usize,
    /// Whether each call is pending once before it is ready.
    pub(crate) pending: bool,
    /// Whether written bytes stay in a buffer until they are flushed.
    pub(crate) buffers: bool,
    pub(crate) vectored: bool,
}

impl Behaviour {
    pub(crate) const ORDERLY: Behaviour =
        Behaviour { max_bytes: usize::MAX, pending: false, buffers: false, vectored: true };
    pub(crate) const WORST: Behaviour =
        Behaviour { max_bytes: 1, pending: true, buffers: true, vectored: false };

    pub(crate) fn all() -> Vec<Behaviour> {
        let mut all = Vec::new();
        for max_bytes in [1, 7, usize::MAX] {
            for bits in 0..8 {
                let [pending, buffers, vectored] = [1, 2, 4].map(|bit| bits & bit > 0);
                all.push(Behaviour { max_bytes, pending, buffers, vectored });
            }
        }
        all
    }
}

/// The server's end of the transport.
#[derive(Debug)]
pub(crate) struct Transport {
    state: Arc<Mutex<State>>,
    behaviour: Behaviour,
    read: Alternating,
    write: Alternating,
    flush: Alternating,
}

/// The client's end of the transport.
#[derive(Clone)]
pub(crate) struct Peer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    sent: VecDeque<u8>,
    is_half_closed: bool,
    buffered: VecDeque<u8>,
    received: Vec<u8>,
    writes: usize,
    is_blocked: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    shut_down: bool,
    dropped: bool,
}

pub(crate) fn transport(behaviour: Behaviour) -> (Peer, Transport) {
    let state = Arc::new(Mutex::new(State::default()));
    let alternating = Alternating { pending: behaviour.pending, was_pending: false };
    let transport = Transport {
        state: Arc::clone(&state),
        behaviour,
        read: alternating,
        write: alternating,
        flush: alternating,
    };
    (Peer(state), transport)
}

impl Peer {
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        let mut state = self.lock();
        state.sent.extend(bytes.as_ref());
        wake(&mut state.reader);
    }

    /// Closes the sending direction.
    pub(crate) fn half_close(&self) {
        let mut state = self.lock();
        state.is_half_closed = true;
        wake(&mut state.reader);
    }

    /// Sets whether the peer takes no bytes.
    pub(crate) fn set_blocked(&self, is_blocked: bool) {
        let mut state = self.lock();
        state.is_blocked = is_blocked;
        wake(&mut state.writer);
    }

    /// Returns the number of writes that succeeded.
    pub(crate) fn writes(&self) -> usize {
        self.lock().writes
    }

    pub(crate) fn received(&self) -> String {
        String::from_utf8_lossy(&self.lock().received).into_owned()
    }

    /// Returns the number of sent bytes that the server has not read.
    pub(crate) fn unread(&self) -> usize {
        self.lock().sent.len()
    }

    /// Returns the number of written bytes that are not flushed.
    pub(crate) fn buffered(&self) -> usize {
        self.lock().buffered.len()
    }

    /// Returns whether the server shut down or dropped the transport.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.lock();
        state.shut_down || state.dropped
    }

    /// Returns whether the server shut down the transport.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.lock().shut_down
    }

    /// Waits until the received bytes end with `end`.
    pub(crate) async fn receives(&self, end: &str) {
        run_until(end, || self.received().ends_with(end)).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

/// Runs other tasks until a condition holds, without advancing the time.
pub(crate) async fn run_until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{what:?} did not happen");
}

impl Transport {
    /// Moves bytes to the peer, up to the limit of one call.
    fn accept<'a>(&mut self, cx: &mut Context<'_>, slices: impl Iterator<Item = &'a [u8]>) -> Poll<usize> {
        let mut state = self.state.lock().unwrap();
        if state.is_blocked {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.write.is_pending(cx) {
            return Poll::Pending;
        }
        let bytes: Vec<u8> = slices.flatten().copied().take(self.behaviour.max_bytes).collect();
        state.writes += 1;
        if self.behaviour.buffers {
            state.buffered.extend(&bytes);
        } else {
            state.received.extend(&bytes);
        }
        Poll::Ready(bytes.len())
    }
}

impl Read for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut state = this.state.lock().unwrap();
        if state.sent.is_empty() && !state.is_half_closed {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if this.read.is_pending(cx) {
            return Poll::Pending;
        }
        let count = state.sent.len().min(this.behaviour.max_bytes).min(buffer.remaining());
        let bytes: Vec<u8> = state.sent.drain(..count).collect();
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl Write for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().accept(cx, std::iter::once(bytes)).map(Ok)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().accept(cx, slices.iter().map(|slice| &**slice)).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.behaviour.vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut state = this.state.lock().unwrap();
        loop {
            if state.is_blocked && !state.buffered.is_empty() {
                state.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if this.flush.is_pending(cx) {
                return Poll::Pending;
            }
            if state.buffered.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let count = state.buffered.len().min(this.behaviour.max_bytes);
            let bytes: Vec<u8> = state.buffered.drain(..count).collect();
            state.received.extend(bytes);
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.lock().unwrap().shut_down = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.state.lock().unwrap().dropped = true;
    }
}

/// Pending at every other call, with an immediate wake-up.
#[derive(Clone, Copy, Debug)]
struct Alternating {
    pending: bool,
    was_pending: bool,
}

impl Alternating {
    fn is_pending(&mut self, cx: &mut Context<'_>) -> bool {
        self.was_pending = self.pending && !self.was_pending;
        if self.was_pending {
            cx.waker().wake_by_ref();
        }
        self.was_pending
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
