//! Bytes that were taken out of a window and refused by the socket.

use bytes::{Buf, Bytes};

use crate::id::ConnectionId;
use crate::time::Instant;

use super::Hub;

impl Hub {
    /// Puts back bytes that were taken out of a window and that the socket refused: they are the connection's frame in
    /// progress now (S3), and are due before everything else.
    ///
    /// It serves a driver that writes while others use the hub. Such a driver copies a window, but advances by all of it
    /// except the last byte: so the connection stays in the hub until that byte was taken, too. Then it writes, and
    /// either advances by the byte that is left, or puts back what the socket refused, that byte at its end. False, and
    /// nothing is done, when the connection is not open, or when other bytes than this one are in progress.
    ///
    /// # Cost
    ///
    /// O(1), no copy.
    ///
    /// ```
    /// use bytes::{Buf, Bytes};
    /// # use sse_core::{ConnectionConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// # let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// hub.send(now, connection, &Event::new().data("hello").encode().unwrap()).unwrap();
    ///
    /// let mut window = hub.transmit(now, connection);
    /// let copy = Bytes::copy_from_slice(window.chunk());
    /// window.advance(copy.len() - 1);
    /// // The socket took four bytes.
    /// assert!(hub.put_back(now, connection, copy.slice(4..)));
    /// assert_eq!(hub.transmit(now, connection).chunk(), b": hello\n\n");
    /// ```
    pub fn put_back(&mut self, now: Instant, connection: ConnectionId, refused: Bytes) -> bool {
        self.observe(now);
        let state = self.connections.index(connection).and_then(|index| self.connections.at_mut(index));
        let Some(progress) = state.and_then(|state| state.progress.as_mut()) else { return false };
        if progress.remaining() != 1 || refused.last() != progress.first() {
            return false;
        }
        let again = refused.len().saturating_sub(1) as u64;
        self.stats.bytes = self.stats.bytes.saturating_sub(again);
        *progress = refused;
        true
    }

    /// Whether a connection ends when it took what is due to it now.
    #[cfg(feature = "std")]
    pub(crate) fn is_ending(&self, connection: ConnectionId) -> bool {
        self.connections.get(connection).is_some_and(|state| !state.is_open())
    }
}
