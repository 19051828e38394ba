//! What handles wait for: that something ended, that a life is over, that there is room to send.

use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use super::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of a connection or a channel by those who hold handles on it; `R` is why it ended.
pub(crate) struct Status<R> {
    waiting: Mutex<Waiting<R>>,
}

pub(crate) struct Waiting<R> {
    pub(crate) closed: Option<R>,
    pub(crate) timed_out: bool,
    /// Who waits for what, each under a number of its own.
    waiters: Vec<(u64, For, Waker)>,
    next_waiter: u64,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// The end, or the end of its time.
    News,
    /// Room for what is to be sent.
    Room,
}

/// One future that waits. When it is dropped, nothing of it stays behind.
pub(crate) struct Waiter<'a, R> {
    status: &'a Status<R>,
    number: u64,
    what: For,
}

impl<R> Default for Status<R> {
    fn default() -> Status<R> {
        let waiting = Waiting { closed: None, timed_out: false, waiters: Vec::new(), next_waiter: 0 };
        Status { waiting: Mutex::new(waiting) }
    }
}

impl<R: Copy> Status<R> {
    /// That of something which ended before anybody asked.
    pub(crate) fn of_closed(reason: R) -> Status<R> {
        let status = Status::default();
        status.lock().closed = Some(reason);
        status
    }

    /// Notes the end; all who wait are added to `wakers`.
    pub(crate) fn close(&self, reason: R, wakers: &mut Vec<Waker>) {
        let mut waiting = self.lock();
        waiting.closed.get_or_insert(reason);
        wakers.extend(waiting.waiters.drain(..).map(|(.., waker)| waker));
    }

    /// Notes that its life is over; those who wait for news are added to `wakers`.
    pub(crate) fn time_out(&self, wakers: &mut Vec<Waker>) {
        let mut waiting = self.lock();
        waiting.timed_out = true;
        waiting.wake(For::News, wakers);
    }

    /// Something was taken: those who wait for room are added to `wakers`.
    pub(crate) fn notify_capacity(&self, wakers: &mut Vec<Waker>) {
        self.lock().wake(For::Room, wakers);
    }

    pub(crate) fn waiter(&self, what: For) -> Waiter<'_, R> {
        let mut waiting = self.lock();
        let number = waiting.next_waiter;
        waiting.next_waiter = number.wrapping_add(1);
        Waiter { status: self, number, what }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<R>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Waiting<R> {
    fn wake(&mut self, what: For, wakers: &mut Vec<Waker>) {
        let woken = self.waiters.extract_if(.., |(_, waits_for, _)| *waits_for == what);
        wakers.extend(woken.map(|(.., waker)| waker));
    }
}

impl<R: Copy> Waiter<'_, R> {
    /// Asks for an answer, and is woken when there may be one.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut Waiting<R>) -> Option<T>,
    ) -> Poll<T> {
        let mut waiting = self.status.lock();
        if let Some(answer) = ask(&mut waiting) {
            return Poll::Ready(answer);
        }
        let known = waiting.waiters.iter_mut().find(|(number, ..)| *number == self.number);
        match known {
            Some((.., waker)) if waker.will_wake(cx.waker()) => {}
            Some((.., waker)) => {
                let replaced = core::mem::replace(waker, cx.waker().clone());
                // Dropping a waker may run code of an executor: not under the lock.
                drop(waiting);
                drop(replaced);
            }
            None => waiting.waiters.push((self.number, self.what, cx.waker().clone())),
        }
        Poll::Pending
    }
}

impl<R> Drop for Waiter<'_, R> {
    fn drop(&mut self) {
        let mut waiting = self.status.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let index = waiting.waiters.iter().position(|(number, ..)| *number == self.number);
        let gone = index.map(|index| waiting.waiters.swap_remove(index));
        drop(waiting);
        drop(gone);
    }
}
