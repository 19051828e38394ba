//! A connection that is sent what a source gives: an answer that is made while it is read.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::Event;

use super::{Connection, Outbound, TrySendError};

/// A connection that is sent the events of one source, and ends with it.
///
/// The source is asked when all before was taken, so that it is never ahead of its reader. The connection has its ping,
/// its timeout and its channels beside. What a source gives is sent to this connection alone and cannot be resumed; what
/// shall be is published to a channel.
pub struct Fed<S> {
    outbound: Outbound,
    handle: Connection,
    /// `None` when it ended.
    source: Option<S>,
}

impl<S> Fed<S> {
    /// Feeds a connection from a source.
    pub fn new(outbound: Outbound, source: S) -> Fed<S> {
        let handle = outbound.handle();
        Fed { outbound, handle, source: Some(source) }
    }

    /// The next bytes, as [`Outbound::poll_bytes`]; `None` when the connection ended, or the source did and all was taken.
    /// `next` asks the source, as a stream is polled.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] when the source gave an event that cannot be encoded or is larger than ever fits. The connection
    /// is closed then.
    pub fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut(&mut S, &mut Context<'_>) -> Poll<Option<Event<'static>>>,
    ) -> Poll<Option<Result<Bytes, TrySendError>>> {
        loop {
            if let Poll::Ready(bytes) = self.outbound.poll_bytes(cx) {
                return Poll::Ready(bytes.map(Ok));
            }
            let Some(source) = &mut self.source else { return Poll::Pending };
            match std::task::ready!(next(source, cx)) {
                Some(event) => {
                    if let Err(error) = self.handle.try_send(&event) {
                        self.end();
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                None => self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.source = None;
        self.handle.close();
    }
}

impl<S> core::fmt::Debug for Fed<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Fed").field(&self.outbound).finish()
    }
}
