//! A service with a path for each behaviour of handlers and middleware, and the task that serves it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::adapter::Framing;
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, ConnectionConfig, HubConfig};
use sse_hyper::{Detached, Outcome, TransportConfig, Transports};
use tokio::task::JoinHandle;

/// The head of a stream over HTTP/1.1 from [`builder`], which sends no date.
pub(crate) const HEAD_1_1: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
    cache-control: no-store, no-transform\r\nx-accel-buffering: no\r\nconnection: keep-alive\r\n\
    transfer-encoding: chunked\r\n\r\n";

pub(crate) const HEAD_1_0: &str = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
    cache-control: no-store, no-transform\r\nx-accel-buffering: no\r\n\r\n";

/// The first block of a stream (H3).
pub(crate) const FIRST_BLOCK: &str = "id: e-0\nevent: position\ndata: \n\n";

pub(crate) fn hub() -> SharedHub {
    sse_hyper::start("e", HubConfig::default(), &TokioExecutor::new(), TokioTimer::new()).unwrap()
}

pub(crate) fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.auto_date_header(false);
    builder
}

pub(crate) fn transports() -> Transports {
    Transports::new(TransportConfig::default(), TokioTimer::new())
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
}

pub(crate) fn chunk(bytes: &str) -> String {
    format!("{:X}\r\n{bytes}\r\n", bytes.len())
}

/// Returns the bytes that a subscriber receives first.
pub(crate) fn head_and_first_block() -> String {
    HEAD_1_1.to_owned() + &chunk(FIRST_BLOCK)
}

/// The service of the tests.
pub(crate) struct App(SharedHub);

pub(crate) fn service(hub: &SharedHub) -> App {
    App(hub.clone())
}

impl Service<Request<Incoming>> for App {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let hub = self.0.clone();
        Box::pin(async move { Ok(respond(&hub, request).await) })
    }
}

async fn respond(hub: &SharedHub, request: Request<Incoming>) -> Response<Body> {
    let version = request.version();
    let path = request.uri().path().to_owned();
    if path == "/plain" {
        return Response::new(Body::from("plain"));
    }
    let announce_position = !["/unannounced", "/ended"].contains(&path.as_str());
    let outbound = hub.connect(ConnectionConfig { announce_position, ..Default::default() }).unwrap();
    // Some tests have opened it with another configuration.
    let channel =
        hub.channel("a").unwrap_or_else(|| hub.open_channel("a", ChannelConfig::default()).unwrap());
    outbound.subscribe(&channel).unwrap();
    match path.as_str() {
        "/slow" => yield_several_times().await,
        "/wait" => std::future::pending().await,
        "/ended" => assert!(outbound.handle().close()),
        "/read" => {
            let body = axum::body::to_bytes(Body::new(request.into_body()), 100).await.unwrap();
            assert_eq!(body, "body");
        }
        _ => {}
    }
    let mut response = sse_hyper::response(version, outbound).map(Body::new);
    let mut insert = |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
    match path.as_str() {
        "/gzip" => drop(insert(header::CONTENT_ENCODING, "gzip")),
        "/trailer" => drop(insert(header::TRAILER, "sum")),
        "/teapot" => *response.status_mut() = StatusCode::IM_A_TEAPOT,
        "/misframed" => {
            insert(header::CONTENT_LENGTH, "5");
            insert(header::TRANSFER_ENCODING, "gzip, chunked");
            // The version that the request does not have.
            let is_1_0 = version == Version::HTTP_10;
            *response.version_mut() = if is_1_0 { Version::HTTP_11 } else { Version::HTTP_10 };
        }
        "/lost" => response = Response::new(response.into_body()),
        "/replaced" => response = response.map(|_| Body::from("replaced")),
        "/polled" => {
            let first = poll_fn(|cx| Pin::new(response.body_mut()).poll_frame(cx)).await;
            assert_eq!(first.unwrap().unwrap().data_ref().unwrap(), "id: e-0\nevent: position\ndata: \n\n");
            response = response.map(|body| {
                Body::new(Prepended { first: Some("id: e-0\nevent: position\ndata: \n\n"), body })
            });
        }
        _ => {}
    }
    response
}

async fn yield_several_times() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// A task that runs the future of [`sse_hyper::serve_connection`].
pub(crate) struct ConnectionTask<I>(JoinHandle<Result<Outcome<I>, hyper::Error>>);

impl<I: Read + Write + Unpin + Send + 'static> ConnectionTask<I> {
    pub(crate) fn new<S>(io: I, service: S) -> ConnectionTask<I>
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Send + 'static,
        S::Future: Send,
    {
        ConnectionTask::with(&builder(), io, service)
    }

    pub(crate) fn with<S>(builder: &http1::Builder, io: I, service: S) -> ConnectionTask<I>
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Send + 'static,
        S::Future: Send,
    {
        ConnectionTask(tokio::spawn(sse_hyper::serve_connection(&transports(), builder, io, service)))
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    pub(crate) async fn outcome(self) -> Result<Outcome<I>, hyper::Error> {
        tokio::time::timeout(Duration::from_secs(10), self.0).await.expect("the future completes").unwrap()
    }
}

/// Waits for the hand-over.
pub(crate) async fn detach<I: Read + Write + Unpin + Send + 'static>(task: ConnectionTask<I>) -> Detached<I> {
    match task.outcome().await.unwrap() {
        Outcome::Detached(detached) => detached,
        Outcome::Closed => panic!("closed"),
    }
}

/// Writes the pending bytes as one chunk, as a driver does.
pub(crate) async fn write_pending<I: Write + Unpin>(detached: &mut Detached<I>) {
    let pending = poll_fn(|cx| detached.outbound.poll_bytes(cx)).await.expect("the connection is open");
    let pending = std::str::from_utf8(&pending).unwrap();
    let framed = if detached.framing == Framing::Chunked { chunk(pending) } else { pending.to_owned() };
    let mut rest = framed.as_bytes();
    let written: io::Result<()> = poll_fn(|cx| {
        while !rest.is_empty() {
            let count = std::task::ready!(Pin::new(&mut detached.io).poll_write(cx, rest))?;
            rest = &rest[count..];
        }
        Pin::new(&mut detached.io).poll_flush(cx)
    })
    .await;
    assert!(matches!(Poll::Ready(written), Poll::Ready(Ok(()))));
}

/// A body from which a middleware took the first bytes and put them back.
struct Prepended {
    first: Option<&'static str>,
    body: Body,
}

impl http_body::Body for Prepended {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, axum::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(http_body::Frame::data(first.into())))),
            None => Pin::new(&mut self.body).poll_frame(cx),
        }
    }
}
