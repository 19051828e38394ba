//! A deploy without a reconnect storm, and without a lost event. On SIGTERM, each stream receives a `retry:` time of its own and
//! ends at a moment of its own, so that the clients do not reach the next process all at once. Then the server writes what it
//! kept to a file, and returns. The next process reads the file, and the clients continue where they were.
//!
//! Run `cargo run --package sse-hyper --example deploy`, and `curl -N http://127.0.0.1:3000/` in several terminals. Then
//! `kill` the process or press Ctrl-C: the streams end one after the other, each with its `retry:`. New clients find no
//! listener, or the next process. Browsers reconnect by themselves, without a `reset`. The process exits at the latest one second
//! after the end of the drain, even if peers do not read, grant no window, or have sent only a part of a request.
//!
//! The file is `sse-deploy.export` among the temporary files, or the one in the environment variable `EXPORT`.

mod server;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, DrainConfig, Event, HubConfig};
use sse_hyper::{Refusal, SseBody};
use tokio::net::TcpListener;

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

/// Kubernetes kills a process after 30 seconds. The drain ends before that, even if clients do not read.
const DRAIN: DrainConfig = DrainConfig {
    over: Duration::from_secs(5),
    within: Duration::from_secs(10),
    // By the time that clients reconnect, the next process listens.
    retry: Some((Duration::from_secs(1), Duration::from_secs(8))),
};

/// How long the transports of peers that do not read outlive the drain.
const GRACE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let export = std::env::var_os("EXPORT")
        .map_or_else(|| std::env::temp_dir().join("sse-deploy.export"), PathBuf::from);
    let hub = continue_from(&export)?;
    let clock = hub.open_channel("clock", ChannelConfig::default())?;
    tokio::spawn(tick(clock.clone()));
    let app = Router::new().route("/", get(follow)).with_state((hub.clone(), clock));
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/", listener.local_addr()?);
    // If no signal handler can be installed, stop at once rather than never.
    let (connections, transports) = server::serve(listener, app, terminated()).await;
    println!("draining {} streams", hub.stats().connections);
    hub.drain(DRAIN);
    transports.close_within(DRAIN.within + GRACE);
    connections.shutdown().await;
    println!("drained, {} streams are open", hub.stats().connections);
    // Nothing is published between here and the end, so the ids of this run are known to the next one.
    hub.seal();
    sse_hyper::save_export(&export, &hub)?;
    Ok(())
}

/// Creates the hub, with what the last run has left.
fn continue_from(export: &Path) -> Result<SharedHub, Box<dyn Error>> {
    let (epoch, executor) = (sse_hyper::epoch_from_clock(), TokioExecutor::new());
    if let Some(export) = sse_hyper::take_export(export)? {
        match sse_hyper::restore(&epoch, HubConfig::default(), &executor, TokioTimer::new(), &export) {
            Ok(hub) => return Ok(hub),
            // Clients get a reset, as after a crash.
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(sse_hyper::start(epoch, HubConfig::default(), &executor, TokioTimer::new())?)
}

async fn follow(State((hub, clock)): State<(SharedHub, Channel)>, request: Request) -> Response<SseBody> {
    let config = ConnectionConfig { ping: Some(PING), ..sse_hyper::connection_config(&request) };
    let outbound = hub.connect(config).ok();
    match outbound.filter(|outbound| outbound.subscribe(&clock).is_ok()) {
        Some(outbound) => sse_hyper::response(request.version(), outbound),
        // This also answers requests on kept-alive connections during the drain.
        None => Refusal::Later(Duration::from_secs(3)).into_response(request.version()),
    }
}

async fn tick(clock: Channel) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for second in 0.. {
        seconds.tick().await;
        if clock.publish(&Event::new().data(format!("{second} s"))).is_err() {
            return;
        }
    }
}

/// Waits for SIGTERM, which service managers send to end a process, or for Ctrl-C.
#[cfg(unix)]
async fn terminated() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    Ok(())
}

#[cfg(not(unix))]
async fn terminated() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
