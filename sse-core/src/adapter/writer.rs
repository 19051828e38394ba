//! One connection on a transport that says how much of a write it took.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::vec::Vec;

use bytes::{Buf, Bytes};

use crate::CloseReason;
use crate::hub::Transmit;

use crate::shared::lock::Locked;
use crate::shared::wakers::WakeTargetRef;
use crate::shared::{LARGE_FRAME, Outbound, SharedHub, WRITE_BYTES, copy, share};

use super::Framing;
use super::chunk::{Chunk, LAST_CHUNK};

/// A connection on a transport of its own: what is due is framed and written together (X9), and the hub hears how much
/// of it the transport took. So the stall time counts what the peer takes, not what was buffered for it (T3).
///
/// Adapters drive it on whatever they write to; it knows nothing of sockets.
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
/// let mut line = ConnectionWriter::new(hub.connect(ConnectionConfig::default())?, Framing::Chunked);
/// let (mut wire, mut scratch) = (Vec::new(), Vec::new());
/// let mut cx = Context::from_waker(Waker::noop());
/// let written = line.poll_write(&mut cx, &mut scratch, |_, slices| Poll::Ready(wire.write_vectored(slices)));
/// assert!(matches!(written, Poll::Ready(Ok(true))), "all of it");
/// assert_eq!(wire, b"24\r\nid: 1k9f2-0\nevent: position\ndata: \n\n\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ConnectionWriter {
    outbound: Outbound,
    framing: Framing,
    state: WriteState,
}

/// What became of the bytes that were written last. The numbers are short: an idle connection has them, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteState {
    Idle,
    /// The transport took all of them. The hub still counts the last one as due.
    Unconfirmed,
    /// The transport took the first `sent` of the bytes of a chunk, its framing among them. What is left of the chunk's
    /// `len` bytes is the frame in progress.
    Partial {
        len: u32,
        sent: u32,
    },
    /// The transport took everything, and the first `sent` bytes of the mark that says so. The hub still counts a byte as
    /// due: so the mark has the time that the peer has for everything else.
    Terminating {
        sent: u8,
    },
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

/// What is written next.
pub(crate) enum NextWrite {
    /// Nothing is due. The waker is kept.
    Idle,
    /// The connection ended.
    Closed,
    /// Only the mark of the end, of which so many bytes are written.
    EndMark { sent: usize },
    /// A chunk, framed, is in the scratch buffer from `at` on.
    Chunk { len: usize, at: usize },
    /// A frame, or the rest of a chunk, that is not copied.
    Frame { len: usize, sent: usize, rest: Bytes },
}

impl ConnectionWriter {
    /// Lays a connection on a transport.
    pub fn new(outbound: Outbound, framing: Framing) -> ConnectionWriter {
        ConnectionWriter { outbound, framing, state: WriteState::Idle }
    }

    /// Writes what is due together, by `write`, which is given contiguous bytes where that can be. True when all of it was
    /// written: ask again. False when the connection ended: write what [`end_mark`](ConnectionWriter::end_mark) says and close the
    /// transport. Pending when nothing is due or the transport is full, and the waker is woken when that changes.
    ///
    /// `scratch` is room for one write, which the lines of one driver share: nothing is kept in it.
    ///
    /// # Errors
    ///
    /// Those of `write`, and [`WriteZero`](io::ErrorKind::WriteZero) when it takes nothing.
    ///
    /// # Cost
    ///
    /// One turn of the lock to find out what is due, and none to say that it was taken: that is done with the next. A
    /// chunk of up to 16 KiB is copied; a frame of 8 KiB and more is not. What is refused of a chunk that was copied is
    /// copied once more.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Vec<u8>,
        write: impl FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<bool>> {
        scratch.clear();
        let target = WakeTargetRef::Task(cx.waker());
        let next = self.next_write(&mut self.hub().lock(), target, scratch);
        self.write_next(cx, target, next, scratch, write)
    }

    /// Writes what was loaded: the second half of [`poll_write`](ConnectionWriter::poll_write), without the lock.
    pub(crate) fn write_next(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
        next: NextWrite,
        scratch: &[u8],
        mut write: impl FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<bool>> {
        if self.state == WriteState::Unconfirmed {
            // The hub heard of it when this was loaded.
            self.state = WriteState::Idle;
        }
        let (len, rest, mut sent, copied) = match next {
            NextWrite::Idle => return Poll::Pending,
            NextWrite::Closed => return Poll::Ready(Ok(false)),
            NextWrite::EndMark { sent } => return self.poll_end_mark(cx, target, sent, write),
            NextWrite::Chunk { len, at } => (len, None, 0, scratch.get(at..).unwrap_or_default()),
            NextWrite::Frame { len, sent, rest } => (len, Some(rest), sent, Default::default()),
        };
        let frame = Chunk::new(self.framing, len);
        let copied = copied.get(..frame.total()).unwrap_or_default();
        while sent < frame.total() {
            let written = match &rest {
                None => write(cx, &[IoSlice::new(copied.get(sent..).unwrap_or_default())]),
                Some(rest) => frame.slices(rest, sent, |slices| write(cx, slices)),
            };
            match written {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => sent = sent.saturating_add(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let rest = match rest {
                        Some(rest) => frame.unsent_of(rest, sent),
                        None => Bytes::copy_from_slice(frame.unsent_in(copied, sent)),
                    };
                    self.state = WriteState::partial(len, sent)?;
                    self.put_back(target, rest);
                    return Poll::Pending;
                }
            }
        }
        self.state = WriteState::Unconfirmed;
        Poll::Ready(Ok(true))
    }

    /// The hub of the connection.
    pub(crate) fn hub(&self) -> &SharedHub {
        self.outbound.hub()
    }

    /// Waits for the end of the connection, as [`Outbound::poll_ended`].
    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.outbound.poll_ended(cx)
    }

