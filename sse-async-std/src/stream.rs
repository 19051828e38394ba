//! Connections as streams of bytes.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use sse_core::Event;
use sse_core::shared::{Fed, Outbound, TrySendError};

/// The bytes of a connection as a stream, for frameworks that take one as the body of a response; an
/// [`EventReader`](crate::EventReader) is for the others. Dropping it disconnects (X4).
///
/// The response needs the fields of [`HEADERS`](sse_core::shared::HEADERS). Each item is what is due together at that
/// moment; the stream never fails, and ends when the connection does.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { smol::block_on(async {
/// use std::future::poll_fn;
/// use std::pin::Pin;
///
/// use futures_core::Stream;
/// use sse_async_std::EventStream;
/// use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig};
///
/// let (hub, task) = sse_async_std::drive("1k9f2", HubConfig::default())?;
/// smol::spawn(task).detach();
/// let weather = hub.open("weather", ChannelConfig::default())?;
/// let outbound = hub.connect(ConnectionConfig::default())?;
/// outbound.subscribe(&weather)?;
/// let mut stream = EventStream::new(outbound);
///
/// weather.publish(&Event::new().data("sunny"))?;
/// let bytes = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await;
/// assert_eq!(bytes.unwrap()?, "id: 1k9f2-0\n\nid: 1k9f2-1\ndata: sunny\n\n");
/// # Ok(()) }) }
/// ```
#[derive(Debug)]
pub struct EventStream(Outbound);

impl EventStream {
    /// The stream of a connection.
    pub fn new(outbound: Outbound) -> EventStream {
        EventStream(outbound)
    }

    /// The stream of a connection that is sent what `events` gives, and ends with it: an answer that is made while it is
    /// read, such as the tokens of a language model.
    ///
    /// `events` is asked for the next when all before was taken. The connection has its ping and its timeout beside. What
    /// shall be resumed is [published](crate::publish_all) to a channel instead.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Event, HubConfig};
    /// # use sse_async_std::EventStream;
    /// # fn tokens() -> impl futures_core::Stream<Item = Event<'static>> { smol::stream::empty() }
    /// let (hub, task) = sse_async_std::drive("1k9f2", HubConfig::default())?;
    /// smol::spawn(task).detach();
    /// let outbound = hub.connect(ConnectionConfig { announce_position: false, ..Default::default() })?;
    /// let body = EventStream::from_events(outbound, tokens());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_events<S: Stream<Item = Event<'static>>>(outbound: Outbound, events: S) -> FedStream<S> {
        FedStream::new(outbound, events)
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.0.poll_bytes(cx).map(|bytes| bytes.map(Ok))
    }
}

/// The bytes of a connection that is fed by a stream of events: [`EventStream::from_events`].
///
/// It fails when an event cannot be encoded or is larger than ever fits. Dropping it disconnects.
pub struct FedStream<S> {
    fed: Fed<Pin<Box<S>>>,
}

impl<S: Stream<Item = Event<'static>>> FedStream<S> {
    fn new(outbound: Outbound, events: S) -> FedStream<S> {
        FedStream { fed: Fed::new(outbound, Box::pin(events)) }
    }
}

impl<S: Stream<Item = Event<'static>>> Stream for FedStream<S> {
    type Item = Result<Bytes, TrySendError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.fed.poll_bytes(cx, |events, cx| events.as_mut().poll_next(cx))
    }
}

impl<S> fmt::Debug for FedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fed.fmt(f)
    }
}
