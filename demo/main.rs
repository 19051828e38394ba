//! A demo: channels over HTTP, a page that shows them live, and a button that drops the connection.
//!
//! Run `cargo run --release --example demo`, then open <http://127.0.0.1:3000/>. `PORT` sets the port.

mod readme;
mod routes;
mod weather;

use std::error::Error;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use sse_core::HubConfig;
use sse_hyper::{TransportConfig, Transports};
use tokio::net::TcpListener;
use tokio::time::sleep;

use routes::Demo;

/// How long slow peers can delay the shutdown of the server.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// The pause after a connection that could not be accepted, most likely because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::var("PORT") {
        Ok(port) => port.parse().map_err(|error| format!("PORT={port} is not a port: {error}"))?,
        Err(_) => 3000,
    };
    let epoch = sse_hyper::epoch_from_clock();
    let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
    let demo = Demo::new(hub.clone())?;
    let weather = tokio::spawn(weather::report(demo.clone()));

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("http://{}/", listener.local_addr()?);
    // Closes connections of peers that do not read, or send no complete request.
    let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
    let connections = serve(listener, routes::router(demo), &transports).await;
    weather.abort();
    hub.shut_down();
    transports.close_within(SHUTDOWN_GRACE);
    connections.shutdown().await;
    Ok(())
}

/// Serves connections until the process is interrupted, and returns those that are still open.
async fn serve(listener: TcpListener, app: Router, transports: &Transports) -> GracefulShutdown {
    let mut http = http1::Builder::new();
    // With a timer, hyper closes connections that do not complete the head of a request within 30 seconds.
    http.timer(TokioTimer::new());
    let connections = GracefulShutdown::new();
    let mut interrupted = pin!(interrupted());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = interrupted.as_mut() => return connections,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Nagle's algorithm would delay small events until the previous ones are acknowledged.
        let _ = socket.set_nodelay(true);
        let io = transports.wrap(TokioIo::new(socket));
        let connection = http.serve_connection(io, TowerToHyperService::new(app.clone()));
        tokio::spawn(connections.watch(connection));
    }
}

/// Waits for Ctrl-C, or for SIGTERM, which service managers send to end a process.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
