//! One node: a page, the stream of some channels, and publications.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, PublishOptions};
use sse_hyper::{AllowedOrigins, Refusal, TransportConfig, TransportListener};
use sse_redis::{Channel, Cluster, ClusterConfig, PublishError};
use tokio::net::TcpListener;

use super::supervisor::PORTS;

#[derive(serde::Deserialize)]
struct Channels {
    /// The names, separated by commas.
    channels: String,
}

pub(crate) async fn run(url: String) -> Result<(), Box<dyn Error>> {
    let mut config = ClusterConfig::new(url, "example");
    if let Some(entries) = std::env::var("LOG_ENTRIES").ok().and_then(|entries| entries.parse().ok()) {
        config = config.log_entries(entries);
    }
    let mut node = connect(config).await?;
    let hub_config = node.hub_config(HubConfig::default());
    let hub = sse_hyper::start(node.epoch(), hub_config, &TokioExecutor::new(), TokioTimer::new())?;
    let cluster = node.run(hub)?;
    let app = Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/events", get(follow))
        .route("/publish", post(publish))
        .route("/status", get(status))
        .route("/kill", post(kill))
        .with_state(cluster.clone());
    let port = std::env::var("PORT").unwrap_or_else(|_| PORTS[0].to_string());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(TransportListener::new(listener, TransportConfig::default()), app).await?;
    Ok(())
}

/// Waits for Redis.
async fn connect(config: ClusterConfig) -> Result<sse_redis::Node, Box<dyn Error>> {
    let mut attempts = 0;
    loop {
        match sse_redis::connect(config.clone()).await {
            Ok(node) => return Ok(node),
            Err(sse_redis::ConnectError::Redis(_)) if attempts < 100 => attempts += 1,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Channels that nobody follows here close after half a second: the next client opens them with their pasts.
fn channels(cluster: &Cluster, names: &str) -> Vec<Channel> {
    let config =
        ChannelConfig { empty_timeout: Some(Duration::from_millis(500)), ..ChannelConfig::default() };
    names.split(',').map(|name| cluster.channel(name, config.clone())).collect()
}

/// `GET /events?channels=a,b`: the events of channels. Pages of the other nodes may read them, too.
async fn follow(State(cluster): State<Cluster>, Query(query): Query<Channels>, request: Request) -> Response {
    let Ok(origins) = AllowedOrigins::new(PORTS.map(|port| format!("http://127.0.0.1:{port}"))) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let version = request.version();
    let admitted = match origins.admit(request.headers()) {
        Ok(admitted) => admitted,
        Err(forbidden) => return forbidden.into_response(version).into_response(),
    };
    let config =
        ConnectionConfig { ping: Some(Duration::from_secs(15)), ..sse_hyper::connection_config(&request) };
    let Ok(outbound) = cluster.hub().connect(config) else {
        return Refusal::default().into_response(version).into_response();
    };
    let channels = channels(&cluster, &query.channels);
    let channels: Vec<&Channel> = channels.iter().collect();
    let mut response = match cluster.follow(&outbound, &channels).await {
        Ok(_) => sse_hyper::response(version, outbound),
        // The client comes back with its id.
        Err(_) => Refusal::Later(Duration::from_millis(200)).into_response(version),
    };
    admitted.apply(&mut response);
    response.into_response()
}

/// `POST /publish?channels=a,b`: publishes the body. The response is the id of the event.
async fn publish(State(cluster): State<Cluster>, Query(query): Query<Channels>, body: String) -> Response {
    let channels = channels(&cluster, &query.channels);
    let channels: Vec<&Channel> = channels.iter().collect();
    let event = Event::new().data(body);
    match cluster.publish_to(&channels, &event, PublishOptions::default()).await {
        Ok(published) => published.id.unwrap_or_default().into_response(),
        Err(PublishError::Unconfirmed) => StatusCode::GATEWAY_TIMEOUT.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

/// `GET /status`: the state of the node.
async fn status(State(cluster): State<Cluster>) -> String {
    format!("{:?}\n", cluster.status())
}

/// `POST /kill`: ends the process at once, as a crash does.
async fn kill() {
    std::process::abort();
}
