//! The return of claims: confirmed, or put back (D9).

use bytes::Bytes;

use crate::time::Instant;

use super::Hub;
use super::arena::ConnectionSlot;
use super::claim::{Claim, ClaimNumber};
use super::pending::FastPending;

impl Hub {
    /// Confirms that the transport took all bytes of a claim.
    ///
    /// Returns false, and does nothing, when the claim is not current: the connection is not open any more.
    ///
    /// # Cost
    ///
    /// O(1) for a connection that follows one channel and has nothing else pending.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// # let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// hub.send(now, connection, &Event::new().data("hello").encode().unwrap()).unwrap();
    ///
    /// let mut buffer = Vec::new();
    /// let claim = hub.transmit(now, connection).claim_into(16 * 1024, &mut buffer).unwrap();
    /// // The driver releases the hub here and writes the buffer.
    /// assert_eq!(buffer, b"data: hello\n\n");
    /// assert!(hub.confirm(now, claim));
    /// ```
    pub fn confirm(&mut self, now: Instant, claim: Claim) -> bool {
        let now = self.advance_clock(now);
        let Some(slot) = self.claimed_slot(&claim) else { return false };
        let Some(connection) = self.connections.at_mut(slot) else { return false };
        connection.claim = None;
        connection.last_taken_at = now;
        self.stats.delivered = self.stats.delivered.saturating_add(claim.frames.into());
        self.stats.bytes = self.stats.bytes.saturating_add(claim.bytes as u64);
        if let FastPending::Empty = self.fast_pending(slot) {
            if let Some(connection) = self.connections.at_mut(slot) {
                connection.mark_idle();
            }
        } else {
            self.window_used_up(slot);
        }
        true
    }

    /// Puts the bytes of a claim back that the transport did not take: `rest` is the tail of the claimed bytes, and
    /// becomes the partial frame of the connection ([S3](crate::rules#s3)). It is pending before everything else. An
    /// empty `rest` confirms the claim.
    ///
    /// Returns false, and does nothing, when the claim is not current, or when `rest` is longer than the claim.
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
    /// let (frame, claim) = hub.transmit(now, connection).claim_frame().unwrap();
    /// // The socket took four bytes.
    /// assert!(hub.put_back(now, claim, frame.slice(4..)));
    /// assert_eq!(hub.transmit(now, connection).chunk(), b": hello\n\n");
    /// ```
    pub fn put_back(&mut self, now: Instant, claim: Claim, rest: Bytes) -> bool {
        if rest.is_empty() {
            return self.confirm(now, claim);
        }
        let now = self.advance_clock(now);
        let Some(taken) = claim.bytes.checked_sub(rest.len()) else { return false };
        let Some(slot) = self.claimed_slot(&claim) else { return false };
        let Some(connection) = self.connections.at_mut(slot) else { return false };
        connection.claim = None;
        connection.partial_frame = Some(rest);
        if taken > 0 {
            connection.last_taken_at = now;
        }
        // The partial frame counts as one frame when its last byte is taken.
        let whole = claim.frames.saturating_sub(1);
        self.stats.delivered = self.stats.delivered.saturating_add(whole.into());
        self.stats.bytes = self.stats.bytes.saturating_add(taken as u64);
        true
    }

    /// Returns whether the confirmation of a claim closes its connection: the connection is closing, and nothing
    /// else is pending.
    ///
    /// A driver uses this to write what marks the end of a stream while the claim is still out. The peer then has the
    /// stall timeout for that as well.
    pub fn completes(&self, claim: &Claim) -> bool {
        self.claimed_slot(claim).is_some_and(|slot| {
            self.connections.at(slot).is_some_and(|connection| !connection.is_open())
                && self.first_pending(slot).is_none()
                && !self.has_loss(slot)
        })
    }

    /// Sets the claim of a connection whose bytes were taken out of the logs. The driver has the connection from now on.
    pub(super) fn set_claim(&mut self, slot: ConnectionSlot, frames: u32, bytes: usize) -> Option<Claim> {
        let (now, number) = (self.now, self.next_claim_number());
        let (id, connection) = self.connections.entry_mut(slot)?;
        connection.set_claim(number, now);
        Some(Claim::new(id, number, frames, bytes))
    }

    pub(super) fn next_claim_number(&mut self) -> ClaimNumber {
        let number = self.next_claim;
        self.next_claim = number.next();
        number
    }

    /// Returns the slot of a claim that is current.
    fn claimed_slot(&self, claim: &Claim) -> Option<ConnectionSlot> {
        let slot = self.connections.slot(claim.connection)?;
        let is_current = self.connections.at(slot)?.claim == Some(claim.number);
        is_current.then_some(slot)
    }
}
