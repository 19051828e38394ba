//! The transport's end of a connection.

use std::task::{Context, Poll};
use std::vec::Vec;

use bytes::{Buf, Bytes};

use crate::hub::Transmit;
use crate::{CloseReason, ConnectionId, Resume, SubscribeError};

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

    /// The bytes that are due together, up to 16 KiB, for a transport that writes them behind the response head, in one go.
    /// `None` when nothing is due, or a larger frame is first.
    ///
    /// The hub counts the last of them as due until [`first_bytes_taken`](Outbound::first_bytes_taken): so a peer that does not
    /// take the head has the stall time (T3). Nothing else may be asked for bytes before.
    pub fn first_bytes(&mut self) -> Option<Bytes> {
        let mut state = self.hub.lock();
        let now = state.now;
        let mut window = state.hub.transmit(now, self.id);
        let count = window.together(WRITE_BYTES);
        if !(1..=WRITE_BYTES).contains(&count) {
            return None;
        }
        let bytes = if window.chunk().len() == count {
            share(&mut window)
        } else {
            let mut bytes = Vec::with_capacity(count);
            copy(&mut window, count, &mut bytes);
            bytes.into()
        };
        drop(window);
        state.notify_capacity(self.registration);
        Some(bytes)
    }

    /// The transport took what [`first_bytes`](Outbound::first_bytes) gave it: to be called once for that, and not where it
    /// gave nothing.
    pub fn first_bytes_taken(&mut self) {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.transmit(now, self.id).advance(1);
        state.notify_capacity(self.registration);
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

/// Takes the first frame of a window out, but for its last byte, without a copy.
pub(crate) fn share(window: &mut Transmit<'_>) -> Bytes {
    let frame = window.first_frame().unwrap_or_default();
    window.advance(frame.len().saturating_sub(1));
    frame
}

/// Copies the first bytes of a window behind what is in `into`, and takes them out but for the last.
pub(crate) fn copy(window: &mut Transmit<'_>, count: usize, into: &mut Vec<u8>) {
    let mut left = count.saturating_sub(1);
    while left > 0 {
        let chunk = window.chunk();
        let part = chunk.get(..left).unwrap_or(chunk);
        let count = part.len();
        into.extend_from_slice(part);
        window.advance(count);
        left = left.saturating_sub(count);
    }
    into.extend_from_slice(window.chunk().get(..1).unwrap_or_default());
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
