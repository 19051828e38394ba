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
    flight: Flight,
}

/// The last chunk, which has no bytes (RFC 9112, section 7.1).
const MARK: &[u8] = b"0\r\n\r\n";

/// What became of the bytes that were written last. The numbers are short: an idle connection has them, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    Landed,
    /// The transport took all of them. The hub still counts the last one as due.
    Taken,
    /// The transport took the first `sent` of the bytes of a chunk, its framing among them. What is left of the chunk's
    /// `len` bytes is the frame in progress.
    Refused {
        len: u32,
        sent: u32,
    },
    /// The transport took everything, and the first `sent` bytes of the mark that says so. The hub still counts a byte as
    /// due: so the mark has the time that the peer has for everything else.
    Marking {
        sent: u8,
    },
}

impl Flight {
    /// # Errors
    ///
    /// A frame has less than 4 GiB, but the last few of them do not leave room for the framing.
    fn refused(len: usize, sent: usize) -> io::Result<Flight> {
        let short = |count: usize| u32::try_from(count).map_err(io::Error::other);
        Ok(Flight::Refused { len: short(len)?, sent: short(sent)? })
    }
}

/// What is written next.
pub(crate) enum Load {
    /// Nothing is due. The waker is kept.
    Nothing,
    /// The connection ended.
    Ended,
    /// Only the mark of the end, of which so many bytes are written.
    Mark { sent: usize },
    /// A chunk, framed, is in the scratch buffer from `at` on.
    Copied { len: usize, at: usize },
    /// A frame, or the rest of a chunk, that is not copied.
    Shared { len: usize, sent: usize, rest: Bytes },
}

impl ConnectionWriter {
    /// Lays a connection on a transport.
    pub fn new(outbound: Outbound, framing: Framing) -> ConnectionWriter {
        ConnectionWriter { outbound, framing, flight: Flight::Landed }
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
        let load = self.load(&mut self.hub().lock(), target, scratch);
        self.send(cx, target, load, scratch, write)
    }

