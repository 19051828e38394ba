//! A connection that is sent the events of a source: an answer that is produced while it is read.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::Payload;

use crate::shared::{Connection, ConnectionSendError, Outbound};

/// A connection that is sent the events of one source, and is closed when the source ends.
///
/// The source is polled when everything before was taken, so it is never ahead of its reader. Pings, the maximum lifetime and
/// the channels of the connection still apply. The events of the source are sent to this connection only, and cannot be
/// resumed. Publish events to a channel if clients have to resume them.
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
/// let mut connection = SourceConnection::new(hub.connect(config)?, vec!["two", "one"]);
/// let next = |words: &mut Vec<&'static str>, _: &mut Context<'_>| {
///     Poll::Ready(words.pop().map(|word| Event::new().data(word)))
/// };
/// let mut cx = Context::from_waker(Waker::noop());
/// assert_eq!(connection.poll_bytes(&mut cx, next), Poll::Ready(Some(Ok("data: one\n\n".into()))));
/// assert_eq!(connection.poll_bytes(&mut cx, next), Poll::Ready(Some(Ok("data: two\n\n".into()))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SourceConnection<S> {
    outbound: Outbound,
    handle: Connection,
    /// `None` when the source has ended.
    source: Option<S>,
}

impl<S> SourceConnection<S> {
    /// Creates a connection that is sent the events of `source`.
    pub fn new(outbound: Outbound, source: S) -> SourceConnection<S> {
        let handle = outbound.handle();
        SourceConnection { outbound, handle, source: Some(source) }
    }

    /// Returns the next bytes, as [`Outbound::poll_bytes`]; `None` when the connection has ended, or when the source has ended
    /// and everything was taken. `next` polls the source, as a stream is polled.
    ///
    /// # Errors
    ///
    /// [`ConnectionSendError`] when an event of the source cannot be encoded, or exceeds the limits. This closes the
    /// connection.
    pub fn poll_bytes<P: Into<Payload<'static>>>(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut(&mut S, &mut Context<'_>) -> Poll<Option<P>>,
    ) -> Poll<Option<Result<Bytes, ConnectionSendError>>> {
        loop {
            if let Poll::Ready(bytes) = self.outbound.poll_bytes(cx) {
                return Poll::Ready(bytes.map(Ok));
            }
            let Some(source) = &mut self.source else { return Poll::Pending };
            match std::task::ready!(next(source, cx)) {
                Some(payload) => {
                    if let Err(error) = self.send(&payload.into()) {
                        self.close();
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                None => self.close(),
            }
        }
    }

    fn send(&self, payload: &Payload<'_>) -> Result<(), ConnectionSendError> {
        match payload {
            Payload::Event(event) => self.handle.try_send(event),
            Payload::Frame(frame) => self.handle.try_send_frame(frame).map_err(ConnectionSendError::Send),
        }
    }

    fn close(&mut self) {
        self.source = None;
        self.handle.close();
    }
}

impl<S> core::fmt::Debug for SourceConnection<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("SourceConnection").field(&self.outbound).finish()
    }
}
