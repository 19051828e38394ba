//! The pending bytes of one connection, as a window.

use alloc::vec::Vec;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::id::ConnectionId;
use crate::time::Instant;
use crate::wire::Frame;

use super::Hub;
use super::arena::ConnectionSlot;
use super::claim::Claim;
use super::connection::ConnectionState;
use super::pending::{self, Cursor, FastPending, PendingItem, SinglePending};

impl Hub {
    /// Returns the pending bytes of a connection, in order: a window of whole frames, behind the rest of a frame that was
    /// taken in part.
    ///
    /// [`advance`](Buf::advance) records how many bytes the transport took, in the middle of a frame too. Nothing else
    /// moves the connection. The window is bounded by [`Transmit::MAX_BYTES`] and [`Transmit::MAX_FRAMES`], so that
    /// connections take turns. A window that is used up while more is pending is reported again
    /// ([D3](crate::rules#d3)). Bytes that were shown and not taken may differ in the next window, except for the rest
    /// of a partly taken frame ([D9](crate::rules#d9)).
    ///
    /// The window is empty when the connection is not open, and while its bytes are claimed. A driver that writes without
    /// holding the hub [claims](Transmit::claim_into) the bytes.
    ///
    /// # Cost
    ///
    /// O(frames · subscriptions). Nothing is allocated or copied, except for the first frame of a connection.
    ///
    /// ```
    /// # use bytes::Buf;
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// # let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// # let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// # hub.subscribe(now, weather, connection).unwrap();
    /// hub.publish(now, weather, &Event::new().data("sunny")).unwrap();
    /// let mut window = hub.transmit(now, connection);
    /// assert_eq!(window.chunk(), b"id: 0-0\nevent: position\ndata: \n\n", "the position of the client, from which it can resume");
    /// window.advance(window.chunk().len());
    /// assert_eq!(window.chunk(), b"id: 0-1\ndata: sunny\n\n");
    /// ```
    pub fn transmit(&mut self, now: Instant, connection: ConnectionId) -> Transmit<'_> {
        let now = self.advance_clock(now);
        let Some(slot) = self.connections.slot(connection) else {
            return Transmit::single_or_empty(self, now, None);
        };
        match self.fast_pending(slot) {
            FastPending::Single(single) => Transmit::single_or_empty(self, now, Some((slot, single))),
            FastPending::Empty => {
                // The reported bytes may be gone.
                if let Some(connection) = self.connections.at_mut(slot) {
                    connection.mark_idle();
                }
                Transmit::single_or_empty(self, now, None)
            }
            FastPending::SlowPath if self.is_claimed(slot) => Transmit::single_or_empty(self, now, None),
            FastPending::SlowPath => {
                self.resolve_losses(slot);
                Transmit::new(self, now, connection)
            }
        }
    }
}

/// A window over the pending bytes of one connection: [`Hub::transmit`].
///
/// As a [`Buf`] it never panics: an `advance` or a copy beyond the end stops at the end.
pub struct Transmit<'a> {
    hub: &'a mut Hub,
    now: Instant,
    /// The slot of the connection, while it is open.
    slot: Option<ConnectionSlot>,
    /// The frame of [`PendingItem::Opening`].
    opening: Option<Frame>,
    first: Option<PendingItem>,
    /// Whether the first item is all that is pending, and no byte of it was taken yet.
    is_single: bool,
    remaining: usize,
}

impl<'a> Transmit<'a> {
    /// The most bytes in a window, unless its first frame alone is larger.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// The most frames in a window.
    pub const MAX_FRAMES: usize = 256;

