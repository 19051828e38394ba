//! Events that are published during the hand-over (X7).

mod app;
mod transport;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use app::{HEAD_1_1, chunk, get, hub, service};
use hyper::rt::{Read, ReadBufCursor, Write};
use sse_core::Event;
use sse_core::shared::SharedHub;
use sse_hyper::Outcome;
use transport::{Behaviour, Peer, Transport, transport};

/// A transport that publishes an event right after the flush of the head, as another thread could. Then it can block.
struct RacingTransport {
    transport: Transport,
    hub: SharedHub,
    peer: Peer,
    is_blocked: bool,
    has_published: bool,
}

impl Read for RacingTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        b: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_read(cx, b)
    }
}

impl Write for RacingTransport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, b)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        b: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(cx, b)
    }
    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.transport).poll_flush(cx);
        if result.is_ready() && !self.has_published && !self.peer.received().is_empty() {
            self.has_published = true;
            self.hub.channel("a").unwrap().publish(&Event::new().data("1")).unwrap();
            self.peer.set_blocked(self.is_blocked);
        }
        result
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

async fn publish_after_flush(behaviour: Behaviour, is_blocked: bool) {
    let hub = hub();
    let (peer, io) = transport(behaviour);
    let io = RacingTransport {
        transport: io,
        hub: hub.clone(),
        peer: peer.clone(),
        is_blocked,
        has_published: false,
    };
    peer.send(get("/unannounced"));
    let mut future =
        Box::pin(sse_hyper::serve_connection(&app::transports(), &app::builder(), io, service(&hub)));
    let mut cx = Context::from_waker(Waker::noop());
    let mut polls = 0;
    let mut detached = loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(Outcome::Detached(detached))) => break detached,
            Poll::Ready(other) => panic!("{:?}", other.is_ok()),
            Poll::Pending => peer.set_blocked(false),
        }
        polls += 1;
        assert!(polls < 100_000);
    };
    // The peer reads again, and the driver writes the pending bytes.
    peer.set_blocked(false);
    let pending = detached.outbound.poll_bytes(&mut cx);
    let pending = match pending {
        Poll::Ready(Some(bytes)) => chunk(std::str::from_utf8(&bytes).unwrap()),
        _ => String::new(),
    };
    let got = peer.received() + &pending;
    assert_eq!(
        got,
        HEAD_1_1.to_owned() + &chunk("id: e-1\ndata: 1\n\n"),
        "{behaviour:?}, is_blocked {is_blocked}, buffered {}",
        peer.buffered()
    );
}

#[tokio::test]
async fn x7_an_event_published_after_the_flush_is_not_lost_on_an_orderly_transport() {
    publish_after_flush(Behaviour::ORDERLY, false).await;
}

#[tokio::test]
async fn x7_an_event_published_after_the_flush_is_not_lost_on_a_blocked_transport() {
    publish_after_flush(Behaviour::ORDERLY, true).await;
}

#[tokio::test]
async fn x7_an_event_published_after_the_flush_is_not_lost_on_any_transport() {
    for behaviour in Behaviour::all() {
        publish_after_flush(behaviour, false).await;
    }
}

/// A transport whose writes fail.
struct BrokenTransport(Transport);
impl Read for BrokenTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        b: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, b)
    }
}
impl Write for BrokenTransport {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn x4_a_transport_that_fails_at_once_leaves_no_connection() {
    let hub = hub();
    let (peer, io) = transport(Behaviour::ORDERLY);
    peer.send(get("/sse"));
    let mut future = Box::pin(sse_hyper::serve_connection(
        &app::transports(),
        &app::builder(),
        BrokenTransport(io),
        service(&hub),
    ));
    let result = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(result, Poll::Ready(Err(_))));
    assert_eq!(hub.stats().connections, 0, "the connection ends with the future");
}
