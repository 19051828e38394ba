//! Connections as response bodies.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sse_core::shared::Outbound;

use crate::detach::{DetachHandle, Detachable};

/// The body of an event stream. Dropping the body disconnects ([X4](sse_core::rules#x4)).
///
/// The body never fails and ends when its connection ends. Each of its frames holds the bytes that are pending at that
/// moment.
///
/// [`response`](crate::response) creates a body together with its head. Create the body alone if another part of the
/// program builds the head:
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
    /// Not polled yet. Until the first poll the connection can be detached.
    Detachable(Detachable),
    Live(Outbound),
    /// Fixed bytes, then the end.
    Fixed(Bytes),
    Ended,
}

impl SseBody {
    /// Creates the body of a connection.
    pub fn new(outbound: Outbound) -> SseBody {
        SseBody(Content::Live(outbound))
    }

    /// Creates the body of a connection, and the handle by which the connection can be detached from it.
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
            // From here on the body owns the connection, so that no delivery locks the mutex.
            self.0 = detachable.take().map_or(Content::Ended, Content::Live);
        }
        let bytes = match &mut self.0 {
            Content::Live(outbound) => ready!(outbound.poll_bytes(cx)),
            Content::Fixed(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Content::Detachable(_) | Content::Ended => None,
        };
        if bytes.is_none() {
            self.0 = Content::Ended;
            // hyper 1.12 closes a connection of HTTP/1.0 only in a turn that flushes behind the end of the body, and the turn
            // that sees the end can have flushed before. The wake adds a turn (X1).
            cx.waker().wake_by_ref();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use sse_core::shared::SharedHub;
    use sse_core::{ConnectionConfig, HubConfig, Instant};

    use super::*;

    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn x1_the_end_of_a_body_wakes_its_task() {
        let (hub, _driver) = SharedHub::new("e", HubConfig::default(), || Instant::ORIGIN).unwrap();
        let outbound =
            hub.connect(ConnectionConfig { announce_position: false, ..ConnectionConfig::default() });
        let outbound = outbound.unwrap();
        outbound.handle().close();
        let mut body = SseBody::new(outbound);
        let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let end = Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker));
        assert!(matches!(end, Poll::Ready(None)));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    }
}
