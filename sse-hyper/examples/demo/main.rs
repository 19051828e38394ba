//! A demo: channels over HTTP, a page that shows them live, and a button that drops the connection.
//!
//! Run `cargo run --release --example demo`, then open <http://127.0.0.1:3000/>. `PORT` sets the port.

mod routes;
mod weather;

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::HubConfig;
use tokio::net::TcpListener;

use routes::Demo;

/// How long slow peers can delay the shutdown of the server.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

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
    let server = axum::serve(listener, routes::router(demo)).with_graceful_shutdown(async move {
        interrupted().await;
        weather.abort();
        hub.shut_down();
    });
    tokio::select! {
        result = server.into_future() => result?,
        () = async { interrupted().await; tokio::time::sleep(SHUTDOWN_GRACE).await } => {}
    }
    Ok(())
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