    /// Writes what was loaded: the second half of [`poll_write`](ConnectionWriter::poll_write), without the lock.
    pub(crate) fn send(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
        load: Load,
        scratch: &[u8],
        mut write: impl FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<bool>> {
        if self.flight == Flight::Taken {
            // The hub heard of it when this was loaded.
            self.flight = Flight::Landed;
        }
        let (len, rest, mut sent, copied) = match load {
            Load::Nothing => return Poll::Pending,
            Load::Ended => return Poll::Ready(Ok(false)),
            Load::Mark { sent } => return self.poll_mark(cx, target, sent, write),
            Load::Copied { len, at } => (len, None, 0, scratch.get(at..).unwrap_or_default()),
            Load::Shared { len, sent, rest } => (len, Some(rest), sent, Default::default()),
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
                    self.flight = Flight::refused(len, sent)?;
                    self.put_back(target, rest);
                    return Poll::Pending;
                }
            }
        }
        self.flight = Flight::Taken;
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
        match (self.framing, self.flight) {
            (Framing::Chunked, Flight::Landed | Flight::Taken) => MARK,
            _ => b"",
        }
    }

    /// Writes the mark of the end. When it is out, the hub hears that the last byte was taken.
    fn poll_mark(
        &mut self,
        cx: &mut Context<'_>,
        target: WakeTargetRef<'_>,
        mut sent: usize,
        mut write: impl FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<bool>> {
        while sent < MARK.len() {
            match write(cx, &[IoSlice::new(MARK.get(sent..).unwrap_or_default())]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => sent = sent.saturating_add(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        self.flight = Flight::Marking { sent: u8::try_from(sent).unwrap_or(u8::MAX) };
        if sent < MARK.len() {
            let registration = self.outbound.registration();
            self.hub().lock().register_for_end(registration, target);
            return Poll::Pending;
        }
        Poll::Ready(Ok(true))
    }

    /// Notes what was taken of the last write, and finds what is due: the first half of
    /// [`poll_write`](ConnectionWriter::poll_write), under the lock of the hub. What is copied goes behind what is in `scratch`.
    pub(crate) fn load(
        &self,
        state: &mut Locked<'_>,
        target: WakeTargetRef<'_>,
        scratch: &mut Vec<u8>,
    ) -> Load {
        let (id, registration, now) = (self.outbound.id(), self.outbound.registration(), state.now);
        let may_be_marked = self.framing == Framing::Chunked && self.flight == Flight::Taken;
        let is_ending = may_be_marked && state.hub.is_ending(id);
        let mut window = state.hub.transmit(now, id);
        match self.flight {
            Flight::Taken if is_ending && window.remaining() == 1 => return Load::Mark { sent: 0 },
            Flight::Marking { sent } if usize::from(sent) < MARK.len() && window.has_remaining() => {
                return Load::Mark { sent: sent.into() };
            }
            Flight::Taken | Flight::Marking { .. } => window.advance(1),
            Flight::Landed | Flight::Refused { .. } => {}
        }
        if !window.has_remaining() {
            drop(window);
            state.notify_capacity(registration);
            let waits = state.hub.is_connection_open(id) && state.register(registration, target);
            return if waits { Load::Nothing } else { Load::Ended };
        }
        let load = match self.flight {
            Flight::Refused { len, sent } => {
                Load::Shared { len: len as usize, sent: sent as usize, rest: share(&mut window) }
            }
            _ if window.chunk().len() >= LARGE_FRAME => {
                let rest = share(&mut window);
                Load::Shared { len: rest.len(), sent: 0, rest }
            }
            _ => copy_framed(&mut window, self.framing, scratch),
        };
        drop(window);
        state.notify_capacity(registration);
        load
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
fn copy_framed(window: &mut Transmit<'_>, framing: Framing, scratch: &mut Vec<u8>) -> Load {
    let (len, at) = (window.together(WRITE_BYTES), scratch.len());
    let frame = Chunk::new(framing, len);
    scratch.extend_from_slice(frame.head());
    copy(window, len, scratch);
    scratch.extend_from_slice(frame.tail());
    Load::Copied { len, at }
}

/// Of a chunk's size.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The framing around some bytes of a connection (RFC 9112, section 7.1).
struct Chunk {
    /// The size in hexadecimal digits and a line break; nothing until the transport's end says where the body ends.
    head: [u8; Chunk::LONGEST_HEAD],
    head_len: usize,
    len: usize,
    framing: Framing,
}

impl Chunk {
    /// The digits of 2^64 - 1, and the line break.
    const LONGEST_HEAD: usize = 18;

    fn new(framing: Framing, len: usize) -> Chunk {
        let mut head = [0; Chunk::LONGEST_HEAD];
        let mut head_len = 0;
        if framing == Framing::Chunked {
            // By hand: the formatter would be a hundredth of a delivery.
            let digits = (usize::BITS.saturating_sub(len.leading_zeros())).div_ceil(4).max(1) as usize;
            let mut rest = len;
            for place in head.iter_mut().take(digits).rev() {
                *place = DIGITS.get(rest & 0xf).copied().unwrap_or_default();
                rest >>= 4;
            }
            for (place, byte) in head.iter_mut().skip(digits).zip(b"\r\n") {
                *place = *byte;
            }
            head_len = digits.saturating_add(2);
        }
        Chunk { head, head_len, len, framing }
    }

    fn head(&self) -> &[u8] {
        self.head.get(..self.head_len).unwrap_or_default()
    }

    fn tail(&self) -> &'static [u8] {
        if self.framing == Framing::Chunked { b"\r\n" } else { b"" }
    }

    /// How many bytes it has with its framing.
    fn total(&self) -> usize {
        self.head_len.saturating_add(self.len).saturating_add(self.tail().len())
    }

    /// Its framed bytes from `sent` on, when `rest` is what the hub has of it.
    fn slices<T>(&self, rest: &Bytes, sent: usize, use_slices: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let end = self.head_len.saturating_add(self.len);
        let head = self.head().get(sent..).unwrap_or_default();
        // Where the last byte was sent and the tail was not, the hub has it still.
        let begins = end.saturating_sub(rest.len());
        let body = rest.get(sent.saturating_sub(begins)..).unwrap_or_default();
        let tail = self.tail().get(sent.saturating_sub(end)..).unwrap_or_default();
        let all = [IoSlice::new(head), IoSlice::new(body), IoSlice::new(tail)];
        let empty = all.iter().take_while(|slice| slice.is_empty()).count();
        let filled = all.len().saturating_sub(all.iter().rev().take_while(|slice| slice.is_empty()).count());
        use_slices(all.get(empty..filled).unwrap_or_default())
    }

    /// What of its bytes is not sent, and at least the last.
    fn unsent_of(&self, rest: Bytes, sent: usize) -> Bytes {
        let begins = self.head_len.saturating_add(self.len).saturating_sub(rest.len());
        let skip = sent.saturating_sub(begins).min(rest.len().saturating_sub(1));
        rest.slice(skip..)
    }

    /// The same where the whole chunk with its framing is in one buffer.
    fn unsent_in<'a>(&self, framed: &'a [u8], sent: usize) -> &'a [u8] {
        let end = self.head_len.saturating_add(self.len);
        let begin = sent.clamp(self.head_len, end.saturating_sub(1).max(self.head_len));
        framed.get(begin..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_begins_with_its_size() {
        for len in [0, 1, 9, 10, 15, 16, 255, 256, 4095, 65_536, usize::MAX] {
            let chunk = Chunk::new(Framing::Chunked, len);
            assert_eq!(chunk.head(), std::format!("{len:x}\r\n").as_bytes());
        }
    }
}
