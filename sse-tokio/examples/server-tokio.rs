//! A server on tokio: hyper reads the requests and writes the heads, then one task writes all streams from the logs to the
//! sockets.
//!
//! ```console
//! $ PORT=3000 cargo run --release --package sse-tokio --example server-tokio
//! $ curl -N localhost:3000/sse/weather
//! $ curl -d sunny localhost:3000/publish/weather
//! ```
//!
//! `THREADS=1` runs the server on one thread. `docs/examples.md` describes the routes.

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
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, OpenError, PublishError};
use sse_hyper::{Outcome, Refusal, TransportConfig, Transports};
use sse_tokio::Sockets;
use tokio::net::{TcpListener, TcpStream};

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

fn main() -> Result<(), Box<dyn Error>> {
    let one_core = std::env::var("THREADS").is_ok_and(|threads| threads == "1");
    let mut runtime = if one_core {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    runtime.enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::var("PORT").unwrap_or("3000".into()).parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let hub = sse_tokio::start(sse_tokio::epoch_from_clock(), HubConfig::default())?;
    let app = Router::new()
        .route("/sse/{channel}", get(follow))
        .route("/publish/{channel}", post(publish))
        .with_state(hub);
    let sockets = Sockets::start()?;
    // Until a socket is attached, these limits apply to it.
    let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
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
        // Boxed, so that the memory of the future is freed at its end even if a waker keeps the task alive.
        tokio::spawn(Box::pin(serve_requests(socket, app.clone(), sockets.clone(), transports.clone())));
    }
}

/// Serves the requests on one socket until a response is an event stream.
async fn serve_requests(socket: TcpStream, app: Router, sockets: Sockets, transports: Transports) {
    let mut builder = http1::Builder::new();
    // With a timer, hyper closes connections that do not complete a further request within 30 seconds.
    builder.timer(TokioTimer::new());
    let service = TowerToHyperService::new(app);
    let served = sse_hyper::serve_connection(&transports, &builder, TokioIo::new(socket), service);
    match served.await {
        Ok(Outcome::Detached(detached)) => {
            if let Err(error) = sockets.attach(detached.io.into_inner(), detached.outbound, detached.framing)
            {
                eprintln!("cannot attach a socket: {error}");
            }
        }
        Ok(Outcome::Closed) | Err(_) => {}
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