    /// The same, for whoever is to be woken.
    pub(crate) fn poll_ended_for(&self, target: WakeTargetRef<'_>) -> Poll<CloseReason> {
        self.outbound.poll_ended_for(target)
    }

    /// What is still to be written when the connection ended, to say that the stream is complete. Nothing where that was
    /// written, where the end of the transport says it, or where a chunk was cut short.
    pub fn end_mark(&self) -> &'static [u8] {
        match (self.framing, self.state) {
            (Framing::Chunked, WriteState::Idle | WriteState::Unconfirmed) => LAST_CHUNK,
            _ => b"",
        }
    }

    /// Writes the mark of the end. When it is out, the hub hears that the last byte was taken.
    fn poll_end_mark(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
        mut sent: usize,
        mut write: impl FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<bool>> {
        while sent < LAST_CHUNK.len() {
            match write(cx, &[IoSlice::new(LAST_CHUNK.get(sent..).unwrap_or_default())]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => sent = sent.saturating_add(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        self.state = WriteState::Terminating { sent: u8::try_from(sent).unwrap_or(u8::MAX) };
        if sent < LAST_CHUNK.len() {
            let registration = self.outbound.registration();
            self.hub().lock().register_for_end(registration, target);
            return Poll::Pending;
        }
        Poll::Ready(Ok(true))
    }

    /// Notes what was taken of the last write, and finds what is due: the first half of
    /// [`poll_write`](ConnectionWriter::poll_write), under the lock of the hub. What is copied goes behind what is in `scratch`.
    pub(crate) fn next_write(
        &self,
        state: &mut Locked<'_>,
        target: WakeTargetRef<'_>,
        scratch: &mut Vec<u8>,
    ) -> NextWrite {
        let (id, registration, now) = (self.outbound.id(), self.outbound.registration(), state.now);
        let may_be_marked = self.framing == Framing::Chunked && self.state == WriteState::Unconfirmed;
        let is_ending = may_be_marked && state.hub.is_ending(id);
        let mut window = state.hub.transmit(now, id);
        match self.state {
            WriteState::Unconfirmed if is_ending && window.remaining() == 1 => {
                return NextWrite::EndMark { sent: 0 };
            }
            WriteState::Terminating { sent }
                if usize::from(sent) < LAST_CHUNK.len() && window.has_remaining() =>
            {
                return NextWrite::EndMark { sent: sent.into() };
            }
            WriteState::Unconfirmed | WriteState::Terminating { .. } => window.advance(1),
            WriteState::Idle | WriteState::Partial { .. } => {}
        }
        if !window.has_remaining() {
            drop(window);
            state.notify_capacity(registration);
            let waits = state.hub.is_connection_open(id) && state.register(registration, target);
            return if waits { NextWrite::Idle } else { NextWrite::Closed };
        }
        let next = match self.state {
            WriteState::Partial { len, sent } => {
                NextWrite::Frame { len: len as usize, sent: sent as usize, rest: share(&mut window) }
            }
            _ if window.chunk().len() >= LARGE_FRAME => {
                let rest = share(&mut window);
                NextWrite::Frame { len: rest.len(), sent: 0, rest }
            }
            _ => copy_framed(&mut window, self.framing, scratch),
        };
        drop(window);
        state.notify_capacity(registration);
        next
    }

    /// Gives back to the hub what the transport did not take, and waits for the end of the connection meanwhile.
    fn put_back(&mut self, target: WakeTargetRef<'_>, rest: Bytes) {
        let mut state = self.hub().lock();
        let now = state.now;
        // Where the connection ended meanwhile, the next look at it says so.
        state.hub.put_back_tail(now, self.outbound.id(), rest);
        state.register_for_end(self.outbound.registration(), target);
    }
}

/// Copies what goes into one write, framed, behind what is in `scratch`, and takes it out but for its last byte.
fn copy_framed(window: &mut Transmit<'_>, framing: Framing, scratch: &mut Vec<u8>) -> NextWrite {
    let (len, at) = (window.together(WRITE_BYTES), scratch.len());
    let frame = Chunk::new(framing, len);
    scratch.extend_from_slice(frame.head());
    copy(window, len, scratch);
    scratch.extend_from_slice(frame.tail());
    NextWrite::Chunk { len, at }
}
