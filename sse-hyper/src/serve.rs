//! Serving an HTTP/1 connection until one of its responses is an event stream.

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
use crate::{Transport, Transports};

/// Serves the requests on one HTTP/1 connection with hyper until a response is an event stream
/// ([X7](sse_core::rules#x7)).
///
/// An event stream is a response that [`response`](crate::response) created. hyper writes its head together with the first
/// pending bytes, such as a replay, up to 16 KiB, in one write. Once they are flushed, the future returns the transport and
/// the connection of the hub, and a driver writes the rest of the stream.
///
/// An extension of the response identifies an event stream. hyper serves the response as a body instead, without a
/// difference for the client, in these cases:
///
/// - The request is a `HEAD` request.
/// - The status is not 200.
/// - The response has a `Content-Encoding` or a `Trailer`.
/// - A middleware created a new response or removed the extension.
///
/// The transport belongs to `transports` until it is handed over: its [limits](crate::TransportConfig) apply, and
/// [`Transports::close_within`] ends it. All settings of `builder` apply, except `pipeline_flush`, which would delay the head.
/// hyper's timeout for the heads of later requests requires a [timer](http1::Builder::timer). Upgrades to other protocols are
/// not supported.
///
/// # Panics
///
/// Panics if `header_read_timeout` is set on a builder without a timer, as hyper does.
///
/// ```
/// use hyper::server::conn::http1;
/// use hyper::service::service_fn;
/// use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
/// use sse_core::{ConnectionConfig, HubConfig};
/// use sse_hyper::{Outcome, TransportConfig, Transports};
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
/// let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
/// match sse_hyper::serve_connection(&transports, &builder, TokioIo::new(server), service).await? {
///     Outcome::Detached(detached) => {
///         // The head and the first block were sent. From now on the driver writes the stream.
///         let mut head = vec![0; 4096];
///         let count = client.read(&mut head).await?;
///         assert!(head[..count].ends_with(b"\r\n\r\n20\r\nid: 1-0\nevent: position\ndata: \n\n\r\n"));
///         assert_eq!(detached.unread, 0);
///     }
///     Outcome::Closed => panic!("the request is for a stream"),
/// }
/// # Ok(()) }
/// ```
pub fn serve_connection<I, S, B>(
    transports: &Transports,
    builder: &http1::Builder,
    io: I,
    service: S,
) -> ServeConnection<I, S, B>
where
    I: Read + Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let hand_over = HandOver::default();
    let io = FlushWatch::new(transports.wrap(io), hand_over.clone());
    let service = DetectService::new(service, hand_over.clone());
    let mut builder = builder.clone();
    // With `pipeline_flush` hyper does not flush while it holds unparsed bytes, so the head would never be sent.
    let connection = builder.pipeline_flush(false).serve_connection(io, service);
    ServeConnection { connection: Some(connection), hand_over, pending: None }
}

/// The result of serving an HTTP/1 connection.
#[derive(Debug)]
pub enum Outcome<I> {
    /// The connection ended: the peer or hyper closed it, or the hub closed a stream whose head was not taken.
    Closed,
    /// The head of an event stream was sent together with the first pending bytes.
    Detached(Detached<I>),
}

/// An event stream that has left hyper: its transport, and the connection whose bytes follow on it.
///
/// The head and the first bytes were already sent. Dropping the value disconnects and closes the transport.
#[derive(Debug)]
#[non_exhaustive]
pub struct Detached<I> {
    /// The transport. Everything that hyper wrote to it is flushed.
    pub io: I,
    /// The connection of the hub. The bytes that were pending with the head, up to 16 KiB, are already sent.
    pub outbound: Outbound,
    /// The framing of the body that the head declares.
    pub framing: Framing,
    /// The number of bytes that hyper read but did not use: bytes behind the request, or a request body that the handler
    /// did not read. They are discarded. The driver has to read and discard what the client sends after them.
    pub unread: usize,
}

/// The future returned by [`serve_connection`]. Dropping it closes the transport and disconnects.
#[must_use = "futures do nothing unless polled"]
pub struct ServeConnection<I, S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body,
{
    /// `None` after the end or the hand-over.
    connection: Option<http1::Connection<FlushWatch<Transport<I>>, DetectService<S>>>,
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
    /// Closes the connection after the current request, or at once if the connection is idle.
    ///
    /// Poll the future until it completes. If the current request becomes an event stream, its head contains
    /// `connection: close`. [`SharedHub::shut_down`](sse_core::shared::SharedHub::shut_down) or
    /// [`SharedHub::drain`](sse_core::shared::SharedHub::drain) ends that stream.
    pub fn graceful_shutdown(self: Pin<&mut Self>) {
        if let Some(connection) = &mut self.get_mut().connection {
            Pin::new(connection).graceful_shutdown();
        }
    }

    /// Takes the transport and the connection if the head is flushed.
    fn take_detached(&mut self) -> Option<Detached<I>> {
        if !self.hand_over.is_flushed() {
            return None;
        }
        let PendingHead { mut outbound, framing, .. } = self.pending.take()?;
        if let Some(claim) = self.hand_over.take_first_claim() {
            outbound.confirm(claim);
        }
        let parts = self.connection.take()?.into_parts();
        let transport = parts.io.io;
        let unread = parts.read_buf.len() + transport.bytes_ahead();
        Some(Detached { io: transport.into_inner(), outbound, framing, unread })
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
            // The peer has disconnected, so an error wins over a head that was flushed in the same poll.
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
        // The response may have been created in the same poll in which the transport failed.
        drop(self.hand_over.take_subscription());
    }
}

/// A subscription whose head is not flushed yet. hyper has no timeout for writes, but the stall timeout of the hub ends the
/// connection if the peer does not take the pending bytes (T3).
struct PendingHead {
    outbound: Outbound,
    framing: Framing,
}

impl PendingHead {
    /// Waits until the hub ends the connection. Most heads are flushed in the poll that wrote them and never wait.
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
