//! A claim: bytes that a driver writes without holding the hub (D9).

use core::num::NonZeroU32;

use crate::id::ConnectionId;

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
/// The driver writes the bytes without holding the hub. Then it returns the claim: to [`Hub::confirm`](super::Hub::confirm) when the transport
/// took all bytes, to [`Hub::put_back`](super::Hub::put_back) when it took none or a part of them. Until then the connection counts as pending:
/// the stall timeout runs, [`close_connection`](super::Hub::close_connection) waits, and [`Hub::transmit`](super::Hub::transmit) returns an empty
/// window. A claim that is dropped is never confirmed, so the stall timeout closes its connection.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a claim holds the connection back until it is confirmed or put back"]
pub struct Claim {
    pub(super) connection: ConnectionId,
    pub(super) number: ClaimNumber,
    pub(super) frames: u32,
    pub(super) bytes: usize,
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
