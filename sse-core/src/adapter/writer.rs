//! The writer of one connection: it frames pending bytes, handles short writes, and ends the stream.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::vec::Vec;

use bytes::{Buf, Bytes};

use crate::shared::lock::Locked;
use crate::shared::wakers::{PreparedTarget, WakeTargetRef};
use crate::shared::{LARGE_FRAME, Outbound, SharedHub, WRITE_BYTES};
use crate::{Claim, CloseReason};

use super::Framing;
use super::chunk::{CHUNK_END, Chunk, TRAILER};

/// A connection on a transport that reports how many bytes of a write it took.
///
/// Pending frames are framed and written together ([X9](crate::rules#x9)). Their bytes are [claimed](crate::Claim)
/// until the transport has taken them, so the stall timeout measures the peer and not a buffer ([T3](crate::rules#t3)).
///
/// It knows no sockets: the caller supplies the write.
///
/// ```
/// use std::io::Write;
/// use std::task::{Context, Poll, Waker};
///
/// use sse_core::adapter::{ConnectionWriter, Framing};
/// # use sse_core::shared::SharedHub;
/// # use sse_core::{ConnectionConfig, HubConfig, Instant};
/// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
///
/// let mut writer = ConnectionWriter::new(hub.connect(ConnectionConfig::default())?, Framing::Chunked);
/// let (mut wire, mut scratch) = (Vec::new(), Vec::new());
/// let mut cx = Context::from_waker(Waker::noop());
/// let written = writer.poll_write(&mut cx, &mut scratch, |_, slices| Poll::Ready(wire.write_vectored(slices)));
/// assert!(matches!(written, Poll::Ready(Ok(true))), "everything was written");
/// assert_eq!(wire, b"24\r\nid: 1k9f2-0\nevent: position\ndata: \n\n\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ConnectionWriter {
    outbound: Outbound,
    framing: Framing,
    state: WriteState,
    /// The claim of the last write, until it is confirmed.
    claim: Option<Claim>,
}

/// What the transport took of the last chunk. The numbers are short, because idle connections have them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteState {
    /// The whole chunk.
    Idle,
    /// The first `sent` bytes of a chunk with `len` bytes of payload, with the framing. The hub has the rest of the payload.
    Partial { len: u32, sent: u32 },
    /// The whole payload and the first `sent` bytes of [`TRAILER`].
    Terminating { sent: u8 },
    /// The end of the stream, as far as the transport took it at once.
    Finished,
}

/// What is written next.
pub(crate) enum NextWrite {
    /// Nothing: nothing is pending, and a wake-up is registered.
    Idle,
    /// The end of the stream, as far as the transport takes it at once: the connection has ended.
    Closed,
    /// The chunk that is in the scratch buffer from `at` on.
    Copied { at: usize, chunk: Chunk },
    /// A chunk with `sent` bytes written. Its unsent payload is `rest`.
    Frame { rest: Bytes, sent: usize, chunk: Chunk },
    /// The bytes of [`TRAILER`] from `sent` up to `end`.
    Trailer { sent: usize, end: usize },
}

/// A function that writes to the transport, as [`Socket::poll_write`](super::Socket::poll_write).
pub(crate) trait PollWrite:
    FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>
{
}

impl<F: FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>> PollWrite for F {}

impl ConnectionWriter {
    /// Creates the writer of a connection.
    pub fn new(outbound: Outbound, framing: Framing) -> ConnectionWriter {
        ConnectionWriter { outbound, framing, state: WriteState::Idle, claim: None }
    }

    /// Writes pending bytes by `write`, which is called with contiguous bytes where possible.
    ///
    /// - `Ready(Ok(true))`: everything was written. Call again.
    /// - `Ready(Ok(false))`: the connection has ended, and the end of the stream was written if it can be. Close the
    ///   transport.
    /// - `Pending`: nothing is pending, or the transport is full. The waker is woken when that changes.
    ///
    /// `scratch` is a buffer for one write. Writers of one thread can share it: nothing is kept in it between calls.
    ///
    /// # Errors
    ///
    /// Those of `write`, and [`WriteZero`](io::ErrorKind::WriteZero) when `write` takes no bytes.
    ///
    /// # Cost
    ///
    /// One lock of the hub, which also confirms the bytes of the call before; a second one after a short write. Up to 16 KiB
    /// are copied into one chunk. A frame of 8 KiB or more is not copied. After a short write, the rest of a copied chunk is
    /// copied once more.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Vec<u8>,
        write: impl FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<bool>> {
        scratch.clear();
        let target = WakeTargetRef::Task(cx.waker());
        let mut prepared = target.prepare();
        let hub = self.hub().clone();
        let next = self.next_write(&mut hub.lock(), &mut prepared, scratch);
        self.write_next(cx, target, next, scratch, write)
    }

