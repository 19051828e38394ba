//! A connection that is sent what a source gives: an answer that is made while it is read.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::Event;

use crate::shared::{Connection, ConnectionSendError, Outbound};

/// A connection that is sent the events of one source, and ends with it.
///
/// The source is asked when all before was taken, so that it is never ahead of its reader. The connection has its ping,
/// its timeout and its channels beside. What a source gives is sent to this connection alone and cannot be resumed; what
/// shall be is published to a channel.
///
/// ```
/// use std::task::{Context, Poll, Waker};
///
/// use sse_core::adapter::SourceConnection;
/// # use sse_core::shared::SharedHub;
/// # use sse_core::{ConnectionConfig, Event, HubConfig, Instant};
/// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
///
/// let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
/// let mut fed = SourceConnection::new(hub.connect(config)?, vec!["two", "one"]);
/// let next = |words: &mut Vec<&'static str>, _: &mut Context<'_>| {
///     Poll::Ready(words.pop().map(|word| Event::new().data(word)))
/// };
/// let mut cx = Context::from_waker(Waker::noop());
/// assert_eq!(fed.poll_bytes(&mut cx, next), Poll::Ready(Some(Ok("data: one\n\n".into()))));
/// assert_eq!(fed.poll_bytes(&mut cx, next), Poll::Ready(Some(Ok("data: two\n\n".into()))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SourceConnection<S> {
    outbound: Outbound,
    handle: Connection,
    /// `None` when it ended.
    source: Option<S>,
}

impl<S> SourceConnection<S> {
    /// Feeds a connection from a source.
    pub fn new(outbound: Outbound, source: S) -> SourceConnection<S> {
        let handle = outbound.handle();
        SourceConnection { outbound, handle, source: Some(source) }
    }

    /// The next bytes, as [`Outbound::poll_bytes`]; `None` when the connection ended, or the source did and all was taken.
    /// `next` asks the source, as a stream is polled.
    ///
    /// # Errors
    ///
    /// [`ConnectionSendError`] when the source gave an event that cannot be encoded or is larger than ever fits. The connection
    /// is closed then.
    pub fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut(&mut S, &mut Context<'_>) -> Poll<Option<Event<'static>>>,
    ) -> Poll<Option<Result<Bytes, ConnectionSendError>>> {
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

impl<S> core::fmt::Debug for SourceConnection<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("SourceConnection").field(&self.outbound).finish()
    }
}
