//! The transport's end of a connection.

use std::task::{Context, Poll};
use std::vec::Vec;

use bytes::{Buf, Bytes};

use crate::{Claim, CloseReason, ConnectionId, Resume, SubscribeError};

use super::registry::RegistrationId;
use super::sync::Arc;
use super::wakers::WakeTargetRef;
use super::{Channel, Connection, SharedHub};

/// A frame at least this long goes out by itself, without a copy; shorter ones are put together (X9).
pub(crate) const LARGE_FRAME: usize = 8 * 1024;

/// How many bytes are put together for one write, unless a single frame has more.
pub(crate) const WRITE_BYTES: usize = 16 * 1024;

/// The bytes of one connection, for whoever writes them to its transport. Dropping it disconnects (X4).
///
/// The [module's page](crate::shared) has an example. [`handle`](Outbound::handle) gives the application its end.
pub struct Outbound {
    hub: SharedHub,
    id: ConnectionId,
    registration: RegistrationId,
}

impl Outbound {
    pub(crate) fn new(hub: SharedHub, id: ConnectionId, registration: RegistrationId) -> Outbound {
        Outbound { hub, id, registration }
    }

    /// What the hub calls the connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    pub(crate) fn registration(&self) -> RegistrationId {
        self.registration
    }

    /// The hub it belongs to.
    pub fn hub(&self) -> &SharedHub {
        &self.hub
    }

    /// A handle on the connection for the application: to send to it, and to change or end it.
    pub fn handle(&self) -> Connection {
        let mut state = self.hub.lock();
        let registration = state.registry.get_mut(self.registration);
        let status = registration.map(|registration| Arc::clone(registration.status())).unwrap_or_default();
        drop(state);
        Connection::new(self.hub.clone(), self.id, status)
    }

    /// Has the connection follow a channel: before its first bytes are taken it resumes from its last event id.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`], as [`Hub::subscribe`](crate::Hub::subscribe).
    pub fn subscribe(&self, channel: &Channel) -> Result<Resume, SubscribeError> {
        self.hub.subscribe(channel.id(), self.id)
    }

    /// The next bytes: what is due together, up to 64 KiB, or a single larger frame. `None` when the connection
    /// ended.
    ///
    /// What is returned counts as taken: it has to be written, or the connection dropped. A transport that tells how
    /// much of a write it took is better served by a [`ConnectionWriter`](super::Line).
    ///
    /// # Cost
    ///
    /// One turn of the lock. One frame, or one of 8 KiB and more, is handed out without a copy; several small ones
    /// are copied into one buffer.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.hub.lock();
        let now = state.now;
        let mut window = state.hub.transmit(now, self.id);
        if window.has_remaining() {
            let first = window.chunk().len();
            let count = if first < LARGE_FRAME { window.remaining() } else { first };
            let bytes = window.copy_to_bytes(count);
            drop(window);
            state.notify_capacity(self.registration);
            return Poll::Ready(Some(bytes));
        }
        drop(window);
        let is_open = state.hub.is_connection_open(self.id);
        if is_open && state.register(self.registration, WakeTargetRef::Task(cx.waker())) {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    }

    /// Claims the pending bytes that a transport can write behind the response head in one write: up to 16 KiB. Returns `None`
    /// when nothing is pending, or when the first frame is larger.
    ///
    /// The connection counts as pending until [`confirm`](Outbound::confirm) is called, so a peer that does not take the head
    /// has the stall timeout (T3). Until then [`poll_bytes`](Outbound::poll_bytes) is pending.
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

    /// Waits for the end of the connection, whatever is due to it, and says why: for a transport that is busy with
    /// something else than its bytes. It is woken for bytes, too.
    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.poll_ended_for(WakeTargetRef::Task(cx.waker()))
    }

    /// The same, for whoever is to be woken.
    pub(crate) fn poll_ended_for(&self, target: WakeTargetRef<'_>) -> Poll<CloseReason> {
        let mut state = self.hub.lock();
        let registration = state.registry.get_mut(self.registration);
        if let Some(reason) = registration.and_then(|registration| registration.close_reason()) {
            return Poll::Ready(reason);
        }
        // When the hub has just ended the connection, the driver reports the reason.
        state.register(self.registration, target);
        Poll::Pending
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
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
