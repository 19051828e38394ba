//! A server on tokio: hyper reads the requests and writes the heads, then one task writes all streams from the logs to the
//! sockets.
//!
//! ```console
//! $ PORT=3000 cargo run --release --package sse-tokio --example server-tokio
//! $ curl -N localhost:3000/sse/weather
//! $ curl -d sunny localhost:3000/publish/weather
//! ```
//!
//! `THREADS=1` runs the server on one thread.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, Event, HubConfig, OpenError};
use sse_hyper::{Outcome, Refusal};
use sse_tokio::Sockets;
use tokio::net::{TcpListener, TcpStream};

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
        .route("/sse/{channel}", get(subscribe))
        .route("/publish/{channel}", post(publish))
        .with_state(hub);
    let sockets = Sockets::start()?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // Boxed, so that the memory of the future is freed at its end even if a waker keeps the task alive.
        tokio::spawn(Box::pin(serve_requests(socket, app.clone(), sockets.clone())));
    }
}

/// Serves the requests on one socket until a response is an event stream.
async fn serve_requests(socket: TcpStream, app: Router, sockets: Sockets) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    let served = sse_hyper::serve_connection(&builder, TokioIo::new(socket), TowerToHyperService::new(app));
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

async fn subscribe(State(hub): State<SharedHub>, Path(name): Path<String>, request: Request) -> Response {
    let Ok(outbound) = hub.connect(sse_hyper::connection_config(&request)) else {
        return Refusal::default().into_response(request.version()).into_response();
    };
    match open(&hub, &name).map(|channel| outbound.subscribe(&channel)) {
        Ok(Ok(_)) => sse_hyper::response(request.version(), outbound).into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn publish(
    State(hub): State<SharedHub>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, (StatusCode, String)> {
    let bad = |error: &dyn Error| (StatusCode::BAD_REQUEST, error.to_string());
    let mut event = Event::new().data(std::str::from_utf8(&body).map_err(|e| bad(&e))?);
    if let Some(id) = headers.get("x-event-id") {
        event = event.id(id.to_str().map_err(|e| bad(&e))?);
    }
    open(&hub, &name).map_err(|e| bad(&e))?.publish(&event).map_err(|e| bad(&e))?;
    Ok(StatusCode::ACCEPTED)
}

fn open(hub: &SharedHub, name: &str) -> Result<Channel, OpenError> {
    hub.open_channel(name, ChannelConfig::default())
}