    /// Waits for the end of the connection, as [`Outbound::poll_ended`].
    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.outbound.poll_ended(cx)
    }

    /// Waits for the end of the connection, and registers any wake target.
    pub(crate) fn poll_ended_for(&self, target: WakeTargetRef<'_>) -> Poll<CloseReason> {
        self.outbound.poll_ended_for(target)
    }

    /// Returns whether the transport took a part of a chunk: no end of the stream can follow it.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.state, WriteState::Partial { .. })
    }

    pub(crate) fn hub(&self) -> &SharedHub {
        self.outbound.hub()
    }

    /// The first half of [`poll_write`](ConnectionWriter::poll_write), under the lock: confirms the bytes of the last write,
    /// and claims pending bytes. A copy of them is appended to `scratch`.
    pub(crate) fn next_write(
        &mut self,
        state: &mut Locked<'_>,
        target: &mut PreparedTarget<'_>,
        scratch: &mut Vec<u8>,
    ) -> NextWrite {
        if let Some(next) = self.confirm_or_terminate(state) {
            return next;
        }
        let next = match self.state {
            WriteState::Terminating { sent } if state.hub.is_connection_open(self.outbound.id()) => {
                return NextWrite::Trailer { sent: sent.into(), end: CHUNK_END };
            }
            WriteState::Partial { len, sent } => self.claim_frame(state, Some((len as usize, sent as usize))),
            WriteState::Idle | WriteState::Terminating { .. } | WriteState::Finished => {
                self.claim_pending(state, scratch)
            }
        };
        let registration = self.outbound.registration();
        if let Some(next) = next {
            state.notify_capacity(registration);
            return next;
        }
        let is_open = state.hub.is_connection_open(self.outbound.id());
        if is_open && state.register(registration, target) { NextWrite::Idle } else { NextWrite::Closed }
    }

    /// Confirms the claim of the last write. If that completes the stream, the end of the stream is written before, while the
    /// claim is still out: so the peer has the stall timeout for it (T3).
    fn confirm_or_terminate(&mut self, state: &mut Locked<'_>) -> Option<NextWrite> {
        let (now, claim) = (state.now, self.claim.take()?);
        let sent = self.trailer_sent().filter(|_| state.hub.completes(&claim));
        if let Some(sent) = sent {
            self.claim = Some(claim);
            return Some(NextWrite::Trailer { sent, end: TRAILER.len() });
        }
        state.hub.confirm(now, claim);
        None
    }

    /// Claims the pending bytes of one write.
    fn claim_pending(&mut self, state: &mut Locked<'_>, scratch: &mut Vec<u8>) -> Option<NextWrite> {
        let (now, at) = (state.now, scratch.len());
        let window = state.hub.transmit(now, self.outbound.id());
        let len = window.bytes_within(WRITE_BYTES);
        if len == 0 {
            return None;
        }
        if len >= LARGE_FRAME && window.chunk().len() >= LARGE_FRAME {
            drop(window);
            return self.claim_frame(state, None);
        }
        let mut chunk = Chunk::new(self.framing, len);
        scratch.extend_from_slice(chunk.head());
        let claim = window.claim_into(WRITE_BYTES, scratch)?;
        if state.hub.completes(&claim) {
            chunk.make_last();
        }
        scratch.extend_from_slice(chunk.trailer());
        self.claim = Some(claim);
        Some(NextWrite::Copied { at, chunk })
    }

    /// Claims a frame without a copy: the first pending frame, or the unsent payload of a chunk. `partial` has the payload
    /// length of that chunk, and the bytes written of it.
    fn claim_frame(&mut self, state: &mut Locked<'_>, partial: Option<(usize, usize)>) -> Option<NextWrite> {
        let now = state.now;
        let (rest, claim) = state.hub.transmit(now, self.outbound.id()).claim_frame()?;
        let (len, sent) = partial.unwrap_or((rest.len(), 0));
        let mut chunk = Chunk::new(self.framing, len);
        if state.hub.completes(&claim) {
            chunk.make_last();
        }
        self.claim = Some(claim);
        Some(NextWrite::Frame { rest, sent, chunk })
    }

    /// The second half of [`poll_write`](ConnectionWriter::poll_write), without the lock: writes what
    /// [`next_write`](ConnectionWriter::next_write) returned.
    pub(crate) fn write_next(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
        next: NextWrite,
        scratch: &[u8],
        mut write: impl PollWrite,
    ) -> Poll<io::Result<bool>> {
        match next {
            NextWrite::Idle => Poll::Pending,
            NextWrite::Closed => {
                self.write_end(cx, write);
                Poll::Ready(Ok(false))
            }
            NextWrite::Copied { at, chunk } => {
                let framed = scratch.get(at..).unwrap_or_default().get(..chunk.total()).unwrap_or_default();
                let sent = write_from(0, chunk.total(), |sent| {
                    write(cx, &[IoSlice::new(framed.get(sent..).unwrap_or_default())])
                })?;
                self.after_write(target, &chunk, sent, || {
                    Bytes::copy_from_slice(chunk.unsent_in(framed, sent))
                })
            }
            NextWrite::Frame { rest, sent, chunk } => {
                let sent = write_from(sent, chunk.total(), |sent| {
                    chunk.slices(&rest, sent, |slices| write(cx, slices))
                })?;
                self.after_write(target, &chunk, sent, || chunk.unsent(&rest, sent))
            }
            NextWrite::Trailer { sent, end } => {
                let sent = write_trailer(cx, sent, end, write)?;
                self.after_trailer(target, sent, end)
            }
        }
    }

    /// Records how many bytes of a chunk the transport took. After a short write, the hub gets the unsent payload back, and
    /// the end of the connection wakes the writer: the transport alone might never do so.
    fn after_write(
        &mut self,
        target: WakeTargetRef<'_>,
        chunk: &Chunk,
        sent: usize,
        rest: impl FnOnce() -> Bytes,
    ) -> Poll<io::Result<bool>> {
        if sent >= chunk.payload_end() {
            let trailer_sent = sent.saturating_sub(chunk.payload_end());
            return self.after_trailer(target, trailer_sent, chunk.trailer().len());
        }
        self.state = WriteState::partial(chunk.payload_len(), sent)?;
        let rest = rest();
        let mut target = target.prepare();
        let mut state = self.outbound.hub().lock();
        let now = state.now;
        if let Some(claim) = self.claim.take() {
            // If the connection has ended meanwhile, the next call finds that.
            state.hub.put_back(now, claim, rest);
        }
        state.register_for_end(self.outbound.registration(), &mut target);
        Poll::Pending
    }

    /// Records how many bytes of the trailer the transport took.
    fn after_trailer(
        &mut self,
        target: WakeTargetRef<'_>,
        sent: usize,
        end: usize,
    ) -> Poll<io::Result<bool>> {
        if sent >= end {
            self.state = if end > CHUNK_END { WriteState::Finished } else { WriteState::Idle };
            return Poll::Ready(Ok(true));
        }
        self.state = WriteState::Terminating { sent: u8::try_from(sent).unwrap_or(u8::MAX) };
        let mut target = target.prepare();
        let mut state = self.outbound.hub().lock();
        let now = state.now;
        if let Some(claim) = self.claim.take_if(|_| end == CHUNK_END) {
            // The transport took the whole payload. That the end of the chunk is missing is no concern of the hub.
            state.hub.confirm(now, claim);
        }
        state.register_for_end(self.outbound.registration(), &mut target);
        Poll::Pending
    }

    /// Writes the end of the stream after the connection has ended, as far as the transport takes it at once: the hub has no
    /// timeout for it any more.
    fn write_end(&mut self, cx: &mut Context<'_>, write: impl PollWrite) {
        if let Some(sent) = self.trailer_sent() {
            let _ = write_trailer(cx, sent, TRAILER.len(), write);
            self.state = WriteState::Finished;
        }
    }

    /// Returns how many bytes of [`TRAILER`] were written; `None` if the end of the stream cannot be written.
    fn trailer_sent(&self) -> Option<usize> {
        match (self.framing, self.state) {
            (Framing::Chunked, WriteState::Idle) => Some(CHUNK_END),
            (Framing::Chunked, WriteState::Terminating { sent }) => Some(sent.into()),
            _ => None,
        }
    }
}

impl WriteState {
    /// # Errors
    ///
    /// A frame has less than 4 GiB, but the last few of them do not leave room for the framing.
    fn partial(len: usize, sent: usize) -> io::Result<WriteState> {
        let short = |count: usize| u32::try_from(count).map_err(io::Error::other);
        Ok(WriteState::Partial { len: short(len)?, sent: short(sent)? })
    }
}

/// Writes the bytes of [`TRAILER`] from `sent` up to `end`, and returns how many of its bytes are written then.
fn write_trailer(
    cx: &mut Context<'_>,
    sent: usize,
    end: usize,
    mut write: impl PollWrite,
) -> io::Result<usize> {
    write_from(sent, end, |sent| write(cx, &[IoSlice::new(TRAILER.get(sent..end).unwrap_or_default())]))
}

/// Calls `write` with the number of bytes sent until it is pending or `total` bytes are sent; returns how many are.
fn write_from(
    mut sent: usize,
    total: usize,
    mut write: impl FnMut(usize) -> Poll<io::Result<usize>>,
) -> io::Result<usize> {
    while sent < total {
        match write(sent) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => sent = sent.saturating_add(count),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }
    Ok(sent)
}
