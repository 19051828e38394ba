//! The deadlines of one transport, with one timer.
#![expect(clippy::disallowed_types, reason = "the adapter owns the clock")]

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::rt::{Sleep, Timer};

/// When a transport ends unless something happens before.
pub(super) struct Deadlines {
    /// Of the first head of a request.
    pub(super) head: Option<Instant>,
    /// Of a write that is pending.
    pub(super) write: Option<Instant>,
    /// Of hyper to take the bytes before the end of the peer.
    pub(super) peer_end: Option<Instant>,
    sleep: Option<(Pin<Box<dyn Sleep>>, Instant)>,
}

impl Deadlines {
    /// Creates the deadlines of a transport on which the first head has to arrive until `head`.
    pub(super) fn new(head: Option<Instant>) -> Deadlines {
        Deadlines { head, write: None, peer_end: None, sleep: None }
    }

    /// Fails if a deadline has passed, and registers the task for the next one. `close_at` is the end of all transports.
    pub(super) fn check(
        &mut self,
        timer: &(dyn Timer + Send + Sync),
        close_at: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let deadlines = [
            (self.head, ErrorKind::TimedOut, "the peer sent no request in time"),
            (self.write, ErrorKind::TimedOut, "the peer took no bytes in time"),
            (self.peer_end, ErrorKind::ConnectionAborted, "the peer has disconnected"),
            (close_at, ErrorKind::ConnectionAborted, "the server shuts down"),
        ];
        let next = deadlines.into_iter().filter_map(|(at, kind, what)| at.map(|at| (at, kind, what)));
        let Some((at, kind, what)) = next.min_by_key(|&(at, ..)| at) else { return Ok(()) };
        // The clock decides, and the timer only wakes the task (X5).
        while timer.now() < at {
            if self.poll_sleep(timer, at, cx).is_pending() {
                return Ok(());
            }
        }
        Err(io::Error::new(kind, what))
    }

    /// Sleeps until `at` or earlier: a timer that is set to an earlier instant is left alone, since a write deadline moves
    /// with each write.
    fn poll_sleep(
        &mut self,
        timer: &(dyn Timer + Send + Sync),
        at: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let (sleep, set_to) = self.sleep.get_or_insert_with(|| (timer.sleep_until(at), at));
        if *set_to > at {
            timer.reset(sleep, at);
            *set_to = at;
        }
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // A sleep that has completed must not be polled again.
        self.sleep = None;
        Poll::Ready(())
    }
}