    /// Creates a window of a single item, which is all that is pending, or an empty one.
    fn single_or_empty(
        hub: &'a mut Hub,
        now: Instant,
        single: Option<(ConnectionSlot, SinglePending)>,
    ) -> Transmit<'a> {
        let slot = single.as_ref().map(|(slot, _)| *slot);
        let (first, remaining) = single.map_or((None, 0), |(_, single)| (Some(single.item), single.bytes));
        Transmit { hub, now, slot, opening: None, first, is_single: true, remaining }
    }

    fn new(hub: &'a mut Hub, now: Instant, connection: ConnectionId) -> Transmit<'a> {
        let slot = hub.connections.slot(connection);
        let opening = slot.and_then(|slot| hub.opening_frame(slot));
        let mut window = Transmit { hub, now, slot, opening, first: None, is_single: false, remaining: 0 };
        (window.first, window.remaining) = window.measure(Transmit::MAX_BYTES);
        if window.remaining == 0
            && let Some(slot) = slot
        {
            // The reported bytes are gone: the next pending byte has to be reported.
            window.hub.window_used_up(slot);
        }
        window
    }

    /// Returns the number of bytes of the first frames that together have at most `most` bytes; at least one frame, unless
    /// the window is empty.
    ///
    /// # Cost
    ///
    /// O(1) when the whole window fits, otherwise that of [`Hub::transmit`].
    pub fn bytes_within(&self, most: usize) -> usize {
        if self.remaining <= most { self.remaining } else { self.measure(most).1 }
    }

    /// Returns the first frame of the window, or the rest of a frame that was taken in part, without a copy. This does not
    /// take the bytes.
    ///
    /// ```
    /// # use bytes::Buf;
    /// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let connection = hub.connect(Instant::ORIGIN, ConnectionConfig::default()).unwrap();
    /// let window = hub.transmit(Instant::ORIGIN, connection);
    /// assert_eq!(window.first_frame().unwrap(), "id: 0-0\nevent: position\ndata: \n\n");
    /// assert_eq!(window.remaining(), 32);
    /// ```
    pub fn first_frame(&self) -> Option<Bytes> {
        if self.remaining == 0 { None } else { self.first_bytes().cloned() }
    }

    /// Claims the first frames that together have at most `most` bytes, and appends a copy of them to `buffer`; at
    /// least one frame ([D9](crate::rules#d9)). Returns `None` when the window is empty.
    ///
    /// # Cost
    ///
    /// O(bytes + frames · subscriptions).
    pub fn claim_into(self, most: usize, buffer: &mut Vec<u8>) -> Option<Claim> {
        let count = self.bytes_within(most);
        if count == 0 {
            return None;
        }
        buffer.reserve(count);
        if self.is_single {
            buffer.extend_from_slice(self.chunk());
        } else {
            let mut left = count;
            self.visit(|_, bytes| {
                buffer.extend_from_slice(bytes);
                left = left.saturating_sub(bytes.len());
                left > 0
            });
        }
        self.claim(count)
    }

    /// Claims the first frame of the window, or the rest of a frame that was taken in part, without a copy
    /// ([D9](crate::rules#d9)). Returns `None` when the window is empty.
    ///
    /// # Cost
    ///
    /// O(subscriptions).
    pub fn claim_frame(self) -> Option<(Bytes, Claim)> {
        let frame = self.first_frame()?;
        let claim = self.claim(frame.len())?;
        Some((frame, claim))
    }

    /// Claims the first `count` bytes, which are whole frames.
    fn claim(mut self, count: usize) -> Option<Claim> {
        let slot = self.slot?;
        let first = self.first?;
        if self.is_single && count == self.remaining {
            let (id, number) = (self.hub.connections.id(slot)?, self.hub.next_claim_number());
            let now = self.now;
            self.hub.pass_single(slot, first, |connection| connection.set_claim(number, now));
            return Some(Claim::new(id, number, 1, count));
        }
        let (mut left, mut frames) = (count, 0u32);
        while left > 0
            && let (Some(item), Some(bytes)) = (self.first, self.first_bytes())
        {
            left = left.saturating_sub(bytes.len());
            frames = frames.saturating_add(1);
            self.hub.begin_item(slot, item, None);
            self.first = self.hub.first_pending(slot);
        }
        self.hub.set_claim(slot, frames, count)
    }

    /// Returns the first item of the window, and the bytes of the first frames that together have at most `most` bytes; at
    /// least one frame.
    fn measure(&self, most: usize) -> (Option<PendingItem>, usize) {
        let (mut first, mut bytes) = (None, 0usize);
        self.visit(|item, chunk| {
            first = first.or(Some(item));
            let with = bytes.saturating_add(chunk.len());
            let fits = bytes == 0 || with <= most;
            if fits {
                bytes = with;
            }
            fits
        });
        (first, bytes)
    }

    /// Shows the frames of the window in order, until `show` returns false.
    fn visit(&self, mut show: impl FnMut(PendingItem, &Bytes) -> bool) {
        let Some((id, connection)) = self.connection() else { return };
        let mut cursor = Cursor::new(connection);
        for _ in 0..Transmit::MAX_FRAMES {
            let Some(item) = cursor.next(id, connection, &self.hub.channels) else { return };
            match pending::bytes(item, connection, &self.hub.channels, self.opening.as_ref()) {
                Some(bytes) if show(item, bytes) => {}
                _ => return,
            }
        }
    }

    fn connection(&self) -> Option<(ConnectionId, &ConnectionState)> {
        self.hub.connections.entry(self.slot?)
    }

    fn first_bytes(&self) -> Option<&Bytes> {
        let connection = self.hub.connections.at(self.slot?)?;
        pending::bytes(self.first?, connection, &self.hub.channels, self.opening.as_ref())
    }

    /// Takes the whole window, which is a single item.
    fn take_single(&mut self, slot: ConnectionSlot, item: PendingItem) {
        let stats = &mut self.hub.stats;
        stats.delivered = stats.delivered.saturating_add(1);
        stats.bytes = stats.bytes.saturating_add(self.remaining as u64);
        (self.first, self.remaining) = (None, 0);
        let now = self.now;
        self.hub.pass_single(slot, item, |connection| {
            connection.last_taken_at = now;
            connection.mark_idle();
        });
    }

    /// Takes up to `count` bytes of the first frame, and returns how many.
    fn take(&mut self, slot: ConnectionSlot, count: usize) -> usize {
        let (Some(item), Some(bytes)) = (self.first, self.first_bytes()) else { return 0 };
        let count = count.min(bytes.len());
        let rest =
            if count < bytes.len() { bytes.get(count..).map(|rest| bytes.slice_ref(rest)) } else { None };
        let is_whole = rest.is_none();
        match item {
            PendingItem::PartialFrame => self.hub.advance_partial_frame(slot, count),
            _ => self.hub.begin_item(slot, item, rest),
        }
        if is_whole {
            self.hub.stats.delivered = self.hub.stats.delivered.saturating_add(1);
        }
        self.remaining = self.remaining.saturating_sub(count);
        self.first = if self.remaining > 0 { self.hub.first_pending(slot) } else { None };
        count
    }
}

