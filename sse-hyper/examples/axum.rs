//! The smallest useful server with axum: `GET` follows a channel, `POST` publishes to it.
//!
//! Run `cargo run --package sse-hyper --example axum`. Then run `curl -N http://127.0.0.1:3000/events` in one terminal and
//! `curl -d 'all is well' http://127.0.0.1:3000/events` in another. Stop the first, publish twice more, and start the first
//! again with `-H 'Last-Event-ID: …'` and the last id that it printed: the missed events arrive first. In a browser the
//! client is `new EventSource("/events").onmessage = event => console.log(event.data)`.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig};
use sse_hyper::{Refusal, SseBody, TransportConfig, TransportListener};
use tokio::net::TcpListener;

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

#[derive(Clone)]
struct App {
    hub: SharedHub,
    news: Channel,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let epoch = sse_hyper::epoch_from_clock();
    let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
    let news = hub.open_channel("news", ChannelConfig::default())?;
    let app = Router::new().route("/events", get(follow).post(publish)).with_state(App { hub, news });
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/events", listener.local_addr()?);
    // The listener closes connections that send nothing or half of a request after 30 seconds, and those that do not read after
    // 35. `axum::serve` by itself never does.
    axum::serve(TransportListener::new(listener, TransportConfig::default()), app).await?;
    Ok(())
}

async fn follow(State(app): State<App>, request: Request) -> Response<SseBody> {
    let config = ConnectionConfig { ping: Some(PING), ..sse_hyper::connection_config(&request) };
    let outbound = app.hub.connect(config).ok();
    match outbound.filter(|outbound| outbound.subscribe(&app.news).is_ok()) {
        Some(outbound) => sse_hyper::response(request.version(), outbound),
        // At a limit, the browser is asked to reconnect later.
        None => Refusal::default().into_response(request.version()),
    }
}

async fn publish(State(app): State<App>, text: String) -> (StatusCode, String) {
    match app.news.publish(&Event::new().data(text)) {
        Ok(published) => (StatusCode::ACCEPTED, published.frame.id().unwrap_or_default().to_owned()),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}
