//! Streams, writers and attached sockets on tokio.

use std::sync::mpsc::Sender;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Version;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use sse_core::adapter::{Framing, HEADERS};
use sse_hyper::{Outcome, Refusal, TransportListener, Transports};
use sse_tokio::{EventStream, Sockets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{listen, raw, service, stopped, tokio_runtime};
use crate::{Handler, Listening, RETRY_AFTER, Setup, Stop};

/// A stream of bytes as the body of a framework, here axum.
pub fn stream(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    tokio_runtime().block_on(async {
        let hub = sse_tokio::start("e", setup.hub.clone()).expect("the epoch is valid");
        let (listener, handler) = listen(&hub, &setup, &ready).await;
        let app = Router::new().route("/sse/{channels}", get(stream_body)).with_state(handler);
        let listener = TransportListener::new(listener, setup.transport);
        let server = axum::serve(listener, app).with_graceful_shutdown(async move {
            stopped(stop).await;
            hub.shut_down();
        });
        server.await.expect("the server runs");
    });
}

async fn stream_body(State(handler): State<Handler>, request: Request) -> Response {
    let Some(outbound) = handler.subscribe(request.uri().path(), sse_hyper::connection_config(&request))
    else {
        return Refusal::Later(RETRY_AFTER).into_response(request.version()).into_response();
    };
    let mut head = Response::builder().version(request.version());
    if request.version() == Version::HTTP_11 {
        head = head.header("connection", "keep-alive");
    }
    for (name, value) in HEADERS {
        head = head.header(name, value);
    }
    head.body(Body::from_stream(EventStream::new(outbound))).expect("a response")
}

/// Any transport, here a socket on which the server writes the head.
pub fn transport(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    tokio_runtime().block_on(async {
        let hub = sse_tokio::start("e", setup.hub.clone()).expect("the epoch is valid");
        let (listener, handler) = listen(&hub, &setup, &ready).await;
        let mut stop = std::pin::pin!(stopped(stop));
        let mut served = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (socket, _) = accepted.expect("a client connects");
                    served.spawn(serve(socket, handler.clone()));
                }
                () = &mut stop => break,
            }
        }
        hub.shut_down();
        served.join_all().await;
    });
}

async fn serve(mut socket: TcpStream, handler: Handler) {
    let mut bytes = Vec::new();
    let (path, config) = loop {
        if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(request) = raw::request(&bytes) {
            break request;
        }
    };
    let Some(outbound) = handler.subscribe(&path, config) else {
        let _ = socket.write_all(&raw::refusal()).await;
        return;
    };
    if socket.write_all(raw::head(true).as_bytes()).await.is_ok() {
        // A disconnect is not an error of the server.
        let _ = sse_tokio::serve(outbound, Framing::Chunked, socket).await;
    }
}

/// Attached sockets, with requests and heads by hyper.
pub fn attached(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    tokio_runtime().block_on(async {
        let hub = sse_tokio::start("e", setup.hub.clone()).expect("the epoch is valid");
        let (listener, handler) = listen(&hub, &setup, &ready).await;
        let sockets = Sockets::start().expect("a reactor");
        let transports = Transports::new(setup.transport.clone(), TokioTimer::new());
        let mut stop = std::pin::pin!(stopped(stop));
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (socket, _) = accepted.expect("a client connects");
                    tokio::spawn(serve_requests(socket, handler.clone(), sockets.clone(), transports.clone()));
                }
                () = &mut stop => break,
            }
        }
        hub.shut_down();
        while hub.stats().connections > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    });
}

async fn serve_requests(socket: TcpStream, handler: Handler, sockets: Sockets, transports: Transports) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    let served =
        sse_hyper::serve_connection(&transports, &builder, TokioIo::new(socket), service(handler)).await;
    if let Ok(Outcome::Detached(detached)) = served {
        let socket = detached.io.into_inner();
        sockets.attach(socket, detached.outbound, detached.framing).expect("a socket");
    }
}
