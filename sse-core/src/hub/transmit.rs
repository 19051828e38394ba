//! The bytes that are due to one connection, as a window.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::hub::connection::Connection;
use crate::id::ConnectionId;
use crate::time::Instant;
use crate::wire::Frame;

use super::Hub;
use super::pending::{self as due, Cursor, Glance, Item, Only};

impl Hub {
    /// What is due to a connection, in order: a window of whole frames, behind the rest of one that was begun.
    ///
    /// [`advance`](Buf::advance) says how much of it the socket took, in the middle of a frame too; nothing else moves
    /// the connection. The window is bounded, by [`Transmit::MAX_BYTES`] and [`Transmit::MAX_FRAMES`], so that connections
    /// take turns; one that was used up while more is due is named again (D3). What it showed and was not advanced may
    /// be different next time, but for the rest of a begun frame (D9). It is empty when the connection is not open.
    ///
    /// # Cost
    ///
    /// O(frames · subscriptions); nothing is allocated or copied, but for the frame that a connection begins with.
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
    /// assert_eq!(window.chunk(), b"id: 0-0\n\n", "where the client stands, so that it can come back");
    /// window.advance(window.chunk().len());
    /// assert_eq!(window.chunk(), b"id: 0-1\ndata: sunny\n\n");
    /// ```
    pub fn transmit(&mut self, now: Instant, connection: ConnectionId) -> Transmit<'_> {
        let now = self.observe(now);
        let Some(index) = self.connections.index(connection) else {
            return Transmit::known(self, now, None);
        };
        match self.glance(index) {
            Glance::One(only) => Transmit::known(self, now, Some((index, only))),
            Glance::Nothing => {
                // What it was named for is gone, if it was.
                if let Some(connection) = self.connections.at_mut(index) {
                    connection.rest();
                }
                Transmit::known(self, now, None)
            }
            Glance::Unknown => {
                self.resolve_losses(index);
                Transmit::new(self, now, connection)
            }
        }
    }
}

/// A window over the bytes that are due to one connection: [`Hub::transmit`].
///
/// As a [`Buf`] it panics on nothing: an `advance` or a copy beyond the end stops at the end.
pub struct Transmit<'a> {
    hub: &'a mut Hub,
    now: Instant,
    /// The slot of the connection, while it is open.
    index: Option<u32>,
    /// The frame that [`Item::Opening`] stands for.
    opening: Option<Frame>,
    first: Option<Item>,
    /// The first item is all that is due, and no byte of it was taken yet.
    is_only: bool,
    remaining: usize,
}

impl<'a> Transmit<'a> {
    /// The most bytes that a window has, unless its first frame alone has more.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// The most frames that a window has.
    pub const MAX_FRAMES: usize = 256;

