//! The former way to put bytes back, until the writer uses claims.

use bytes::Bytes;

use super::{Hub, Transmit};
use crate::id::ConnectionId;
use crate::time::Instant;

impl Hub {
    pub(crate) fn put_back_tail(&mut self, now: Instant, connection: ConnectionId, refused: Bytes) -> bool {
        self.advance_clock(now);
        let state = self.connections.slot(connection).and_then(|slot| self.connections.at_mut(slot));
        let Some(progress) = state.and_then(|state| state.partial_frame.as_mut()) else { return false };
        if progress.len() != 1 || refused.last() != progress.first() {
            return false;
        }
        let again = refused.len().saturating_sub(1) as u64;
        self.stats.bytes = self.stats.bytes.saturating_sub(again);
        *progress = refused;
        true
    }

    pub(crate) fn is_ending(&self, connection: ConnectionId) -> bool {
        self.connections.get(connection).is_some_and(|state| !state.is_open())
    }
}

impl Transmit<'_> {
    pub(crate) fn together(&self, most: usize) -> usize {
        self.bytes_within(most)
    }
}
