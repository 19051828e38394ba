//! A connection as the body of a response.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sse_core::shared::Outbound;

use crate::detach::{DetachHandle, Detachable};

/// The body of an event stream. Dropping it disconnects (X4).
///
/// It never fails, and ends when its connection does. Each of its frames is what is due together at that moment.
///
/// [`response`](crate::response) makes one with its head. By itself it suits where the head is made elsewhere:
///
/// ```
/// # use sse_core::adapter::HEADERS;
/// # use sse_core::shared::SharedHub;
/// # use sse_core::{ConnectionConfig, HubConfig, Instant};
/// # let (hub, _driver) = SharedHub::new("1", HubConfig::default(), || Instant::ORIGIN).unwrap();
/// let body = sse_hyper::SseBody::new(hub.connect(ConnectionConfig::default())?);
/// let head = HEADERS.into_iter().fold(http::Response::builder(), |head, (name, value)| head.header(name, value));
/// let response = head.body(body)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SseBody(Content);

#[derive(Debug)]
enum Content {
    /// Not yet asked for bytes: until then the connection can be taken away.
    Detachable(Detachable),
    Live(Outbound),
    /// Bytes that were known before, and then the end.
    Fixed(Bytes),
    Ended,
}

impl SseBody {
    /// The body of a connection.
    pub fn new(outbound: Outbound) -> SseBody {
        SseBody(Content::Live(outbound))
    }

    /// The body of a connection, and what the head needs so that the connection can be taken out of it.
    pub(crate) fn detachable(outbound: Outbound) -> (SseBody, DetachHandle) {
        let detachable = Detachable::new(outbound);
        let handle = detachable.handle();
        (SseBody(Content::Detachable(detachable)), handle)
    }

    pub(crate) fn fixed(bytes: Bytes) -> SseBody {
        SseBody(if bytes.is_empty() { Content::Ended } else { Content::Fixed(bytes) })
    }
}

impl Body for SseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Content::Detachable(detachable) = &self.0 {
            // From here on it is the body's: nothing is locked per delivery.
            self.0 = detachable.take().map_or(Content::Ended, Content::Live);
        }
        let bytes = match &mut self.0 {
            Content::Live(outbound) => ready!(outbound.poll_bytes(cx)),
            Content::Fixed(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Content::Detachable(_) | Content::Ended => None,
        };
        if bytes.is_none() {
            self.0 = Content::Ended;
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Content::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Detachable(_) | Content::Live(_) => SizeHint::default(),
            Content::Fixed(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Ended => SizeHint::with_exact(0),
        }
    }
}