    /// A window of one item, which is all that is due, or an empty one.
    fn known(hub: &'a mut Hub, now: Instant, only: Option<(u32, Only)>) -> Transmit<'a> {
        let index = only.as_ref().map(|(index, _)| *index);
        let (first, remaining) = only.map_or((None, 0), |(_, only)| (Some(only.item), only.bytes));
        Transmit { hub, now, index, opening: None, first, is_only: true, remaining }
    }

    fn new(hub: &'a mut Hub, now: Instant, connection: ConnectionId) -> Transmit<'a> {
        let index = hub.connections.index(connection);
        let opening = index.and_then(|index| hub.opening_frame(index));
        let mut window = Transmit { hub, now, index, opening, first: None, is_only: false, remaining: 0 };
        (window.first, window.remaining) = window.measure(Transmit::MAX_BYTES);
        if window.remaining == 0
            && let Some(index) = index
        {
            // What it was named for is gone: from now on it waits for being named again.
            window.hub.window_taken(index);
        }
        window
    }

    /// What the window begins with, and how many bytes the frames have that stand first and together have no more than
    /// `most`; at least one frame.
    fn measure(&self, most: usize) -> (Option<Item>, usize) {
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

    /// Shows the frames of the window in order, until `show` has enough.
    fn visit(&self, mut show: impl FnMut(Item, &Bytes) -> bool) {
        let Some((id, connection)) = self.connection() else { return };
        let mut cursor = Cursor::new(connection);
        for _ in 0..Transmit::MAX_FRAMES {
            let Some(item) = cursor.next(id, connection, &self.hub.channels) else { return };
            match due::bytes(item, connection, &self.hub.channels, self.opening.as_ref()) {
                Some(bytes) if show(item, bytes) => {}
                _ => return,
            }
        }
    }

    /// The first frame of the window, or the rest of one that was begun, without a copy. It is not taken by that.
    ///
    /// ```
    /// # use bytes::Buf;
    /// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let connection = hub.connect(Instant::ORIGIN, ConnectionConfig::default()).unwrap();
    /// let window = hub.transmit(Instant::ORIGIN, connection);
    /// assert_eq!(window.first_frame().unwrap(), "id: 0-0\n\n");
    /// assert_eq!(window.remaining(), 9);
    /// ```
    pub fn first_frame(&self) -> Option<Bytes> {
        if self.remaining == 0 { None } else { self.first_bytes().cloned() }
    }

    /// How many bytes the frames have that stand first and together have no more than `most`; at least one frame.
    #[cfg(feature = "std")]
    pub(crate) fn together(&self, most: usize) -> usize {
        if self.remaining <= most { self.remaining } else { self.measure(most).1 }
    }

    fn connection(&self) -> Option<(ConnectionId, &Connection)> {
        self.hub.connections.entry(self.index?)
    }

    fn first_bytes(&self) -> Option<&Bytes> {
        let connection = self.hub.connections.at(self.index?)?;
        due::bytes(self.first?, connection, &self.hub.channels, self.opening.as_ref())
    }

    /// Takes the window whole.
    fn take_only(&mut self, index: u32, item: Item) {
        let stats = &mut self.hub.stats;
        stats.delivered = stats.delivered.saturating_add(1);
        stats.bytes = stats.bytes.saturating_add(self.remaining as u64);
        (self.first, self.remaining) = (None, 0);
        self.hub.take_only_item(index, item);
    }

    /// Takes up to `count` bytes of the first frame, and says how many.
    fn take(&mut self, index: u32, count: usize) -> usize {
        let (Some(item), Some(bytes)) = (self.first, self.first_bytes()) else { return 0 };
        let count = count.min(bytes.len());
        let rest =
            if count < bytes.len() { bytes.get(count..).map(|rest| bytes.slice_ref(rest)) } else { None };
        let is_whole = rest.is_none();
        match item {
            Item::Progress => self.hub.continue_progress(index, count),
            _ => self.hub.commit(index, item, rest),
        }
        if is_whole {
            self.hub.stats.delivered = self.hub.stats.delivered.saturating_add(1);
        }
        self.remaining = self.remaining.saturating_sub(count);
        self.first = if self.remaining > 0 { self.hub.first_item(index) } else { None };
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
            let Some(bytes) = due::bytes(item, connection, &self.hub.channels, self.opening.as_ref()) else {
                break;
            };
            *slice = std::io::IoSlice::new(bytes);
            left = left.saturating_sub(bytes.len());
            filled = filled.saturating_add(1);
        }
        filled
    }

    fn advance(&mut self, count: usize) {
        let Some(index) = self.index else { return };
        let count = count.min(self.remaining);
        if core::mem::take(&mut self.is_only)
            && count == self.remaining
            && let Some(item) = self.first
        {
            return self.take_only(index, item);
        }
        let mut left = count;
        while left > 0 {
            let taken = self.take(index, left);
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
        if let Some(connection) = self.hub.connections.at_mut(index) {
            connection.taken_at = self.now;
        }
        if self.remaining == 0 {
            self.hub.window_taken(index);
        }
    }

    /// Takes bytes out. Within one frame nothing is copied; several are put into one new buffer.
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
