//! Requests on one HTTP/1 connection, until one of them is for an event stream.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::Service;
use sse_core::CloseReason;
use sse_core::adapter::Framing;
use sse_core::shared::Outbound;

use crate::detect::DetectService;
use crate::flush::{FlushWatch, HandOver};

/// Serves the requests on one HTTP/1 connection as hyper does, until the response to one is made by
/// [`response`](crate::response): then, as soon as its head is flushed, the transport comes back together with the
/// connection of the hub, for whoever writes to it directly (X7). What is due by then, such as a replay, goes out with the
/// head in one write, up to 16 KiB.
///
/// A subscription's response is recognised by an extension. Where the transport must not be handed over hyper writes
/// the body as ever, and the client sees no difference: to a `HEAD` request, with a status that is not 200, with a
/// `Content-Encoding` or a `Trailer`, and where a middleware made a new response or dropped the extension.
///
/// The `builder` is hyper's, and all that is set on it holds, but for `pipeline_flush`, which would keep a head back.
/// hyper's timeout for the head of a request works only with a [timer](http1::Builder::timer). Upgrades to other
/// protocols are not served.
///
/// # Panics
///
/// As hyper does when `header_read_timeout` is set on a builder without a timer.
///
/// ```
/// use hyper::server::conn::http1;
/// use hyper::service::service_fn;
/// use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
/// use sse_core::{ConnectionConfig, HubConfig};
/// use sse_hyper::Outcome;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = sse_hyper::start("1", HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
/// let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
///     let outbound = hub.connect(ConnectionConfig::default());
///     async move { outbound.map(|outbound| sse_hyper::response(request.version(), outbound)) }
/// });
///
/// let (mut client, server) = tokio::io::duplex(4096);
/// client.write_all(b"GET /sse HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
///
/// let builder = http1::Builder::new();
/// match sse_hyper::serve_connection(&builder, TokioIo::new(server), service).await? {
///     Outcome::Detached(detached) => {
///         // The head is out, and where the client begins. What comes is the driver's to write from now on.
///         let mut head = vec![0; 4096];
///         let count = client.read(&mut head).await?;
///         assert!(head[..count].ends_with(b"\r\n\r\n9\r\nid: 1-0\n\n\r\n"));
///         assert_eq!(detached.unread, 0);
///     }
///     Outcome::Closed => panic!("it asked for a stream"),
/// }
/// # Ok(()) }
/// ```
pub fn serve_connection<I, S, B>(builder: &http1::Builder, io: I, service: S) -> ServeConnection<I, S, B>
where
    I: Read + Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let hand_over = HandOver::default();
    let io = FlushWatch::new(io, hand_over.clone());
    let service = DetectService::new(service, hand_over.clone());
    let mut builder = builder.clone();
    // With it hyper does not flush while it has bytes that it did not parse: a head would never leave.
    let connection = builder.pipeline_flush(false).serve_connection(io, service);
    ServeConnection { connection: Some(connection), hand_over, pending: None }
}

/// What became of an HTTP/1 connection.
#[derive(Debug)]
pub enum Outcome<I> {
    /// It is over: the peer or hyper closed it, or the hub ended a stream whose head was not taken.
    Closed,
    /// The head of an event stream is out, with what was due first.
    Detached(Detached<I>),
}

/// A transport on which the head of an event stream was written with the first bytes, and the connection whose bytes come next.
///
/// Dropping it disconnects and closes the transport.
#[derive(Debug)]
#[non_exhaustive]
pub struct Detached<I> {
    /// The transport: all that hyper had for it is written and flushed.
    pub io: I,
    /// The connection of the hub. What was due to it when its head was written, up to 16 KiB, went out with the head.
    pub outbound: Outbound,
    /// How the head says that the body is laid on the transport.
    pub framing: Framing,
    /// How many bytes hyper had read and not used: the client sent them beyond the request, or as a body that the
    /// handler left. They are dropped, and not its end: what else it sends has to be read and dropped too.
    pub unread: usize,
}

/// The future that [`serve_connection`] returns. Dropping it closes the transport, and disconnects.
#[must_use = "futures do nothing unless polled"]
pub struct ServeConnection<I, S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body,
{
    /// Until it is over.
    connection: Option<http1::Connection<FlushWatch<I>, DetectService<S>>>,
    hand_over: HandOver,
    pending: Option<PendingHead>,
}

impl<I, S, B> ServeConnection<I, S, B>
where
    I: Read + Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Lets the request that is being answered be the last one. An idle connection is closed.
    ///
    /// The future has to be polled on. A request that becomes an event stream does so still, and its head says
    /// `connection: close`: the hub's [`shut_down`](sse_core::shared::SharedHub::shut_down) or
    /// [`drain`](sse_core::shared::SharedHub::drain) end it.
    pub fn graceful_shutdown(self: Pin<&mut Self>) {
        if let Some(connection) = &mut self.get_mut().connection {
            Pin::new(connection).graceful_shutdown();
        }
    }

    /// The transport and the connection, when the head is flushed.
    fn take_detached(&mut self) -> Option<Detached<I>> {
        if !self.hand_over.is_flushed() {
            return None;
        }
        let PendingHead { mut outbound, framing, .. } = self.pending.take()?;
        if self.hand_over.has_first_bytes() {
            outbound.first_bytes_taken();
        }
        let parts = self.connection.take()?.into_parts();
        Some(Detached { io: parts.io.io, outbound, framing, unread: parts.read_buf.len() })
    }
}

impl<I, S, B> Future for ServeConnection<I, S, B>
where
    I: Read + Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Outcome<I>, hyper::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(connection) = &mut this.connection else { return Poll::Ready(Ok(Outcome::Closed)) };
        if let Poll::Ready(result) = Pin::new(connection).poll(cx) {
            // An error counts more than a head that was flushed in the same turn: the peer is gone.
            this.end();
            return Poll::Ready(result.map(|()| Outcome::Closed));
        }
        if let Some((outbound, framing)) = this.hand_over.take_subscription() {
            this.pending = Some(PendingHead { outbound, framing });
        }
        if let Some(detached) = this.take_detached() {
            return Poll::Ready(Ok(Outcome::Detached(detached)));
        }
        let Some(pending) = &mut this.pending else { return Poll::Pending };
        ready!(pending.poll_ended(cx));
        this.end();
        Poll::Ready(Ok(Outcome::Closed))
    }
}

impl<I, S, B> ServeConnection<I, S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body,
{
    fn end(&mut self) {
        self.connection = None;
        self.pending = None;
        // Of a response that was made in the turn in which the transport failed.
        drop(self.hand_over.take_subscription());
    }
}

/// A subscription whose head the peer has not taken yet. hyper has no timeout for that, but the hub has: bytes that are
/// due and not taken for the stall time end the connection (T3).
struct PendingHead {
    outbound: Outbound,
    framing: Framing,
}

impl PendingHead {
    /// Ready when the hub ended the connection. Most heads are flushed in the turn that wrote them, and never wait.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.outbound.poll_ended(cx)
    }
}

impl<I, S, B> fmt::Debug for ServeConnection<I, S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeConnection").finish_non_exhaustive()
    }
}
