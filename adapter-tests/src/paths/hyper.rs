//! Response bodies of hyper.

use std::sync::mpsc::Sender;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use sse_hyper::{SseBody, TransportListener, Transports};

use super::{listen, respond, service, stopped, tokio_runtime};
use crate::{Handler, Listening, Setup, Stop};

/// A body with axum, over HTTP/1.1.
pub fn axum_body(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    tokio_runtime().block_on(async {
        let hub = sse_hyper::start("e", setup.hub.clone(), &TokioExecutor::new(), TokioTimer::new());
        let hub = hub.expect("the epoch is valid");
        let (listener, handler) = listen(&hub, &setup, &ready).await;
        let app = Router::new().route("/sse/{channels}", get(subscribe)).with_state(handler);
        let listener = TransportListener::new(listener, setup.transport);
        let server = axum::serve(listener, app).with_graceful_shutdown(async move {
            stopped(stop).await;
            hub.shut_down();
        });
        server.await.expect("the server runs");
    });
}

async fn subscribe(State(handler): State<Handler>, request: Request) -> Response<SseBody> {
    respond(&handler, &request)
}

/// A body with the server of hyper, over HTTP/2.
pub fn http2_body(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    tokio_runtime().block_on(async {
        let hub = sse_hyper::start("e", setup.hub.clone(), &TokioExecutor::new(), TokioTimer::new());
        let hub = hub.expect("the epoch is valid");
        let (listener, handler) = listen(&hub, &setup, &ready).await;
        let transports = Transports::new(setup.transport.clone(), TokioTimer::new());
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stopped(stop));
        loop {
            let (socket, _) = tokio::select! {
                accepted = listener.accept() => accepted.expect("a client connects"),
                () = &mut stop => break,
            };
            let builder = auto::Builder::new(transports.executor(TokioExecutor::new())).http2_only();
            let io = transports.wrap(TokioIo::new(socket));
            let connection = builder.serve_connection(io, service(handler.clone())).into_owned();
            tokio::spawn(graceful.watch(connection));
        }
        hub.shut_down();
        if let Some(time) = setup.transport.shutdown_timeout {
            transports.close_within(time);
        }
        graceful.shutdown().await;
    });
}
