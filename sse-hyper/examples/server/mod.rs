//! The HTTP server of the examples: hyper serves an axum router.
//!
//! `axum::serve` needs fewer lines, but never closes connections that send nothing or only a part of the head of a request.
//! Its graceful shutdown waits for them, and for all other slow peers, without a bound.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The time limit for the first request of a connection. The timeout of hyper, also 30 seconds, begins only when hyper has read
/// enough to know the version of HTTP.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause after a connection that could not be accepted, most likely because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `shutdown` completes, and returns those that are still open.
pub(crate) async fn serve(listener: TcpListener, app: Router, shutdown: impl Future) -> GracefulShutdown {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new());
    // hyper closes an HTTP/2 connection whose peer does not respond to a ping.
    http.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20));
    let connections = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.as_mut() => return connections,
        };
        match accepted {
            Ok((socket, _)) => {
                // Nagle's algorithm would delay small events until the previous ones are acknowledged.
                let _ = socket.set_nodelay(true);
                tokio::spawn(serve_connection(http.clone(), socket, app.clone(), connections.watcher()));
            }
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(http: Builder<TokioExecutor>, socket: TcpStream, app: Router, watcher: Watcher) {
    let app = TowerToHyperService::new(app);
    let has_request = Arc::new(AtomicBool::new(false));
    let requested = has_request.clone();
    let service = service_fn(move |request| {
        requested.store(true, Ordering::Relaxed);
        app.call(request)
    });
    let mut connection = pin!(watcher.watch(http.serve_connection(TokioIo::new(socket), service)));
    // An error is the end of one connection, and the peer has already disconnected.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(FIRST_REQUEST_TIMEOUT) => {}
    }
    if has_request.load(Ordering::Relaxed) {
        let _ = connection.await;
    }
}
