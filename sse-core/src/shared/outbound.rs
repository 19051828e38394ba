//! The transport's end of a connection.

use std::task::{Context, Poll};

use bytes::{Buf, Bytes};

use crate::{Resume, SubscribeError};

use super::{Channel, Connection};

/// A frame at least this long goes out by itself, without a copy; shorter ones are put together (X9).
const LARGE_FRAME: usize = 8 * 1024;

/// The bytes of one connection, for whoever writes them to its transport. Dropping it disconnects (X4).
#[derive(Debug)]
pub struct Outbound {
    connection: Connection,
}

impl Outbound {
    pub(super) fn new(connection: Connection) -> Outbound {
        Outbound { connection }
    }

    /// A handle on the connection for the application: to send to it, and to change or end it.
    pub fn handle(&self) -> Connection {
        self.connection.clone()
    }

    /// Has the connection follow a channel: before its first bytes are taken it resumes from its last event id.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`], as [`Hub::subscribe`](crate::Hub::subscribe).
    pub fn subscribe(&self, channel: &Channel) -> Result<Resume, SubscribeError> {
        self.connection.subscribe(channel)
    }

    /// The next bytes: what is due together, up to 64 KiB, or a single larger frame. `None` when the connection
    /// ended.
    ///
    /// What is returned counts as taken: it has to be written, or the connection dropped.
    ///
    /// # Cost
    ///
    /// One turn of the lock. One frame, or one of 8 KiB and more, is handed out without a copy; several small ones
    /// are copied into one buffer.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let id = self.connection.id();
        // A waker that is replaced is dropped after the lock is free: that may run code of an executor.
        let (_replaced, poll) = self.connection.hub().with_state(|state, now| {
            let mut window = state.hub.transmit(now, id);
            if window.has_remaining() {
                let first = window.chunk().len();
                let count = if first < LARGE_FRAME { window.remaining() } else { first };
                return (None, Poll::Ready(Some(window.copy_to_bytes(count))));
            }
            drop(window);
            match state.seats.get_mut(&id) {
                Some(seat) if state.hub.is_open(id) => {
                    (seat.waker.replace(cx.waker().clone()), Poll::Pending)
                }
                _ => (None, Poll::Ready(None)),
            }
        });
        poll
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.connection.disconnect();
    }
}
