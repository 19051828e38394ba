//! Connections and channels as streams of the `futures` ecosystem.

use std::boxed::Box;
use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use crate::shared::{Channel, ConnectionSendError, Outbound};
use crate::{Payload, PublishError, Unwanted};

use super::source::SourceConnection;

/// The bytes of a connection as a stream, for frameworks that take one as the body of a response. Dropping it
/// disconnects ([X4](crate::rules#x4)).
///
/// The response needs the header fields [`HEADERS`](super::HEADERS). Each item holds everything that is pending at that
/// moment. The stream never fails, and ends when the connection does.
///
/// ```
/// use std::pin::Pin;
/// use std::task::{Context, Poll, Waker};
///
/// use futures_core::Stream;
/// use sse_core::adapter::EventStream;
/// # use sse_core::shared::SharedHub;
/// # use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Instant};
/// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
/// let weather = hub.open_channel("weather", ChannelConfig::default())?;
/// let outbound = hub.connect(ConnectionConfig::default())?;
/// outbound.subscribe(&weather)?;
/// let mut stream = EventStream::new(outbound);
///
/// weather.publish(&Event::new().data("sunny"))?;
/// let mut cx = Context::from_waker(Waker::noop()); // a runtime brings its own
/// let Poll::Ready(Some(Ok(bytes))) = Pin::new(&mut stream).poll_next(&mut cx) else { panic!() };
/// assert_eq!(bytes, "id: 1k9f2-0\nevent: position\ndata: \n\nid: 1k9f2-1\ndata: sunny\n\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventStream(Outbound);

impl EventStream {
    /// Creates the stream of a connection.
    pub fn new(outbound: Outbound) -> EventStream {
        EventStream(outbound)
    }

    /// Creates the stream of a connection that is sent the items of `events`, events or frames, and is closed when `events` ends: an answer
    /// that is produced while it is read, such as the tokens of a language model.
    ///
    /// The next event is requested when everything before it was taken. Pings and the maximum lifetime of the connection
    /// still apply. To let clients resume, publish the events to a channel instead, by [`publish_all`].
    pub fn from_events<S>(outbound: Outbound, events: S) -> SourceStream<S>
    where
        S: Stream<Item: Into<Payload<'static>>>,
    {
        SourceStream(SourceConnection::new(outbound, Box::pin(events)))
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.0.poll_bytes(cx).map(|bytes| bytes.map(Ok))
    }
}

/// The bytes of a connection that is sent the items of a stream of events: [`EventStream::from_events`].
///
/// It fails when an event cannot be encoded or exceeds the limits. Dropping it disconnects.
pub struct SourceStream<S>(SourceConnection<Pin<Box<S>>>);

impl<S: Stream<Item: Into<Payload<'static>>>> Stream for SourceStream<S> {
    type Item = Result<Bytes, ConnectionSendError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_bytes(cx, |events, cx| events.as_mut().poll_next(cx))
    }
}

impl<S> fmt::Debug for SourceStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Publishes the items of a stream to a channel, until the stream ends or nobody wants more of them
/// ([`Channel::publish_from`]). The items are events or frames. Clients that follow the channel can reconnect and resume: the
/// answer goes on while its reader is away.
///
/// The stream is polled only while there is [room](Channel::room). The channel stays open:
/// [finish](Channel::finish) it.
///
/// Returns `None` when the stream has ended, and otherwise the reason for which nobody wants more of it.
///
/// # Errors
///
/// [`PublishError`] when an event cannot be encoded or is too large, or the channel is finished or closed. The stream is
/// dropped then.
///
/// ```
/// # async fn answer(
/// #     hub: sse_core::shared::SharedHub, tokens: impl futures_core::Stream<Item = sse_core::Event<'static>>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use sse_core::{ChannelConfig, Event};
///
/// let answer = hub.open_channel("answers/17", ChannelConfig::answer())?;
/// let unwanted = sse_core::adapter::publish_all(&answer, tokens).await?;
/// let end = Event::new().event(if unwanted.is_some() { "stopped" } else { "done" }).data("");
/// answer.finish(Some(&end), Duration::from_secs(600))?;
/// # Ok(()) }
/// ```
pub async fn publish_all<P: Into<Payload<'static>>>(
    channel: &Channel,
    events: impl Stream<Item = P>,
) -> Result<Option<Unwanted>, PublishError> {
    let mut events = pin!(events);
    channel.publish_from(|cx| events.as_mut().poll_next(cx)).await
}
