//! What handles wait for: the end of a connection or channel, the end of a lifetime, and capacity to send.

use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use super::sync::{Mutex, MutexGuard, PoisonError};
use super::wakers::clone_waker;

/// The status of a connection or a channel, shared with its handles. `R` is the reason of its end.
pub(crate) struct Status<R> {
    inner: Mutex<Inner<R>>,
}

pub(crate) struct Inner<R> {
    pub(crate) closed: Option<R>,
    /// Whether a maximum lifetime has ended and no future has reported that yet.
    pub(crate) timed_out: bool,
    waiters: Vec<WaiterEntry>,
    next_number: u64,
}

struct WaiterEntry {
    number: u64,
    interest: Interest,
    waker: Waker,
}

/// The kind of change that a future waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// The end, or the end of a maximum lifetime.
    Lifecycle,
    /// Capacity for direct sends.
    Capacity,
}

/// One waiting future. Dropping it removes its waker.
pub(crate) struct Waiter<'a, R> {
    status: &'a Status<R>,
    number: u64,
    interest: Interest,
}

impl<R> Default for Status<R> {
    fn default() -> Status<R> {
        let inner = Inner { closed: None, timed_out: false, waiters: Vec::new(), next_number: 0 };
        Status { inner: Mutex::new(inner) }
    }
}

impl<R: Copy> Status<R> {
    /// Creates the status of a connection or channel that has ended already.
    pub(crate) fn of_closed(reason: R) -> Status<R> {
        let status = Status::default();
        status.lock().closed = Some(reason);
        status
    }

    /// Records the end, and moves the wakers of all waiters to `wakers`.
    pub(crate) fn close(&self, reason: R, wakers: &mut Vec<Waker>) {
        let mut inner = self.lock();
        inner.closed.get_or_insert(reason);
        wakers.extend(inner.waiters.drain(..).map(|entry| entry.waker));
    }

    /// Records the end of a maximum lifetime, and moves the wakers that wait for it to `wakers`.
    pub(crate) fn time_out(&self, wakers: &mut Vec<Waker>) {
        let mut inner = self.lock();
        inner.timed_out = true;
        inner.take_wakers(Interest::Lifecycle, wakers);
    }

    /// Moves the wakers that wait for capacity to `wakers`.
    pub(crate) fn notify_capacity(&self, wakers: &mut Vec<Waker>) {
        self.lock().take_wakers(Interest::Capacity, wakers);
    }

    /// Moves the wakers of all waiters to `wakers`: each of them looks whether it has what it waits for.
    pub(crate) fn notify_all(&self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.lock().waiters.drain(..).map(|entry| entry.waker));
    }

    pub(crate) fn waiter(&self, interest: Interest) -> Waiter<'_, R> {
        let mut inner = self.lock();
        let number = inner.next_number;
        inner.next_number = number.wrapping_add(1);
        Waiter { status: self, number, interest }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<R>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Inner<R> {
    fn take_wakers(&mut self, interest: Interest, wakers: &mut Vec<Waker>) {
        let taken = self.waiters.extract_if(.., |entry| entry.interest == interest);
        wakers.extend(taken.map(|entry| entry.waker));
    }
}

impl<R: Copy> Waiter<'_, R> {
    /// Returns what `check` finds in the status, or registers the waker.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        check: impl FnOnce(&mut Inner<R>) -> Option<T>,
    ) -> Poll<T> {
        // Code of an executor clones and drops wakers, so the lock is taken later and released before.
        let waker = clone_waker(cx.waker());
        let mut inner = self.status.lock();
        if let Some(found) = check(&mut inner) {
            return Poll::Ready(found);
        }
        let known = inner.waiters.iter_mut().find(|entry| entry.number == self.number);
        match known {
            Some(entry) => {
                let replaced = core::mem::replace(&mut entry.waker, waker);
                drop(inner);
                drop(replaced);
            }
            None => {
                let (number, interest) = (self.number, self.interest);
                inner.waiters.push(WaiterEntry { number, interest, waker });
            }
        }
        Poll::Pending
    }
}

impl<R> Drop for Waiter<'_, R> {
    fn drop(&mut self) {
        let mut inner = self.status.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let index = inner.waiters.iter().position(|entry| entry.number == self.number);
        let removed = index.map(|index| inner.waiters.swap_remove(index));
        drop(inner);
        drop(removed);
    }
}
