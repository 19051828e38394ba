//! A server on async-std: hyper reads the requests and writes the heads by smol-hyper, then one task writes all streams from
//! the logs to the sockets.
//!
//! ```console
//! $ PORT=3000 cargo run --release --package sse-async-std --example server-async-std
//! $ curl -N localhost:3000/sse/weather
//! $ curl -d sunny localhost:3000/publish/weather
//! ```
//!
//! `THREADS=1` runs the server on one thread. `docs/examples.md` describes the routes.

mod service;

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol_hyper::rt::{FuturesIo, SmolTimer};
use sse_async_std::Sockets;
use sse_core::HubConfig;
use sse_core::shared::SharedHub;
use sse_hyper::{Outcome, TransportConfig, Transports};

#[cfg(unix)]
const THREAD_COUNT: &str = "ASYNC_STD_THREAD_COUNT";

fn main() -> Result<(), Box<dyn Error>> {
    // async-std reads its number of threads from the environment, so the program restarts itself with the variable set.
    #[cfg(unix)]
    if let (Ok(threads), None) = (std::env::var("THREADS"), std::env::var_os(THREAD_COUNT)) {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new(std::env::current_exe()?);
        return Err(command.env(THREAD_COUNT, threads).exec().into());
    }
    task::block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::var("PORT").unwrap_or("3000".into()).parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let hub = sse_async_std::start(sse_async_std::epoch_from_clock(), HubConfig::default())?;
    let sockets = Sockets::start();
    // Until a socket is attached, these limits apply to it.
    let transports = Transports::new(TransportConfig::default(), SmolTimer::new());
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            // Most likely no file descriptor is free. Wait until other connections end.
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                task::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Nagle's algorithm would delay small events until the previous ones are acknowledged.
        let _ = socket.set_nodelay(true);
        // Boxed, so that the memory of the future is freed at its end even if a waker keeps the task alive.
        let serving = serve_requests(socket, hub.clone(), sockets.clone(), transports.clone());
        task::spawn(Box::pin(serving));
    }
}

/// Serves the requests on one socket until a response is an event stream.
async fn serve_requests(socket: TcpStream, hub: SharedHub, sockets: Sockets, transports: Transports) {
    let http_service = service_fn(move |request| {
        let hub = hub.clone();
        async move { Ok::<_, Infallible>(service::respond(&hub, request).await) }
    });
    let mut builder = http1::Builder::new();
    // With a timer, hyper closes connections that do not complete a further request within 30 seconds.
    builder.timer(SmolTimer::new());
    let served = sse_hyper::serve_connection(&transports, &builder, FuturesIo::new(socket), http_service);
    if let Ok(Outcome::Detached(detached)) = served.await
        && let Err(error) = sockets.attach(detached.io.into_inner(), detached.outbound, detached.framing)
    {
        eprintln!("cannot attach a socket: {error}");
    }
}
