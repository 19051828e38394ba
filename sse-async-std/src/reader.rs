//! Connections as asynchronous readers.

use std::error::Error;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_io::{AsyncBufRead, AsyncRead};
use sse_core::Payload;
use sse_core::shared::Outbound;

use crate::{EventStream, SourceStream};

/// The bytes of a connection as a reader, for frameworks that accept a reader as the body of a response. In tide it is
/// `Body::from_reader(reader, None)`. Dropping the reader disconnects ([X4](sse_core::rules#x4)).
///
/// The response needs the header fields [`HEADERS`](sse_core::adapter::HEADERS). A read returns the pending bytes and waits
/// only if there are none. The reader ends when the connection ends. A reader of a connection never fails. A reader from
/// [`from_events`](EventReader::from_events) fails when an event cannot be encoded or exceeds the limits.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { smol::block_on(async {
/// use smol::io::AsyncReadExt;
/// use sse_async_std::EventReader;
/// use sse_core::{ConnectionConfig, Event, HubConfig};
///
/// let (hub, task) = sse_async_std::drive("1k9f2", HubConfig::default())?;
/// smol::spawn(task).detach();
/// let outbound = hub.connect(ConnectionConfig::default())?;
/// let connection = outbound.handle();
/// connection.try_send(&Event::new().data("sunny"))?;
/// connection.close();
///
/// let mut body = String::new();
/// EventReader::new(outbound).read_to_string(&mut body).await?;
/// assert_eq!(body, "id: 1k9f2-0\nevent: position\ndata: \n\ndata: sunny\n\n");
/// # Ok(()) }) }
/// ```
#[derive(Debug)]
pub struct EventReader<S = EventStream> {
    stream: S,
    /// The bytes that were taken from the stream and not read yet.
    unread: Bytes,
}

impl EventReader {
    /// Creates the reader of a connection.
    pub fn new(outbound: Outbound) -> EventReader {
        EventReader { stream: EventStream::new(outbound), unread: Bytes::new() }
    }

    /// Creates the reader of a connection that is sent the items of `events` and is closed when `events` ends, as
    /// [`EventStream::from_events`] does.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Event, HubConfig};
    /// # use sse_async_std::EventReader;
    /// # fn tokens() -> impl futures_core::Stream<Item = Event<'static>> { smol::stream::empty() }
    /// let (hub, task) = sse_async_std::drive("1k9f2", HubConfig::default())?;
    /// smol::spawn(task).detach();
    /// let outbound = hub.connect(ConnectionConfig { announce_position: false, ..Default::default() })?;
    /// let body = EventReader::from_events(outbound, tokens());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_events<S>(outbound: Outbound, events: S) -> EventReader<SourceStream<S>>
    where
        S: Stream<Item: Into<Payload<'static>>>,
    {
        EventReader { stream: EventStream::from_events(outbound, events), unread: Bytes::new() }
    }
}

impl<S, E> AsyncBufRead for EventReader<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Error + Send + Sync + 'static,
{
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let EventReader { stream, unread } = self.get_mut();
        if unread.is_empty() {
            *unread = match ready!(Pin::new(stream).poll_next(cx)) {
                Some(bytes) => bytes.map_err(io::Error::other)?,
                None => Bytes::new(),
            };
        }
        Poll::Ready(Ok(unread))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        // A larger count is a bug of the caller and no reason to panic.
        let count = count.min(self.unread.len());
        self.unread.advance(count);
    }
}

impl<S, E> AsyncRead for EventReader<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Error + Send + Sync + 'static,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut unread = ready!(self.as_mut().poll_fill_buf(cx))?;
        let count = unread.read(buffer)?;
        self.consume(count);
        Poll::Ready(Ok(count))
    }
}
