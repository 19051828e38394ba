//! Claims: bytes that a driver writes without holding the hub (D9).

use core::num::NonZeroU32;

use bytes::Bytes;

use crate::id::ConnectionId;
use crate::time::Instant;

use super::Hub;
use super::arena::ConnectionSlot;
use super::pending::FastPending;

/// The number of a claim. Claims of one hub are numbered one after another, so that a claim that is no longer current is
/// recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClaimNumber(NonZeroU32);

impl ClaimNumber {
    pub(crate) const FIRST: ClaimNumber = ClaimNumber(NonZeroU32::MIN);

    /// Returns the next number. Numbers repeat after four billion claims of a hub.
    pub(crate) fn next(self) -> ClaimNumber {
        ClaimNumber(self.0.checked_add(1).unwrap_or(NonZeroU32::MIN))
    }
}

/// Bytes of one connection that a driver has claimed: [`Transmit::claim_into`](super::Transmit::claim_into) and
/// [`Transmit::claim_frame`](super::Transmit::claim_frame).
///
/// The driver writes the bytes without holding the hub. Then it returns the claim: to [`Hub::confirm`] when the transport
/// took all bytes, to [`Hub::put_back`] when it took none or a part of them. Until then the connection counts as pending:
/// the stall timeout runs, [`close_connection`](Hub::close_connection) waits, and [`Hub::transmit`] returns an empty
/// window. A claim that is dropped is never confirmed, so the stall timeout closes its connection.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a claim holds the connection back until it is confirmed or put back"]
pub struct Claim {
    connection: ConnectionId,
    number: ClaimNumber,
    frames: u32,
    bytes: usize,
}

impl Claim {
    pub(super) fn new(connection: ConnectionId, number: ClaimNumber, frames: u32, bytes: usize) -> Claim {
        Claim { connection, number, frames, bytes }
    }

    /// Returns the connection whose bytes are claimed.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Returns the number of claimed bytes; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a claim has at least one byte")]
    pub fn len(&self) -> usize {
        self.bytes
    }
}

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

    /// Puts the bytes of a claim back that the transport did not take: `rest` is the tail of the claimed bytes, and becomes
    /// the partial frame of the connection (S3). It is pending before everything else. An empty `rest` confirms the claim.
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
