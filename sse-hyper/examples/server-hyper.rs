//! A server with axum and hyper that opens channels on first use and streams bodies. The benchmarks measure it.
//!
//! Run `cargo run --release --package sse-hyper --example server-hyper`, then `curl -N http://127.0.0.1:3000/sse/news` and
//! `curl -d 'hello' -H 'X-Event-Id: 7' http://127.0.0.1:3000/publish/news`. The parameter `?id=7` replaces the header.
//! `PORT` sets the port, and `THREADS=1` runs everything on one thread.

use std::collections::HashMap;
use std::error::Error;
use std::str;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, Event, HubConfig, PublishError};
use sse_hyper::{Refusal, SseBody};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

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
    let mut http = http1::Builder::new();
    // With a timer, hyper closes connections whose head takes longer than 30 seconds. Without `writev`, hyper copies small
    // events into one buffer.
    http.timer(TokioTimer::new()).writev(false);
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Most likely no file descriptor is free. Wait until other connections end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Nagle's algorithm would delay small events until the previous ones are acknowledged.
        let _ = socket.set_nodelay(true);
        // `axum::serve` also supports HTTP/2, which costs 8 KiB more for each connection.
        tokio::spawn(http.serve_connection(TokioIo::new(socket), TowerToHyperService::new(app.clone())));
    }
}

async fn follow(
    State(hub): State<SharedHub>,
    Path(name): Path<String>,
    request: Request,
) -> Response<SseBody> {
    // By default, a channel keeps 500 events, and an idle connection receives a ping every 50 seconds.
    let channel = hub.open_channel(&name, ChannelConfig::default()).ok();
    let outbound = hub.connect(sse_hyper::connection_config(&request)).ok();
    match outbound.zip(channel) {
        Some((outbound, channel)) if outbound.subscribe(&channel).is_ok() => {
            sse_hyper::response(request.version(), outbound)
        }
        _ => Refusal::default().into_response(request.version()),
    }
}

async fn publish(
    State(hub): State<SharedHub>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, (StatusCode, String)> {
    let data = str::from_utf8(&body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let header = headers.get("x-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()));
    let mut event = Event::new().data(data);
    if let Some(id) = header.or_else(|| query.get("id").map(|id| id.as_str().into())) {
        event = event.id(id);
    }
    let channel = hub
        .open_channel(&name, ChannelConfig::default())
        .map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    channel.publish(&event).map_err(|error| match error {
        PublishError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        _ => (StatusCode::BAD_REQUEST, error.to_string()),
    })?;
    Ok(StatusCode::ACCEPTED)
}