impl Buf for Transmit<'_> {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        if self.remaining == 0 {
            return &[];
        }
        self.first_bytes().map_or(&[], |bytes| bytes)
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let Some((id, connection)) = self.connection() else { return 0 };
        let mut cursor = Cursor::new(connection);
        let (mut filled, mut left) = (0usize, self.remaining);
        for slice in slices {
            if left == 0 {
                break;
            }
            let Some(item) = cursor.next(id, connection, &self.hub.channels) else { break };
            let opening = self.opening.as_ref();
            let Some(bytes) = pending::bytes(item, connection, &self.hub.channels, opening) else { break };
            *slice = std::io::IoSlice::new(bytes);
            left = left.saturating_sub(bytes.len());
            filled = filled.saturating_add(1);
        }
        filled
    }

    fn advance(&mut self, count: usize) {
        let Some(slot) = self.slot else { return };
        let count = count.min(self.remaining);
        if core::mem::take(&mut self.is_single)
            && count == self.remaining
            && let Some(item) = self.first
        {
            return self.take_single(slot, item);
        }
        let mut left = count;
        while left > 0 {
            let taken = self.take(slot, left);
            if taken == 0 {
                self.remaining = self.remaining.saturating_sub(left);
                break;
            }
            left = left.saturating_sub(taken);
        }
        if count == 0 {
            return;
        }
        self.hub.stats.bytes = self.hub.stats.bytes.saturating_add(count as u64);
        if let Some(connection) = self.hub.connections.at_mut(slot) {
            connection.last_taken_at = self.now;
        }
        if self.remaining == 0 {
            self.hub.window_used_up(slot);
        }
    }

    /// Takes bytes out. Bytes of one frame are not copied; those of several are copied into one new buffer.
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        let len = len.min(self.remaining);
        if let Some(bytes) = self.first_bytes()
            && let Some(part) = bytes.get(..len)
        {
            let bytes = bytes.slice_ref(part);
            self.advance(len);
            return bytes;
        }
        let mut copy = BytesMut::with_capacity(len);
        self.visit(|_, bytes| {
            let room = len.saturating_sub(copy.len());
            copy.put_slice(bytes.get(..room).unwrap_or(bytes));
            copy.len() < len
        });
        self.advance(len);
        copy.freeze()
    }
}

impl core::fmt::Debug for Transmit<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Transmit").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}
