//! The HTTP server of the examples: hyper serves an axum router.
//!
//! `axum::serve` with a `TransportListener` needs fewer lines, as in the example `axum`. This server also has a timeout for
//! the heads of further requests, and resets single streams of HTTP/2 whose peer does not read.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use sse_hyper::{TransportConfig, Transports};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// The pause after a connection that could not be accepted, most likely because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `shutdown` completes. Returns those that are still open, and their transports, by which they can
/// be ended.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    shutdown: impl Future,
) -> (GracefulShutdown, Transports) {
    // Connections without a complete request are closed after 30 seconds, and those of peers that do not read after 35.
    let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
    let mut http = Builder::new(transports.executor(TokioExecutor::new()));
    // With a timer, hyper closes connections that do not complete a further request within 30 seconds.
    http.http1().timer(TokioTimer::new());
    // hyper closes an HTTP/2 connection whose peer does not respond to a ping.
    http.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20));
    let connections = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.as_mut() => return (connections, transports),
        };
        match accepted {
            Ok((socket, _)) => {
                // Nagle's algorithm would delay small events until the previous ones are acknowledged.
                let _ = socket.set_nodelay(true);
                let io = transports.wrap(TokioIo::new(socket));
                let connection = http.serve_connection(io, TowerToHyperService::new(app.clone()));
                // An error is the end of one connection, and the peer has already disconnected.
                tokio::spawn(connections.watch(connection.into_owned()));
            }
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
