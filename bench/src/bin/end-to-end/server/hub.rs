//! The servers of this project: a hub with attached sockets, or with bodies.

use std::error::Error;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, ConfigError, Event, HubConfig, Limits};
use sse_hyper::{Outcome, Refusal, TransportConfig, Transports};
use sse_tokio::Sockets;
use tokio::net::TcpStream;

pub(super) async fn serve_attached() -> Result<(), Box<dyn Error>> {
    let app = app()?;
    let sockets = Sockets::start()?;
    let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
    let listener = super::listen().await?;
    loop {
        let (socket, _) = listener.accept().await?;
        // An error means that the client has already disconnected.
        let _ = socket.set_nodelay(true);
        // Boxed, so that the memory of the future is freed at its end even if a waker keeps the task alive.
        tokio::spawn(Box::pin(serve_requests(socket, app.clone(), sockets.clone(), transports.clone())));
    }
}

async fn serve_requests(socket: TcpStream, app: Router, sockets: Sockets, transports: Transports) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    let service = TowerToHyperService::new(app);
    let served = sse_hyper::serve_connection(&transports, &builder, TokioIo::new(socket), service);
    if let Ok(Outcome::Detached(detached)) = served.await {
        // On an error the client is disconnected, and the load generator counts the missed events.
        let _ = sockets.attach(detached.io.into_inner(), detached.outbound, detached.framing);
    }
}

pub(super) async fn serve_body() -> Result<(), Box<dyn Error>> {
    // Nagle's algorithm would delay small events until the previous ones are acknowledged.
    let listener = super::listen().await?.tap_io(|socket| drop(socket.set_nodelay(true)));
    axum::serve(listener, app()?).await?;
    Ok(())
}

fn app() -> Result<Router, ConfigError> {
    let limits = Limits { connections: 1_000_000, members: 1_000_000, ..Limits::default() };
    let hub = sse_tokio::start(sse_tokio::epoch_from_clock(), HubConfig { limits, ..HubConfig::default() })?;
    Ok(Router::new().route(super::FOLLOW, get(follow)).route(super::PUBLISH, post(publish)).with_state(hub))
}

async fn follow(State(hub): State<SharedHub>, request: Request) -> Response {
    let outbound = hub.connect(sse_hyper::connection_config(&request)).ok();
    match outbound.zip(channel(&hub)) {
        Some((outbound, channel)) if outbound.subscribe(&channel).is_ok() => {
            sse_hyper::response(request.version(), outbound).into_response()
        }
        _ => Refusal::default().into_response(request.version()).into_response(),
    }
}

async fn publish(State(hub): State<SharedHub>, data: String) -> StatusCode {
    match channel(&hub).map(|channel| channel.publish(&Event::new().data(data))) {
        Some(Ok(_)) => StatusCode::NO_CONTENT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn channel(hub: &SharedHub) -> Option<Channel> {
    hub.open_channel("bench", ChannelConfig::default()).ok()
}
