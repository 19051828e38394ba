//! The application's handle on a connection.

use core::future::poll_fn;
use core::time::Duration;
use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use crate::{CloseReason, ConnectionId, EncodeError, Event, Frame, Resume, SendError, SubscribeError};

use super::sync::{Arc, Mutex, MutexGuard, PoisonError};
use super::{Channel, SharedHub};

/// A handle on one connection: cheap to clone, and without a hold on it. The connection lives as long as its
/// [`Outbound`](super::Outbound).
#[derive(Clone)]
pub struct Connection {
    hub: SharedHub,
    id: ConnectionId,
    status: Arc<Status>,
}

/// What handles wait for.
#[derive(Default)]
pub(super) struct Status {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    closed: Option<CloseReason>,
    timed_out: bool,
    /// Who waits, each under a number of its own.
    waiters: Vec<(u64, Waker)>,
    next_waiter: u64,
}

/// One future that waits. When it is dropped, nothing of it stays behind.
struct Waiter<'a> {
    status: &'a Status,
    number: u64,
}

impl Connection {
    pub(super) fn new(hub: SharedHub, id: ConnectionId, status: Arc<Status>) -> Connection {
        Connection { hub, id, status }
    }

    /// What the hub calls it.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The hub it belongs to.
    pub fn hub(&self) -> &SharedHub {
        &self.hub
    }

    /// Has it follow a channel.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`], as [`Hub::subscribe`](crate::Hub::subscribe).
    pub fn subscribe(&self, channel: &Channel) -> Result<Resume, SubscribeError> {
        self.hub.with(|hub, now| hub.subscribe(now, channel.id(), self.id))
    }

    /// Has it follow a channel no longer. False when it did not.
    pub fn unsubscribe(&self, channel: &Channel) -> bool {
        self.hub.with(|hub, now| hub.unsubscribe(now, channel.id(), self.id))
    }

    /// Sends an event to this connection alone, if there is room for it (S2).
    ///
    /// # Errors
    ///
    /// [`TrySendError`]: it cannot be encoded, or the hub does not take it. Nothing was sent then.
    pub fn try_send(&self, event: &Event<'_>) -> Result<(), TrySendError> {
        let frame = event.encode().map_err(TrySendError::Encode)?;
        self.try_send_frame(&frame).map_err(TrySendError::Send)
    }

    /// Sends a frame to this connection alone, if there is room for it (S2).
    ///
    /// # Errors
    ///
    /// [`SendError`], as [`Hub::send`](crate::Hub::send).
    pub fn try_send_frame(&self, frame: &Frame) -> Result<(), SendError> {
        self.hub.with(|hub, now| hub.send(now, self.id, frame))
    }

    /// Changes after how much silence a comment is sent (T1). False when the connection ended.
    pub fn set_ping(&self, interval: Option<Duration>) -> bool {
        self.hub.with(|hub, now| hub.set_ping(now, self.id, interval))
    }

    /// Gives it so long to live from now on, or for ever (T2). False when it ended.
    pub fn set_timeout(&self, life: Option<Duration>) -> bool {
        self.hub.with(|hub, now| hub.set_timeout(now, self.id, life))
    }

    /// Ends it, once it took what was published until now. False when it ended already.
    pub fn close(&self) -> bool {
        self.hub.with(|hub, now| hub.close(now, self.id))
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.hub.with(|hub, _| hub.is_open(self.id))
    }

    /// Waits until it ended, and says why.
    pub async fn closed(&self) -> CloseReason {
        let waiter = self.status.waiter();
        poll_fn(|cx| waiter.poll(cx, |waiting| waiting.closed)).await
    }

    /// Waits until its life is over (T2), if it is configured to only say so. Each time is told once. Waits for ever
    /// when the connection ends before.
    pub async fn timed_out(&self) {
        let waiter = self.status.waiter();
        poll_fn(|cx| waiter.poll(cx, |waiting| core::mem::take(&mut waiting.timed_out).then_some(()))).await;
    }

    /// The transport is gone.
    pub(super) fn disconnect(&self) {
        let seat = self.hub.with_state(|state, now| {
            // One that the hub ended itself is told its reason by the driver, who has it or will have it.
            if state.hub.disconnect(now, self.id) { state.seats.remove(&self.id) } else { None }
        });
        let mut wakers = Vec::new();
        if let Some(seat) = seat {
            seat.status.close(CloseReason::Disconnected, &mut wakers);
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Status {
    /// Notes the end; those who wait are added to `wakers`.
    pub(super) fn close(&self, reason: CloseReason, wakers: &mut Vec<Waker>) {
        let mut waiting = self.lock();
        waiting.closed.get_or_insert(reason);
        wakers.extend(waiting.waiters.drain(..).map(|(_, waker)| waker));
    }

    /// Notes that its life is over; those who wait are added to `wakers`.
    pub(super) fn time_out(&self, wakers: &mut Vec<Waker>) {
        let mut waiting = self.lock();
        waiting.timed_out = true;
        wakers.extend(waiting.waiters.drain(..).map(|(_, waker)| waker));
    }

    fn waiter(&self) -> Waiter<'_> {
        let mut waiting = self.lock();
        let number = waiting.next_waiter;
        waiting.next_waiter = number.wrapping_add(1);
        Waiter { status: self, number }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    fn poll<T>(&self, cx: &mut Context<'_>, ask: impl FnOnce(&mut Waiting) -> Option<T>) -> Poll<T> {
        let mut waiting = self.status.lock();
        if let Some(answer) = ask(&mut waiting) {
            return Poll::Ready(answer);
        }
        let known = waiting.waiters.iter_mut().find(|(number, _)| *number == self.number);
        match known {
            Some((_, waker)) if waker.will_wake(cx.waker()) => {}
            Some((_, waker)) => {
                let replaced = core::mem::replace(waker, cx.waker().clone());
                // Dropping a waker may run code of an executor: not under the lock.
                drop(waiting);
                drop(replaced);
            }
            None => waiting.waiters.push((self.number, cx.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.status.lock();
        let index = waiting.waiters.iter().position(|(number, _)| *number == self.number);
        let gone = index.map(|index| waiting.waiters.swap_remove(index));
        drop(waiting);
        drop(gone);
    }
}

/// Why [`Connection::try_send`] sent nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The event cannot be encoded.
    Encode(EncodeError),
    /// The hub does not take it.
    Send(SendError),
}

impl core::fmt::Display for TrySendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            TrySendError::Encode(error) => error.fmt(f),
            TrySendError::Send(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for TrySendError {}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Connection").field(&self.id).finish()
    }
}
