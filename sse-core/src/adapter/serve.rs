//! One connection on one transport, as a future.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::Vec;

use crate::CloseReason;
use crate::shared::Outbound;

use super::Framing;
use super::socket::{Socket, SocketConnection, Step};

/// Drives one connection on one transport, as a future: it completes with the reason when the connection has ended or the
/// peer has disconnected.
///
/// It fails when the transport does. Dropping it disconnects ([X4](crate::rules#x4)).
#[must_use = "futures do nothing unless polled"]
pub struct ServeConnection<S> {
    connection: SocketConnection<S>,
    scratch: Vec<u8>,
}

impl<S: Socket> ServeConnection<S> {
    /// Creates the future of a connection and its transport. The response head has to be written before.
    pub fn new(outbound: Outbound, framing: Framing, socket: S) -> ServeConnection<S> {
        let connection = SocketConnection::new(outbound, framing, socket);
        ServeConnection { connection, scratch: Vec::new() }
    }
}

impl<S: Socket + Unpin> Future for ServeConnection<S> {
    type Output = io::Result<CloseReason>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<CloseReason>> {
        let ServeConnection { connection, scratch } = &mut *self;
        match connection.run_pass(cx, scratch) {
            Step::Idle => Poll::Pending,
            Step::Continue => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Step::PeerClosed => Poll::Ready(Ok(CloseReason::Disconnected)),
            Step::Failed(error) => Poll::Ready(Err(error)),
            Step::Closed(reason) => Poll::Ready(Ok(reason)),
        }
    }
}

impl<S> core::fmt::Debug for ServeConnection<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("ServeConnection").field(&self.connection.writer).finish()
    }
}
