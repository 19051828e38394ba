//! The half of a connection that belongs to its transport.

use std::task::{Context, Poll};
use std::vec::Vec;

use bytes::{Buf, Bytes};

use crate::{Claim, CloseReason, ConnectionId, Resume, SubscribeError, Transmit};

use super::held::{self, Deferred};
use super::registry::RegistrationId;
use super::search::report_connection;
use super::sync::Arc;
use super::wakers::WakeTargetRef;
use super::{Channel, Connection, SharedHub};

/// A frame of at least this length is written by itself and without a copy. Shorter frames are written together (X9).
pub(crate) const LARGE_FRAME: usize = 8 * 1024;

/// The most bytes that are combined into one write.
pub(crate) const WRITE_BYTES: usize = 16 * 1024;

/// The source of the bytes of one connection, owned by its transport. Dropping it disconnects ([X4](crate::rules#x4)).
///
/// The page of the [module](crate::shared) has an example. [`handle`](Outbound::handle) returns the handle of the application.
pub struct Outbound {
    hub: SharedHub,
    id: ConnectionId,
    registration: RegistrationId,
}

impl Outbound {
    pub(crate) fn new(hub: SharedHub, id: ConnectionId, registration: RegistrationId) -> Outbound {
        Outbound { hub, id, registration }
    }

    /// Returns the id of the connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    pub(crate) fn registration(&self) -> RegistrationId {
        self.registration
    }

    /// Returns the hub of the connection.
    pub fn hub(&self) -> &SharedHub {
        &self.hub
    }

    /// Returns a handle on the connection, by which the application sends to it, configures it and closes it.
    pub fn handle(&self) -> Connection {
        let mut state = self.hub.lock();
        let registration = state.registry.get_mut(self.registration);
        let status = registration.map(|registration| Arc::clone(registration.status())).unwrap_or_default();
        drop(state);
        Connection::new(self.hub.clone(), self.id, status)
    }

    /// Subscribes the connection to a channel. Before its first bytes are taken, the connection resumes from its last event
    /// id.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`], as [`Hub::subscribe`](crate::Hub::subscribe), and [`SubscribeError::OtherHub`] for a channel of
    /// another hub.
    pub fn subscribe(&self, channel: &Channel) -> Result<Resume, SubscribeError> {
        self.hub.subscribe(channel, self.id, None)
    }

    /// Returns pending bytes, at most 64 KiB. Returns `None` when the connection has ended. A larger frame is returned in
    /// slices of 64 KiB, so that no buffer of a library that copies them grows to the size of the frame.
    ///
    /// The bytes count as taken. The caller has to write them, or to drop the outbound. For a transport that reports how many
    /// bytes it took, use a [`ConnectionWriter`](crate::adapter::ConnectionWriter).
    ///
    /// # Cost
    ///
    /// One lock of the hub. A single frame, and a frame of 8 KiB or more, is returned without a copy. Several smaller frames
    /// are copied into one buffer. A slice keeps the bytes of its whole frame in memory.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        report_connection(self);
        let mut target = WakeTargetRef::Task(cx.waker()).prepare();
        let mut state = self.hub.lock();
        let now = state.now;
        let mut window = state.hub.transmit(now, self.id);
        if window.has_remaining() {
            let first = window.chunk().len();
            let count = if first < LARGE_FRAME { window.remaining() } else { first.min(Transmit::MAX_BYTES) };
            let bytes = window.copy_to_bytes(count);
            drop(window);
            state.notify_capacity(self.registration);
            return Poll::Ready(Some(bytes));
        }
        drop(window);
        let is_open = state.hub.is_connection_open(self.id);
        if is_open && state.register(self.registration, &mut target) {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    }

    /// Claims the pending bytes that a transport can write behind the response head in one write: up to 16 KiB. Returns `None`
    /// when nothing is pending, or when the first frame is larger.
    ///
    /// The connection counts as pending until [`confirm`](Outbound::confirm) is called, so a peer that does not take
    /// the head has the stall timeout ([T3](crate::rules#t3)). Until then [`poll_bytes`](Outbound::poll_bytes) is
    /// pending.
    pub fn claim_first(&mut self) -> Option<(Bytes, Claim)> {
        let mut state = self.hub.lock();
        let now = state.now;
        let window = state.hub.transmit(now, self.id);
        let count = window.bytes_within(WRITE_BYTES);
        if !(1..=WRITE_BYTES).contains(&count) {
            return None;
        }
        let claimed = if window.chunk().len() == count {
            window.claim_frame()
        } else {
            let mut bytes = Vec::with_capacity(count);
            window.claim_into(WRITE_BYTES, &mut bytes).map(|claim| (bytes.into(), claim))
        };
        state.notify_capacity(self.registration);
        claimed
    }

    /// Confirms that the transport took all bytes of a claim of this connection. Returns false when the claim is not current:
    /// the connection has ended, or the claim is of another one.
    pub fn confirm(&mut self, claim: Claim) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        claim.connection() == self.id && state.hub.confirm(now, claim)
    }

    /// Waits until the connection has ended, and returns the reason. Pending bytes are not taken. The waker is also woken when
    /// bytes become pending.
    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.poll_ended_for(WakeTargetRef::Task(cx.waker()))
    }

    /// Waits for the end of the connection, and registers any wake target.
    pub(crate) fn poll_ended_for(&self, target: WakeTargetRef<'_>) -> Poll<CloseReason> {
        let mut target = target.prepare();
        let mut state = self.hub.lock();
        let registration = state.registry.get_mut(self.registration);
        if let Some(reason) = registration.and_then(|registration| registration.close_reason()) {
            return Poll::Ready(reason);
        }
        // When the hub has just ended the connection, the driver reports the reason.
        state.register(self.registration, &mut target);
        Poll::Pending
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        if self.hub.shared.is_held_here() {
            // Inside `SharedHub::with`: it is dropped again when the lock is free.
            let (id, registration) = (self.id, self.registration);
            return held::defer(Deferred::Outbound(Outbound::new(self.hub.clone(), id, registration)));
        }
        let mut state = self.hub.lock();
        let now = state.now;
        let is_disconnected = state.hub.disconnect(now, self.id);
        state.remove(self.registration, self.id, is_disconnected);
        let event = state.observer.outbound_dropped(self.id, is_disconnected);
        drop(state);
        event.emit();
    }
}

impl core::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Outbound").field(&self.id).finish()
    }
}
