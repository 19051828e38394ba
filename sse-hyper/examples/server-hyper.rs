//! A server with axum and hyper that opens channels on first use and streams bodies. The benchmarks measure it.
//!
//! Run `cargo run --release --package sse-hyper --example server-hyper`, then `curl -N http://127.0.0.1:3000/sse/news` and
//! `curl -d 'hello' -H 'X-Event-Id: 7' http://127.0.0.1:3000/publish/news`. The parameter `?id=7` replaces the header.
//! `PORT` sets the port, and `THREADS=1` runs everything on one thread. `docs/examples.md` describes the routes.

use std::collections::HashMap;
use std::error::Error;
use std::str;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, OpenError, PublishError};
use sse_hyper::{Refusal, TransportConfig, Transports};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

fn main() -> Result<(), Box<dyn Error>> {
    let is_single = std::env::var("THREADS").is_ok_and(|threads| threads == "1");
    let mut runtime = if is_single { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    runtime.enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let epoch = sse_hyper::epoch_from_clock();
    let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
    let app = Router::new()
        .route("/sse/{channel}", get(follow))
        .route("/publish/{channel}", post(publish))
        .with_state(hub);
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/", listener.local_addr()?);
    // Closes connections that send no complete request within 30 seconds, and those whose peer takes no bytes for 35.
    let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
    let mut http = http1::Builder::new();
    // With a timer, hyper closes connections that do not complete a further request within 30 seconds. Without `writev`,
    // hyper copies small events into one buffer, which does not shrink: bound it.
    http.timer(TokioTimer::new()).writev(false).max_buf_size(64 * 1024);
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            // Most likely no file descriptor is free. Wait until other connections end.
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Nagle's algorithm would delay small events until the previous ones are acknowledged.
        let _ = socket.set_nodelay(true);
        // `axum::serve` also supports HTTP/2, which costs 8 KiB more for each connection.
        let io = transports.wrap(TokioIo::new(socket));
        tokio::spawn(http.serve_connection(io, TowerToHyperService::new(app.clone())));
    }
}

async fn follow(State(hub): State<SharedHub>, Path(name): Path<String>, request: Request) -> Response {
    let refusal = || Refusal::default().into_response(request.version()).into_response();
    // By default, a channel keeps 500 events.
    let channel = match hub.open_channel(&name, ChannelConfig::default()) {
        Ok(channel) => channel,
        Err(error @ OpenError::NameTooLong { .. }) => return bad_request(error).into_response(),
        Err(_) => return refusal(),
    };
    let config = ConnectionConfig { ping: Some(PING), ..sse_hyper::connection_config(&request) };
    match hub.connect(config) {
        Ok(outbound) if outbound.subscribe(&channel).is_ok() => {
            sse_hyper::response(request.version(), outbound).into_response()
        }
        _ => refusal(),
    }
}

async fn publish(
    State(hub): State<SharedHub>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, (StatusCode, String)> {
    let mut event = Event::new().data(str::from_utf8(&body).map_err(bad_request)?);
    let id = match headers.get("x-event-id") {
        Some(id) => str::from_utf8(id.as_bytes()).map_err(bad_request)?,
        None => query.get("id").map_or("", String::as_str),
    };
    if !id.is_empty() {
        event = event.id(id);
    }
    let channel = hub.open_channel(&name, ChannelConfig::default()).map_err(|error| match error {
        OpenError::TooManyChannels { .. } => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        _ => bad_request(error),
    })?;
    channel.publish(&event).map_err(|error| match error {
        PublishError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        _ => bad_request(error),
    })?;
    Ok(StatusCode::ACCEPTED)
}

fn bad_request(error: impl Error) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, error.to_string())
}
